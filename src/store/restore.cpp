// A store made of a backup: `Store::restore`.
#include <algorithm>
#include <limits>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/attached.hpp"
#include "store/backup.hpp"
#include "store/engine.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

Result<CheckedBackup> open_backup(const std::string& path, const OpenOptions& options) {
    os::Env& env = options.env != nullptr ? *options.env : os::posix_env();
    auto mark = file::read_backup_file(env, path + "/backup");
    if (!mark && mark.error().code == ErrorCode::not_found)
        return failure(ErrorCode::not_found, "there is no backup here", path);
    if (!mark) return std::move(mark).error();
    auto whole = env.exists(path + "/varve");
    if (!whole) return std::move(whole).error();
    if (!*whole) {
        return failure(ErrorCode::corrupt,
                       "the backup is incomplete: the run that made it was interrupted; run it "
                       "again",
                       path);
    }
    CheckedBackup opened;
    OpenOptions reading = options;
    reading.force_filesystem = true;  // copies may lie anywhere; nobody writes here
    auto meta = meta_for_reading(path, reading);
    if (!meta) return std::move(meta).error();
    opened.meta = std::move(*meta);
    if (mark->uuid != opened.meta->file.uuid)
        return failure(ErrorCode::corrupt, "the backup is mixed with another store's", path);
    auto end = backup_end(*opened.meta);
    if (!end) return std::move(end).error();
    opened.end = *end;
    auto files = open_files(*opened.meta, {}, os::MapAccess::read);
    if (!files) return std::move(files).error();
    auto list = chain_of(*opened.meta, *files, opened.end.point.segment);
    if (!list) return std::move(list).error();
    opened.list = std::move(*list);
    auto erased = load_erased(*opened.meta);
    if (!erased) return std::move(erased).error();
    opened.erased = std::move(*erased);
    if (opened.list->items.empty() || opened.list->items.front()->first() == 1) return opened;
    return failure(ErrorCode::corrupt, "the first segment of the backup is missing", path);
}

namespace {

/// An epoch that no other life of this store is likely to have: what the copy appends is a history
/// of its own, and readers that come from another one must notice.
Result<std::uint32_t> epoch_of_copy(os::Env& env, std::uint32_t newest) noexcept {
    constexpr std::uint32_t kSpread = 1U << 20U;
    std::array<std::byte, 4> random{};
    env.random(random);
    const std::uint32_t jump = 1 + base::load<std::uint32_t>(random.data()) % kSpread;
    if (newest < std::numeric_limits<std::uint32_t>::max() - 2 * kSpread) return newest + jump;
    return failure(ErrorCode::too_large,
                   "this store was restored too often: copy it into a new one with `salvage`");
}

Result<void> fill(const CheckedBackup& backup, const LogEnds& log,
                  std::span<const SmallFile> attached, const Meta& target, std::uint32_t epoch,
                  Meter& meter) {
    os::Env& env = *target.env;
    std::array<std::byte, file::kStoreFileSize> bytes;
    file::encode_store_file(bytes, target.file);
    // Until it gets its last name the directory is a half-made store, which nobody opens.
    const std::string fresh = target.in("varve.new");
    auto file = env.open(fresh, os::OpenMode::create, target.options.file_mode);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->write_at(0, bytes));
    VARVE_TRY((*file)->sync());
    for (const std::string& one : {target.log_directory(), target.index_directory()})
        VARVE_TRY(make_directory_if_missing(target, one));
    for (std::size_t n = 0; n < log.count(); ++n) {
        const Segment& segment = *log.list.items[n];
        // The last one is written to: all of its space is reserved.
        const bool last = n + 1 == log.count();
        VARVE_TRY(copy_segment(log, n, target.segment_path(segment.number()),
                               last ? segment.header.capacity : log.size_of(n),
                               target.options.file_mode, meter));
        if (meter.cancelled()) return {};
    }
    VARVE_TRY(sync_names(env, target.log_directory()));
    auto consumers = read_small_files(*backup.meta, "consumers");
    if (!consumers) return std::move(consumers).error();
    VARVE_TRY(put_small_files(target, "consumers", *consumers));
    VARVE_TRY(put_small_files(target, kAttached, attached));
    auto manifest =
        file::read_manifest(env, backup.meta->in("manifest"), backup.meta->manifest_seed());
    if (!manifest) return std::move(manifest).error();
    VARVE_TRY(file::write_manifest(env, target.path, target.manifest_seed(),
                                   target.options.file_mode,
                                   entries_of_copy(*manifest, log.end, epoch, env.now_us())));
    VARVE_TRY(env.rename(fresh, target.in("varve")));
    VARVE_TRY(sync_names(env, target.path));
    return sync_names(env, target.parent_directory());
}

Result<RestoreReport> restore(const std::string& from, const std::string& to,
                              const OpenOptions& options, const Progress& progress) {
    OpenOptions reading = options;
    reading.access = Access::read_only;
    os::Env& env = options.env != nullptr ? *options.env : os::posix_env();
    VARVE_TRY(check_vacant(env, to));
    auto backup = open_backup(from, reading);
    if (!backup) return std::move(backup).error();
    const LogEnds log{*backup->meta, *backup->list, backup->end.point, backup->erased.ranges};
    Meter meter(progress);
    for (std::size_t n = 0; n < log.count(); ++n) meter.expect(2 * log.size_of(n));
    VARVE_TRY(check_log(log, meter));
    auto attached = read_attached(*backup->meta);
    if (!attached) return std::move(attached).error();
    VARVE_TRY(check_attached(*backup->meta, *attached));
    auto epoch = epoch_of_copy(env, backup->end.newest_epoch);
    if (!epoch) return std::move(epoch).error();
    RestoreReport report;
    report.end = Position{log.end.position};
    report.epoch = *epoch;
    report.segments = log.count();
    for (std::size_t n = 0; n < log.count(); ++n) report.bytes += log.size_of(n);
    report.complete = !meter.cancelled();
    if (!report.complete) return report;
    Meta target = *backup->meta;
    target.path = to;
    while (target.path.size() > 1 && target.path.back() == '/') target.path.pop_back();
    VARVE_TRY(make_directory_if_missing(target, target.path));
    auto lock = take_lock(target);
    if (!lock) {
        if (lock.error().code != ErrorCode::locked)
            static_cast<void>(env.remove(target.in("lock")).has_value());
        static_cast<void>(env.remove_directory(target.path).has_value());
        return std::move(lock).error();
    }
    auto names = env.list(target.path);
    if (!names) return std::move(names).error();
    const bool alone = names->size() == 1 && names->front() == "lock";
    if (!alone) {
        return failure(ErrorCode::invalid_argument,
                       "somebody else has just put something there; nothing was changed", to);
    }
    auto filled = fill(*backup, log, *attached, target, *epoch, meter);
    report.complete = !meter.cancelled();
    if (!filled || !report.complete) remove_unfinished(target);
    if (!filled) return std::move(filled).error();
    return report;
}

}  // namespace

}  // namespace store

Result<RestoreReport> Store::restore(const std::string& backup, const std::string& target,
                                     const OpenOptions& options,
                                     const Progress& progress) noexcept {
    try {
        return store::restore(backup, target, options, progress);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to restore", backup);
    }
}

}  // namespace v0
}  // namespace varve
