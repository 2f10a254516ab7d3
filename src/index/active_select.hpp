// The events of a selection in an active index: candidates, found by its lists.
//
// Any thread; one object by one thread. Invariants: every event of the selection within the bounds
// is a candidate; a candidate need not belong to it, because keys may collide and complements are
// left to the record, so whoever takes one compares the record. Every walk ends.
#pragma once

#include <vector>

#include "index/active_index.hpp"
#include "index/selection.hpp"

namespace varve::index {

class ActiveSelect {
public:
    /// Both outlive this. `first`: position of ordinal 0.
    ActiveSelect(const ActiveIndex& index, const Selection& selection, std::uint64_t first) noexcept
        : index_(index), selection_(selection), first_(first) {}

    /// Adds the candidates among the ordinals `low` … `high`, newest first, each once. Not for
    /// selections that are `unbounded`: there everything is a candidate. May throw bad_alloc.
    void collect(std::uint32_t low, std::uint32_t high, std::vector<std::uint32_t>& candidates);
    /// True if a list was damaged: then candidates are missing.
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }
    /// Entries of lists that were walked.
    [[nodiscard]] std::uint64_t looked_at() const noexcept { return looked_at_; }

private:
    /// How many events a set has at most; ~0: it is unbounded.
    [[nodiscard]] std::uint64_t most(std::uint32_t set) const noexcept;
    [[nodiscard]] bool may_have(std::uint32_t set) noexcept;
    void collect_set(std::uint32_t set, std::vector<std::uint32_t>& to);
    void collect_past(const Past& past, std::vector<std::uint32_t>& to) const;
    void collect_name(const Selection::Set& name, std::vector<std::uint32_t>& to);
    void collect_any(std::uint32_t set, std::vector<std::uint32_t>& to);
    void collect_all(std::uint32_t set, std::vector<std::uint32_t>& to);

    const ActiveIndex& index_;
    const Selection& selection_;
    std::uint64_t first_;
    std::uint32_t low_ = 0;
    std::uint32_t high_ = 0;
    std::uint64_t looked_at_ = 0;
    bool damaged_ = false;
};

}  // namespace varve::index
