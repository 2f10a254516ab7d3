// Looks for a piece of text in bytes, and for a backslash.
//
// Any thread: free functions that read nothing outside what they are given.
#pragma once

#include <cstring>
#include <string_view>

namespace varve::match {

[[nodiscard]] inline bool contains(std::string_view bytes, std::string_view needle) noexcept {
    return needle.empty() ||
           memmem(bytes.data(), bytes.size(), needle.data(), needle.size()) != nullptr;
}

[[nodiscard]] inline bool contains_backslash(std::string_view bytes) noexcept {
    return !bytes.empty() && std::memchr(bytes.data(), '\\', bytes.size()) != nullptr;
}

}  // namespace varve::match
