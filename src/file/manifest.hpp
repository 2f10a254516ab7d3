// The manifest: what the writer knows for certain, in numbered entries of 128 bytes, each with a
// checksum.
//
// One thread writes, under the manifest's lock of the store. The file is allocated before use and
// written from the front; a full one is replaced by a compact one. Invariants: an entry is believed
// only if its number follows; after an entry is synced it is never changed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/field.hpp"
#include "os/env.hpp"

namespace varve::file {

inline constexpr std::size_t kManifestEntrySize = 128;
inline constexpr std::size_t kManifestSize = 64 << 10;

enum class EntryKind : std::uint32_t {
    opened = 1,    ///< a writer with this epoch begins to append
    synced = 2,    ///< everything up to this point is durable
    cut = 3,       ///< the log ends here and continues in a new segment
    closed = 4,    ///< the log ended here when its writer closed it
    sealed = 5,    ///< a sealed index of segments `segment`…`next_segment` is in place
    merged = 6,    ///< the same, made of others that it takes the place of
    erasing = 16,  ///< the newest erase record of the log stands at this place, and is durable
    erased = 17,   ///< all that erase records up to that one name is gone, durably
};

/// Bit of a kind: who does not know the kind must not write here. Kinds without it that are not
/// known are kept and mean nothing.
inline constexpr std::uint32_t kMustUnderstand = 0x8000'0000U;

struct ManifestEntry {
    std::uint64_t number = 0;  ///< 1, 2, 3 …
    std::uint32_t kind = 0;    ///< EntryKind
    std::uint32_t epoch = 0;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    std::uint64_t position = 0;
    std::uint32_t chain = 0;
    std::uint32_t reserved = 0;
    std::int64_t time_us = 0;
    std::uint64_t next_segment = 0;    ///< after a cut: no segment below this number continues it;
                                       ///< of a sealed index: its last segment
    std::array<std::byte, 60> zero{};  ///< kinds of later versions may use it
    std::uint32_t crc = 0;             ///< filled in when it is written
};
static_assert(sizeof(ManifestEntry) == kManifestEntrySize);
inline constexpr std::size_t kEntryCrcOffset = offsetof(ManifestEntry, crc);

// clang-format off
inline constexpr base::Field kManifestEntryFields[] = {
    VARVE_FIELD(ManifestEntry, number), VARVE_FIELD(ManifestEntry, kind),
    VARVE_FIELD(ManifestEntry, epoch),
    VARVE_FIELD(ManifestEntry, segment), VARVE_FIELD(ManifestEntry, offset),
    VARVE_FIELD(ManifestEntry, position), VARVE_FIELD(ManifestEntry, chain),
    VARVE_FIELD(ManifestEntry, reserved),
    VARVE_FIELD(ManifestEntry, time_us), VARVE_FIELD(ManifestEntry, next_segment),
    VARVE_FIELD(ManifestEntry, zero), VARVE_FIELD(ManifestEntry, crc)};
// clang-format on

/// The segments that one sealed index covers.
struct SealedRange {
    std::uint64_t first = 0;  ///< segment numbers
    std::uint64_t last = 0;
    friend bool operator==(const SealedRange&, const SealedRange&) noexcept = default;
};

/// What was read: the entries that verify, in order, and whether there was something unreadable.
struct ManifestContent {
    std::vector<ManifestEntry> entries;
    bool torn = false;             ///< some slot holds neither zeros nor an entry
    bool damaged = false;          ///< and a crash in the middle of a write does not explain it
    bool newer = false;            ///< some entry is of a kind that must be understood, and is not
    std::uint64_t damaged_at = 0;  ///< byte offset of the first such slot
    std::uint64_t offset = 0;      ///< where the next entry goes

    /// The last entry that names a place in the log (synced, cut or closed), or null.
    [[nodiscard]] const ManifestEntry* last_point() const noexcept;
    /// The entry of this kind with the highest position, or null.
    [[nodiscard]] const ManifestEntry* furthest(EntryKind kind) const noexcept;
    [[nodiscard]] std::uint32_t highest_epoch() const noexcept;
    /// The sealed indexes that are in use, ascending, none within another.
    [[nodiscard]] std::vector<SealedRange> sealed() const;
};

[[nodiscard]] ManifestContent decode_manifest(base::Bytes bytes, std::uint32_t seed) noexcept;
void encode_entry(std::span<std::byte, kManifestEntrySize> to, const ManifestEntry& entry,
                  std::uint32_t seed) noexcept;

/// Reads the file at `path`. A missing one is an error.
[[nodiscard]] Result<ManifestContent> read_manifest(os::Env& env, const std::string& path,
                                                    std::uint32_t seed) noexcept;

/// Replaces the manifest in `directory` by one that holds `entries`, numbered from 1; durable when
/// it returns. Only where no writer is.
[[nodiscard]] Result<void> write_manifest(os::Env& env, const std::string& directory,
                                          std::uint32_t seed, std::uint32_t permissions,
                                          std::span<const ManifestEntry> entries) noexcept;

/// The writer's end.
class Manifest {
public:
    /// Makes an empty one in directory `directory`, which the caller syncs.
    [[nodiscard]] static Result<void> create(os::Env& env, const std::string& directory,
                                             std::uint32_t permissions, bool durable) noexcept;
    [[nodiscard]] static Result<Manifest> open(os::Env& env, const std::string& directory,
                                               std::uint32_t seed,
                                               std::uint32_t permissions) noexcept;

    [[nodiscard]] const ManifestContent& content() const noexcept { return content_; }

    /// Adds an entry; number and checksum are filled in. `durable`: returns after it was synced.
    [[nodiscard]] Result<void> add(ManifestEntry entry, bool durable) noexcept;
    [[nodiscard]] Result<void> sync() noexcept;

private:
    [[nodiscard]] Result<void> compact() noexcept;

    os::Env* env_ = nullptr;
    std::string directory_;
    std::unique_ptr<os::File> file_;
    std::uint32_t seed_ = 0;
    std::uint32_t permissions_ = 0600;
    ManifestContent content_;
};

}  // namespace varve::file
