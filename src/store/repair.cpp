// A damaged store made usable again, at a price that is told first: `Store::repair`.
//
// Calling thread only. Invariants: nothing is changed before all that will be done is known; no
// byte of an event before the first damaged commit is written to; the manifest is replaced as a
// whole, and only when what it gives up has been copied durably. Every step may be repeated.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/engine.hpp"
#include "store/log_copy.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

namespace {

constexpr std::uint64_t kCopyStep = 1U << 20U;

bool is_kind(const file::ManifestEntry& entry, file::EntryKind kind) noexcept {
    return entry.kind == static_cast<std::uint32_t>(kind);
}

/// One repair: the plan is in `report_` and the members below it, then `carry_out`.
class Repair {
public:
    Repair(const Meta& meta, const Progress& progress) : meta_(meta), meter_(progress) {}

    [[nodiscard]] Result<void> plan(const Diagnosis& found);
    [[nodiscard]] Result<void> carry_out();
    [[nodiscard]] Result<void> drop_damaged_entries();
    [[nodiscard]] RepairReport take_report() { return std::move(report_); }

private:
    [[nodiscard]] Result<void> load();
    void believe_short_files();
    [[nodiscard]] Result<void> extend_short_files();
    void look_at_page();
    [[nodiscard]] Result<void> find_cut();
    [[nodiscard]] Result<void> check_connected(const log::Recovery& whole, bool damaged) const;
    [[nodiscard]] Result<void> check_erasures() const;
    void count_dropped();
    [[nodiscard]] std::string copy_name() const;
    [[nodiscard]] Result<void> copy_tail();
    [[nodiscard]] Result<void> write_copy(os::File& from, const std::string& to);
    [[nodiscard]] std::vector<file::ManifestEntry> entries_up_to_cut() const;

    const Meta& meta_;
    Meter meter_;
    file::ManifestContent manifest_;
    bool manifest_lost_ = false;  ///< missing, or it names a place that cannot be
    Files files_;
    std::vector<SegmentPtr> short_;  ///< files that end before their headers say they do
    bool cut_ = false;
    log::LogPoint end_{};           ///< behind the last commit before the damage
    std::uint64_t tail_bytes_ = 0;  ///< behind `end_` in its segment, up to the last non-zero
    std::uint64_t next_number_ = 1;
    std::uint32_t newest_epoch_ = 0;
    RepairReport report_;
};

Result<void> Repair::load() {
    auto manifest = file::read_manifest(*meta_.env, meta_.in("manifest"), meta_.manifest_seed());
    if (!manifest && manifest.error().code != ErrorCode::not_found)
        return std::move(manifest).error();
    manifest_lost_ = !manifest;
    if (manifest) manifest_ = std::move(*manifest);
    if (manifest_.newer) {
        return failure(ErrorCode::unsupported_version,
                       "the manifest holds entries of a newer version; nothing was changed; use a "
                       "newer varve",
                       meta_.in("manifest"));
    }
    auto files = open_files(meta_, manifest_, os::MapAccess::read);
    if (!files) return std::move(files).error();
    files_ = std::move(*files);
    believe_short_files();
    if (!is_possible(files_, start_of(manifest_).point)) {
        manifest_lost_ = true;
        report_.manifest = true;
        manifest_ = {};
    }
    const bool used = files_.highest_used(false) > 0;
    report_.manifest = report_.manifest || manifest_.damaged || (manifest_lost_ && used);
    newest_epoch_ = manifest_.highest_epoch();
    for (const OpenedSegment& one : files_.opened) {
        if (one.image.state == log::HeaderState::valid)
            newest_epoch_ = std::max(newest_epoch_, one.image.header.epoch);
    }
    return {};
}

/// A file that was cut short has lost its end, not what stands before it.
void Repair::believe_short_files() {
    for (OpenedSegment& one : files_.opened) {
        log::SegmentImage& image = one.image;
        if (image.state != log::HeaderState::damaged) continue;
        if (image.bytes.size() < log::kSegmentHeaderSize) continue;
        log::SegmentHeader header;
        const bool ours =
            log::decode_segment_header(image.bytes.data(), header) == log::HeaderState::valid &&
            header.uuid == meta_.file.uuid && header.number == image.number &&
            header.salt == log::salt_of(meta_.file.secret, image.number);
        if (!ours || header.capacity <= image.bytes.size()) continue;
        image.state = log::HeaderState::valid;
        image.header = header;
        one.segment->header = header;
        short_.push_back(one.segment);
        for (log::SegmentImage& same : files_.images) {
            if (same.number == image.number) same = image;
        }
    }
}

/// Zeros where the end is missing: with them the file is a segment again.
Result<void> Repair::extend_short_files() {
    for (const SegmentPtr& segment : short_) {
        if (segment->number() > end_.segment) continue;
        auto file =
            meta_.env->open(meta_.segment_path(segment->number()), os::OpenMode::read_write);
        if (!file) return std::move(file).error();
        VARVE_TRY((*file)->allocate(segment->header.capacity));
        VARVE_TRY((*file)->sync());
    }
    return {};
}

/// A page that cannot be this store's is made anew; of another one the epoch counts, because the
/// cut must be newer than what the page shows.
void Repair::look_at_page() {
    auto file = meta_.env->open(meta_.in("control"), os::OpenMode::read);
    if (!file) return;
    std::array<std::byte, sizeof(file::Control)> raw{};
    auto read = (*file)->read_at(0, raw);
    const auto identity = base::load<file::ControlIdentity>(raw.data());
    if (!read || *read < raw.size() || identity.magic != file::kControlMagic ||
        identity.uuid != meta_.file.uuid) {
        report_.control = true;
        return;
    }
    newest_epoch_ = std::max(
        newest_epoch_, base::load<std::uint32_t>(raw.data() + offsetof(file::Control, epoch)));
}

/// Without a manifest only the segments themselves can say that nothing is missing.
Result<void> Repair::check_connected(const log::Recovery& whole, bool damaged) const {
    if (!report_.manifest) return {};
    const log::SegmentImage* loose = nullptr;
    for (const log::SegmentImage& image : files_.images) {
        const bool used = image.state != log::HeaderState::unused;
        if (image.number > whole.end.segment && used) loose = &image;
    }
    const file::ManifestEntry* vouched = manifest_.last_point();
    const bool short_of = vouched != nullptr && vouched->position > whole.end.position;
    if (!damaged && loose == nullptr && !short_of) return {};
    return failure(
        ErrorCode::corrupt,
        "the manifest is lost or damaged, and the log does not connect behind position " +
            std::to_string(whole.end.position) +
            ": nothing was changed; copy what can be read with `varve salvage`",
        meta_.segment_path(loose != nullptr ? loose->number : whole.end.segment), whole.end.offset);
}

/// What was erased before the cut is told from damage only by the records of its erasure.
Result<void> Repair::check_erasures() const {
    const auto erased = scan_erased(*readable_chain(files_, ~0ULL), ~0ULL);
    const file::ManifestEntry* erasing = manifest_.furthest(file::EntryKind::erasing);
    const bool behind = (erased && erased->newest.position > end_.position) ||
                        (erasing != nullptr && erasing->position > end_.position);
    if (!behind) return {};
    return failure(ErrorCode::corrupt,
                   "records of erasure lie behind the damage at position " +
                       std::to_string(end_.position) +
                       " and must not be dropped: nothing was changed; copy what can be read with "
                       "`varve salvage`",
                   meta_.segment_path(std::max<std::uint64_t>(end_.segment, 1)), end_.offset);
}

Result<void> Repair::find_cut() {
    const log::Start start = start_of(manifest_);
    const log::Recovery whole = recover_log(files_, {{}, 0, start.newest_epoch}, true);
    const log::Recovery tail =
        recover_log(files_, start, manifest_.damaged || manifest_.entries.empty());
    // Commits of a newer version are refused wherever they stand.
    VARVE_TRY(refuse_newer(meta_, whole));
    VARVE_TRY(refuse_newer(meta_, tail));
    VARVE_TRY(check_connected(whole, whole.damaged || tail.damaged));
    const bool early = whole.end.position < start.point.position;
    cut_ = early || tail.damaged;
    if (!cut_) return {};
    const log::Recovery& found = early ? whole : tail;
    end_ = found.end;
    VARVE_TRY(check_erasures());
    newest_epoch_ = std::max(newest_epoch_, end_.epoch);
    next_number_ = files_.highest_used(false) + 1;
    for (const file::ManifestEntry& entry : manifest_.entries) {
        const bool index =
            is_kind(entry, file::EntryKind::sealed) || is_kind(entry, file::EntryKind::merged);
        if (!index) next_number_ = std::max(next_number_, entry.next_segment);
    }
    // Segments that hold nothing are not cut off: the next one takes a number above them all.
    for (const OpenedSegment& one : files_.opened)
        next_number_ = std::max(next_number_, one.segment->number() + 1);
    if (found.fault != nullptr) report_.cause = found.fault;
    count_dropped();
    return {};
}

void Repair::count_dropped() {
    const SegmentListPtr list = readable_chain(files_, ~0ULL);
    std::uint64_t last = end_.position;
    if (const file::ManifestEntry* vouched = manifest_.last_point())
        last = std::max(last, vouched->position);
    if (!list->items.empty()) last = std::max(last, plausible_end(*list->items.back()));
    for (std::size_t n = 0; n < list->items.size(); ++n) {
        const Segment& segment = *list->items[n];
        const std::uint64_t until = std::min(list->last_of(n, last), plausible_last(segment));
        if (until <= end_.position || until < segment.first()) continue;
        log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment), until);
        for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
             step = scanner.next()) {
            if (step != log::SegmentScanner::Step::record) continue;
            const bool dropped = scanner.record().header.position > end_.position;
            if (dropped && index::is_listed(scanner.record()) && scanner.body_intact())
                ++report_.readable;
        }
    }
    report_.first = Position{end_.position + 1};
    report_.last = Position{last};
    report_.events = last - end_.position;
    for (const OpenedSegment& one : files_.opened) {
        const base::Bytes bytes = one.image.bytes;
        const std::uint64_t number = one.segment->number();
        if (number < end_.segment || is_cut_off(manifest_, number)) continue;
        std::uint64_t size = bytes.size();
        const std::uint64_t from = number == end_.segment ? end_.offset : 0;
        while (size > from && bytes[size - 1] == std::byte{0}) --size;
        if (size <= from) continue;
        report_.bytes += size - from;
        if (number == end_.segment) {
            tail_bytes_ = size - from;
            report_.copies.push_back(copy_name());
        } else {
            const std::string path = meta_.segment_path(number);
            report_.copies.push_back("dropped" + path.substr(path.rfind('/')));
        }
    }
    meter_.expect(tail_bytes_);
}

std::string Repair::copy_name() const {
    const std::string path = meta_.segment_path(end_.segment);
    const std::size_t name = path.rfind('/');
    return "dropped" + path.substr(name, path.rfind('.') - name) + "-" +
           std::to_string(end_.offset) + ".cut";
}

Result<void> Repair::plan(const Diagnosis& found) {
    VARVE_TRY(load());
    look_at_page();
    VARVE_TRY(find_cut());
    report_.indexes = found.indexes;
    report_.needed = cut_ || report_.manifest || report_.control || !report_.indexes.empty();
    return {};
}

Result<void> Repair::write_copy(os::File& from, const std::string& to) {
    auto stale = meta_.env->exists(to);
    if (!stale) return std::move(stale).error();
    if (*stale) VARVE_TRY(meta_.env->remove(to));
    auto file = meta_.env->open(to, os::OpenMode::create, meta_.options.file_mode);
    if (!file) return std::move(file).error();
    std::vector<std::byte> buffer(std::min(tail_bytes_, kCopyStep));
    for (std::uint64_t at = 0; at < tail_bytes_ && !meter_.cancelled();) {
        const std::uint64_t length = std::min<std::uint64_t>(buffer.size(), tail_bytes_ - at);
        auto read = from.read_at(end_.offset + at, std::span(buffer).first(length));
        if (!read) return std::move(read).error();
        if (*read == 0) break;
        VARVE_TRY((*file)->write_at(at, base::Bytes{buffer}.first(*read)));
        at += *read;
        meter_.add(*read);
    }
    return (*file)->sync();
}

/// What stands behind the end in a segment that stays, durable under its name when it returns.
Result<void> Repair::copy_tail() {
    VARVE_TRY(make_directory_if_missing(meta_, meta_.in("dropped")));
    if (tail_bytes_ > 0) {
        const std::string name = meta_.in(copy_name().c_str());
        const std::string fresh = name + ".new";
        auto file = meta_.env->open(meta_.segment_path(end_.segment), os::OpenMode::read);
        if (!file) return std::move(file).error();
        auto copied = write_copy(**file, fresh);
        if (!copied || meter_.cancelled()) {
            static_cast<void>(meta_.env->remove(fresh).has_value());
            return copied;
        }
        VARVE_TRY(meta_.env->rename(fresh, name));
    }
    VARVE_TRY(sync_names(*meta_.env, meta_.in("dropped")));
    return sync_names(*meta_.env, meta_.path);
}

/// What the manifest says of the log before the cut, and the cut.
std::vector<file::ManifestEntry> Repair::entries_up_to_cut() const {
    const auto sealed = manifest_.sealed();
    std::vector<file::ManifestEntry> entries;
    for (const file::ManifestEntry& entry : manifest_.entries) {
        const bool index =
            is_kind(entry, file::EntryKind::sealed) || is_kind(entry, file::EntryKind::merged);
        const bool point = is_kind(entry, file::EntryKind::opened) ||
                           is_kind(entry, file::EntryKind::synced) ||
                           is_kind(entry, file::EntryKind::closed);
        const file::SealedRange range{entry.segment, entry.next_segment};
        const bool in_use = std::find(sealed.begin(), sealed.end(), range) != sealed.end();
        if (point || (index && (!in_use || range.last >= end_.segment))) continue;
        entries.push_back(entry);
    }
    const std::uint32_t epoch =
        newest_epoch_ + (base::seeded(SeededBug::repair_keeps_epoch) ? 0 : 1);
    file::ManifestEntry cut =
        manifest_entry(file::EntryKind::cut, end_, epoch, meta_.env->now_us());
    cut.next_segment = next_number_;
    entries.push_back(cut);
    return entries;
}

Result<void> Repair::carry_out() {
    os::Env& env = *meta_.env;
    if (cut_) {
        const auto entries = entries_up_to_cut();
        if (entries.size() > file::kManifestSize / file::kManifestEntrySize)
            return failure(ErrorCode::too_large, "the manifest has no room for the cut; salvage",
                           meta_.in("manifest"));
        VARVE_TRY(copy_tail());
        report_.complete = !meter_.cancelled();
        if (!report_.complete) return {};
        VARVE_TRY(extend_short_files());
        // What stays was perhaps never written back: the cut vouches for it.
        for (const OpenedSegment& one : files_.opened) {
            if (one.segment->number() <= end_.segment) VARVE_TRY(one.segment->file().sync());
        }
        VARVE_TRY(sync_names(env, meta_.log_directory()));
        VARVE_TRY(file::write_manifest(env, meta_.path, meta_.manifest_seed(),
                                       meta_.options.file_mode, entries));
    } else if (manifest_lost_ && report_.manifest) {
        // Empty: opening reads the whole log, and looks for what was erased.
        VARVE_TRY(file::write_manifest(env, meta_.path, meta_.manifest_seed(),
                                       meta_.options.file_mode, {}));
    }
    if (report_.control) VARVE_TRY(env.remove(meta_.in("control")));
    for (const std::string& index : report_.indexes) VARVE_TRY(env.remove(meta_.in(index.c_str())));
    return {};
}

/// After an opening, which has told the manifest again what it had forgotten of erasures.
Result<void> Repair::drop_damaged_entries() {
    auto lock = take_lock(meta_);
    if (!lock) return std::move(lock).error();
    auto manifest = file::read_manifest(*meta_.env, meta_.in("manifest"), meta_.manifest_seed());
    if (!manifest) return std::move(manifest).error();
    if (!manifest->damaged) return {};
    return file::write_manifest(*meta_.env, meta_.path, meta_.manifest_seed(),
                                meta_.options.file_mode, manifest->entries);
}

/// Why a store in this state is not to be repaired.
Result<void> check_state(const Diagnosis& found, const std::string& path) {
    const auto refuse = [&](ErrorCode code) {
        return failure(code, found.state + ": " + found.cause + "; nothing was changed", path);
    };
    if (found.open) return refuse(ErrorCode::locked);
    if (found.state == "newer format") return refuse(ErrorCode::unsupported_version);
    const bool none = found.state == "foreign directory" || found.state == "empty" ||
                      found.state == "half-made" || found.state == "damaged store file";
    return none ? refuse(ErrorCode::not_a_store) : Result<void>{};
}

Result<RepairReport> repair(const std::string& path, const RepairOptions& wanted,
                            const OpenOptions& options, const Progress& progress) {
    OpenOptions reading = options;
    reading.access = Access::read_only;
    bool cancelled = false;
    auto found = Store::doctor(path, reading, [&](std::uint64_t done, std::uint64_t total) {
        cancelled = cancelled || (progress && !progress(done, total));
        return !cancelled;
    });
    if (!found) return std::move(found).error();
    if (cancelled) {
        RepairReport nothing;
        nothing.complete = false;
        return nothing;
    }
    VARVE_TRY(check_state(*found, path));
    auto meta = meta_for_reading(path, reading);
    if (!meta) return std::move(meta).error();
    auto backup = (*meta)->env->exists((*meta)->in("backup"));
    if (!backup) return std::move(backup).error();
    if (*backup) {
        return failure(ErrorCode::not_a_store,
                       "this is a backup: it is restored, never repaired; nothing was changed",
                       path);
    }
    Repair one(**meta, progress);
    if (!wanted.confirmed) {
        VARVE_TRY(one.plan(*found));
        return one.take_report();
    }
    {
        auto lock = take_lock(**meta);
        if (!lock) return std::move(lock).error();
        VARVE_TRY(one.plan(*found));
        VARVE_TRY(one.carry_out());
    }
    RepairReport report = one.take_report();
    if (!report.complete) return report;
    // Opening does the rest, as after a crash: cut segments are moved, indexes and page are made.
    OpenOptions writing = options;
    writing.access = Access::read_write;
    writing.create = Create::never;
    auto store = Store::open(path, writing);
    if (!store) return std::move(store).error();
    VARVE_TRY(store->close());
    if (report.manifest) VARVE_TRY(one.drop_damaged_entries());
    report.done = true;
    return report;
}

}  // namespace

}  // namespace store

Result<RepairReport> Store::repair(const std::string& path, const RepairOptions& wanted,
                                   const OpenOptions& options, const Progress& progress) noexcept {
    try {
        return store::repair(path, wanted, options, progress);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to repair", path);
    }
}

}  // namespace v0
}  // namespace varve
