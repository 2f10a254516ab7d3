#include "consumer/format.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

namespace {

constexpr std::size_t kCrcSize = sizeof(std::uint32_t);
constexpr std::uint64_t kFirstStride = 1024;  // events between two milestones, to begin with
constexpr std::size_t kLeastArea = 2 * kPage;

/// Bytes reserved for a state that does not fit into a slot.
std::size_t area_for(std::size_t bytes) noexcept {
    std::size_t area = kLeastArea;
    while (area < bytes) area *= 2;
    return area;
}

std::uint64_t areas_begin(std::size_t selector_length) noexcept {
    return base::align_up(kSelectorOffset + selector_length, kPage);
}

std::uint32_t slot_crc(std::size_t n, const Uuid& uuid, Bytes bytes) noexcept {
    return base::crc32c(base::crc32c_u64(base::crc32c(0, uuid), n), bytes);
}

std::uint32_t header_crc(const FileHeader& header, std::string_view selector) noexcept {
    std::array<std::byte, kHeaderSize> raw;
    base::store(raw.data(), header);
    return base::crc32c(base::crc32c(0, Bytes{raw}.subspan(kHeaderCrcFrom)),
                        base::as_bytes(selector));
}

}  // namespace

Checkpoint Saved::checkpoint() const noexcept {
    return {Position{slot.position},      slot.acknowledged, slot.parked,
            Position{slot.counted_after}, slot.epoch,        slot.time_us};
}

void Saved::set_milestone() noexcept {
    if (slot.milestone_stride == 0) slot.milestone_stride = kFirstStride;
    const std::uint64_t events = slot.acknowledged + slot.parked;
    const std::uint64_t before =
        slot.milestone_count > 0 ? slot.milestones[slot.milestone_count - 1].events : 0;
    if (events < before + slot.milestone_stride) return;
    if (slot.milestone_count == kMilestones) {
        // Every other one goes: they stand twice as far apart from now on.
        for (std::size_t n = 0; n < kMilestones / 2; ++n)
            slot.milestones[n] = slot.milestones[2 * n + 1];
        std::fill(slot.milestones.begin() + kMilestones / 2, slot.milestones.end(), Milestone{});
        slot.milestone_count = kMilestones / 2;
        slot.milestone_stride *= 2;
        return set_milestone();
    }
    slot.milestones[slot.milestone_count++] = {slot.position, events, slot.sum};
}

std::uint64_t state_offset(std::size_t n, std::size_t bytes, std::size_t selector_length) noexcept {
    if (bytes <= kInlineState) return 0;
    // Areas of all sizes below come first, two of each: together as long as the two of this size
    // less the two of the least.
    const std::size_t area = area_for(bytes);
    return areas_begin(selector_length) + 2 * (area - kLeastArea) + n * area;
}

std::uint64_t file_size(std::size_t bytes, std::size_t selector_length) noexcept {
    if (bytes <= kInlineState) return areas_begin(selector_length);
    return state_offset(1, bytes, selector_length) + area_for(bytes);
}

FileHeader make_header(FileHeader header, std::string_view selector) noexcept {
    header.format = header.lanes == 0 ? kFormat : kGroupFormat;
    header.selector_length = static_cast<std::uint32_t>(selector.size());
    header.crc = header_crc(header, selector);
    return header;
}

const char* check_header(const FileHeader& header, std::string_view selector) noexcept {
    if (header.magic != kMagic) return "it does not begin as the file of a consumer does";
    if (header.crc != header_crc(header, selector)) return "its header fails its checksum";
    const bool possible = header.lanes <= kMaxLanes && header.tag_length <= kMaxLaneTag &&
                          (header.lanes == 0 || header.lane < header.lanes);
    return possible ? nullptr : "its header says what cannot be";
}

Lanes lanes_of(const FileHeader& header) {
    return {header.lanes, std::string(header.tag.data(), header.tag_length)};
}

std::uint32_t Lanes::of_key(std::string_view key) const noexcept {
    return static_cast<std::uint32_t>(mix(base::crc32c(0, base::as_bytes(key))) % count);
}

std::uint32_t Lanes::of(const EventView& event) const noexcept {
    if (!tag.empty()) {
        for (const std::string_view own : event.tags)
            if (own.starts_with(tag)) return of_key(own);
    }
    return of_key(event.stream);
}

std::size_t encode_slot(std::size_t n, const Uuid& uuid, Saved& saved, std::uint64_t state_at,
                        std::span<std::byte, kPage> into) noexcept {
    VARVE_ASSERT(state_at != 0 || saved.state.size() <= kInlineState);
    Slot& slot = saved.slot;
    const Bytes state = base::as_bytes(saved.state);
    slot.state_length = static_cast<std::uint32_t>(state.size());
    slot.state_offset = state_at;
    slot.state_crc = state_at != 0 ? base::crc32c(0, state) : 0;
    base::store(into.data(), slot);
    std::size_t length = kSlotHeadSize;
    if (state_at == 0 && !state.empty()) {
        std::memcpy(into.data() + kSlotHeadSize, state.data(), state.size());
        length += state.size();
    }
    slot.crc = slot_crc(n, uuid, Bytes{into}.subspan(kCrcSize, length - kCrcSize));
    base::store(into.data(), slot.crc);
    return length;
}

bool decode_slot(std::size_t n, const Uuid& uuid, std::span<const std::byte, kPage> page,
                 Slot& slot) noexcept {
    slot = base::load<Slot>(page.data());
    if (slot.number == 0 || slot.milestone_count > kMilestones) return false;
    if (slot.state_length > Consumer::kMaxState) return false;
    const bool inside = slot.state_offset == 0;
    if (inside && slot.state_length > kInlineState) return false;
    const std::size_t length = kSlotHeadSize + (inside ? slot.state_length : 0);
    if (base::seeded(base::SeededBug::slot_unchecked)) return true;
    return slot.crc == slot_crc(n, uuid, Bytes{page}.subspan(kCrcSize, length - kCrcSize));
}

const char* refuse_name(std::string_view name) noexcept {
    if (name.empty()) return "the name of a consumer must not be empty";
    if (name.size() > Consumer::kMaxName) return "the name of a consumer has at most 100 bytes";
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (!plain(name.front())) return "the name of a consumer begins with a letter or digit";
    for (const char c : name) {
        if (!plain(c) && c != '.' && c != '_' && c != '-')
            return "the name of a consumer becomes a file name: only letters, digits, . _ - may be "
                   "in it";
    }
    return nullptr;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
