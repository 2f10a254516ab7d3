// A selector made ready to be evaluated: its sets in prefix order, with the keys of their names.
//
// One thread makes it, any thread reads it. Names lie in the selector's code, which must outlive
// it. Invariant: `sets[n].end` is the number behind the last set inside of set n, so a list's
// members are n + 1, sets[n + 1].end, … up to sets[n].end.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "index/key.hpp"
#include "index/past.hpp"
#include "index/selector_code.hpp"

namespace varve::index {

/// What a name stands for besides the events that carry it themselves.
struct Meaning {
    std::string_view code{};              ///< a selector; of a derived stream that is nothing else
    std::string_view name{};              ///< of the definition
    std::string_view mark{};              ///< the tag by which its events are known
    std::uint64_t until = ~0ULL;          ///< events behind it do not belong
    std::shared_ptr<const Past> past{};   ///< null: none
    std::shared_ptr<const void> owner{};  ///< of what the views point into
};

/// Knows the definitions of a store.
class Meanings {
public:
    Meanings() = default;
    Meanings(const Meanings&) = delete;
    Meanings& operator=(const Meanings&) = delete;
    virtual ~Meanings() = default;
    /// Of a type, a tag or a derived stream; none: only what carries it, or nothing. May throw
    /// bad_alloc.
    [[nodiscard]] virtual std::vector<Meaning> of(Op op, std::string_view name) const = 0;
};

struct Selection {
    struct Set {
        Op op = Op::nothing;
        std::uint32_t end = 0;
        Key key = 0;                    ///< of a name
        std::string_view name{};        ///< of a name
        std::string_view definition{};  ///< of a mark and of a past: what they are of
        const Past* past = nullptr;
        std::uint64_t until = 0;  ///< of `upto`
    };
    std::vector<Set> sets;          ///< none: nothing is asked for
    std::vector<Meaning> meanings;  ///< what the sets point into

    /// Replaces what was there. `code` is valid and outlives this. `known`: may be null. May throw
    /// bad_alloc.
    void compile(std::string_view code, const Hasher& hasher, const Meanings* known = nullptr);

    [[nodiscard]] std::uint32_t first_in(std::uint32_t list) const noexcept { return list + 1; }
    [[nodiscard]] const Set& root() const noexcept { return sets.front(); }
    /// True if finding its events among the positions `low` … `high` needs more than lists: a
    /// complement that no list narrows down, or a past that nobody has looked through yet.
    [[nodiscard]] bool unbounded(std::uint64_t low, std::uint64_t high,
                                 std::uint32_t set = 0) const noexcept;
    /// True if lists say everything about the positions `low` … `high`; else the content of events
    /// does.
    [[nodiscard]] bool exact(std::uint64_t low, std::uint64_t high,
                             std::uint32_t set = 0) const noexcept;
    /// True if the content of some events has to be looked at.
    [[nodiscard]] bool asks_content() const noexcept { return !sets.empty() && !exact(1, ~0ULL); }

private:
    void add(std::string_view code, const Hasher& hasher, const Meanings* known);
    void add_name(Op op, std::string_view name, const Hasher& hasher);
    void add_meaning(const Meaning& meaning, const Hasher& hasher, const Meanings& known);
    bool add_meant(Op op, std::string_view name, const Hasher& hasher, const Meanings& known);
    std::uint32_t begin_list(Op op);
    void end_list(std::uint32_t list) noexcept;
};

[[nodiscard]] constexpr KeyKind kind_of(Op name) noexcept {
    return static_cast<KeyKind>(static_cast<unsigned>(name) - static_cast<unsigned>(Op::stream) +
                                static_cast<unsigned>(KeyKind::stream));
}

/// True if the event belongs to the selection. Bytes of names are compared, and where
/// `asks_content` its content is looked at. A record that is no event belongs to none.
/// May throw bad_alloc where `asks_content`.
[[nodiscard]] bool matches(const Selection& selection, const log::RecordView& record);

/// What an event that is not in the log yet is called.
struct EventNames {
    std::string_view stream{};
    std::string_view type{};
    std::span<const std::string_view> tags{};
};
/// The same for a selection of names only: one that was made without Meanings.
[[nodiscard]] bool matches(const Selection& selection, const EventNames& names) noexcept;

/// False only if the keys in the record say for certain that it does not.
[[nodiscard]] bool may_match(const Selection& selection, const log::RecordView& record);

}  // namespace varve::index
