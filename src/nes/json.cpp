// A reader of JSON text that keeps places instead of values. Any thread.
#include "nes/json.hpp"

#include <charconv>
#include <cstdint>
#include <cstring>

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr int kDepthLimit = 1024;  // deeper text is refused: each level takes stack

constexpr std::string_view kEscapes = "\"\\/bfnrt";

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// True if the text has the form of a number.
bool is_number(std::string_view value) noexcept {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t begin = at;
        while (at < value.size() && is_digit(value[at])) ++at;
        return at - begin;
    };
    if (at < value.size() && value[at] == '-') ++at;
    const bool zero = at < value.size() && value[at] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return false;
    if (at < value.size() && value[at] == '.' && (++at, digits() == 0)) return false;
    if (at < value.size() && (value[at] == 'e' || value[at] == 'E')) {
        ++at;
        if (at < value.size() && (value[at] == '+' || value[at] == '-')) ++at;
        if (digits() == 0) return false;
    }
    return at == value.size();
}

class Reader {
public:
    explicit Reader(std::string_view text) noexcept : text_(text) {}

    [[nodiscard]] bool value(int depth) noexcept {
        blanks();
        if (at_ == text_.size() || depth > kDepthLimit) return false;
        switch (text_[at_]) {
            case '{': return container('}', depth);
            case '[': return container(']', depth);
            case '"': return string();
            case 't': return word("true");
            case 'f': return word("false");
            case 'n': return word("null");
            default: return number();
        }
    }
    [[nodiscard]] bool string() noexcept {
        ++at_;
        while (true) {
            skip_plain();
            if (at_ >= text_.size()) return false;
            const char c = text_[at_++];
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c == '\\' && !escape()) return false;
        }
    }
    [[nodiscard]] bool take(char c) noexcept {
        blanks();
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void blanks() noexcept {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\r' || text_[at_] == '\t'))
            ++at_;
    }
    [[nodiscard]] std::size_t at() const noexcept { return at_; }
    [[nodiscard]] char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }

private:
    /// Moves over bytes of a string that mean themselves, eight a step while there are so many.
    void skip_plain() noexcept {
        constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
        constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
        const auto zeros = [](std::uint64_t word) { return (word - kOnes) & ~word & kHigh; };
        for (; at_ + 8 <= text_.size(); at_ += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, text_.data() + at_, sizeof word);
            const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHigh;
            if ((zeros(word ^ kOnes * '"') | zeros(word ^ kOnes * '\\') | control) != 0) break;
        }
        while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
               static_cast<unsigned char>(text_[at_]) >= 0x20)
            ++at_;
    }
    /// Reads what stands behind a backslash.
    [[nodiscard]] bool escape() noexcept {
        if (at_ == text_.size()) return false;
        const char kind = text_[at_++];
        if (kind != 'u') return kEscapes.find(kind) != std::string_view::npos;
        for (int digits = 0; digits < 4; ++digits, ++at_)
            if (at_ == text_.size() || !is_hex(text_[at_])) return false;
        return true;
    }
    [[nodiscard]] bool container(char close, int depth) noexcept {
        ++at_;
        if (take(close)) return true;
        do {
            if (close == '}') {
                blanks();
                if (peek() != '"' || !string() || !take(':')) return false;
            }
            if (!value(depth + 1)) return false;
        } while (take(','));
        return take(close);
    }
    [[nodiscard]] bool word(std::string_view expected) noexcept {
        if (text_.substr(at_, expected.size()) != expected) return false;
        at_ += expected.size();
        return true;
    }
    [[nodiscard]] bool number() noexcept {
        const std::size_t begin = at_;
        constexpr std::string_view kMay = "+-.eE0123456789";
        while (at_ < text_.size() && kMay.find(text_[at_]) != std::string_view::npos) ++at_;
        return is_number(text_.substr(begin, at_ - begin));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

void append_utf8(std::string& to, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { to += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0U | code >> 6U);
        put(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        put(0xE0U | code >> 12U);
        put(0x80U | (code >> 6U & 0x3FU));
        put(0x80U | (code & 0x3FU));
    } else {
        put(0xF0U | code >> 18U);
        put(0x80U | (code >> 12U & 0x3FU));
        put(0x80U | (code >> 6U & 0x3FU));
        put(0x80U | (code & 0x3FU));
    }
}

std::optional<std::uint32_t> four_hex(std::string_view text, std::size_t at) noexcept {
    if (at + 4 > text.size()) return std::nullopt;
    std::uint32_t value = 0;
    const auto read = std::from_chars(text.data() + at, text.data() + at + 4, value, 16);
    if (read.ec != std::errc() || read.ptr != text.data() + at + 4) return std::nullopt;
    return value;
}

/// Reads what stands behind `\u`; `at` is behind the last digit afterwards.
std::optional<std::uint32_t> code_point(std::string_view text, std::size_t& at) noexcept {
    constexpr std::uint32_t kReplacement = 0xFFFD;
    const auto first = four_hex(text, at);
    if (!first) return std::nullopt;
    at += 4;
    if (*first < 0xD800 || *first > 0xDFFF) return first;
    if (*first >= 0xDC00 || text.substr(at, 2) != "\\u") return kReplacement;
    const auto second = four_hex(text, at + 2);
    if (!second) return std::nullopt;
    if (*second < 0xDC00 || *second > 0xDFFF) return kReplacement;
    at += 6;
    return 0x10000 + ((*first - 0xD800) << 10U) + (*second - 0xDC00);
}

}  // namespace

bool is_json_object(std::string_view text) noexcept {
    Reader reader(text);
    reader.blanks();
    if (reader.peek() != '{' || !reader.value(0)) return false;
    reader.blanks();
    return reader.at() == text.size();
}

namespace {

/// Calls `use` with key and value of each field. False if the text does not begin with an object.
template <class Use>
bool each_field(Reader& reader, std::string_view object, const Use& use) {
    if (!reader.take('{')) return false;
    if (reader.take('}')) return true;
    do {
        reader.blanks();
        const std::size_t begin = reader.at() + 1;
        if (reader.peek() != '"' || !reader.string()) return false;
        const std::string_view name = object.substr(begin, reader.at() - 1 - begin);
        if (!reader.take(':')) return false;
        reader.blanks();
        const std::size_t from = reader.at();
        if (!reader.value(1)) return false;
        use(name, object.substr(from, reader.at() - from));
    } while (reader.take(','));
    return reader.take('}');
}

/// Most keys differ in their length or at their beginning: no call for those.
bool same(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && (a.empty() || (a.front() == b.front() && a == b));
}

bool at_end(Reader& reader, std::string_view text) noexcept {
    reader.blanks();
    return reader.at() == text.size();
}

}  // namespace

std::optional<std::string_view> json_field(std::string_view object, std::string_view key) noexcept {
    Reader reader(object);
    std::optional<std::string_view> found;
    const bool whole =
        each_field(reader, object, [&](std::string_view name, std::string_view value) {
            if (name == key) found = value;
        });
    return whole ? found : std::nullopt;
}

std::optional<std::size_t> json_fields(std::string_view object,
                                       std::span<JsonField> wanted) noexcept {
    Reader reader(object);
    std::size_t count = 0;
    const bool whole =
        each_field(reader, object, [&](std::string_view name, std::string_view value) {
            ++count;
            for (JsonField& field : wanted)
                if (same(field.key, name)) field.value = value;
        });
    if (!whole || !at_end(reader, object)) return std::nullopt;
    return count;
}

bool json_members(std::string_view object, std::vector<JsonField>& into) {
    into.clear();
    Reader reader(object);
    const bool whole =
        each_field(reader, object, [&](std::string_view name, std::string_view value) {
            into.push_back({name, value});
        });
    return whole && at_end(reader, object);
}

std::optional<std::vector<JsonField>> json_members(std::string_view object) {
    std::vector<JsonField> members;
    if (!json_members(object, members)) return std::nullopt;
    return members;
}

bool json_elements(std::string_view array, std::vector<std::string_view>& into) {
    into.clear();
    Reader reader(array);
    if (!reader.take('[')) return false;
    if (reader.take(']')) return at_end(reader, array);
    do {
        reader.blanks();
        const std::size_t from = reader.at();
        if (!reader.value(1)) return false;
        into.push_back(array.substr(from, reader.at() - from));
    } while (reader.take(','));
    return reader.take(']') && at_end(reader, array);
}

std::optional<std::vector<std::string_view>> json_elements(std::string_view array) {
    std::vector<std::string_view> elements;
    if (!json_elements(array, elements)) return std::nullopt;
    return elements;
}

std::optional<std::string> json_string(std::string_view value) {
    if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::nullopt;
    const std::string_view text = value.substr(1, value.size() - 2);
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '\\') {
            result += text[at++];
            continue;
        }
        if (++at == text.size()) return std::nullopt;
        const char kind = text[at++];
        if (kind == 'u') {
            const auto code = code_point(text, at);
            if (!code) return std::nullopt;
            append_utf8(result, *code);
        } else {
            const std::size_t which = kEscapes.find(kind);
            if (which == std::string_view::npos) return std::nullopt;
            result += kMeanings[which];
        }
    }
    return result;
}

std::optional<double> json_number(std::string_view value) noexcept {
    if (!is_number(value)) return std::nullopt;
    double number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ec != std::errc()) return std::nullopt;
    return number;
}

std::string json_quoted(std::string_view text) {
    constexpr std::string_view kSpecial = "\"\\\b\f\n\r\t";
    constexpr std::string_view kLetters = "\"\\bfnrt";
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string quoted = "\"";
    for (const char c : text) {
        if (const std::size_t which = kSpecial.find(c); which != std::string_view::npos) {
            quoted += '\\';
            quoted += kLetters[which];
        } else if (const auto byte = static_cast<unsigned char>(c); byte < 0x20) {
            quoted += "\\u00";
            quoted += kHex[byte >> 4U];
            quoted += kHex[byte & 15U];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
