// What the addon keeps for one environment (a main thread or a worker): there is no state outside
// of it.
#pragma once

#include <napi.h>

namespace varve::node {

struct Addon {
    Napi::FunctionReference cursor;    ///< the class of cursors
    Napi::FunctionReference consumer;  ///< the class of consumers
};

}  // namespace varve::node
