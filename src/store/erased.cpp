#include "store/erased.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/recover.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using log::EraseMark;

namespace {

EraseMark mark_of(const file::ManifestEntry* entry) noexcept {
    return entry == nullptr ? EraseMark{}
                            : EraseMark{entry->position, entry->segment, entry->offset};
}

Error no_memory() noexcept {
    return failure(ErrorCode::out_of_memory, "no memory for the positions of erased events");
}

/// Adds what the record at `mark` names; `previous` is where the one before it stands.
Result<void> read_record_at(const Meta& meta, const EraseMark& mark, SegmentPtr& segment,
                            EraseMark& previous, std::vector<log::PositionRange>& ranges) {
    if (segment == nullptr || segment->number() != mark.segment) {
        auto opened = open_segment(meta, mark.segment, os::MapAccess::read);
        if (!opened) return std::move(opened).error();
        segment = std::move(opened->segment);
    }
    log::RecordView record;
    const log::Fault fault = log::decode_record(segment->bytes(), mark.offset, mark.position,
                                                segment->keys.seed, log::Check::body, record);
    if (fault == nullptr && log::decode_erase(record, previous, ranges)) return {};
    return failure(ErrorCode::corrupt,
                   "the erase record at position " + std::to_string(mark.position) +
                       " cannot be read: " + (fault != nullptr ? fault : "it is none"),
                   meta.segment_path(mark.segment), mark.offset);
}

/// Of a store that is not open: whatever its files still show.
Result<ErasedSet> scan_files(const Meta& meta, const file::ManifestContent& manifest) {
    auto files = open_files(meta, manifest, os::MapAccess::read);
    if (!files) return std::move(files).error();
    return scan_erased(*readable_chain(*files, ~0ULL), ~0ULL);
}

Result<file::ManifestContent> manifest_of(const Meta& meta) {
    auto manifest = file::read_manifest(*meta.env, meta.in("manifest"), meta.manifest_seed());
    if (!manifest && manifest.error().code == ErrorCode::not_found) return file::ManifestContent{};
    return manifest;
}

}  // namespace

EraseMark newest_erase(const file::ManifestContent& manifest) noexcept {
    const EraseMark erasing = mark_of(manifest.furthest(file::EntryKind::erasing));
    const EraseMark erased = mark_of(manifest.furthest(file::EntryKind::erased));
    return erasing.position >= erased.position ? erasing : erased;
}

bool forgets_erasures(const file::ManifestContent& manifest) noexcept {
    return manifest.damaged || manifest.entries.empty();
}

Result<ErasedSet> scan_erased(const SegmentList& list, std::uint64_t last) noexcept {
    try {
        ErasedSet set;
        for (std::size_t n = 0; n < list.items.size(); ++n) {
            const Segment& segment = *list.items[n];
            log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment),
                                        std::min(list.last_of(n, last), plausible_last(segment)));
            for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
                 step = scanner.next()) {
                EraseMark previous;
                if (step != log::SegmentScanner::Step::record || !scanner.body_intact() ||
                    !log::decode_erase(scanner.record(), previous, set.ranges)) {
                    continue;
                }
                set.newest = {scanner.record().header.position, segment.number(), scanner.offset()};
            }
        }
        log::normalise(set.ranges);
        return set;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> remember_erasures(const SegmentList& list, std::uint64_t last, std::uint32_t epoch,
                               std::int64_t now_us, file::Manifest& manifest) noexcept {
    auto found = scan_erased(list, last);
    if (!found) return std::move(found).error();
    if (found->newest.position == 0) return {};
    file::ManifestEntry entry;
    entry.kind = static_cast<std::uint32_t>(file::EntryKind::erasing);
    entry.epoch = epoch;
    entry.segment = found->newest.segment;
    entry.offset = found->newest.offset;
    entry.position = found->newest.position;
    entry.time_us = now_us;
    return manifest.add(entry, true);
}

Result<ErasedSet> follow_erased(const Meta& meta, const EraseMark& newest,
                                std::uint64_t until) noexcept {
    try {
        ErasedSet set;
        set.newest = newest;
        SegmentPtr segment;
        // Ends: each record stands before the one that names it.
        for (EraseMark at = newest; at.position > until;) {
            EraseMark previous;
            VARVE_TRY(read_record_at(meta, at, segment, previous, set.ranges));
            at = previous;
        }
        log::normalise(set.ranges);
        return set;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<ErasedSet> load_erased(const Meta& meta) noexcept {
    try {
        auto manifest = manifest_of(meta);
        if (!manifest) return std::move(manifest).error();
        if (!forgets_erasures(*manifest)) {
            auto set = follow_erased(meta, newest_erase(*manifest), 0);
            if (set) return set;
        }
        return scan_files(meta, *manifest);
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

/// Under the lock. Brings the set up to date.
Result<void> Erasures::look(const Meta& meta) noexcept {
    try {
        auto manifest = manifest_of(meta);
        if (!manifest) return std::move(manifest).error();
        const bool forgotten = forgets_erasures(*manifest);
        const EraseMark newest = newest_erase(*manifest);
        if (loaded_ && (forgotten ? scanned_ : newest == set_.newest)) return {};
        auto set = forgotten ? scan_files(meta, *manifest) : follow_erased(meta, newest, 0);
        const bool scan = forgotten || !set;
        if (!set) set = scan_files(meta, *manifest);
        if (!set) return std::move(set).error();
        set_ = std::move(*set);
        // Records that lead nowhere are not followed again before there is a newer one.
        if (!forgotten) set_.newest = newest;
        scanned_ = scan;
        loaded_ = true;
        return {};
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<bool> Erasures::explain(const Meta& meta, std::uint64_t position) noexcept {
    const std::lock_guard lock(mutex_);
    if (loaded_ && set_.holds(position)) return true;
    VARVE_TRY(look(meta));
    return set_.holds(position);
}

Result<bool> Erasures::holds(const Meta& meta, std::uint64_t position) noexcept {
    const std::lock_guard lock(mutex_);
    if (!loaded_) VARVE_TRY(look(meta));
    return set_.holds(position);
}

bool Erasures::any(const Meta& meta, std::uint32_t count) noexcept {
    if (seen_.load(std::memory_order_acquire) == count) return any_.load(std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    if (!look(meta)) return true;
    any_.store(!set_.ranges.empty(), std::memory_order_relaxed);
    seen_.store(count, std::memory_order_release);
    return any_.load(std::memory_order_relaxed);
}

Result<ErasedSet> Erasures::all(const Meta& meta) noexcept {
    const std::lock_guard lock(mutex_);
    VARVE_TRY(look(meta));
    try {
        return set_;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> Erasures::add(const Meta& meta, std::span<const log::PositionRange> ranges,
                           const EraseMark& newest) noexcept {
    const std::lock_guard lock(mutex_);
    if (!loaded_) return look(meta);  // reads what has just been written
    try {
        set_.ranges.insert(set_.ranges.end(), ranges.begin(), ranges.end());
        log::normalise(set_.ranges);
        set_.newest = newest;
        any_.store(true, std::memory_order_relaxed);
        return {};
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
