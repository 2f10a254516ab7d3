#include "index/active_index.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <vector>

#include "base/assert.hpp"

namespace varve::index {

namespace {

// Counters, a cache line each: readers look at the first only.
constexpr std::uint32_t kEvents = 0;
constexpr std::uint32_t kCells = 1;
constexpr std::uint32_t kSlotsUsed = 2;
constexpr std::uint32_t kGaps = 4;
constexpr std::uint32_t kSmall = 3;  // next small block in the line that is cut into such

// What real histories need per byte of segment; a segment whose index is full is rolled early.
constexpr std::uint64_t kBytesPerEvent = 96;
constexpr std::uint64_t kBytesPerCell = 48;
constexpr std::uint64_t kBytesPerSlot = 128;
constexpr std::uint64_t kFewestSlots = 32;  // however few keys: that part of the usual number
constexpr std::uint32_t kNoSlot = ~0U;
constexpr std::uint64_t kMaxUnits = 1ULL
                                    << 30;  // of slots, events or cells: their numbers have 32 bits

// A time as a number that rises with it, from 0.
constexpr std::uint64_t kSign = 1ULL << 63;
std::uint64_t rising(std::int64_t time_us) noexcept {
    return static_cast<std::uint64_t>(time_us) ^ kSign;
}
std::int64_t time_of(std::uint64_t rising) noexcept {
    return static_cast<std::int64_t>(rising ^ kSign);
}

std::uint64_t usable(std::uint32_t slots) noexcept { return std::uint64_t{slots} / 4 * 3; }

/// Cells that a list of `count` events has taken, if small blocks came in whole lines at worst.
std::uint64_t cells_of(std::uint64_t count) noexcept {
    if (count < 2) return 0;
    if (count <= kSmallEntries) return kSmallCells;
    const std::uint64_t blocks = (count - kSmallEntries + kBlockEntries - 1) / kBlockEntries;
    return kSmallCells + blocks * kBlockCells;
}

}  // namespace

ActCapacity capacity_for(std::uint64_t segment_bytes, std::uint64_t events, std::uint64_t keys,
                         KeyDensity seen) noexcept {
    std::uint64_t wanted = segment_bytes / kBytesPerSlot;
    if (seen.bytes > 0) {
        // Twice what is expected: different keys become fewer as a segment grows, but a history may
        // change. Its first segment with more keys is rolled early, the next one has the room.
        const std::uint64_t expected = seen.keys * (segment_bytes / 4096) / (seen.bytes / 4096 + 1);
        // Where nearly every event brings a key of its own, as ids are, it gets more than usual.
        wanted = std::max(std::clamp(2 * expected, wanted / kFewestSlots, wanted),
                          expected + expected / 2);
    }
    const std::uint64_t slots = std::max(wanted, keys + keys / 2 + 4);
    ActCapacity capacity;
    capacity.slots = static_cast<std::uint32_t>(std::bit_ceil(std::min(slots, kMaxUnits)));
    capacity.events = static_cast<std::uint32_t>(
        std::min(std::max(segment_bytes / kBytesPerEvent, events), kMaxUnits));
    capacity.cells = static_cast<std::uint32_t>(
        std::min(base::align_up(std::max(segment_bytes / kBytesPerCell, 2 * keys + kBlockCells),
                                kBlockCells),
                 kMaxUnits));
    return capacity;
}

void ActiveIndex::adopt(std::byte* memory, const ActCapacity& capacity) noexcept {
    memory_ = memory;
    capacity_ = capacity;
    cells_at_ = capacity.cells_at();
    bucket_mask_ = capacity.slots / 4 - 1;
}

ActiveIndex ActiveIndex::format(std::byte* memory, const ActHeader& header) noexcept {
    VARVE_ASSERT(std::has_single_bit(header.slots) && header.slots >= 4);
    ActiveIndex index;
    base::store(memory, header);
    index.adopt(memory, {header.slots, header.events, header.cells});
    return index;
}

bool ActiveIndex::attach(std::byte* memory, std::uint64_t size, const ActHeader& expected,
                         ActiveIndex& index) noexcept {
    if (size < kActSlotsOffset) return false;
    auto found = base::load<ActHeader>(memory);
    const ActCapacity capacity{found.slots, found.events, found.cells};
    found.slots = expected.slots;
    found.events = expected.events;
    found.cells = expected.cells;
    if (!(found == expected)) return false;
    if (!std::has_single_bit(capacity.slots) || capacity.slots < 4 || capacity.bytes() > size)
        return false;
    index.adopt(memory, capacity);
    const std::uint32_t cells = index.counter(kCells).load(std::memory_order_relaxed);
    const bool sane =
        index.counter(kEvents).load(std::memory_order_relaxed) <= capacity.events &&
        cells <= capacity.cells && cells % kBlockCells == 0 &&
        index.counter(kSmall).load(std::memory_order_relaxed) <= cells &&
        index.counter(kSmall).load(std::memory_order_relaxed) % kSmallCells == 0 &&
        index.counter(kSlotsUsed).load(std::memory_order_relaxed) <= usable(capacity.slots);
    if (!sane) index = ActiveIndex{};
    return sane;
}

bool ActiveIndex::has_room(std::uint64_t events, std::uint64_t keys) const noexcept {
    // At worst each key is new and each list is at the end of its block.
    return counter(kEvents).load(std::memory_order_relaxed) + events <= capacity_.events &&
           counter(kCells).load(std::memory_order_relaxed) + kBlockCells * (keys + 1) <=
               capacity_.cells &&
           counter(kSlotsUsed).load(std::memory_order_relaxed) + keys <= usable(capacity_.slots);
}

bool ActiveIndex::has_room(std::uint64_t events, std::span<const Key> keys) const noexcept {
    if (has_room(events, keys.size())) return true;
    if (counter(kEvents).load(std::memory_order_relaxed) + events > capacity_.events) return false;
    try {
        return has_exact_room(keys);
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool ActiveIndex::has_exact_room(std::span<const Key> keys) const {
    std::vector<Key> sorted(keys.begin(), keys.end());
    std::sort(sorted.begin(), sorted.end());
    std::uint64_t cells = counter(kCells).load(std::memory_order_relaxed);
    std::uint64_t slots = counter(kSlotsUsed).load(std::memory_order_relaxed);
    std::uint64_t small = 0;
    for (auto at = sorted.begin(); at != sorted.end();) {
        const auto end = std::upper_bound(at, sorted.end(), *at);
        const std::uint64_t before = find(*at).count;
        const std::uint64_t after = before + static_cast<std::uint64_t>(end - at);
        slots += before == 0 ? 1 : 0;
        const bool begins = cells_of(before) == 0 && cells_of(after) != 0;
        small += begins ? 1 : 0;
        cells += cells_of(after) - cells_of(before) - (begins ? kSmallCells : 0);
        at = end;
    }
    cells += (small * kSmallCells + kBlockCells - 1) / kBlockCells * kBlockCells;
    return cells <= capacity_.cells && slots <= usable(capacity_.slots);
}

std::uint32_t ActiveIndex::slot_for(Key key) noexcept {
    std::uint32_t number = first_bucket(key);
    for (std::uint32_t looked = 0; looked <= bucket_mask_;
         ++looked, number = (number + 1) & bucket_mask_) {
        for (std::uint32_t n = number * 4; n < number * 4 + 4; ++n) {
            const Key found = slot_key(n).load(std::memory_order_relaxed);
            if (found == key) return n;
            if (found != 0) continue;
            // A writer may have died between word and key: what the word says then was never
            // visible.
            slot_word(n).store(0, std::memory_order_relaxed);
            return n;
        }
    }
    return kNoSlot;
}

/// A fresh cache line of cells. The mark is raised first: what a killed writer had begun is left
/// behind, never linked twice.
std::uint32_t ActiveIndex::take_block() noexcept {
    const std::uint32_t cells = counter(kCells).load(std::memory_order_relaxed);
    VARVE_ASSERT(std::uint64_t{cells} + kBlockCells <= capacity_.cells);
    counter(kCells).store(cells + kBlockCells, std::memory_order_relaxed);
    return cells;
}

std::uint32_t ActiveIndex::take_small() noexcept {
    std::uint32_t next = counter(kSmall).load(std::memory_order_relaxed);
    if (next % kBlockCells == 0) next = take_block();
    counter(kSmall).store(next + kSmallCells, std::memory_order_relaxed);
    VARVE_ASSERT(next + kSmallCells <= capacity_.cells);
    return next;
}

/// The list with one more event, whose entry is stored. What the word does not count is not there.
List ActiveIndex::added(const List& list, std::uint32_t ordinal) noexcept {
    if (list.count == 0) return {ordinal, 1};
    std::uint32_t place = list.place;
    std::uint32_t n = list.count;
    // A damaged word is left damaged, so that whoever reads the list notices.
    const std::uint32_t size = list.count > kSmallEntries ? kBlockCells : kSmallCells;
    if (list.count > 1 && std::uint64_t{place} + size > capacity_.cells)
        return {place, list.count + 1};
    if (list.count == 1) {
        place = take_small();
        entry(place, 0).store(list.place, std::memory_order_relaxed);
    } else if (list.count >= kSmallEntries) {
        n = (list.count - kSmallEntries) % kBlockEntries + 1;
        if (n == 1) {
            place = take_block();
            entry(place, 0).store(list.place, std::memory_order_relaxed);
        }
    }
    entry(place, n).store(ordinal, std::memory_order_relaxed);
    return {place, list.count + 1};
}

void ActiveIndex::prefetch_block(Key key) const noexcept {
    const std::uint32_t first = first_bucket(key) * 4;
    for (std::uint32_t n = first; n < first + 4; ++n) {
        if (slot_key(n).load(std::memory_order_relaxed) != key) continue;
        const List list = unpack(slot_word(n).load(std::memory_order_relaxed));
        if (list.count > 1) __builtin_prefetch(memory_ + cells_at_ + 8ULL * list.place, 1);
        return;
    }
}

void ActiveIndex::apply(std::uint32_t ordinal, std::uint32_t offset8, std::span<const Key> keys,
                        bool again) noexcept {
    VARVE_ASSERT(ordinal < capacity_.events);
    offset_word(ordinal).store(offset8, std::memory_order_relaxed);
    for (const Key key : keys) {
        const std::uint32_t slot = slot_for(key);
        if (slot == kNoSlot) continue;  // no index of ours: the counters said that there is room
        const List list = unpack(slot_word(slot).load(std::memory_order_relaxed));
        if (again) {
            std::uint32_t newest = 0;
            if (Postings(*this, list).next(newest) && newest >= ordinal) continue;
        }
        const List longer = added(list, ordinal);
        // Partner: the acquire load in `find`. Whoever sees the word sees the entry.
        slot_word(slot).store(longer.place | std::uint64_t{longer.count} << 32,
                              std::memory_order_release);
        if (list.count == 0) {
            counter(kSlotsUsed)
                .store(counter(kSlotsUsed).load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
            slot_key(slot).store(key, std::memory_order_release);
        }
    }
    counter(kEvents).store(ordinal + 1, std::memory_order_release);
}

void ActiveIndex::apply_gap(std::uint32_t ordinal) noexcept {
    VARVE_ASSERT(ordinal < capacity_.events);
    offset_word(ordinal).store(0, std::memory_order_relaxed);
    // A read of any time must come to it and stop there.
    note_times(ordinal, {TimeRange::always(), TimeRange::always()});
    counter(kGaps).store(counter(kGaps).load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
    counter(kEvents).store(ordinal + 1, std::memory_order_release);
}

void ActiveIndex::note_times(std::uint32_t ordinal, const GroupTimes& times) noexcept {
    VARVE_ASSERT(ordinal < capacity_.events);
    const std::uint64_t group = ordinal / kGroupEvents;
    // The first of a range is kept turned round, so that it rises as the range gets wider.
    const std::uint64_t words[] = {~rising(times.event.first_us), rising(times.event.last_us),
                                   ~rising(times.recorded.first_us),
                                   rising(times.recorded.last_us)};
    for (std::uint32_t n = 0; n < 4; ++n) {
        const Word word = time_word(group, n);
        if (word.load(std::memory_order_relaxed) < words[n])
            word.store(words[n], std::memory_order_relaxed);
    }
}

std::optional<GroupTimes> ActiveIndex::times(std::uint64_t group) const noexcept {
    if (!valid() || group >= capacity_.groups()) return std::nullopt;
    const auto word = [&](std::uint32_t n) {
        return time_word(group, n).load(std::memory_order_relaxed);
    };
    const GroupTimes times{{time_of(~word(0)), time_of(word(1))},
                           {time_of(~word(2)), time_of(word(3))}};
    if (times.event.empty() || times.recorded.empty()) return std::nullopt;
    return times;
}

std::uint32_t ActiveIndex::events() const noexcept {
    return counter(kEvents).load(std::memory_order_acquire);
}

List ActiveIndex::find(Key key) const noexcept {
    if (!valid()) return {};
    std::uint32_t number = first_bucket(key);
    for (std::uint32_t looked = 0; looked <= bucket_mask_;
         ++looked, number = (number + 1) & bucket_mask_) {
        for (std::uint32_t n = number * 4; n < number * 4 + 4; ++n) {
            // Partners: the release stores in `apply`.
            const Key found = slot_key(n).load(std::memory_order_acquire);
            if (found == key) return unpack(slot_word(n).load(std::memory_order_acquire));
            if (found == 0) return {};
        }
    }
    return {};
}

std::uint32_t ActiveIndex::next_gap(std::uint64_t from) const noexcept {
    if (counter(kGaps).load(std::memory_order_relaxed) == 0) return kNoGap;
    const std::uint32_t end = std::min(events(), capacity_.events);
    for (std::uint64_t n = from; n < end; ++n) {
        if (offset_word(n).load(std::memory_order_relaxed) == 0)
            return static_cast<std::uint32_t>(n);
    }
    return kNoGap;
}

Postings::Postings(const ActiveIndex& index, const List& list) noexcept
    : index_(&index), place_(list.place), left_(list.count), single_(list.count == 1) {
    // More than there is room for would make a hostile list a long one.
    if (list.count <= 2ULL * index.capacity_.cells + 1) return;
    damaged_ = true;
    left_ = 0;
}

bool Postings::next(std::uint32_t& ordinal) noexcept {
    if (left_ == 0) return false;
    std::uint32_t found = place_;
    if (!single_) {
        const bool small = left_ <= kSmallEntries;
        const std::uint32_t cells = small ? kSmallCells : kBlockCells;
        const std::uint32_t n = small ? left_ - 1 : (left_ - kSmallEntries - 1) % kBlockEntries + 1;
        damaged_ = std::uint64_t{place_} + cells > index_->capacity_.cells;
        if (!damaged_) {
            found = index_->entry(place_, n).load(std::memory_order_relaxed);
            if (!small && n == 1) place_ = index_->entry(place_, 0).load(std::memory_order_relaxed);
        }
    }
    damaged_ = damaged_ || found > newer_ || found >= index_->capacity_.events;
    if (damaged_) {
        left_ = 0;
        return false;
    }
    --left_;
    newer_ = found;
    ordinal = found;
    return true;
}

std::uint64_t ActiveIndex::offsets_end() const noexcept {
    return capacity_.offsets_at() + 4ULL * counter(kEvents).load(std::memory_order_relaxed);
}

Listed ActiveIndex::listed() const noexcept {
    Listed all;
    all.events = events();
    for_each_key([&](Key key, const List& list) { all.add(key, list.count); });
    return all;
}

std::uint64_t ActiveIndex::keys() const noexcept {
    return counter(kSlotsUsed).load(std::memory_order_relaxed);
}

std::uint64_t ActiveIndex::cells_end() const noexcept {
    return cells_at_ + 8ULL * counter(kCells).load(std::memory_order_relaxed);
}

}  // namespace varve::index
