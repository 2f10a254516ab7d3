// Goal: a subscription to a query delivers every match once and in order, catching up and live,
// says when it has caught up, and moves its position over what does not match. Method: stores in
// the simulated machine with segments that roll; what comes is compared with what a query of a
// snapshot finds.
#include <gtest/gtest.h>

#include "support/small_store.hpp"

namespace varve::test {
namespace {

std::string type_of(std::uint64_t n) { return n % 3 == 0 ? "third" : "other"; }

void append_some(Store& store, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t n = from; n <= to; ++n) {
        const std::string tag = "t/" + std::to_string(n % 5);
        const std::string type = type_of(n);
        const std::string data = R"({"n":)" + std::to_string(n) + "}";
        ASSERT_TRUE(store.append({{.stream = "s-1", .type = type, .tags = {tag}, .data = data}}));
    }
}

std::vector<std::uint64_t> take_all(Subscription& live) {
    std::vector<std::uint64_t> positions;
    constexpr int kRounds = 10'000;
    for (int n = 0; n < kRounds; ++n) {
        auto run = live.next(0);
        EXPECT_TRUE(run) << run.error().message;
        if (!run || (run->empty() && live.caught_up())) break;
        for (const EventView& event : *run) positions.push_back(event.position.value);
    }
    return positions;
}

std::vector<std::uint64_t> queried(const Store& store, const Selector& selector) {
    std::vector<std::uint64_t> positions;
    auto now = store.snapshot();
    EXPECT_TRUE(now->query(selector).for_each(
        [&](const EventView& event) { positions.push_back(event.position.value); }));
    return positions;
}

TEST(Following, AQueryCatchesUpAndGoesOnLive) {
    os::SimEnv world(1);
    auto store = Store::open("store", options_for(world, Access::read_write, Durability::os));
    ASSERT_TRUE(store);
    append_some(*store, 1, 700);
    const Selector selectors[] = {
        Selector({{.types = {"third"}, .tags = {"t/1"}}, {.tags = {"t/2"}}}),
        (!Selector::type("other")) & Selector::stream("s-1"),
        Selector::tag("t/4"),
        Selector::all(),
        Selector::nothing(),
    };
    std::vector<Subscription> live;
    std::vector<std::vector<std::uint64_t>> found;
    for (const Selector& selector : selectors) {
        auto one = store->follow(selector);
        ASSERT_TRUE(one);
        EXPECT_FALSE(one->caught_up());
        found.push_back(take_all(*one));
        EXPECT_EQ(found.back(), queried(*store, selector)) << selector.text();
        EXPECT_EQ(one->position().value, 700U) << selector.text();
        live.push_back(std::move(*one));
    }
    append_some(*store, 701, 1500);
    for (std::size_t n = 0; n < live.size(); ++n) {
        const auto more = take_all(live[n]);
        found[n].insert(found[n].end(), more.begin(), more.end());
        EXPECT_EQ(found[n], queried(*store, selectors[n])) << selectors[n].text();
        EXPECT_EQ(live[n].position().value, 1500U);
    }
    ASSERT_TRUE(store->close());
    EXPECT_EQ(live[0].next(0).error().code, ErrorCode::closed);
}

TEST(Following, AMatcherChoosesAndThePositionMovesOn) {
    os::SimEnv world(1);
    auto store = Store::open("store", options_for(world, Access::read_write, Durability::os));
    ASSERT_TRUE(store);
    append_some(*store, 1, 50);
    FollowOptions options;
    options.matcher = *Matcher::compile(R"({"data":{"n":{"$gt":40}}})");
    auto live = store->follow(Selector::type("third"), options);
    ASSERT_TRUE(live);
    EXPECT_EQ(take_all(*live), (std::vector<std::uint64_t>{42, 45, 48}));
    EXPECT_EQ(live->position().value, 50U);
}

TEST(Following, OnlyWhatIsDurable) {
    os::SimEnv world(1);
    auto store = Store::open("store", options_for(world, Access::read_write, Durability::os));
    ASSERT_TRUE(store);
    append_some(*store, 1, 9);
    ASSERT_TRUE(store->sync());
    append_some(*store, 10, 12);
    FollowOptions options;
    options.durable_only = true;
    auto live = store->follow(Selector::type("third"), options);
    EXPECT_EQ(take_all(*live), (std::vector<std::uint64_t>{3, 6, 9}));
    EXPECT_EQ(live->position().value, 9U);
    ASSERT_TRUE(store->sync());
    EXPECT_EQ(take_all(*live), (std::vector<std::uint64_t>{12}));
}

TEST(Following, WhatCannotBeAskedIsRefusedAtOnce) {
    os::SimEnv world(1);
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store);
    EXPECT_EQ(store->follow(Selector::type("")).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(store->follow(Source::stream("")).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(store->follow(Selector::all(), {.after = Position{1}}).error().code,
              ErrorCode::stale);
}

}  // namespace
}  // namespace varve::test
