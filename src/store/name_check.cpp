// What a name may be made of: valid UTF-8, no control characters. Eight bytes a step while they are
// printable ASCII, the last step overlapping the one before it; anything else one by one.
#include "store/admission.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// True if each of the eight bytes is printable ASCII.
bool is_plain(std::uint64_t word) noexcept {
    constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
    constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
    const std::uint64_t below_space = word - kOnes * 0x20;  // borrows where a byte is below 0x20
    const std::uint64_t delete_char =
        word + kOnes;  // carries into the high bit where a byte is 0x7F
    return ((word | below_space | delete_char) & kHigh) == 0;
}

/// The same for a whole name. False only means that somebody has to look closer.
bool is_plain(std::string_view name) noexcept {
    const std::byte* const at = base::as_bytes(name).data();
    const std::size_t size = name.size();
    if (size >= 8) {
        for (std::size_t n = 0; n + 8 < size; n += 8) {
            if (!is_plain(base::load<std::uint64_t>(at + n))) return false;
        }
        return is_plain(base::load<std::uint64_t>(at + size - 8));
    }
    if (size >= 4) {
        const std::uint64_t low = base::load<std::uint32_t>(at);
        return is_plain(low | std::uint64_t{base::load<std::uint32_t>(at + size - 4)} << 32);
    }
    constexpr std::uint64_t kSpaces = 0x2020202020202020ULL;
    std::uint64_t word = kSpaces;
    for (std::size_t n = 0; n < size; ++n) word = word << 8 | std::to_integer<std::uint64_t>(at[n]);
    return is_plain(word);
}

struct CodePoint {
    std::uint32_t value;
    std::size_t length;  // 0: not valid
};

CodePoint decode(std::string_view text) noexcept {
    const auto byte = [&](std::size_t n) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(text[n]));
    };
    const std::uint32_t first = byte(0);
    const std::size_t length = first < 0x80                    ? 1
                               : first >= 0xC2 && first < 0xE0 ? 2
                               : first >= 0xE0 && first < 0xF0 ? 3
                               : first >= 0xF0 && first < 0xF5 ? 4
                                                               : 0;
    if (length == 0 || length > text.size()) return {0, 0};
    std::uint32_t value = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t n = 1; n < length; ++n) {
        if ((byte(n) & 0xC0U) != 0x80U) return {0, 0};
        value = value << 6 | (byte(n) & 0x3FU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xD800 && value < 0xE000;
    if (value < kLeast[length] || value > 0x10FFFF || surrogate) return {0, 0};
    return {value, length};
}

}  // namespace

const char* fault_of_name(std::string_view name) noexcept {
    if (name.empty()) return nullptr;
    if (name.size() > kMaxNameBytes) return "is longer than 1024 bytes";
    if (name.front() == '$') return "begins with '$', which is reserved";
    if (is_plain(name)) return nullptr;
    std::size_t at = 0;
    while (at < name.size()) {
        const CodePoint point = decode(name.substr(at));
        if (point.length == 0) return "is not valid UTF-8";
        const bool control = point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0);
        if (control) return "contains a control character";
        at += point.length;
    }
    return nullptr;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
