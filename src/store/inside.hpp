// What is behind a Store, for layers of this library that stand on it.
//
// Any thread. Invariant: the engine outlives the handle for whoever keeps the pointer.
#pragma once

#include "store/engine.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

struct Inside {
    [[nodiscard]] static const std::shared_ptr<Engine>& engine(const Store& store) noexcept {
        return store.engine_;
    }
};

}  // namespace store
}  // namespace v0
}  // namespace varve
