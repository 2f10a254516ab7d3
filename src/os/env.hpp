// The one door to the kernel: files, mappings, syncs, locks, clocks, wake-ups, random numbers.
//
// Two implementations: the operating system (`posix_env()`) and the simulation that can cut the
// power (`sim_env.hpp`). With mapped files every call here is cold, so plain virtual functions cost
// nothing on the hot path. Thread rule: Env from any thread; a File from any thread unless a method
// says otherwise. Source of the idea: LevelDB's Env; SQLite's crash VFS.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "varve/result.hpp"

namespace varve {
inline namespace v0 {
namespace os {

using base::Bytes;
using base::MutableBytes;

/// A range of a file mapped shared into memory. Owns the mapping, move-only. Unmaps when destroyed.
class Mapping {
public:
    using Unmap = void (*)(std::byte* data, std::size_t size) noexcept;

    Mapping() noexcept = default;
    Mapping(std::byte* data, std::size_t size, Unmap unmap) noexcept
        : data_(data), size_(size), unmap_(unmap) {}
    Mapping(Mapping&& other) noexcept { swap(other); }
    Mapping& operator=(Mapping&& other) noexcept {
        Mapping gone(std::move(other));
        swap(gone);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (data_ != nullptr && unmap_ != nullptr) unmap_(data_, size_);
    }

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] Bytes bytes() const noexcept { return {data_, size_}; }

private:
    void swap(Mapping& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(unmap_, other.unmap_);
    }
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    Unmap unmap_ = nullptr;
};

/// Which file this is, across processes and over time. An unmounted file system has lost its
/// unsynced pages, so the mount belongs to the identity. `mount` is 0 where the kernel does not
/// tell: then nothing may be trusted.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t birth_ns = 0;
    std::uint64_t mount = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) noexcept = default;
};

enum class MapAccess : std::uint8_t { read, read_write };

/// Tells when a file was changed through the system by whatever program: written, made longer or
/// shorter, its times set. Stores through mappings are not told. One thread at a time; outlives the
/// file it comes from.
class Watch {
public:
    virtual ~Watch() = default;
    /// Sleeps until something has changed since the watch began or since the last call, at most
    /// `timeout_us`. May wake for no reason. False on time-out.
    virtual bool wait(std::uint64_t timeout_us) noexcept = 0;
};

/// An open file. Closes when destroyed. Offsets and lengths in bytes.
class File {
public:
    virtual ~File() = default;

    /// Reads up to `into.size()` bytes at `offset`; fewer only at the end of the file. Returns how
    /// many.
    virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) noexcept = 0;
    virtual Result<void> write_at(std::uint64_t offset, Bytes bytes) noexcept = 0;
    /// Reserves blocks for [0, size) and makes the file that long. Never shrinks. `no_space` leaves
    /// the file usable.
    virtual Result<void> allocate(std::uint64_t size) noexcept = 0;
    /// Reserves blocks for [0, size) and leaves the length as it is: what is written there later
    /// finds its space. `unsupported_filesystem` where the file system cannot do that.
    virtual Result<void> reserve(std::uint64_t size) noexcept = 0;
    /// Makes the file `size` bytes long, which is at most its length. A process that touches a
    /// mapping behind the new end dies, so only formats that define shortening do this.
    virtual Result<void> shorten(std::uint64_t size) noexcept = 0;
    /// Sets the times of access and change to now, which watchers of the file are told of: stores
    /// through a mapping tell them nothing.
    virtual Result<void> touch() noexcept = 0;
    virtual Result<std::uint64_t> size() noexcept = 0;
    /// Bytes of the disk that the file takes: less than its size where it has holes.
    virtual Result<std::uint64_t> disk_size() noexcept = 0;
    /// From here on the file is known to hold only zeros, without reading it: what was allocated
    /// and never written. Its size if that is not known.
    virtual Result<std::uint64_t> zeros_from() noexcept = 0;
    /// Maps [0, size) shared. The caller has made sure that the file is that long.
    virtual Result<Mapping> map(std::size_t size, MapAccess access) noexcept = 0;
    /// Maps [0, size) shared, also beyond the end of the file: what lies there may be touched once
    /// the file has grown to it, so that growth needs no new mapping.
    virtual Result<Mapping> map_ahead(std::size_t size, MapAccess access) noexcept = 0;
    /// Makes [offset, offset + length) of a mapped file durable; `mapping` is the map it was stored
    /// through. After an error the pages count as clean: repeating the call proves nothing.
    virtual Result<void> sync_range(const Mapping& mapping, std::uint64_t offset,
                                    std::uint64_t length) noexcept = 0;
    /// Makes the whole file durable: data, and what is needed to find it.
    virtual Result<void> sync() noexcept = 0;
    /// Gives whole pages of [offset, offset + length) back; they read as zeros. Best effort.
    virtual Result<void> punch(std::uint64_t offset, std::uint64_t length) noexcept = 0;
    /// Takes the exclusive kernel lock of this file without waiting. False if another holder has
    /// it.
    virtual Result<bool> try_lock() noexcept = 0;
    /// Gives the lock back at once, even if a forked child still has this open file.
    virtual void unlock() noexcept = 0;
    /// True if some other open file holds the lock, or that of a byte. Takes nothing.
    virtual Result<bool> is_locked() noexcept = 0;
    /// Takes the exclusive kernel lock of the one byte at `offset`, which need not exist, without
    /// waiting. The lock of the whole file is in its way, and it in the way of that one. `unlock`
    /// gives it back.
    virtual Result<bool> try_lock_byte(std::uint64_t offset) noexcept = 0;
    /// True if some other open file holds the lock of this byte, or of the whole file.
    virtual Result<bool> is_byte_locked(std::uint64_t offset) noexcept = 0;
    virtual Result<FileIdentity> identity() noexcept = 0;
    /// Watches this file. An error if the system gives no more watches: then somebody has to look
    /// again and again, as where `file_system` is `unsupported`, since other hosts are not seen.
    virtual Result<std::unique_ptr<Watch>> watch() noexcept = 0;
};

enum class OpenMode : std::uint8_t {
    read,
    read_write,
    create,  ///< must not exist; made with the given permissions
};

/// What a name stands for. Symbolic links are not followed.
enum class NameKind : std::uint8_t { none, file, directory, other };

enum class FileSystemKind : std::uint8_t {
    mapped,         ///< ext4, xfs, tmpfs: stores into mappings are safe once the space is allocated
    copy_on_write,  ///< btrfs: needs the no-copy attribute
    unsupported,    ///< network and user-space file systems
};

/// A word that others change, and what it was when it was looked at.
struct Watched {
    const std::atomic<std::uint32_t>* word = nullptr;
    std::uint32_t seen = 0;
};
inline constexpr std::size_t kMostWatched = 8;

/// Sees what is stored through mappings, so that a simulation can take it back.
class StoreObserver {
public:
    virtual ~StoreObserver() = default;
    /// [at, at + length) was just stored to. `at` lies in a mapping of this Env.
    virtual void note(const std::byte* at, std::size_t length) noexcept = 0;
    /// The caller holds no lock: what other threads may do between two of its steps may happen now.
    virtual void gap() noexcept {}
};

class Env {
public:
    virtual ~Env() = default;

    /// Opens a regular file; refuses to follow a symbolic link. `permissions` counts for `create`
    /// only.
    virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                               std::uint32_t permissions = 0600) noexcept = 0;
    virtual Result<void> make_directory(const std::string& path,
                                        std::uint32_t permissions) noexcept = 0;
    /// Makes a directory that must not exist. False if there is something of that name.
    virtual Result<bool> make_new_directory(const std::string& path,
                                            std::uint32_t permissions) noexcept = 0;
    /// Names in a directory, without "." and "..", in no particular order.
    virtual Result<std::vector<std::string>> list(const std::string& path) noexcept = 0;
    virtual Result<bool> exists(const std::string& path) noexcept = 0;
    virtual Result<NameKind> name_kind(const std::string& path) noexcept = 0;
    /// Replaces `to` if it exists.
    virtual Result<void> rename(const std::string& from, const std::string& to) noexcept = 0;
    virtual Result<void> remove(const std::string& path) noexcept = 0;
    /// Removes an empty directory.
    virtual Result<void> remove_directory(const std::string& path) noexcept = 0;
    /// Gives the file a second name, which must not exist. Fails on another file system.
    virtual Result<void> link(const std::string& from, const std::string& to) noexcept = 0;
    /// Makes the names in directory `path` durable.
    virtual Result<void> sync_directory(const std::string& path) noexcept = 0;
    virtual Result<FileIdentity> identity_of(const std::string& path) noexcept = 0;
    virtual Result<FileSystemKind> file_system(const std::string& path) noexcept = 0;

    /// Makes pages of a writable mapping present, so that stores do not fault. Best effort.
    virtual void populate(const Mapping& mapping, std::uint64_t offset,
                          std::uint64_t length) noexcept = 0;

    /// Says how a mapping will be read from the disk: one page here and there, or from front to
    /// back so that the system reads far ahead. Best effort.
    enum class Pattern : std::uint8_t { random, sequential };
    virtual void expect(const Mapping& mapping, Pattern pattern) noexcept = 0;

    /// Takes a range of a mapping out of this process's page tables: the content stays and comes
    /// back when it is touched. A sync of it then need not interrupt other processors for each
    /// page. Best effort.
    virtual void let_go(const Mapping& mapping, std::uint64_t offset,
                        std::uint64_t length) noexcept = 0;

    /// Sleeps while `*word == expected`, at most `timeout_us`. May wake for no reason. False on
    /// time-out.
    virtual bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                         std::uint64_t timeout_us) noexcept = 0;
    /// The same for up to kMostWatched words, at least one: sleeps while none has changed. Where
    /// the system cannot wait for several it naps, and wakes for no reason.
    virtual bool wait_on_any(std::span<const Watched> words, std::uint64_t timeout_us) noexcept = 0;
    /// Wakes everyone who waits on `word`, in every process that maps it.
    virtual void wake_all(const std::atomic<std::uint32_t>& word) noexcept = 0;

    [[nodiscard]] virtual std::int64_t now_us() noexcept = 0;  ///< since 1970; may jump
    [[nodiscard]] virtual std::uint64_t
    monotonic_us() noexcept = 0;  ///< since some start; never goes back
    virtual void random(MutableBytes into) noexcept = 0;
    /// Names this boot of the machine, 16 bytes; all zero if unknown: then nothing may be trusted.
    virtual void boot_id(std::span<std::byte, 16> into) noexcept = 0;
    /// Who we are, for messages to people: process id, host, program.
    [[nodiscard]] virtual std::string self() noexcept = 0;
    /// False in the simulation: then the store does its background work inline, so that a seed
    /// decides everything.
    [[nodiscard]] virtual bool has_threads() const noexcept = 0;
    /// Called first by a background thread of ours: names it and asks for naps of microseconds.
    virtual void begin_background_thread() noexcept {}
    /// Null for the operating system.
    [[nodiscard]] virtual StoreObserver* observer() noexcept { return nullptr; }
};

/// The operating system. Lives for ever.
Env& posix_env() noexcept;
/// The operating system, but `boot` is what it calls this boot of the machine: for measuring and
/// testing what comes after a restart.
[[nodiscard]] std::unique_ptr<Env> posix_env_of_boot(std::span<const std::byte, 16> boot);

}  // namespace os
}  // namespace v0
}  // namespace varve
