#include "store/meta.hpp"

#include <charconv>

#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::size_t kDigits = 10;

std::string digits_of(std::uint64_t number) {
    std::string digits = std::to_string(number);
    if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
    return digits;
}

std::string numbered(const std::string& directory, std::uint64_t number, const char* ending) {
    return directory + "/" + digits_of(number) + ending;
}

/// Reads a number at the front of `text` and takes it away. 0 if there is none.
std::uint64_t take_number(std::string_view& text) noexcept {
    std::uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto digits = static_cast<std::size_t>(read.ptr - text.data());
    if (read.ec != std::errc{} || digits < kDigits) return 0;
    text.remove_prefix(digits);
    return number;
}

}  // namespace

std::string Meta::segment_path(std::uint64_t number) const {
    return numbered(log_directory(), number, ".seg");
}

std::string Meta::active_index_path(std::uint64_t number) const {
    return numbered(index_directory(), number, ".act");
}

std::string Meta::sealed_index_path(const file::SealedRange& range) const {
    return index_directory() + "/" + digits_of(range.first) + "-" + digits_of(range.last) + ".idx";
}

std::string Meta::parent_directory() const {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::uint32_t Meta::directory_mode() const noexcept {
    const std::uint32_t readable = options.file_mode & 0444U;
    return (options.file_mode | readable >> 2U) & 0777U;
}

std::uint32_t Meta::manifest_seed() const noexcept {
    return base::crc32c(0x4D414E49, base::Bytes{file.uuid});
}

std::uint64_t segment_number(std::string_view name) noexcept {
    const std::uint64_t number = take_number(name);
    return name == ".seg" ? number : 0;
}

std::uint64_t active_index_number(std::string_view name) noexcept {
    const std::uint64_t number = take_number(name);
    return name == ".act" ? number : 0;
}

file::SealedRange sealed_index_range(std::string_view name) noexcept {
    file::SealedRange range;
    range.first = take_number(name);
    if (!name.starts_with('-')) return {};
    name.remove_prefix(1);
    range.last = take_number(name);
    return name == ".idx" ? range : file::SealedRange{};
}

std::string PastName::text() const {
    return digits_of(first) + "-" + digits_of(last) + "-" + digits_of(segment) + ".past";
}

PastName past_name(std::string_view text) noexcept {
    PastName name;
    for (std::uint64_t* const number : {&name.first, &name.last, &name.segment}) {
        *number = take_number(text);
        if (number == &name.segment) break;
        if (!text.starts_with('-')) return {};
        text.remove_prefix(1);
    }
    return text == ".past" && name.last != 0 && name.segment != 0 ? name : PastName{};
}

Result<void> sync_names(os::Env& env, const std::string& directory) noexcept {
    if (base::seeded(base::SeededBug::no_directory_sync)) return {};
    return env.sync_directory(directory);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
