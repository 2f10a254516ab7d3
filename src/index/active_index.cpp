#include "index/active_index.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"

namespace varve::index {

namespace {

// Counters, a cache line each: readers look at the first only.
constexpr std::uint32_t kEvents = 0;
constexpr std::uint32_t kCells = 1;
constexpr std::uint32_t kSlotsUsed = 2;

// What real histories need per byte of segment; a segment whose index is full is rolled early.
constexpr std::uint64_t kBytesPerEvent = 96;
constexpr std::uint64_t kBytesPerCell = 48;
constexpr std::uint64_t kBytesPerSlot = 128;
constexpr std::uint64_t kFewestSlots = 32;  // however few keys: that part of the usual number
constexpr std::uint32_t kNoSlot = ~0U;
constexpr std::uint64_t kMaxUnits = 1ULL
                                    << 30;  // of slots, events or cells: their numbers have 32 bits

std::uint64_t usable(std::uint32_t slots) noexcept { return std::uint64_t{slots} / 4 * 3; }

}  // namespace

ActCapacity capacity_for(std::uint64_t segment_bytes, std::uint64_t events, std::uint64_t keys,
                         KeyDensity seen) noexcept {
    std::uint64_t wanted = segment_bytes / kBytesPerSlot;
    if (seen.bytes > 0) {
        // Twice what is expected: different keys become fewer as a segment grows, but a history may
        // change. Its first segment with more keys is rolled early, the next one has the room.
        const std::uint64_t expected = seen.keys * (segment_bytes / 4096) / (seen.bytes / 4096 + 1);
        wanted = std::clamp(2 * expected, wanted / kFewestSlots, wanted);
    }
    const std::uint64_t slots = std::max(wanted, keys + keys / 2 + 4);
    ActCapacity capacity;
    capacity.slots = static_cast<std::uint32_t>(std::bit_ceil(std::min(slots, kMaxUnits)));
    capacity.events = static_cast<std::uint32_t>(
        std::min(std::max(segment_bytes / kBytesPerEvent, events), kMaxUnits));
    capacity.cells = static_cast<std::uint32_t>(
        std::min(std::max(segment_bytes / kBytesPerCell, keys), kMaxUnits));
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
    const bool sane =
        index.counter(kEvents).load(std::memory_order_relaxed) <= capacity.events &&
        index.counter(kCells).load(std::memory_order_relaxed) <= capacity.cells &&
        index.counter(kSlotsUsed).load(std::memory_order_relaxed) <= usable(capacity.slots);
    if (!sane) index = ActiveIndex{};
    return sane;
}

bool ActiveIndex::has_room(std::uint64_t events, std::uint64_t keys) const noexcept {
    return counter(kEvents).load(std::memory_order_relaxed) + events <= capacity_.events &&
           counter(kCells).load(std::memory_order_relaxed) + keys <= capacity_.cells &&
           counter(kSlotsUsed).load(std::memory_order_relaxed) + keys <= usable(capacity_.slots);
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

void ActiveIndex::apply(std::uint32_t ordinal, std::uint32_t offset8, std::span<const Key> keys,
                        bool again) noexcept {
    VARVE_ASSERT(ordinal < capacity_.events);
    offset_word(ordinal).store(offset8, std::memory_order_relaxed);
    std::uint32_t cells = counter(kCells).load(std::memory_order_relaxed);
    for (const Key key : keys) {
        const std::uint32_t slot = slot_for(key);
        if (slot == kNoSlot) continue;  // no index of ours: the counters said that there is room
        const List list = unpack(slot_word(slot).load(std::memory_order_relaxed));
        if (again && list.last != 0) {
            Cell newest;
            if (cell(list.last, newest) && newest.ordinal >= ordinal) continue;
        }
        VARVE_ASSERT(cells < capacity_.cells);
        ++cells;
        // The mark is raised first: a cell that a killed writer had begun is skipped, never linked
        // twice.
        counter(kCells).store(cells, std::memory_order_relaxed);
        cell_word(cells - 1).store(list.last | std::uint64_t{ordinal} << 32,
                                   std::memory_order_relaxed);
        // Partner: the acquire load in `find`. Whoever sees the word sees the cell.
        slot_word(slot).store(cells | std::uint64_t{list.count + 1} << 32,
                              std::memory_order_release);
        if (slot_key(slot).load(std::memory_order_relaxed) == 0) {
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
    counter(kEvents).store(ordinal + 1, std::memory_order_release);
}

std::uint32_t ActiveIndex::events() const noexcept {
    return counter(kEvents).load(std::memory_order_acquire);
}

List ActiveIndex::find(Key key) const noexcept {
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

bool ActiveIndex::cell(std::uint32_t number, Cell& cell) const noexcept {
    if (number == 0 || number > capacity_.cells) return false;
    const std::uint64_t word = cell_word(number - 1).load(std::memory_order_relaxed);
    cell.previous = static_cast<std::uint32_t>(word);
    cell.ordinal = static_cast<std::uint32_t>(word >> 32);
    return cell.previous < number && cell.ordinal < capacity_.events;
}

std::uint64_t ActiveIndex::offsets_end() const noexcept {
    return capacity_.offsets_at() + 4ULL * counter(kEvents).load(std::memory_order_relaxed);
}

std::uint64_t ActiveIndex::keys() const noexcept {
    return counter(kSlotsUsed).load(std::memory_order_relaxed);
}

std::uint64_t ActiveIndex::cells_end() const noexcept {
    return cells_at_ + 8ULL * counter(kCells).load(std::memory_order_relaxed);
}

}  // namespace varve::index
