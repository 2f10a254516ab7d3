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

bool is_known(std::uint32_t kind) noexcept {
    return (kind >= static_cast<std::uint32_t>(EntryKind::opened) &&
            kind <= static_cast<std::uint32_t>(EntryKind::merged)) ||
           kind == static_cast<std::uint32_t>(EntryKind::erasing) ||
           kind == static_cast<std::uint32_t>(EntryKind::erased);
}

Result<void> make(os::Env& env, const std::string& path, std::uint32_t permissions, Bytes content,
                  bool durable) noexcept {
    auto file = env.open(path, os::OpenMode::create, permissions);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->allocate(kManifestSize));
    if (!content.empty()) VARVE_TRY((*file)->write_at(0, content));
    return durable ? (*file)->sync() : Result<void>{};
}

bool is_index(const ManifestEntry& entry) noexcept {
    return entry.kind == static_cast<std::uint32_t>(EntryKind::sealed) ||
           entry.kind == static_cast<std::uint32_t>(EntryKind::merged);
}

SealedRange range_of(const ManifestEntry& entry) noexcept {
    return {entry.segment, entry.next_segment};
}

}  // namespace

const ManifestEntry* ManifestContent::last_point() const noexcept {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        if (entry->kind > static_cast<std::uint32_t>(EntryKind::opened) &&
            entry->kind <= static_cast<std::uint32_t>(EntryKind::closed))
            return &*entry;
    }
    return nullptr;
}

const ManifestEntry* ManifestContent::furthest(EntryKind kind) const noexcept {
    const ManifestEntry* found = nullptr;
    for (const ManifestEntry& entry : entries) {
        if (entry.kind != static_cast<std::uint32_t>(kind)) continue;
        if (found == nullptr || entry.position >= found->position) found = &entry;
    }
    return found;
}

std::uint32_t ManifestContent::highest_epoch() const noexcept {
    std::uint32_t highest = 0;
    for (const ManifestEntry& entry : entries) highest = std::max(highest, entry.epoch);
    return highest;
}

void encode_entry(std::span<std::byte, kManifestEntrySize> to, const ManifestEntry& entry,
                  std::uint32_t seed) noexcept {
    base::store(to.data(), entry);
    base::store(to.data() + kEntryCrcOffset, base::crc32c(seed, to.first(kEntryCrcOffset)));
}

std::vector<SealedRange> ManifestContent::sealed() const {
    std::vector<SealedRange> ranges;
    for (const ManifestEntry& entry : entries) {
        const SealedRange range = range_of(entry);
        if (!is_index(entry) || range.first == 0 || range.first > range.last) continue;
        std::erase_if(ranges, [&](const SealedRange& other) {
            return other.first <= range.last && range.first <= other.last;
        });
        ranges.push_back(range);
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const SealedRange& a, const SealedRange& b) { return a.first < b.first; });
    return ranges;
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
        content.newer = content.newer || (entry.kind & kMustUnderstand) != 0;
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
    std::vector<std::byte> bytes(std::min<std::uint64_t>(*size, std::uint64_t{kManifestSize} * 16));
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    bytes.resize(*read);
    return decode_manifest(bytes, seed);
}

Result<void> Manifest::create(os::Env& env, const std::string& directory, std::uint32_t permissions,
                              bool durable) noexcept {
    return make(env, directory + kName, permissions, {}, durable);
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
    manifest.content_ = std::move(*content);
    auto file = env.open(directory + kName, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    manifest.file_ = std::move(*file);
    auto size = manifest.file_->size();
    if (!size) return std::move(size).error();
    // A power cut right after creation may have taken its length.
    if (*size < kManifestSize) VARVE_TRY(manifest.file_->allocate(kManifestSize));
    return manifest;
}

Result<void> Manifest::add(ManifestEntry entry, bool durable) noexcept {
    entry.number = content_.entries.empty() ? 1 : content_.entries.back().number + 1;
    VARVE_ASSERT(is_known(entry.kind));
    if (content_.offset + kManifestEntrySize > kManifestSize || content_.torn) VARVE_TRY(compact());
    std::array<std::byte, kManifestEntrySize> raw;
    encode_entry(raw, entry, seed_);
    VARVE_TRY(file_->write_at(content_.offset, raw));
    if (durable) VARVE_TRY(sync());
    content_.offset += kManifestEntrySize;
    content_.entries.push_back(entry);
    return {};
}

Result<void> Manifest::sync() noexcept {
    auto synced = file_->sync();
    // Asked again, the kernel would say yes without having written anything: the next entry makes
    // the file anew.
    if (!synced) content_.torn = true;
    return synced;
}

Result<void> Manifest::compact() noexcept {
    // What later openings need: the newest place in the log, the newest epoch, the cuts, how far
    // erasure is, and what later versions have written.
    const ManifestEntry* point = content_.last_point();
    const ManifestEntry* erasing = content_.furthest(EntryKind::erasing);
    const ManifestEntry* erased = content_.furthest(EntryKind::erased);
    const ManifestEntry* newest = nullptr;
    std::size_t cuts = 0;
    for (const ManifestEntry& entry : content_.entries) {
        if (entry.epoch == content_.highest_epoch()) newest = &entry;
        cuts += entry.kind == static_cast<std::uint32_t>(EntryKind::cut) ? 1U : 0U;
    }
    // The segments behind old cuts are long in `dropped`: of very many only the latest are kept.
    constexpr std::size_t kKeepCuts = kManifestSize / kManifestEntrySize / 4;
    std::vector<ManifestEntry> kept;
    const std::vector<SealedRange> sealed = content_.sealed();
    for (const ManifestEntry& entry : content_.entries) {
        const bool needed = &entry == point || &entry == newest || &entry == erasing ||
                            &entry == erased || !is_known(entry.kind);
        const bool index = is_index(entry) &&
                           std::find(sealed.begin(), sealed.end(), range_of(entry)) != sealed.end();
        const bool cut = entry.kind == static_cast<std::uint32_t>(EntryKind::cut);
        const bool late_cut = cut && cuts <= kKeepCuts;
        cuts -= cut ? 1U : 0U;
        if (needed || index || late_cut) kept.push_back(entry);
    }
    if (kept.size() >= kManifestSize / kManifestEntrySize) {
        return base::failure(ErrorCode::too_large,
                             "the manifest is full of entries that have to be kept",
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
    VARVE_TRY(make(*env_, directory_ + kNewName, permissions_, bytes, true));
    auto file = env_->open(directory_ + kNewName, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    VARVE_TRY(env_->rename(directory_ + kNewName, directory_ + kName));
    VARVE_TRY(env_->sync_directory(directory_));
    file_ = std::move(*file);
    content_.offset = bytes.size();
    content_.entries = std::move(kept);
    content_.damaged = false;
    content_.torn = false;
    return {};
}

}  // namespace varve::file
