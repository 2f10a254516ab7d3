// Goal: a read bounded by time gives exactly the events of that time, in the order of positions,
// however the times are ordered, also where whole groups are passed over.
// Method: thousands of events in groups of one time each, out of order, compared event by event; an
// index whose groups are known; a commit header that cannot be read; bounds at the ends of time.
#include "store/times.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

using index::GroupTimes;
using index::TimeRange;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(TimeRange, MeetsWhatSharesAMoment) {
    const TimeRange range{10, 20};
    EXPECT_TRUE(range.meets({20, 30}));
    EXPECT_TRUE(range.meets({0, 10}));
    EXPECT_TRUE(range.meets({12, 13}));
    EXPECT_FALSE(range.meets({21, 30}));
    EXPECT_FALSE(range.meets({0, 9}));
    EXPECT_FALSE(range.meets({}));
    EXPECT_FALSE(TimeRange{}.meets(TimeRange::always()));
    EXPECT_TRUE(range.meets(TimeRange::always()));
}

TEST(GroupTimes, OnlyGetWider) {
    const index::ActCapacity capacity = index::capacity_for(256 << 10);
    ASSERT_GE(capacity.groups(), 3U);
    std::vector<std::byte> bytes(capacity.bytes());
    index::ActHeader header;
    header.slots = capacity.slots;
    header.events = capacity.events;
    header.cells = capacity.cells;
    index::ActiveIndex active = index::ActiveIndex::format(bytes.data(), header);
    EXPECT_FALSE(active.times(0));
    active.note_times(7, {TimeRange::at(-5), TimeRange::at(100)});
    EXPECT_EQ(active.times(0), (GroupTimes{{-5, -5}, {100, 100}}));
    active.note_times(1023, {TimeRange::at(9), TimeRange::at(101)});
    active.note_times(0, {TimeRange::at(1), TimeRange::at(100)});
    EXPECT_EQ(active.times(0), (GroupTimes{{-5, 9}, {100, 101}}));
    EXPECT_FALSE(active.times(1));
    active.note_times(1024, {TimeRange::at(kMin), TimeRange::at(kMax)});
    EXPECT_EQ(active.times(1), (GroupTimes{{kMin, kMin}, {kMax, kMax}}));
    active.apply_gap(2048);
    EXPECT_EQ(active.times(2), (GroupTimes{TimeRange::always(), TimeRange::always()}));
    EXPECT_FALSE(active.times(capacity.groups()));
    EXPECT_FALSE(active.times(~0ULL));
    EXPECT_EQ(active.times(0), (GroupTimes{{-5, 9}, {100, 101}}));
}

/// Blocks of 700 events with the same time each, the blocks in no order: most groups are of few
/// times, and every block border lies elsewhere in its group.
class TimesOfAStore : public ::testing::Test {
protected:
    static constexpr std::uint64_t kBlock = 700;
    static constexpr std::int64_t kTimes[] = {50, 10, 90, 10, 70, 30, 90, 50, 20, 60};

    static std::int64_t time_of(std::uint64_t position) {
        return kTimes[(position - 1) / kBlock % std::size(kTimes)];
    }
    void fill(std::uint64_t segment_size = 256 << 10) {
        OpenOptions options;
        options.durability = Durability::os;
        options.segment_size_first = segment_size;
        options.segment_size_max = 2 * segment_size;
        auto store = Store::open(directory_.store(), options);
        ASSERT_TRUE(store) << store.error().message;
        for (std::uint64_t position = 1; position <= kBlock * std::size(kTimes);) {
            std::vector<NewEvent> events(50);
            for (NewEvent& event : events) {
                event.stream = position % 2 == 0 ? "even-1" : "odd-1";
                event.time_us = time_of(position++);
            }
            ASSERT_TRUE(store->append(events));
        }
        store_.emplace(std::move(*store));
    }
    void compare(Source source, const ReadOptions& options) {
        auto snapshot = store_->snapshot();
        ASSERT_TRUE(snapshot);
        std::vector<std::uint64_t> wanted;
        for (std::uint64_t p = 1; p <= snapshot->published().value; ++p) {
            const bool named =
                source.kind == Source::Kind::all || (p % 2 == 0) == (source.name == "even-1");
            if (named && time_of(p) >= options.since_us.value_or(kMin) &&
                time_of(p) < options.until_us.value_or(kMax))
                wanted.push_back(p);
        }
        if (options.direction == Direction::backwards) std::reverse(wanted.begin(), wanted.end());
        const bool full = wanted.size() >= options.limit;
        if (full) wanted.resize(options.limit);
        std::vector<std::uint64_t> found;
        auto seen = snapshot->read(source, options).for_each([&](const EventView& event) {
            found.push_back(event.position.value);
        });
        ASSERT_TRUE(seen) << seen.error().message;
        EXPECT_EQ(found, wanted);
        const bool at_limit = full && options.direction == Direction::forwards;
        const std::uint64_t last = at_limit ? wanted.back() : snapshot->published().value;
        EXPECT_EQ(seen->position.value, last);
    }

    TemporaryDirectory directory_;
    std::optional<Store> store_;
};

TEST_F(TimesOfAStore, EveryStretchBothWaysWithAndWithoutALimit) {
    ASSERT_NO_FATAL_FAILURE(fill());
    for (const Source source : {Source::all(), Source::stream("even-1")}) {
        for (std::int64_t since = 0; since <= 100; since += 10) {
            for (std::int64_t until = since; until <= 100; until += 20) {
                for (const Direction direction : {Direction::forwards, Direction::backwards}) {
                    ReadOptions options;
                    options.since_us = since;
                    options.until_us = until;
                    options.direction = direction;
                    compare(source, options);
                    options.limit = 333;
                    compare(source, options);
                }
            }
        }
    }
}

TEST_F(TimesOfAStore, GroupsOutsideAreNotLookedAt) {
    ASSERT_NO_FATAL_FAILURE(fill(4 << 20));  // one segment
    // The first 1,024 events carry the times 50 and 10: a read since 60 passes them over, so damage
    // among them does not concern it; a read of all times meets it.
    auto snapshot = store_->snapshot();
    ASSERT_TRUE(snapshot);
    auto hit = snapshot->at(Position{500});
    ASSERT_TRUE(hit);
    const std::string path = directory_.store() + "/log";
    std::uint64_t damaged = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        std::string bytes((std::istreambuf_iterator<char>(file)), {});
        const std::uint64_t position = 500;
        std::string wanted(reinterpret_cast<const char*>(&position), sizeof position);
        for (std::size_t at = bytes.find(wanted); at != std::string::npos;
             at = bytes.find(wanted, at + 1)) {
            if (at % 8 != 0) continue;
            file.clear();
            file.seekp(static_cast<std::streamoff>(at + 24));
            file.write("damaged!", 8);  // the time in the head
            ++damaged;
        }
    }
    ASSERT_GT(damaged, 0U);
    ReadOptions all;
    EXPECT_FALSE(snapshot->read(Source::all(), all).for_each([](const EventView&) {}));
    ReadOptions some;
    some.since_us = 60;
    std::uint64_t found = 0;
    auto seen = snapshot->read(Source::all(), some).for_each([&](const EventView& event) {
        EXPECT_GE(event.time_us, 60);
        ++found;
    });
    EXPECT_TRUE(seen) << seen.error().message;
    EXPECT_EQ(found, 4 * kBlock);
}

TEST(Times, TheEndsOfTimeAreTimes) {
    TemporaryDirectory directory;
    OpenOptions options;
    options.durability = Durability::os;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->append({{.time_us = kMin}, {.time_us = 0}, {.time_us = kMax}}));
    const auto count = [&](std::optional<std::int64_t> since, std::optional<std::int64_t> until) {
        ReadOptions bounds;
        bounds.since_us = since;
        bounds.until_us = until;
        std::uint64_t found = 0;
        auto seen = store->snapshot()->read(Source::all(), bounds).for_each([&](const EventView&) {
            ++found;
        });
        EXPECT_TRUE(seen);
        EXPECT_EQ(seen->position.value, 3U);
        return found;
    };
    EXPECT_EQ(count(std::nullopt, std::nullopt), 3U);
    EXPECT_EQ(count(kMin, std::nullopt), 3U);
    EXPECT_EQ(count(kMin, kMax), 2U);
    EXPECT_EQ(count(kMax, std::nullopt), 1U);
    EXPECT_EQ(count(std::nullopt, kMin), 0U);
    EXPECT_EQ(count(0, 0), 0U);
    EXPECT_EQ(count(0, 1), 1U);
    EXPECT_EQ(count(1, 0), 0U);
}

TEST(Times, ARecordedTimeThatCannotBeReadIsNoAnswer) {
    TemporaryDirectory directory;
    OpenOptions options;
    options.durability = Durability::os;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->append({{.stream = "a"}, {.stream = "b"}}));
    auto snapshot = store->snapshot();
    ASSERT_TRUE(snapshot);
    const std::int64_t recorded = snapshot->at(Position{2})->recorded_us().value_or(0);
    EXPECT_GT(recorded, 0);
    {
        std::fstream file(directory.store() + "/log/0000000001.seg",
                          std::ios::in | std::ios::out | std::ios::binary);
        ASSERT_TRUE(file.is_open());
        file.seekp(4096 + 32);
        file.write("damaged!", 8);
    }
    EXPECT_FALSE(snapshot->at(Position{2})->recorded_us());
    ReadOptions bounds;
    bounds.clock = TimeKind::recorded;
    bounds.since_us = recorded;
    auto seen = snapshot->read("b", bounds).for_each([](const EventView&) { FAIL(); });
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().code, ErrorCode::corrupt);
    bounds.since_us.reset();
    bounds.with_recorded = true;
    std::uint64_t found = 0;
    auto others = snapshot->read("b", bounds).for_each([&](const EventView& event) {
        EXPECT_FALSE(event.recorded_us());
        ++found;
    });
    EXPECT_TRUE(others);
    EXPECT_EQ(found, 1U);
}

TEST(Times, AreHeededWhileFollowing) {
    TemporaryDirectory directory;
    OpenOptions options;
    options.durability = Durability::os;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store);
    FollowOptions follow;
    follow.since_us = 5;
    follow.with_recorded = true;
    auto live = store->follow(Source::all(), follow);
    ASSERT_TRUE(live);
    ASSERT_TRUE(store->append({{.time_us = 9}, {.time_us = 4}, {.time_us = 5}}));
    std::vector<std::uint64_t> found;
    for (auto run = live->next(0); run && !run->empty(); run = live->next(0)) {
        for (const EventView& event : *run) {
            found.push_back(event.position.value);
            EXPECT_TRUE(event.recorded_us());
        }
    }
    EXPECT_EQ(found, (std::vector<std::uint64_t>{1, 3}));
    EXPECT_EQ(live->position().value, 3U);
}

}  // namespace
}  // namespace varve::test
