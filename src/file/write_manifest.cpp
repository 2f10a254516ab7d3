// A whole manifest at once, for copies of a store and for one whose manifest was damaged.
#include "base/assert.hpp"
#include "file/backup_file.hpp"
#include "file/manifest.hpp"

namespace varve::file {

Result<void> write_manifest(os::Env& env, const std::string& directory, std::uint32_t seed,
                            std::uint32_t permissions,
                            std::span<const ManifestEntry> entries) noexcept {
    VARVE_ASSERT(entries.size() <= kManifestSize / kManifestEntrySize);
    std::vector<std::byte> bytes(kManifestSize);
    std::uint64_t number = 0;
    for (ManifestEntry entry : entries) {
        entry.number = ++number;
        encode_entry(std::span<std::byte, kManifestEntrySize>(
                         &bytes[(number - 1) * kManifestEntrySize], kManifestEntrySize),
                     entry, seed);
    }
    VARVE_TRY(put_file(env, directory + "/manifest", permissions, bytes));
    return env.sync_directory(directory);
}

}  // namespace varve::file
