// Reads JSON text (RFC 8259) token by token, strictly, on the bytes as they are.
//
// Any thread; a scanner belongs to one. Invariants: nothing is read outside the text, nothing is
// allocated, each byte is looked at a constant number of times, memory does not grow with the
// text. What is accepted is valid JSON in valid UTF-8 with at most `kMaxJsonDepth` containers
// inside each other and no unpaired surrogate; everything else is `false`.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

inline constexpr std::uint64_t kOnes = 0x0101010101010101U;
inline constexpr std::uint64_t kHighs = 0x8080808080808080U;

/// A high bit in each byte that is a quote, a backslash, a control character or not ASCII. Bytes
/// behind the first such one may be marked wrongly.
[[nodiscard]] inline std::uint64_t specials(std::uint64_t word) noexcept {
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t slash = word ^ (kOnes * '\\');
    const std::uint64_t found = ((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) |
                                ((word - kOnes * 0x20U) & ~word) | word;
    return found & kHighs;
}

/// The first byte of a string that is not just itself, or `end`.
[[nodiscard]] inline const char* behind_plain(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        // As signed bytes, what is not ASCII is below a space too.
        const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
        const int found = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), below));
        if (found != 0) return at + std::countr_zero(static_cast<unsigned>(found));
    }
#endif
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
        if (const std::uint64_t found = specials(word); found != 0)
            return at + (std::countr_zero(found) >> 3);
    }
    for (; at != end; ++at) {
        const auto byte = static_cast<unsigned char>(*at);
        if (byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80) break;
    }
    return at;
}

class JsonScanner {
public:
    explicit JsonScanner(std::string_view json) noexcept
        : begin_(json.data()), at_(begin_), end_(begin_ + json.size()) {}

    /// The byte with which the next token begins; 0, which begins none, at the end.
    [[nodiscard]] char peek() noexcept {
        for (; at_ != end_; ++at_)
            if (*at_ != ' ' && *at_ != '\n' && *at_ != '\r' && *at_ != '\t') return *at_;
        return '\0';
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
        return first == '"' ? string(token) : went(number_or_literal(at_, end_, token));
    }

    /// Reads a value that begins with `first` and is inside `level` containers.
    [[nodiscard]] bool skip(char first, std::uint32_t level) noexcept {
        Token ignored;
        return first == '{' || first == '[' ? went(skip_container(at_, end_, level))
                                            : scalar(first, ignored);
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
    [[nodiscard]] bool string(Token& token) noexcept {
        const char* const first = at_ + 1;
        const char* const last = behind_plain(first, end_);
        if (last == end_ || *last != '"') return went(special_string(first, last, end_, token));
        at_ = last + 1;
        token = {Kind::string, false, {first, static_cast<std::size_t>(last - first)}};
        return true;
    }

    // The colder half, out of line. These take and answer places instead of changing the scanner,
    // so that a scanner that is a local variable can stay in registers. Null: not JSON.
    [[nodiscard]] static const char* special_string(const char* first, const char* at,
                                                    const char* end, Token& token) noexcept;
    [[nodiscard]] static const char* number_or_literal(const char* at, const char* end,
                                                       Token& token) noexcept;
    [[nodiscard]] static const char* skip_container(const char* at, const char* end,
                                                    std::uint32_t level) noexcept;

    [[nodiscard]] bool went(const char* to) noexcept {
        if (to == nullptr) return false;
        at_ = to;
        return true;
    }

    const char* begin_;
    const char* at_;
    const char* end_;
};

/// The value of four hexadecimal digits, or more than 0xFFFF if they are none.
[[nodiscard]] std::uint32_t four_hex_digits(const char* digits) noexcept;

}  // namespace varve::match
