// Turns errno into an Error: the code callers act on, a sentence for people, the file concerned.
//
// Any thread. Only src/os uses it.
#pragma once

#include <string>

#include "varve/result.hpp"

namespace varve {
inline namespace v0 {
namespace os {

/// `doing`: what was tried, as in "cannot open". Uses `number` as errno.
[[nodiscard]] Error posix_error(int number, const char* doing, const std::string& path,
                                std::uint64_t offset = 0);

}  // namespace os
}  // namespace v0
}  // namespace varve
