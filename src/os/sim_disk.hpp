// A simulated disk under a simulated page cache: what every sector could hold after a power cut.
//
// One thread. A file's cache is what processes see; per sector of 512 bytes all versions since its
// last sync are kept, the durable one apart. Names in directories, sizes and bytes become durable
// independently of each other. Invariants: a cache never moves while it is mapped; only what was
// noted can ever reach the disk. Source of the idea: SQLite's crash VFS; ALICE (Pillai et al., OSDI
// 2014).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace varve {
inline namespace v0 {
namespace os {

inline constexpr std::uint64_t kSimSector = 512;
inline constexpr std::uint64_t kSimPage = 4096;

/// A small fast generator: equal seeds give equal worlds.
class SimRandom {
public:
    explicit SimRandom(std::uint64_t seed) noexcept
        : state_(seed * 0x9E3779B97F4A7C15ULL + 0xD1B54A32D192ED03ULL) {}
    std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ mixed >> 30U) * 0xBF58476D1CE4E5B9ULL;
        mixed = (mixed ^ mixed >> 27U) * 0x94D049BB133111EBULL;
        return mixed ^ mixed >> 31U;
    }
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

private:
    std::uint64_t state_;
};

/// How a power cut chooses among what may have reached the disk.
struct SimCut {
    enum class Style : std::uint8_t {
        everything,  ///< all that was stored
        nothing,     ///< only what was synced
        mixed,       ///< each sector, size and name for itself, stores cut at any eight bytes
        pages,       ///< page by page as `mask` says, for trying every combination
    };
    Style style = Style::mixed;
    std::uint64_t mask = 0;
};

/// Page-aligned zeroed memory that is used again after it was given back.
class SimMemory {
public:
    SimMemory() noexcept = default;
    explicit SimMemory(std::size_t capacity);
    SimMemory(SimMemory&& other) noexcept { swap(other); }
    SimMemory& operator=(SimMemory&& other) noexcept {
        swap(other);
        return *this;
    }
    ~SimMemory();
    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// How many mappings of the memory at `data` there are; kept in front of it.
    [[nodiscard]] static std::uint32_t& mappings(std::byte* data) noexcept {
        return *reinterpret_cast<std::uint32_t*>(data - kSimPage);
    }

private:
    void swap(SimMemory& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(capacity_, other.capacity_);
    }
    std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
};

class SimInode {
public:
    using Sector = std::array<std::byte, kSimSector>;

    SimInode(std::uint64_t number, std::int64_t birth_ns) noexcept
        : number_(number), birth_ns_(birth_ns) {}

    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] std::int64_t birth_ns() const noexcept { return birth_ns_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::byte* cache() const noexcept { return cache_.data(); }
    [[nodiscard]] bool contains(const std::byte* at) const noexcept {
        return cache_.data() != nullptr && at >= cache_.data() && at < cache_.data() + size_;
    }

    void grow(std::uint64_t size);
    /// Of what is cut off, the old bytes or zeros are on the disk until the next sync.
    void shorten(std::uint64_t size);
    /// Memory for a file of that size, so that it can grow while it is mapped.
    void make_room(std::uint64_t size);
    /// The bytes at [offset, offset + length) of the cache have been stored.
    void note(std::uint64_t offset, std::uint64_t length);
    void sync(std::uint64_t offset, std::uint64_t length);
    /// The write-back failed: the pages count as clean, and any of their versions may be on the
    /// disk.
    void lose(std::uint64_t offset, std::uint64_t length, SimRandom& random);
    [[nodiscard]] std::uint64_t dirty_pages() const noexcept;

    /// As a process that was not killed would see it.
    [[nodiscard]] std::shared_ptr<SimInode> copy() const;
    /// As the disk would show it. `page` counts the dirty pages for style `pages`.
    [[nodiscard]] std::shared_ptr<SimInode> after_cut(const SimCut& cut, SimRandom& random,
                                                      std::uint64_t& page) const;

    void* lock_holder = nullptr;                ///< the open file that holds the lock
    std::map<std::uint64_t, void*> byte_locks;  ///< and those that hold the lock of one byte
    std::uint64_t changes = 0;                  ///< calls that watchers are told of; stores are not

private:
    void choose(Sector& sector, const std::vector<Sector>& versions,
                SimRandom& random) const noexcept;
    [[nodiscard]] Sector durable_sector(std::uint64_t n) const noexcept;

    std::uint64_t number_;
    std::int64_t birth_ns_;
    std::uint64_t size_ = 0;
    std::uint64_t durable_size_ = 0;
    SimMemory cache_;
    std::map<std::uint64_t, Sector> disk_;                   ///< sectors that differ from zeros
    std::map<std::uint64_t, std::vector<Sector>> versions_;  ///< since the last sync, oldest first
};

}  // namespace os
}  // namespace v0
}  // namespace varve
