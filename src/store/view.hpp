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
    /// The same; read before `published`, so that a view of a word has what the word stands for.
    std::uint32_t definitions = 0;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
