// The catalogue: which streams, categories, types and tags there are, folded from the indexes.
// Names are compared.
#include "store/catalogue.hpp"

#include <algorithm>
#include <map>
#include <new>

#include "base/error.hpp"

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
                if (own && !name.empty()) add(name, record.header.position);
            });
        }
        if (postings.damaged()) return damaged_index(pinned_.meta(), segment_);
        return std::nullopt;
    }

private:
    void add(std::string_view name, std::uint64_t position) {
        auto found = names_.find(name);
        if (found == names_.end()) {
            found = names_
                        .emplace(std::string(name),
                                 CatalogueEntry{std::string(name), 0, Position{position}, {}})
                        .first;
        }
        CatalogueEntry& entry = found->second;
        ++entry.count;
        entry.first = std::min(entry.first, Position{position});
        entry.last = std::max(entry.last, Position{position});
    }

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
            if (!segment.index.valid()) continue;
            const std::uint64_t last = list.last_of(n, pinned.view().published);
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
    const SegmentList& list = *pinned.view().segments;
    const index::Key key = pinned.meta().hasher.key(index::KeyKind::stream, stream);
    for (std::size_t n = list.items.size(); n-- > 0 && !stream.empty();) {
        const Segment& segment = *list.items[n];
        if (!segment.index.valid()) continue;
        const std::uint64_t last = list.last_of(n, pinned.view().published);
        index::Postings postings = segment.index.postings(key);
        for (std::uint32_t ordinal = 0; postings.next(ordinal);) {
            if (segment.first() + ordinal > last) continue;
            log::RecordView record;
            std::optional<Error> error;
            if (!read_record(pinned.meta(), segment, ordinal, log::Check::head, record, error))
                return std::move(*error);
            if (record.stream() != stream) continue;
            if (auto hidden = gap_from(pinned, segment, ordinal, last)) return std::move(*hidden);
            return record.header.revision;
        }
        if (postings.damaged()) return damaged_index(pinned.meta(), segment);
        if (auto hidden = gap_from(pinned, segment, 0, last)) return std::move(*hidden);
    }
    return std::uint64_t{0};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
