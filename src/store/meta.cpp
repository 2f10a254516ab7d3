#include "store/meta.hpp"

#include <charconv>

#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::size_t kDigits = 10;

std::string numbered(const std::string& directory, std::uint64_t number, const char* ending) {
    std::string digits = std::to_string(number);
    if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
    return directory + "/" + digits + ending;
}

}  // namespace

std::string Meta::segment_path(std::uint64_t number) const {
    return numbered(log_directory(), number, ".seg");
}

std::string Meta::active_index_path(std::uint64_t number) const {
    return numbered(index_directory(), number, ".act");
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

std::uint64_t segment_number(const std::string& name) noexcept {
    const std::size_t digits = name.find(".seg");
    if (digits == std::string::npos || digits < kDigits || digits + 4 != name.size()) return 0;
    std::uint64_t number = 0;
    const auto read = std::from_chars(name.data(), name.data() + digits, number);
    return read.ec == std::errc{} && read.ptr == name.data() + digits ? number : 0;
}

Result<void> sync_names(os::Env& env, const std::string& directory) noexcept {
    if (base::seeded(base::SeededBug::no_directory_sync)) return {};
    return env.sync_directory(directory);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
