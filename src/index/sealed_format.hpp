// The bytes of a sealed index: an immutable file that says which events of some neighbouring
// segments carry which names.
//
// Layout (docs/format/sealed-index.md): header page · postings · dictionary · places of its blocks
// · slots · filter · offsets · types · times · slots of ids · segments · checksums. Everything
// between the header and the segments is checked in blocks of 16 KiB when it is first touched; the
// header covers the rest. An ordinal is a position minus the file's first position.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/field.hpp"
#include "index/key.hpp"
#include "log/format.hpp"

namespace varve::index {

inline constexpr std::uint64_t kSealedMagic = 0x31584449'45565256ULL;  // "VRVEIDX1"
inline constexpr std::uint32_t kSealedFormat = 1;
inline constexpr std::size_t kSealedHeaderSize = 4096;
inline constexpr std::size_t kSealedCrcOffset = kSealedHeaderSize - 4;
inline constexpr std::uint32_t kSealedSeed = 0x58444956;  // of its checksums
inline constexpr std::uint64_t kSealedBlock = 16 << 10;
inline constexpr std::uint32_t kNamesPerBlock = 16;
inline constexpr std::uint32_t kPostingsPerBlock = 128;
inline constexpr std::uint32_t kSlotsPerBucket = 8;
inline constexpr std::uint32_t kTimeGroup = 1024;                  // events
inline constexpr std::uint64_t kSealedEventsMax = 0xFFFF'FF00ULL;  // ordinals have 32 bits
inline constexpr std::size_t kNameKinds = 4;  // stream, category, type, tag: KeyKind 1 to 4
inline constexpr std::uint16_t kNoType = 0xFFFF;
inline constexpr std::uint16_t kManyTypes = 0xFFFE;

enum class Section : std::uint32_t {
    postings,
    dictionary,
    blocks,
    slots,
    filter,
    offsets,
    types,
    times,
    ids,
    segments,
    checksums,
};
inline constexpr std::size_t kSections = 11;

struct SectionPlace {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< bytes
};

struct SealedHeader {
    std::uint64_t magic = kSealedMagic;
    std::uint32_t format = kSealedFormat;
    std::uint32_t reserved = 0;
    log::Uuid uuid{};
    std::uint64_t first_segment = 0;
    std::uint64_t last_segment = 0;
    std::uint64_t first_position = 0;
    std::uint64_t last_position = 0;
    std::uint32_t segment_count = 0;
    std::uint32_t reserved2 = 0;
    std::uint32_t end_chain = 0;  ///< chain value of the last commit
    std::uint32_t table_crc = 0;  ///< of the sections segments and checksums
    std::uint32_t names[kNameKinds] = {};
    std::uint32_t id_count = 0;
    std::uint32_t reserved3 = 0;
    SectionPlace sections[kSections];
};
static_assert(sizeof(SealedHeader) == 104 + 16 * kSections);

/// One segment of the file.
struct SealedSegment {
    std::uint64_t number = 0;
    std::uint64_t salt = 0;
    std::uint64_t first_position = 0;
    std::uint64_t last_position = 0;
};
static_assert(sizeof(SealedSegment) == 32);

/// Bounds of the times of kTimeGroup events, in microseconds since 1970. May be wider than needed.
struct SealedTimes {
    std::int64_t event_min = 0;
    std::int64_t event_max = 0;
    std::int64_t recorded_min = 0;
    std::int64_t recorded_max = 0;
};
static_assert(sizeof(SealedTimes) == 32);

// clang-format off
inline constexpr base::Field kSealedHeaderFields[] = {
    VARVE_FIELD(SealedHeader, magic), VARVE_FIELD(SealedHeader, format),
    VARVE_FIELD(SealedHeader, reserved), VARVE_FIELD(SealedHeader, uuid),
    VARVE_FIELD(SealedHeader, first_segment), VARVE_FIELD(SealedHeader, last_segment),
    VARVE_FIELD(SealedHeader, first_position), VARVE_FIELD(SealedHeader, last_position),
    VARVE_FIELD(SealedHeader, segment_count), VARVE_FIELD(SealedHeader, reserved2),
    VARVE_FIELD(SealedHeader, end_chain), VARVE_FIELD(SealedHeader, table_crc),
    VARVE_FIELD(SealedHeader, names), VARVE_FIELD(SealedHeader, id_count),
    VARVE_FIELD(SealedHeader, reserved3), VARVE_FIELD(SealedHeader, sections),
    {"zero", sizeof(SealedHeader), kSealedCrcOffset - sizeof(SealedHeader)},
    {"crc", kSealedCrcOffset, 4}};
inline constexpr base::Field kSealedSegmentFields[] = {
    VARVE_FIELD(SealedSegment, number), VARVE_FIELD(SealedSegment, salt),
    VARVE_FIELD(SealedSegment, first_position), VARVE_FIELD(SealedSegment, last_position)};
inline constexpr base::Field kSealedTimesFields[] = {
    VARVE_FIELD(SealedTimes, event_min), VARVE_FIELD(SealedTimes, event_max),
    VARVE_FIELD(SealedTimes, recorded_min), VARVE_FIELD(SealedTimes, recorded_max)};
// clang-format on

/// 32 bits of a key, however few of its bits are used. Slots keep no more of it, so that merging
/// needs neither names nor records.
[[nodiscard]] constexpr std::uint32_t fingerprint(Key key) noexcept {
    return static_cast<std::uint32_t>((key * 0x9E37'79B9'7F4A'7C15ULL) >> 32);
}
/// How many bytes both begin with.
[[nodiscard]] inline std::size_t shared_length(std::string_view a, std::string_view b) noexcept {
    const std::size_t end = std::min(a.size(), b.size());
    std::size_t n = 0;
    for (; n + 8 <= end; n += 8) {
        const auto differ = base::load<std::uint64_t>(reinterpret_cast<const std::byte*>(&a[n])) ^
                            base::load<std::uint64_t>(reinterpret_cast<const std::byte*>(&b[n]));
        if (differ != 0) return n + static_cast<std::size_t>(std::countr_zero(differ)) / 8;
    }
    while (n < end && a[n] == b[n]) ++n;
    return n;
}
/// Eight bytes of a name behind `skip`, so that integers compare as the bytes do; zeros where it
/// ends.
[[nodiscard]] inline std::uint64_t prefix_of(std::string_view name, std::size_t skip) noexcept {
    if (skip + 8 <= name.size()) {
        const auto* const at = reinterpret_cast<const std::byte*>(name.data() + skip);
        return __builtin_bswap64(base::load<std::uint64_t>(at));
    }
    std::uint64_t prefix = 0;
    for (std::size_t n = skip; n < skip + 8; ++n)
        prefix = prefix << 8 | (n < name.size() ? static_cast<unsigned char>(name[n]) : 0U);
    return prefix;
}
/// Spreads a fingerprint over buckets and bits of the filter.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint32_t fingerprint) noexcept {
    const std::uint64_t x = (fingerprint + 1ULL) * 0xD6E8'FEB8'6659'FD93ULL;
    return x ^ (x >> 32);
}
/// Scales the upper half of `mix` to [0, count).
[[nodiscard]] constexpr std::uint64_t scaled(std::uint64_t mix, std::uint64_t count) noexcept {
    return (mix >> 32) * count >> 32;
}

/// A filter of 64-byte lines: `mix` has five bits in one of them.
inline constexpr std::size_t kFilterLine = 64;
inline constexpr std::uint64_t kFilterBitsPerKey = 10;
inline constexpr int kFilterBits = 5;
[[nodiscard]] constexpr std::uint32_t filter_bit(std::uint64_t mix, int n) noexcept {
    return static_cast<std::uint32_t>(mix >> (9 * n)) & 511U;
}

[[nodiscard]] constexpr std::uint64_t filter_lines_for(std::uint64_t keys) noexcept {
    return (keys * kFilterBitsPerKey + 8 * kFilterLine - 1) / (8 * kFilterLine);
}
[[nodiscard]] constexpr std::uint64_t buckets_for(std::uint64_t keys) noexcept {
    return keys == 0 ? 0 : keys / 6 + 1;  // three quarters full
}

}  // namespace varve::index
