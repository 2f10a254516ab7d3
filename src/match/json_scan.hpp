// Reads JSON text (RFC 8259) token by token, strictly, on the bytes as they are.
//
// Any thread; a scanner belongs to one. Invariants: nothing is read outside the text, nothing is
// allocated, each byte is looked at a constant number of times, memory does not grow with the
// text. What is accepted is valid JSON in valid UTF-8 with at most `kMaxJsonDepth` containers
// inside each other and no unpaired surrogate; everything else is `false`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace varve::match {

/// Deeper text is refused: one bit per level has to be kept. Parsers have the same limit.
inline constexpr std::uint32_t kMaxJsonDepth = 1024;

enum class Kind : std::uint8_t { null, no, yes, number, string, array, object };

/// A value without inner values, or a key, as it is spelt in the text.
struct Token {
    Kind kind = Kind::null;
    bool escaped = false;  ///< a string that has at least one backslash
    std::string_view raw;  ///< of a string: between the quotes
};

class JsonScanner {
public:
    explicit JsonScanner(std::string_view json) noexcept
        : begin_(json.data()), at_(begin_), end_(begin_ + json.size()) {}

    /// The byte with which the next token begins; 0, which begins none, at the end.
    [[nodiscard]] char peek() noexcept {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
        return at_ == end_ ? '\0' : *at_;
    }

    /// Goes behind the byte that `peek` has just answered.
    void advance() noexcept { ++at_; }

    /// Reads `"key" :`.
    [[nodiscard]] bool key(Token& token) noexcept {
        if (peek() != '"' || !string(token) || peek() != ':') return false;
        ++at_;
        return true;
    }

    /// Reads a string, number, true, false or null that begins with `first`.
    [[nodiscard]] bool scalar(char first, Token& token) noexcept {
        return first == '"' ? string(token) : number_or_literal(first, token);
    }

    /// Reads a value that begins with `first` and is inside `level` containers.
    [[nodiscard]] bool skip(char first, std::uint32_t level) noexcept {
        Token ignored;
        return first == '{' || first == '[' ? skip_container(level) : scalar(first, ignored);
    }

    /// Between two values of a container, or behind its last one. `more`: another one follows.
    [[nodiscard]] bool next(char close, bool& more) noexcept {
        const char byte = peek();
        more = byte == ',';
        if (!more && byte != close) return false;
        ++at_;
        return true;
    }

    [[nodiscard]] std::size_t offset() const noexcept {
        return static_cast<std::size_t>(at_ - begin_);
    }

private:
    [[nodiscard]] bool string(Token& token) noexcept;
    [[nodiscard]] bool escape() noexcept;
    [[nodiscard]] bool multibyte() noexcept;
    [[nodiscard]] bool digits() noexcept;
    [[nodiscard]] bool number(Token& token) noexcept;
    [[nodiscard]] bool number_or_literal(char first, Token& token) noexcept;
    [[nodiscard]] bool skip_container(std::uint32_t level) noexcept;

    const char* begin_;
    const char* at_;
    const char* end_;
};

/// The value of four hexadecimal digits, or more than 0xFFFF if they are none.
[[nodiscard]] std::uint32_t four_hex_digits(const char* digits) noexcept;

}  // namespace varve::match
