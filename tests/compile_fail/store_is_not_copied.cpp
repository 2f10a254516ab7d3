// A store has one owner.
// expects: use of deleted function|call to (deleted|implicitly-deleted)
#include <utility>
#include <varve/varve.hpp>

varve::Store take(varve::Store& store) {
#ifdef CANARY
    return std::move(store);
#else
    return store;
#endif
}
