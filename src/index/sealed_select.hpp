// The events of a selection in a sealed index: exactly those, by its lists and its column of types.
//
// One thread each; lives no longer than index and selection. Invariants: no event is found that is
// not in the selection, except that a complement includes the store's own records; a walk that ends
// early because of damage says `damaged()`.
#pragma once

#include <algorithm>
#include <memory>

#include "index/sealed_cursor.hpp"
#include "index/selection.hpp"

namespace varve::index {

/// A set of events in the order of one direction. Events are numbered in that order, from 0:
/// `key`s.
class Walk {
public:
    Walk() = default;
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    virtual ~Walk() = default;

    /// The first event at or beyond `from`, which never falls from call to call. False if there is
    /// none, or on damage.
    [[nodiscard]] virtual bool reach(std::uint64_t from, std::uint64_t& found) noexcept = 0;
    /// `key` if it is in the set; else a later one before which nothing is. For sets that can look
    /// one event up cheaper than they find the next.
    [[nodiscard]] virtual std::uint64_t onward(std::uint64_t key) noexcept {
        std::uint64_t found = 0;
        return reach(key, found) ? found : kEnd;
    }
    static constexpr std::uint64_t kEnd = ~0ULL;
    /// How many events it has at most.
    [[nodiscard]] virtual std::uint64_t most() const noexcept = 0;
};

class SealedSelect {
public:
    /// Looks the names up. May throw bad_alloc.
    SealedSelect(const SealedIndex& index, const Selection& selection, bool backwards);

    /// What `next` finds is at or behind `ordinal`; backwards: at or before it.
    void seek(std::uint32_t ordinal) noexcept { next_ = key_of(ordinal); }
    [[nodiscard]] bool next(std::uint32_t& ordinal) noexcept;
    [[nodiscard]] bool damaged() const noexcept { return shared_->damaged; }
    /// Entries of lists and columns that were looked at, those passed over in blocks left out.
    [[nodiscard]] std::uint64_t looked_at() const noexcept { return shared_->looked_at; }
    /// How many events it finds at most.
    [[nodiscard]] std::uint64_t most() const noexcept {
        return root_ == nullptr ? 0 : root_->most();
    }

    /// What the parts of a walk share.
    struct Shared {
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
        [[nodiscard]] std::uint64_t flipped(std::uint64_t number) const noexcept {
            return backwards ? events - 1 - number : number;
        }
    };

private:
    [[nodiscard]] std::uint64_t key_of(std::uint32_t ordinal) const noexcept {
        return shared_->flipped(ordinal);
    }
    std::unique_ptr<Shared> shared_;
    std::unique_ptr<Walk> root_;  ///< null: nothing
    std::uint64_t next_ = 0;
};

}  // namespace varve::index
