// Backing a store up while it is in use: `Store::backup`.
#include "store/backup.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/attached.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

std::vector<file::ManifestEntry> entries_of_copy(const file::ManifestContent& source,
                                                 const log::LogPoint& end,
                                                 std::uint32_t newest_epoch, std::int64_t now_us) {
    std::vector<file::ManifestEntry> entries(2);
    entries[0].kind = static_cast<std::uint32_t>(file::EntryKind::opened);
    entries[0].epoch = newest_epoch;
    entries[0].time_us = now_us;
    entries[1].kind = static_cast<std::uint32_t>(file::EntryKind::closed);
    entries[1].epoch = end.epoch;
    entries[1].segment = end.segment;
    entries[1].offset = end.offset;
    entries[1].position = end.position;
    entries[1].chain = end.chain;
    entries[1].time_us = now_us;
    // Where the newest erase record stands, so that whoever opens the copy finishes it there.
    for (auto one = source.entries.rbegin(); one != source.entries.rend(); ++one) {
        if (one->kind != static_cast<std::uint32_t>(file::EntryKind::erasing)) continue;
        if (one->position > end.position) continue;
        entries.insert(entries.begin() + 1, *one);
        break;
    }
    return entries;
}

Result<BackupEnd> backup_end(const Meta& backup) noexcept {
    auto manifest = file::read_manifest(*backup.env, backup.in("manifest"), backup.manifest_seed());
    if (!manifest && manifest.error().code != ErrorCode::not_found)
        return std::move(manifest).error();
    const bool whole =
        manifest && !manifest->torn && !manifest->newer && !manifest->entries.empty() &&
        manifest->entries.back().kind == static_cast<std::uint32_t>(file::EntryKind::closed);
    if (!whole) {
        return failure(ErrorCode::corrupt,
                       "the backup's manifest is missing or damaged, so where it ends is not "
                       "known; make a new backup into another directory",
                       backup.in("manifest"));
    }
    const file::ManifestEntry& last = manifest->entries.back();
    return BackupEnd{{last.segment, last.offset, last.position, last.chain, last.epoch},
                     manifest->highest_epoch()};
}

namespace {

/// One run. The steps share what stands here.
class BackupRun {
public:
    BackupRun(Engine& engine, const BackupOptions& options, const Progress& progress)
        : engine_(engine), options_(options), progress_(progress), meter_(progress_) {}

    Result<BackupReport> run(const std::string& target);

private:
    [[nodiscard]] Result<void> look_at_source();
    [[nodiscard]] Result<void> look_at_target(std::string path);
    [[nodiscard]] Result<void> check_same_history() const;
    [[nodiscard]] Result<void> begin_target();
    [[nodiscard]] Result<void> copy_segments(const LogEnds& log);
    [[nodiscard]] Result<void> bring(const LogEnds& log, std::size_t n);
    [[nodiscard]] Result<bool> is_there(const LogEnds& log, std::size_t n);
    [[nodiscard]] Result<void> extend(const LogEnds& log, std::size_t n);
    [[nodiscard]] Result<void> finish();
    [[nodiscard]] Result<void> read_again();

    Engine& engine_;
    const BackupOptions& options_;
    const Progress& progress_;
    Meter meter_;
    View view_;
    log::LogPoint end_{};
    std::vector<SmallFile> consumers_;
    ErasedSet erased_;
    Meta target_;
    std::unique_ptr<os::ForkGuard> lock_;
    bool marked_ = false;    ///< the target is a backup of this store, begun or complete
    bool complete_ = false;  ///< and what `held_` says is in it
    BackupEnd held_{};
    BackupReport report_;
};

/// True if somebody has the store open for writing.
bool has_writer(const Meta& meta) noexcept {
    auto lock = meta.env->open(meta.in("lock"), os::OpenMode::read);
    if (!lock) return false;
    auto held = (*lock)->is_locked();
    return !held || *held;
}

/// Up to where the log is copied.
Result<void> BackupRun::look_at_source() {
    // Checkpoints first: none may lie behind the events that are copied.
    auto consumers = read_small_files(engine_.meta(), "consumers");
    if (!consumers) return std::move(consumers).error();
    consumers_ = std::move(*consumers);
    // What is erased later than this and within what is copied makes the run fail, not the backup.
    auto erased = load_erased(engine_.meta());
    if (!erased) return std::move(erased).error();
    erased_ = std::move(*erased);
    if (Writer* writer = engine_.writer()) {
        auto synced = writer->sync();
        const bool failed = !synced && (synced.error().code == ErrorCode::poisoned ||
                                        synced.error().code == ErrorCode::durability_lost);
        if (!synced && !failed) return std::move(synced).error();
    }
    auto view = engine_.view();
    if (!view) return std::move(view).error();
    view_ = std::move(*view);
    std::uint64_t end = view_.durable;
    const bool may_sync = engine_.writer() == nullptr &&
                          engine_.page_state() != file::WriterState::failed &&
                          !has_writer(engine_.meta());
    if (may_sync && end < view_.published) {
        // Nobody writes: a sync of the files makes durable what they show.
        for (const SegmentPtr& segment : view_.segments->items) {
            if (segment->first() <= view_.published) VARVE_TRY(segment->file().sync());
        }
        end = view_.published;
    }
    if (end > 0 && !point_behind(*view_.segments, end, end_)) {
        return failure(ErrorCode::corrupt,
                       "the end of the log at position " + std::to_string(end) +
                           " cannot be read; `salvage` copies what can be read",
                       engine_.meta().log_directory());
    }
    const LogEnds all{engine_.meta(), *view_.segments, end_};
    if (base::seeded(base::SeededBug::backup_without_tail) && all.count() > 0) {
        end_ = {};
        const std::uint64_t before = view_.segments->items[all.count() - 1]->first() - 1;
        if (before > 0) static_cast<void>(point_behind(*view_.segments, before, end_));
    }
    report_.left_out = view_.published - end;
    report_.end = Position{end_.position};
    return {};
}

/// What stands at the target. Changes nothing.
Result<void> BackupRun::look_at_target(std::string path) {
    const Meta& source = engine_.meta();
    target_ = source;
    target_.path = std::move(path);
    while (target_.path.size() > 1 && target_.path.back() == '/') target_.path.pop_back();
    os::Env& env = *target_.env;
    marked_ = complete_ = false;
    auto there = env.exists(target_.path);
    if (!there) return std::move(there).error();
    if (!*there) return {};
    auto names = env.list(target_.path);
    if (!names) return std::move(names).error();
    const auto is_begun = [](const std::string& name) {
        return name == "lock" || name == "backup.new";
    };
    if (std::all_of(names->begin(), names->end(), is_begun)) return {};
    auto mark = file::read_backup_file(env, target_.in("backup"));
    if (!mark && mark.error().code == ErrorCode::not_found) {
        return failure(ErrorCode::invalid_argument,
                       "the directory holds something that is no backup; nothing was changed: name "
                       "one that is missing or empty, or an earlier backup of this store",
                       target_.path);
    }
    if (!mark) return std::move(mark).error();
    if (mark->uuid != source.file.uuid) {
        return failure(ErrorCode::invalid_argument,
                       "the directory holds a backup of another store; nothing was changed",
                       target_.path);
    }
    marked_ = true;
    auto whole = env.exists(target_.in("varve"));
    if (!whole) return std::move(whole).error();
    if (!*whole) return {};
    auto held = backup_end(target_);
    if (!held) return std::move(held).error();
    held_ = *held;
    complete_ = true;
    return check_same_history();
}

/// The store must have, at the end of the earlier backup, the very commit that ends it.
Result<void> BackupRun::check_same_history() const {
    log::LogPoint here;
    const log::LogPoint& held = held_.point;
    const bool same =
        held.position == 0 ||
        (held.position <= end_.position && point_behind(*view_.segments, held.position, here) &&
         here.segment == held.segment && here.offset == held.offset && here.chain == held.chain);
    if (same) return {};
    return failure(ErrorCode::stale,
                   "the backup goes to position " + std::to_string(held.position) +
                       ", and this store does not continue it there (it ends at " +
                       std::to_string(end_.position) +
                       "): it holds another history; nothing was changed: back up into another "
                       "directory",
                   target_.path);
}

/// The file that says what this directory is going to be, before anything else is in it.
Result<void> BackupRun::begin_target() {
    os::Env& env = *target_.env;
    VARVE_TRY(make_directory_if_missing(target_, target_.path));
    auto lock = take_lock(target_);
    if (!lock) return std::move(lock).error();
    lock_ = std::move(*lock);
    // Another run may have ended while we waited.
    VARVE_TRY(look_at_target(target_.path));
    if (!marked_) {
        file::BackupFile mark;
        mark.uuid = target_.file.uuid;
        mark.created_us = env.now_us();
        std::array<std::byte, file::kBackupFileSize> bytes;
        file::encode_backup_file(bytes, mark);
        VARVE_TRY(file::put_file(env, target_.in("backup"), target_.options.file_mode, bytes));
    }
    // Before anything else gets a name here; an earlier run may not have come so far.
    VARVE_TRY(sync_names(env, target_.path));
    return make_directory_if_missing(target_, target_.log_directory());
}

/// True if an earlier run has brought all of segment `n`.
Result<bool> BackupRun::is_there(const LogEnds& log, std::size_t n) {
    const Segment& segment = *log.list.items[n];
    const std::string path = target_.segment_path(segment.number());
    auto there = target_.env->exists(path);
    if (!there || !*there) return there;
    if (complete_ && segment.number() < held_.point.segment) return true;
    auto file = target_.env->open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    const CopySource from{**file, segment.keys, path, log.erased};
    const Progress nobody;
    Meter quiet(nobody);
    auto end = copy_commits(from, first_point(segment), log.last_position(n), nullptr, quiet);
    return end && log.check_end(n, *end);
}

/// Adds what is new in the segment in which the earlier backup ends, behind its end: until the
/// manifest says otherwise, that is where the backup ends.
Result<void> BackupRun::extend(const LogEnds& log, std::size_t n) {
    Segment& segment = *log.list.items[n];
    const std::string path = target_.segment_path(segment.number());
    auto to = target_.env->open(path, os::OpenMode::read_write);
    if (!to) return std::move(to).error();
    auto size = (*to)->size();
    if (!size) return std::move(size).error();
    if (*size < segment.header.capacity) {
        return failure(ErrorCode::corrupt,
                       "the file of the backup was cut short; make a new backup into another "
                       "directory",
                       path);
    }
    VARVE_TRY((*to)->allocate(std::min(log.size_of(n), *size)));
    const std::string source = log.meta.segment_path(segment.number());
    const CopySource from{segment.file(), segment.keys, source, log.erased};
    auto end = copy_commits(from, held_.point, log.last_position(n), to->get(), meter_);
    if (!end) return std::move(end).error();
    report_.copied_bytes += end->offset - held_.point.offset;
    if (meter_.cancelled()) return {};
    VARVE_TRY(log.check_end(n, *end));
    return (*to)->sync();
}

Result<void> BackupRun::bring(const LogEnds& log, std::size_t n) {
    os::Env& env = *target_.env;
    const Segment& segment = *log.list.items[n];
    const std::string path = target_.segment_path(segment.number());
    if (complete_ && segment.number() == held_.point.segment) return extend(log, n);
    auto there = is_there(log, n);
    if (!there) return std::move(there).error();
    if (*there) {
        meter_.add(log.size_of(n));
        return {};
    }
    auto stale = env.exists(path);
    if (stale && *stale) VARVE_TRY(env.remove(path));
    const bool finished = n + 1 < log.count();
    if (options_.link && finished) {
        const std::string source = log.meta.segment_path(segment.number());
        if (env.link(source, path)) {
            // Linked or copied, it is checked, and durable before the backup counts.
            auto file = env.open(path, os::OpenMode::read);
            if (!file) return std::move(file).error();
            VARVE_TRY((*file)->sync());
            const CopySource from{**file, segment.keys, path, log.erased};
            auto end =
                copy_commits(from, first_point(segment), log.last_position(n), nullptr, meter_);
            if (!end) return std::move(end).error();
            if (!meter_.cancelled()) VARVE_TRY(log.check_end(n, *end));
            ++report_.linked;
            return {};
        }
    }
    const std::uint64_t bytes = log.size_of(n);
    VARVE_TRY(copy_segment(log, n, path, bytes, target_.options.file_mode, meter_));
    report_.copied_bytes += bytes;
    return {};
}

Result<void> BackupRun::copy_segments(const LogEnds& log) {
    report_.segments = log.count();
    for (std::size_t n = 0; n < log.count(); ++n) {
        const bool held = complete_ && log.list.items[n]->number() < held_.point.segment;
        const std::uint64_t before = complete_ && log.list.items[n]->number() == held_.point.segment
                                         ? held_.point.offset
                                         : 0;
        if (!held) meter_.expect(log.size_of(n) - std::min(before, log.size_of(n)));
        if (!held && options_.verify) meter_.expect(log.size_of(n));
    }
    for (std::size_t n = 0; n < log.count() && !meter_.cancelled(); ++n) {
        auto held = complete_ && log.list.items[n]->number() < held_.point.segment
                        ? is_there(log, n)
                        : Result<bool>(false);
        if (!held) return std::move(held).error();
        if (!*held) VARVE_TRY(bring(log, n));
    }
    return sync_names(*target_.env, target_.log_directory());
}

/// Makes what was copied count: the manifest, then the file that makes the directory a store.
Result<void> BackupRun::finish() {
    os::Env& env = *target_.env;
    VARVE_TRY(put_small_files(target_, "consumers", consumers_));
    // Last, so that they say all that the copied events may need; what they say beyond those is for
    // whoever wrote them to notice.
    auto attached = read_attached(engine_.meta());
    if (!attached) return std::move(attached).error();
    VARVE_TRY(check_attached(engine_.meta(), *attached));
    VARVE_TRY(put_small_files(target_, kAttached, *attached));
    auto manifest =
        file::read_manifest(env, engine_.meta().in("manifest"), engine_.meta().manifest_seed());
    if (!manifest && manifest.error().code != ErrorCode::not_found)
        return std::move(manifest).error();
    const auto entries = entries_of_copy(manifest ? *manifest : file::ManifestContent{}, end_,
                                         std::max(view_.epoch, held_.newest_epoch), env.now_us());
    const bool unchanged = complete_ && held_.point == end_;
    if (!unchanged) {
        VARVE_TRY(file::write_manifest(env, target_.path, target_.manifest_seed(),
                                       target_.options.file_mode, entries));
    }
    // Also what an earlier run has named and could not sync.
    VARVE_TRY(sync_names(env, target_.path));
    VARVE_TRY(sync_names(env, target_.parent_directory()));
    if (complete_) return {};
    std::array<std::byte, file::kStoreFileSize> bytes;
    file::encode_store_file(bytes, target_.file);
    VARVE_TRY(file::put_file(env, target_.in("varve"), target_.options.file_mode, bytes));
    return sync_names(env, target_.path);
}

Result<void> BackupRun::read_again() {
    OpenOptions options = target_.options;
    options.access = Access::read_only;
    auto opened = open_backup(target_.path, options);
    if (!opened) return std::move(opened).error();
    const LogEnds log{*opened->meta, *opened->list, opened->end.point, opened->erased.ranges};
    VARVE_TRY(check_log(log, meter_));
    return {};
}

Result<BackupReport> BackupRun::run(const std::string& target) {
    VARVE_TRY(engine_.open_here());
    if (target.empty())
        return failure(ErrorCode::invalid_argument, "the path of the backup is empty");
    VARVE_TRY(look_at_source());
    VARVE_TRY(look_at_target(target));
    VARVE_TRY(begin_target());
    const log::LogPoint held = held_.point;
    if (end_.position > held.position) report_.first = Position{held.position + 1};
    const LogEnds log{engine_.meta(), *view_.segments, end_, erased_.ranges};
    VARVE_TRY(copy_segments(log));
    report_.complete = !meter_.cancelled();
    if (!report_.complete) {
        report_.end = Position{held.position};
        return report_;
    }
    VARVE_TRY(finish());
    if (options_.verify) VARVE_TRY(read_again());
    report_.complete = !meter_.cancelled();
    return report_;
}

}  // namespace

}  // namespace store

Result<BackupReport> Store::backup(const std::string& target, const BackupOptions& options,
                                   const Progress& progress) const noexcept {
    try {
        return store::BackupRun(*engine_, options, progress).run(target);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to back up", target);
    }
}

}  // namespace v0
}  // namespace varve
