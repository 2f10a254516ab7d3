// Goal: the checksum is CRC32C, however it is computed.
// Method: published vectors (RFC 3720 B.4), and the fast implementation against its plain twin over
// every length and alignment around the lane boundaries, and over splits.
#include "base/crc32c.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace varve::base {
namespace {

std::vector<std::byte> random_bytes(std::size_t size) {
    std::mt19937_64 random(size + 7);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

TEST(Crc32c, GivesThePublishedVectors) {
    EXPECT_EQ(crc32c(0, as_bytes("123456789")), 0xE3069283U);
    EXPECT_EQ(crc32c(0, std::vector<std::byte>(32, std::byte{0})), 0x8A9136AAU);
    EXPECT_EQ(crc32c(0, std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43U);
    EXPECT_EQ(crc32c_portable(0, as_bytes("123456789")), 0xE3069283U);
}

TEST(Crc32c, EqualsItsPlainTwinForEveryLengthAndAlignment) {
    const auto bytes = random_bytes(8192);
    for (std::size_t length = 0; length < 4000; ++length) {
        const Bytes part = Bytes(bytes).subspan(length % 13, length);
        ASSERT_EQ(crc32c(static_cast<std::uint32_t>(length), part),
                  crc32c_portable(static_cast<std::uint32_t>(length), part))
            << length;
    }
}

TEST(Crc32c, ContinuesOverSplits) {
    const auto bytes = random_bytes(3333);
    const std::uint32_t whole = crc32c(42, bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); cut += 17) {
        const Bytes all(bytes);
        ASSERT_EQ(crc32c(crc32c(42, all.first(cut)), all.subspan(cut)), whole) << cut;
    }
}

TEST(Crc32c, SeesEveryFlippedBitOfASmallRecord) {
    auto bytes = random_bytes(300);
    const std::uint32_t before = crc32c(0, bytes);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        ASSERT_NE(crc32c(0, bytes), before) << bit;
        bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
}

}  // namespace
}  // namespace varve::base
