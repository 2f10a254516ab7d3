// Files that a store's users attach: reading them, and looking whether their lines are whole.
#include "store/attached.hpp"

#include <string_view>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "match/json_scan.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// A whole line is one value and nothing behind it.
bool is_json(std::string_view line) noexcept {
    match::JsonScanner scanner(line);
    return scanner.skip(scanner.peek(), 0) && scanner.peek() == '\0';
}

std::optional<BadLine> first_bad(std::string_view text) {
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        if (end == std::string_view::npos) break;
        if (!is_json(text.substr(begin, end - begin))) return BadLine{{}, begin, end - begin};
        begin = end + 1;
    }
    return std::nullopt;
}

}  // namespace

Result<std::vector<SmallFile>> read_attached(const Meta& from) {
    constexpr std::uint64_t kLargest = 1ULL << 30;
    return read_small_files(from, kAttached, kLargest);
}

std::vector<BadLine> bad_lines(const Meta& from, std::span<const SmallFile> files) {
    std::vector<BadLine> found;
    for (const SmallFile& one : files) {
        if (!one.name.ends_with(".jsonl")) continue;
        auto bad = first_bad(base::as_text(one.bytes));
        if (!bad) continue;
        bad->file = from.in(kAttached) + "/" + one.name;
        found.push_back(std::move(*bad));
    }
    return found;
}

Result<void> check_attached(const Meta& from, std::span<const SmallFile> files) {
    const std::vector<BadLine> bad = bad_lines(from, files);
    if (bad.empty()) return {};
    return base::failure(ErrorCode::corrupt,
                         "the line at byte " + std::to_string(bad.front().offset) +
                             " is damaged: it is not JSON; put the file back from a backup",
                         bad.front().file, bad.front().offset);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
