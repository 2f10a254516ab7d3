// The newest event of a stream: what an append with an expected version and a reader ask for.
//
// Any thread, over an immutable list of segments. Names are compared, because keys may collide.
#pragma once

#include "index/head_cache.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Revision and position of the newest event of `stream` at or before `published`, looked up in the
/// indexes, newest first; version 0 if there is none. `key` is the stream's key. Errors: `corrupt`
/// where damage leaves it unknown.
[[nodiscard]] Result<index::Head> find_head(const Meta& meta, const SegmentList& list,
                                            std::uint64_t published, index::Key key,
                                            std::string_view stream) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
