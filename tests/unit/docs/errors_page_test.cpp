// Goal: docs/errors.md lists every error code, spelled as the code spells it, in the same order,
// with the word about trying again that `failure` gives it. Method: the page's table against
// `to_string` over all codes; a doctored table must be refused.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "page.hpp"

namespace varve::docs {
namespace {

bool is_right(const std::vector<Row>& rows) {
    constexpr auto kCount = static_cast<std::size_t>(ErrorCode::io) + 1;
    if (rows.size() != kCount) return false;
    for (std::size_t n = 0; n < kCount; ++n) {
        const auto code = static_cast<ErrorCode>(n);
        if (rows[n].size() != 3 || rows[n][0] != to_string(code) || rows[n][1].empty())
            return false;
        if ((rows[n][2] == "yes") != base::failure(code, "").retry) return false;
    }
    return true;
}

TEST(ErrorsPage, ListsEveryCode) {
    EXPECT_TRUE(is_right(table_below(read_page("errors.md"), "Codes")));
}

TEST(ErrorsPageCanary, ADoctoredTableIsRefused) {
    const auto rows = table_below(read_page("errors.md"), "Codes");
    ASSERT_TRUE(is_right(rows));
    auto missing = rows;
    missing.pop_back();
    EXPECT_FALSE(is_right(missing));
    auto exchanged = rows;
    std::swap(exchanged[3], exchanged[4]);
    EXPECT_FALSE(is_right(exchanged));
    auto retry = rows;
    retry[5][2] = retry[5][2] == "yes" ? "" : "yes";
    EXPECT_FALSE(is_right(retry));
    auto more = rows;
    more.push_back(rows.back());
    EXPECT_FALSE(is_right(more));
}

}  // namespace
}  // namespace varve::docs
