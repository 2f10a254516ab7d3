// Indexes of segments that no longer grow, filled from the log by whoever needs one first.
//
// Any thread. Invariants: nobody asks an index before it is complete; where filling fails there is
// no index to ask, and the answer is that error.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/recover.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

std::optional<Error> LateIndex::error() const noexcept {
    const std::lock_guard lock(mutex_);
    return error_;
}

bool LateIndex::fill() noexcept {
    const std::lock_guard lock(mutex_);
    if (is_filled()) return true;
    // What is wrong with the log stays so; memory may be free by now.
    if (error_ && error_->code != ErrorCode::out_of_memory) return false;
    auto built = build();
    if (!built) {
        segment_.index = index::ActiveIndex{};
        segment_.own_act.reset();
        error_ = std::move(built).error();
        return false;
    }
    error_.reset();
    // Partner: the acquire load in `is_filled`.
    filled_.store(true, std::memory_order_release);
    return true;
}

Result<void> LateIndex::build() noexcept {
    const log::LogPoint from = first_point(segment_);
    const std::uint64_t last = std::min(last_, plausible_last(segment_));
    meta_.env->expect(segment_.log(), os::Env::Pattern::sequential);
    VARVE_TRY(private_index(meta_, segment_, measure_index(segment_, from, last)));
    const bool whole = fill_index(meta_, segment_, from, last);
    // From now on events are looked up.
    meta_.env->expect(segment_.log(), os::Env::Pattern::random);
    if (whole) return {};
    return failure(ErrorCode::corrupt, "more events than there can be in a segment of this size",
                   meta_.segment_path(segment_.number()));
}

Result<void> index_late(const Meta& meta, Segment& segment, std::uint64_t last) noexcept {
    segment.index = index::ActiveIndex{};
    segment.act = os::Mapping{};
    segment.own_act.reset();
    segment.late.reset(new (std::nothrow) LateIndex(meta, segment, last));
    if (segment.late != nullptr) return {};
    return failure(ErrorCode::out_of_memory, "no memory for an index", meta.path);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
