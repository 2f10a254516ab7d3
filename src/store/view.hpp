// What a reader may look at: some segments, up to a position.
//
// Plain data, any thread. Invariant: everything at or below `published` is in `segments` and never
// changes.
#pragma once

#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

struct View {
    SegmentListPtr segments;
    std::uint64_t published = 0;
    std::uint64_t durable = 0;
    std::uint32_t epoch = 0;
    std::uint32_t erasures = 0;  ///< of the control page, when the view was taken
    /// The same: a view of an even word knows exactly the definitions that the word stands for.
    std::uint32_t definitions = 0;
    /// Of the word as it was before `published` was read, and after. Odd where a definition may
    /// have been published in between: nothing that is remembered for the word holds then.
    [[nodiscard]] static std::uint32_t definitions_of(std::uint32_t before,
                                                      std::uint32_t after) noexcept {
        return before == after ? before : after | 1U;
    }
    [[nodiscard]] bool defines_now() const noexcept { return (definitions & 1U) != 0; }
};

}  // namespace store
}  // namespace v0
}  // namespace varve
