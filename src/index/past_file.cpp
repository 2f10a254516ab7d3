#include "index/past_file.hpp"

#include <tuple>

#include "base/crc32c.hpp"

namespace varve::index {

namespace {

constexpr std::uint32_t kSeed = 0x54534150;
constexpr std::size_t kCrcOffset = offsetof(PastHeader, header_crc);

}  // namespace

log::Fault PastFile::open(base::Bytes file, const log::Uuid& uuid, PastFile& to) noexcept {
    if (file.size() < kPastHeaderSize) return "shorter than its header";
    to.file_ = file;
    to.header_ = base::load<PastHeader>(file.data());
    const PastHeader& header = to.header_;
    if (header.magic != kPastMagic) return "its first bytes are not those of a list of the past";
    if (header.format > kPastFormat) return log::kWrittenByNewer;
    if (base::crc32c(kSeed, file.first(kCrcOffset)) != header.header_crc)
        return "its header fails its checksum";
    if (header.reserved != 0 || header.reserved2 != 0 || header.reserved3 != 0)
        return "its header holds bytes that should be zero";
    if (header.uuid != uuid) return "it belongs to another store";
    const std::uint64_t events = header.last_position - header.first_position + 1;
    const bool sane = header.first_position >= 1 && header.first_position <= header.last_position &&
                      events <= ~0U && header.first_definition >= 1 &&
                      header.first_definition <= header.last_definition;
    if (!sane) return "its header contradicts itself";
    const std::uint64_t rest = file.size() - kPastHeaderSize;
    const std::uint64_t entries = sizeof(PastEntry) * std::uint64_t{header.entries};
    const bool fits = header.ordinals <= rest / 4 && header.names_bytes <= rest &&
                      entries + 4 * header.ordinals + header.names_bytes == rest;
    if (!fits) return "its size is not what its header says";
    if (base::crc32c(kSeed, file.subspan(kPastHeaderSize)) != header.body_crc)
        return "it fails its checksum";
    return to.check_entries();
}

/// After the checksum: what a hostile file says is no reason to read outside of it.
log::Fault PastFile::check_entries() const noexcept {
    for (std::uint32_t n = 0; n < header_.entries; ++n) {
        const PastEntry own = entry(n);
        if (!base::fits(own.first_ordinal, own.count, header_.ordinals) ||
            !base::fits(own.name_offset, own.name_length, header_.names_bytes) || own.count == 0)
            return "an entry points outside";
        if (n == 0) continue;
        const PastEntry before = entry(n - 1);
        if (std::make_tuple(before.definition, name(before)) >=
            std::make_tuple(own.definition, name(own)))
            return "its entries are not sorted";
    }
    return nullptr;
}

PastEntry PastFile::entry(std::uint32_t n) const noexcept {
    return base::load<PastEntry>(file_.data() + kPastHeaderSize + sizeof(PastEntry) * n);
}

std::string_view PastFile::name(const PastEntry& entry) const noexcept {
    const std::byte* const names = ordinals() + 4 * header_.ordinals;
    return {reinterpret_cast<const char*>(names) + entry.name_offset, entry.name_length};
}

Past::Part PastFile::events(const PastEntry& entry) const noexcept {
    const auto* const first =
        reinterpret_cast<const std::uint32_t*>(ordinals() + 4 * entry.first_ordinal);
    return {header_.first_position, {first, entry.count}};
}

std::uint32_t PastFile::lower_bound(std::uint64_t definition,
                                    std::string_view name) const noexcept {
    std::uint32_t low = 0;
    std::uint32_t high = header_.entries;
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        const PastEntry own = entry(middle);
        const bool before =
            std::make_tuple(own.definition, this->name(own)) < std::make_tuple(definition, name);
        (before ? low : high) = before ? middle + 1 : middle;
    }
    return low;
}

Past::Part PastFile::find(std::uint64_t definition, std::string_view name) const noexcept {
    const std::uint32_t at = lower_bound(definition, name);
    const Past::Part none{header_.first_position, {}};
    if (at == header_.entries) return none;
    const PastEntry own = entry(at);
    return own.definition == definition && this->name(own) == name ? events(own) : none;
}

void PastBuilder::add(std::uint64_t definition, std::string_view name, std::uint64_t position) {
    std::vector<std::uint32_t>& list = lists_[{definition, std::string(name)}];
    const auto ordinal = static_cast<std::uint32_t>(position - header_.first_position);
    // A field may hold the same value twice.
    if (!list.empty() && list.back() == ordinal) return;
    if (list.empty()) names_bytes_ += name.size();
    list.push_back(ordinal);
    ++ordinals_;
}

std::vector<std::byte> PastBuilder::bytes() const {
    PastHeader header = header_;
    header.entries = static_cast<std::uint32_t>(lists_.size());
    header.ordinals = ordinals_;
    header.names_bytes = names_bytes_;
    const std::size_t entries = sizeof(PastEntry) * lists_.size();
    std::vector<std::byte> bytes(kPastHeaderSize + entries + 4 * ordinals_ + names_bytes_);
    std::byte* entry = bytes.data() + kPastHeaderSize;
    std::byte* ordinal = entry + entries;
    std::byte* const names = ordinal + 4 * ordinals_;
    PastEntry at;
    for (const auto& [key, list] : lists_) {
        at.definition = key.first;
        at.count = static_cast<std::uint32_t>(list.size());
        at.name_length = static_cast<std::uint32_t>(key.second.size());
        base::store(entry, at);
        entry += sizeof at;
        std::memcpy(ordinal, list.data(), 4 * list.size());
        ordinal += 4 * list.size();
        if (!key.second.empty())
            std::memcpy(names + at.name_offset, key.second.data(), key.second.size());
        at.first_ordinal += list.size();
        at.name_offset += key.second.size();
    }
    header.body_crc = base::crc32c(kSeed, base::Bytes{bytes}.subspan(kPastHeaderSize));
    base::store(bytes.data(), header);
    header.header_crc = base::crc32c(kSeed, base::Bytes{bytes}.first(kCrcOffset));
    base::store(bytes.data(), header);
    return bytes;
}

}  // namespace varve::index
