#include "log/erase.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace varve::log {

bool holds(std::span<const PositionRange> ranges, std::uint64_t position) noexcept {
    const auto behind = std::upper_bound(
        ranges.begin(), ranges.end(), position,
        [](std::uint64_t p, const PositionRange& range) { return p < range.first; });
    return behind != ranges.begin() && position <= (behind - 1)->last;
}

std::vector<std::byte> encode_erase(const EraseMark& previous,
                                    std::span<const PositionRange> ranges) {
    VARVE_ASSERT(!ranges.empty() && ranges.size() <= kMaxEraseRanges);
    EraseHeader header;
    header.control = static_cast<std::uint32_t>(ControlKind::erase);
    header.previous_position = previous.position;
    header.previous_segment = previous.segment;
    header.previous_offset = previous.offset;
    header.count = static_cast<std::uint32_t>(ranges.size());
    std::vector<std::byte> data(sizeof header + ranges.size_bytes());
    base::store(data.data(), header);
    std::memcpy(data.data() + sizeof header, ranges.data(), ranges.size_bytes());
    return data;
}

bool decode_erase(const RecordView& record, EraseMark& previous,
                  std::vector<PositionRange>& ranges) {
    if (record.header.kind != static_cast<std::uint8_t>(RecordKind::control)) return false;
    const std::string_view data = record.data();
    if (data.size() < sizeof(EraseHeader)) return false;
    const auto* at = reinterpret_cast<const std::byte*>(data.data());
    const auto header = base::load<EraseHeader>(at);
    const bool known = header.control == static_cast<std::uint32_t>(ControlKind::erase) &&
                       header.version == 1 && header.reserved == 0;
    const std::uint64_t own = record.header.position;
    if (!known || header.count > kMaxEraseRanges || header.previous_position >= own) return false;
    if (data.size() != sizeof header + header.count * sizeof(PositionRange)) return false;
    previous = {header.previous_position, header.previous_segment, header.previous_offset};
    for (std::uint32_t n = 0; n < header.count; ++n) {
        auto range = base::load<PositionRange>(at + sizeof header + n * sizeof(PositionRange));
        range.first = std::max<std::uint64_t>(range.first, 1);
        range.last = std::min(range.last, own - 1);
        if (range.first <= range.last) ranges.push_back(range);
    }
    return true;
}

void normalise(std::vector<PositionRange>& ranges) noexcept {
    std::sort(ranges.begin(), ranges.end(), [](const PositionRange& a, const PositionRange& b) {
        return a.first != b.first ? a.first < b.first : a.last < b.last;
    });
    std::size_t kept = 0;
    for (const PositionRange& range : ranges) {
        const std::uint64_t before = kept > 0 ? ranges[kept - 1].last : 0;
        if (kept > 0 && (range.first <= before || range.first - before == 1)) {
            ranges[kept - 1].last = std::max(ranges[kept - 1].last, range.last);
        } else {
            ranges[kept++] = range;
        }
    }
    ranges.resize(kept);
}

}  // namespace varve::log
