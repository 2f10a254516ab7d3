// Stretches of time, and what an index knows of the times of 1,024 events in a row: a group.
//
// Plain values, any thread. Invariant: a group's ranges hold the times of all its events that a
// reader may see; they may be wider, never narrower.
#pragma once

#include <cstdint>
#include <limits>

namespace varve::index {

/// Events of a group; the n-th group of a segment begins at its ordinal 1,024 n.
inline constexpr std::uint32_t kGroupEvents = 1024;

/// Both ends belong to it; microseconds since 1970. `first_us` > `last_us`: no moment at all.
struct TimeRange {
    std::int64_t first_us = std::numeric_limits<std::int64_t>::max();
    std::int64_t last_us = std::numeric_limits<std::int64_t>::min();

    [[nodiscard]] static constexpr TimeRange always() noexcept {
        return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
    }
    [[nodiscard]] static constexpr TimeRange at(std::int64_t time_us) noexcept {
        return {time_us, time_us};
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return first_us > last_us; }
    [[nodiscard]] constexpr bool holds(std::int64_t time_us) const noexcept {
        return first_us <= time_us && time_us <= last_us;
    }
    /// True if some moment belongs to both.
    [[nodiscard]] constexpr bool meets(const TimeRange& other) const noexcept {
        return !empty() && !other.empty() && first_us <= other.last_us && other.first_us <= last_us;
    }
    friend bool operator==(const TimeRange&, const TimeRange&) noexcept = default;
};

/// Of one group: between which times its events lie, as given and as recorded.
struct GroupTimes {
    TimeRange event;
    TimeRange recorded;
    friend bool operator==(const GroupTimes&, const GroupTimes&) noexcept = default;
};

}  // namespace varve::index
