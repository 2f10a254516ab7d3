// The scanner's colder half: escapes, characters that are not ASCII, numbers, and containers that
// are skipped, with one bit per level.
//
// Any thread. Invariant: `at_` never passes `end_`.
#include "match/json_scan.hpp"

#include <array>
#include <cstring>

#include "base/bytes.hpp"

namespace varve::match {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// One bit per level: whether it is an object. Only levels that were entered are ever looked at.
class Levels {
public:
    void enter(std::uint32_t level, bool object) noexcept {
        const std::uint64_t bit = std::uint64_t{1} << (level % 64);
        std::uint64_t& word = words_[level / 64];
        word = object ? word | bit : word & ~bit;
    }
    [[nodiscard]] bool object(std::uint32_t level) const noexcept {
        return (words_[level / 64] >> (level % 64) & 1U) != 0;
    }

private:
    std::array<std::uint64_t, kMaxJsonDepth / 64> words_{};
};

}  // namespace

std::uint32_t four_hex_digits(const char* digits) noexcept {
    std::uint32_t value = 0;
    for (int n = 0; n < 4; ++n) {
        const char c = digits[n];
        const char lower = static_cast<char>(c | 0x20);
        if (is_digit(c))
            value = value << 4 | static_cast<std::uint32_t>(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | static_cast<std::uint32_t>(lower - 'a' + 10);
        else
            return 0x10000;
    }
    return value;
}

/// An escape, `at_` at its backslash. A surrogate must be the first of a pair.
bool JsonScanner::escape() noexcept {
    if (end_ - at_ < 2) return false;
    if (at_[1] != 'u') {
        if (std::strchr("\"\\/bfnrt", at_[1]) == nullptr || at_[1] == '\0') return false;
        at_ += 2;
        return true;
    }
    if (end_ - at_ < 6) return false;
    const std::uint32_t unit = four_hex_digits(at_ + 2);
    if (unit > 0xFFFF || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
    at_ += 6;
    if (unit < 0xD800 || unit > 0xDBFF) return true;
    if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') return false;
    const std::uint32_t second = four_hex_digits(at_ + 2);
    at_ += 6;
    return second >= 0xDC00 && second <= 0xDFFF;
}

/// A character of UTF-8 that is longer than a byte; a control character is none.
bool JsonScanner::multibyte() noexcept {
    const auto lead = static_cast<unsigned char>(*at_);
    const std::ptrdiff_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || end_ - at_ < size) return false;
    for (std::ptrdiff_t n = 1; n < size; ++n)
        if ((static_cast<unsigned char>(at_[n]) & 0xC0U) != 0x80) return false;
    const auto second = static_cast<unsigned char>(at_[1]);
    // Spelt longer than needed, a surrogate, beyond U+10FFFF.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return false;
    if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return false;
    at_ += size;
    return true;
}

bool JsonScanner::digits() noexcept {
    const char* const first = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != first;
}

bool JsonScanner::number(Token& token) noexcept {
    const char* const first = at_;
    if (*at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0')
        ++at_;
    else if (!digits())
        return false;
    if (at_ != end_ && *at_ == '.') {
        ++at_;
        if (!digits()) return false;
    }
    if (at_ != end_ && (*at_ | 0x20) == 'e') {
        ++at_;
        if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
        if (!digits()) return false;
    }
    token = {Kind::number, false, {first, static_cast<std::size_t>(at_ - first)}};
    return true;
}

bool JsonScanner::number_or_literal(char first, Token& token) noexcept {
    if (first == '-' || is_digit(first)) return number(token);
    const std::string_view word = first == 't' ? "true" : first == 'f' ? "false" : "null";
    const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
    if (!rest.starts_with(word)) return false;
    token = {first == 't'   ? Kind::yes
             : first == 'f' ? Kind::no
                            : Kind::null,
             false,
             {at_, word.size()}};
    at_ += word.size();
    return true;
}

/// No recursion: hostile nesting costs a bit a level.
bool JsonScanner::skip_container(std::uint32_t level) noexcept {
    Levels levels;
    const std::uint32_t outside = level;
    for (char first = *at_;; first = peek()) {
        bool more = false;
        if (first == '{' || first == '[') {
            if (level == kMaxJsonDepth) return false;
            levels.enter(level++, first == '{');
            ++at_;
            more = peek() != (first == '{' ? '}' : ']');
            if (!more) {
                ++at_;
                --level;
            }
        } else if (Token ignored; !scalar(first, ignored)) {
            return false;
        }
        while (!more && level != outside) {
            if (!next(levels.object(level - 1) ? '}' : ']', more)) return false;
            if (!more) --level;
        }
        if (level == outside) return true;
        if (Token ignored; levels.object(level - 1) && !key(ignored)) return false;
    }
}

}  // namespace varve::match
