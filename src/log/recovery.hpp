// Finding the end of the log after an unclean stop. Pure functions over the bytes of the segments.
//
// Any thread. Invariant: the answer depends on the bytes and the manifest only, never on the
// control page, so it is the same after every crash of the recovery itself.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "log/commit.hpp"

namespace varve::log {

/// A segment file as it was found. `keys` follow from its number, so they are known even if its
/// header is damaged.
struct SegmentImage {
    std::uint64_t number = 0;
    base::Bytes bytes{};
    std::uint64_t zeros_from = ~0ULL;  ///< from here on the bytes are known to be zeros: they need
                                       ///< not be read
    HeaderState state = HeaderState::damaged;
    SegmentHeader header{};
    SegmentKeys keys{};

    /// The bytes that may be other than zero.
    [[nodiscard]] base::Bytes content() const noexcept {
        return bytes.first(std::min<std::uint64_t>(bytes.size(), zeros_from));
    }
};

/// A segment's salt follows from its number and the store's secret, which the author of a payload
/// does not know.
[[nodiscard]] std::uint64_t salt_of(std::uint64_t secret, std::uint64_t number) noexcept;

[[nodiscard]] SegmentImage look_at(std::uint64_t number, base::Bytes bytes, const Uuid& uuid,
                                   std::uint64_t secret) noexcept;

/// Where to begin: everything before it is known to be durable, or was published in this boot.
struct Start {
    LogPoint point{};
    std::uint64_t next_segment = 0;  ///< not 0: the log was cut at `point`, and only segments from
                                     ///< this number on continue it
    std::uint32_t newest_epoch = 0;  ///< of the manifest
};

struct Recovery {
    LogPoint end{};
    std::int64_t recorded_us = 0;      ///< of the last accepted commit; 0 if none was accepted
    Fault fault = nullptr;             ///< why the commit behind the end was not accepted
    bool newer = false;                ///< a commit or record behind the end is whole, but of a
                                       ///< newer version: nobody may write here, nothing is torn
    bool tail_is_zero = true;          ///< nothing was ever stored behind the end
    std::uint64_t dropped_bytes = 0;   ///< behind the end, up to the last byte that is not zero
    std::uint64_t dropped_events = 0;  ///< whose commit headers can still be read there
    bool damaged = false;              ///< synced data are damaged: nobody may write here
    std::uint64_t damaged_until =
        0;  ///< byte offset in the end's segment (or its size) up to which the damage may reach
    std::uint64_t evidence_segment = 0;  ///< where the proof of it was found
    std::uint64_t evidence_offset = 0;
};

/// Accepts commits from `start` on, through all `images` (ascending numbers), and judges what
/// follows the end.
/// Bodies of zeros at positions `erased` count as whole: only who begins before the last point that
/// was synced can meet some.
[[nodiscard]] Recovery recover(std::span<const SegmentImage> images, const Start& start,
                               std::span<const PositionRange> erased = {}) noexcept;

/// Only accepts: for who died in this boot, so that all that was stored is there and nothing behind
/// the end needs to be judged.
[[nodiscard]] Recovery follow(std::span<const SegmentImage> images, const Start& start) noexcept;

/// The image that continues the log behind `from`, or null.
[[nodiscard]] const SegmentImage* successor(std::span<const SegmentImage> images,
                                            std::uint64_t number, std::uint64_t not_below) noexcept;

}  // namespace varve::log
