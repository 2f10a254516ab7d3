// The last revision and position of streams that were written lately. A miss is safe: the indexes
// know.
//
// Under the writer's lock only. Invariant: an entry holds the stream's name, so a hit needs no
// other look; a stream whose name is too long for an entry is never cached.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "index/key.hpp"

namespace varve::index {

/// Version of a stream and the position of its last event; 0 and 0 if it is empty.
struct Head {
    std::uint64_t version = 0;
    std::uint64_t position = 0;
};

class HeadCache {
public:
    static constexpr std::size_t kNameBytes = 39;

    /// Allocates nothing until the first `put`. `entries`: a power of two.
    explicit HeadCache(std::uint32_t entries = 1U << 17) noexcept : sets_(entries / kWays) {}

    void prefetch(Key key) const noexcept {
        if (entries_ != nullptr) __builtin_prefetch(&entries_[first(key)], 1);
    }
    [[nodiscard]] bool find(Key key, std::string_view stream, Head& head) const noexcept;
    void put(Key key, std::string_view stream, const Head& head) noexcept;

private:
    static constexpr std::uint32_t kWays = 4;
    struct alignas(64) Entry {
        Key key;
        Head head;
        std::uint8_t length;
        char name[kNameBytes];
    };
    static_assert(sizeof(Entry) == 64);
    struct Free {
        void operator()(void* memory) const noexcept;
    };

    [[nodiscard]] std::size_t first(Key key) const noexcept {
        return static_cast<std::size_t>((key >> 3) & (sets_ - 1)) * kWays;
    }
    std::size_t sets_;
    std::unique_ptr<void, Free> memory_;
    Entry* entries_ = nullptr;  ///< in `memory_`, aligned
};

}  // namespace varve::index
