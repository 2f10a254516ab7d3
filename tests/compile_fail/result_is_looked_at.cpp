// What an append answered is looked at.
// expects: ignoring return(ed)? value
#include <varve/varve.hpp>

bool store_it(varve::Store& store) {
#ifdef CANARY
    return store.append({{.stream = "a", .type = "T"}}).has_value();
#else
    store.append({{.stream = "a", .type = "T"}});
    return true;
#endif
}
