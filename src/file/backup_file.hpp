// The file `backup`: 64 bytes that say that a directory is a backup, and of which store.
//
// Thread rule: plain data. Invariant: written first and never changed, so that an interrupted
// backup is known for one; nobody opens a directory that has it for writing.
#pragma once

#include <array>
#include <cstdint>

#include "base/field.hpp"
#include "os/env.hpp"

namespace varve::file {

inline constexpr std::uint64_t kBackupMagic = 0x31504B42'45565256ULL;  // "VRVEBKP1"
inline constexpr std::uint32_t kBackupFormat = 1;
inline constexpr std::size_t kBackupFileSize = 64;

struct BackupFile {
    std::uint64_t magic = kBackupMagic;
    std::uint32_t format = kBackupFormat;
    std::uint32_t reserved = 0;
    std::array<std::byte, 16> uuid{};  ///< of the store
    std::int64_t created_us = 0;       ///< when the first run began
    std::array<std::byte, 20> zero{};
    std::uint32_t crc = 0;  ///< filled in when it is written
};
static_assert(sizeof(BackupFile) == kBackupFileSize);
inline constexpr std::size_t kBackupCrcOffset = offsetof(BackupFile, crc);

// clang-format off
inline constexpr base::Field kBackupFileFields[] = {
    VARVE_FIELD(BackupFile, magic), VARVE_FIELD(BackupFile, format),
    VARVE_FIELD(BackupFile, reserved), VARVE_FIELD(BackupFile, uuid),
    VARVE_FIELD(BackupFile, created_us), VARVE_FIELD(BackupFile, zero),
    VARVE_FIELD(BackupFile, crc)};
// clang-format on

void encode_backup_file(std::span<std::byte, kBackupFileSize> to,
                        const BackupFile& content) noexcept;

/// Errors: `not_found` if there is none, `unsupported_version`, `corrupt`.
[[nodiscard]] Result<BackupFile> read_backup_file(os::Env& env, const std::string& path) noexcept;

/// Writes `bytes` to the new file `path`.new, syncs it and gives it its name. A stale `.new` is
/// replaced. The caller syncs the directory.
[[nodiscard]] Result<void> put_file(os::Env& env, const std::string& path,
                                    std::uint32_t permissions, base::Bytes bytes) noexcept;

}  // namespace varve::file
