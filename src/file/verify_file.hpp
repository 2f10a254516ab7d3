// The file `verify.state`: how far an interrupted verification has come, and what it found.
//
// Thread rule: plain data. Invariant: no promise of the store rests on it; one that is missing,
// damaged or of another state of the store means that the verification begins again.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/field.hpp"
#include "os/env.hpp"
#include "varve/maintenance.hpp"

namespace varve::file {

inline constexpr std::uint64_t kVerifyMagic = 0x31594656'45565256ULL;  // "VRVEVFY1"
inline constexpr std::uint32_t kVerifyFormat = 1;
inline constexpr const char* kVerifyFileName = "verify.state";
/// Larger ones are neither written nor read: so much damage is found again by reading.
inline constexpr std::uint64_t kMaxVerifyFileSize = 16 << 20;

struct VerifyHeader {
    std::uint64_t magic = kVerifyMagic;
    std::uint32_t format = kVerifyFormat;
    std::uint32_t crc = 0;             ///< of all that follows; filled in when it is written
    std::array<std::byte, 16> uuid{};  ///< of the store
    std::uint64_t segments = 0;        ///< the first so many were checked, all but the newest
    std::uint32_t fingerprint = 0;     ///< of their files, as they were
    std::uint32_t epoch = 0;           ///< of the manifest
    std::uint64_t erasing = 0;         ///< position of the newest erase record, 0: none
    std::uint64_t events = 0;          ///< found so far, as the following
    std::uint64_t commits = 0;
    std::uint64_t bytes = 0;
    std::uint64_t erased = 0;
    std::uint64_t point_segment = 0;  ///< where the last checked commit ends
    std::uint64_t point_offset = 0;
    std::uint64_t point_position = 0;
    std::uint32_t point_chain = 0;
    std::uint32_t point_epoch = 0;
    std::uint32_t chain_known = 0;  ///< 1: the last segment was whole
    std::uint32_t damaged = 0;      ///< damaged places that follow
};
static_assert(sizeof(VerifyHeader) == 128);

/// One damaged place; the name of its file and what is wrong follow as bytes.
struct VerifyDamage {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t first = 0;  ///< positions, 0: unknown
    std::uint64_t last = 0;
    std::uint32_t file_length = 0;  ///< in bytes
    std::uint32_t what_length = 0;  ///< in bytes
};
static_assert(sizeof(VerifyDamage) == 40);

// clang-format off
inline constexpr base::Field kVerifyHeaderFields[] = {
    VARVE_FIELD(VerifyHeader, magic), VARVE_FIELD(VerifyHeader, format),
    VARVE_FIELD(VerifyHeader, crc), VARVE_FIELD(VerifyHeader, uuid),
    VARVE_FIELD(VerifyHeader, segments), VARVE_FIELD(VerifyHeader, fingerprint),
    VARVE_FIELD(VerifyHeader, epoch), VARVE_FIELD(VerifyHeader, erasing),
    VARVE_FIELD(VerifyHeader, events), VARVE_FIELD(VerifyHeader, commits),
    VARVE_FIELD(VerifyHeader, bytes), VARVE_FIELD(VerifyHeader, erased),
    VARVE_FIELD(VerifyHeader, point_segment), VARVE_FIELD(VerifyHeader, point_offset),
    VARVE_FIELD(VerifyHeader, point_position), VARVE_FIELD(VerifyHeader, point_chain),
    VARVE_FIELD(VerifyHeader, point_epoch), VARVE_FIELD(VerifyHeader, chain_known),
    VARVE_FIELD(VerifyHeader, damaged)};
inline constexpr base::Field kVerifyDamageFields[] = {
    VARVE_FIELD(VerifyDamage, offset), VARVE_FIELD(VerifyDamage, length),
    VARVE_FIELD(VerifyDamage, first), VARVE_FIELD(VerifyDamage, last),
    VARVE_FIELD(VerifyDamage, file_length), VARVE_FIELD(VerifyDamage, what_length)};
// clang-format on

/// What the file says. The files of `damaged` are named relative to the store's directory.
struct VerifyState {
    VerifyHeader header{};
    std::vector<Damage> damaged;
};

/// Replaces the file at `path`; synced, the name is not. Error `too_large` above
/// `kMaxVerifyFileSize`, and those of the file system.
[[nodiscard]] Result<void> write_verify_state(os::Env& env, const std::string& path,
                                              std::uint32_t permissions, const VerifyState& state);

/// Errors: `not_found` if there is none, `corrupt` if it cannot be believed or is of a newer
/// format.
[[nodiscard]] Result<VerifyState> read_verify_state(os::Env& env, const std::string& path);

}  // namespace varve::file
