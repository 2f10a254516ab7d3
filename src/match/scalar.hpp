// Compares scalars of JSON texts by what they mean: strings by their characters, numbers exactly.
//
// Any thread: plain values and free functions. Invariants: a comparison looks at no more than both
// spellings once and allocates nothing; tokens come from `JsonScanner`, so their spelling is right.
#pragma once

#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "match/json_scan.hpp"

namespace varve::match {

/// ± 0.d1d2d3… × 10^exponent. Exact, without bound.
struct Number {
    bool negative = false;
    /// Beyond ±4·10^18 it is cut off there; no value of a definition comes near it.
    std::int64_t exponent = 0;
    /// From the first digit that is not 0 to the last one; a point in it does not count. Empty: 0.
    std::string_view digits;
};

/// Reads the spelling of a number.
[[nodiscard]] Number read_number(std::string_view raw) noexcept;
[[nodiscard]] std::strong_ordering compare(const Number& left, const Number& right) noexcept;

/// The shortest of the spellings that a number of equal value could have, always the same one.
[[nodiscard]] std::string canonical(const Number& number);

/// A string of a text against characters in UTF-8: by code points.
[[nodiscard]] std::strong_ordering compare(const Token& string, std::string_view text) noexcept;
/// Keys are short: up to 16 bytes are compared without a call.
[[nodiscard]] inline bool same_bytes(const char* left, const char* right,
                                     std::size_t size) noexcept {
    const auto differ = [&]<class Word>(Word) {
        Word l[2];
        Word r[2];
        std::memcpy(&l[0], left, sizeof(Word));
        std::memcpy(&r[0], right, sizeof(Word));
        std::memcpy(&l[1], left + size - sizeof(Word), sizeof(Word));
        std::memcpy(&r[1], right + size - sizeof(Word), sizeof(Word));
        return ((l[0] ^ r[0]) | (l[1] ^ r[1])) != 0;
    };
    if (size > 16) return std::memcmp(left, right, size) == 0;
    if (size >= 8) return !differ(std::uint64_t{});
    if (size >= 4) return !differ(std::uint32_t{});
    for (std::size_t n = 0; n < size; ++n)
        if (left[n] != right[n]) return false;
    return true;
}

[[nodiscard]] inline bool equal(const Token& string, std::string_view text) noexcept {
    if (string.escaped) return std::is_eq(compare(string, text));
    return string.raw.size() == text.size() &&
           same_bytes(string.raw.data(), text.data(), text.size());
}

/// The characters of a string, in UTF-8.
[[nodiscard]] std::string decode(const Token& string);

/// A scalar that a definition gives. `text`: of a string its characters, of a number its digits.
struct Scalar {
    Kind kind = Kind::null;
    bool negative = false;
    std::int64_t exponent = 0;
    std::string text;

    [[nodiscard]] Number number() const noexcept { return {negative, exponent, text}; }
};

[[nodiscard]] Scalar to_scalar(const Token& token);
[[nodiscard]] bool equal(const Token& token, const Scalar& scalar) noexcept;

/// Orders what can be ordered: two numbers or two strings. Everything else is unordered.
[[nodiscard]] std::partial_ordering order(const Token& token, const Scalar& scalar) noexcept;

/// The canonical JSON of a scalar: equal values have equal texts.
[[nodiscard]] std::string to_json(const Scalar& scalar);
void append_json_string(std::string_view text, std::string& out);

}  // namespace varve::match
