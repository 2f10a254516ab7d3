// CRC32C (Castagnoli) of bytes: the checksum of every header, record and commit.
//
// Thread rule: any thread. `crc32c` picks the fastest implementation of this CPU once;
// `crc32c_portable` is its plain twin and oracle. Both continue: crc32c(crc32c(seed, a), b) ==
// crc32c(seed, a followed by b).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace varve::base {

/// Continues `crc` over `bytes`. Start with any 32-bit seed; 0 gives the standard CRC32C.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) noexcept;

/// The same by table, eight bytes a step. Used where the CPU has no instruction for it, and by
/// tests.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t crc, Bytes bytes) noexcept;

/// Continues `crc` over the eight bytes of `value`, little-endian. For seeds and chains.
[[nodiscard]] inline std::uint32_t crc32c_u64(std::uint32_t crc, std::uint64_t value) noexcept {
    return crc32c(crc, Bytes{reinterpret_cast<const std::byte*>(&value), sizeof value});
}

namespace detail {
using Crc32cFunction = std::uint32_t (*)(std::uint32_t, const std::byte*, std::size_t) noexcept;
/// The implementation for this CPU's instructions, or null.
[[nodiscard]] Crc32cFunction crc32c_accelerated() noexcept;
}  // namespace detail

}  // namespace varve::base
