// Rows of names: from active indexes, whose names are collected and sorted, and from sealed ones,
// which have them in order; and their merge.
#include "store/names.hpp"

#include <algorithm>

#include "index/sealed_cursor.hpp"
#include "store/pinned.hpp"
#include "store/rule_book.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

NameEntry SortedNames::operator[](std::size_t n) const noexcept {
    const Entry& entry = entries_[n];
    return {name(entry), entry.count, entry.first, entry.last};
}

std::size_t SortedNames::lower_bound(std::string_view from) const noexcept {
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), from,
                         [this](const Entry& e, std::string_view f) { return name(e) < f; });
    return static_cast<std::size_t>(found - entries_.begin());
}

void SortedNames::add(const NameEntry& entry) {
    entries_.push_back({text_.size(), entry.first, entry.last,
                        static_cast<std::uint32_t>(entry.count),
                        static_cast<std::uint16_t>(entry.name.size())});
    text_ += entry.name;
}

void SortedNames::sort() {
    std::sort(entries_.begin(), entries_.end(),
              [this](const Entry& a, const Entry& b) { return name(a) < name(b); });
}

SortedNamesPtr NameCache::get(std::uint64_t segment, index::KeyKind kind) const {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find({segment, kind});
    return found == kept_.end() ? nullptr : found->second;
}

void NameCache::put(std::uint64_t segment, index::KeyKind kind, SortedNamesPtr names) {
    const std::lock_guard lock(mutex_);
    kept_[{segment, kind}] = std::move(names);
}

namespace {

/// Calls `use` with each name of this kind that the record carries and whose key is `key`.
template <class Use>
void names_of(const Meta& meta, const log::RecordView& record, index::Key key, Use&& use) {
    const index::KeyKind kind = index::kind_of(key);
    if (kind == index::KeyKind::stream && record.hash(0) == key) use(record.stream());
    if (kind == index::KeyKind::type && record.hash(1) == key) use(record.type());
    if (kind == index::KeyKind::category) {
        const std::string_view category = index::category_of(record.stream());
        if (!category.empty() && meta.hasher.key(kind, category) == key) use(category);
    }
    if (kind != index::KeyKind::tag) return;
    std::size_t n = 2;
    for (const std::string_view tag : record.tags()) {
        if (record.hash(n++) == key) use(tag);
    }
}

/// Attributes the events of an active index's lists to names. A list mostly has one name; names
/// whose keys collide share one.
class Collector {
public:
    Collector(const Meta& meta, const Segment& segment, std::uint64_t last,
              SortedNames& to) noexcept
        : meta_(meta), segment_(segment), last_(last), to_(to) {}

    void collect(index::Key key, const index::List& list) {
        ordinals_.clear();
        index::Postings postings(segment_.index, list);
        for (std::uint32_t ordinal = 0; postings.next(ordinal);) {
            const bool again = !ordinals_.empty() && ordinals_.back() == ordinal;
            if (segment_.first() + ordinal <= last_ && !again) ordinals_.push_back(ordinal);
        }
        if (postings.damaged()) error_ = damaged_index(meta_, segment_);
        if (ordinals_.empty() || error_) return;
        if (index::kind_of(key) == index::KeyKind::stream && count_by_revisions()) return;
        count_one_by_one(key);
    }
    [[nodiscard]] std::optional<Error>& error() noexcept { return error_; }

private:
    /// A stream's events are numbered without gaps. If the oldest and the newest event of the list
    /// are of one stream and as many revisions apart as the list is long, all of them are.
    bool count_by_revisions() {
        log::RecordView newest;
        log::RecordView oldest;
        if (!read(ordinals_.front(), newest) || !read(ordinals_.back(), oldest)) return true;
        const bool one = newest.stream() == oldest.stream() &&
                         newest.header.revision - oldest.header.revision + 1 == ordinals_.size();
        if (one)
            to_.add({newest.stream(), ordinals_.size(), oldest.header.position,
                     newest.header.position});
        return one;
    }
    void count_one_by_one(index::Key key) {
        found_.clear();
        for (const std::uint32_t ordinal : ordinals_) {
            log::RecordView record;
            if (!read(ordinal, record)) return;
            const std::uint64_t at = record.header.position;
            names_of(meta_, record, key, [&](std::string_view name) {
                auto known = std::find_if(found_.begin(), found_.end(),
                                          [&](const NameEntry& e) { return e.name == name; });
                if (known == found_.end()) known = found_.insert(known, {name, 0, at, at});
                ++known->count;
                known->first = at;  // newest first: the last one that comes is the first
            });
        }
        for (const NameEntry& entry : found_) to_.add(entry);
    }
    bool read(std::uint32_t ordinal, log::RecordView& record) {
        return read_record(meta_, segment_, ordinal, log::Check::head, record, error_);
    }

    const Meta& meta_;
    const Segment& segment_;
    std::uint64_t last_;
    SortedNames& to_;
    std::vector<std::uint32_t> ordinals_;  ///< of the list, newest first
    std::vector<NameEntry> found_;         ///< its names
    std::optional<Error> error_;
};

class ActiveNames final : public NameSource {
public:
    ActiveNames(SortedNamesPtr names, std::string_view from) noexcept
        : names_(std::move(names)), at_(names_->lower_bound(from)) {}
    [[nodiscard]] bool next(NameEntry& entry) override {
        if (at_ >= names_->size()) return false;
        entry = (*names_)[at_++];
        return true;
    }
    [[nodiscard]] std::optional<Error> error() const override { return std::nullopt; }

private:
    SortedNamesPtr names_;
    std::size_t at_;
};

class SealedRow final : public NameSource {
public:
    SealedRow(const Meta& meta, const SealedFile& sealed, std::uint64_t last, index::KeyKind kind,
              std::string_view from)
        : meta_(meta), sealed_(sealed), last_(last), names_(sealed.index, kind, from) {}
    [[nodiscard]] bool next(NameEntry& entry) override {
        while (names_.next()) {
            const std::uint64_t base = sealed_.index.first_position();
            const index::SealedList& list = names_.list();
            entry = {names_.name(), list.count, base + list.first, base + list.last};
            if (entry.last <= last_ || clip(entry)) return true;
            if (damaged_) return false;
        }
        return false;
    }
    [[nodiscard]] std::optional<Error> error() const override {
        if (!damaged_ && !names_.damaged()) return std::nullopt;
        return damaged_sealed(meta_, sealed_);
    }

private:
    /// Leaves out what lies beyond the end. False if nothing is left.
    bool clip(NameEntry& entry) {
        const std::uint64_t base = sealed_.index.first_position();
        index::SealedCursor events(sealed_.index, names_.list(), false);
        entry.count = 0;
        for (std::uint32_t ordinal = 0; events.next(ordinal) && base + ordinal <= last_;) {
            entry.last = base + ordinal;
            ++entry.count;
        }
        damaged_ = damaged_ || events.damaged();
        return entry.count > 0 && !damaged_;
    }

    const Meta& meta_;
    const SealedFile& sealed_;
    std::uint64_t last_;
    index::SealedNames names_;
    bool damaged_ = false;
};

/// Names that one definition gave to events before it, in one list of the past.
class PastRow final : public NameSource {
public:
    PastRow(OpenedPastPtr past, std::uint64_t definition, std::uint64_t last, std::string_view from)
        : past_(std::move(past)), definition_(definition), last_(last) {
        at_ = past_->file.lower_bound(definition, from);
    }
    [[nodiscard]] bool next(NameEntry& entry) override {
        for (; at_ < past_->file.entries(); ++at_) {
            const index::PastEntry own = past_->file.entry(at_);
            if (own.definition != definition_) return false;
            const index::Past::Part events = past_->file.events(own);
            const auto end = std::upper_bound(events.ordinals.begin(), events.ordinals.end(),
                                              last_ - events.first);
            if (last_ < events.first || end == events.ordinals.begin()) continue;
            entry = {past_->file.name(own),
                     static_cast<std::uint64_t>(end - events.ordinals.begin()),
                     events.first + events.ordinals.front(), events.first + *(end - 1)};
            ++at_;
            return true;
        }
        return false;
    }
    [[nodiscard]] std::optional<Error> error() const override { return std::nullopt; }

private:
    OpenedPastPtr past_;
    std::uint64_t definition_;
    std::uint64_t last_;
    std::uint32_t at_ = 0;
};

}  // namespace

Result<SortedNamesPtr> collect_names(const Meta& meta, const Segment& segment, std::uint64_t last,
                                     index::KeyKind kind) {
    if (!segment.ready()) return damaged_index(meta, segment);
    const std::uint32_t gap = segment.index.next_gap(0);
    if (gap != index::ActiveIndex::kNoGap && segment.first() + gap <= last)
        return hidden_by_damage(meta, segment, gap);
    auto names = std::make_shared<SortedNames>();
    Collector collector(meta, segment, last, *names);
    segment.index.for_each_key([&](index::Key key, const index::List& list) {
        if (index::kind_of(key) == kind && !collector.error()) collector.collect(key, list);
    });
    if (collector.error()) return std::move(*collector.error());
    names->sort();
    return SortedNamesPtr(std::move(names));
}

Result<void> MergedNames::open(Pinned& pinned, index::KeyKind kind, std::string_view from) {
    const SegmentList& list = *pinned.view().segments;
    for (std::size_t n = 0; n < list.items.size(); ++n) {
        const Segment& segment = *list.items[n];
        Row row;
        if (segment.sealed != nullptr) {
            n = unit_of(list, n).end - 1;
            row.source =
                std::make_unique<SealedRow>(pinned.meta(), *segment.sealed,
                                            list.last_of(n, pinned.view().published), kind, from);
        } else if (segment.is_active()) {
            SortedNamesPtr names = pinned.names().get(segment.number(), kind);
            if (names == nullptr) {
                auto collected = collect_names(pinned.meta(), segment,
                                               list.last_of(n, pinned.view().published), kind);
                if (!collected) return std::move(collected).error();
                names = std::move(*collected);
                pinned.names().put(segment.number(), kind, names);
            }
            row.source = std::make_unique<ActiveNames>(std::move(names), from);
        } else {
            continue;
        }
        advance(std::move(row));
    }
    return open_past(pinned, kind, from);
}

/// Names that definitions gave to events before them, as far as those are listed.
Result<void> MergedNames::open_past(Pinned& pinned, index::KeyKind kind, std::string_view from) {
    const bool tags = kind == index::KeyKind::tag;
    if (!tags && kind != index::KeyKind::type) return {};
    const std::uint64_t published = pinned.view().published;
    auto book = pinned.meta().rules->at(pinned.meta(), pinned.view());
    if (!book) return std::move(book).error();
    if (*book == nullptr) return {};
    for (const RulePtr& rule : (*book)->rules->naming()) {
        const bool asked = (rule->says.kind == DefinitionKind::tags) == tags;
        const PastGroup* const group = (*book)->group_of(*rule);
        if (!asked || group == nullptr || !rule->in_force(published)) continue;
        for (const OpenedPastPtr& file : group->files) {
            Row row;
            row.source = std::make_unique<PastRow>(file, rule->says.number, published, from);
            advance(std::move(row));
        }
    }
    return {};
}

/// Puts the row back with its next name, or lets it go at its end.
void MergedNames::advance(Row row) {
    if (row.source->next(row.entry)) {
        heap_.push_back(std::move(row));
        std::push_heap(heap_.begin(), heap_.end(), later);
    } else if (auto error = row.source->error()) {
        error_ = std::move(error);
    }
}

bool MergedNames::next(CatalogueEntry& entry) {
    if (error_ || heap_.empty()) return false;
    entry.name = heap_.front().entry.name;
    entry.count = 0;
    entry.first = Position{~0ULL};
    entry.last = Position{};
    while (!heap_.empty() && heap_.front().entry.name == entry.name) {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Row row = std::move(heap_.back());
        heap_.pop_back();
        entry.count += row.entry.count;
        entry.first = std::min(entry.first, Position{row.entry.first});
        entry.last = std::max(entry.last, Position{row.entry.last});
        advance(std::move(row));
    }
    return !error_;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
