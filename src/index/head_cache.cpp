#include "index/head_cache.hpp"

#include <cstdlib>
#include <cstring>

namespace varve::index {

void HeadCache::Free::operator()(void* memory) const noexcept { std::free(memory); }

bool HeadCache::find(Key key, std::string_view stream, Head& head) const noexcept {
    if (entries_ == nullptr || stream.size() > kNameBytes) return false;
    const Entry* set = &entries_[first(key)];
    for (std::uint32_t way = 0; way < kWays; ++way) {
        const Entry& entry = set[way];
        if (entry.key != key || entry.length != stream.size()) continue;
        if (std::memcmp(entry.name, stream.data(), stream.size()) != 0) continue;
        head = entry.head;
        return true;
    }
    return false;
}

void HeadCache::put(Key key, std::string_view stream, const Head& head) noexcept {
    if (stream.size() > kNameBytes) return;
    if (entries_ == nullptr) {
        // Large zeroed allocations come as fresh pages: those that are never touched cost nothing.
        std::size_t bytes = (sets_ * kWays + 1) * sizeof(Entry);
        void* memory = std::calloc(1, bytes);
        if (memory == nullptr) return;
        memory_.reset(memory);
        entries_ = static_cast<Entry*>(std::align(alignof(Entry), sizeof(Entry), memory, bytes));
    }
    Entry* set = &entries_[first(key)];
    // Its own entry, else a free one, else the one whose last event is oldest.
    Entry* chosen = set;
    for (std::uint32_t way = 0; way < kWays; ++way) {
        Entry& entry = set[way];
        const bool own = entry.key == key && entry.length == stream.size() &&
                         std::memcmp(entry.name, stream.data(), stream.size()) == 0;
        if (own) {
            entry.head = head;
            return;
        }
        if (entry.head.position < chosen->head.position) chosen = &entry;
    }
    chosen->key = key;
    chosen->head = head;
    chosen->length = static_cast<std::uint8_t>(stream.size());
    std::memcpy(chosen->name, stream.data(), stream.size());
}

}  // namespace varve::index
