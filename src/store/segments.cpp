#include "store/segments.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

Segment* SegmentList::find(std::uint64_t position) const noexcept {
    const std::size_t n = index_of(position);
    return n < items.size() ? items[n].get() : nullptr;
}

std::size_t SegmentList::index_of(std::uint64_t position) const noexcept {
    const auto behind =
        std::upper_bound(items.begin(), items.end(), position,
                         [](std::uint64_t p, const SegmentPtr& s) { return p < s->first(); });
    return behind == items.begin() ? items.size()
                                   : static_cast<std::size_t>(behind - items.begin()) - 1;
}

std::uint64_t SegmentList::last_of(std::size_t n, std::uint64_t published) const noexcept {
    VARVE_ASSERT(n < items.size());
    const std::uint64_t end = n + 1 < items.size() ? items[n + 1]->first() - 1 : published;
    return std::min(end, published);
}

Result<void> prepare_segment(const Meta& meta, std::uint64_t number,
                             std::uint64_t capacity) noexcept {
    const std::string path = meta.segment_path(number);
    auto file = meta.env->open(path, os::OpenMode::create, meta.options.file_mode);
    if (!file) {
        auto there = meta.env->exists(path);
        if (!there || !*there) return std::move(file).error();
        file = meta.env->open(path, os::OpenMode::read_write);
        if (!file) return std::move(file).error();
    }
    auto allocated = (*file)->allocate(capacity);
    if (allocated || allocated.error().code != ErrorCode::no_space) return allocated;
    // What could be had of it would be kept from whoever needs less.
    file->reset();
    VARVE_TRY(meta.env->remove(path));
    return allocated;
}

Result<OpenedSegment> open_segment(const Meta& meta, std::uint64_t number,
                                   os::MapAccess access) noexcept {
    const std::string path = meta.segment_path(number);
    auto file = meta.env->open(
        path, access == os::MapAccess::read ? os::OpenMode::read : os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    OpenedSegment opened;
    opened.segment = std::make_shared<Segment>();
    opened.segment->log_file = std::make_shared<LogFile>();
    if (*size >= log::kSegmentHeaderSize) {
        auto mapping = (*file)->map(static_cast<std::size_t>(*size), access);
        if (!mapping) return std::move(mapping).error();
        opened.segment->log_file->map = std::move(*mapping);
        // Who reads all of it says so.
        meta.env->expect(opened.segment->log(), os::Env::Pattern::random);
    }
    opened.image = log::look_at(number, opened.segment->bytes(), meta.file.uuid, meta.file.secret);
    if (opened.image.state == log::HeaderState::newer) {
        return failure(ErrorCode::unsupported_version,
                       "a segment of a newer format; use a newer varve to open it", path);
    }
    opened.segment->log_file->file = std::move(*file);
    opened.segment->keys = opened.image.keys;
    opened.segment->header = opened.image.header;
    opened.segment->header.number = number;
    return opened;
}

namespace {

Result<index::ActHeader> expected_header(const Meta& meta, const Segment& segment,
                                         os::File& file) noexcept {
    auto identity = file.identity();
    if (!identity) return std::move(identity).error();
    index::ActHeader header;
    header.uuid = meta.file.uuid;
    header.segment = segment.number();
    header.salt = segment.keys.salt;
    header.first_position = segment.first();
    meta.env->boot_id(header.boot);
    header.device = identity->device;
    header.inode = identity->inode;
    header.birth_ns = identity->birth_ns;
    header.mount = identity->mount;
    return header;
}

void with_capacity(index::ActHeader& header, const index::ActCapacity& capacity) noexcept {
    header.slots = capacity.slots;
    header.events = capacity.events;
    header.cells = capacity.cells;
}

}  // namespace

Result<void> attach_index(const Meta& meta, Segment& segment, os::MapAccess access,
                          bool writer_lives) noexcept {
    const std::string path = meta.active_index_path(segment.number());
    auto file = meta.env->open(
        path, access == os::MapAccess::read ? os::OpenMode::read : os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    auto header = expected_header(meta, segment, **file);
    if (!header) return std::move(header).error();
    const auto stale = [&] {
        return failure(ErrorCode::not_found, "an index of another boot or file", path);
    };
    const bool mount_known = header->mount != 0 || writer_lives;
    if (!mount_known || base::all_zero(base::Bytes{header->boot})) return stale();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    if (*size < index::kActSlotsOffset) return stale();
    auto mapping = (*file)->map(static_cast<std::size_t>(*size), access);
    if (!mapping) return std::move(mapping).error();
    if (!index::ActiveIndex::attach(mapping->data(), *size, *header, segment.index)) return stale();
    segment.act = std::move(*mapping);
    return {};
}

Result<void> create_index(const Meta& meta, Segment& segment,
                          const index::ActCapacity& capacity) noexcept {
    const std::string path = meta.active_index_path(segment.number());
    auto file = meta.env->open(path, os::OpenMode::create, meta.options.file_mode);
    if (!file) {
        auto there = meta.env->exists(path);
        if (!there || !*there) return std::move(file).error();
        VARVE_TRY(meta.env->remove(path));
        file = meta.env->open(path, os::OpenMode::create, meta.options.file_mode);
        if (!file) return std::move(file).error();
    }
    VARVE_TRY((*file)->allocate(capacity.bytes()));
    auto mapping =
        (*file)->map(static_cast<std::size_t>(capacity.bytes()), os::MapAccess::read_write);
    if (!mapping) return std::move(mapping).error();
    auto header = expected_header(meta, segment, **file);
    if (!header) return std::move(header).error();
    with_capacity(*header, capacity);
    segment.index = index::ActiveIndex::format(mapping->data(), *header);
    segment.act = std::move(*mapping);
    segment.own_act.reset();
    return {};
}

Result<void> private_index(const Meta& meta, Segment& segment,
                           const index::ActCapacity& capacity) noexcept {
    index::ActHeader header;
    header.uuid = meta.file.uuid;
    with_capacity(header, capacity);
    segment.own_act.reset(new (std::nothrow)
                              std::byte[static_cast<std::size_t>(capacity.bytes())]());
    if (segment.own_act == nullptr)
        return failure(ErrorCode::out_of_memory, "no memory for an index");
    segment.index = index::ActiveIndex::format(segment.own_act.get(), header);
    return {};
}

log::LogPoint first_point(const Segment& segment) noexcept {
    return {segment.number(), log::kSegmentHeaderSize, segment.first() - 1,
            segment.header.prev_chain, segment.header.epoch};
}

std::uint64_t count_keys(const Segment& segment, const log::LogPoint& start,
                         std::uint64_t last) noexcept {
    std::uint64_t keys = 0;
    log::SegmentScanner scanner(segment.bytes(), segment.keys, start, last);
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step == log::SegmentScanner::Step::record && index::is_listed(scanner.record()))
            keys += index::most_keys_of(scanner.record());
    }
    return keys;
}

index::ActCapacity measure_index(const Segment& segment, const log::LogPoint& start,
                                 std::uint64_t last) noexcept {
    return index::capacity_for(segment.bytes().size(), last + 1 - segment.first(),
                               count_keys(segment, start, last));
}

bool fill_index(const Meta& meta, Segment& segment, const log::LogPoint& start,
                std::uint64_t last) noexcept {
    meta.env->expect(segment.log(), os::Env::Pattern::sequential);
    log::SegmentScanner scanner(segment.bytes(), segment.keys, start, last);
    index::EventKeys keys;
    const std::uint64_t room = segment.index.capacity().events;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step == log::SegmentScanner::Step::damage) {
            if (log::is_newer(scanner.fault())) segment.holds_newer.store(true);
            for (std::uint64_t p = scanner.first(); p <= scanner.last(); ++p) {
                if (p - segment.first() >= room) return false;
                segment.index.apply_gap(static_cast<std::uint32_t>(p - segment.first()));
            }
            continue;
        }
        const log::RecordView& record = scanner.record();
        index::keys_of(record, meta.hasher, keys);
        const std::uint64_t ordinal = record.header.position - segment.first();
        // What a killed writer had begun may have cost room that nobody counted.
        const std::span<const index::Key> listed{keys.keys, keys.count};
        if (ordinal >= room || !segment.index.has_room(0, listed)) return false;
        const auto recorded = scanner.known_recorded_us();
        segment.index.note_times(
            static_cast<std::uint32_t>(ordinal),
            {index::TimeRange::at(record.header.time_us),
             recorded ? index::TimeRange::at(*recorded) : index::TimeRange::always()});
        segment.index.apply(static_cast<std::uint32_t>(ordinal),
                            static_cast<std::uint32_t>(scanner.offset() / 8), listed, true);
    }
    return true;
}

Error damaged_index(const Meta& meta, const Segment& segment) noexcept {
    if (segment.late != nullptr) {
        if (auto error = segment.late->error()) return std::move(*error);
    }
    return failure(
        ErrorCode::corrupt,
        "a list of the index is damaged; close all processes of the store and remove the "
        "file: it is built again from the log",
        meta.active_index_path(segment.number()));
}

Error hidden_by_damage(const Meta& meta, const Segment& segment, std::uint32_t ordinal) noexcept {
    return failure(ErrorCode::corrupt,
                   "the event at position " + std::to_string(segment.first() + ordinal) +
                       " cannot be read, so what is asked for cannot be known for certain",
                   meta.segment_path(segment.number()));
}

Result<std::vector<std::uint64_t>> list_segments(const Meta& meta) noexcept {
    auto names = meta.env->list(meta.log_directory());
    // A power cut right after creation can take the directory; who writes makes it again.
    if (!names && names.error().code == ErrorCode::not_found) return std::vector<std::uint64_t>{};
    if (!names) return std::move(names).error();
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : *names) {
        const std::uint64_t number = segment_number(name);
        if (number != 0) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
