// Reading everything and changing nothing: `Store::verify`, and the sizes for `Store::stats`.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/engine.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// One verification: segment by segment, with everything found collected in the report.
class Verification {
public:
    Verification(const Meta& meta, const Progress& progress) noexcept
        : meta_(meta), progress_(progress) {}

    Result<VerifyReport> run(std::uint64_t published, std::uint64_t active);

private:
    void damage(std::string file, std::uint64_t offset, std::uint64_t length, std::uint64_t first,
                std::uint64_t last, std::string what);
    void check_manifest();
    void check_segment(const Segment& segment, const log::SegmentImage& image, std::uint64_t last,
                       bool newest);
    void check_link(const Segment& segment, const log::LogPoint& end);
    [[nodiscard]] Result<void> check_sealed(const SegmentList& list, std::uint64_t end);
    [[nodiscard]] Result<const char*> fault_of(const file::SealedRange& range,
                                               const SegmentList& list, std::uint64_t end) const;
    [[nodiscard]] bool report_progress(std::uint64_t done) const {
        return !progress_ || progress_(done, total_);
    }

    const Meta& meta_;
    const Progress& progress_;
    VerifyReport report_;
    file::ManifestContent manifest_;
    std::uint64_t total_ = 0;
    log::LogPoint reached_{};
    bool chain_known_ = true;
    std::uint64_t growing_ = 0;  ///< segments below this number are complete
};

void Verification::damage(std::string file, std::uint64_t offset, std::uint64_t length,
                          std::uint64_t first, std::uint64_t last, std::string what) {
    report_.damaged.push_back(
        {std::move(file), offset, length, Position{first}, Position{last}, std::move(what)});
}

void Verification::check_manifest() {
    auto content = file::read_manifest(*meta_.env, meta_.in("manifest"), meta_.manifest_seed());
    if (!content) {
        damage(meta_.in("manifest"), 0, 0, 0, 0, content.error().message);
        return;
    }
    manifest_ = std::move(*content);
    if (manifest_.damaged) {
        damage(meta_.in("manifest"), manifest_.damaged_at, file::kManifestEntrySize, 0, 0,
               "an entry fails its checksum");
    }
}

/// The header continues what came before.
void Verification::check_link(const Segment& segment, const log::LogPoint& end) {
    const std::string path = meta_.segment_path(segment.number());
    if (segment.first() > end.position + 1) {
        damage(path, 0, 0, end.position + 1, segment.first() - 1,
               "events before this segment are missing");
    } else if (chain_known_ && segment.header.prev_chain != end.chain && !segment.header_damaged) {
        damage(path, 0, log::kSegmentHeaderSize, 0, 0, "the segment does not continue the chain");
    }
}

void Verification::check_segment(const Segment& segment, const log::SegmentImage& image,
                                 std::uint64_t last, bool newest) {
    const std::string path = meta_.segment_path(segment.number());
    ++report_.segments;
    report_.bytes += segment.log().size();
    if (segment.header_damaged)
        damage(path, 0, log::kSegmentHeaderSize, 0, 0, "the segment's header fails its checksum");
    check_link(segment, reached_);
    meta_.env->expect(segment.log(), os::Env::Pattern::sequential);
    log::SegmentScanner scanner(image.bytes, segment.keys, first_point(segment), last);
    bool whole = true;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step == log::SegmentScanner::Step::damage) {
            whole = false;
            const bool lost = scanner.first() <= scanner.last();
            damage(path, scanner.offset(), scanner.length(), lost ? scanner.first() : 0,
                   lost ? scanner.last() : 0, scanner.fault());
            continue;
        }
        if (index::is_listed(scanner.record())) ++report_.events;
        if (scanner.body_intact()) continue;
        const std::uint64_t position = scanner.record().header.position;
        const auto erased = meta_.erasures->explain(meta_, position);
        if (erased && *erased) {
            ++report_.erased;
            continue;
        }
        damage(path, scanner.offset(), scanner.length(), position, position, log::kBodyFault);
        whole = false;
    }
    report_.commits += scanner.commits();
    reached_ = scanner.at();
    chain_known_ = whole;
    static_cast<void>(newest);
}

/// What is wrong with a sealed index file, or null. Error `not_found` if it is missing.
Result<const char*> Verification::fault_of(const file::SealedRange& range, const SegmentList& list,
                                           std::uint64_t end) const {
    auto sealed = open_sealed(meta_, range);
    if (!sealed && sealed.error().code == ErrorCode::unsupported_version) return nullptr;
    if (!sealed && sealed.error().code == ErrorCode::corrupt)
        return "its header or directory fails a check";
    if (!sealed) return std::move(sealed).error();
    if ((*sealed)->index.check_all() == index::Found::damaged) return "a block fails its checksum";
    const auto covered = (*sealed)->index.segments();
    if (covered.front().number != range.first || covered.back().number != range.last)
        return "it is of other segments than its name says";
    SegmentList copy = list;
    // Where the log is damaged, it cannot tell whether the index is of it; and beside a writer the
    // manifest may be newer than the end that was taken.
    if (range.last < growing_ && report_.damaged.empty() && !cover(copy, *sealed, end))
        return "it does not fit the segments of the log";
    return nullptr;
}

/// The sealed index files that the manifest names.
Result<void> Verification::check_sealed(const SegmentList& list, std::uint64_t end) {
    for (const file::SealedRange& range : manifest_.sealed()) {
        const std::string path = meta_.sealed_index_path(range);
        const auto fault = fault_of(range, list, end);
        if (fault && *fault == nullptr) continue;
        if (!fault && fault.error().code != ErrorCode::not_found) return fault.error();
        // A writer at work may have merged it away meanwhile.
        auto now = file::read_manifest(*meta_.env, meta_.in("manifest"), meta_.manifest_seed());
        const auto ranges = now ? now->sealed() : manifest_.sealed();
        if (std::find(ranges.begin(), ranges.end(), range) == ranges.end()) continue;
        if (!fault)
            report_.indexes_missing.push_back(path);
        else
            report_.indexes_damaged.push_back({path, 0, 0, {}, {}, *fault});
    }
    return {};
}

Result<VerifyReport> Verification::run(std::uint64_t published, std::uint64_t active) {
    check_manifest();
    auto files = open_files(meta_, manifest_, os::MapAccess::read);
    if (!files) return std::move(files).error();
    const log::Recovery found =
        recover_log(*files, start_of(manifest_), forgets_erasures(manifest_));
    const bool believed = published != 0;
    growing_ = believed ? active : ~0ULL;
    const std::uint64_t newest = files->images.empty() ? 0 : files->images.back().number;
    const SegmentListPtr list = readable_chain(*files, believed        ? active
                                                       : found.damaged ? newest
                                                                       : found.end.segment);
    for (const SegmentPtr& segment : list->items) total_ += segment->log().size();
    std::uint64_t end = believed ? published : found.end.position;
    if (!believed && found.newer) {
        damage(meta_.segment_path(std::max<std::uint64_t>(found.end.segment, 1)), found.end.offset,
               0, found.end.position + 1, 0, log::kWrittenByNewer);
    } else if (!believed && found.damaged) {
        damage(meta_.segment_path(found.end.segment), found.end.offset,
               found.damaged_until - std::min(found.damaged_until, found.end.offset),
               found.end.position + 1, 0,
               found.fault != nullptr ? found.fault : "synced data are damaged");
        if (!list->items.empty()) end = std::max(end, plausible_end(*list->items.back()));
    }
    const file::ManifestEntry* vouched = manifest_.last_point();
    if (vouched != nullptr && vouched->position > end) {
        damage(meta_.log_directory(), 0, 0, end + 1, vouched->position,
               "events that were durable are missing");
    }
    if (list->items.empty() && end > 0)
        damage(meta_.log_directory(), 0, 0, 1, end, "all segments are missing");
    for (std::size_t n = 0; n < list->items.size(); ++n) {
        const Segment& segment = *list->items[n];
        const bool newest_segment = n + 1 == list->items.size();
        if (newest_segment && base::seeded(base::SeededBug::verify_skips_last_segment)) break;
        if (n + 2 == list->items.size() &&
            base::seeded(base::SeededBug::verify_skips_second_to_last_segment)) {
            reached_.position = list->last_of(n, end);
            chain_known_ = false;
            continue;
        }
        const auto image = std::find_if(
            files->images.begin(), files->images.end(),
            [&](const log::SegmentImage& one) { return one.number == segment.number(); });
        check_segment(segment, *image, std::min(list->last_of(n, end), plausible_last(segment)),
                      newest_segment);
        if (!report_progress(report_.bytes)) return std::move(report_);
    }
    VARVE_TRY(check_sealed(*list, end));
    if (list->items.empty() || list->items.front()->first() == 1) return std::move(report_);
    damage(meta_.log_directory(), 0, 0, 1, list->items.front()->first() - 1,
           "the first segments are missing");
    return std::move(report_);
}

/// What the control page says, if it can be believed: a living writer's end is not where its bytes
/// end.
std::pair<std::uint64_t, std::uint64_t> believed_end(const Meta& meta) noexcept {
    auto file = meta.env->open(meta.in("control"), os::OpenMode::read);
    if (!file) return {0, 0};
    auto size = (*file)->size();
    auto expected = file::expected_identity(*meta.env, **file, meta.file.uuid);
    if (!size || *size < file::kControlSize || !expected || !expected->known) return {0, 0};
    auto mapping = (*file)->map(file::kControlSize, os::MapAccess::read);
    if (!mapping) return {0, 0};
    const file::Control& page = file::control_of(*mapping);
    const auto state = static_cast<file::WriterState>(page.state.load(std::memory_order_acquire));
    if (!(page.identity == expected->identity)) return {0, 0};
    if (state == file::WriterState::none || state == file::WriterState::superseded) return {0, 0};
    const std::uint64_t published = page.published.load(std::memory_order_acquire);
    return {published, page.active.load(std::memory_order_acquire)};
}

std::uint64_t size_of(os::Env& env, const std::string& path) noexcept {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return 0;
    auto size = (*file)->size();
    return size ? *size : 0;
}

}  // namespace

/// Counts a file where it belongs.
void add_size(std::string_view directory, std::string_view name, std::uint64_t size,
              Stats& stats) noexcept {
    if (directory == "log") {
        stats.segment_bytes += size;
    } else if (directory == "index") {
        stats.index_bytes += size;
        if (name.ends_with(".act")) stats.active_index_bytes += size;
        if (name.ends_with(".idx")) stats.sealed_index_bytes += size;
    } else if (directory == "dropped") {
        stats.dropped_bytes += size;
    } else if (directory == "consumers") {
        stats.consumer_bytes += size;
    } else if (name == "manifest") {
        stats.manifest_bytes += size;
    } else {
        stats.other_bytes += size;
    }
}

/// Bytes of the log that commits use: each segment up to its last record.
void log_bytes(const View& view, Stats& stats) noexcept {
    for (std::size_t n = 0; n < view.segments->items.size(); ++n) {
        const Segment& segment = *view.segments->items[n];
        const std::uint64_t last = view.segments->last_of(n, view.published);
        if (last < segment.first()) continue;
        const std::uint64_t offset = segment.offset_of(last - segment.first());
        log::RecordView record;
        if (offset == 0 || log::decode_record(segment.bytes(), offset, last, segment.keys.seed,
                                              log::Check::structure, record) != nullptr) {
            continue;
        }
        stats.log_bytes += offset + record.size();
    }
}

}  // namespace store

Result<VerifyReport> Store::verify(const std::string& path, const OpenOptions& options,
                                   const Progress& progress) noexcept {
    try {
        auto meta = store::meta_for_reading(path, options);
        if (!meta) return std::move(meta).error();
        const auto [published, active] = store::believed_end(**meta);
        return store::Verification(**meta, progress).run(published, active);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to verify", path);
    }
}

Result<Stats> Store::stats() const noexcept {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    const store::Meta& meta = engine_->meta();
    Stats stats;
    stats.events = view->published;
    stats.segments = view->segments->items.size();
    store::log_bytes(*view, stats);
    for (const char* directory : {"", "log", "index", "dropped", "consumers"}) {
        const std::string folder = *directory == 0 ? meta.path : meta.in(directory);
        auto names = meta.env->list(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            const std::uint64_t size = store::size_of(*meta.env, folder + "/" + name);
            if (size == 0 && *directory == 0) continue;  // a directory
            ++stats.files;
            store::add_size(directory, name, size, stats);
        }
    }
    return stats;
}

}  // namespace v0
}  // namespace varve
