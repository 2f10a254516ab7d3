#include "os/posix_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "os/posix_error.hpp"

namespace varve {
inline namespace v0 {
namespace os {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr unsigned kMountIdUnique =
    0x4000;  // STATX_MNT_ID_UNIQUE, Linux 6.8; the older id is used again after a unmount

/// Calls until it is not interrupted by a signal.
template <class Call>
auto uninterrupted(Call&& call) noexcept {
    auto result = call();
    while (result == -1 && errno == EINTR) result = call();
    return result;
}

void unmap(std::byte* data, std::size_t size) noexcept { ::munmap(data, size); }

struct flock whole_file_lock() noexcept {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

struct flock byte_lock(std::uint64_t offset) noexcept {
    struct flock lock = whole_file_lock();
    lock.l_start = static_cast<off_t>(offset);
    lock.l_len = 1;
    return lock;
}

}  // namespace

PosixFile::~PosixFile() { ::close(descriptor_); }

Result<std::size_t> PosixFile::read_at(std::uint64_t offset, MutableBytes into) noexcept {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got = uninterrupted([&] {
            return ::pread(descriptor_, into.data() + done, into.size() - done,
                           static_cast<off_t>(offset + done));
        });
        if (got < 0) return posix_error(errno, "cannot read", path_, offset + done);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Result<void> PosixFile::write_at(std::uint64_t offset, Bytes bytes) noexcept {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = uninterrupted([&] {
            return ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                            static_cast<off_t>(offset + done));
        });
        if (put <= 0)
            return posix_error(put == 0 ? EIO : errno, "cannot write", path_, offset + done);
        done += static_cast<std::size_t>(put);
    }
    return {};
}

Result<void> PosixFile::allocate(std::uint64_t size) noexcept {
    const int failed =
        uninterrupted([&] { return ::fallocate(descriptor_, 0, 0, static_cast<off_t>(size)); });
    if (failed == 0) return {};
    if (errno != EOPNOTSUPP) return posix_error(errno, "cannot allocate space", path_, size);
    // Zeros in small writes: large ones make large folios, and each later sync of a few bytes would
    // write a whole one.
    auto from = this->size();
    if (!from) return std::move(from).error();
    static const std::array<std::byte, 64 << 10> zeros{};
    for (std::uint64_t at = *from; at < size;) {
        const std::uint64_t length = std::min<std::uint64_t>(zeros.size(), size - at);
        VARVE_TRY(write_at(at, Bytes{zeros}.first(length)));
        at += length;
    }
    return {};
}

Result<void> PosixFile::reserve(std::uint64_t size) noexcept {
    const int failed = uninterrupted(
        [&] { return ::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)); });
    if (failed == 0) return {};
    if (errno == EOPNOTSUPP)
        return base::failure(ErrorCode::unsupported_filesystem,
                             "cannot reserve space: the file system does not know how", path_);
    return posix_error(errno, "cannot reserve space", path_, size);
}

Result<void> PosixFile::shorten(std::uint64_t size) noexcept {
    const int failed =
        uninterrupted([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); });
    if (failed != 0) return posix_error(errno, "cannot shorten the file", path_, size);
    return {};
}

Result<void> PosixFile::touch() noexcept {
    if (::futimens(descriptor_, nullptr) != 0)
        return posix_error(errno, "cannot set the times of the file", path_);
    return {};
}

Result<std::uint64_t> PosixFile::size() noexcept {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0)
        return posix_error(errno, "cannot look at the file", path_);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<std::uint64_t> PosixFile::disk_size() noexcept {
    constexpr std::uint64_t kBlock =
        512;  // st_blocks counts in these, whatever the file system's are
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0)
        return posix_error(errno, "cannot look at the file", path_);
    return static_cast<std::uint64_t>(status.st_blocks) * kBlock;
}

/// What SEEK_DATA passes over reads as zeros: holes, and blocks that were reserved and never
/// written, unless a page in memory has been stored to.
Result<std::uint64_t> PosixFile::zeros_from() noexcept {
    auto whole = size();
    if (!whole) return whole;
    constexpr int kMostPieces = 4096;
    off_t at = 0;
    for (int n = 0; n < kMostPieces; ++n) {
        const off_t data = ::lseek(descriptor_, at, SEEK_DATA);
        if (data < 0) return errno == ENXIO ? static_cast<std::uint64_t>(at) : *whole;
        const off_t hole = ::lseek(descriptor_, data, SEEK_HOLE);
        if (hole <= data) return *whole;
        at = hole;
    }
    return *whole;
}

Result<Mapping> PosixFile::map(std::size_t size, MapAccess access) noexcept {
    const int protection = access == MapAccess::read ? PROT_READ : PROT_READ | PROT_WRITE;
    void* data = ::mmap(nullptr, size, protection, MAP_SHARED, descriptor_, 0);
    if (data == MAP_FAILED) return posix_error(errno, "cannot map the file", path_);
    return Mapping(static_cast<std::byte*>(data), size, &unmap);
}

Result<Mapping> PosixFile::map_ahead(std::size_t size, MapAccess access) noexcept {
    return map(size, access);  // the kernel gives out pages as they are touched
}

Result<void> PosixFile::sync_range(const Mapping& mapping, std::uint64_t offset,
                                   std::uint64_t length) noexcept {
    const std::uint64_t begin = base::align_down(offset, kPage);
    const std::uint64_t end =
        std::min<std::uint64_t>(base::align_up(offset + length, kPage), mapping.size());
    VARVE_ASSERT(begin <= end);
    const int failed =
        uninterrupted([&] { return ::msync(mapping.data() + begin, end - begin, MS_SYNC); });
    if (failed != 0) return posix_error(errno, "cannot sync", path_, offset);
    return {};
}

Result<void> PosixFile::sync() noexcept {
    const int failed = uninterrupted([&] { return ::fdatasync(descriptor_); });
    if (failed != 0) return posix_error(errno, "cannot sync", path_);
    return {};
}

Result<void> PosixFile::punch(std::uint64_t offset, std::uint64_t length) noexcept {
    const std::uint64_t begin = base::align_up(offset, kPage);
    const std::uint64_t end = base::align_down(offset + length, kPage);
    if (begin >= end) return {};
    const int failed = uninterrupted([&] {
        return ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(begin), static_cast<off_t>(end - begin));
    });
    if (failed != 0 && errno != EOPNOTSUPP)
        return posix_error(errno, "cannot give space back", path_, begin);
    return {};
}

Result<bool> PosixFile::take(struct flock lock) noexcept {
    if (uninterrupted([&] { return ::fcntl(descriptor_, F_OFD_SETLK, &lock); }) == 0) return true;
    if (errno == EAGAIN || errno == EACCES) return false;
    return posix_error(errno, "cannot lock", path_);
}

Result<bool> PosixFile::is_taken(struct flock lock) noexcept {
    if (uninterrupted([&] { return ::fcntl(descriptor_, F_OFD_GETLK, &lock); }) != 0)
        return posix_error(errno, "cannot look at the lock", path_);
    return lock.l_type != F_UNLCK;
}

Result<bool> PosixFile::try_lock() noexcept { return take(whole_file_lock()); }
Result<bool> PosixFile::is_locked() noexcept { return is_taken(whole_file_lock()); }

Result<bool> PosixFile::try_lock_byte(std::uint64_t offset) noexcept {
    return take(byte_lock(offset));
}
Result<bool> PosixFile::is_byte_locked(std::uint64_t offset) noexcept {
    return is_taken(byte_lock(offset));
}

void PosixFile::unlock() noexcept {
    struct flock lock = whole_file_lock();
    lock.l_type = F_UNLCK;
    ::fcntl(descriptor_, F_OFD_SETLK, &lock);
}

Result<std::unique_ptr<Watch>> PosixFile::watch() noexcept {
    return posix_watch(descriptor_, path_);
}

Result<FileIdentity> PosixFile::identity() noexcept { return posix_identity(descriptor_, path_); }

Result<FileIdentity> posix_identity(int descriptor, const std::string& path) noexcept {
    struct statx found {};
    const unsigned wanted = STATX_INO | STATX_BTIME | kMountIdUnique;
    const int failed = descriptor >= 0
                           ? ::statx(descriptor, "", AT_EMPTY_PATH, wanted, &found)
                           : ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, wanted, &found);
    if (failed != 0) return posix_error(errno, "cannot look at the file", path);
    FileIdentity identity;
    identity.device = std::uint64_t{found.stx_dev_major} << 32 | found.stx_dev_minor;
    identity.inode = found.stx_ino;
    if ((found.stx_mask & STATX_BTIME) != 0) {
        identity.birth_ns = found.stx_btime.tv_sec * 1'000'000'000 + found.stx_btime.tv_nsec;
    }
    if ((found.stx_mask & kMountIdUnique) != 0) identity.mount = found.stx_mnt_id;
    return identity;
}

}  // namespace os
}  // namespace v0
}  // namespace varve
