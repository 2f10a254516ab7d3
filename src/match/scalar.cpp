// Decodes escapes while comparing and compares decimal digits where numbers are spelt with them.
//
// Any thread.
#include "match/scalar.hpp"

#include <algorithm>

#include "base/seeded_bug.hpp"

namespace varve::match {

namespace {

constexpr std::int64_t kExponentEnd = 4'000'000'000'000'000'000;

/// The exponent behind an e, cut off at the end of what is counted.
std::int64_t read_exponent(std::string_view text) noexcept {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    std::int64_t value = 0;
    for (const char c : text) {
        value = value * 10 + (c - '0');
        if (value > kExponentEnd / 10) {
            value = kExponentEnd;
            break;
        }
    }
    return negative ? -value : value;
}

/// The digits of two numbers, points left out; a shorter one is less.
std::strong_ordering compare_digits(std::string_view left, std::string_view right) noexcept {
    std::size_t l = 0;
    std::size_t r = 0;
    for (;; ++l, ++r) {
        if (l < left.size() && left[l] == '.') ++l;
        if (r < right.size() && right[r] == '.') ++r;
        if (l == left.size() || r == right.size())
            return (l != left.size()) <=> (r != right.size());
        if (left[l] != right[r]) return left[l] <=> right[r];
    }
}

/// Writes a code point as UTF-8 and answers its length.
std::size_t encode(std::uint32_t code, char* out) noexcept {
    const auto tail = [&](unsigned shift) {
        return static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
    };
    if (code < 0x80) {
        out[0] = static_cast<char>(code);
        return 1;
    }
    if (code < 0x800) {
        out[0] = static_cast<char>(0xC0U | (code >> 6));
        out[1] = tail(0);
        return 2;
    }
    if (code < 0x10000) {
        out[0] = static_cast<char>(0xE0U | (code >> 12));
        out[1] = tail(6);
        out[2] = tail(0);
        return 3;
    }
    out[0] = static_cast<char>(0xF0U | (code >> 18));
    out[1] = tail(12);
    out[2] = tail(6);
    out[3] = tail(0);
    return 4;
}

/// Takes a spelt string apart into pieces of plain characters and decoded escapes.
class Pieces {
public:
    explicit Pieces(std::string_view raw) noexcept : rest_(raw) {}

    /// The next piece, valid until the next call; empty at the end.
    [[nodiscard]] std::string_view next() noexcept {
        if (!rest_.starts_with('\\')) {
            const std::string_view piece = rest_.substr(0, rest_.find('\\'));
            rest_.remove_prefix(piece.size());
            return piece;
        }
        if (rest_[1] != 'u') {
            constexpr std::string_view kLetters = "bfnrt";
            constexpr std::string_view kMeant = "\b\f\n\r\t";
            const std::size_t letter = kLetters.find(rest_[1]);
            decoded_[0] = letter == std::string_view::npos ? rest_[1] : kMeant[letter];
            rest_.remove_prefix(2);
            return {decoded_, 1};
        }
        std::uint32_t code = four_hex_digits(rest_.data() + 2);
        rest_.remove_prefix(6);
        if (code >= 0xD800 && code <= 0xDBFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (four_hex_digits(rest_.data() + 2) - 0xDC00);
            rest_.remove_prefix(6);
        }
        return {decoded_, encode(code, decoded_)};
    }

private:
    std::string_view rest_;
    char decoded_[4]{};
};

}  // namespace

Number read_number(std::string_view raw) noexcept {
    Number number;
    number.negative = raw.starts_with('-');
    if (number.negative) raw.remove_prefix(1);
    std::size_t first = raw.size();  // digit that is not 0
    std::size_t behind_last = 0;
    std::size_t point = raw.size();
    std::size_t at = 0;
    for (; at < raw.size() && (raw[at] | 0x20) != 'e'; ++at) {
        if (raw[at] == '.') {
            point = at;
        } else if (raw[at] != '0') {
            first = std::min(first, at);
            behind_last = at + 1;
        }
    }
    if (behind_last == 0) return {};  // all zeros are one, without a sign
    point = std::min(point, at);
    number.digits = raw.substr(first, behind_last - first);
    number.exponent = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first);
    if (first > point) ++number.exponent;  // the point itself was counted
    if (at < raw.size()) number.exponent += read_exponent(raw.substr(at + 1));
    return number;
}

std::strong_ordering compare(const Number& left, const Number& right) noexcept {
    const auto sign = [](const Number& number) {
        return number.digits.empty() ? 0 : number.negative ? -1 : 1;
    };
    if (sign(left) != sign(right)) return sign(left) <=> sign(right);
    if (sign(left) == 0) return std::strong_ordering::equal;
    // Of two negative numbers the larger size is the lesser.
    const Number& a = left.negative ? right : left;
    const Number& b = left.negative ? left : right;
    return a.exponent != b.exponent ? a.exponent <=> b.exponent
                                    : compare_digits(a.digits, b.digits);
}

std::string canonical(const Number& number) {
    std::string digits(number.digits);
    std::erase(digits, '.');
    if (digits.empty()) return "0";
    const auto count = static_cast<std::int64_t>(digits.size());
    const std::int64_t exponent = number.exponent;
    std::string text(number.negative ? 1 : 0, '-');
    if (exponent > 0 && exponent <= 21) {
        const auto whole = static_cast<std::size_t>(exponent);
        text.append(digits, 0, whole);
        if (count <= exponent) return text.append(whole - digits.size(), '0');
        text += '.';
        return text.append(digits, whole);
    }
    if (exponent <= 0 && exponent > -6) {
        text += "0.";
        text.append(static_cast<std::size_t>(-exponent), '0');
        return text.append(digits);
    }
    text += digits[0];
    if (count > 1) text += '.';
    text.append(digits, 1);
    text += 'e';
    return text.append(std::to_string(exponent - 1));
}

std::strong_ordering compare(const Token& string, std::string_view text) noexcept {
    if (!string.escaped) return string.raw.compare(text) <=> 0;
    Pieces pieces(string.raw);
    for (std::string_view piece = pieces.next(); !piece.empty(); piece = pieces.next()) {
        const int order = piece.compare(text.substr(0, piece.size()));
        if (order != 0) return order <=> 0;
        text.remove_prefix(piece.size());
    }
    return text.empty() ? std::strong_ordering::equal : std::strong_ordering::less;
}

std::string decode(const Token& string) {
    std::string text;
    Pieces pieces(string.raw);
    for (std::string_view piece = pieces.next(); !piece.empty(); piece = pieces.next())
        text += piece;
    return text;
}

Scalar to_scalar(const Token& token) {
    Scalar scalar{token.kind, false, 0, {}};
    if (token.kind == Kind::string) scalar.text = decode(token);
    if (token.kind == Kind::number) {
        const Number number = read_number(token.raw);
        scalar.negative = number.negative;
        scalar.exponent = number.exponent;
        scalar.text = number.digits;
        std::erase(scalar.text, '.');
    }
    return scalar;
}

bool equal(const Token& token, const Scalar& scalar) noexcept {
    if (token.kind != scalar.kind) return false;
    if (token.kind == Kind::string) return equal(token, std::string_view(scalar.text));
    return token.kind != Kind::number || std::is_eq(order(token, scalar));
}

std::partial_ordering order(const Token& token, const Scalar& scalar) noexcept {
    if (token.kind != scalar.kind) return std::partial_ordering::unordered;
    if (token.kind == Kind::string) return compare(token, scalar.text);
    if (token.kind != Kind::number) return std::partial_ordering::unordered;
    if (base::seeded(base::SeededBug::number_compared_as_text))
        return token.raw.compare(scalar.text) <=> 0;
    return compare(read_number(token.raw), scalar.number());
}

std::string to_json(const Scalar& scalar) {
    switch (scalar.kind) {
        case Kind::string: {
            std::string text;
            append_json_string(scalar.text, text);
            return text;
        }
        case Kind::number: return canonical(scalar.number());
        case Kind::yes: return "true";
        case Kind::no: return "false";
        default: return "null";
    }
}

void append_json_string(std::string_view text, std::string& out) {
    constexpr std::string_view kHex = "0123456789abcdef";
    constexpr std::string_view kMeant = "\"\\\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\bfnrt";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (const std::size_t letter = kMeant.find(c); letter != std::string_view::npos) {
            out += '\\';
            out += kLetters[letter];
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace varve::match
