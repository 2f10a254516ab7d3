// The operating system as an Env. Linux ≥ 5.14.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "os/posix_error.hpp"
#include "os/posix_file.hpp"

namespace varve {
inline namespace v0 {
namespace os {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr long kXfsMagic = 0x58465342;
constexpr long kF2fsMagic = 0xF2F52010;
constexpr long kZfsMagic = 0x2FC12FC1;
constexpr long kBcachefsMagic = 0xCA451A4E;

FileSystemKind kind_of(long magic) noexcept {
    switch (magic) {
        case EXT4_SUPER_MAGIC:  // ext2, ext3 and ext4 share it
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
        case OVERLAYFS_SUPER_MAGIC:
        case kXfsMagic:
        case kF2fsMagic: return FileSystemKind::mapped;
        case BTRFS_SUPER_MAGIC:
        case kZfsMagic:
        case kBcachefsMagic: return FileSystemKind::copy_on_write;
        default: return FileSystemKind::unsupported;
    }
}

/// Asks a copy-on-write file system to leave this file's blocks where they are. Best effort.
void forbid_copy_on_write(int descriptor) noexcept {
    struct statfs status {};
    if (::fstatfs(descriptor, &status) != 0 ||
        kind_of(status.f_type) != FileSystemKind::copy_on_write)
        return;
    int flags = 0;
    if (::ioctl(descriptor, FS_IOC_GETFLAGS, &flags) != 0) return;
    flags |= FS_NOCOW_FL;
    ::ioctl(descriptor, FS_IOC_SETFLAGS, &flags);
}

timespec to_timespec(std::uint64_t us) noexcept {
    timespec time{};
    time.tv_sec = static_cast<time_t>(us / 1'000'000);
    time.tv_nsec = static_cast<long>(us % 1'000'000 * 1000);
    return time;
}

std::uint64_t clock_us(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

struct futex_waitv watched(const Watched& watched) noexcept {
    struct futex_waitv entry {};
    entry.val = watched.seen;
    entry.uaddr = reinterpret_cast<std::uintptr_t>(watched.word);
    entry.flags = FUTEX_32;
    return entry;
}

/// The 16 bytes of the kernel's boot id; zeros if it does not tell.
std::array<std::byte, 16> read_boot_id() noexcept {
    std::array<std::byte, 16> id{};
    const int descriptor = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return id;
    char text[64] = {};
    const ssize_t length = ::read(descriptor, text, sizeof text - 1);
    ::close(descriptor);
    std::size_t digits = 0;
    for (ssize_t n = 0; n < length && digits < 32; ++n) {
        const char c = text[n];
        const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (value < 0) continue;
        id[digits / 2] |= static_cast<std::byte>(digits % 2 == 0 ? value << 4 : value);
        ++digits;
    }
    return digits == 32 ? id : std::array<std::byte, 16>{};
}

class PosixEnv final : public Env {
public:
    PosixEnv() noexcept : boot_(read_boot_id()) {}
    explicit PosixEnv(std::span<const std::byte, 16> boot) noexcept {
        std::copy(boot.begin(), boot.end(), boot_.begin());
    }

    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                       std::uint32_t permissions) noexcept override {
        const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
                          (mode == OpenMode::read         ? O_RDONLY
                           : mode == OpenMode::read_write ? O_RDWR
                                                          : O_RDWR | O_CREAT | O_EXCL);
        int descriptor = ::open(path.c_str(), flags, static_cast<mode_t>(permissions));
        while (descriptor < 0 && errno == EINTR)
            descriptor = ::open(path.c_str(), flags, static_cast<mode_t>(permissions));
        if (descriptor < 0)
            return posix_error(errno, mode == OpenMode::create ? "cannot create" : "cannot open",
                               path);
        struct stat status {};
        if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
            ::close(descriptor);
            return base::failure(ErrorCode::io, "not a regular file", path);
        }
        if (mode == OpenMode::create) forbid_copy_on_write(descriptor);
        std::unique_ptr<File> file(new (std::nothrow) PosixFile(descriptor, path));
        if (file == nullptr) {
            ::close(descriptor);
            return base::failure(ErrorCode::out_of_memory, "no memory to open a file", path);
        }
        return file;
    }

    Result<void> make_directory(const std::string& path,
                                std::uint32_t permissions) noexcept override {
        if (::mkdir(path.c_str(), static_cast<mode_t>(permissions)) == 0 || errno == EEXIST)
            return {};
        return posix_error(errno, "cannot make the directory", path);
    }

    Result<bool> make_new_directory(const std::string& path,
                                    std::uint32_t permissions) noexcept override {
        if (::mkdir(path.c_str(), static_cast<mode_t>(permissions)) == 0) return true;
        if (errno == EEXIST) return false;
        return posix_error(errno, "cannot make the directory", path);
    }

    Result<std::vector<std::string>> list(const std::string& path) noexcept override {
        DIR* directory = ::opendir(path.c_str());
        if (directory == nullptr) return posix_error(errno, "cannot list the directory", path);
        const std::unique_ptr<DIR, int (*)(DIR*)> owner(directory, &::closedir);
        try {
            std::vector<std::string> names;
            errno = 0;
            while (const dirent* entry = ::readdir(directory)) {
                const std::string_view name = entry->d_name;
                if (name != "." && name != "..") names.emplace_back(name);
            }
            if (errno != 0) return posix_error(errno, "cannot list the directory", path);
            return names;
        } catch (const std::bad_alloc&) {
            return base::failure(ErrorCode::out_of_memory, "no memory to list a directory", path);
        }
    }

    Result<bool> exists(const std::string& path) noexcept override {
        struct stat status {};
        if (::lstat(path.c_str(), &status) == 0) return true;
        if (errno == ENOENT) return false;
        return posix_error(errno, "cannot look for", path);
    }

    Result<NameKind> name_kind(const std::string& path) noexcept override {
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) return NameKind::none;
            return posix_error(errno, "cannot look for", path);
        }
        if (S_ISDIR(status.st_mode)) return NameKind::directory;
        return S_ISREG(status.st_mode) ? NameKind::file : NameKind::other;
    }

    Result<void> rename(const std::string& from, const std::string& to) noexcept override {
        if (::rename(from.c_str(), to.c_str()) != 0)
            return posix_error(errno, "cannot rename", from);
        return {};
    }

    Result<void> remove(const std::string& path) noexcept override {
        if (::unlink(path.c_str()) != 0) return posix_error(errno, "cannot remove", path);
        return {};
    }

    Result<void> remove_directory(const std::string& path) noexcept override {
        if (::rmdir(path.c_str()) != 0) return posix_error(errno, "cannot remove", path);
        return {};
    }

    Result<void> link(const std::string& from, const std::string& to) noexcept override {
        if (::link(from.c_str(), to.c_str()) != 0) return posix_error(errno, "cannot link", to);
        return {};
    }

    Result<void> sync_directory(const std::string& path) noexcept override {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor < 0) return posix_error(errno, "cannot open the directory", path);
        const int failed = ::fsync(descriptor);
        const int number = errno;
        ::close(descriptor);
        if (failed != 0) return posix_error(number, "cannot sync the directory", path);
        return {};
    }

    Result<FileIdentity> identity_of(const std::string& path) noexcept override {
        return posix_identity(-1, path);
    }

    Result<FileSystemKind> file_system(const std::string& path) noexcept override {
        // What does not exist yet will be where its nearest existing parent is.
        std::string at = path;
        struct statfs status {};
        while (::statfs(at.c_str(), &status) != 0) {
            if (errno != ENOENT || at == "/" || at == ".")
                return posix_error(errno, "cannot look at the file system", path);
            const std::size_t slash = at.find_last_of('/');
            at = slash == std::string::npos ? "." : slash == 0 ? "/" : at.substr(0, slash);
        }
        return kind_of(status.f_type);
    }

    void populate(const Mapping& mapping, std::uint64_t offset,
                  std::uint64_t length) noexcept override {
        const std::uint64_t begin = base::align_down(offset, kPage);
        const std::uint64_t end =
            std::min<std::uint64_t>(base::align_up(offset + length, kPage), mapping.size());
        if (begin < end) ::madvise(mapping.data() + begin, end - begin, MADV_POPULATE_WRITE);
    }

    void expect(const Mapping& mapping, Pattern pattern) noexcept override {
        if (mapping.data() == nullptr) return;
        // Not MADV_SEQUENTIAL: with a large read-ahead each fault then walks over all of it again.
        static_cast<void>(::madvise(mapping.data(), mapping.size(),
                                    pattern == Pattern::random ? MADV_RANDOM : MADV_NORMAL));
    }
    void let_go(const Mapping& mapping, std::uint64_t offset,
                std::uint64_t length) noexcept override {
        const std::uint64_t begin = base::align_up(offset, kPage);
        const std::uint64_t end =
            base::align_down(std::min<std::uint64_t>(offset + length, mapping.size()), kPage);
        if (begin < end) ::madvise(mapping.data() + begin, end - begin, MADV_DONTNEED);
    }

    bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::uint64_t timeout_us) noexcept override {
        const timespec timeout = to_timespec(timeout_us);
        const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
        return !(result == -1 && errno == ETIMEDOUT);
    }

    bool wait_on_any(std::span<const Watched> words, std::uint64_t timeout_us) noexcept override {
        VARVE_ASSERT(!words.empty() && words.size() <= kMostWatched);
        struct futex_waitv waits[kMostWatched] = {};
        for (std::size_t n = 0; n < words.size(); ++n) waits[n] = watched(words[n]);
        const timespec until = to_timespec(clock_us(CLOCK_MONOTONIC) + timeout_us);
        const long result =
            ::syscall(SYS_futex_waitv, waits, words.size(), 0, &until, CLOCK_MONOTONIC);
        if (result >= 0 || errno == EAGAIN || errno == EINTR) return true;
        if (errno == ETIMEDOUT) return false;
        // Linux before 5.16, or a sandbox that does not know the call.
        constexpr std::uint64_t kNapUs = 20'000;
        const std::uint64_t nap_us = timeout_us < kNapUs ? timeout_us : kNapUs;
        return wait_on(*words[0].word, words[0].seen, nap_us) || nap_us < timeout_us;
    }

    void wake_all(const std::atomic<std::uint32_t>& word) noexcept override {
        ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }

    std::int64_t now_us() noexcept override {
        return static_cast<std::int64_t>(clock_us(CLOCK_REALTIME));
    }
    std::uint64_t monotonic_us() noexcept override { return clock_us(CLOCK_MONOTONIC); }

    void random(MutableBytes into) noexcept override {
        std::size_t done = 0;
        while (done < into.size()) {
            const ssize_t got = ::getrandom(into.data() + done, into.size() - done, 0);
            if (got > 0) done += static_cast<std::size_t>(got);
        }
    }

    void boot_id(std::span<std::byte, 16> into) noexcept override {
        std::copy(boot_.begin(), boot_.end(), into.begin());
    }

    std::string self() noexcept override {
        char host[256] = {};
        ::gethostname(host, sizeof host - 1);
        return "process " + std::to_string(::getpid()) + " (" + program_invocation_short_name +
               ") on " + host;
    }

    bool has_threads() const noexcept override { return true; }

    void begin_background_thread() noexcept override {
        ::prctl(PR_SET_NAME, "varve");
        ::prctl(PR_SET_TIMERSLACK, 1);  // nanoseconds; the default of 50 µs is longer than the naps
    }

private:
    std::array<std::byte, 16> boot_{};
};

}  // namespace

Env& posix_env() noexcept {
    static PosixEnv env;
    return env;
}

std::unique_ptr<Env> posix_env_of_boot(std::span<const std::byte, 16> boot) {
    return std::make_unique<PosixEnv>(boot);
}

}  // namespace os
}  // namespace v0
}  // namespace varve
