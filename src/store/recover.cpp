#include "store/recover.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

SegmentPtr Files::find(std::uint64_t number) const noexcept {
    for (const OpenedSegment& one : opened) {
        if (one.segment->number() == number) return one.segment;
    }
    return nullptr;
}

std::uint64_t Files::highest_used(bool closed) const noexcept {
    std::uint64_t highest = 0;
    for (const OpenedSegment& one : opened) {
        // After a crash something may have reached the disk behind a header that has not. Nothing
        // has where the last writer closed the store: then a prepared segment need not be read.
        const bool by_header = closed || base::seeded(base::SeededBug::used_by_header_alone);
        const bool unused = one.image.state == log::HeaderState::unused &&
                            (by_header || base::all_zero(one.image.content()));
        if (!unused) highest = std::max(highest, one.segment->number());
    }
    return highest;
}

bool is_cut_off(const file::ManifestContent& manifest, std::uint64_t number) noexcept {
    return std::any_of(manifest.entries.begin(), manifest.entries.end(), [&](const auto& entry) {
        return entry.kind == static_cast<std::uint32_t>(file::EntryKind::cut) &&
               number > entry.segment && number < entry.next_segment;
    });
}

Result<Files> open_files(const Meta& meta, const file::ManifestContent& manifest,
                         os::MapAccess access) noexcept {
    auto numbers = list_segments(meta);
    if (!numbers) return std::move(numbers).error();
    Files files;
    for (const std::uint64_t number : *numbers) {
        auto opened = open_segment(meta, number, access);
        if (!opened) return std::move(opened).error();
        if (!is_cut_off(manifest, number)) files.images.push_back(opened->image);
        files.opened.push_back(std::move(*opened));
    }
    return files;
}

file::ManifestEntry manifest_entry(file::EntryKind kind, const log::LogPoint& place,
                                   std::uint32_t epoch, std::int64_t time_us) noexcept {
    file::ManifestEntry entry;
    entry.kind = static_cast<std::uint32_t>(kind);
    entry.epoch = epoch;
    entry.segment = place.segment;
    entry.offset = place.offset;
    entry.position = place.position;
    entry.chain = place.chain;
    entry.time_us = time_us;
    return entry;
}

log::Start start_of(const file::ManifestContent& manifest) noexcept {
    log::Start start;
    start.newest_epoch = manifest.highest_epoch();
    if (const file::ManifestEntry* last = manifest.last_point()) {
        start.point = {last->segment, last->offset, last->position, last->chain, last->epoch};
        start.next_segment = last->next_segment;
    }
    return start;
}

void learn_zeros(Files& files, std::uint64_t from) noexcept {
    for (OpenedSegment& one : files.opened) {
        if (one.segment->number() < from || one.segment->log_file->file == nullptr) continue;
        auto zeros = one.segment->file().zeros_from();
        if (!zeros) continue;
        one.image.zeros_from = *zeros;
        for (log::SegmentImage& image : files.images)
            if (image.number == one.image.number) image.zeros_from = *zeros;
    }
}

void expect_reading(os::Env& env, const Files& files, std::uint64_t from) noexcept {
    for (const OpenedSegment& one : files.opened) {
        if (one.segment->number() >= from)
            env.expect(one.segment->log(), os::Env::Pattern::sequential);
    }
}

log::Recovery recover_log(const Files& files, const log::Start& start, bool forgotten) noexcept {
    const log::Recovery found = log::recover(files.images, start);
    // Behind a point of the manifest nothing has been erased: zeros there never reached the disk.
    const bool may_be_erased = start.point.segment == 0 || forgotten;
    if (found.fault != log::kZeroBodyFault || !may_be_erased) return found;
    const auto erased = scan_erased(*readable_chain(files, ~0ULL), ~0ULL);
    if (!erased || erased->ranges.empty()) return found;
    return log::recover(files.images, start, erased->ranges);
}

Result<void> refuse_newer(const Meta& meta, const log::Recovery& found) noexcept {
    if (!found.newer) return {};
    return failure(ErrorCode::unsupported_version,
                   "what follows position " + std::to_string(found.end.position) +
                       " was written by a newer version; nothing was changed; use a newer varve",
                   meta.segment_path(std::max<std::uint64_t>(found.end.segment, 1)),
                   found.end.offset);
}

bool is_possible(const Files& files, const log::LogPoint& point) noexcept {
    if (point.segment == 0) return point.position == 0;
    for (const OpenedSegment& one : files.opened) {
        if (one.segment->number() != point.segment) continue;
        // What is missing or damaged is judged where the log is read.
        if (one.image.state != log::HeaderState::valid) return true;
        return point.position != ~0ULL && point.position + 1 >= one.segment->first() &&
               point.position <= plausible_last(*one.segment);
    }
    return true;
}

bool closed_cleanly(const file::ManifestContent& manifest, const Files& files) noexcept {
    if (manifest.torn || manifest.entries.empty()) return false;
    const file::ManifestEntry& last = manifest.entries.back();
    if (last.kind != static_cast<std::uint32_t>(file::EntryKind::closed)) return false;
    const SegmentPtr segment = files.find(last.segment);
    if (segment == nullptr || last.offset > segment->log().size()) return false;
    const log::LogPoint point{last.segment, last.offset, last.position, last.chain, last.epoch};
    log::CommitHeader header;
    const log::Fault next = log::check_next_commit(segment->bytes(), segment->keys, point, header);
    return next != nullptr && !log::is_newer(next) &&
           log::successor(files.images, last.segment, 0) == nullptr;
}

Result<SegmentListPtr> chain_of(const Meta& meta, const Files& files,
                                std::uint64_t last_number) noexcept {
    auto list = std::make_shared<SegmentList>();
    std::uint64_t previous = 0;
    while (previous < last_number) {
        const log::SegmentImage* image = log::successor(files.images, previous, 0);
        if (image == nullptr || image->number > last_number) {
            return failure(ErrorCode::corrupt,
                           "the segment that continues number " + std::to_string(previous) +
                               " is missing or damaged; open the store read-only to read around it",
                           meta.segment_path(previous + 1));
        }
        list->items.push_back(files.find(image->number));
        previous = image->number;
    }
    return SegmentListPtr(std::move(list));
}

SegmentListPtr readable_chain(const Files& files, std::uint64_t last_number) noexcept {
    auto list = std::make_shared<SegmentList>();
    for (const log::SegmentImage& image : files.images) {
        if (image.number > last_number) break;
        const SegmentPtr segment = files.find(image.number);
        if (image.state != log::HeaderState::valid) {
            log::CommitHeader first;
            if (!log::decode_commit_header(image.bytes, log::kSegmentHeaderSize, image.keys, first))
                continue;
            segment->header.first_position = first.first_position;
            segment->header.prev_chain = first.prev_chain;
            segment->header.epoch = first.epoch;
            segment->header.capacity = image.bytes.size();
            segment->header_damaged = true;
        }
        if (!list->items.empty() && segment->first() < list->items.back()->first()) continue;
        list->items.push_back(segment);
    }
    return list;
}

bool point_behind(const SegmentList& segments, std::uint64_t position,
                  log::LogPoint& point) noexcept {
    if (segments.items.empty()) return false;
    if (position + 1 == segments.items.front()->first()) {
        point = first_point(*segments.items.front());
        return true;
    }
    log::CommitHeader header;
    return commit_ending_at(segments, position, header, point);
}

bool commit_ending_at(const SegmentList& segments, std::uint64_t position,
                      log::CommitHeader& header, log::LogPoint& point) noexcept {
    const Segment* segment = segments.find(position);
    if (segment == nullptr) return false;
    const std::uint64_t offset = segment->offset_of(position - segment->first());
    log::RecordView record;
    if (offset == 0 || log::decode_record(segment->bytes(), offset, position, segment->keys.seed,
                                          log::Check::head, record) != nullptr) {
        return false;
    }
    const std::uint64_t distance = std::uint64_t{record.header.commit_distance8} * 8;
    if (distance > offset) return false;
    // Its events may have been erased since; heads and chain tell where it ends.
    if (log::check_commit(segment->bytes(), offset - distance, segment->keys, header,
                          {.check = false}) != nullptr) {
        return false;
    }
    if (header.first_position + header.count - 1 != position) return false;
    point = {segment->number(), offset - distance + std::uint64_t{header.length8} * 8, position,
             header.chain, header.epoch};
    return true;
}

std::uint64_t plausible_end(const Segment& segment) noexcept {
    std::uint64_t end = segment.first() - 1;
    log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment),
                                plausible_last(segment));
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step == log::SegmentScanner::Step::record) end = std::max(end, scanner.at().position);
    }
    return end;
}

std::uint64_t plausible_last(const Segment& segment) noexcept {
    const std::uint64_t most = segment.log().size() / sizeof(log::RecordHeader);
    return segment.first() > ~0ULL - most ? ~0ULL : segment.first() + most;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
