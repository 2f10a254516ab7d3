// Names of files and the number that index entries carry for a partition. Any thread.
#include "nes/names.hpp"

#include <vector>

#include "base/error.hpp"
#include "varve/nes_files.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;
constexpr std::size_t kPartLimit = 255;  // bytes, of the usual file systems

/// How many bytes the code point takes that begins with `first`; 0: it begins none.
std::size_t length_of(unsigned char first) noexcept {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return 2;
    if (first >= 0xE0 && first < 0xF0) return 3;
    return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

}  // namespace

std::uint32_t next_code_point(std::string_view text, std::size_t& at) noexcept {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t length = length_of(first);
    if (length == 1 || length == 0 || at + length > text.size()) {
        ++at;
        return length == 1 ? first : kReplacement;
    }
    constexpr std::uint32_t kFirstBits[] = {0, 0, 0x1F, 0x0F, 0x07};
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    std::uint32_t code = first & kFirstBits[length];
    for (std::size_t n = 1; n < length; ++n) {
        const auto byte = static_cast<unsigned char>(text[at + n]);
        if ((byte & 0xC0U) != 0x80) {
            ++at;
            return kReplacement;
        }
        code = code << 6U | (byte & 0x3FU);
    }
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        ++at;
        return kReplacement;
    }
    at += length;
    return code;
}

std::uint32_t partition_id(std::string_view file_name) {
    if (file_name.empty()) return 0;
    std::vector<std::uint32_t> units;
    units.reserve(file_name.size());
    for (std::size_t at = 0; at < file_name.size();) {
        const std::uint32_t code = next_code_point(file_name, at);
        if (code >= 0x10000) {
            units.push_back(0xD800 + ((code - 0x10000) >> 10U));
            units.push_back(0xDC00 + ((code - 0x10000) & 0x3FFU));
        } else {
            units.push_back(code);
        }
    }
    constexpr std::uint32_t kBegin = 5381;
    std::uint32_t hash = kBegin;
    for (auto unit = units.rbegin(); unit != units.rend(); ++unit) hash = hash * 33U ^ *unit;
    return hash;
}

Result<void> check_name(std::string_view name) noexcept {
    const auto refuse = [&](const char* why) {
        return base::failure(
            ErrorCode::invalid_argument,
            "the name '" + std::string(name) + "' " + why + "; files must stay in their directory");
    };
    std::string_view rest = name;
    while (true) {
        const std::size_t slash = rest.find('/');
        const std::string_view part = rest.substr(0, slash);
        if (part.empty()) return refuse("is empty or has an empty part");
        if (part == "." || part == "..") return refuse("leads to another directory");
        if (part.size() > kPartLimit) return refuse("has a part of more than 255 bytes");
        if (part.find('\0') != std::string_view::npos) return refuse("has a zero byte");
        if (slash == std::string_view::npos) return {};
        rest = rest.substr(slash + 1);
    }
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
