// What the addon keeps for one environment (a main thread or a worker): there is no state outside
// of it.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

namespace varve::node {

struct Addon {
    Napi::FunctionReference cursor;    ///< the class of cursors
    Napi::FunctionReference consumer;  ///< the class of consumers
};

/// A new object of a class of the addon that begins with `state`; empty, with an exception, if it
/// cannot be made: nothing can any more once a worker is being ended.
template <typename Class, typename State>
[[nodiscard]] Napi::Value wrapped(const Napi::FunctionReference& constructor,
                                  std::shared_ptr<State> state) {
    const Napi::Object object = constructor.New({});
    Class* const made = object.IsEmpty() ? nullptr : Class::Unwrap(object);
    if (made == nullptr) return {};
    made->begin(std::move(state));
    return object;
}

}  // namespace varve::node
