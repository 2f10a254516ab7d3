// The file `varve`: 128 bytes that make a directory a store. Written last at creation, never
// changed.
//
// Thread rule: plain data. Invariant: a newer format is recognised and refused before anything else
// is read.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/field.hpp"
#include "varve/result.hpp"

namespace varve::file {

inline constexpr std::uint64_t kStoreMagic =
    0x0A0D1A4556524156ULL;  // "VARVE" and bytes that text transfers would change
inline constexpr std::uint16_t kFormatMajor = 1;
inline constexpr std::uint16_t kFormatMinor = 0;
inline constexpr std::size_t kStoreFileSize = 128;

struct StoreFile {
    std::uint64_t magic = kStoreMagic;
    std::uint16_t major = kFormatMajor;
    std::uint16_t minor = kFormatMinor;
    std::uint32_t hash_bits = 64;  ///< of the keys of names; fewer only in tests of collisions
    std::uint64_t must_understand =
        0;  ///< features: who does not know one of them must not open the store
    std::uint64_t may_ignore = 0;
    std::array<std::byte, 16> uuid{};
    std::uint64_t secret = 0;  ///< of the keyed hashes and of the segments' salts
    std::uint64_t segment_size_first = 0;
    std::uint64_t segment_size_max = 0;
    std::int64_t created_us = 0;
};
static_assert(sizeof(StoreFile) == 80);
inline constexpr std::size_t kStoreFileCrcOffset = 124;

// clang-format off
inline constexpr base::Field kStoreFileFields[] = {
    VARVE_FIELD(StoreFile, magic), VARVE_FIELD(StoreFile, major), VARVE_FIELD(StoreFile, minor),
    VARVE_FIELD(StoreFile, hash_bits),
    VARVE_FIELD(StoreFile, must_understand), VARVE_FIELD(StoreFile, may_ignore),
    VARVE_FIELD(StoreFile, uuid), VARVE_FIELD(StoreFile, secret),
    VARVE_FIELD(StoreFile, segment_size_first), VARVE_FIELD(StoreFile, segment_size_max),
    VARVE_FIELD(StoreFile, created_us),
    {"zero", sizeof(StoreFile), kStoreFileCrcOffset - sizeof(StoreFile)},
    {"crc", kStoreFileCrcOffset, 4}};
// clang-format on

void encode_store_file(std::span<std::byte, kStoreFileSize> to, const StoreFile& content) noexcept;

/// Errors: `unsupported_version` for a newer format, `corrupt` for anything that is not a whole
/// store file.
[[nodiscard]] Result<StoreFile> decode_store_file(base::Bytes bytes,
                                                  const std::string& path) noexcept;

}  // namespace varve::file
