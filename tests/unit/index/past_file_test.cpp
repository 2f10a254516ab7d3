// Goal: a list of the past gives back what was put into it, and a file that is not whole is
// refused. Method: a small file; every bit flipped, every length; a file of another store and of a
// newer format. The walks of a past over several parts against a plain set.
#include "index/past_file.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/crc32c.hpp"

namespace varve::index {
namespace {

const log::Uuid kUuid{std::byte{7}};

PastHeader header() {
    PastHeader made;
    made.uuid = kUuid;
    made.first_definition = 3;
    made.last_definition = 9;
    made.segment = 2;
    made.salt = 77;
    made.first_position = 100;
    made.last_position = 400;
    made.defined = 500;
    return made;
}

std::vector<std::byte> small_file() {
    PastBuilder builder(header());
    for (const std::uint64_t position : {100U, 101U, 101U, 400U}) builder.add(3, "", position);
    builder.add(9, "customer/2", 150);
    builder.add(9, "customer/10", 150);
    builder.add(9, "customer/10", 300);
    return builder.bytes();
}

std::vector<std::uint64_t> positions(const Past::Part& part) {
    std::vector<std::uint64_t> all;
    for (const std::uint32_t ordinal : part.ordinals) all.push_back(part.first + ordinal);
    return all;
}

TEST(PastFile, GivesBackWhatWasPutIn) {
    const std::vector<std::byte> bytes = small_file();
    PastFile file;
    ASSERT_EQ(PastFile::open(bytes, kUuid, file), nullptr);
    EXPECT_EQ(file.entries(), 3U);
    EXPECT_EQ(positions(file.find(3, "")), (std::vector<std::uint64_t>{100, 101, 400}));
    EXPECT_EQ(positions(file.find(9, "customer/10")), (std::vector<std::uint64_t>{150, 300}));
    EXPECT_EQ(positions(file.find(9, "customer/2")), (std::vector<std::uint64_t>{150}));
    for (const auto& [number, name] :
         {std::pair(2, ""), std::pair(4, ""), std::pair(9, ""), std::pair(9, "customer/1"),
          std::pair(9, "customer/3"), std::pair(10, "")})
        EXPECT_TRUE(file.find(static_cast<std::uint64_t>(number), name).ordinals.empty()) << name;
    EXPECT_EQ(file.lower_bound(9, "customer/11"), 2U);
    EXPECT_EQ(file.name(file.entry(2)), "customer/2");
}

TEST(PastFile, AnEmptyOneIsWhole) {
    const std::vector<std::byte> bytes = PastBuilder(header()).bytes();
    PastFile file;
    ASSERT_EQ(PastFile::open(bytes, kUuid, file), nullptr);
    EXPECT_TRUE(file.find(3, "").ordinals.empty());
}

TEST(PastFile, EveryFlippedBitIsNoticed) {
    std::vector<std::byte> bytes = small_file();
    PastFile file;
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_NE(PastFile::open(bytes, kUuid, file), nullptr) << bit;
        bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    }
}

TEST(PastFile, EveryOtherLengthIsRefused) {
    std::vector<std::byte> bytes = small_file();
    const std::size_t whole = bytes.size();
    bytes.resize(whole + 8);
    PastFile file;
    for (std::size_t length = 0; length <= bytes.size(); ++length) {
        const log::Fault fault = PastFile::open(base::Bytes{bytes}.first(length), kUuid, file);
        EXPECT_EQ(fault == nullptr, length == whole) << length;
    }
}

TEST(PastFile, OthersAreTold) {
    std::vector<std::byte> bytes = small_file();
    PastFile file;
    EXPECT_STREQ(PastFile::open(bytes, log::Uuid{}, file), "it belongs to another store");
    base::store(bytes.data() + offsetof(PastHeader, format), kPastFormat + 1);
    EXPECT_TRUE(log::is_newer(PastFile::open(bytes, kUuid, file)));
}

/// Checksums that hold say nothing about who wrote them.
TEST(PastFile, AnEntryThatPointsOutsideIsRefused) {
    for (const std::size_t field : {offsetof(PastEntry, first_ordinal), offsetof(PastEntry, count),
                                    offsetof(PastEntry, name_length)}) {
        std::vector<std::byte> bytes = small_file();
        base::store(bytes.data() + kPastHeaderSize + 32 + field, 0x7FFF'FFFFU);
        const std::size_t body_crc = offsetof(PastHeader, body_crc);
        const std::size_t header_crc = offsetof(PastHeader, header_crc);
        base::store(bytes.data() + body_crc,
                    base::crc32c(0x54534150, base::Bytes{bytes}.subspan(kPastHeaderSize)));
        base::store(bytes.data() + header_crc,
                    base::crc32c(0x54534150, base::Bytes{bytes}.first(header_crc)));
        PastFile file;
        EXPECT_STREQ(PastFile::open(bytes, kUuid, file), "an entry points outside") << field;
    }
}

class SomePast final : public Past {
public:
    [[nodiscard]] bool holds(const log::RecordView&) const override { return true; }
};

TEST(Past, WalksAllPartsBothWays) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 200; ++round) {
        std::set<std::uint64_t> all;
        std::vector<std::vector<std::uint32_t>> ordinals(1 + random() % 4);
        SomePast past;
        past.before = 2 + random() % 120;
        for (std::size_t n = 0; n < ordinals.size(); ++n) {
            const std::uint64_t first = 1 + 30 * n;
            for (std::uint32_t ordinal = 0; ordinal < 30; ++ordinal) {
                if (random() % 4 != 0 || first + ordinal >= past.before) continue;
                ordinals[n].push_back(ordinal);
                all.insert(first + ordinal);
            }
            if (!ordinals[n].empty()) past.parts.push_back({first, ordinals[n]});
        }
        for (std::uint64_t from = 0; from <= 125; ++from) {
            std::uint64_t found = 0;
            const auto next = all.lower_bound(from);
            ASSERT_EQ(past.next(from, found), next != all.end()) << from;
            ASSERT_TRUE(next == all.end() || found == *next) << from;
            const auto behind = all.upper_bound(from);
            ASSERT_EQ(past.last(from, found), behind != all.begin()) << from;
            ASSERT_TRUE(behind == all.begin() || found == *std::prev(behind)) << from;
            for (const std::uint64_t to : {from, from + 7, std::uint64_t{200}})
                ASSERT_EQ(past.count(from, to), static_cast<std::uint64_t>(std::distance(
                                                    all.lower_bound(from), all.upper_bound(to))));
        }
    }
}

}  // namespace
}  // namespace varve::index
