// Names of partitions and indexes: their number, and what may be a file name.
//
// Any thread. Invariant: a name that passes leads to a file inside its directory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "varve/result.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// Refuses with `invalid_argument` what would leave its directory or cannot be a file name: empty
/// parts, `.` and `..`, a part of more than 255 bytes, zero bytes. `/` separates directories.
[[nodiscard]] Result<void> check_name(std::string_view name) noexcept;

/// The next code point of UTF-8 text; `at` moves behind it. What is no UTF-8 is U+FFFD per byte.
[[nodiscard]] std::uint32_t next_code_point(std::string_view text, std::size_t& at) noexcept;

}  // namespace nes
}  // namespace v0
}  // namespace varve
