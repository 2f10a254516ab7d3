// Goal: an event that fails is tried again after a time, then put aside durably; the checkpoint
// never passes one that is neither; what was put aside can be listed, replayed and dropped. Method:
// by hand in the simulated machine, whose clock moves with waiting; power cuts.
#include <gtest/gtest.h>

#include "support/consuming.hpp"

namespace varve::test {
namespace {

ConsumerOptions quick(std::uint32_t retries) {
    ConsumerOptions options;
    options.retries = retries;
    options.retry_ms = 100;
    return options;
}

/// Fails the event until it is parked; returns how often it was delivered.
int fail_until_parked(Consumer& consumer, std::uint64_t position) {
    for (int times = 1; times < 100; ++times) {
        auto failed = consumer.fail(Position{position}, "no such customer");
        EXPECT_TRUE(failed) << failed.error().message;
        if (!failed || *failed == Failure::parked) return times;
        auto again = consumer.next(10, 100'000);
        EXPECT_TRUE(again) << again.error().message;
        EXPECT_EQ(positions_of(*again), (Positions{position}));
    }
    return 0;
}

TEST(Failing, IsTriedAgainWithLongerAndLongerPauses) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store, quick(3));
    EXPECT_EQ(positions_of(take(consumer, 2)), (Positions{3, 6}));
    for (const std::uint64_t pause_ms : {100U, 200U, 400U}) {
        ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::retried);
        EXPECT_TRUE(take(consumer).empty()) << "nothing overtakes it";
        const std::uint64_t before_us = world.monotonic_us();
        auto again = consumer.next(10, 10'000);
        ASSERT_TRUE(again);
        EXPECT_EQ(positions_of(*again), (Positions{3}));
        EXPECT_EQ(again->events()[0].data, "3");
        const std::uint64_t waited_us = world.monotonic_us() - before_us;
        EXPECT_GE(waited_us + 1'000, pause_ms * 1000);
        EXPECT_LE(waited_us, pause_ms * 1000 + 10'000);
    }
    ASSERT_TRUE(consumer.ack(Position{6}));
    EXPECT_EQ(consumer.checkpoint().position.value, 2U) << "3 is neither acknowledged nor parked";
    ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::parked);
    EXPECT_EQ(consumer.checkpoint().position.value, 8U);
    EXPECT_EQ(consumer.checkpoint().acknowledged, 1U);
    EXPECT_EQ(consumer.checkpoint().parked, 1U);
    auto parked = Consumer::parked(store, "mail");
    ASSERT_TRUE(parked) << parked.error().message;
    ASSERT_EQ(parked->size(), 1U);
    EXPECT_EQ(parked->front().position.value, 3U);
    EXPECT_EQ(parked->front().attempts, 4U);
    EXPECT_EQ(parked->front().reason, "why");
    EXPECT_EQ(parked->front().status, ParkedEvent::Status::waiting);
    EXPECT_TRUE(Consumer::verify(store, "mail")->good);
    EXPECT_EQ(positions_of(take(consumer)), (Positions{9, 12}));
}

/// How often the simulated machine is asked to wait until `next` answers.
int waits_of_next(os::SimEnv& world, Consumer& consumer, Positions& came) {
    int waits = 0;
    world.on_wait([&](bool) {
        // Whoever only asks again and again must come to an end, too.
        if (++waits > 1'000) world.set_clock(world.monotonic_us() + 1'000'000);
    });
    auto batch = consumer.next(10, 1'000);
    world.on_wait({});
    EXPECT_TRUE(batch);
    if (batch) came = positions_of(*batch);
    return waits;
}

TEST(Failing, NobodyIsKeptBusyByARetryThatWaitsForAnother) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store, quick(3));
    EXPECT_EQ(positions_of(take(consumer, 2)), (Positions{3, 6}));
    ASSERT_EQ(*consumer.fail(Position{6}, "first"), Failure::retried);
    world.set_clock(world.monotonic_us() + 90'000);
    ASSERT_EQ(*consumer.fail(Position{3}, "later"), Failure::retried);
    Positions came;
    EXPECT_LT(waits_of_next(world, consumer, came), 10) << "6 is due before 3, and waits for it";
    EXPECT_EQ(came, (Positions{3}));
}

TEST(Failing, NobodyIsKeptBusyWhileAConsumerIsPaused) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store, quick(3));
    EXPECT_EQ(positions_of(take(consumer, 1)), (Positions{3}));
    ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::retried);
    ASSERT_TRUE(Consumer::pause(store, "mail", true));
    world.set_clock(world.monotonic_us() + 200'000);
    Positions came;
    EXPECT_LT(waits_of_next(world, consumer, came), 10);
    EXPECT_TRUE(came.empty());
}

TEST(Failing, ARetryThatSucceedsIsAcknowledged) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    Consumer consumer = open_consumer(store, quick(3));
    EXPECT_EQ(take(consumer).size(), 3U);
    ASSERT_EQ(*consumer.fail(Position{6}, "why"), Failure::retried);
    ASSERT_TRUE(consumer.ack(Position{9}));
    EXPECT_EQ(consumer.checkpoint().position.value, 5U);
    EXPECT_EQ(consumer.ack(Position{9}, "x").has_value(), true) << "known";
    EXPECT_EQ(positions_of(*consumer.next(1, 1'000)), (Positions{6}));
    ASSERT_TRUE(consumer.ack(Position{6}, "state"));
    EXPECT_EQ(consumer.checkpoint().position.value, 9U);
    EXPECT_EQ(consumer.checkpoint().acknowledged, 3U);
    EXPECT_TRUE(Consumer::parked(store, "mail")->empty());
}

TEST(Failing, ABatchWhoseLastEventFailedIsAcknowledgedAsAny) {
    for (const std::uint32_t retries : {0U, 3U}) {
        os::SimEnv world(1);
        Store store = open_store(world);
        append_events(store, 1, 9);
        Consumer consumer = open_consumer(store, quick(retries));
        const Batch batch = take(consumer);
        ASSERT_EQ(batch.size(), 3U);
        ASSERT_EQ(*consumer.fail(batch.last(), "why"),
                  retries == 0 ? Failure::parked : Failure::retried);
        ASSERT_TRUE(consumer.ack(batch.last(), "two"));
        EXPECT_EQ(consumer.checkpoint().position.value, retries == 0 ? 9U : 8U);
        EXPECT_EQ(consumer.checkpoint().acknowledged, 2U);
        EXPECT_EQ(consumer.state(), "two");
        EXPECT_EQ(consumer.in_flight(), retries == 0 ? 0U : 1U) << "it comes again";
    }
}

TEST(Failing, OthersMayOvertakeIfTheyAreAllowedTo) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    ConsumerOptions options = quick(3);
    options.keep_order = false;
    Consumer consumer = open_consumer(store, options);
    EXPECT_EQ(positions_of(take(consumer, 1)), (Positions{3}));
    ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::retried);
    EXPECT_EQ(positions_of(take(consumer, 2)), (Positions{6, 9}));
    ASSERT_TRUE(consumer.ack(Position{9}));
    EXPECT_EQ(consumer.checkpoint().position.value, 2U);
    EXPECT_EQ(positions_of(take(consumer, 2)), (Positions{12}));
    EXPECT_EQ(positions_of(*consumer.next(1, 1'000)), (Positions{3}));
    ASSERT_TRUE(consumer.ack(Position{3}));
    EXPECT_EQ(consumer.checkpoint().position.value, 11U);
}

TEST(Failing, ParkedEventsAreReplayedInOrderAndDropped) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 15);
    Consumer consumer = open_consumer(store, quick(0));
    EXPECT_EQ(take(consumer).size(), 5U);
    for (const std::uint64_t position : {3U, 9U, 12U}) {
        const std::string reason(position == 9 ? 2'000 : 7, 'r');
        ASSERT_EQ(*consumer.fail(Position{position}, reason), Failure::parked);
    }
    ASSERT_TRUE(consumer.ack(Position{15}));
    EXPECT_EQ(consumer.checkpoint().acknowledged, 2U);
    EXPECT_EQ(consumer.checkpoint().parked, 3U);
    EXPECT_EQ(Consumer::find(store, "mail")->waiting, 3U);
    EXPECT_EQ(Consumer::parked(store, "mail")->at(1).reason.size(), 1'024U);

    EXPECT_EQ(*consumer.replay(), 3U);
    EXPECT_EQ(positions_of(take(consumer)), (Positions{3}));
    EXPECT_TRUE(take(consumer).empty()) << "one after the other";
    ASSERT_TRUE(consumer.ack(Position{3}));
    EXPECT_EQ(positions_of(take(consumer)), (Positions{9}));
    ASSERT_EQ(*consumer.fail(Position{9}, "still"), Failure::parked);
    EXPECT_EQ(positions_of(take(consumer)), (Positions{12}));
    ASSERT_TRUE(consumer.close());

    EXPECT_EQ(Consumer::find(store, "mail")->waiting, 2U) << "12 was not acknowledged";
    const Position both[] = {Position{9}, Position{3}};
    EXPECT_EQ(Consumer::drop(store, "mail", both).error().code, ErrorCode::not_found);
    const Position nine[] = {Position{9}};
    ASSERT_TRUE(Consumer::drop(store, "mail", nine));
    auto parked = Consumer::parked(store, "mail");
    ASSERT_TRUE(parked);
    ASSERT_EQ(parked->size(), 3U);
    EXPECT_EQ((*parked)[0].status, ParkedEvent::Status::replayed);
    EXPECT_EQ((*parked)[1].status, ParkedEvent::Status::dropped);
    EXPECT_EQ((*parked)[1].attempts, 2U);
    EXPECT_EQ((*parked)[1].reason, "still");
    EXPECT_EQ((*parked)[2].status, ParkedEvent::Status::waiting);
    EXPECT_TRUE(Consumer::verify(store, "mail")->good);
    Consumer again = open_consumer(store, quick(0));
    EXPECT_EQ(Consumer::drop(store, "mail", nine).error().code, ErrorCode::locked);
    EXPECT_EQ(*again.replay(), 1U);
    EXPECT_EQ(positions_of(take(again)), (Positions{12}));
    ASSERT_TRUE(again.ack(Position{12}, "with a state"));
    EXPECT_EQ(again.state(), "with a state");
    EXPECT_EQ(*again.replay(), 0U);
}

TEST(Failing, WhatWasParkedAheadOfALostCheckpointComesAgain) {
    os::SimEnv world(1);
    std::unique_ptr<os::SimEnv> cut;
    {
        Store store = open_store(world);
        append_events(store, 1, 9);
        Consumer consumer = open_consumer(store, quick(0));
        EXPECT_EQ(take(consumer).size(), 3U);
        ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::parked);
        cut = world.power_cut(7, {os::SimCut::Style::nothing, 0});
    }
    Store store = open_store(*cut);
    Consumer consumer = open_consumer(store, quick(0));
    EXPECT_TRUE(Consumer::parked(store, "mail")->empty());
    EXPECT_EQ(take(consumer).size(), 3U);
    ASSERT_TRUE(consumer.ack(Position{3}));
    ASSERT_TRUE(consumer.sync());
    EXPECT_EQ(consumer.checkpoint().acknowledged, 1U);
    EXPECT_TRUE(Consumer::parked(store, "mail")->empty()) << "it was acknowledged, not parked";
    EXPECT_TRUE(Consumer::verify(store, "mail")->good);
}

TEST(Failing, WhileNothingCanBeParkedTheCheckpointStays) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 6);
    Consumer consumer = open_consumer(store, quick(0));
    EXPECT_EQ(take(consumer).size(), 2U);
    world.limit_space(1);
    EXPECT_EQ(consumer.fail(Position{3}, "why").error().code, ErrorCode::no_space);
    ASSERT_TRUE(consumer.ack(Position{6}));
    EXPECT_EQ(consumer.checkpoint().position.value, 2U);
    world.limit_space(~0ULL);
    EXPECT_EQ(positions_of(*consumer.next(1, 1'000)), (Positions{3})) << "it is tried again";
    ASSERT_EQ(*consumer.fail(Position{3}, "why"), Failure::parked);
    EXPECT_EQ(consumer.checkpoint().position.value, 6U);
}

/// Parks the event at position 3, unless it is.
void park_third(const Store& store) {
    Consumer consumer = open_consumer(store, quick(0));
    EXPECT_TRUE(consumer.sync());
    if (consumer.checkpoint().parked == 0) {
        EXPECT_EQ(positions_of(take(consumer)), (Positions{3}));
        EXPECT_EQ(*consumer.fail(Position{3}, "why"), Failure::parked);
    }
    EXPECT_TRUE(consumer.sync());
}

TEST(Failing, WhatIsParkedInAFileThatADeadProcessHasMadeSurvivesAPowerCut) {
    std::uint64_t steps = 0;
    for (bool died = true; died; ++steps) {
        os::SimEnv world(3);
        std::unique_ptr<os::SimEnv> left;
        {
            Store store = open_store(world);
            append_events(store, 1, 3);
            std::uint64_t countdown = steps + 1;
            world.on_step([&] {
                if (countdown > 0 && --countdown == 0) left = world.kill(4);
            });
            park_third(store);
            world.on_step({});
        }
        died = left != nullptr;
        if (!died) break;
        std::unique_ptr<os::SimEnv> after;
        {
            const Store store = open_store(*left);
            park_third(store);
            after = left->power_cut(5, {os::SimCut::Style::nothing, 0});
        }
        const Store store = open_store(*after, Access::read_only);
        auto parked = Consumer::parked(store, "mail");
        ASSERT_TRUE(parked) << steps << ": " << parked.error().message;
        EXPECT_EQ(parked->size(), 1U) << steps;
    }
    EXPECT_GT(steps, 10U);
}

TEST(Failing, LostEntriesAreNoticed) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    {
        Consumer consumer = open_consumer(store, quick(0));
        EXPECT_EQ(take(consumer).size(), 3U);
        fail_until_parked(consumer, 3);
        fail_until_parked(consumer, 6);
    }
    std::string parked;
    const auto names = world.list("store/consumers");
    ASSERT_TRUE(names);
    for (const std::string& name : *names) {
        if (name.starts_with("parked~")) parked = name;
    }
    auto file = world.open("store/consumers/" + parked, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    std::array<std::byte, 1> byte{};
    ASSERT_TRUE((*file)->read_at(64 + 20, byte));
    byte[0] ^= std::byte{1};
    ASSERT_TRUE((*file)->write_at(64 + 20, byte));
    EXPECT_EQ(Consumer::parked(store, "mail").error().code, ErrorCode::corrupt);
    EXPECT_EQ(Consumer::verify(store, "mail").error().code, ErrorCode::corrupt);
    EXPECT_EQ(Consumer::find(store, "mail")->health, ConsumerInfo::Health::damaged);
    Consumer consumer = open_consumer(store, quick(0));
    EXPECT_EQ(positions_of(take(consumer)), (Positions{9})) << "delivering goes on";
    EXPECT_EQ(consumer.fail(Position{9}, "why").error().code, ErrorCode::corrupt);
    EXPECT_EQ(consumer.replay().error().code, ErrorCode::corrupt);
    ASSERT_TRUE(consumer.seek(Position{0}));
    EXPECT_TRUE(Consumer::parked(store, "mail")->empty()) << "another count, other entries";
}

}  // namespace
}  // namespace varve::test
