// Selectors in bytes: a set, or a list of sets behind its head, one behind the other.
//
// Any thread. Invariants: what `valid` accepts can be walked without further checks; the code of a
// normal form is unique, so equal codes are equal sets.
//
// all: one byte. nothing: one byte. A name: op, u16 length, bytes. A complement: op, u32 bytes of
// what follows, then the set. A list: op, u32 bytes of what follows, then the sets, ascending by
// their bytes. Numbers are little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace varve::index {

enum class Op : std::uint8_t {
    nothing = 0,
    all = 1,
    stream = 16,  // 16 + n: names, in the order of KeyKind
    category = 17,
    type = 18,
    tag = 19,
    derived = 20,  // names a definition, which says what it stands for
    // 24 and up: only in a Selection that was made ready
    past = 24,  // events that a definition was applied to after they were appended
    upto = 25,  // everything up to a position
    any_of = 32,
    all_of = 33,
    none_of = 34,
};

/// Names of events, which indexes know.
[[nodiscard]] constexpr bool is_name(Op op) noexcept { return op >= Op::stream && op <= Op::tag; }
[[nodiscard]] constexpr bool is_list(Op op) noexcept { return op >= Op::any_of; }

/// One set of a code.
struct CodedSet {
    Op op = Op::nothing;
    std::string_view whole{};   ///< all its bytes
    std::string_view inside{};  ///< the name, or the sets of the list
};

/// Takes the first set off `code`. False at the end, and where the bytes are none.
[[nodiscard]] bool take_set(std::string_view& code, CodedSet& set) noexcept;

/// True if `code` is exactly one set in normal form.
[[nodiscard]] bool valid(std::string_view code) noexcept;

}  // namespace varve::index
