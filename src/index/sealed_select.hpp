// The events of a selection in a sealed index: exactly those, by its lists and its column of types.
//
// One thread each; lives no longer than index and selection. Invariants: no event is found that is
// not in the selection, except that a complement includes the store's own records; a walk that ends
// early because of damage says `damaged()`, and not before what it found has been taken.
#pragma once

#include <algorithm>
#include <memory>
#include <span>

#include "index/sealed_cursor.hpp"
#include "index/selection.hpp"

namespace varve::index {

/// What the parts of a walk share.
struct WalkShared {
    const SealedIndex* index = nullptr;
    bool backwards = false;
    bool damaged = false;
    std::uint64_t looked_at = 0;
    std::uint64_t first = 0;  ///< position of ordinal 0
    std::uint64_t events = 0;

    /// How many events stand at or before the position.
    [[nodiscard]] std::uint64_t ordinals_until(std::uint64_t position) const noexcept {
        return position < first ? 0 : std::min(events, position - first + 1);
    }
    /// The key of an ordinal, the ordinal of a key.
    [[nodiscard]] std::uint64_t flipped(std::uint64_t number) const noexcept {
        return backwards ? events - 1 - number : number;
    }
};

/// A set of events in the order of one direction. Events are numbered in that order, from 0:
/// `key`s. What is asked for never falls from call to call, whichever of the functions is called.
class Walk {
public:
    explicit Walk(WalkShared& shared) noexcept : shared_(shared) {}
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    virtual ~Walk() = default;

    /// The first event at or beyond `from`. False if there is none, or on damage.
    [[nodiscard]] virtual bool reach(std::uint64_t from, std::uint64_t& found) noexcept = 0;
    /// `key` if it is in the set; else a later one before which nothing is. For sets that can look
    /// one event up cheaper than they find the next.
    [[nodiscard]] virtual std::uint64_t onward(std::uint64_t key) noexcept {
        std::uint64_t found = 0;
        return reach(key, found) ? found : kEnd;
    }
    /// The next few events at or beyond `from`, as their ordinals: some if there is one. How many
    /// that are. Moves `from` behind everything that was looked at.
    [[nodiscard]] virtual std::size_t run(std::uint64_t& from,
                                          std::span<std::uint32_t> ordinals) noexcept;
    /// Of events that lie in the walk's order, those that are in the set, or those that are not,
    /// moved to the front. How many that are.
    [[nodiscard]] virtual std::size_t keep(std::span<std::uint32_t> ordinals, bool inside) noexcept;
    static constexpr std::uint64_t kEnd = ~0ULL;
    /// How many events it has at most.
    [[nodiscard]] virtual std::uint64_t most() const noexcept = 0;
    /// True if one event can be looked up without walking there.
    [[nodiscard]] virtual bool looks_up() const noexcept { return false; }

protected:
    WalkShared& shared_;
};

class SealedSelect {
public:
    /// Looks the names up. May throw bad_alloc.
    SealedSelect(const SealedIndex& index, const Selection& selection, bool backwards);

    /// What `next` finds is at or behind `ordinal`; backwards: at or before it. Before the first
    /// `next`.
    void seek(std::uint32_t ordinal) noexcept { next_ = shared_->flipped(ordinal); }
    [[nodiscard]] bool next(std::uint32_t& ordinal) noexcept {
        return next(std::span<std::uint32_t>(&ordinal, 1)) == 1;
    }
    /// The next few events, as many as are at hand and have room. How many that are; 0 at the end,
    /// or on damage.
    [[nodiscard]] std::size_t next(std::span<std::uint32_t> ordinals) noexcept;
    [[nodiscard]] bool damaged() const noexcept { return taken_ == found_ && shared_->damaged; }
    /// Entries of lists and columns that were looked at, those passed over in blocks left out.
    [[nodiscard]] std::uint64_t looked_at() const noexcept { return shared_->looked_at; }
    /// How many events it finds at most.
    [[nodiscard]] std::uint64_t most() const noexcept {
        return root_ == nullptr ? 0 : root_->most();
    }

private:
    std::unique_ptr<WalkShared> shared_;
    std::unique_ptr<Walk> root_;  ///< null: nothing
    std::uint64_t next_ = 0;      ///< key from which on nothing was looked at yet
    std::size_t found_ = 0;       ///< in `run_`
    std::size_t taken_ = 0;       ///< of these
    std::size_t room_;            ///< for the run after this one: who wants one event waits for few
    static constexpr std::size_t kRunMost = 64;
    std::uint32_t run_[kRunMost];
};

}  // namespace varve::index
