#include "log/recovery.hpp"

#include <algorithm>

#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve::log {

using base::Bytes;
using base::SeededBug;

namespace {

/// Offset behind the last byte at or after `from` that is not zero; `from` if all are zero.
std::uint64_t end_of_content(const SegmentImage& image, std::uint64_t from) noexcept {
    constexpr std::uint64_t kBlock = 4096;
    const Bytes bytes = image.bytes;
    std::uint64_t end = std::max<std::uint64_t>(from, image.content().size());
    while (end > from) {
        const std::uint64_t begin = std::max(from, base::align_down(end - 1, kBlock));
        if (!base::all_zero(bytes.subspan(begin, end - begin))) break;
        end = begin;
    }
    while (end > from && bytes[end - 1] == std::byte{0}) --end;
    return end;
}

const SegmentImage* find(std::span<const SegmentImage> images, std::uint64_t number) noexcept {
    for (const SegmentImage& image : images) {
        if (image.number == number) return &image;
    }
    return nullptr;
}

/// Follows the chain through the segments.
void walk_all(std::span<const SegmentImage> images, const Start& start,
              std::span<const PositionRange> erased, Recovery& found) noexcept {
    LogPoint at = start.point;
    bool ended = start.next_segment != 0 || at.segment == 0;
    std::uint64_t not_below = start.next_segment;
    while (true) {
        const SegmentImage* next = successor(images, at.segment, not_below);
        if (!ended) {
            const SegmentImage* image = find(images, at.segment);
            if (image == nullptr || at.offset > image->bytes.size()) {
                found.fault = "a segment is missing or cut short";
                break;
            }
            const std::uint64_t until = next != nullptr ? next->header.first_position - 1 : ~0ULL;
            const Walk walk = walk_commits(image->bytes, image->keys, at, until, {true, erased});
            if (walk.commits > 0) found.recorded_us = walk.recorded_us;
            at = walk.end;
            found.fault = walk.fault;
            if (walk.fault != nullptr) break;
        }
        const bool linked = next != nullptr && next->header.first_position == at.position + 1 &&
                            next->header.prev_chain == at.chain && next->header.epoch >= at.epoch;
        if (!linked) {
            if (next != nullptr) found.fault = "the next segment does not continue the chain";
            break;
        }
        at = {next->number, kSegmentHeaderSize, at.position, at.chain,
              std::max(at.epoch, next->header.epoch)};
        ended = false;
        not_below = 0;
    }
    found.end = at;
}

void note_evidence(const Evidence& evidence, const SegmentImage& image, Recovery& found) noexcept {
    found.dropped_events += evidence.events;
    found.newer = found.newer || evidence.newer;
    if (!evidence.synced || found.damaged) return;
    found.damaged = true;
    found.evidence_segment = image.number;
    found.evidence_offset = evidence.offset;
}

}  // namespace

std::uint64_t salt_of(std::uint64_t secret, std::uint64_t number) noexcept {
    const std::uint64_t low = base::crc32c_u64(base::crc32c_u64(0x53414C54, secret), number);
    const std::uint64_t high = base::crc32c_u64(base::crc32c_u64(0x544C4153, number), secret);
    const std::uint64_t salt = (high << 32 | low) ^ (secret * (2 * number + 1));
    return salt != 0 ? salt : 1;
}

SegmentImage look_at(std::uint64_t number, Bytes bytes, const Uuid& uuid,
                     std::uint64_t secret) noexcept {
    SegmentImage image;
    image.number = number;
    image.bytes = bytes;
    const std::uint64_t salt = salt_of(secret, number);
    image.keys = segment_keys(uuid, salt);
    if (bytes.size() < kSegmentHeaderSize) return image;
    image.state = decode_segment_header(bytes.data(), image.header);
    if (image.state != HeaderState::valid) return image;
    const bool ours = image.header.uuid == uuid && image.header.salt == salt &&
                      image.header.number == number && image.header.capacity <= bytes.size();
    if (!ours) image.state = HeaderState::damaged;
    return image;
}

const SegmentImage* successor(std::span<const SegmentImage> images, std::uint64_t number,
                              std::uint64_t not_below) noexcept {
    for (const SegmentImage& image : images) {
        if (image.number <= number || image.number < not_below) continue;
        if (image.state == HeaderState::valid && image.header.previous == number) return &image;
    }
    return nullptr;
}

Recovery follow(std::span<const SegmentImage> images, const Start& start) noexcept {
    Recovery found;
    walk_all(images, start, {}, found);
    found.newer = is_newer(found.fault);
    return found;
}

Recovery recover(std::span<const SegmentImage> images, const Start& start,
                 std::span<const PositionRange> erased) noexcept {
    Recovery found;
    walk_all(images, start, erased, found);
    found.newer = is_newer(found.fault);
    std::uint32_t newest_epoch = std::max(start.newest_epoch, found.end.epoch);
    for (const SegmentImage& image : images) {
        if (image.state == HeaderState::valid)
            newest_epoch = std::max(newest_epoch, image.header.epoch);
    }
    for (const SegmentImage& image : images) {
        if (image.number < std::max(found.end.segment, start.next_segment)) continue;
        const bool own = image.number == found.end.segment;
        // Behind a cut nothing counts: it was judged when the cut was made.
        if (own && start.next_segment != 0 && found.end == start.point) continue;
        if (own && found.end.offset > image.bytes.size()) continue;
        const std::uint64_t from = own ? found.end.offset : 0;
        const std::uint64_t content = end_of_content(image, from);
        if (content == from) continue;
        found.tail_is_zero = false;
        found.dropped_bytes += content - from;
        if (!own && base::seeded(SeededBug::evidence_in_one_segment)) continue;
        note_evidence(
            search_evidence(
                image.bytes.first(std::min<std::uint64_t>(image.bytes.size(), content + 64)),
                own ? from : kSegmentHeaderSize, image.keys, found.end.position, newest_epoch),
            image, found);
    }
    const SegmentImage* first = find(images, start.point.segment);
    if (start.point.segment != 0 &&
        (first == nullptr || start.point.offset > first->bytes.size())) {
        found.damaged = true;
        found.evidence_segment = start.point.segment;
        found.evidence_offset = start.point.offset;
    }
    const SegmentImage* last = find(images, found.end.segment);
    found.damaged_until = last == nullptr                               ? 0
                          : found.evidence_segment == found.end.segment ? found.evidence_offset
                                                                        : last->bytes.size();
    return found;
}

}  // namespace varve::log
