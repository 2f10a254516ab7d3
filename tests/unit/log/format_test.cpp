// Goal: a segment header of a newer version is told from a damaged one. Method: features switched
// on one by one in a header whose checksum is right; every flipped bit of such a page.
#include "log/format.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/crc32c.hpp"

namespace varve::log {
namespace {

SegmentHeader sound() {
    SegmentHeader header;
    header.number = 1;
    header.first_position = 1;
    header.capacity = 64 << 10;
    return header;
}

HeaderState state_of(const SegmentHeader& header) {
    std::vector<std::byte> page(kSegmentHeaderSize);
    encode_segment_header(page.data(), header);
    SegmentHeader decoded;
    return decode_segment_header(page.data(), decoded);
}

TEST(SegmentHeader, EveryFeatureThatMustBeUnderstoodMakesItNewer) {
    ASSERT_EQ(state_of(sound()), HeaderState::valid);
    for (int bit = 0; bit < 64; ++bit) {
        SegmentHeader header = sound();
        header.must_understand = 1ULL << bit;
        EXPECT_EQ(state_of(header), HeaderState::newer) << bit;
        header.must_understand = 0;
        header.may_ignore = 1ULL << bit;
        EXPECT_EQ(state_of(header), HeaderState::valid) << bit;
    }
}

TEST(SegmentHeader, AFlippedBitIsDamageAndNotANewerVersion) {
    SegmentHeader header = sound();
    header.may_ignore = 6;
    std::vector<std::byte> page(kSegmentHeaderSize);
    encode_segment_header(page.data(), header);
    for (std::size_t bit = 0; bit < page.size() * 8; ++bit) {
        page[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_EQ(decode_segment_header(page.data(), header), HeaderState::damaged) << bit;
        page[bit / 8] ^= std::byte{1} << (bit % 8);
    }
}

TEST(SegmentHeader, OtherReservedBytesAreStillCheckedForZero) {
    std::vector<std::byte> page(kSegmentHeaderSize);
    for (const std::size_t at : {std::size_t{84}, sizeof(SegmentHeader), kSegmentCrcOffset - 1}) {
        encode_segment_header(page.data(), sound());
        page[at] = std::byte{1};
        base::store(page.data() + kSegmentCrcOffset,
                    base::crc32c(0, base::Bytes{page.data(), kSegmentCrcOffset}));
        SegmentHeader decoded;
        EXPECT_EQ(decode_segment_header(page.data(), decoded), HeaderState::damaged) << at;
    }
}

}  // namespace
}  // namespace varve::log
