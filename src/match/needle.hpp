// Looks for a piece of text in bytes, and for a backslash.
//
// Any thread: free functions that read nothing outside what they are given. `contains` takes time
// proportional to the bytes times the length of the piece at worst.
#pragma once

#include <string_view>

namespace varve::match {

/// An empty piece is in everything.
[[nodiscard]] bool contains(std::string_view bytes, std::string_view piece) noexcept;

/// The plain twin, which tests compare with it.
[[nodiscard]] bool contains_portable(std::string_view bytes, std::string_view piece) noexcept;

[[nodiscard]] bool contains_backslash(std::string_view bytes) noexcept;

}  // namespace varve::match
