// The index of one segment while it is young: for every key a list of the events that carry it, in
// shared memory.
//
// One thread applies, any thread of any process reads. Order of stores: entry, then the key's word
// (release), then, for a new key, the key itself (release); readers load key and word with acquire
// and clip every list to the published position. Invariants: slots never move; cells are only added
// and link backwards; everything here can be rebuilt from the segment.
//
// Layout (docs/format/active-index.md): header page · counters page · slots · times · offsets ·
// cells of 8 bytes. A slot is {key, place and count}; four make a cache line. A list of one event
// stands in its slot; of two to four in a block of two cells; what follows in blocks of eight
// cells, a cache line: the number of the block before, then fifteen ordinals. Lists are read newest
// first. Everything about a list follows from its count, so the store of the word adds an event or
// does not.
//
// Times of a group of events are four words that only rise, from 0, which says nothing. They are
// raised before the events are published, so whoever sees an event sees them raised far enough;
// what a killed writer has raised too far makes a reader look in vain, never miss an event.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "index/key.hpp"
#include "index/times.hpp"
#include "log/format.hpp"

namespace varve::index {

inline constexpr std::uint64_t kActMagic = 0x31544341'45565256ULL;  // "VRVEACT1"
inline constexpr std::uint64_t kActHeaderSize = 4096;
inline constexpr std::uint64_t kActCountersOffset = 4096;
inline constexpr std::uint64_t kActSlotsOffset = 8192;

/// Whose index this is. It is memory of one boot: everything must be equal, or the index is built
/// again.
struct ActHeader {
    std::uint64_t magic = kActMagic;
    std::uint32_t format = 3;
    std::uint32_t reserved = 0;
    log::Uuid uuid{};
    std::uint64_t segment = 0;
    std::uint64_t salt = 0;
    std::uint64_t first_position = 0;
    std::uint32_t slots = 0;   ///< a power of two
    std::uint32_t events = 0;  ///< capacity
    std::uint32_t cells = 0;   ///< capacity
    std::uint32_t reserved2 = 0;
    log::Uuid boot{};
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t birth_ns = 0;
    std::uint64_t mount = 0;
    friend bool operator==(const ActHeader&, const ActHeader&) noexcept = default;
};
static_assert(sizeof(ActHeader) == 120);

// The pages, slots and blocks of docs/format/active-index.md, offsets within each of them.
// clang-format off
inline constexpr base::Field kActHeaderFields[] = {
    VARVE_FIELD(ActHeader, magic), VARVE_FIELD(ActHeader, format),
    VARVE_FIELD(ActHeader, reserved),
    VARVE_FIELD(ActHeader, uuid), VARVE_FIELD(ActHeader, segment), VARVE_FIELD(ActHeader, salt),
    VARVE_FIELD(ActHeader, first_position),
    VARVE_FIELD(ActHeader, slots), VARVE_FIELD(ActHeader, events), VARVE_FIELD(ActHeader, cells),
    VARVE_FIELD(ActHeader, reserved2),
    VARVE_FIELD(ActHeader, boot), VARVE_FIELD(ActHeader, device), VARVE_FIELD(ActHeader, inode),
    VARVE_FIELD(ActHeader, birth_ns), VARVE_FIELD(ActHeader, mount),
    {"zero", sizeof(ActHeader), kActHeaderSize - sizeof(ActHeader)}};
inline constexpr base::Field kActCounterFields[] = {
    {"events", 0, 4}, {"zero1", 4, 60}, {"cells", 64, 4}, {"zero2", 68, 60},
    {"slots_used", 128, 4}, {"zero3", 132, 60}, {"small", 192, 4},
    {"zero4", 196, 60}, {"gaps", 256, 4},
    {"zero5", 260, kActSlotsOffset - kActCountersOffset - 260}};
inline constexpr base::Field kActSlotFields[] = {{"key", 0, 8}, {"place", 8, 4}, {"count", 12, 4}};
inline constexpr base::Field kActTimesFields[] = {
    {"event_first", 0, 8}, {"event_last", 8, 8}, {"recorded_first", 16, 8},
    {"recorded_last", 24, 8}};
inline constexpr base::Field kActOffsetFields[] = {{"offset8", 0, 4}};
inline constexpr base::Field kActSmallBlockFields[] = {{"ordinals", 0, 16}};
inline constexpr base::Field kActBlockFields[] = {{"before", 0, 4}, {"ordinals", 4, 60}};
// clang-format on

/// How much an index can hold, and how many bytes that takes.
struct ActCapacity {
    std::uint32_t slots = 0;
    std::uint32_t events = 0;
    std::uint32_t cells = 0;

    [[nodiscard]] std::uint64_t groups() const noexcept {
        return (std::uint64_t{events} + kGroupEvents - 1) / kGroupEvents;
    }
    [[nodiscard]] std::uint64_t times_at() const noexcept {
        return kActSlotsOffset + 16ULL * slots;
    }
    [[nodiscard]] std::uint64_t offsets_at() const noexcept { return times_at() + 32 * groups(); }
    [[nodiscard]] std::uint64_t cells_at() const noexcept {
        return base::align_up(offsets_at() + 4ULL * events, 64);
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept {
        return base::align_up(cells_at() + 8ULL * cells, 4096);
    }
};

/// How many different keys a piece of the log had.
struct KeyDensity {
    std::uint64_t keys = 0;
    std::uint64_t bytes = 0;  ///< of the log; 0: nothing is known yet
};

/// For a segment of `segment_bytes` whose largest commit carries `events` events with `keys` keys
/// in all. The slots follow what the segment before had: a small table stays in the caches.
[[nodiscard]] ActCapacity capacity_for(std::uint64_t segment_bytes, std::uint64_t events = 0,
                                       std::uint64_t keys = 0, KeyDensity seen = {}) noexcept;

/// One key's list as a reader found it.
struct List {
    std::uint32_t place =
        0;  ///< of its only event: the ordinal; else first cell of its newest block
    std::uint32_t count = 0;  ///< events; 0: the key is not there
};

/// How a list is cut into blocks.
inline constexpr std::uint32_t kSmallCells = 2;
inline constexpr std::uint32_t kSmallEntries = 4;
inline constexpr std::uint32_t kBlockCells = 8;
inline constexpr std::uint32_t kBlockEntries = 15;

class ActiveIndex;

/// A walk back through one list. Lives no longer than its index.
class Postings {
public:
    Postings() noexcept = default;
    Postings(const ActiveIndex& index, const List& list) noexcept;

    /// The next older event. False at the end, and where the list is damaged.
    [[nodiscard]] bool next(std::uint32_t& ordinal) noexcept;
    /// True if the walk ended too early.
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

private:
    const ActiveIndex* index_ = nullptr;
    std::uint32_t place_ = 0;
    std::uint32_t left_ = 0;
    std::uint32_t newer_ = ~0U;  ///< ordinals do not rise on the way back
    bool single_ = false;
    bool damaged_ = false;
};

class ActiveIndex {
public:
    ActiveIndex() noexcept = default;

    /// Lays an empty index out in zeroed memory of `header`'s capacity.
    [[nodiscard]] static ActiveIndex format(std::byte* memory, const ActHeader& header) noexcept;
    /// Takes over what is there. False if its header is not exactly `expected` (capacities
    /// excepted) or does not fit `size`.
    [[nodiscard]] static bool attach(std::byte* memory, std::uint64_t size,
                                     const ActHeader& expected, ActiveIndex& index) noexcept;

    [[nodiscard]] bool valid() const noexcept { return memory_ != nullptr; }
    [[nodiscard]] const ActCapacity& capacity() const noexcept { return capacity_; }

    // ---- the one applying thread
    /// True if `events` more events with `keys` keys fit for certain, whatever the keys are.
    [[nodiscard]] bool has_room(std::uint64_t events, std::uint64_t keys) const noexcept;
    /// True if `events` more events with exactly these keys fit.
    [[nodiscard]] bool has_room(std::uint64_t events, std::span<const Key> keys) const noexcept;
    void prefetch(Key key) const noexcept { __builtin_prefetch(bucket(first_bucket(key)), 1); }
    /// Once the slot is near: the block that the key's next event goes into.
    void prefetch_block(Key key) const noexcept;
    /// Lists event `ordinal` (0-based in the segment, `offset8` = byte offset / 8) under `keys`.
    /// With `again` an event that was listed before, or half listed, is completed.
    void apply(std::uint32_t ordinal, std::uint32_t offset8, std::span<const Key> keys,
               bool again) noexcept;
    /// Remembers a position whose record cannot be read: it gets the offset 0. What it was listed
    /// under is not known, so it counts as an event of every key until a reader has said so.
    void apply_gap(std::uint32_t ordinal) noexcept;
    /// Makes the times of the group of event `ordinal` hold these as well; before the event is
    /// published. What is not known is `TimeRange::always()`.
    void note_times(std::uint32_t ordinal, const GroupTimes& times) noexcept;

    // ---- any thread
    [[nodiscard]] std::uint32_t events() const noexcept;
    /// Byte offset / 8 of an event; 0 if it is not there. `ordinal` may be anything.
    [[nodiscard]] std::uint32_t offset8(std::uint64_t ordinal) const noexcept {
        return ordinal < capacity_.events ? offset_word(ordinal).load(std::memory_order_relaxed)
                                          : 0;
    }
    void prefetch_offset(std::uint32_t ordinal) const noexcept {
        __builtin_prefetch(memory_ + capacity_.offsets_at() + 4ULL * ordinal);
    }
    [[nodiscard]] List find(Key key) const noexcept;
    /// Between which times the events of a group lie; absent if that is not known. `group` may be
    /// anything.
    [[nodiscard]] std::optional<GroupTimes> times(std::uint64_t group) const noexcept;
    static constexpr std::uint32_t kNoGap = ~0U;
    /// The first event at or after `from` whose record cannot be read, or kNoGap.
    [[nodiscard]] std::uint32_t next_gap(std::uint64_t from) const noexcept;

    [[nodiscard]] Postings postings(Key key) const noexcept { return {*this, find(key)}; }

    /// Calls `use(key, list)` for every key. Only for catalogues.
    template <class Use>
    void for_each_key(Use&& use) const {
        for (std::uint32_t n = 0; n < capacity_.slots; ++n) {
            const Key key = slot_key(n).load(std::memory_order_acquire);
            if (key != 0) use(key, unpack(slot_word(n).load(std::memory_order_acquire)));
        }
    }

    /// Bytes that are used now, for populating ahead: end of the offsets and of the cells.
    [[nodiscard]] std::uint64_t offsets_end() const noexcept;
    [[nodiscard]] std::uint64_t cells_end() const noexcept;
    /// All that is listed; takes as long as there are slots.
    [[nodiscard]] Listed listed() const noexcept;
    /// Different keys so far.
    [[nodiscard]] std::uint64_t keys() const noexcept;

private:
    friend class Postings;
    using Word = std::atomic_ref<std::uint64_t>;
    using Half = std::atomic_ref<std::uint32_t>;

    [[nodiscard]] std::byte* bucket(std::uint32_t number) const noexcept {
        return memory_ + kActSlotsOffset + 64ULL * number;
    }
    [[nodiscard]] std::uint32_t first_bucket(Key key) const noexcept {
        return static_cast<std::uint32_t>(key >> 3) & bucket_mask_;
    }
    [[nodiscard]] Word slot_key(std::uint32_t n) const noexcept {
        return word_at(kActSlotsOffset + 16ULL * n);
    }
    [[nodiscard]] Word slot_word(std::uint32_t n) const noexcept {
        return word_at(kActSlotsOffset + 16ULL * n + 8);
    }
    /// Entry `n` of the block that begins at `cell`.
    [[nodiscard]] Half entry(std::uint32_t cell, std::uint32_t n) const noexcept {
        return half_at(cells_at_ + 8ULL * cell + 4ULL * n);
    }
    [[nodiscard]] Half offset_word(std::uint64_t ordinal) const noexcept {
        return half_at(capacity_.offsets_at() + 4 * ordinal);
    }
    /// Word `n` of the times of a group.
    [[nodiscard]] Word time_word(std::uint64_t group, std::uint32_t n) const noexcept {
        return word_at(capacity_.times_at() + 32 * group + 8ULL * n);
    }
    [[nodiscard]] Half counter(std::uint32_t n) const noexcept {
        return half_at(kActCountersOffset + 64ULL * n);
    }
    [[nodiscard]] Word word_at(std::uint64_t offset) const noexcept {
        return Word(*reinterpret_cast<std::uint64_t*>(static_cast<void*>(memory_ + offset)));
    }
    [[nodiscard]] Half half_at(std::uint64_t offset) const noexcept {
        return Half(*reinterpret_cast<std::uint32_t*>(static_cast<void*>(memory_ + offset)));
    }
    [[nodiscard]] static List unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
    }
    [[nodiscard]] std::uint32_t slot_for(Key key) noexcept;
    [[nodiscard]] bool has_exact_room(std::span<const Key> keys) const;
    [[nodiscard]] std::uint32_t take_block() noexcept;
    [[nodiscard]] std::uint32_t take_small() noexcept;
    [[nodiscard]] List added(const List& list, std::uint32_t ordinal) noexcept;
    void adopt(std::byte* memory, const ActCapacity& capacity) noexcept;

    std::byte* memory_ = nullptr;
    ActCapacity capacity_{};
    std::uint64_t cells_at_ = 0;
    std::uint32_t bucket_mask_ = 0;
};

}  // namespace varve::index
