#include "index/selection.hpp"

#include "base/seeded_bug.hpp"

namespace varve::index {

namespace {

void add(std::string_view code, const Hasher& hasher, std::vector<Selection::Set>& sets) {
    for (CodedSet set; take_set(code, set);) {
        const std::size_t at = sets.size();
        sets.push_back({set.op, 0, 0, {}});
        if (is_name(set.op)) {
            sets[at].name = set.inside;
            sets[at].key = hasher.key(kind_of(set.op), set.inside);
        } else if (is_list(set.op)) {
            add(set.inside, hasher, sets);
        }
        sets[at].end = static_cast<std::uint32_t>(sets.size());
    }
}

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

template <By by>
bool matches_set(const Selection& selection, std::uint32_t n,
                 const log::RecordView& record) noexcept {
    const Selection::Set& set = selection.sets[n];
    switch (set.op) {
        case Op::nothing: return false;
        case Op::all: return true;
        // What only shares a key with a name is not left out.
        case Op::none_of: return !matches_set<By::names>(selection, n + 1, record);
        case Op::any_of:
            for (std::uint32_t m = n + 1; m < set.end; m = selection.sets[m].end)
                if (matches_set<by>(selection, m, record)) return true;
            return false;
        case Op::all_of:
            for (std::uint32_t m = n + 1; m < set.end; m = selection.sets[m].end)
                if (!matches_set<by>(selection, m, record)) return false;
            return true;
        default: return carries_set<by>(set, record);
    }
}

}  // namespace

void Selection::compile(std::string_view code, const Hasher& hasher) {
    sets.clear();
    add(code, hasher, sets);
}

bool Selection::unbounded(std::uint32_t set) const noexcept {
    const Set& own = sets[set];
    switch (own.op) {
        case Op::all:
        case Op::none_of: return true;
        case Op::any_of:
            for (std::uint32_t n = set + 1; n < own.end; n = sets[n].end)
                if (unbounded(n)) return true;
            return false;
        case Op::all_of:
            for (std::uint32_t n = set + 1; n < own.end; n = sets[n].end)
                if (!unbounded(n)) return false;
            return true;
        default: return false;
    }
}

bool matches(const Selection& selection, const log::RecordView& record) noexcept {
    return is_listed(record) && !selection.sets.empty() &&
           matches_set<By::names>(selection, 0, record);
}

bool may_match(const Selection& selection, const log::RecordView& record) noexcept {
    return is_listed(record) && !selection.sets.empty() &&
           matches_set<By::keys>(selection, 0, record);
}

}  // namespace varve::index
