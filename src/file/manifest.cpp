#include "file/manifest.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"

namespace varve::file {

using base::Bytes;

namespace {

constexpr const char* kName = "/manifest";
constexpr const char* kNewName = "/manifest.new";

Result<void> make(os::Env& env, const std::string& path, std::uint32_t permissions, Bytes content,
                  std::uint64_t size, bool durable) noexcept {
    auto file = env.open(path, os::OpenMode::create, permissions);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->allocate(size));
    if (!content.empty()) VARVE_TRY((*file)->write_at(0, content));
    return durable ? (*file)->sync() : Result<void>{};
}

}  // namespace

const ManifestEntry* ManifestContent::last_point() const noexcept {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        const bool opened = entry->kind == static_cast<std::uint32_t>(EntryKind::opened);
        if (is_known(entry->kind) && !opened) return &*entry;
    }
    return nullptr;
}

std::uint32_t ManifestContent::highest_epoch() const noexcept {
    std::uint32_t highest = 0;
    for (const ManifestEntry& entry : entries) highest = std::max(highest, entry.epoch);
    return highest;
}

bool ManifestContent::needs_newer() const noexcept {
    return std::any_of(entries.begin(), entries.end(), [](const ManifestEntry& entry) {
        return !is_known(entry.kind) && (entry.kind & kMustUnderstandKind) != 0;
    });
}

void encode_entry(std::span<std::byte, kManifestEntrySize> to, const ManifestEntry& entry,
                  std::uint32_t seed) noexcept {
    base::store(to.data(), entry);
    base::store(to.data() + kEntryCrcOffset, base::crc32c(seed, to.first(kEntryCrcOffset)));
}

ManifestContent decode_manifest(Bytes bytes, std::uint32_t seed) noexcept {
    // Entries stand in the order of their numbers, so each says where the first one stood: a
    // damaged one in between costs only itself.
    ManifestContent content;
    std::uint64_t base_number = 0;
    for (std::uint64_t slot = 0;
         base::fits(slot * kManifestEntrySize, kManifestEntrySize, bytes.size()); ++slot) {
        const Bytes raw = bytes.subspan(slot * kManifestEntrySize, kManifestEntrySize);
        if (base::all_zero(raw)) continue;
        const auto entry = base::load<ManifestEntry>(raw.data());
        const bool whole = base::load<std::uint32_t>(raw.data() + kEntryCrcOffset) ==
                           base::crc32c(seed, raw.first(kEntryCrcOffset));
        const bool placed =
            content.entries.empty() ? entry.number > slot : entry.number == base_number + slot;
        if (!whole || !placed || entry.kind == 0) {
            // A crash in the middle of a write leaves the end of the entry, its checksum, as it
            // was: zero.
            content.torn = true;
            const bool cut_short = base::all_zero(raw.subspan(kEntryCrcOffset));
            if (!content.damaged && !cut_short) content.damaged_at = slot * kManifestEntrySize;
            content.damaged = content.damaged || !cut_short;
            continue;
        }
        if (content.entries.empty()) base_number = entry.number - slot;
        content.entries.push_back(entry);
        content.offset = (slot + 1) * kManifestEntrySize;
    }
    return content;
}

Result<ManifestContent> read_manifest(os::Env& env, const std::string& path,
                                      std::uint32_t seed) noexcept {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    std::vector<std::byte> bytes(std::min<std::uint64_t>(*size, kManifestSizeMax));
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    bytes.resize(*read);
    return decode_manifest(bytes, seed);
}

Result<void> Manifest::create(os::Env& env, const std::string& directory, std::uint32_t permissions,
                              bool durable) noexcept {
    return make(env, directory + kName, permissions, {}, kManifestSize, durable);
}

Result<Manifest> Manifest::open(os::Env& env, const std::string& directory, std::uint32_t seed,
                                std::uint32_t permissions) noexcept {
    Manifest manifest;
    manifest.env_ = &env;
    manifest.directory_ = directory;
    manifest.seed_ = seed;
    manifest.permissions_ = permissions;
    auto content = read_manifest(env, directory + kName, seed);
    if (!content) return std::move(content).error();
    if (content->needs_newer()) {
        return base::failure(ErrorCode::unsupported_version,
                             "the manifest holds an entry of a newer version; use a newer varve to "
                             "open the store for writing",
                             directory + kName);
    }
    manifest.content_ = std::move(*content);
    auto file = env.open(directory + kName, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    manifest.file_ = std::move(*file);
    auto size = manifest.file_->size();
    if (!size) return std::move(size).error();
    // A power cut right after creation may have taken its length.
    if (*size < kManifestSize) VARVE_TRY(manifest.file_->allocate(kManifestSize));
    manifest.size_ = std::clamp<std::uint64_t>(*size, kManifestSize, kManifestSizeMax);
    return manifest;
}

Result<void> Manifest::add(ManifestEntry entry, bool durable) noexcept {
    entry.number = content_.entries.empty() ? 1 : content_.entries.back().number + 1;
    VARVE_ASSERT(is_known(entry.kind));
    if (content_.offset + kManifestEntrySize > size_ || content_.torn) VARVE_TRY(compact());
    std::array<std::byte, kManifestEntrySize> raw;
    encode_entry(raw, entry, seed_);
    VARVE_TRY(file_->write_at(content_.offset, raw));
    if (durable) VARVE_TRY(file_->sync());
    content_.offset += kManifestEntrySize;
    content_.entries.push_back(entry);
    return {};
}

Result<void> Manifest::sync() noexcept { return file_->sync(); }

Result<void> Manifest::compact() noexcept {
    // What later openings need: the newest epoch, the newest place in the log, the cuts, and
    // whatever a newer version has written.
    std::vector<ManifestEntry> kept;
    const ManifestEntry* point = content_.last_point();
    const ManifestEntry* newest = nullptr;
    for (const ManifestEntry& entry : content_.entries) {
        if (newest == nullptr || entry.epoch >= newest->epoch) newest = &entry;
    }
    for (const ManifestEntry& entry : content_.entries) {
        const bool cut = entry.kind == static_cast<std::uint32_t>(EntryKind::cut);
        if (&entry == point || &entry == newest || cut || !is_known(entry.kind))
            kept.push_back(entry);
    }
    // Half of the file stays free, so that the work is worth it.
    std::uint64_t size = kManifestSize;
    while (kept.size() * kManifestEntrySize * 2 > size) size *= 2;
    if (size > kManifestSizeMax) {
        return base::failure(ErrorCode::too_large, "the manifest has no room for another entry",
                             directory_ + kName);
    }
    const std::uint64_t last_number = content_.entries.empty() ? 0 : content_.entries.back().number;
    std::vector<std::byte> bytes(kept.size() * kManifestEntrySize);
    for (std::size_t n = 0; n < kept.size(); ++n) {
        kept[n].number = last_number - (kept.size() - 1 - n);
        encode_entry(std::span<std::byte, kManifestEntrySize>(&bytes[n * kManifestEntrySize],
                                                              kManifestEntrySize),
                     kept[n], seed_);
    }
    auto stale = env_->exists(directory_ + kNewName);
    if (stale && *stale) VARVE_TRY(env_->remove(directory_ + kNewName));
    VARVE_TRY(make(*env_, directory_ + kNewName, permissions_, bytes, size, true));
    auto file = env_->open(directory_ + kNewName, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    VARVE_TRY(env_->rename(directory_ + kNewName, directory_ + kName));
    VARVE_TRY(env_->sync_directory(directory_));
    file_ = std::move(*file);
    size_ = size;
    content_.offset = bytes.size();
    content_.entries = std::move(kept);
    content_.damaged = false;
    content_.torn = false;
    return {};
}

}  // namespace varve::file
