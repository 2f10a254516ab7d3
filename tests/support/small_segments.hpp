// Options of stores on real files whose segments are so small that they roll all the time.
#pragma once

#include <cstdint>

#include "varve/varve.hpp"

namespace varve::test {

/// Sizes of segments, in bytes.
struct SegmentSizes {
    std::uint64_t first = 64 << 10;
    std::uint64_t max = 256 << 10;
};

/// Level `os`: these tests end processes, not machines.
[[nodiscard]] inline OpenOptions small_segments(Access access = Access::read_write,
                                                SegmentSizes sizes = {}) {
    OpenOptions options;
    options.access = access;
    options.durability = Durability::os;
    options.segment_size_first = sizes.first;
    options.segment_size_max = sizes.max;
    return options;
}

}  // namespace varve::test
