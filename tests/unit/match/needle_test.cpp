// Goal: a piece of text is found wherever it stands, and only there.
// Method: every place and length around the block size, and random texts of few letters, beside
// the plain twin.
#include "match/needle.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace varve::match {
namespace {

TEST(Needle, FoundAtEveryPlace) {
    for (std::size_t size = 1; size < 70; ++size) {
        const std::string piece = "\"" + std::string(size, 'k') + "\"";
        for (std::size_t place = 0; place < 40; ++place) {
            for (const std::size_t behind : {0U, 1U, 15U, 16U, 17U, 40U}) {
                const std::string text = std::string(place, '"') + piece + std::string(behind, 'k');
                // A buffer of exactly this size, so that the sanitizer sees a read behind it.
                const std::vector<char> bytes(text.begin(), text.end());
                EXPECT_TRUE(contains({bytes.data(), bytes.size()}, piece));
                EXPECT_FALSE(contains({bytes.data(), bytes.size()}, piece + "z"));
            }
        }
    }
    EXPECT_TRUE(contains("anything", ""));
    EXPECT_TRUE(contains("", ""));
    EXPECT_FALSE(contains("", "x"));
}

TEST(Needle, AgreesWithItsPlainTwin) {
    std::mt19937_64 random(1);
    const auto text = [&](std::size_t size) {
        std::string letters(size, 'a');
        for (char& letter : letters) letter = static_cast<char>('a' + random() % 2);
        return letters;
    };
    std::size_t found = 0;
    for (int round = 0; round < 50000; ++round) {
        const std::string bytes = text(random() % 120);
        const std::string piece = text(random() % 12);
        const bool expected = contains_portable(bytes, piece);
        found += expected ? 1U : 0U;
        ASSERT_EQ(contains(bytes, piece), expected) << piece << " in " << bytes;
    }
    EXPECT_GT(found, 5000U);
    EXPECT_LT(found, 45000U);
}

TEST(Needle, Backslash) {
    EXPECT_TRUE(contains_backslash("a\\b"));
    EXPECT_FALSE(contains_backslash("a/b"));
    EXPECT_FALSE(contains_backslash(""));
}

}  // namespace
}  // namespace varve::match
