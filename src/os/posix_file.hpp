// An open file of the operating system.
//
// Any thread. Invariant: the descriptor belongs to this object and closes with it; mappings outlive
// it.
#pragma once

#include <string>

#include "os/env.hpp"

struct flock;

namespace varve {
inline namespace v0 {
namespace os {

class PosixFile final : public File {
public:
    PosixFile(int descriptor, std::string path) noexcept
        : descriptor_(descriptor), path_(std::move(path)) {}
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;
    ~PosixFile() override;

    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) noexcept override;
    Result<void> write_at(std::uint64_t offset, Bytes bytes) noexcept override;
    Result<void> allocate(std::uint64_t size) noexcept override;
    Result<void> reserve(std::uint64_t size) noexcept override;
    Result<void> shorten(std::uint64_t size) noexcept override;
    Result<void> touch() noexcept override;
    Result<std::uint64_t> size() noexcept override;
    Result<std::uint64_t> disk_size() noexcept override;
    Result<std::uint64_t> zeros_from() noexcept override;
    Result<Mapping> map(std::size_t size, MapAccess access) noexcept override;
    Result<Mapping> map_ahead(std::size_t size, MapAccess access) noexcept override;
    Result<void> sync_range(const Mapping& mapping, std::uint64_t offset,
                            std::uint64_t length) noexcept override;
    Result<void> sync() noexcept override;
    Result<void> punch(std::uint64_t offset, std::uint64_t length) noexcept override;
    Result<bool> try_lock() noexcept override;
    void unlock() noexcept override;
    Result<bool> is_locked() noexcept override;
    Result<bool> try_lock_byte(std::uint64_t offset) noexcept override;
    Result<bool> is_byte_locked(std::uint64_t offset) noexcept override;
    Result<FileIdentity> identity() noexcept override;
    Result<std::unique_ptr<Watch>> watch() noexcept override;

private:
    [[nodiscard]] Result<bool> take(struct ::flock lock) noexcept;
    [[nodiscard]] Result<bool> is_taken(struct ::flock lock) noexcept;

    int descriptor_;
    std::string path_;
};

/// Watches an open file. `path` for messages.
[[nodiscard]] Result<std::unique_ptr<Watch>> posix_watch(int descriptor,
                                                         const std::string& path) noexcept;

/// Identity of an open file, or of `path` in the directory AT_FDCWD if `descriptor` is negative.
[[nodiscard]] Result<FileIdentity> posix_identity(int descriptor, const std::string& path) noexcept;

}  // namespace os
}  // namespace v0
}  // namespace varve
