// Bounds of time of a read: which events lie within them, and which groups of events need not be
// looked at.
//
// One thread at a time. Invariant: what is passed over lies outside the bounds for certain; where
// that is not known, the record is asked, and if it cannot say, that is an error.
#pragma once

#include <optional>

#include "store/segments.hpp"
#include "varve/options.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Between which times the events of a group lie (see index/times.hpp); absent if that is not
/// known. `group` counts from the first event of the segment's index and may be anything.
[[nodiscard]] std::optional<index::GroupTimes> times_of(const Segment& segment,
                                                        std::uint64_t group) noexcept;

/// Looks up when records were recorded. Keeps the last answer: events of one commit follow each
/// other.
class RecordedTimes {
public:
    /// Absent if the header of the record's commit cannot be read.
    [[nodiscard]] std::optional<std::int64_t> of(const Segment& segment,
                                                 const log::RecordView& record) noexcept;

private:
    const std::byte* commit_ = nullptr;
    std::optional<std::int64_t> time_us_;
};

class TimeFilter {
public:
    explicit TimeFilter(const ReadOptions& options) noexcept;

    /// True if anything about times was asked for; all else here may be left out otherwise.
    [[nodiscard]] bool asks() const noexcept { return bounded_ || with_recorded_; }
    /// True if there are bounds.
    [[nodiscard]] bool bounded() const noexcept { return bounded_; }
    /// True if no time at all lies within the bounds.
    [[nodiscard]] bool nothing() const noexcept { return wanted_.empty(); }
    /// How many events from `ordinal` on, in the direction of the read, lie outside for certain.
    [[nodiscard]] std::uint64_t outside_from(const Segment& segment, std::uint64_t ordinal,
                                             bool backwards) noexcept;
    /// True if the event lies within the bounds; `recorded_us` is filled in if it is wanted. An
    /// error if that cannot be known.
    [[nodiscard]] Result<bool> admits(const Meta& meta, const Segment& segment,
                                      const log::RecordView& record,
                                      std::optional<std::int64_t>& recorded_us) noexcept;

private:
    index::TimeRange wanted_;
    bool bounded_;
    bool with_recorded_;
    TimeKind clock_;
    RecordedTimes recorded_;
    const Segment* segment_ = nullptr;  ///< of the group asked for last
    std::uint64_t group_ = 0;
    bool group_outside_ = false;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
