// A bare integer does not become a position.
// expects: no viable conversion|could not convert|conversion from
#include <varve/options.hpp>

varve::ReadOptions options() {
    varve::ReadOptions options;
#ifdef CANARY
    options.after = varve::Position{120};
#else
    varve::Position after = 120;
    options.after = after;
#endif
    return options;
}
