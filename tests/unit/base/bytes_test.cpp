// Goal: checked arithmetic on untrusted numbers cannot overflow, and zero checks see every byte.
// Method: edges of the number range, and each byte set in turn.
#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace varve::base {
namespace {

TEST(Bytes, FitsRefusesWhatWouldOverflow) {
    constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
    EXPECT_TRUE(fits(0, 0, 0));
    EXPECT_TRUE(fits(8, 8, 16));
    EXPECT_FALSE(fits(8, 9, 16));
    EXPECT_FALSE(fits(17, 0, 16));
    EXPECT_FALSE(fits(8, kMax, 16));
    EXPECT_FALSE(fits(kMax, kMax, 16));
}

TEST(Bytes, AllZeroSeesEveryByte) {
    for (std::size_t size = 0; size < 40; ++size) {
        std::vector<std::byte> bytes(size);
        EXPECT_TRUE(all_zero(bytes));
        for (auto& byte : bytes) {
            byte = std::byte{1};
            EXPECT_FALSE(all_zero(bytes));
            byte = std::byte{0};
        }
    }
}

TEST(Bytes, AlignsUpAndDown) {
    EXPECT_EQ(align_up(0, 8), 0U);
    EXPECT_EQ(align_up(1, 8), 8U);
    EXPECT_EQ(align_up(8, 8), 8U);
    EXPECT_EQ(align_down(4097, 4096), 4096U);
}

}  // namespace
}  // namespace varve::base
