// Goal: the comparison with the oracle notices a matcher that is wrong.
// Method: the library with its deliberate defects; the one of the matcher is switched on.
#include <gtest/gtest.h>

#include "base/seeded_bug.hpp"
#include "support/match_oracle.hpp"

namespace varve::test {
namespace {

TEST(MatcherCanary, NumberComparedAsTextIsNoticed) {
    base::seeded_bug = base::SeededBug::number_compared_as_text;
    const Agreement wrong = compare_with_oracle(1, 2000);
    base::seeded_bug = base::SeededBug::none;
    EXPECT_NE(wrong.difference, "");
    EXPECT_EQ(compare_with_oracle(1, 200).difference, "");
}

}  // namespace
}  // namespace varve::test
