#include "page.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace varve::docs {

namespace {

std::string trimmed(std::string_view text) {
    constexpr std::string_view kAround = " `\t";
    const std::size_t begin = text.find_first_not_of(kAround);
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin, text.find_last_not_of(kAround) - begin + 1));
}

std::vector<std::string> lines_of(std::string_view page) {
    std::vector<std::string> lines;
    std::istringstream stream{std::string(page)};
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

Row cells_of(std::string_view line) {
    Row cells;
    std::size_t at = 1;
    for (std::size_t end = line.find('|', at); end != std::string_view::npos;
         at = end + 1, end = line.find('|', at)) {
        cells.push_back(trimmed(line.substr(at, end - at)));
    }
    return cells;
}

}  // namespace

std::string read_page(const std::string& path) {
    std::ifstream file(std::string(VARVE_SOURCE_DIR) + "/docs/" + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<Row> table_below(std::string_view page, std::string_view title) {
    std::vector<Row> rows;
    bool below = false;
    bool inside = false;
    for (const std::string& line : lines_of(page)) {
        if (line.starts_with('#')) {
            if (below) break;
            below = line.substr(line.find_first_not_of("# ")) == title;
            continue;
        }
        if (!below) continue;
        if (line.starts_with('|')) {
            inside = true;
            rows.push_back(cells_of(line));
        } else if (inside) {
            break;
        }
    }
    // The names of the columns and the line below them.
    rows.erase(rows.begin(), rows.begin() + std::min<std::ptrdiff_t>(std::ssize(rows), 2));
    return rows;
}

std::vector<std::string> differences(std::string_view page, std::string_view title,
                                     std::span<const base::Field> fields) {
    std::vector<std::string> found;
    const std::vector<Row> rows = table_below(page, title);
    const std::size_t count = std::max(rows.size(), fields.size());
    for (std::size_t n = 0; n < count; ++n) {
        if (n >= rows.size()) {
            found.push_back("no row for " + std::string(fields[n].name));
        } else if (rows[n].size() != 4 || rows[n][3].empty()) {
            found.push_back("row " + std::to_string(n + 1) + " is not name, offset, size, meaning");
        } else if (n >= fields.size()) {
            found.push_back("no field " + rows[n][0]);
        } else {
            const Row wanted = {std::string(fields[n].name), std::to_string(fields[n].offset),
                                std::to_string(fields[n].size), rows[n][3]};
            if (rows[n] != wanted) {
                found.push_back("the page says " + rows[n][0] + " " + rows[n][1] + " " +
                                rows[n][2] + ", the code " + wanted[0] + " " + wanted[1] + " " +
                                wanted[2]);
            }
        }
    }
    return found;
}

}  // namespace varve::docs
