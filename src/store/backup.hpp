// What a backup directory holds, as it was found: for going on with it and for restoring it.
//
// One thread. Layout: `backup` (written first), `log/`, `consumers/`, `manifest` with one `closed`
// entry, `varve` (written last). Invariant: up to the `closed` entry everything is there and
// durable; what lies behind it belongs to a run that has not ended.
#pragma once

#include "file/backup_file.hpp"
#include "file/manifest.hpp"
#include "store/log_copy.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Where the log in a complete backup ends, and the newest epoch in it.
struct BackupEnd {
    log::LogPoint point{};
    std::uint32_t newest_epoch = 0;
};

/// Reads the manifest of a complete backup. `corrupt` if it does not say where the backup ends.
[[nodiscard]] Result<BackupEnd> backup_end(const Meta& backup) noexcept;

/// The entries of a copy's manifest: who may write from now on, what `source` says of erasure, and
/// where the log ends.
[[nodiscard]] std::vector<file::ManifestEntry> entries_of_copy(const file::ManifestContent& source,
                                                               const log::LogPoint& end,
                                                               std::uint32_t newest_epoch,
                                                               std::int64_t now_us);

/// Opens a complete backup and reads every commit of it. `not_found` if there is none, `corrupt` if
/// it is incomplete or damaged.
struct CheckedBackup {
    std::shared_ptr<const Meta> meta;
    BackupEnd end{};
    SegmentListPtr list;
    ErasedSet erased;
};
[[nodiscard]] Result<CheckedBackup> open_backup(const std::string& path,
                                                const OpenOptions& options);

}  // namespace store
}  // namespace v0
}  // namespace varve
