// The scanner's colder half: escapes, characters that are not ASCII, numbers, and containers that
// are skipped, with one bit per level.
//
// Any thread. Invariant: `at_` never passes `end_`.
#include "match/json_scan.hpp"

#include <array>

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

namespace {

/// Behind an escape, `at` at its backslash; null if it is none. A surrogate must be the first of a
/// pair.
const char* behind_escape(const char* at, const char* end) noexcept {
    if (end - at < 2) return nullptr;
    if (at[1] != 'u') {
        constexpr std::string_view kLetters = "\"\\/bfnrt";
        return kLetters.find(at[1]) == std::string_view::npos ? nullptr : at + 2;
    }
    if (end - at < 6) return nullptr;
    const std::uint32_t unit = four_hex_digits(at + 2);
    if (unit > 0xFFFF || (unit >= 0xDC00 && unit <= 0xDFFF)) return nullptr;
    if (unit < 0xD800 || unit > 0xDBFF) return at + 6;
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u') return nullptr;
    const std::uint32_t second = four_hex_digits(at + 8);
    return second >= 0xDC00 && second <= 0xDFFF ? at + 12 : nullptr;
}

/// Behind a character of UTF-8 that is longer than a byte; null if there is none.
const char* behind_multibyte(const char* at, const char* end) noexcept {
    const auto lead = static_cast<unsigned char>(*at);
    const std::ptrdiff_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || end - at < size) return nullptr;
    for (std::ptrdiff_t n = 1; n < size; ++n)
        if ((static_cast<unsigned char>(at[n]) & 0xC0U) != 0x80) return nullptr;
    const auto second = static_cast<unsigned char>(at[1]);
    // Spelt longer than needed, a surrogate, beyond U+10FFFF.
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return nullptr;
    if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return nullptr;
    return at + size;
}

/// Behind at least one digit; null if there is none.
const char* behind_digits(const char* at, const char* end) noexcept {
    const char* const first = at;
    while (at != end && is_digit(*at)) ++at;
    return at == first ? nullptr : at;
}

const char* behind_number(const char* at, const char* end) noexcept {
    if (*at == '-') ++at;
    at = at != end && *at == '0' ? at + 1 : behind_digits(at, end);
    if (at != nullptr && at != end && *at == '.') at = behind_digits(at + 1, end);
    if (at != nullptr && at != end && (*at | 0x20) == 'e') {
        ++at;
        if (at != end && (*at == '+' || *at == '-')) ++at;
        at = behind_digits(at, end);
    }
    return at;
}

}  // namespace

/// A string that begins at `first` and goes on at `at` with something that is not itself.
const char* JsonScanner::special_string(const char* first, const char* at, const char* end,
                                        Token& token) noexcept {
    bool escaped = false;
    for (; at != end && *at != '"'; at = behind_plain(at, end)) {
        escaped = escaped || *at == '\\';
        at = *at == '\\' ? behind_escape(at, end) : behind_multibyte(at, end);
        if (at == nullptr) return nullptr;
    }
    if (at == end) return nullptr;
    token = {Kind::string, escaped, {first, static_cast<std::size_t>(at - first)}};
    return at + 1;
}

const char* JsonScanner::number_or_literal(const char* at, const char* end, Token& token) noexcept {
    if (at == end) return nullptr;
    if (*at == '-' || is_digit(*at)) {
        const char* const behind = behind_number(at, end);
        if (behind != nullptr)
            token = {Kind::number, false, {at, static_cast<std::size_t>(behind - at)}};
        return behind;
    }
    const std::string_view word = *at == 't' ? "true" : *at == 'f' ? "false" : "null";
    if (!std::string_view(at, static_cast<std::size_t>(end - at)).starts_with(word)) return nullptr;
    const Kind kind = *at == 't' ? Kind::yes : *at == 'f' ? Kind::no : Kind::null;
    token = {kind, false, {at, word.size()}};
    return at + word.size();
}

/// No recursion: hostile nesting costs a bit a level.
const char* JsonScanner::skip_container(const char* at, const char* end,
                                        std::uint32_t level) noexcept {
    JsonScanner scanner({at, static_cast<std::size_t>(end - at)});
    Levels levels;
    const std::uint32_t outside = level;
    for (char first = *at;; first = scanner.peek()) {
        bool more = false;
        if (first == '{' || first == '[') {
            if (level == kMaxJsonDepth) return nullptr;
            levels.enter(level++, first == '{');
            scanner.advance();
            more = scanner.peek() != (first == '{' ? '}' : ']');
            if (!more) {
                scanner.advance();
                --level;
            }
        } else if (Token ignored; !scanner.scalar(first, ignored)) {
            return nullptr;
        }
        while (!more && level != outside) {
            if (!scanner.next(levels.object(level - 1) ? '}' : ']', more)) return nullptr;
            if (!more) --level;
        }
        if (level == outside) return scanner.at_;
        if (Token ignored; levels.object(level - 1) && !scanner.key(ignored)) return nullptr;
    }
}

}  // namespace varve::match
