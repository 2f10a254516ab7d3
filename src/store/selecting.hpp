// A selection in one index: the events that may belong to it, in the order of a read.
//
// One thread. Invariants: every event of the selection within the bounds comes, once and in order;
// what comes need not belong to it (see index/active_select.hpp), so whoever takes it compares the
// record. An event that cannot be read comes as well: whether it belongs is not known.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "index/active_select.hpp"
#include "index/sealed_select.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Adds the ordinals `low` … `high` of events that cannot be read to candidates that are sorted
/// newest first.
void add_gaps(const index::ActiveIndex& index, std::uint64_t low, std::uint64_t high,
              std::vector<std::uint32_t>& candidates);

/// What is answered if the index of that segment, of either kind, turns out to be damaged.
[[nodiscard]] Error damaged_unit(const Meta& meta, const Segment& segment) noexcept;

class Selecting {
public:
    /// `selection` outlives this.
    explicit Selecting(const index::Selection& selection) noexcept : selection_(selection) {}

    /// Stands before the first event of the index among the ordinals `low` … `high`, which count
    /// from the first event of the index. May throw bad_alloc.
    void enter(const Segment& segment, std::uint64_t low, std::uint64_t high, bool backwards);
    [[nodiscard]] bool next(std::uint32_t& ordinal) {
        return next(std::span<std::uint32_t>(&ordinal, 1)) == 1;
    }
    /// The next few events, as many as are at hand and have room. How many that are; 0 at the end,
    /// or on damage.
    [[nodiscard]] std::size_t next(std::span<std::uint32_t> ordinals);
    /// True if the index needs no look at the content of events to tell which ones belong.
    [[nodiscard]] bool exact() const noexcept { return exact_; }
    /// Damage of the index has ended the walk.
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }
    /// Entries of indexes that were looked at, in all indexes.
    [[nodiscard]] std::uint64_t looked_at() const noexcept;

private:
    [[nodiscard]] std::size_t next_active(std::span<std::uint32_t> ordinals);
    void collect();

    const index::Selection& selection_;
    bool unbounded_ = false;  ///< no list narrows it down in this index
    bool exact_ = true;       ///< lists say everything in this index
    const Segment* segment_ = nullptr;
    std::uint64_t first_ = 0;  ///< position of its ordinal 0
    bool backwards_ = false;
    bool damaged_ = false;
    std::uint64_t looked_at_ = 0;
    std::uint64_t low_ = 0;   ///< of what is not collected yet
    std::uint64_t left_ = 0;  ///< ordinals from there on that are not collected yet
    std::uint64_t window_ = 0;
    std::vector<std::uint32_t> ordinals_;
    std::size_t at_ = 0;
    std::optional<index::SealedSelect> sealed_;
};

/// The newest event of the selection at the positions `low` … `high` that `admits` as well. The
/// list may hold more than is published. Errors: `corrupt` where damage leaves the answer unknown,
/// `out_of_memory`, and those of `admits`.
struct Matched {
    std::uint64_t position = 0;  ///< 0: none
    log::RecordView record{};
};
using Admits = std::function<Result<bool>(const Segment&, const log::RecordView&)>;
[[nodiscard]] Result<Matched> find_newest(const Meta& meta, const SegmentList& list,
                                          const index::Selection& selection, log::Check check,
                                          const Admits& admits, std::uint64_t low,
                                          std::uint64_t high) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
