#include "index/sealed_builder.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "base/error.hpp"

namespace varve::index {

namespace {

constexpr std::uint64_t kLogPerPart = 1 << 20;
constexpr std::uint64_t kPartsMax = 256;
constexpr std::uint64_t kLarge = 16 << 20;

}  // namespace

SealedBuilder::SealedBuilder(const Hasher& hasher, const log::Uuid& uuid, Scratch& scratch,
                             std::uint64_t log_bytes)
    : hasher_(hasher),
      uuid_(uuid),
      scratch_(scratch),
      chunk_bytes_(log_bytes >= kLarge ? 64 << 10 : 8 << 10),
      parts_(std::bit_ceil(std::clamp<std::uint64_t>(log_bytes / kLogPerPart, 1, kPartsMax))),
      names_(scratch),
      ordinals_(scratch),
      offsets_(scratch),
      types_(scratch),
      times_(scratch),
      ids_(scratch) {}

/// Space for an entry at the end of a part.
std::byte* SealedBuilder::room_in(Part& part, std::size_t bytes) {
    if (part.at != nullptr && bytes <= static_cast<std::size_t>(part.end - part.at)) return part.at;
    if (!part.chunks.empty())
        part.chunks.back().used = static_cast<std::uint32_t>(part.at - part.chunks.back().begin);
    if (arena_.size() < chunk_bytes_) {
        arena_ = scratch_.take(chunk_bytes_ * std::min<std::size_t>(parts_.size(), 64));
        if (arena_.size() < chunk_bytes_) return nullptr;
    }
    part.chunks.push_back({arena_.data(), 0});
    part.at = arena_.data();
    part.end = part.at + chunk_bytes_;
    arena_ = arena_.subspan(chunk_bytes_);
    return part.at;
}

void SealedBuilder::list(Key key, std::string_view name, std::uint32_t ordinal) noexcept {
    if (name.empty() || no_memory_) return;
    Part& part = parts_[fingerprint(key) & (parts_.size() - 1)];
    const std::size_t bytes = base::align_up(kEntryHead + name.size(), 8);
    std::byte* to = nullptr;
    try {
        to = room_in(part, bytes);
    } catch (const std::bad_alloc&) {
    }
    if (to == nullptr) {
        no_memory_ = true;
        return;
    }
    base::store(to, key);
    base::store(to + 8, ordinal);
    base::store(to + 12, static_cast<std::uint32_t>(name.size()));
    std::memcpy(to + kEntryHead, name.data(), name.size());
    part.at = to + bytes;
}

/// Gives each different name of a part a number, and its ordinals a place behind each other. False
/// if there is no memory.
bool SealedBuilder::tell_apart(Part& part) {
    if (part.chunks.empty()) return true;
    part.chunks.back().used = static_cast<std::uint32_t>(part.at - part.chunks.back().begin);
    const auto first = static_cast<std::uint32_t>(names_.size());
    std::uint64_t bytes = 0;
    for (const Chunk& chunk : part.chunks) bytes += chunk.used;
    const std::uint64_t slots = std::bit_ceil(bytes / 12 + 16);  // an entry has 24 at least
    table_.assign(slots, 0);
    occurrences_.clear();
    for (const Chunk& chunk : part.chunks) {
        for (const std::byte* at = chunk.begin; at < chunk.begin + chunk.used;) {
            const Key key = base::load<Key>(at);
            const auto ordinal = base::load<std::uint32_t>(at + 8);
            const auto length = base::load<std::uint32_t>(at + 12);
            const auto* const name = reinterpret_cast<const char*>(at + kEntryHead);
            at += base::align_up(kEntryHead + length, 8);
            const std::uint32_t print = fingerprint(key);
            std::uint64_t slot = mixed(print) & (slots - 1);
            std::uint32_t number = kNone;
            for (; table_[slot] != 0; slot = (slot + 1) & (slots - 1)) {
                if (table_[slot] >> 32 != print) continue;
                const auto candidate = static_cast<std::uint32_t>(table_[slot]) - 1;
                const Name& known = names_[candidate];
                const bool same = known.kind == kind_of(key) && known.length == length &&
                                  std::memcmp(known.text, name, length) == 0;
                if (!same) continue;
                number = candidate;
                break;
            }
            if (number == kNone) {
                number = static_cast<std::uint32_t>(names_.size());
                if (!names_.push({name, 0, length, 0, kNone, kind_of(key)})) return false;
                table_[slot] = std::uint64_t{print} << 32 | (number + 1ULL);
            }
            Name& of = names_[number];
            if (of.last == ordinal) continue;  // a name that an event carries twice
            ++of.count;
            of.last = ordinal;
            listed_.add(key);
            if (of.kind == KeyKind::type) types_[ordinal] = number;
            occurrences_.push_back({number, ordinal});
        }
    }
    std::uint64_t begin = ordinals_.size();
    if (!ordinals_.resize(begin + occurrences_.size())) return false;
    for (std::uint64_t n = first; n < names_.size(); ++n) {
        names_[n].begin = begin;
        begin += names_[n].count;
        names_[n].count = 0;
    }
    for (const Occurrence& one : occurrences_) {
        Name& name = names_[one.name];
        ordinals_[name.begin + name.count++] = one.ordinal;
    }
    return true;
}

void SealedBuilder::note_times(std::uint32_t ordinal, std::int64_t event_us,
                               std::int64_t recorded_us) noexcept {
    if (ordinal % kTimeGroup == 0) {
        if (!times_.push({event_us, event_us, recorded_us, recorded_us})) no_memory_ = true;
        return;
    }
    SealedTimes& group = times_[ordinal / kTimeGroup];
    group.event_min = std::min(group.event_min, event_us);
    group.event_max = std::max(group.event_max, event_us);
    group.recorded_min = std::min(group.recorded_min, recorded_us);
    group.recorded_max = std::max(group.recorded_max, recorded_us);
}

Result<void> SealedBuilder::add(std::uint32_t offset8, const log::RecordView& record,
                                std::int64_t recorded_us) noexcept {
    const std::uint32_t ordinal = events_++;
    ++listed_.events;
    if (!offsets_.push(offset8) || !types_.push(kNone)) no_memory_ = true;
    if (!no_memory_) note_times(ordinal, record.header.time_us, recorded_us);
    if (!no_memory_ && is_indexed(record)) {
        const std::string_view stream = record.stream();
        if (!stream.empty()) list(record.hash(0), stream, ordinal);
    }
    if (!no_memory_ && is_listed(record)) {
        const std::string_view category = category_of(record.stream());
        if (!category.empty()) list(hasher_.key(KeyKind::category, category), category, ordinal);
        if (record.header.type_length > 0) list(record.hash(1), record.type(), ordinal);
        std::size_t n = 2;
        for (const std::string_view tag : record.tags()) list(record.hash(n++), tag, ordinal);
        if (record.has_id()) {
            const std::byte* const id = record.hashes() + 8 * (2U + record.header.tag_count);
            const Key key = hasher_.key(KeyKind::id, base::as_text({id, 16}));
            if (!ids_.push({fingerprint(key), ordinal})) no_memory_ = true;
            listed_.add(key);
        }
    }
    if (!no_memory_) return {};
    return base::failure(ErrorCode::out_of_memory, "no memory to make an index");
}

/// Numbers of the names in the order of the dictionary.
bool SealedBuilder::sort_names(ScratchArray<std::uint32_t>& order) noexcept {
    for (const KeyKind kind : {KeyKind::stream, KeyKind::category, KeyKind::type, KeyKind::tag}) {
        const std::uint64_t first = order.size();
        if (!sort_kind(kind, order)) return false;
        // The numbers of types are those of their order: they stand in a column.
        for (std::uint64_t n = first; kind == KeyKind::type && n < order.size(); ++n)
            names_[order[n]].last = static_cast<std::uint32_t>(n - first);
    }
    return true;
}

/// Names of a kind often begin alike: eight bytes behind that tell most of them apart.
bool SealedBuilder::sort_kind(KeyKind kind, ScratchArray<std::uint32_t>& order) noexcept {
    ScratchArray<SortKey> keys(scratch_);
    std::size_t skip = ~std::size_t{0};
    std::string_view one;
    for (std::uint64_t n = 0; n < names_.size(); ++n) {
        if (names_[n].kind != kind) continue;
        if (keys.size() == 0) one = text(names_[n]);
        skip = std::min(skip, shared_length(one, text(names_[n])));
        if (!keys.push({0, static_cast<std::uint32_t>(n)})) return false;
    }
    for (SortKey* key = keys.data(); key != keys.data() + keys.size(); ++key)
        key->prefix = prefix_of(text(names_[key->name]), skip);
    ScratchArray<SortKey> room(scratch_);
    if (!room.resize(keys.size())) return false;
    SortKey* const begin = sort_by_prefix({keys.data(), keys.size()}, room.data());
    SortKey* const end = begin + keys.size();
    for (SortKey* key = begin; key != end;) {
        SortKey* const same = key;
        while (key != end && key->prefix == same->prefix) ++key;
        if (key - same == 1) continue;
        std::sort(same, key, [&](const SortKey& a, const SortKey& b) {
            return text(names_[a.name]) < text(names_[b.name]);
        });
    }
    for (const SortKey* key = begin; key != end; ++key) {
        if (!order.push(key->name)) return false;
    }
    return true;
}

/// By the bytes of the prefix, least first, each pass keeping the order of the one before; bytes
/// that are the same in all take none. Returns which of the two arrays holds the result.
SealedBuilder::SortKey* SealedBuilder::sort_by_prefix(std::span<SortKey> keys,
                                                      SortKey* room) noexcept {
    std::uint64_t differ = 0;
    for (const SortKey& key : keys) differ |= key.prefix ^ keys.front().prefix;
    SortKey* from = keys.data();
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & 0xFFU) == 0) continue;
        std::uint32_t places[256] = {};
        for (std::size_t n = 0; n < keys.size(); ++n) ++places[from[n].prefix >> shift & 0xFFU];
        std::uint32_t before = 0;
        for (std::uint32_t& place : places) before += std::exchange(place, before);
        for (std::size_t n = 0; n < keys.size(); ++n)
            room[places[from[n].prefix >> shift & 0xFFU]++] = from[n];
        std::swap(from, room);
    }
    return from;
}

/// What a name needs lies anywhere: it is sent for some names ahead.
void SealedBuilder::put_names(SealedWriter& writer, const ScratchArray<std::uint32_t>& order) {
    constexpr std::uint64_t kFar = 32;
    constexpr std::uint64_t kNear = 12;
    for (std::uint64_t n = 0; n < order.size() && !writer.failed(); ++n) {
        if (n + kFar < order.size()) __builtin_prefetch(&names_[order[n + kFar]]);
        if (n + kNear < order.size()) {
            const Name& next = names_[order[n + kNear]];
            __builtin_prefetch(next.text);
            __builtin_prefetch(&ordinals_[next.begin]);
        }
        const Name& name = names_[order[n]];
        writer.begin_name(name.kind, text(name));
        for (std::uint32_t at = 0; at < name.count; ++at) writer.add(ordinals_[name.begin + at]);
        writer.end_name(fingerprint(base::load<Key>(entry_of(name))));
    }
}

void SealedBuilder::put_columns(SealedWriter& writer) noexcept {
    writer.begin(Section::offsets);
    writer.put({reinterpret_cast<const std::byte*>(offsets_.data()), 4 * offsets_.size()});
    writer.begin(Section::types);
    for (std::uint64_t n = 0; n < types_.size(); ++n) {
        const std::uint32_t number = types_[n] == kNone ? kNone : names_[types_[n]].last;
        writer.put_value(number == kNone        ? kNoType
                         : number >= kManyTypes ? kManyTypes
                                                : static_cast<std::uint16_t>(number));
    }
    writer.begin(Section::times);
    writer.put(
        {reinterpret_cast<const std::byte*>(times_.data()), sizeof(SealedTimes) * times_.size()});
}

Result<void> SealedBuilder::write(Sink& to, std::uint32_t end_chain,
                                  const std::function<bool()>& go_on) noexcept {
    const auto no_memory = [] {
        return base::failure(ErrorCode::out_of_memory, "no memory to make an index");
    };
    if (segment_.last_position - segment_.first_position + 1 != events_)
        return base::failure(ErrorCode::corrupt, "some positions of the segment were not found");
    if (no_memory_) return no_memory();
    try {
        for (Part& part : parts_) {
            if (!tell_apart(part)) return no_memory();
            if (!go_on()) return base::failure(ErrorCode::busy, "making an index was given up");
        }
        ScratchArray<std::uint32_t> order(scratch_);
        if (!sort_names(order)) return no_memory();
        SealedWriter writer(to, scratch_, go_on);
        put_names(writer, order);
        writer.finish_names({ids_.data(), ids_.size()});
        put_columns(writer);
        return writer.finish(uuid_, {&segment_, 1}, end_chain);
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

}  // namespace varve::index
