// Walks over a sealed index: the events of one name, the names of one kind, the events that may
// have an id.
//
// One thread each; they live no longer than the index. A walk that ends early because of damage
// says `damaged()`.
#pragma once

#include "index/sealed_index.hpp"

namespace varve::index {

/// The events of one list in either direction, decoded block by block.
class SealedCursor {
public:
    /// Stands before the first event; `backwards`: behind the last.
    SealedCursor(const SealedIndex& index, const SealedList& list, bool backwards) noexcept;

    /// The next event is the first at or behind `ordinal`; backwards: the last at or before it.
    /// False if there is none, or on damage; then the walk is at its end.
    [[nodiscard]] bool seek(std::uint32_t ordinal) noexcept;
    /// False at the end, or on damage.
    [[nodiscard]] bool next(std::uint32_t& ordinal) noexcept {
        return next(std::span<std::uint32_t>(&ordinal, 1)) == 1;
    }
    /// The next few events, as many as are at hand and have room. How many that are; 0 at the end,
    /// or on damage.
    [[nodiscard]] std::size_t next(std::span<std::uint32_t> ordinals) noexcept;
    /// As `seek`, but only onwards from where the walk stands, which is cheap for what is near, and
    /// without taking what it finds: `found` comes again with `next`.
    [[nodiscard]] bool reach(std::uint32_t ordinal, std::uint32_t& found) noexcept {
        // What is asked for most often: the very next one of the block that is decoded.
        if (loaded_ && !backwards_ && !damaged_ && !ended_ && at_ + 1 < size_ &&
            ordinals_[at_ + 1] >= ordinal) {
            if (ordinals_[at_] < ordinal) ++at_;
            found = ordinals_[at_];
            return true;
        }
        return reach_far(ordinal, found);
    }
    /// Of ordinals in the order of the walk, from where it stands on, those that it has or those
    /// that it has not, moved to the front. How many that are; on damage, those before it.
    [[nodiscard]] std::size_t keep(std::span<std::uint32_t> ordinals, bool inside) noexcept;
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

private:
    [[nodiscard]] std::uint32_t blocks() const noexcept {
        return (list_.count + kPostingsPerBlock - 1) / kPostingsPerBlock;
    }
    /// Last ordinal of a block and end of its bytes, from the list's table.
    struct Skip {
        std::uint32_t last = 0;
        std::uint32_t end = 0;
    };
    [[nodiscard]] bool skip(std::uint32_t block, Skip& skip) noexcept;
    [[nodiscard]] bool load(std::uint32_t block) noexcept;
    [[nodiscard]] bool decode(std::uint64_t offset, std::uint64_t bytes, std::uint32_t before,
                              std::uint32_t count, bool first_known) noexcept;
    [[nodiscard]] bool find(std::uint32_t ordinal) noexcept;
    [[nodiscard]] bool reach_far(std::uint32_t ordinal, std::uint32_t& found) noexcept;
    [[nodiscard]] bool reach_block(std::uint32_t ordinal) noexcept;
    [[nodiscard]] bool reach_on(std::uint32_t ordinal, std::uint32_t& found) noexcept;
    [[nodiscard]] bool reach_back(std::uint32_t ordinal, std::uint32_t& found) noexcept;
    bool broken() noexcept;

    const SealedIndex* index_;
    SealedList list_;
    bool backwards_;
    bool damaged_ = false;
    std::uint32_t block_ = 0;  ///< the one that is decoded
    std::uint32_t size_ = 0;   ///< ordinals in it
    std::uint32_t at_ = 0;     ///< next one; backwards: one behind the next
    bool loaded_ = false;
    bool ended_ = false;  ///< nothing was found by the last `seek`
    std::uint32_t ordinals_[kPostingsPerBlock];
};

/// The names of one kind in byte order. `name()` is valid until the next call.
class SealedNames {
public:
    /// Stands before the first name at or behind `from`.
    SealedNames(const SealedIndex& index, KeyKind kind, std::string_view from) noexcept;
    SealedNames(const SealedNames&) = delete;  // names lie inside
    SealedNames& operator=(const SealedNames&) = delete;

    [[nodiscard]] bool next() noexcept;
    [[nodiscard]] std::string_view name() const noexcept { return current_.name; }
    [[nodiscard]] const SealedList& list() const noexcept { return current_.list; }
    [[nodiscard]] bool damaged() const noexcept { return cursor_.damaged(); }

private:
    std::uint32_t end_;
    DictionaryCursor cursor_;
    SealedName current_;
    bool waiting_ = false;  ///< `current_` was found by the constructor and not handed out yet
};

/// Events whose id may be the one that was asked for: the caller compares the record's.
class SealedIds {
public:
    SealedIds(const SealedIndex& index, Key key) noexcept;
    [[nodiscard]] bool next(std::uint32_t& ordinal) noexcept;
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

private:
    const SealedIndex* index_;
    std::uint32_t print_;
    std::uint64_t slot_ = 0;
    std::uint64_t left_ = 0;
    bool damaged_ = false;
};

}  // namespace varve::index
