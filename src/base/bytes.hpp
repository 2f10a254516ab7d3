// Loads and stores of little-endian numbers in raw bytes, and checked access to untrusted spans.
//
// Thread rule: plain functions. Invariant: nothing here forms a pointer outside the span it was
// given.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace varve::base {

static_assert(std::endian::native == std::endian::little, "the on-disk format is little-endian");

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// Reads a T at `from`; the caller has checked that sizeof(T) bytes are there. No alignment needed.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] inline T load(const std::byte* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

/// Writes `value` at `to`; the caller has checked that there is room. No alignment needed.
template <class T>
    requires std::is_trivially_copyable_v<T>
inline void store(std::byte* to, const T& value) noexcept {
    std::memcpy(to, &value, sizeof(T));
}

/// True if `length` bytes at `offset` lie inside `size` bytes. Cannot overflow.
[[nodiscard]] constexpr bool fits(std::uint64_t offset, std::uint64_t length,
                                  std::uint64_t size) noexcept {
    return offset <= size && length <= size - offset;
}

[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value,
                                               std::uint64_t alignment) noexcept {
    return (value + alignment - 1) & ~(alignment - 1);
}

[[nodiscard]] constexpr std::uint64_t align_down(std::uint64_t value,
                                                 std::uint64_t alignment) noexcept {
    return value & ~(alignment - 1);
}

[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// True if every byte is zero. Padding and reserved fields are checked with it.
[[nodiscard]] inline bool all_zero(Bytes bytes) noexcept {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t seen = 0;
    for (; left >= sizeof(std::uint64_t);
         left -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
        seen |= load<std::uint64_t>(at);
    }
    for (; left > 0; --left, ++at) seen |= std::to_integer<std::uint64_t>(*at);
    return seen == 0;
}

}  // namespace varve::base
