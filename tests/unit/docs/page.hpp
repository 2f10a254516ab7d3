// Reads the tables of a documentation page and compares them with the code. Any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/field.hpp"

namespace varve::docs {

/// The page at `path` below docs/, or an empty text.
[[nodiscard]] std::string read_page(const std::string& path);

using Row = std::vector<std::string>;

/// The cells of the first table below the heading `title` (without its '#'); header row left out.
[[nodiscard]] std::vector<Row> table_below(std::string_view page, std::string_view title);

/// What a table of name, offset, size and meaning says differently from `fields`; empty: nothing.
[[nodiscard]] std::vector<std::string> differences(std::string_view page, std::string_view title,
                                                   std::span<const base::Field> fields);

}  // namespace varve::docs
