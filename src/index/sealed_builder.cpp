#include "index/sealed_builder.hpp"

#include <algorithm>
#include <new>

#include "base/error.hpp"

namespace varve::index {

namespace {

/// The first eight bytes of `text` behind `skip`, so that integers compare as the bytes do.
std::uint64_t prefix_of(std::string_view text, std::size_t skip) noexcept {
    std::uint64_t prefix = 0;
    for (std::size_t n = 0; n < 8; ++n) {
        const bool there = skip + n < text.size();
        prefix = prefix << 8 | (there ? static_cast<unsigned char>(text[skip + n]) : 0U);
    }
    return prefix;
}

std::size_t common_length(std::string_view a, std::string_view b, std::size_t most) noexcept {
    const std::size_t end = std::min({a.size(), b.size(), most});
    std::size_t n = 0;
    while (n < end && a[n] == b[n]) ++n;
    return n;
}

}  // namespace

SealedBuilder::SealedBuilder(const Hasher& hasher, const log::Uuid& uuid, Scratch& scratch)
    : hasher_(hasher),
      uuid_(uuid),
      scratch_(scratch),
      names_(scratch),
      table_(scratch),
      occurrences_(scratch),
      offsets_(scratch),
      types_(scratch),
      times_(scratch),
      ids_(scratch) {}

bool SealedBuilder::grow_table() noexcept {
    const std::uint64_t size = std::max<std::uint64_t>(1024, 4 * table_.size());
    ScratchArray<std::uint64_t> table(scratch_);
    if (!table.resize(size)) return false;
    for (std::uint64_t n = 0; n < names_.size(); ++n) {
        const std::uint32_t print = fingerprint(names_[n].key);
        std::uint64_t slot = mixed(print) & (size - 1);
        while (table[slot] != 0) slot = (slot + 1) & (size - 1);
        table[slot] = std::uint64_t{print} << 32 | (n + 1);
    }
    table_ = table;
    return true;
}

/// The number of a name; new ones get the next.
std::uint32_t SealedBuilder::intern(KeyKind kind, Key key, std::string_view name) noexcept {
    if (2 * names_.size() >= table_.size() && !grow_table()) return kNone;
    const std::uint32_t print = fingerprint(key);
    std::uint64_t slot = mixed(print) & (table_.size() - 1);
    for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
        if (table_[slot] >> 32 != print) continue;
        const auto number = static_cast<std::uint32_t>(table_[slot]) - 1;
        const Name& known = names_[number];
        if (known.kind == kind && text(known) == name) return number;
    }
    const auto number = static_cast<std::uint32_t>(names_.size());
    if (!names_.push({name.data(), key, static_cast<std::uint32_t>(name.size()), 0, 0, 0, kind}))
        return kNone;
    table_[slot] = std::uint64_t{print} << 32 | (number + 1ULL);
    return number;
}

void SealedBuilder::list(KeyKind kind, Key key, std::string_view name,
                         std::uint32_t ordinal) noexcept {
    if (name.empty()) return;
    const std::uint32_t number = intern(kind, key, name);
    if (number == kNone) {
        no_memory_ = true;
        return;
    }
    Name& of = names_[number];
    if (of.count > 0 && of.last == ordinal) return;  // a name that an event carries twice
    ++of.count;
    of.last = ordinal;
    if (kind == KeyKind::type) types_[ordinal] = number;
    if (!occurrences_.push(std::uint64_t{number} << 32 | ordinal)) no_memory_ = true;
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
    if (!offsets_.push(offset8) || !types_.push(kNone)) no_memory_ = true;
    if (!no_memory_) note_times(ordinal, record.header.time_us, recorded_us);
    if (!no_memory_ && is_listed(record)) {
        const std::string_view stream = record.stream();
        if (!stream.empty()) list(KeyKind::stream, record.hash(0), stream, ordinal);
        const std::string_view category = category_of(stream);
        if (!category.empty())
            list(KeyKind::category, hasher_.key(KeyKind::category, category), category, ordinal);
        if (record.header.type_length > 0)
            list(KeyKind::type, record.hash(1), record.type(), ordinal);
        std::size_t n = 2;
        for (const std::string_view tag : record.tags())
            list(KeyKind::tag, record.hash(n++), tag, ordinal);
        if (record.has_id()) {
            const std::byte* const id = record.hashes() + 8 * (2U + record.header.tag_count);
            const Key key = hasher_.key(KeyKind::id, base::as_text({id, 16}));
            if (!ids_.push({fingerprint(key), ordinal})) no_memory_ = true;
        }
    }
    if (!no_memory_) return {};
    return base::failure(ErrorCode::out_of_memory, "no memory to make an index");
}

/// Numbers of the names in the order of the dictionary.
bool SealedBuilder::sort_names(ScratchArray<std::uint32_t>& order) noexcept {
    for (const KeyKind kind : {KeyKind::stream, KeyKind::category, KeyKind::type, KeyKind::tag}) {
        if (!sort_kind(kind, order)) return false;
    }
    for (std::uint64_t n = 0; n < order.size(); ++n)
        names_[order[n]].order = static_cast<std::uint32_t>(n);
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
        skip = common_length(one, text(names_[n]), skip);
        if (!keys.push({0, static_cast<std::uint32_t>(n)})) return false;
    }
    SortKey* const begin = keys.data();
    SortKey* const end = begin + keys.size();
    for (SortKey* key = begin; key != end; ++key)
        key->prefix = prefix_of(text(names_[key->name]), skip);
    std::sort(begin, end, [&](const SortKey& a, const SortKey& b) {
        return a.prefix != b.prefix ? a.prefix < b.prefix
                                    : text(names_[a.name]) < text(names_[b.name]);
    });
    for (const SortKey* key = begin; key != end; ++key) {
        if (!order.push(key->name)) return false;
    }
    return true;
}

/// The ordinals of all names, one name behind the other. Afterwards `last` of a name is where its
/// ordinals end.
bool SealedBuilder::gather(const ScratchArray<std::uint32_t>& order,
                           ScratchArray<std::uint32_t>& ordinals) noexcept {
    if (!ordinals.resize(occurrences_.size())) return false;
    std::uint32_t begin = 0;
    for (std::uint64_t n = 0; n < order.size(); ++n) {
        Name& name = names_[order[n]];
        name.last = begin;
        begin += name.count;
    }
    for (std::uint64_t n = 0; n < occurrences_.size(); ++n) {
        const std::uint64_t one = occurrences_[n];
        ordinals[names_[one >> 32].last++] = static_cast<std::uint32_t>(one);
    }
    return true;
}

void SealedBuilder::put_columns(SealedWriter& writer) noexcept {
    writer.begin(Section::offsets);
    writer.put({reinterpret_cast<const std::byte*>(offsets_.data()), 4 * offsets_.size()});
    std::uint32_t first_type = 0;
    for (std::uint64_t n = 0; n < names_.size(); ++n)
        first_type += names_[n].kind < KeyKind::type ? 1U : 0U;
    writer.begin(Section::types);
    for (std::uint64_t n = 0; n < types_.size(); ++n) {
        const std::uint32_t number =
            types_[n] == kNone ? kNone : names_[types_[n]].order - first_type;
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
    try {
        ScratchArray<std::uint32_t> order(scratch_);
        ScratchArray<std::uint32_t> ordinals(scratch_);
        if (!sort_names(order) || !gather(order, ordinals)) return no_memory();
        SealedWriter writer(hasher_, to, scratch_, go_on);
        for (std::uint64_t n = 0; n < order.size() && !writer.failed(); ++n) {
            const Name& name = names_[order[n]];
            writer.begin_name(name.kind, text(name));
            for (std::uint32_t at = name.last - name.count; at < name.last; ++at)
                writer.add(ordinals[at]);
            writer.end_name();
        }
        writer.finish_names({ids_.data(), ids_.size()});
        put_columns(writer);
        return writer.finish(uuid_, {&segment_, 1}, end_chain);
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

}  // namespace varve::index
