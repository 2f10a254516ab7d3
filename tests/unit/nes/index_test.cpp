// Goal: an index answers as the original's does, in both layouts, and what cannot be an index is
// refused with its place. Method: indexes of a few entries against plain vectors; forged files.
#include <gtest/gtest.h>

#include <filesystem>

#include "os/sim_env.hpp"
#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::be32;
using test::bytes_of;
using test::make_file;
using test::TemporaryDirectory;
using test::with;

constexpr const char* kPrimary = R"({"entryClass":"Entry","entrySize":16})";

IndexOptions reading(os::Env* env = nullptr) { return with<IndexOptions>(test::reading(env)); }
IndexOptions writing(Layout layout, os::Env* env = nullptr) {
    return with<IndexOptions>(test::writing(layout, env));
}

Index opened(const std::string& path, const IndexOptions& options) {
    auto index = Index::open(path, options);
    EXPECT_TRUE(index) << index.error().message;
    return std::move(*index);
}

std::vector<IndexEntry> all_of(Index& index) {
    auto all = index.all();
    EXPECT_TRUE(all) << all.error().message;
    return {all->begin(), all->end()};
}

std::string entry_bytes(const IndexEntry& entry) {
    return {reinterpret_cast<const char*>(&entry), sizeof entry};
}

class NesIndex : public testing::TestWithParam<Layout> {
protected:
    TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/index";
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesIndex, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesIndex, EntriesAreKeptInBytesOfTheOriginal) {
    {
        auto index = opened(path_, writing(GetParam()));
        EXPECT_EQ(*index.add({1, 0, 182, 2899847454U}), 1U);
        EXPECT_EQ(*index.add({2, 208, 163, 2899847454U}), 2U);
    }
    const std::string bytes = bytes_of(os::posix_env(), path_);
    const std::string head = std::string("nesidx01") + be32(52) + kPrimary;
    EXPECT_EQ(bytes.substr(0, head.size()), head);
    EXPECT_EQ(bytes.substr(64, 32), test::from_hex("01000000 00000000 b6000000 1e29d8ac"
                                                   "02000000 d0000000 a3000000 1e29d8ac"));
    if (GetParam() == Layout::classic) {
        EXPECT_EQ(bytes.size(), 96U);
    } else
        EXPECT_EQ(bytes.substr(96), std::string(69632 - 100, '\0') + be32(69632 - 96));
    auto index = opened(path_, reading());
    EXPECT_EQ(index.layout(), GetParam());
    EXPECT_EQ(index.length(), 2U);
    EXPECT_EQ(index.metadata(), kPrimary);
}

/// Its last four bytes are zero and no marker, and its size is that of whole pages.
TEST_P(NesIndex, OfWholePagesThatEndsWithZerosKeepsItsLayout) {
    constexpr std::uint32_t kEntries = (4096 - 64) / 16;
    {
        auto index = opened(path_, writing(GetParam()));
        for (std::uint32_t n = 1; n <= kEntries; ++n) EXPECT_TRUE(index.add({n, n, n, 0}));
    }
    auto index = opened(path_, reading());
    EXPECT_EQ(index.layout(), GetParam());
    EXPECT_EQ(index.length(), kEntries);
}

TEST_P(NesIndex, PlacesCountFromBothEnds) {
    auto index = opened(path_, writing(GetParam()));
    EXPECT_FALSE(index.last());
    EXPECT_TRUE(all_of(index).empty());
    EXPECT_FALSE(index.valid_range(1));
    std::vector<IndexEntry> wanted;
    for (std::uint32_t n = 1; n <= 5; ++n) {
        wanted.push_back({n * 10, n * 100, n, 7});
        EXPECT_EQ(*index.add(wanted.back()), n);
        EXPECT_EQ(index.last(), wanted.back()) << "not flushed";
        EXPECT_EQ(index.get(n), wanted.back()) << "not flushed";
    }
    EXPECT_EQ(index.get(1), wanted[0]);
    EXPECT_EQ(index.get(-1), wanted[4]);
    EXPECT_EQ(index.get(-5), wanted[0]);
    for (const std::int64_t none : {0, 6, -6, 1000, -1000}) EXPECT_FALSE(index.get(none)) << none;
    EXPECT_EQ(all_of(index), wanted);
    const auto middle = index.range(2, -2);
    ASSERT_TRUE(middle);
    EXPECT_EQ(std::vector<IndexEntry>(middle->begin(), middle->end()),
              std::vector<IndexEntry>(wanted.begin() + 1, wanted.begin() + 4));
    EXPECT_EQ(index.range(5)->size(), 1U);
    const std::pair<std::int64_t, std::int64_t> wrong[] = {
        {0, 2}, {3, 2}, {1, 6}, {-6, -1}, {6, 6}};
    for (const auto& [from, until] : wrong) {
        EXPECT_FALSE(index.valid_range(from, until));
        EXPECT_EQ(index.range(from, until).error().code, ErrorCode::invalid_argument);
    }
}

TEST_P(NesIndex, FindAnswersNeighbours) {
    auto index = opened(path_, writing(GetParam()));
    EXPECT_EQ(index.find(5), 0U);
    EXPECT_EQ(index.find(5, Find::at_least), 0U);
    const std::vector<std::uint32_t> numbers = {1, 2, 5, 9, 10, 4'000'000'000U};
    for (const std::uint32_t number : numbers) ASSERT_TRUE(index.add({number, 0, 1, 1}));
    std::vector<std::uint64_t> asked = {
        0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 3'999'999'999U, 4'000'000'000U, 4'000'000'001U, ~0ULL};
    for (const std::uint64_t number : asked) {
        std::uint64_t at_most = 0;
        std::uint64_t at_least = 0;
        for (std::size_t n = numbers.size(); n > 0; --n) {
            if (numbers[n - 1] >= number) at_least = n;
            if (numbers[n - 1] <= number && at_most == 0) at_most = n;
        }
        EXPECT_EQ(index.find(number), at_most) << number;
        EXPECT_EQ(index.find(number, Find::at_least), at_least) << number;
    }
}

TEST_P(NesIndex, NumbersAscendStrictly) {
    auto index = opened(path_, writing(GetParam()));
    EXPECT_EQ(index.add({0, 0, 1, 1}).error().code, ErrorCode::invalid_argument);
    ASSERT_TRUE(index.add({5, 0, 1, 1}));
    for (const std::uint32_t number : {0U, 4U, 5U})
        EXPECT_EQ(index.add({number, 0, 1, 1}).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(index.length(), 1U);
    ASSERT_TRUE(index.close());
    auto again = opened(path_, writing(GetParam()));
    EXPECT_FALSE(again.add({5, 0, 1, 1}));
    EXPECT_TRUE(again.add({6, 0, 1, 1}));
}

TEST_P(NesIndex, TruncatingKeepsTheFirstEntries) {
    auto index = opened(path_, writing(GetParam()));
    for (std::uint32_t n = 1; n <= 1000; ++n) {
        ASSERT_TRUE(index.add({n, n, n, n}));
        if (n == 700) {
            ASSERT_TRUE(index.flush());
        }
    }
    EXPECT_FALSE(*index.truncate(1000));
    for (const std::uint32_t kept : {900U, 700U, 300U, 1U}) {
        EXPECT_TRUE(*index.truncate(kept));
        EXPECT_EQ(index.length(), kept);
        EXPECT_EQ(index.last()->number, kept);
        ASSERT_TRUE(index.add({kept + 1, 1, 1, 1}));
        EXPECT_EQ(all_of(index).size(), kept + 1);
    }
    EXPECT_TRUE(*index.truncate(0));
    EXPECT_FALSE(index.last());
    ASSERT_TRUE(index.add({1, 2, 3, 4}));
    ASSERT_TRUE(index.close());
    auto again = opened(path_, reading());
    EXPECT_EQ(all_of(again), (std::vector<IndexEntry>{{1, 2, 3, 4}}));
}

TEST_P(NesIndex, MetadataAreComparedExactly) {
    IndexOptions options = writing(GetParam());
    options.metadata = R"({"entryClass":"Entry","entrySize":16,"matcher":{"stream":"foo"}})";
    ASSERT_TRUE(opened(path_, options).close());
    EXPECT_EQ(opened(path_, options).metadata(), options.metadata);
    EXPECT_EQ(opened(path_, reading()).metadata(), options.metadata);
    options.metadata = R"({"entrySize":16,"entryClass":"Entry","matcher":{"stream":"foo"}})";
    auto other = Index::open(path_, options);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(other.error().message.find("\"stream\":\"foo\""), std::string::npos);
}

TEST_P(NesIndex, AFollowerCountsEntries) {
    auto index = opened(path_, writing(GetParam()));
    auto follower = opened(path_, reading());
    EXPECT_FALSE(*follower.refresh());
    std::uint64_t expected = 0;
    for (std::uint32_t n = 1; n <= 20'000; ++n) {
        ASSERT_TRUE(index.add({n, n, n, n}));
        if (n % 997 != 0) continue;
        ASSERT_TRUE(index.flush());
        const Change change = *follower.wait(1'000'000);
        EXPECT_EQ(change.appended, n - expected);
        expected = n;
        EXPECT_EQ(follower.last()->number, n);
    }
    ASSERT_TRUE(index.truncate(100));
    EXPECT_EQ(follower.refresh()->truncated, expected - 100);
    EXPECT_EQ(all_of(follower).size(), 100U);
    EXPECT_FALSE(*follower.wait(1000));
}

/// W-28: a truncation followed by as many appends goes unnoticed in the original.
TEST_P(NesIndex, W28AnotherHistoryOfTheSameLengthIsNoticed) {
    auto index = opened(path_, writing(GetParam()));
    for (std::uint32_t n = 1; n <= 10; ++n) ASSERT_TRUE(index.add({n, n, n, n}));
    ASSERT_TRUE(index.flush());
    auto follower = opened(path_, reading());
    ASSERT_TRUE(index.truncate(5));
    for (std::uint32_t n = 6; n <= 10; ++n) ASSERT_TRUE(index.add({n, n + 100, n, n}));
    ASSERT_TRUE(index.flush());
    const Change change = *follower.refresh();
    EXPECT_EQ(change.truncated, 10U);
    EXPECT_EQ(change.appended, 10U);
    EXPECT_EQ(follower.get(6)->position, 106U);
}

/// M-3: the original's recovery cuts entries that end with zeros.
TEST(NesIndexMapped, M3EntriesThatEndWithZerosSurviveARecovery) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/index";
    std::string bytes;
    {
        auto index = opened(path, writing(Layout::mapped));
        for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_TRUE(index.add({n, 0, 0, 0}));
    }
    bytes = bytes_of(os::posix_env(), path);
    bytes.replace(bytes.size() - 4, 4, be32(0));
    make_file(os::posix_env(), path, bytes);
    auto reader = opened(path, reading());
    EXPECT_EQ(reader.layout(), Layout::mapped);
    EXPECT_EQ(reader.length(), 3U);
    auto index = opened(path, writing(Layout::mapped));
    EXPECT_EQ(index.length(), 3U);
    ASSERT_TRUE(index.add({4, 1, 2, 3}));
    EXPECT_EQ(all_of(index),
              (std::vector<IndexEntry>{{1, 0, 0, 0}, {2, 0, 0, 0}, {3, 0, 0, 0}, {4, 1, 2, 3}}));
}

/// W-27: the original's reader dies of an entry that is not there as a whole.
TEST_P(NesIndex, W27AnIncompleteEntryIsPassedOverAndCutByAWriter) {
    {
        auto index = opened(path_, writing(GetParam()));
        for (std::uint32_t n = 1; n <= 3; ++n) ASSERT_TRUE(index.add({n, n, n, n}));
    }
    std::string bytes = bytes_of(os::posix_env(), path_);
    const std::string torn = entry_bytes({4, 4, 4, 4}).substr(0, 8);
    if (GetParam() == Layout::classic) {
        bytes += torn;
    } else {
        const auto distance = static_cast<std::uint32_t>(bytes.size() - 64 - 48 - torn.size());
        bytes.replace(64 + 48, torn.size(), torn);
        bytes.replace(bytes.size() - 4, 4, be32(distance));
    }
    make_file(os::posix_env(), path_, bytes);
    auto reader = opened(path_, reading());
    EXPECT_EQ(reader.length(), 3U);
    EXPECT_EQ(reader.dropped(), 8U);
    auto index = opened(path_, writing(GetParam()));
    EXPECT_EQ(index.dropped(), 8U);
    ASSERT_TRUE(index.add({4, 5, 6, 7}));
    ASSERT_TRUE(index.flush());
    auto again = opened(path_, reading());
    EXPECT_EQ(again.length(), 4U);
    EXPECT_EQ(again.dropped(), 0U);
    EXPECT_EQ(again.last(), (IndexEntry{4, 5, 6, 7}));
}

TEST_P(NesIndex, ZerosThatAPowerCutLeftAreNoEntries) {
    {
        auto index = opened(path_, writing(GetParam()));
        for (std::uint32_t n = 1; n <= 5; ++n) ASSERT_TRUE(index.add({n, n, n, n}));
    }
    std::string bytes = bytes_of(os::posix_env(), path_);
    bytes.replace(64 + 32, 48, std::string(48, '\0'));
    make_file(os::posix_env(), path_, bytes);
    EXPECT_EQ(opened(path_, reading()).length(), 2U);
    auto index = opened(path_, writing(Layout::detect));
    EXPECT_EQ(index.layout(), GetParam());
    EXPECT_EQ(index.length(), 2U);
    EXPECT_EQ(index.dropped(), 48U);
    EXPECT_EQ(*index.add({3, 1, 1, 1}), 3U);
}

TEST_P(NesIndex, ALastEntryThatCannotFollowIsNamedWithItsPlace) {
    {
        auto index = opened(path_, writing(GetParam()));
        for (std::uint32_t n = 1; n <= 5; ++n) ASSERT_TRUE(index.add({n, n, n, n}));
    }
    std::string bytes = bytes_of(os::posix_env(), path_);
    bytes.replace(64 + 64, 16, entry_bytes({4, 1, 1, 1}));
    make_file(os::posix_env(), path_, bytes);
    auto index = Index::open(path_, reading());
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code, ErrorCode::corrupt);
    EXPECT_EQ(index.error().offset, 128U);
    EXPECT_EQ(index.error().file, path_);
}

TEST_P(NesIndex, AnEmptyFileIsBegunByAWriterOnly) {
    make_file(os::posix_env(), path_, "");
    EXPECT_EQ(Index::open(path_, reading()).error().code, ErrorCode::not_found);
    ASSERT_TRUE(opened(path_, writing(GetParam())).add({1, 1, 1, 1}));
    EXPECT_EQ(opened(path_, reading()).length(), 1U);
}

TEST_P(NesIndex, AnotherLayoutThanAskedForIsRefusedAndLeftAlone) {
    { ASSERT_TRUE(opened(path_, writing(GetParam())).add({1, 1, 1, 1})); }
    const std::string before = bytes_of(os::posix_env(), path_);
    const bool classic = GetParam() == Layout::classic;
    auto other = Index::open(path_, writing(classic ? Layout::mapped : Layout::classic));
    ASSERT_FALSE(other);
    EXPECT_EQ(bytes_of(os::posix_env(), path_), before);
}

TEST(NesIndexFullDisk, AClassicFlushCanBeTriedAgain) {
    os::SimEnv world(1);
    auto index = opened("index", writing(Layout::classic, &world));
    ASSERT_TRUE(index.add({1, 1, 1, 1}));
    world.fail_call(1, ErrorCode::no_space, false);
    EXPECT_EQ(index.flush().error().code, ErrorCode::no_space);
    EXPECT_EQ(index.length(), 1U);
    EXPECT_EQ(index.last()->number, 1U);
    ASSERT_TRUE(*index.flush());
    EXPECT_EQ(opened("index", reading(&world)).length(), 1U);
}

/// A classic index of whole pages ends with a partition's id, which may look like a marker.
TEST(NesIndexFile, AnIdThatLooksLikeAMarkerIsNone) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/index";
    const auto fill = [](Index& index, std::uint32_t until, std::uint32_t id) {
        for (auto n = static_cast<std::uint32_t>(index.length()) + 1; n <= until; ++n)
            ASSERT_TRUE(index.add({n, n * 8, 4, id}));
        ASSERT_TRUE(index.flush());
    };
    for (const std::uint32_t pages : {1U, 2U, 5U}) {
        for (const std::uint32_t distance : {0U, 4U, 8U, 16U, 4032U, pages * 4096}) {
            std::filesystem::remove(path);
            const std::uint32_t whole = (pages * 4096 - 64) / 16;
            const std::uint32_t id = __builtin_bswap32(distance);
            {
                auto index = opened(path, writing(Layout::classic));
                fill(index, whole, id);
            }
            ASSERT_EQ(bytes_of(os::posix_env(), path).size(), pages * 4096);
            auto index = opened(path, reading());
            EXPECT_EQ(index.layout(), Layout::classic) << pages << ", " << distance;
            ASSERT_EQ(index.length(), whole) << pages << ", " << distance;
            EXPECT_EQ(*index.last(), (IndexEntry{whole, whole * 8, 4, id}));
            auto writer = opened(path, writing(Layout::detect));
            EXPECT_EQ(writer.layout(), Layout::classic);
            fill(writer, whole + 3, id);
            EXPECT_EQ(bytes_of(os::posix_env(), path).size(), pages * 4096 + 48);
            EXPECT_EQ(index.refresh()->appended, 3U);
        }
    }
}

}  // namespace
}  // namespace varve::nes
