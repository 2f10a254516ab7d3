#include "file/backup_file.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"

namespace varve::file {

void encode_backup_file(std::span<std::byte, kBackupFileSize> to,
                        const BackupFile& content) noexcept {
    base::store(to.data(), content);
    base::store(to.data() + kBackupCrcOffset, base::crc32c(0, to.first(kBackupCrcOffset)));
}

Result<BackupFile> read_backup_file(os::Env& env, const std::string& path) noexcept {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    std::array<std::byte, kBackupFileSize + 1> raw{};
    auto read = (*file)->read_at(0, raw);
    if (!read) return std::move(read).error();
    const auto content = base::load<BackupFile>(raw.data());
    if (*read >= kBackupFileSize && content.magic == kBackupMagic && content.format > kBackupFormat)
        return base::failure(ErrorCode::unsupported_version,
                             "a backup of a newer format; use a newer varve", path);
    const bool whole = *read == kBackupFileSize && content.magic == kBackupMagic &&
                       content.format == kBackupFormat &&
                       content.crc == base::crc32c(0, base::Bytes{raw}.first(kBackupCrcOffset));
    if (whole) return content;
    return base::failure(ErrorCode::corrupt, "the file that marks a backup is damaged", path);
}

Result<void> put_file(os::Env& env, const std::string& path, std::uint32_t permissions,
                      base::Bytes bytes) noexcept {
    const std::string fresh = path + ".new";
    auto stale = env.exists(fresh);
    if (!stale) return std::move(stale).error();
    if (*stale) VARVE_TRY(env.remove(fresh));
    auto file = env.open(fresh, os::OpenMode::create, permissions);
    if (!file) return std::move(file).error();
    if (!bytes.empty()) VARVE_TRY((*file)->allocate(bytes.size()));
    VARVE_TRY((*file)->write_at(0, bytes));
    VARVE_TRY((*file)->sync());
    return env.rename(fresh, path);
}

}  // namespace varve::file
