#include "log/record.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve::log {

using base::Bytes;
using base::SeededBug;

namespace {

std::byte* put(std::byte* to, std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

/// Zeroes up to `end` and returns it.
std::byte* pad(std::byte* to, std::byte* end) noexcept {
    VARVE_ASSERT(to <= end && end - to < static_cast<std::ptrdiff_t>(kAlignment));
    while (to != end) *to++ = std::byte{0};
    return end;
}

/// Bytes that a checksum covers: all of them, unless the defect that forgets the padding is
/// switched on.
std::size_t covered(std::size_t with_padding, std::size_t without) noexcept {
    return base::seeded(SeededBug::padding_not_covered) ? without : with_padding;
}

/// What no writer may exceed is refused before anything is read for it.
Fault fault_of_limits(const RecordHeader& header) noexcept {
    const bool added = (header.flags & kRecordHasAdded) != 0;
    if (header.tag_count > kMaxTags + (added ? kMaxAdded : 0))
        return "a record with more tags than there can be";
    if (header.stream_length > kMaxNameBytes || header.type_length > kMaxNameBytes)
        return "a record's name is longer than it can be";
    if (header.metadata_length > kMaxMetadataBytes || header.data_length > kMaxDataBytes)
        return "a record's content is longer than it can be";
    return nullptr;
}

std::uint32_t position_seed(std::uint32_t seed, std::uint64_t position) noexcept {
    return base::crc32c_u64(seed, position);
}

bool body_has_checksum(const RecordView& view, std::uint32_t own_seed) noexcept {
    const std::uint64_t body = view.size() - view.head_bytes;
    const std::size_t used = std::size_t{view.header.metadata_length} + view.header.data_length;
    return base::crc32c(own_seed, Bytes{view.at + view.head_bytes, covered(body, used)}) ==
           view.header.body_crc;
}

}  // namespace

std::uint32_t encode_record(std::byte* to, const RecordInput& input, const RecordPlace& place,
                            std::uint32_t seed) noexcept {
    VARVE_ASSERT(input.head_size % kAlignment == 0 && input.body_size % kAlignment == 0);
    VARVE_ASSERT(place.position > 0);
    std::byte* const body = to + input.head_size;
    std::byte* at = put(body, input.metadata);
    at = put(at, input.data);
    const auto body_used = static_cast<std::size_t>(at - body);
    pad(at, body + input.body_size);
    const std::uint32_t own_seed = position_seed(seed, place.position);

    RecordHeader header;
    header.length8 = static_cast<std::uint32_t>((input.head_size + input.body_size) / 8);
    header.body_crc = base::crc32c(own_seed, Bytes{body, covered(input.body_size, body_used)});
    header.commit_distance8 = place.commit_distance8;
    header.position = place.position;
    header.revision = place.revision;
    header.stream_previous = place.stream_previous;
    header.time_us = place.time_us;
    header.kind = static_cast<std::uint8_t>(input.kind);
    header.flags = static_cast<std::uint8_t>((input.id != nullptr ? kRecordHasId : 0) |
                                             (input.added ? kRecordHasAdded : 0));
    header.tag_count = static_cast<std::uint16_t>(input.tags.size());
    header.stream_length = static_cast<std::uint16_t>(input.stream.size());
    header.type_length = static_cast<std::uint16_t>(input.type.size());
    header.metadata_length = static_cast<std::uint32_t>(input.metadata.size());
    header.data_length = static_cast<std::uint32_t>(input.data.size());
    base::store(to, header);

    at = to + sizeof header;
    const std::size_t hashes = 8 * (2 + input.tags.size());
    std::memcpy(at, input.hashes, hashes);
    at += hashes;
    if (input.id != nullptr) {
        std::memcpy(at, input.id, 16);
        at += 16;
    }
    for (const std::string_view tag : input.tags) {
        base::store(at, static_cast<std::uint16_t>(tag.size()));
        at += sizeof(std::uint16_t);
    }
    at = put(at, input.stream);
    at = put(at, input.type);
    for (const std::string_view tag : input.tags) at = put(at, tag);
    const auto head_used = static_cast<std::size_t>(at - to);
    pad(at, body);
    const std::uint32_t crc =
        base::crc32c(own_seed, Bytes{to + 8, covered(input.head_size, head_used) - 8});
    base::store(to + offsetof(RecordHeader, head_crc), crc);
    return crc;
}

Fault decode_record(Bytes segment, std::uint64_t offset, std::uint64_t position, std::uint32_t seed,
                    Check check, RecordView& view) noexcept {
    if (offset % kAlignment != 0 || !base::fits(offset, sizeof(RecordHeader), segment.size())) {
        return "a record begins outside its segment";
    }
    const std::byte* const at = segment.data() + offset;
    std::memcpy(&view.header, at, sizeof view.header);
    view.at = at;
    view.erased = false;
    const RecordHeader& header = view.header;
    if (header.position != position) return "a record carries another position";
    if (const Fault fault = fault_of_limits(header)) return fault;
    const std::uint64_t fixed =
        sizeof(RecordHeader) + 10ULL * header.tag_count + 16 + (view.has_id() ? 16U : 0U);
    if (!base::fits(offset, fixed, segment.size()))
        return "a record's head reaches beyond its segment";
    std::uint64_t tags_text = 0;
    const char* const lengths = view.tag_lengths();
    for (std::size_t n = 0; n < header.tag_count; ++n) {
        std::uint16_t length = 0;
        std::memcpy(&length, lengths + 2 * n, sizeof length);
        if (length > kMaxNameBytes) return "a record's tag is longer than it can be";
        tags_text += length;
    }
    const std::uint64_t head_used = fixed + header.stream_length + header.type_length + tags_text;
    const std::uint64_t head = base::align_up(head_used, kAlignment);
    const std::uint64_t body_used = std::uint64_t{header.metadata_length} + header.data_length;
    const std::uint64_t whole = head + base::align_up(body_used, kAlignment);
    if (whole != view.size()) return "a record's lengths contradict each other";
    if (!base::fits(offset, whole, segment.size())) return "a record reaches beyond its segment";
    view.head_bytes = static_cast<std::uint32_t>(head);
    view.tags_text = static_cast<std::uint32_t>(tags_text);
    constexpr unsigned kKnownFlags = kRecordHasId | kRecordHasAdded;
    const bool known = (header.flags & ~kKnownFlags) == 0 && header.kind >= 1 && header.kind <= 3;
    if (check == Check::structure && known) [[likely]]
        return nullptr;

    const std::uint32_t own_seed = position_seed(seed, position);
    const Bytes covered_head{at + 8, covered(head, head_used) - 8};
    if (base::crc32c(own_seed, covered_head) != header.head_crc)
        return "a record's head fails its checksum";
    if (!known) return kWrittenByNewer;
    if (check == Check::head) return nullptr;
    return body_has_checksum(view, own_seed) ? nullptr : kBodyFault;
}

bool body_is_intact(const RecordView& view, std::uint32_t seed) noexcept {
    return body_has_checksum(view, position_seed(seed, view.header.position));
}

bool body_is_zero(const RecordView& view) noexcept {
    const std::uint64_t body = view.size() - view.head_bytes;
    return body >= sizeof(std::uint64_t) &&
           base::load<std::uint64_t>(view.at + view.head_bytes) == 0 &&
           base::all_zero(Bytes{view.at + view.head_bytes, body});
}

std::uint16_t RecordView::count_shown() const noexcept {
    std::uint16_t shown = 0;
    for (const std::string_view tag : tags()) {
        if (is_mark(tag)) break;
        ++shown;
    }
    return shown;
}

}  // namespace varve::log
