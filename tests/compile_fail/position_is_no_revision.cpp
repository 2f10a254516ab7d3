// A position does not become a revision.
// expects: no viable conversion|could not convert|conversion from
#include <varve/types.hpp>

varve::Revision revision(varve::Position position) {
#ifdef CANARY
    return varve::Revision{position.value};
#else
    return position;
#endif
}
