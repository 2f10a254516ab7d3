// Goal: recovery accepts exactly the commits that continue each other, tells a torn tail from
// damaged synced data, and reading around damage loses no more than what is damaged. Method: small
// segments built by hand, then torn, damaged, extended with commits of other writers.
#include "log/recovery.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "log/scan.hpp"
#include "support/forge.hpp"

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

    void forge(const test::ForgedCommit& commit) {
        begins.push_back(end.offset);
        test::forge(bytes.data(), end, keys, commit);
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

/// Commits that verify and that only a newer version understands.
std::vector<test::ForgedCommit> newer_commits() {
    return {{.records = {{}, {}}, .flags = 1},
            {.records = {{}, {.kind = 4}}},
            {.records = {{.kind = 0}, {}}},
            {.records = {{.flags = 0x80}, {}}}};
}

TEST(Recovery, ACommitOfANewerVersionIsNotTorn) {
    for (const test::ForgedCommit& commit : newer_commits()) {
        Built one(1, nothing());
        one.commit(2);
        const LogPoint before = one.end;
        one.forge(commit);
        const SegmentImage images[] = {one.image(1)};
        const Recovery found = recover(images, {});
        EXPECT_EQ(found.end, before);
        EXPECT_TRUE(found.newer);
        EXPECT_TRUE(is_newer(found.fault));
        EXPECT_FALSE(found.damaged);
    }
}

TEST(Recovery, ATornCommitOfANewerVersionIsTorn) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.forge(newer_commits()[1]);
    one.bytes[before.offset + sizeof(CommitHeader) + 50] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1)};
    const Recovery found = recover(images, {});
    EXPECT_EQ(found.end, before);
    EXPECT_FALSE(found.newer);
}

TEST(Recovery, ACommitOfANewerVersionBehindATornOneIsSeen) {
    Built one(1, nothing());
    one.commit(2);
    const LogPoint before = one.end;
    one.commit(2);
    one.forge(newer_commits()[0]);
    one.bytes[before.offset + 200] ^= std::byte{1};
    const SegmentImage images[] = {one.image(1)};
    const Recovery found = recover(images, {});
    EXPECT_EQ(found.end, before);
    EXPECT_TRUE(found.newer);
}

TEST(Recovery, AControlRecordIsAcceptedAndTakesAPosition) {
    Built one(1, nothing());
    one.commit(2);
    one.forge({.records = {{}, {.kind = 3}, {}}});
    const SegmentImage images[] = {one.image(1)};
    const Recovery found = recover(images, {});
    EXPECT_EQ(found.end, one.end);
    EXPECT_EQ(found.end.position, 5U);
    EXPECT_FALSE(found.newer);
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

TEST(Scanner, NamesWhatANewerVersionWroteAndGoesOnBehindIt) {
    const std::vector<std::int64_t> seen[] = {
        {1, 2, -3, -4, 5, 6}, {1, 2, 3, -4, 5, 6}, {1, 2, -3, 4, 5, 6}, {1, 2, -3, 4, 5, 6}};
    for (std::size_t n = 0; n < newer_commits().size(); ++n) {
        Built one(1, nothing());
        one.commit(2);
        one.forge(newer_commits()[n]);
        one.commit(2);
        EXPECT_EQ(scan(one, 6), seen[n]) << n;
        SegmentScanner scanner(one.bytes, one.keys, {1, kSegmentHeaderSize, 0, 0, 1}, 6);
        auto step = scanner.next();
        while (step == SegmentScanner::Step::record) step = scanner.next();
        ASSERT_EQ(step, SegmentScanner::Step::damage);
        EXPECT_TRUE(is_newer(scanner.fault())) << scanner.fault();
    }
}

/// A segment of headers that look right and are not: each lets a reader check as much as a header
/// can name. Half of the places begin a record whose head is as long as heads get, the other half a
/// commit whose checksum holds and whose records do not.
std::vector<std::byte> hostile(std::size_t size, const SegmentKeys& keys) {
    std::vector<std::byte> bytes(size);
    std::uint64_t position = 1;
    const std::size_t records = size / 2;
    for (std::size_t at = kSegmentHeaderSize; at + sizeof(CommitHeader) <= size;
         at += sizeof(CommitHeader), ++position) {
        if (at < records) {
            RecordHeader record;
            record.position = position;
            record.kind = 1;
            record.stream_length = kMaxNameBytes;
            record.type_length = kMaxNameBytes;
            record.data_length = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(kMaxDataBytes, size - at - 4096));
            const std::uint64_t head = head_size(2 * kMaxNameBytes, 0, false);
            record.length8 =
                static_cast<std::uint32_t>((head + body_size(0, record.data_length)) / 8);
            base::store(bytes.data() + at, record);
        } else {
            CommitHeader commit;
            commit.length8 = static_cast<std::uint32_t>((size - at) / 8);
            commit.count = 1;
            commit.first_position = position;
            encode_commit_header(bytes.data() + at, commit, keys);
        }
    }
    return bytes;
}

TEST(Scanner, DoesNoMoreWorkThanItsBudgetForHostileBytes) {
    const SegmentKeys keys = segment_keys(Built::uuid, salt_of(kSecret, 1));
    for (const std::size_t size : {std::size_t{64} << 10, std::size_t{16} << 20}) {
        const auto bytes = hostile(size, keys);
        SegmentScanner scanner(bytes, keys, {1, kSegmentHeaderSize, 0, 0, 1}, size / 64);
        std::uint64_t next = 1;
        std::uint64_t steps = 0;
        for (auto step = scanner.next(); step != SegmentScanner::Step::end; step = scanner.next()) {
            const bool record = step == SegmentScanner::Step::record;
            EXPECT_EQ(record ? scanner.record().header.position : scanner.first(), next);
            next = record ? next + 1 : scanner.last() + 1;
            ++steps;
        }
        EXPECT_EQ(next, size / 64 + 1);
        EXPECT_LE(steps, size / 64);
        // The bytes are hostile enough to reach the budget, and one check may overrun it.
        EXPECT_GT(scanner.spent(), size);
        EXPECT_LE(scanner.spent(), (SegmentScanner::kBudget + 1) * size);
    }
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
