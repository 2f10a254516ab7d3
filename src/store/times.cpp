// Which events of a read lie within its bounds of time, by groups and one by one.
#include "store/times.hpp"

#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// The bounds with both ends included.
index::TimeRange wanted_by(const ReadOptions& options) noexcept {
    index::TimeRange wanted = index::TimeRange::always();
    if (options.since_us) wanted.first_us = *options.since_us;
    if (!options.until_us) return wanted;
    if (*options.until_us == std::numeric_limits<std::int64_t>::min()) return {};
    wanted.last_us = *options.until_us - 1;
    return wanted;
}

}  // namespace

std::optional<index::GroupTimes> times_of(const Segment& segment, std::uint64_t group) noexcept {
    if (segment.sealed == nullptr && !segment.ready()) return std::nullopt;
    if (segment.sealed == nullptr) return segment.index.times(group);
    index::SealedTimes times;
    if (group > ~std::uint32_t{0}) return std::nullopt;
    const index::Found found =
        segment.sealed->index.times(static_cast<std::uint32_t>(group), times);
    if (found != index::Found::yes) return std::nullopt;
    return index::GroupTimes{{times.event_min, times.event_max},
                             {times.recorded_min, times.recorded_max}};
}

std::optional<std::int64_t> RecordedTimes::of(const Segment& segment,
                                              const log::RecordView& record) noexcept {
    const auto offset = static_cast<std::uint64_t>(record.at - segment.bytes().data());
    const std::uint64_t distance = std::uint64_t{record.header.commit_distance8} * 8;
    if (distance > offset) return std::nullopt;
    const std::byte* const commit = record.at - distance;
    if (commit == commit_) return time_us_;
    time_us_ = log::recorded_time(segment.bytes(), offset, record.header.position,
                                  record.header.commit_distance8, segment.keys);
    commit_ = time_us_ ? commit : nullptr;
    return time_us_;
}

TimeFilter::TimeFilter(const ReadOptions& options) noexcept
    : wanted_(wanted_by(options)),
      bounded_(options.since_us.has_value() || options.until_us.has_value()),
      with_recorded_(options.with_recorded || (bounded_ && options.clock == TimeKind::recorded)),
      clock_(options.clock) {}

std::uint64_t TimeFilter::outside_from(const Segment& segment, std::uint64_t ordinal,
                                       bool backwards) noexcept {
    // A sealed index may cover several segments; its groups count from the first one.
    const std::uint64_t at = ordinal + (segment.sealed == nullptr ? 0 : segment.sealed_base());
    const std::uint64_t group = at / index::kGroupEvents;
    if (segment_ != &segment || group_ != group) {
        const auto times = times_of(segment, group);
        const auto range = [&] {
            return clock_ == TimeKind::event ? times->event : times->recorded;
        };
        group_outside_ = times && !range().meets(wanted_);
        segment_ = &segment;
        group_ = group;
    }
    if (!group_outside_) return 0;
    const std::uint64_t within = at % index::kGroupEvents;
    return backwards ? within + 1 : index::kGroupEvents - within;
}

Result<bool> TimeFilter::admits(const Meta& meta, const Segment& segment,
                                const log::RecordView& record,
                                std::optional<std::int64_t>& recorded_us) noexcept {
    if (clock_ == TimeKind::event && !wanted_.holds(record.header.time_us)) return false;
    if (!with_recorded_) return true;
    recorded_us = recorded_.of(segment, record);
    if (!bounded_ || clock_ == TimeKind::event) return true;
    if (recorded_us) return wanted_.holds(*recorded_us);
    return base::failure(ErrorCode::corrupt,
                         "when the event at position " + std::to_string(record.header.position) +
                             " was recorded is not known: the header of its commit cannot be read",
                         meta.segment_path(segment.number()),
                         static_cast<std::uint64_t>(record.at - segment.bytes().data()));
}

}  // namespace store
}  // namespace v0
}  // namespace varve
