// The control record that erases: which events' content is to be gone, and where the one before it
// is.
//
// docs/format/erasure.md says the same in words; a test compares the two. Pure functions over
// bytes, any thread. Invariants: a record names only positions before its own; following
// `previous` ends, because positions fall.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "log/record.hpp"

namespace varve::log {

/// Positions `first` to `last`, both included.
struct PositionRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    friend bool operator==(const PositionRange&, const PositionRange&) noexcept = default;
};

/// True if one of `ranges` (ascending, without overlaps) holds `position`.
[[nodiscard]] bool holds(std::span<const PositionRange> ranges, std::uint64_t position) noexcept;

/// What a control record is about.
enum class ControlKind : std::uint32_t {
    erase = 1,
    define = 2,
};

/// The beginning of an erase record's data; `count` ranges follow.
struct EraseHeader {
    std::uint32_t control = 0;  ///< ControlKind
    std::uint32_t version = 1;
    std::uint64_t previous_position = 0;  ///< of the erase record before this one, 0: none
    std::uint64_t previous_segment = 0;   ///< number of the segment it stands in
    std::uint64_t previous_offset = 0;    ///< byte offset of that record in its segment
    std::uint32_t count = 0;              ///< ranges
    std::uint32_t reserved = 0;
};
static_assert(sizeof(EraseHeader) == 40 && sizeof(PositionRange) == 16);

/// Of one record; longer requests take several.
inline constexpr std::size_t kMaxEraseRanges = 4096;
/// What an erase record's type says, for people. Names of users cannot begin with '$'.
inline constexpr std::string_view kEraseType = "$erase";

using base::Field;
// clang-format off
inline constexpr Field kEraseHeaderFields[] = {
    VARVE_FIELD(EraseHeader, control), VARVE_FIELD(EraseHeader, version),
    VARVE_FIELD(EraseHeader, previous_position), VARVE_FIELD(EraseHeader, previous_segment),
    VARVE_FIELD(EraseHeader, previous_offset),
    VARVE_FIELD(EraseHeader, count), VARVE_FIELD(EraseHeader, reserved)};
inline constexpr Field kEraseRangeFields[] = {
    VARVE_FIELD(PositionRange, first), VARVE_FIELD(PositionRange, last)};
// clang-format on

/// Where an erase record stands. Position 0: nowhere.
struct EraseMark {
    std::uint64_t position = 0;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;  ///< in bytes, in the segment
    friend bool operator==(const EraseMark&, const EraseMark&) noexcept = default;
};

/// The data of an erase record. `ranges`: at most kMaxEraseRanges, ascending, without overlaps.
[[nodiscard]] std::vector<std::byte> encode_erase(const EraseMark& previous,
                                                  std::span<const PositionRange> ranges);

/// Reads an erase record whose checksums hold. False if it is none, or none that this version
/// understands, or contradicts itself. Its ranges are added to `ranges`, cut off before the
/// record's own position.
[[nodiscard]] bool decode_erase(const RecordView& record, EraseMark& previous,
                                std::vector<PositionRange>& ranges);

/// Sorts the ranges and joins those that overlap or touch.
void normalise(std::vector<PositionRange>& ranges) noexcept;

}  // namespace varve::log
