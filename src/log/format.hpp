// The log's bytes: segment header, commit header, record header, as plain structs whose offsets are
// the format.
//
// docs/format/log.md says the same in words; a test compares the two. Thread rule: plain data.
// Invariant: structs are copied in and out of mapped memory, never pointed to; reserved bytes are
// zero and checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/field.hpp"

namespace varve::log {

using Uuid = std::array<std::byte, 16>;

inline constexpr std::uint32_t kFormat = 1;  // of segments; also in the file `varve`
inline constexpr std::uint64_t kSegmentMagic = 0x31474553'45565256ULL;  // "VRVESEG1"
inline constexpr std::uint32_t kCommitMagic = 0x4D4D4356U;  // "VCMM", mixed with the salt
inline constexpr std::uint64_t kSegmentHeaderSize = 4096;   // one page: its own sector group
inline constexpr std::uint64_t kAlignment = 8;              // of commits, records, heads and bodies

struct SegmentHeader {
    std::uint64_t magic = kSegmentMagic;
    std::uint32_t format = kFormat;
    std::uint32_t epoch = 0;           // of the writer that began it
    Uuid uuid{};                       // of the store
    std::uint64_t number = 0;          // as in its file name
    std::uint64_t previous = 0;        // number of the segment before, 0: none
    std::uint64_t first_position = 0;  // of its first event
    std::uint64_t capacity = 0;        // bytes allocated, this header included
    std::uint64_t salt = 0;            // seeds every checksum in it
    std::int64_t created_us = 0;       // since 1970, for people
    std::uint32_t prev_chain = 0;      // chain value of the last commit before it
    std::uint32_t reserved = 0;
    // Features that this segment's commits and records make use of. A version that adds a commit
    // flag, a record kind or a record flag begins a new segment and says so here first.
    std::uint64_t must_understand =
        0;  // who does not know one of these bits must not use the store
    std::uint64_t may_ignore = 0;
    // zero up to 4092, then the CRC of everything before it
};
inline constexpr std::uint64_t kSegmentCrcOffset = 4092;

struct CommitHeader {
    std::uint32_t magic = 0;       // kCommitMagic ^ low half of the salt
    std::uint32_t header_crc = 0;  // of bytes 8..63
    std::uint32_t length8 = 0;     // of the whole commit, in units of 8 bytes
    std::uint32_t count = 0;       // records
    std::uint64_t first_position = 0;
    std::uint64_t durable_hint = 0;  // durable position its writer knew of
    std::int64_t recorded_us = 0;    // since 1970, never less than the commit before
    std::uint32_t epoch = 0;         // rises with every writer
    std::uint32_t flags = 0;
    std::uint32_t prev_chain = 0;  // chain value of the commit before
    std::uint32_t chain = 0;       // of prev_chain, bytes 8..47, and the head CRC of each record
    std::uint64_t reserved = 0;
};

enum class RecordKind : std::uint8_t {
    event = 1,
    padding = 2,  // fills space; takes a position and is hidden, as control is
    control = 3,  // the store's own facts, hidden from reads
};

inline constexpr std::uint8_t kRecordHasId = 1;
/// The store has added tags behind those of the event: some names from its content, then marks.
inline constexpr std::uint8_t kRecordHasAdded = 2;
inline constexpr std::size_t kIdBytes = 16;      // of an event's id
inline constexpr std::uint16_t kMaxTags = 64;    // of one event, as it is given
inline constexpr std::uint16_t kMaxAdded = 192;  // that the store adds to it
// Limits of an event, checked when it is admitted and when it is read: they bound how much a
// hostile record can make its reader look at.
inline constexpr std::size_t kMaxNameBytes = 1024;
inline constexpr std::size_t kMaxDataBytes = 64ULL << 20;
inline constexpr std::size_t kMaxMetadataBytes = 1ULL << 20;
inline constexpr std::uint64_t kKnownFeatures = 0;  // bits of `must_understand`

struct RecordHeader {
    std::uint32_t length8 = 0;           // of the record, in units of 8 bytes
    std::uint32_t head_crc = 0;          // of bytes 8 to the end of the head
    std::uint32_t body_crc = 0;          // of the body
    std::uint32_t commit_distance8 = 0;  // back to its commit header, in units of 8 bytes
    std::uint64_t position = 0;
    std::uint64_t revision = 0;         // in its stream, 0: no stream
    std::uint64_t stream_previous = 0;  // position of the stream's event before, 0: none
    std::int64_t time_us = 0;           // since 1970
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    std::uint16_t tag_count = 0;
    std::uint16_t stream_length = 0;
    std::uint16_t type_length = 0;
    std::uint32_t metadata_length = 0;
    std::uint32_t data_length = 0;
    // head goes on: hashes u64 of stream, type, tags · id 16 B if flagged · tag lengths u16 ·
    // stream · type · tags · zero body: metadata · data · zero
};

static_assert(sizeof(SegmentHeader) == 104 && offsetof(SegmentHeader, must_understand) == 88 &&
              offsetof(SegmentHeader, uuid) == 16 &&
              offsetof(SegmentHeader, first_position) == 48 &&
              offsetof(SegmentHeader, salt) == 64 && offsetof(SegmentHeader, prev_chain) == 80);
static_assert(sizeof(CommitHeader) == 64 && offsetof(CommitHeader, first_position) == 16 &&
              offsetof(CommitHeader, epoch) == 40 && offsetof(CommitHeader, prev_chain) == 48 &&
              offsetof(CommitHeader, chain) == 52);
static_assert(sizeof(RecordHeader) == 64 && offsetof(RecordHeader, position) == 16 &&
              offsetof(RecordHeader, kind) == 48 && offsetof(RecordHeader, data_length) == 60);

/// What is wrong with a commit or a record; null if nothing is. The text lives for ever.
using Fault = const char*;

/// The one fault that is no damage: the checksum holds, the content is unknown to this version.
/// Whoever meets it changes nothing and says `unsupported_version`.
inline constexpr char kWrittenByNewer[] = "written by a newer version";
[[nodiscard]] constexpr bool is_newer(Fault fault) noexcept { return fault == kWrittenByNewer; }

/// The head is whole, the body is not: it is damaged or was erased.
inline constexpr char kBodyFault[] = "a record's body fails its checksum";
/// The same, and the body holds nothing but zeros: it was erased, or never reached the disk.
inline constexpr char kZeroBodyFault[] = "a record's body is gone: it holds zeros only";

/// What checks a segment's bytes: the store's uuid and the segment's salt, mixed once.
struct SegmentKeys {
    std::uint64_t salt = 0;
    std::uint32_t seed = 0;   ///< crc of uuid and salt
    std::uint32_t magic = 0;  ///< of its commits
};
[[nodiscard]] SegmentKeys segment_keys(const Uuid& uuid, std::uint64_t salt) noexcept;

using base::Field;
// clang-format off
inline constexpr Field kSegmentHeaderFields[] = {
    VARVE_FIELD(SegmentHeader, magic),
    VARVE_FIELD(SegmentHeader, format), VARVE_FIELD(SegmentHeader, epoch),
    VARVE_FIELD(SegmentHeader, uuid),
    VARVE_FIELD(SegmentHeader, number), VARVE_FIELD(SegmentHeader, previous),
    VARVE_FIELD(SegmentHeader, first_position),
    VARVE_FIELD(SegmentHeader, capacity), VARVE_FIELD(SegmentHeader, salt),
    VARVE_FIELD(SegmentHeader, created_us),
    VARVE_FIELD(SegmentHeader, prev_chain), VARVE_FIELD(SegmentHeader, reserved),
    VARVE_FIELD(SegmentHeader, must_understand), VARVE_FIELD(SegmentHeader, may_ignore),
    Field{"zero", sizeof(SegmentHeader), kSegmentCrcOffset - sizeof(SegmentHeader)},
    Field{"crc", kSegmentCrcOffset, 4}};
inline constexpr Field kCommitHeaderFields[] = {
    VARVE_FIELD(CommitHeader, magic),
    VARVE_FIELD(CommitHeader, header_crc), VARVE_FIELD(CommitHeader, length8),
    VARVE_FIELD(CommitHeader, count),
    VARVE_FIELD(CommitHeader, first_position), VARVE_FIELD(CommitHeader, durable_hint),
    VARVE_FIELD(CommitHeader, recorded_us),
    VARVE_FIELD(CommitHeader, epoch), VARVE_FIELD(CommitHeader, flags),
    VARVE_FIELD(CommitHeader, prev_chain),
    VARVE_FIELD(CommitHeader, chain), VARVE_FIELD(CommitHeader, reserved)};
inline constexpr Field kRecordHeaderFields[] = {
    VARVE_FIELD(RecordHeader, length8),
    VARVE_FIELD(RecordHeader, head_crc), VARVE_FIELD(RecordHeader, body_crc),
    VARVE_FIELD(RecordHeader, commit_distance8),
    VARVE_FIELD(RecordHeader, position), VARVE_FIELD(RecordHeader, revision),
    VARVE_FIELD(RecordHeader, stream_previous),
    VARVE_FIELD(RecordHeader, time_us), VARVE_FIELD(RecordHeader, kind),
    VARVE_FIELD(RecordHeader, flags),
    VARVE_FIELD(RecordHeader, tag_count), VARVE_FIELD(RecordHeader, stream_length),
    VARVE_FIELD(RecordHeader, type_length),
    VARVE_FIELD(RecordHeader, metadata_length),
    VARVE_FIELD(RecordHeader, data_length)};
// clang-format on

/// Writes the whole header page.
void encode_segment_header(std::byte* page, const SegmentHeader& header) noexcept;

enum class HeaderState : std::uint8_t { valid, unused, newer, damaged };
/// Reads a header page of kSegmentHeaderSize bytes. `unused`: all zero, prepared for later.
[[nodiscard]] HeaderState decode_segment_header(const std::byte* page,
                                                SegmentHeader& header) noexcept;

}  // namespace varve::log
