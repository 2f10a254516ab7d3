// Reading everything and changing nothing: `Store::verify`, and the sizes for `Store::stats`.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "file/verify_file.hpp"
#include "store/attached.hpp"
#include "store/engine.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// A verification that may be taken up writes down how far it is after so many bytes, so that one
/// that is killed loses little and the writing costs nothing beside the reading.
constexpr std::uint64_t kKeepEvery = 256 << 20;
constexpr const char* kCannotKeep = "cannot keep how far it came: ";

/// One verification: segment by segment, with everything found collected in the report.
class Verification {
public:
    Verification(const Meta& meta, const Progress& progress, const VerifyOptions& how) noexcept
        : meta_(meta), progress_(progress), how_(how) {}

    Result<VerifyReport> run(std::uint64_t published, std::uint64_t active);

private:
    void damage(std::string file, std::uint64_t offset, std::uint64_t length, std::uint64_t first,
                std::uint64_t last, std::string what);
    void check_manifest();
    void check_attached();
    void check_segment(const Segment& segment, const log::SegmentImage& image, std::uint64_t last);
    void check_link(const Segment& segment, const log::LogPoint& end);
    [[nodiscard]] Result<void> check_sealed(const SegmentList& list, std::uint64_t end);
    void list_differing();
    [[nodiscard]] Result<const char*> fault_of(const file::SealedRange& range,
                                               const SegmentList& list, std::uint64_t end) const;
    void check_end(const log::Recovery& found, const SegmentList& list, bool believed,
                   std::uint64_t& end);
    [[nodiscard]] bool check_segments(const Files& files, const SegmentList& list, std::size_t from,
                                      std::uint64_t end);
    [[nodiscard]] std::size_t resume(const SegmentList& list);
    void remember(const SegmentList& list, std::size_t checked);
    void keep();
    void forget();
    [[nodiscard]] std::uint32_t fingerprint(const SegmentList& list, std::size_t count) const;
    [[nodiscard]] std::uint64_t erasing() const noexcept;
    [[nodiscard]] bool report_progress(std::uint64_t done) const {
        return !progress_ || progress_(done, total_);
    }

    const Meta& meta_;
    const Progress& progress_;
    const VerifyOptions how_;
    VerifyReport report_;
    file::VerifyState state_;       ///< what the next run may go on behind
    std::size_t found_before_ = 0;  ///< damaged places that every run finds before the segments
    std::uint64_t kept_at_ = 0;     ///< bytes that had been read when the state was last written
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

/// What is attached is read to its end, and its lines are whole.
void Verification::check_attached() {
    auto attached = read_attached(meta_);
    if (!attached) {
        damage(attached.error().file, 0, 0, 0, 0, attached.error().message);
        return;
    }
    for (const BadLine& one : bad_lines(meta_, *attached))
        damage(one.file, one.offset, one.length, 0, 0, "a line is not JSON");
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
                                 std::uint64_t last) {
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

/// Active indexes that did not agree with the log when their segments were sealed.
void Verification::list_differing() {
    auto names = meta_.env->list(meta_.index_directory());
    if (!names) return;
    for (const std::string& name : *names) {
        if (!name.ends_with(kDiffering)) continue;
        report_.indexes_damaged.push_back(
            {meta_.index_directory() + "/" + name,
             0,
             0,
             {},
             {},
             "what appending had listed here was not what the log holds: answers by name may have "
             "been short before the segment was sealed; `varve repair` removes the file"});
    }
}

/// Changes with the files of the first `count` segments: which they are, how long, what they begin
/// with.
std::uint32_t Verification::fingerprint(const SegmentList& list, std::size_t count) const {
    std::uint32_t crc = 0;
    for (std::size_t n = 0; n < count; ++n) {
        const Segment& segment = *list.items[n];
        auto identity = meta_.env->identity_of(meta_.segment_path(segment.number()));
        const os::FileIdentity is = identity ? *identity : os::FileIdentity{};
        const std::array<std::uint64_t, 6> words{
            segment.number(), segment.log().size(),
            is.inode,         static_cast<std::uint64_t>(is.birth_ns),
            segment.first(),  segment.header.prev_chain};
        crc = base::crc32c(crc, std::as_bytes(std::span(words)));
    }
    return crc;
}

std::uint64_t Verification::erasing() const noexcept {
    const file::ManifestEntry* entry = manifest_.furthest(file::EntryKind::erasing);
    return entry == nullptr ? 0 : entry->position;
}

/// Takes over what an earlier run has found. Returns how many segments it has checked.
std::size_t Verification::resume(const SegmentList& list) {
    found_before_ = report_.damaged.size();
    if (!how_.resume) return 0;
    auto state = file::read_verify_state(*meta_.env, meta_.in(file::kVerifyFileName));
    if (!state && state.error().code == ErrorCode::not_found) return 0;
    if (!state) {
        report_.note = "began again: " + state.error().message;
        return 0;
    }
    const file::VerifyHeader& header = state->header;
    if (header.uuid != meta_.file.uuid || header.epoch != manifest_.highest_epoch() ||
        header.erasing != erasing() || header.segments >= list.items.size() ||
        header.fingerprint != fingerprint(list, header.segments)) {
        report_.note = "began again: the store is not what an earlier verification saw";
        return 0;
    }
    state_ = std::move(*state);
    report_.segments = header.segments;
    report_.events = header.events;
    report_.commits = header.commits;
    report_.bytes = report_.resumed_bytes = kept_at_ = header.bytes;
    report_.erased = header.erased;
    for (const Damage& one : state_.damaged) {
        report_.damaged.push_back(one);
        report_.damaged.back().file = meta_.in(one.file.c_str());
    }
    reached_ = {header.point_segment, header.point_offset, header.point_position,
                header.point_chain, header.point_epoch};
    chain_known_ = header.chain_known != 0;
    return header.segments;
}

/// The first `checked` segments need not be read again; the newest one may still grow.
void Verification::remember(const SegmentList& list, std::size_t checked) {
    if (!how_.resume || checked >= list.items.size()) return;
    file::VerifyHeader& header = state_.header;
    header.uuid = meta_.file.uuid;
    header.segments = checked;
    header.fingerprint = fingerprint(list, checked);
    header.epoch = manifest_.highest_epoch();
    header.erasing = erasing();
    header.events = report_.events;
    header.commits = report_.commits;
    header.bytes = report_.bytes;
    header.erased = report_.erased;
    header.point_segment = reached_.segment;
    header.point_offset = reached_.offset;
    header.point_position = reached_.position;
    header.point_chain = reached_.chain;
    header.point_epoch = reached_.epoch;
    header.chain_known = chain_known_ ? 1 : 0;
    for (std::size_t n = found_before_ + state_.damaged.size(); n < report_.damaged.size(); ++n) {
        state_.damaged.push_back(report_.damaged[n]);
        state_.damaged.back().file.erase(0, meta_.path.size() + 1);
    }
    if (report_.bytes - kept_at_ >= kKeepEvery) keep();
}

/// Writes down what is remembered. Failing to is no failure of the verification.
void Verification::keep() {
    if (state_.header.bytes <= kept_at_) return;
    auto kept = file::write_verify_state(*meta_.env, meta_.in(file::kVerifyFileName),
                                         meta_.options.file_mode, state_);
    if (kept) {
        kept_at_ = state_.header.bytes;
    } else if (report_.note.empty() || !report_.note.starts_with(kCannotKeep)) {
        report_.note = kCannotKeep + kept.error().message;
    }
}

/// The verification has ended: the next one begins at the first segment.
void Verification::forget() {
    if (!how_.resume) return;
    for (const char* name : {"verify.state", "verify.state.new"}) {
        auto there = meta_.env->exists(meta_.in(name));
        if (there && *there) static_cast<void>(meta_.env->remove(meta_.in(name)));
    }
}

/// The end of the log against the manifest. `end` grows to what a damaged segment may hold.
void Verification::check_end(const log::Recovery& found, const SegmentList& list, bool believed,
                             std::uint64_t& end) {
    if (!believed && found.newer) {
        damage(meta_.segment_path(std::max<std::uint64_t>(found.end.segment, 1)), found.end.offset,
               0, found.end.position + 1, 0, log::kWrittenByNewer);
    } else if (!believed && found.damaged) {
        damage(meta_.segment_path(found.end.segment), found.end.offset,
               found.damaged_until - std::min(found.damaged_until, found.end.offset),
               found.end.position + 1, 0,
               found.fault != nullptr ? found.fault : "synced data are damaged");
        if (!list.items.empty()) end = std::max(end, plausible_end(*list.items.back()));
    }
    const file::ManifestEntry* vouched = manifest_.last_point();
    if (vouched != nullptr && vouched->position > end) {
        damage(meta_.log_directory(), 0, 0, end + 1, vouched->position,
               "events that were durable are missing");
    }
    if (list.items.empty() && end > 0)
        damage(meta_.log_directory(), 0, 0, 1, end, "all segments are missing");
}

/// Reads the segments from number `from` of the list on. False if it was cancelled.
bool Verification::check_segments(const Files& files, const SegmentList& list, std::size_t from,
                                  std::uint64_t end) {
    for (std::size_t n = from; n < list.items.size(); ++n) {
        const Segment& segment = *list.items[n];
        if (n + 1 == list.items.size() &&
            base::seeded(base::SeededBug::verify_skips_last_segment)) {
            break;
        }
        if (n + 2 == list.items.size() &&
            base::seeded(base::SeededBug::verify_skips_second_to_last_segment)) {
            reached_.position = list.last_of(n, end);
            chain_known_ = false;
            continue;
        }
        const auto image = std::find_if(
            files.images.begin(), files.images.end(),
            [&](const log::SegmentImage& one) { return one.number == segment.number(); });
        check_segment(segment, *image, std::min(list.last_of(n, end), plausible_last(segment)));
        remember(list, n + 1);
        if (!report_progress(report_.bytes)) return false;
    }
    return true;
}

Result<VerifyReport> Verification::run(std::uint64_t published, std::uint64_t active) {
    check_manifest();
    check_attached();
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
    check_end(found, *list, believed, end);
    if (!check_segments(*files, *list, resume(*list), end)) {
        keep();
        report_.complete = false;
        report_.kept_bytes = kept_at_;
        return std::move(report_);
    }
    VARVE_TRY(check_sealed(*list, end));
    list_differing();
    forget();
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

}  // namespace

}  // namespace store

Result<VerifyReport> Store::verify(const std::string& path, const OpenOptions& options,
                                   const Progress& progress, const VerifyOptions& how) noexcept {
    try {
        auto meta = store::meta_for_reading(path, options);
        if (!meta) return std::move(meta).error();
        const auto [published, active] = store::believed_end(**meta);
        return store::Verification(**meta, progress, how).run(published, active);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to verify", path);
    }
}

}  // namespace v0
}  // namespace varve
