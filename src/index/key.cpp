#include "index/key.hpp"

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <xxhash.h>
#pragma GCC diagnostic pop

#include "base/assert.hpp"

namespace varve::index {

std::string_view category_of(std::string_view stream) noexcept {
    for (std::size_t n = 0; n < stream.size(); ++n) {
        if (stream[n] == '-' || stream[n] == '/') return stream.substr(0, n);
    }
    return {};
}

Key Hasher::key(KeyKind kind, std::string_view name) const noexcept {
    const std::uint64_t hash = XXH3_64bits_withSeed(name.data(), name.size(), secret_);
    return ((hash & mask_) << 3) | static_cast<Key>(kind);
}

void keys_of(const log::RecordView& record, const Hasher& hasher, EventKeys& keys) noexcept {
    VARVE_ASSERT(record.header.tag_count <= log::kMaxTags + log::kMaxAdded);
    keys.count = 0;
    if (!is_indexed(record)) return;
    if (record.header.stream_length > 0) {
        keys.add(record.hash(0));
        if (!is_listed(record)) return;
        const std::string_view category = category_of(record.stream());
        if (!category.empty()) keys.add(hasher.key(KeyKind::category, category));
    }
    if (record.header.type_length > 0) keys.add(record.hash(1));
    for (std::size_t n = 0; n < record.header.tag_count; ++n) keys.add(record.hash(2 + n));
    if (record.has_id()) keys.add(hasher.key(KeyKind::id, record.id()));
}

bool carries(const log::RecordView& record, KeyKind kind, std::string_view name) noexcept {
    switch (kind) {
        case KeyKind::stream: return record.stream() == name;
        case KeyKind::category: return category_of(record.stream()) == name && !name.empty();
        case KeyKind::type: return record.type() == name;
        case KeyKind::tag: return record.tags().contains(name);
        case KeyKind::id: return record.has_id() && record.id() == name;
    }
    return false;
}

}  // namespace varve::index
