// The file of a consumer, byte for byte: a header, what it follows, and two slots of which each
// holds a whole checkpoint.
//
// Pure functions, any thread. Invariants: a slot is believed only if its checksum holds, which is
// seeded with the store and the slot's place; the header never changes after the file was made,
// except for the words that processes share.
#pragma once

#include <array>
#include <atomic>
#include <string>

#include "base/bytes.hpp"
#include "base/field.hpp"
#include "varve/consumer.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::Bytes;

inline constexpr std::uint64_t kMagic = 0x31534E43'45565256ULL;  // "VRVECNS1"
inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::uint32_t kGroupFormat = 2;  // of the files of a consumer group
inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kHeaderSize = 512;
inline constexpr std::size_t kHeaderCrcFrom = 16;
inline constexpr std::size_t kSlotHeadSize = 1024;
inline constexpr std::size_t kInlineState = kPage - kSlotHeadSize;
inline constexpr std::size_t kSelectorOffset = 3 * kPage;
inline constexpr std::size_t kMilestones = 32;
inline constexpr std::size_t kHolderSize = 256;
inline constexpr std::size_t kAttempts = 32;
inline constexpr std::size_t kMaxLaneTag = 128;
inline constexpr std::size_t kMaxLanes = 256;
inline constexpr std::size_t kMaxMembers = 256;
inline constexpr std::uint64_t kMembersOffset = 2048;  // of the bytes whose locks members hold

using Uuid = std::array<std::byte, 16>;

struct FileHeader {
    std::uint64_t magic = kMagic;
    std::uint32_t format = kFormat;
    std::uint32_t crc = 0;  ///< of all bytes behind it, then of the selector
    Uuid uuid{};            ///< of the store
    std::int64_t created_us = 0;
    std::uint32_t selector_length = 0;
    std::uint32_t lanes = 0;  ///< of the group that this file belongs to; 0: to none
    std::uint64_t id = 0;  ///< random: names the file of its parked events, or those of its lanes
    std::uint64_t group = 0;  ///< of a lane: the id of its group's own file
    std::uint32_t lane = 0;   ///< of a lane: its number, from 0
    std::uint32_t tag_length = 0;
    std::array<char, kMaxLaneTag> tag{};  ///< how the tag begins that names the lane of an event
    std::array<std::byte, 312> zero{};
};
static_assert(sizeof(FileHeader) == kHeaderSize);

/// How often an event was tried that is neither acknowledged nor parked. One whose check does not
/// hold says nothing.
struct Attempt {
    std::atomic<std::uint64_t> position;
    std::atomic<std::uint32_t> attempts;
    std::atomic<std::uint32_t> check;  ///< of both, and of the generation of the checkpoint
};

/// In the page of the header, behind it: what processes tell each other, and what one that dies
/// leaves to the next. Not covered by a checksum.
struct SharedWords {
    std::atomic<std::uint32_t> wake;    ///< bumped with each checkpoint; the futex word
    std::atomic<std::uint32_t> paused;  ///< not 0: nothing is delivered
    char holder[kHolderSize];           ///< who has it, for people, if the lock is taken
    std::atomic<std::uint32_t> moves;   ///< of a group: bumped when members or lanes change hands
    // Of a consumer or a lane, by whoever holds it: see marks.hpp.
    std::atomic<std::uint32_t> generation;  ///< of the checkpoint that what follows belongs to
    std::atomic<std::uint64_t> given;       ///< up to where events are in hand; 0: none is
    std::atomic<std::uint64_t> alone;       ///< the only one that is; 0: none or several are
    std::array<Attempt, kAttempts> attempts;
};
static_assert(sizeof(Attempt) == 16 && offsetof(SharedWords, attempts) == 288);
inline constexpr std::size_t kWordsOffset = 1024;

/// A place on the way, so that a skip can be found without counting everything.
struct Milestone {
    std::uint64_t position = 0;
    std::uint64_t events = 0;  ///< acknowledged and parked up to there, since counting began
    std::uint64_t sum = 0;
    friend bool operator==(const Milestone&, const Milestone&) noexcept = default;
};

struct Slot {
    std::uint32_t crc = 0;        ///< of all bytes behind it, then of a state that lies behind it
    std::uint32_t state_crc = 0;  ///< of a state that lies elsewhere
    std::uint64_t number = 0;     ///< 1, 2, 3 …: the larger is the newer
    std::uint64_t position = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t parked = 0;
    std::uint64_t sum = 0;  ///< of `mix` of their positions
    std::uint64_t counted_after = 0;
    std::int64_t time_us = 0;
    std::uint32_t epoch = 0;
    std::uint32_t state_length = 0;
    std::uint64_t state_offset = 0;  ///< in the file; 0: behind these bytes
    std::uint32_t milestone_count = 0;
    std::uint32_t generation = 0;        ///< rises whenever counting begins anew
    std::uint64_t milestone_stride = 0;  ///< events from one to the next, at least
    std::array<std::byte, 32> zero1{};
    std::array<Milestone, kMilestones> milestones{};
    std::array<std::byte, 128> zero2{};
};
static_assert(sizeof(Slot) == kSlotHeadSize && offsetof(Slot, milestones) == 128);

// clang-format off
inline constexpr base::Field kFileHeaderFields[] = {
    VARVE_FIELD(FileHeader, magic), VARVE_FIELD(FileHeader, format), VARVE_FIELD(FileHeader, crc),
    VARVE_FIELD(FileHeader, uuid), VARVE_FIELD(FileHeader, created_us),
    VARVE_FIELD(FileHeader, selector_length), VARVE_FIELD(FileHeader, lanes),
    VARVE_FIELD(FileHeader, id), VARVE_FIELD(FileHeader, group), VARVE_FIELD(FileHeader, lane),
    VARVE_FIELD(FileHeader, tag_length), VARVE_FIELD(FileHeader, tag),
    VARVE_FIELD(FileHeader, zero)};
inline constexpr base::Field kSharedWordsFields[] = {
    VARVE_FIELD(SharedWords, wake), VARVE_FIELD(SharedWords, paused),
    VARVE_FIELD(SharedWords, holder), VARVE_FIELD(SharedWords, moves),
    VARVE_FIELD(SharedWords, generation), VARVE_FIELD(SharedWords, given),
    VARVE_FIELD(SharedWords, alone), VARVE_FIELD(SharedWords, attempts)};
inline constexpr base::Field kAttemptFields[] = {
    VARVE_FIELD(Attempt, position), VARVE_FIELD(Attempt, attempts), VARVE_FIELD(Attempt, check)};
inline constexpr base::Field kSlotFields[] = {
    VARVE_FIELD(Slot, crc), VARVE_FIELD(Slot, state_crc), VARVE_FIELD(Slot, number),
    VARVE_FIELD(Slot, position), VARVE_FIELD(Slot, acknowledged), VARVE_FIELD(Slot, parked),
    VARVE_FIELD(Slot, sum), VARVE_FIELD(Slot, counted_after), VARVE_FIELD(Slot, time_us),
    VARVE_FIELD(Slot, epoch), VARVE_FIELD(Slot, state_length), VARVE_FIELD(Slot, state_offset),
    VARVE_FIELD(Slot, milestone_count), VARVE_FIELD(Slot, generation),
    VARVE_FIELD(Slot, milestone_stride), VARVE_FIELD(Slot, zero1), VARVE_FIELD(Slot, milestones),
    VARVE_FIELD(Slot, zero2)};
inline constexpr base::Field kMilestoneFields[] = {
    VARVE_FIELD(Milestone, position), VARVE_FIELD(Milestone, events), VARVE_FIELD(Milestone, sum)};
// clang-format on

/// What a position adds to the sum: any set of a few positions has another sum.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t position) noexcept {
    std::uint64_t mixed = position + 0x9E3779B97F4A7C15ULL;
    mixed = (mixed ^ mixed >> 30U) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ mixed >> 27U) * 0x94D049BB133111EBULL;
    return mixed ^ mixed >> 31U;
}

/// How the events of a group are divided: all that share a key are in one lane.
struct Lanes {
    std::uint32_t count = 0;  ///< 0: they are not
    std::string tag;          ///< the key is the first tag that begins so, else the stream

    [[nodiscard]] std::uint32_t of_key(std::string_view key) const noexcept;
    [[nodiscard]] std::uint32_t of(const EventView& event) const noexcept;
};

/// Everything a slot says, and the state with it.
struct Saved {
    Slot slot{};
    std::string state;

    [[nodiscard]] Checkpoint checkpoint() const noexcept;
    /// Remembers where the checkpoint stands, if the last milestone is far enough behind.
    void set_milestone() noexcept;
};

[[nodiscard]] constexpr std::uint64_t slot_offset(std::size_t n) noexcept {
    return kPage * (n + 1);
}
/// Where slot `n` keeps a state of so many bytes in a file with this selector; 0: in itself.
[[nodiscard]] std::uint64_t state_offset(std::size_t n, std::size_t bytes,
                                         std::size_t selector_length) noexcept;
/// Bytes that a file needs so that both slots can hold a state of so many bytes.
[[nodiscard]] std::uint64_t file_size(std::size_t bytes, std::size_t selector_length) noexcept;

/// The header with its length and checksum. `selector`: what stands at kSelectorOffset.
[[nodiscard]] FileHeader make_header(FileHeader header, std::string_view selector) noexcept;
[[nodiscard]] Lanes lanes_of(const FileHeader& header);
/// Null if the header is one of ours and whole; else what is wrong.
[[nodiscard]] const char* check_header(const FileHeader& header,
                                       std::string_view selector) noexcept;

/// Fills in lengths and checksums and gives the bytes of slot `n`: what belongs at its offset.
[[nodiscard]] std::size_t encode_slot(std::size_t n, const Uuid& uuid, Saved& saved,
                                      std::uint64_t state_at,
                                      std::span<std::byte, kPage> into) noexcept;
/// True if the page holds a whole slot `n`. A state that lies elsewhere is not looked at.
[[nodiscard]] bool decode_slot(std::size_t n, const Uuid& uuid,
                               std::span<const std::byte, kPage> page, Slot& slot) noexcept;

/// Null if it can be the name of a consumer; else why not.
[[nodiscard]] const char* refuse_name(std::string_view name) noexcept;

}  // namespace consumer
}  // namespace v0
}  // namespace varve
