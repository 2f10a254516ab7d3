// The directory `attached` of a store: small files of whoever uses it, which say what the log does
// not. The store never asks what they mean; it copies, counts and checks them.
//
// Any thread. Invariant: a file is never changed, only read, and written where a copy is made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/log_copy.hpp"

namespace varve {
inline namespace v0 {
namespace store {

inline constexpr const char* kAttached = "attached";

/// A line that is not JSON, in a file of lines.
struct BadLine {
    std::string file;  ///< whole path
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

/// All of them, whole; empty if there are none. Somebody may be writing at the end of one.
[[nodiscard]] Result<std::vector<SmallFile>> read_attached(const Meta& from);

/// The first line of each file `….jsonl` that is not JSON. What stands behind the last line feed is
/// not looked at: it is being written, or its writer died.
[[nodiscard]] std::vector<BadLine> bad_lines(const Meta& from, std::span<const SmallFile> files);

/// `corrupt` with the first bad line, if there is one.
[[nodiscard]] Result<void> check_attached(const Meta& from, std::span<const SmallFile> files);

}  // namespace store
}  // namespace v0
}  // namespace varve
