#include "index/selection.hpp"

#include <algorithm>

namespace varve::index {

namespace {

enum class By : std::uint8_t { keys, names };

/// The record keeps the keys of its stream, type and tags: bytes are compared only where they
/// agree.
template <By by>
bool carries_set(const Selection::Set& set, const log::RecordView& record) noexcept {
    const bool keys = by == By::keys;
    switch (set.op) {
        case Op::stream: return record.hash(0) == set.key && (keys || record.stream() == set.name);
        case Op::type: return record.hash(1) == set.key && (keys || record.type() == set.name);
        case Op::category: return carries(record, KeyKind::category, set.name);
        default: break;
    }
    for (std::size_t n = 0; n < record.header.tag_count; ++n) {
        if (record.hash(2 + n) == set.key) return keys || record.tags().contains(set.name);
    }
    return false;
}

bool carries_set(const Selection::Set& set, const EventNames& names) noexcept {
    switch (set.op) {
        case Op::stream: return names.stream == set.name;
        case Op::type: return names.type == set.name;
        case Op::category: return category_of(names.stream) == set.name;
        default: return std::ranges::find(names.tags, set.name) != names.tags.end();
    }
}

template <By by>
bool has_leaf(const Selection::Set& set, const log::RecordView& record) {
    if (set.op == Op::past) return set.past->has(record);
    if (set.op == Op::upto) return record.header.position <= set.until;
    return carries_set<by>(set, record);
}
template <By>
bool has_leaf(const Selection::Set& set, const EventNames& names) noexcept {
    return is_name(set.op) && carries_set(set, names);
}

template <By by, class Event>
bool matches_set(const Selection& selection, std::uint32_t n, const Event& event) {
    const Selection::Set& set = selection.sets[n];
    switch (set.op) {
        case Op::nothing: return false;
        case Op::all: return true;
        // What only shares a key with a name is not left out.
        case Op::none_of: return !matches_set<By::names>(selection, n + 1, event);
        case Op::any_of:
            for (std::uint32_t m = n + 1; m < set.end; m = selection.sets[m].end)
                if (matches_set<by>(selection, m, event)) return true;
            return false;
        case Op::all_of:
            for (std::uint32_t m = n + 1; m < set.end; m = selection.sets[m].end)
                if (!matches_set<by>(selection, m, event)) return false;
            return true;
        default: return has_leaf<by>(set, event);
    }
}

}  // namespace

std::uint32_t Selection::begin_list(Op op) {
    sets.push_back({op});
    return static_cast<std::uint32_t>(sets.size() - 1);
}

void Selection::end_list(std::uint32_t list) noexcept {
    sets[list].end = static_cast<std::uint32_t>(sets.size());
}

void Selection::add_name(Op op, std::string_view name, const Hasher& hasher) {
    const std::uint32_t own = begin_list(op);
    sets[own].name = name;
    sets[own].key = hasher.key(kind_of(op), name);
    end_list(own);
}

/// all_of(its selector or any_of(its mark, its past), upto), without what there is nothing of.
void Selection::add_meaning(const Meaning& meaning, const Hasher& hasher, const Meanings& known) {
    const bool bounded = meaning.until != ~0ULL;
    const std::uint32_t both = bounded ? begin_list(Op::all_of) : 0;
    const bool marked = !meaning.mark.empty();
    const std::uint32_t either = marked && meaning.past ? begin_list(Op::any_of) : 0;
    if (marked) {
        add_name(Op::tag, meaning.mark, hasher);
        sets.back().definition = meaning.name;
    }
    if (meaning.past) {
        const std::uint32_t past = begin_list(Op::past);
        sets[past].definition = meaning.name;
        sets[past].past = meaning.past.get();
        end_list(past);
    }
    if (marked && meaning.past) end_list(either);
    if (!marked && !meaning.past) add(meaning.code, hasher, &known);
    if (!bounded) return;
    const std::uint32_t upto = begin_list(Op::upto);
    sets[upto].until = meaning.until;
    end_list(upto);
    end_list(both);
}

/// False if the name stands for nothing but itself.
bool Selection::add_meant(Op op, std::string_view name, const Hasher& hasher,
                          const Meanings& known) {
    const std::vector<Meaning> found = known.of(op, name);
    if (found.empty()) return false;
    const std::uint32_t any = begin_list(Op::any_of);
    if (op != Op::derived) add_name(op, name, hasher);
    for (const Meaning& meaning : found) {
        add_meaning(meaning, hasher, known);
        meanings.push_back(meaning);
    }
    end_list(any);
    return true;
}

void Selection::add(std::string_view code, const Hasher& hasher, const Meanings* known) {
    for (CodedSet set; take_set(code, set);) {
        const bool named = is_name(set.op);
        // What the store keeps for itself is nobody's.
        const bool own = named && log::is_mark(set.inside);
        const bool meant = set.op == Op::type || set.op == Op::tag || set.op == Op::derived;
        if (own || (set.op == Op::derived && known == nullptr)) {
            end_list(begin_list(Op::nothing));
        } else if (meant && known != nullptr && add_meant(set.op, set.inside, hasher, *known)) {
            continue;
        } else if (named) {
            add_name(set.op, set.inside, hasher);
        } else {
            const std::uint32_t list = begin_list(set.op == Op::derived ? Op::nothing : set.op);
            if (is_list(set.op)) add(set.inside, hasher, known);
            end_list(list);
        }
    }
}

void Selection::compile(std::string_view code, const Hasher& hasher, const Meanings* known) {
    sets.clear();
    meanings.clear();
    add(code, hasher, known);
}

bool Selection::unbounded(std::uint64_t low, std::uint64_t high, std::uint32_t set) const noexcept {
    const Set& own = sets[set];
    switch (own.op) {
        case Op::all:
        case Op::upto:
        case Op::none_of: return true;
        case Op::past: return !own.past->exact(low, high);
        case Op::any_of:
            for (std::uint32_t n = set + 1; n < own.end; n = sets[n].end)
                if (unbounded(low, high, n)) return true;
            return false;
        case Op::all_of:
            for (std::uint32_t n = set + 1; n < own.end; n = sets[n].end)
                if (!unbounded(low, high, n)) return false;
            return true;
        default: return false;
    }
}

bool Selection::exact(std::uint64_t low, std::uint64_t high, std::uint32_t set) const noexcept {
    for (std::uint32_t n = set; n < sets[set].end; ++n)
        if (sets[n].op == Op::past && !sets[n].past->exact(low, high)) return false;
    return true;
}

bool matches(const Selection& selection, const log::RecordView& record) {
    return is_listed(record) && !selection.sets.empty() &&
           matches_set<By::names>(selection, 0, record);
}

bool may_match(const Selection& selection, const log::RecordView& record) {
    return is_listed(record) && !selection.sets.empty() &&
           matches_set<By::keys>(selection, 0, record);
}

bool matches(const Selection& selection, const EventNames& names) noexcept {
    return !selection.sets.empty() && matches_set<By::names>(selection, 0, names);
}

}  // namespace varve::index
