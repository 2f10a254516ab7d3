// Goal: recovery accepts exactly the commits that continue each other, tells a torn tail from
// damaged synced data, and reading around damage loses no more than what is damaged. Method: small
// segments built by hand, then torn, damaged, extended with commits of other writers.
#include "log/recovery.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "log/scan.hpp"

namespace varve::log {
namespace {

constexpr std::uint64_t kSecret = 99;
constexpr std::size_t kSize = 64 << 10;

/// A segment into which a test places commits.
class Built {
public:
    Built(std::uint64_t number, const LogPoint& from) : bytes(kSize), end(from) {
        SegmentHeader header;
        header.uuid = uuid;
        header.number = number;
        header.previous = from.segment;
        header.first_position = from.position + 1;
        header.capacity = kSize;
        header.salt = salt_of(kSecret, number);
        header.prev_chain = from.chain;
        header.epoch = from.epoch;
        keys = segment_keys(uuid, header.salt);
        encode_segment_header(bytes.data(), header);
        end.segment = number;
        end.offset = kSegmentHeaderSize;
    }

    void commit(std::uint32_t count, std::uint64_t hint = 0, std::uint32_t epoch = 1) {
        const std::string data = "event with some data";
        const std::uint64_t hashes[2] = {0, 0};
        RecordInput input;
        input.data = data;
        input.hashes = hashes;
        input.head_size = static_cast<std::uint32_t>(head_size(0, 0, false));
        input.body_size = body_size(0, data.size());
        CommitHeader header;
        const std::uint64_t record = input.head_size + input.body_size;
        header.length8 = static_cast<std::uint32_t>((sizeof(CommitHeader) + count * record) / 8);
        header.count = count;
        header.first_position = end.position + 1;
        header.durable_hint = hint;
        header.epoch = epoch;
        header.prev_chain = end.chain;
        header.chain = begin_chain(header);
        std::uint64_t at = sizeof(CommitHeader);
        for (std::uint32_t n = 0; n < count; ++n, at += record) {
            RecordPlace place;
            place.position = header.first_position + n;
            place.commit_distance8 = static_cast<std::uint32_t>(at / 8);
            header.chain = add_to_chain(header.chain, encode_record(bytes.data() + end.offset + at,
                                                                    input, place, keys.seed));
        }
        encode_commit_header(bytes.data() + end.offset, header, keys);
        begins.push_back(end.offset);
        end = after_commit(end, header);
    }

    [[nodiscard]] SegmentImage image(std::uint64_t number) const {
        return look_at(number, bytes, uuid, kSecret);
    }

    static constexpr Uuid uuid{std::byte{1}, std::byte{2}};
    std::vector<std::byte> bytes;
    LogPoint end;
    SegmentKeys keys;
    std::vector<std::uint64_t> begins;
};

LogPoint nothing() {
    LogPoint point;
    point.epoch = 1;
    return point;
}

TEST(Recovery, AcceptsEverythingThatContinuesAndStopsAtZeros) {
    Built one(1, nothing());
    for (int n = 0; n < 5; ++n) one.commit(3);
    const SegmentImage images[] = {one.image(1)};
    const Recovery found = recover(images, {});
    EXPECT_EQ(found.end, one.end);
    EXPECT_TRUE(found.tail_is_zero);
    EXPECT_FALSE(found.damaged);
}

TEST(Recovery, FollowsTheChainIntoTheNextSegment) {
    Built one(1, nothing());
    one.commit(2);
    Built two(2, one.end);
    two.commit(4);
    const SegmentImage images[] = {one.image(1), two.image(2)};
    EXPECT_EQ(recover(images, {}).end, two.end);
}

TEST(Recovery, DropsATornTailAndSaysHowMuch) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.commit(2, 0);
    one.commit(1, 0);
    one.bytes[before.offset + 200] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1)};
    const Recovery found = recover(images, {});
    EXPECT_EQ(found.end, before);
    EXPECT_FALSE(found.damaged);
    EXPECT_FALSE(found.tail_is_zero);
    EXPECT_EQ(found.dropped_events, 3U);
    EXPECT_GT(found.dropped_bytes, 0U);
}

TEST(Recovery, RefusesWhenALaterCommitKnewThatTheDamagedPlaceWasDurable) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.commit(2, 2);
    one.commit(1, 4);  // its writer knew that position 4 was durable
    one.bytes[before.offset + 200] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1)};
    EXPECT_TRUE(recover(images, {}).damaged);
}

TEST(Recovery, FindsThatProofInALaterSegmentToo) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.commit(2, 2);
    Built two(2, one.end);
    two.commit(1, 4);
    one.bytes[before.offset + 200] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1), two.image(2)};
    const Recovery found = recover(images, {});
    EXPECT_TRUE(found.damaged);
    EXPECT_EQ(found.evidence_segment, 2U);
}

TEST(Recovery, FindsItEvenBehindADamagedSegmentHeader) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.commit(2, 2);
    Built two(2, one.end);
    two.commit(1, 4);
    one.bytes[before.offset + 200] ^= std::byte{1};
    two.bytes[20] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1), two.image(2)};
    EXPECT_TRUE(recover(images, {}).damaged);
}

TEST(Recovery, RefusesCommitsOfAnEarlierWriterBehindALaterOne) {
    Built one(1, nothing());
    one.commit(1, 0, 5);
    const LogPoint before = one.end;
    one.commit(1, 0, 4);
    const SegmentImage images[] = {one.image(1)};
    EXPECT_EQ(recover(images, {}).end, before);
}

TEST(Recovery, IgnoresWhatLiesBehindACut) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint cut = one.end;
    one.commit(2);
    Built three(3, cut);
    three.commit(1, 0, 7);
    const SegmentImage images[] = {one.image(1), three.image(3)};
    const Recovery found = recover(images, {cut, 3, 7});
    EXPECT_EQ(found.end, three.end);
}

TEST(Recovery, MissingSegmentIsDamage) {
    Built two(2, {1, 5000, 10, 77, 1});
    two.commit(1);
    const SegmentImage images[] = {two.image(2)};
    EXPECT_TRUE(recover(images, {{1, 5000, 10, 77, 1}, 0, 1}).damaged);
}

/// Positions that a scan hands out, damage as negative ranges.
std::vector<std::int64_t> scan(const Built& built, std::uint64_t last) {
    std::vector<std::int64_t> seen;
    SegmentScanner scanner(built.bytes, built.keys, {1, kSegmentHeaderSize, 0, 0, 1}, last);
    for (auto step = scanner.next(); step != SegmentScanner::Step::end; step = scanner.next()) {
        if (step == SegmentScanner::Step::record) {
            const auto position = static_cast<std::int64_t>(scanner.record().header.position);
            seen.push_back(scanner.body_intact() ? position : -position);
        } else {
            for (std::uint64_t p = scanner.first(); p <= scanner.last(); ++p)
                seen.push_back(-static_cast<std::int64_t>(p));
        }
    }
    return seen;
}

TEST(Scanner, LosesOnlyTheRecordThatIsDamaged) {
    Built one(1, nothing());
    for (int n = 0; n < 3; ++n) one.commit(3);
    one.bytes[one.begins[1] + sizeof(CommitHeader) + 85] ^= std::byte{1};  // body of position 4
    EXPECT_EQ(scan(one, 9), (std::vector<std::int64_t>{1, 2, 3, -4, 5, 6, 7, 8, 9}));
}

TEST(Scanner, ReadsTheRecordsOfACommitWhoseHeaderIsDamaged) {
    Built one(1, nothing());
    for (int n = 0; n < 3; ++n) one.commit(3);
    one.bytes[one.begins[1] + 20] ^= std::byte{1};
    EXPECT_EQ(scan(one, 9), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Scanner, GoesOnBehindADamagedHead) {
    Built one(1, nothing());
    for (int n = 0; n < 3; ++n) one.commit(3);
    one.bytes[one.begins[1] + sizeof(CommitHeader) + 20] ^= std::byte{1};
    EXPECT_EQ(scan(one, 9), (std::vector<std::int64_t>{1, 2, 3, -4, 5, 6, 7, 8, 9}));
}

TEST(Scanner, EndsWhateverTheBytesAre) {
    Built one(1, nothing());
    for (int n = 0; n < 3; ++n) one.commit(3);
    for (std::size_t at = kSegmentHeaderSize; at < one.end.offset; at += 4) {
        Built copy = one;
        for (std::size_t n = 0; n < 4; ++n) copy.bytes[at + n] = std::byte{0xFF};
        const auto seen = scan(copy, 9);
        ASSERT_EQ(seen.size(), 9U) << "at " << at;
        for (std::size_t n = 0; n < seen.size(); ++n) {
            EXPECT_EQ(static_cast<std::size_t>(std::abs(seen[n])), n + 1) << "at " << at;
        }
    }
}

}  // namespace
}  // namespace varve::log
