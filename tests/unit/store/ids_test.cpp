// Goal: an append whose events have ids is stored once, however often it is tried, and is told what
// became of it; anything that only looks like a repetition is refused. Method: a simulated world;
// one behaviour per test, each of the ways in which an append can fail to be a repetition in a
// table.
#include <gtest/gtest.h>

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

EventId id(unsigned n) {
    return {.bytes = {static_cast<std::byte>(n), static_cast<std::byte>(n >> 8)}};
}

/// An event with id `n`, or none if that is 0.
NewEvent event(unsigned n, std::string_view stream = "s", std::string_view data = "") {
    NewEvent made{.stream = stream, .type = "T", .tags = {"t"}, .data = data};
    if (n != 0) made.id = id(n);
    return made;
}

std::vector<NewEvent> events(std::initializer_list<unsigned> ids) {
    std::vector<NewEvent> made;
    for (const unsigned n : ids) made.push_back(event(n));
    return made;
}

class Ids : public testing::Test {
protected:
    OpenOptions options() {
        OpenOptions options;
        options.env = world_.get();
        options.durability = level_;
        options.segment_size_first = 64 << 10;
        options.segment_size_max = 64 << 10;
        options.hash_bits = hash_bits_;
        options.id_window = window_;
        return options;
    }
    void open() {
        store_.reset();
        auto store = Store::open("store", options());
        ASSERT_TRUE(store) << store.error().message;
        store_ = std::move(*store);
    }
    Result<Appended> append(std::vector<NewEvent> given, const AppendOptions& options = {}) {
        return store_->append(given, options);
    }
    std::uint64_t published() { return store_->snapshot()->published().value; }
    /// Appends until the log stands in another segment.
    void roll() {
        const std::string data(10'000, 'r');
        for (int n = 0; n < 8; ++n) ASSERT_TRUE(append({event(0, "filling", data)}));
    }
    void expect_conflict(std::initializer_list<unsigned> ids, std::uint64_t position) {
        const std::uint64_t before = published();
        auto refused = append(events(ids));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::id_conflict) << refused.error().message;
        EXPECT_EQ(refused.error().position.value, position);
        EXPECT_EQ(refused.error().stream, "s");
        EXPECT_EQ(refused.error().type, "T");
        EXPECT_EQ(refused.error().tags, std::vector<std::string>{"t"});
        EXPECT_EQ(published(), before);
    }
    void expect_repetition(std::initializer_list<unsigned> ids, std::uint64_t first) {
        const std::uint64_t before = published();
        auto again = append(events(ids));
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_TRUE(again->duplicate);
        EXPECT_EQ(again->first.value, first);
        EXPECT_EQ(again->last.value, first + ids.size() - 1);
        EXPECT_EQ(published(), before);
    }

    std::unique_ptr<os::SimEnv> world_ = std::make_unique<os::SimEnv>(1);
    std::optional<Store> store_;
    Durability level_ = Durability::os;
    std::uint8_t hash_bits_ = 64;
    std::uint64_t window_ = 0;
};

TEST_F(Ids, ARepeatedAppendIsToldWhatTheFirstWasTold) {
    open();
    ASSERT_TRUE(append({event(0, "b")}));
    const AppendOptions new_streams{.expected = Expectations{{"a", Expected::no_stream()}}};
    const std::vector<NewEvent> given = {event(1, "a"), event(0, "b"), event(2, "a")};
    auto first = append(given, new_streams);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(first->duplicate);
    ASSERT_TRUE(append({event(0, "a"), event(0, "b")}));  // the streams go on
    for (int n = 0; n < 3; ++n) {
        if (n == 1) roll();
        if (n == 2) open();
        auto again = append(given, new_streams);
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_TRUE(again->duplicate);
        EXPECT_EQ(again->first, first->first);
        EXPECT_EQ(again->last, first->last);
        EXPECT_EQ(again->version, first->version);
        ASSERT_EQ(again->versions.size(), 2U);
        EXPECT_EQ(again->versions[0].stream, "a");
        EXPECT_EQ(again->versions[0].version, 2U);
        EXPECT_EQ(again->versions[1].stream, "b");
        EXPECT_EQ(again->versions[1].version, 2U);
    }
}

TEST_F(Ids, OnlyTheBeginningOfOneAppendIsARepetition) {
    for (const std::uint8_t bits : {std::uint8_t{64}, std::uint8_t{1}}) {
        hash_bits_ = bits;
        store_.reset();
        world_ = std::make_unique<os::SimEnv>(bits);
        open();
        ASSERT_TRUE(append(events({1, 2, 0, 3})));
        ASSERT_TRUE(append(events({4, 5})));
        ASSERT_TRUE(append(events({0, 6})));
        ASSERT_TRUE(append(events({0})));
        expect_repetition({1, 2, 0, 3}, 1);
        expect_repetition({1, 2, 0}, 1);
        expect_repetition({1}, 1);
        expect_repetition({4, 5}, 5);
        expect_repetition({0, 6}, 7);
        expect_conflict({2}, 2);  // not from the beginning
        expect_conflict({2, 0, 3}, 2);
        expect_conflict({0, 3}, 4);
        expect_conflict({5, 4}, 6);           // another order
        expect_conflict({1, 2, 3}, 1);        // without the event that has none
        expect_conflict({1, 0}, 1);           // one id is missing
        expect_conflict({1, 2, 0, 3, 9}, 1);  // more than then
        expect_conflict({4, 5, 0}, 5);
        expect_conflict({9, 1}, 1);  // begins with a new one
        expect_conflict({6}, 8);
        expect_conflict({1, 2, 0, 3, 4, 5}, 1);  // two appends as one
    }
}

TEST_F(Ids, TheSameIdTwiceInOneAppendIsNoAppend) {
    open();
    std::vector<NewEvent> many;
    for (unsigned n = 0; n < 100; ++n) many.push_back(event(n + 1));
    ASSERT_TRUE(append(many));
    many[97].id = id(7);
    for (const auto& given : {events({201, 202, 201}), many}) {
        auto refused = append(given);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << refused.error().message;
    }
    EXPECT_EQ(published(), 100U);
}

TEST_F(Ids, ComeBeforeExpectedVersions) {
    open();
    ASSERT_TRUE(append(events({1})));
    auto refused = append(events({2, 1}), {.expected = Expected::version(77)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::id_conflict);
    refused = append(events({2}), {.expected = Expected::version(77)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::wrong_expected_version);
    // What was refused was not stored: its id is free.
    auto stored = append(events({2}));
    EXPECT_TRUE(stored && !stored->duplicate);
}

TEST_F(Ids, BeyondTheWindowAreNotFound) {
    window_ = 10;
    open();
    ASSERT_TRUE(append(events({1, 2})));
    for (unsigned n = 0; n < 8; ++n) ASSERT_TRUE(append(events({0})));
    expect_repetition({1, 2}, 1);
    ASSERT_TRUE(append(events({0})));
    expect_repetition({1, 2}, 1);  // part of it is within: the append is known
    ASSERT_TRUE(append(events({0})));
    auto stored = append(events({1, 2}));
    ASSERT_TRUE(stored);
    EXPECT_FALSE(stored->duplicate);
    EXPECT_EQ(stored->first.value, 13U);
    EXPECT_EQ(store_->snapshot()->find(id(1))->position.value, 13U);
    window_ = 0;
    open();
    expect_repetition({1, 2}, 13);
}

TEST_F(Ids, ARepetitionWaitsForTheLevelThatItAsksFor) {
    open();
    ASSERT_TRUE(append(events({1})));
    EXPECT_EQ(store_->snapshot()->durable().value, 0U);
    expect_repetition({1}, 1);
    EXPECT_EQ(store_->snapshot()->durable().value, 0U);
    auto again = append(events({1}), {.durability = Durability::disk});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->duplicate);
    EXPECT_EQ(again->level, Durability::disk);
    EXPECT_EQ(store_->snapshot()->durable().value, 1U);
    ASSERT_TRUE(append(events({2})));
    ASSERT_TRUE(append(events({2}), {.durability = Durability::interval}));
    EXPECT_EQ(store_->snapshot()->durable().value, 2U);
    const auto cut = world_->power_cut(1, {os::SimCut::Style::nothing, 0});
    OpenOptions after = options();
    after.env = cut.get();
    EXPECT_EQ(Store::open("store", after)->snapshot()->published().value, 2U);
}

TEST_F(Ids, ARepetitionWhoseSyncFailsIsNoSuccess) {
    open();
    ASSERT_TRUE(append(events({1})));
    world_->fail_syncs_only(true);
    world_->fail_call(1, ErrorCode::io, false);
    auto lost = append(events({1}), {.durability = Durability::disk});
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, ErrorCode::durability_lost);
    world_->stop_failing();
    auto refused = append(events({1}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::poisoned);
    level_ = Durability::disk;
    open();
    expect_repetition({1}, 1);
    EXPECT_EQ(store_->snapshot()->durable().value, 1U);
}

TEST_F(Ids, OfAWriterThatWasKilledAreKnown) {
    for (const bool with_index : {true, false}) {
        store_.reset();
        world_ = std::make_unique<os::SimEnv>(3);
        open();
        roll();
        ASSERT_TRUE(append(events({1, 2})));
        // Killed within one of twenty appends: whatever of it is there after that, it is stored
        // once.
        std::vector<std::pair<std::unique_ptr<os::SimEnv>, unsigned>> images;
        unsigned n = 0;
        world_->on_step([&] { images.emplace_back(world_->kill(images.size()), n); });
        for (; n < 20; ++n) ASSERT_TRUE(append(events({10 + 2 * n, 11 + 2 * n})));
        world_->on_step({});
        store_.reset();
        std::size_t stored = 0;
        for (auto& [image, number] : images) {
            world_ = std::move(image);
            if (!with_index) {
                ASSERT_TRUE(world_->remove("store/index/0000000002.act"));
            }
            open();
            expect_repetition({1, 2}, 9);
            auto repeated = append(events({10 + 2 * number, 11 + 2 * number}));
            ASSERT_TRUE(repeated) << repeated.error().message;
            EXPECT_EQ(repeated->first.value, 11U + 2 * number);
            stored += repeated->duplicate ? 0U : 1U;
            EXPECT_EQ(published(), repeated->last.value);
            store_.reset();
        }
        EXPECT_GT(stored, 0U);
        EXPECT_LT(stored, images.size());
    }
}

TEST_F(Ids, FindEventsAndNoNames) {
    open();
    ASSERT_TRUE(append({event(1), event(0), event(2, "", "second")}));
    roll();
    OpenOptions reading = options();
    reading.access = Access::read_only;
    auto reader = Store::open("store", reading);
    ASSERT_TRUE(reader);
    for (const Store* store : {&*store_, &*reader}) {
        const auto snapshot = store->snapshot();
        auto found = snapshot->find(id(2));
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->position.value, 3U);
        EXPECT_EQ(found->data, "second");
        EXPECT_EQ(found->id(), id(2));
        EXPECT_EQ(snapshot->find(id(3)).error().code, ErrorCode::not_found);
        EXPECT_EQ(snapshot->streams()->size(), 2U);
        EXPECT_EQ(snapshot->types()->size(), 1U);
        EXPECT_EQ(snapshot->tags()->size(), 1U);
        EXPECT_EQ(snapshot->categories()->size(), 0U);
    }
    // Not what came after the snapshot was taken.
    const auto before = store_->snapshot();
    ASSERT_TRUE(append(events({9})));
    EXPECT_EQ(before->find(id(9)).error().code, ErrorCode::not_found);
    EXPECT_TRUE(store_->snapshot()->find(id(9)));
}

TEST_F(Ids, AnEventThatCannotBeReadMayHaveAnyId) {
    open();
    ASSERT_TRUE(append(events({1})));
    ASSERT_TRUE(append(events({2})));
    roll();
    const std::uint64_t events_before = published();
    ASSERT_TRUE(store_->close());
    store_.reset();
    {
        // A byte of the first record's head: behind the headers of segment and commit.
        auto file = world_->open("store/log/0000000001.seg", os::OpenMode::read_write, 0600);
        ASSERT_TRUE(file);
        const std::byte wrong{0xFF};
        ASSERT_TRUE((*file)->write_at(4096 + 64 + 24, {&wrong, 1}));
    }
    // A sealed index would still know which ids there are.
    ASSERT_TRUE(world_->remove("store/index/0000000001-0000000001.idx"));
    ASSERT_TRUE(world_->remove("store/index/0000000001.act"));
    open();
    auto hidden = append(events({3}));
    ASSERT_FALSE(hidden);
    EXPECT_EQ(hidden.error().code, ErrorCode::corrupt);
    EXPECT_EQ(store_->snapshot()->find(id(3)).error().code, ErrorCode::corrupt);
    expect_repetition({2}, 2);
    window_ = events_before - 1;
    open();
    auto stored = append(events({3}));
    EXPECT_TRUE(stored) << stored.error().message;
}

}  // namespace
}  // namespace varve::test
