// The numbers of the store, one type each, so that a position is never mistaken for a byte offset.
//
// Thread rule: plain values. Invariant: no type here converts to another one or from a bare
// integer.
#pragma once

#include <compare>
#include <cstdint>

namespace varve {
inline namespace v0 {

namespace detail {

/// A 64-bit unsigned number with a meaning of its own. `Tag` only makes the type distinct.
template <class Tag>
struct Number {
    std::uint64_t value = 0;

    constexpr Number() noexcept = default;
    constexpr explicit Number(std::uint64_t v) noexcept : value(v) {}

    friend constexpr auto operator<=>(Number, Number) noexcept = default;
    friend constexpr bool operator==(Number, Number) noexcept = default;

    [[nodiscard]] constexpr Number next() const noexcept { return Number{value + 1}; }
    [[nodiscard]] constexpr Number plus(std::uint64_t n) const noexcept {
        return Number{value + n};
    }
};

}  // namespace detail

/// Order of an event in the whole store: 1-based, without gaps. 0 means "before everything".
using Position = detail::Number<struct PositionTag>;

/// Order of an event inside its stream: 1-based. 0 means "no stream" or, as a version, "empty".
using Revision = detail::Number<struct RevisionTag>;

/// Distance in bytes from the start of a file.
using ByteOffset = detail::Number<struct ByteOffsetTag>;

/// How much an append waits for. Each level includes the one before it.
enum class Durability : std::uint8_t {
    os,  ///< visible to every process; survives kill -9; a power cut may lose the newest events
    interval,  ///< as `os`, and a background sync follows within the configured interval
    disk,      ///< a sync that covers the append has succeeded
};

}  // namespace v0
}  // namespace varve
