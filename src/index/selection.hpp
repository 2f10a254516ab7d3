// A selector made ready to be evaluated: its sets in prefix order, with the keys of their names.
//
// One thread makes it, any thread reads it. Names lie in the selector's code, which must outlive
// it. Invariant: `sets[n].end` is the number behind the last set inside of set n, so a list's
// members are n + 1, sets[n + 1].end, … up to sets[n].end.
#pragma once

#include <string_view>
#include <vector>

#include "index/key.hpp"
#include "index/selector_code.hpp"

namespace varve::index {

struct Selection {
    struct Set {
        Op op = Op::nothing;
        std::uint32_t end = 0;
        Key key = 0;              ///< of a name
        std::string_view name{};  ///< of a name
    };
    std::vector<Set> sets;  ///< none: nothing is asked for

    /// Replaces what was there. `code` is valid. May throw bad_alloc.
    void compile(std::string_view code, const Hasher& hasher);

    [[nodiscard]] std::uint32_t first_in(std::uint32_t list) const noexcept { return list + 1; }
    [[nodiscard]] const Set& root() const noexcept { return sets.front(); }
    /// True if finding its events needs more than lists of names: a complement that no list
    /// narrows down.
    [[nodiscard]] bool unbounded(std::uint32_t set = 0) const noexcept;
};

[[nodiscard]] constexpr KeyKind kind_of(Op name) noexcept {
    return static_cast<KeyKind>(static_cast<unsigned>(name) - static_cast<unsigned>(Op::stream) +
                                static_cast<unsigned>(KeyKind::stream));
}

/// True if the event belongs to the selection. Bytes of names are compared. A record that is no
/// event belongs to none.
[[nodiscard]] bool matches(const Selection& selection, const log::RecordView& record) noexcept;

/// False only if the keys in the record say for certain that it does not.
[[nodiscard]] bool may_match(const Selection& selection, const log::RecordView& record) noexcept;

}  // namespace varve::index
