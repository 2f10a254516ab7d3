// How many events a selection has, and what finding them takes: without reading them where the
// index is exact.
//
// One thread. Invariant: the count is that of the read with the same options.
#pragma once

#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {
namespace store {

struct Counted {
    std::uint64_t events = 0;
    std::uint64_t candidates = 0;  ///< whose records were looked at
    std::uint64_t entries = 0;     ///< of indexes that were looked at
    std::uint64_t indexes = 0;     ///< that were asked
};

/// Errors: `invalid_argument` of the selector, `corrupt`, `out_of_memory`.
[[nodiscard]] Result<Counted> count_events(const std::shared_ptr<Pinned>& pinned,
                                           const Selector& selector,
                                           const ReadOptions& options) noexcept;
[[nodiscard]] Result<Explanation> explain_query(const std::shared_ptr<Pinned>& pinned,
                                                const Selector& selector,
                                                const ReadOptions& options) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
