// Goal: erase records read back as they were written, hostile ones are refused or cut off, and sets
// of ranges answer exactly. Method: forged records with right checksums; boundaries.
#include "log/erase.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/forge.hpp"

namespace varve::test {
namespace {

TEST(EraseRecord, HostileOnesAreRefusedOrCutOff) {
    std::vector<std::byte> segment(64 << 10);
    const log::SegmentKeys keys = log::segment_keys({}, 7);
    const auto decode = [&](std::vector<std::byte> data, std::uint8_t kind,
                            std::vector<log::PositionRange>& ranges) {
        std::fill(segment.begin(), segment.end(), std::byte{0});
        log::LogPoint end{1, log::kSegmentHeaderSize, 9, 0, 1};
        forge(segment.data(), end, keys,
              {.records = {{.kind = kind, .data = base::as_text(data)}}});
        log::RecordView record;
        EXPECT_EQ(log::decode_record(segment, log::kSegmentHeaderSize + 64, 10, keys.seed,
                                     log::Check::body, record),
                  nullptr);
        log::EraseMark previous;
        return log::decode_erase(record, previous, ranges);
    };
    const log::PositionRange wide[] = {{0, ~0ULL}, {20, 30}, {9, 3}};
    const auto good = log::encode_erase({3, 1, 4096}, wide);
    std::vector<log::PositionRange> ranges;
    ASSERT_TRUE(decode(good, 3, ranges));
    // Nothing at or behind the record itself.
    EXPECT_EQ(ranges, (std::vector<log::PositionRange>{{1, 9}}));
    EXPECT_FALSE(decode(good, 1, ranges)) << "an event";
    const auto with = [&](std::size_t at, auto value) {
        auto data = good;
        base::store(data.data() + at, value);
        return data;
    };
    EXPECT_FALSE(decode(with(offsetof(log::EraseHeader, count), ~0U), 3, ranges));
    EXPECT_FALSE(decode(with(offsetof(log::EraseHeader, count), 2U), 3, ranges));
    EXPECT_FALSE(decode(with(offsetof(log::EraseHeader, version), 2U), 3, ranges));
    EXPECT_FALSE(decode(with(offsetof(log::EraseHeader, control), 2U), 3, ranges));
    EXPECT_FALSE(decode(with(offsetof(log::EraseHeader, reserved), 1U), 3, ranges));
    EXPECT_FALSE(
        decode(with(offsetof(log::EraseHeader, previous_position), std::uint64_t{10}), 3, ranges))
        << "a record that names itself as the one before it";
    EXPECT_FALSE(decode({good.begin(), good.begin() + 12}, 3, ranges));
    EXPECT_EQ(ranges.size(), 1U);
}

TEST(EraseRecord, RangesAreJoinedAndSearched) {
    std::vector<log::PositionRange> ranges{{9, 9}, {1, 3}, {4, 4}, {2, 2}, {20, ~0ULL}, {30, 40}};
    log::normalise(ranges);
    EXPECT_EQ(ranges, (std::vector<log::PositionRange>{{1, 4}, {9, 9}, {20, ~0ULL}}));
    for (const std::uint64_t in : {1U, 4U, 9U, 20U, 1000U})
        EXPECT_TRUE(log::holds(ranges, in)) << in;
    for (const std::uint64_t out : {0U, 5U, 8U, 10U, 19U})
        EXPECT_FALSE(log::holds(ranges, out)) << out;
    EXPECT_FALSE(log::holds({}, 1));
}

}  // namespace
}  // namespace varve::test
