// The catalogue: which streams, categories, types and tags there are, folded from the indexes.
// Names are compared.
#include "store/catalogue.hpp"

#include <algorithm>
#include <map>
#include <new>

#include "base/error.hpp"
#include "index/sealed_cursor.hpp"
#include "store/heads.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

using Names = std::map<std::string, CatalogueEntry, std::less<>>;

/// Calls `use` with each name of this kind that the record carries.
template <class Use>
void names_of(const log::RecordView& record, index::KeyKind kind, Use&& use) {
    switch (kind) {
        case index::KeyKind::stream: use(record.stream()); return;
        case index::KeyKind::category: use(index::category_of(record.stream())); return;
        case index::KeyKind::type: use(record.type()); return;
        case index::KeyKind::tag:
            for (const std::string_view tag : record.tags()) use(tag);
            return;
        case index::KeyKind::id: return;  // ids are no names that anybody lists
    }
}

void add(Names& names, std::string_view name, std::uint64_t count, std::uint64_t first,
         std::uint64_t last) {
    auto found = names.find(name);
    if (found == names.end()) {
        found = names
                    .emplace(std::string(name),
                             CatalogueEntry{std::string(name), 0, Position{first}, {}})
                    .first;
    }
    CatalogueEntry& entry = found->second;
    entry.count += count;
    entry.first = std::min(entry.first, Position{first});
    entry.last = std::max(entry.last, Position{last});
}

/// Adds the names of a sealed index: it has them in order, with their counts. What lies behind
/// position `last` does not count.
std::optional<Error> count_sealed(const Meta& meta, const SealedFile& sealed, index::KeyKind kind,
                                  std::string_view prefix, std::uint64_t last, Names& names) {
    const std::uint64_t first = sealed.index.first_position();
    index::SealedNames found(sealed.index, kind, prefix);
    while (found.next() && found.name().starts_with(prefix)) {
        const index::SealedList& list = found.list();
        if (first + list.last <= last) {
            add(names, found.name(), list.count, first + list.first, first + list.last);
            continue;
        }
        index::SealedCursor events(sealed.index, list, false);
        for (std::uint32_t ordinal = 0; events.next(ordinal) && first + ordinal <= last;)
            add(names, found.name(), 1, first + ordinal, first + ordinal);
        if (events.damaged()) return damaged_sealed(meta, sealed);
    }
    if (found.damaged()) return damaged_sealed(meta, sealed);
    return std::nullopt;
}

/// Counts the events of one list under their names. Most lists have one name; colliding ones have
/// several.
class ListCounter {
public:
    ListCounter(const Pinned& pinned, const Segment& segment, std::uint64_t last,
                Names& names) noexcept
        : pinned_(pinned), segment_(segment), last_(last), names_(names) {}

    std::optional<Error> count(index::Key key, const index::List& list, std::string_view prefix) {
        const index::KeyKind kind = index::kind_of(key);
        index::Postings postings(segment_.index, list);
        std::uint32_t before = ~0U;
        for (std::uint32_t ordinal = 0; postings.next(ordinal);) {
            if (segment_.first() + ordinal > last_ || ordinal == before) continue;
            before = ordinal;
            log::RecordView record;
            std::optional<Error> error;
            if (!read_record(pinned_.meta(), segment_, ordinal, log::Check::head, record, error))
                return error;
            names_of(record, kind, [&](std::string_view name) {
                const bool own =
                    pinned_.meta().hasher.key(kind, name) == key && name.starts_with(prefix);
                if (!own || name.empty()) return;
                const std::uint64_t at = record.header.position;
                add(names_, name, 1, at, at);
            });
        }
        if (postings.damaged()) return damaged_index(pinned_.meta(), segment_);
        return std::nullopt;
    }

private:
    const Pinned& pinned_;
    const Segment& segment_;
    std::uint64_t last_;
    Names& names_;
};

/// The error if an event from `ordinal` up to position `last` cannot be read.
std::optional<Error> gap_from(const Pinned& pinned, const Segment& segment, std::uint32_t ordinal,
                              std::uint64_t last) noexcept {
    const std::uint32_t gap = segment.index.next_gap(ordinal);
    if (gap == index::ActiveIndex::kNoGap || segment.first() + gap > last) return std::nullopt;
    return hidden_by_damage(pinned.meta(), segment, gap);
}

}  // namespace

Result<std::vector<CatalogueEntry>> catalogue(const Pinned& pinned, index::KeyKind kind,
                                              std::string_view prefix) noexcept {
    try {
        Names names;
        const SegmentList& list = *pinned.view().segments;
        for (std::size_t n = 0; n < list.items.size(); ++n) {
            const Segment& segment = *list.items[n];
            const std::uint64_t published = pinned.view().published;
            if (segment.sealed != nullptr) {
                n = unit_of(list, n).end - 1;
                auto error = count_sealed(pinned.meta(), *segment.sealed, kind, prefix,
                                          list.last_of(n, published), names);
                if (error) return std::move(*error);
                continue;
            }
            if (!segment.index.valid()) continue;
            const std::uint64_t last = list.last_of(n, published);
            ListCounter counter(pinned, segment, last, names);
            std::optional<Error> error = gap_from(pinned, segment, 0, last);
            segment.index.for_each_key([&](index::Key key, const index::List& postings) {
                if (error || index::kind_of(key) != kind) return;
                error = counter.count(key, postings, prefix);
            });
            if (error) return std::move(*error);
        }
        std::vector<CatalogueEntry> entries;
        entries.reserve(names.size());
        for (auto& [name, entry] : names) entries.push_back(std::move(entry));
        return entries;
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory for the catalogue");
    }
}

Result<std::uint64_t> version_of(const Pinned& pinned, std::string_view stream) noexcept {
    const index::Key key = pinned.meta().hasher.key(index::KeyKind::stream, stream);
    const View& view = pinned.view();
    auto head = find_head(pinned.meta(), *view.segments, view.published, key, stream);
    if (!head) return std::move(head).error();
    return head->version;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
