// What close answered is looked at: it syncs, and a sync can fail.
// expects: ignoring return(ed)? value
#include <varve/varve.hpp>

bool end(varve::Store& store) {
#ifdef CANARY
    return store.close().has_value();
#else
    store.close();
    return true;
#endif
}
