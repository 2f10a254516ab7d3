// Goal: a consumer gets every matching event in order until it is acknowledged; its checkpoint
// moves over complete acknowledgements and over what does not match; one process has it. Method:
// stores and consumers in the simulated machine, by hand.
#include "varve/consumer.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "support/consuming.hpp"
#include "support/mortal_env.hpp"
#include "support/passing_env.hpp"

namespace varve::test {
namespace {

TEST(Consumer, GoesOnBehindWhatItAcknowledged) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 20);
    {
        Consumer consumer = open_consumer(store);
        const Batch batch = take(consumer, 4);
        EXPECT_EQ(positions_of(batch), (Positions{3, 6, 9, 12}));
        EXPECT_EQ(batch.events()[1].data, "6");
        ASSERT_TRUE(consumer.ack(Position{6}, "two"));
        EXPECT_EQ(consumer.checkpoint().position.value, 8U);
        EXPECT_EQ(consumer.checkpoint().acknowledged, 2U);
        EXPECT_EQ(consumer.in_flight(), 2U);
        EXPECT_FALSE(consumer.caught_up());
    }
    Consumer again = open_consumer(store);
    EXPECT_EQ(again.state(), "two");
    EXPECT_EQ(again.checkpoint().acknowledged, 2U);
    const Batch batch = take(again);
    EXPECT_EQ(positions_of(batch), (Positions{9, 12, 15, 18}));
    ASSERT_TRUE(again.ack(batch.last()));
    EXPECT_EQ(again.state(), "two");
    EXPECT_TRUE(take(again).empty());
    EXPECT_TRUE(again.caught_up());
    EXPECT_EQ(again.checkpoint().position.value, 20U);
    EXPECT_EQ(again.checkpoint().acknowledged, 6U);
}

TEST(Consumer, ItsCheckpointMovesOverWhatDoesNotMatch) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 2);
    Consumer consumer = open_consumer(store);
    EXPECT_TRUE(take(consumer).empty());
    EXPECT_EQ(consumer.checkpoint().position.value, 2U);
    EXPECT_TRUE(*Consumer::wait(store, "mail", Position{2}, 0));
    EXPECT_FALSE(*Consumer::wait(store, "mail", Position{3}, 1));
    append_events(store, 3, 5);
    const Batch batch = take(consumer);
    EXPECT_EQ(positions_of(batch), (Positions{3}));
    EXPECT_TRUE(take(consumer).empty());
    EXPECT_EQ(consumer.checkpoint().position.value, 2U) << "3 is not acknowledged";
    ASSERT_TRUE(consumer.ack(Position{3}));
    EXPECT_EQ(consumer.checkpoint().position.value, 5U);
    EXPECT_TRUE(*Consumer::wait(store, "mail", Position{5}, 0));
}

TEST(Consumer, SeveralBatchesInFlightAreAcknowledgedInAnyOrder) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 30);
    Consumer consumer = open_consumer(store);
    const Batch first = take(consumer, 2);
    const Batch second = take(consumer, 2);
    const Batch third = take(consumer, 2);
    EXPECT_EQ(positions_of(first), (Positions{3, 6}));
    EXPECT_EQ(positions_of(third), (Positions{15, 18}));
    ASSERT_TRUE(consumer.ack(third.last()));
    ASSERT_TRUE(consumer.ack(second.last()));
    EXPECT_EQ(consumer.checkpoint().position.value, 2U);
    EXPECT_EQ(consumer.checkpoint().acknowledged, 0U);
    auto early = consumer.ack(second.last(), "state");
    EXPECT_TRUE(early) << "acknowledged before: nothing changes";
    EXPECT_EQ(consumer.state(), "");
    ASSERT_TRUE(consumer.ack(first.last()));
    EXPECT_EQ(consumer.checkpoint().position.value, 20U);
    EXPECT_EQ(consumer.checkpoint().acknowledged, 6U);
}

TEST(Consumer, WhatCannotBeAcknowledgedIsRefused) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 30);
    Consumer consumer = open_consumer(store);
    const Batch first = take(consumer, 2);
    const Batch second = take(consumer, 2);
    for (const std::uint64_t never : {0U, 1U, 7U, 13U, 15U, 99U}) {
        auto refused = consumer.ack(Position{never});
        ASSERT_FALSE(refused) << never;
        EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    }
    auto out_of_order = consumer.ack(second.last(), "state");
    ASSERT_FALSE(out_of_order);
    EXPECT_EQ(out_of_order.error().code, ErrorCode::invalid_argument);
    const std::string large(Consumer::kMaxState + 1, 'x');
    EXPECT_EQ(consumer.ack(first.last(), large).error().code, ErrorCode::too_large);
    EXPECT_EQ(consumer.in_flight(), 4U);
    EXPECT_EQ(consumer.checkpoint().acknowledged, 0U);
    ASSERT_TRUE(consumer.ack(first.last(), "state"));
    EXPECT_EQ(consumer.fail(first.last(), "late").error().code, ErrorCode::invalid_argument);
}

TEST(Consumer, NamesThatAreNoFileNamesAreRefused) {
    os::SimEnv world(1);
    Store store = open_store(world);
    const std::string names[] = {"",
                                 ".",
                                 "..",
                                 "a/b",
                                 "-a",
                                 "a b",
                                 "a~b",
                                 "\xC3\xA4",
                                 std::string(101, 'a'),
                                 std::string("a\0b", 3)};
    for (const std::string& name : names) {
        auto refused = Consumer::open(store, name, Selector::all());
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << name;
        EXPECT_EQ(Consumer::find(store, name).error().code, ErrorCode::invalid_argument);
        EXPECT_EQ(Consumer::verify(store, name).error().code, ErrorCode::invalid_argument);
        EXPECT_EQ(Consumer::drop(store, name, {}).error().code, ErrorCode::invalid_argument);
    }
    EXPECT_TRUE(Consumer::open(store, std::string(100, 'a'), Selector::all()));
    EXPECT_TRUE(Consumer::open(store, "a.b-c_D9", Selector::all()));
    EXPECT_EQ(Consumer::list(store)->size(), 2U);
}

TEST(Consumer, WhatItFollowsBelongsToIt) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 6);
    EXPECT_EQ(Consumer::open(store, "mail").error().code, ErrorCode::not_found);
    ConsumerOptions never;
    never.create = Create::never;
    EXPECT_EQ(Consumer::open(store, "mail", Selector::all(), never).error().code,
              ErrorCode::not_found);
    EXPECT_EQ(Consumer::open(store, "mail", Selector::type("")).error().code,
              ErrorCode::invalid_argument);
    { Consumer made = open_consumer(store); }
    auto other = Consumer::open(store, "mail", Selector::type("B"));
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(other.error().message.find("type \"A\""), std::string::npos);
    ConsumerOptions must;
    must.create = Create::must;
    EXPECT_EQ(Consumer::open(store, "mail", Selector::type("A"), must).error().code,
              ErrorCode::invalid_argument);
    auto known = Consumer::open(store, "mail");
    ASSERT_TRUE(known) << known.error().message;
    EXPECT_EQ(positions_of(take(*known)), (Positions{3, 6}));
}

TEST(Consumer, ANewOneCanBeginLater) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    ConsumerOptions options;
    options.after = Position{6};
    Consumer consumer = open_consumer(store, options);
    EXPECT_EQ(positions_of(take(consumer)), (Positions{9, 12}));
    EXPECT_EQ(consumer.checkpoint().counted_after.value, 6U);
    options.after = Position{13};
    auto beyond = Consumer::open(store, "late", Selector::all(), options);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::stale);
    EXPECT_NE(beyond.error().message.find("13"), std::string::npos);
    EXPECT_NE(beyond.error().message.find("12"), std::string::npos);
}

TEST(Consumer, OneProcessHasIt) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    Store reader = open_store(world, Access::read_only);
    auto first = std::make_unique<Consumer>(open_consumer(reader));
    const Batch batch = take(*first);
    ASSERT_TRUE(first->ack(Position{3}));
    auto second = Consumer::open(store, "mail", Selector::type("A"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::locked);
    EXPECT_NE(second.error().message.find("a simulated process"), std::string::npos);
    EXPECT_EQ(Consumer::reset(store, "mail").error().code, ErrorCode::locked);
    auto info = Consumer::find(store, "mail");
    ASSERT_TRUE(info);
    EXPECT_TRUE(info->active);
    EXPECT_EQ(info->holder, "a simulated process");
    EXPECT_EQ(info->behind, 2U);
    first.reset();
    EXPECT_FALSE(Consumer::find(store, "mail")->active);
    Consumer taken = open_consumer(store);
    EXPECT_EQ(positions_of(take(taken)), (Positions{6, 9}));
    // A process that dies leaves it too, whatever it had written.
    ASSERT_TRUE(taken.ack(Position{6}, "six"));
    const auto after = world.kill(2);
    Store survivor = open_store(*after);
    Consumer over = open_consumer(survivor);
    EXPECT_EQ(positions_of(take(over)), (Positions{9}));
    EXPECT_EQ(over.state(), "six");
}

TEST(Consumer, SaysClosed) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    Consumer consumer = open_consumer(store);
    ASSERT_TRUE(consumer.close());
    EXPECT_TRUE(consumer.close());
    EXPECT_EQ(consumer.next(1, 0).error().code, ErrorCode::closed);
    EXPECT_EQ(consumer.ack(Position{3}).error().code, ErrorCode::closed);
    Consumer other = open_consumer(store);
    const Batch batch = take(other);
    ASSERT_TRUE(store.close());
    EXPECT_EQ(other.next(1, 0).error().code, ErrorCode::closed);
    EXPECT_EQ(other.ack(batch.last()).error().code, ErrorCode::closed);
    EXPECT_EQ(Consumer::list(store).error().code, ErrorCode::closed);
    EXPECT_EQ(batch.events()[0].data, "3") << "a batch lives on";
}

TEST(Consumer, TooManyInFlightIsAnError) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 30);
    ConsumerOptions options;
    options.in_flight_max = 5;
    Consumer consumer = open_consumer(store, options);
    EXPECT_EQ(take(consumer, 3).size(), 3U);
    EXPECT_EQ(take(consumer, 3).size(), 2U);
    auto busy = consumer.next(3, 0);
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, ErrorCode::busy);
    EXPECT_TRUE(busy.error().retry);
    ASSERT_TRUE(consumer.ack(Position{3}));
    EXPECT_EQ(positions_of(take(consumer)), (Positions{18}));
}

TEST(Consumer, DeliversOnlyWhatIsDurableIfAsked) {
    os::SimEnv world(1);
    Store store = open_store(world, Access::read_write, Durability::os);
    append_events(store, 1, 6);
    ConsumerOptions options;
    options.durable_only = true;
    Consumer safe = open_consumer(store, options);
    EXPECT_TRUE(take(safe).empty());
    Consumer fast = open_consumer(store, {}, Selector::type("A"), "fast");
    EXPECT_EQ(positions_of(take(fast)), (Positions{3, 6}));
    ASSERT_TRUE(fast.ack(Position{6}, "six"));
    EXPECT_EQ(fast.checkpoint().position.value, 0U) << "not beyond what is durable";
    EXPECT_EQ(fast.state(), "six");
    ASSERT_TRUE(store.sync());
    append_events(store, 7, 9);
    EXPECT_EQ(positions_of(take(fast)), (Positions{9}));
    EXPECT_EQ(fast.checkpoint().position.value, 6U);
    EXPECT_EQ(fast.checkpoint().acknowledged, 2U);
    ASSERT_TRUE(fast.ack(Position{9}, "nine"));
    EXPECT_EQ(fast.checkpoint().position.value, 6U);
    EXPECT_EQ(positions_of(take(safe)), (Positions{3, 6}));
    ASSERT_TRUE(fast.sync()) << "of the store as well";
    EXPECT_EQ(store.snapshot()->durable().value, 9U);
    EXPECT_EQ(fast.checkpoint().position.value, 9U);
    EXPECT_EQ(fast.checkpoint().acknowledged, 3U);
}

TEST(Consumer, ACheckpointThatWaitsForTheDiskIsNotOvertakenForEver) {
    os::SimEnv world(1);
    Store store = open_store(world, Access::read_write, Durability::os);
    Consumer fast = open_consumer(store);
    for (std::uint64_t n = 1; n <= 10; ++n) {
        append_events(store, 3 * n - 2, 3 * n);
        ASSERT_TRUE(fast.ack(take(fast).last(), std::to_string(n)));
        // What is durable is always one event behind what was acknowledged last.
        ASSERT_TRUE(store.sync());
        const std::uint64_t stored = fast.checkpoint().position.value;
        EXPECT_GE(stored + 6, 3 * n) << n;
        EXPECT_LE(stored, 3 * n - 2) << n;
    }
}

/// Does something once, when the clock is asked for the `at`-th time.
class MeddlingEnv : public PassingEnv {
public:
    using PassingEnv::PassingEnv;
    std::uint64_t monotonic_us() noexcept override {
        if (at != 0 && --at == 0) meddle();
        return PassingEnv::monotonic_us();
    }
    std::uint64_t at = 0;
    std::function<void()> meddle;
};

TEST(Consumer, NeverSleepsOverTheMomentAtWhichItsCheckpointMayBeStored) {
    for (std::uint64_t at = 1; at < 100; ++at) {
        os::SimEnv world(1);
        Store writer = open_store(world, Access::read_write, Durability::os);
        append_events(writer, 1, 3);
        MeddlingEnv env(world);
        OpenOptions options = options_for(world, Access::read_only);
        options.env = &env;
        auto store = Store::open("store", options);
        ASSERT_TRUE(store) << store.error().message;
        Consumer consumer = open_consumer(*store);
        ASSERT_TRUE(consumer.ack(take(consumer).last()));
        ASSERT_EQ(consumer.checkpoint().position.value, 0U) << "nothing is durable";
        env.meddle = [&] { ASSERT_TRUE(writer.sync()); };
        env.at = at;
        bool slept_over = false;
        world.on_wait([&](bool asleep) {
            if (asleep && env.at == 0 && consumer.checkpoint().position.value < 3)
                slept_over = true;
        });
        auto batch = consumer.next(1, 900);
        world.on_wait({});
        ASSERT_TRUE(batch) << batch.error().message;
        if (env.at != 0) {
            EXPECT_GT(at, 3U);
            return;  // it asks the clock less often than that
        }
        EXPECT_FALSE(slept_over) << at;
    }
    FAIL() << "it never came to an end";
}

TEST(Consumer, CanBePausedFromOutside) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    Consumer consumer = open_consumer(store);
    EXPECT_EQ(positions_of(take(consumer, 1)), (Positions{3}));
    ASSERT_TRUE(Consumer::pause(store, "mail", true));
    EXPECT_TRUE(take(consumer).empty());
    EXPECT_TRUE(Consumer::find(store, "mail")->paused);
    ASSERT_TRUE(consumer.ack(Position{3}));
    ASSERT_TRUE(consumer.close());
    const auto later = world.power_cut(5, {os::SimCut::Style::nothing, 0});
    Store again = open_store(*later);
    Consumer paused = open_consumer(again);
    EXPECT_TRUE(take(paused).empty()) << "also after a power cut";
    ASSERT_TRUE(Consumer::pause(again, "mail", false));
    EXPECT_EQ(positions_of(take(paused)), (Positions{6, 9}));
    EXPECT_EQ(Consumer::pause(again, "other", true).error().code, ErrorCode::not_found);
}

TEST(Consumer, SeekAndResetCountAnew) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store);
    ASSERT_TRUE(consumer.ack(take(consumer, 3).last(), "three"));
    static_cast<void>(take(consumer));
    ASSERT_TRUE(consumer.seek(Position{3}, "again"));
    EXPECT_EQ(consumer.in_flight(), 0U);
    EXPECT_EQ(consumer.state(), "again");
    EXPECT_EQ(consumer.seek(Position{13}).error().code, ErrorCode::stale);
    const Batch batch = take(consumer);
    EXPECT_EQ(positions_of(batch), (Positions{6, 9, 12}));
    ASSERT_TRUE(consumer.ack(Position{9}));
    EXPECT_EQ(consumer.checkpoint().acknowledged, 2U);
    EXPECT_EQ(consumer.checkpoint().counted_after.value, 3U);
    EXPECT_TRUE(Consumer::verify(store, "mail")->good);
    ASSERT_TRUE(consumer.close());
    ResetOptions to;
    to.position = Position{9};
    to.state = "reset";
    ASSERT_TRUE(Consumer::reset(store, "mail", to));
    to.position = Position{13};
    EXPECT_EQ(Consumer::reset(store, "mail", to).error().code, ErrorCode::stale);
    EXPECT_EQ(Consumer::reset(store, "other").error().code, ErrorCode::not_found);
    Consumer again = open_consumer(store);
    EXPECT_EQ(again.state(), "reset");
    EXPECT_EQ(positions_of(take(again)), (Positions{12}));
}

TEST(Consumer, StatesOfAllSizesAreKept) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 60);
    Consumer consumer = open_consumer(store);
    std::string last;
    for (const std::size_t bytes : {0U, 1U, 3072U, 3073U, 8192U, 8193U, 100U, 70'000U, 20'000U,
                                    1U << 20U, 5'000U, 1U << 20U}) {
        last = std::string(bytes, static_cast<char>('a' + bytes % 26));
        ASSERT_TRUE(consumer.ack(take(consumer, 1).last(), last)) << bytes;
        const auto killed = world.kill(3);
        Store store_then = open_store(*killed);
        EXPECT_EQ(open_consumer(store_then).state(), last) << bytes;
    }
    ASSERT_TRUE(consumer.close());
    EXPECT_EQ(open_consumer(store).state(), last);
    EXPECT_EQ(Consumer::find(store, "mail")->state_bytes, last.size());
}

TEST(Consumer, ABackupTakesItAlong) {
    os::SimEnv world(1);
    {
        Store store = open_store(world);
        append_events(store, 1, 12);
        Consumer consumer = open_consumer(store);
        ASSERT_TRUE(consumer.ack(take(consumer, 2).last(), "two"));
        ASSERT_TRUE(store.backup("backup"));
        ASSERT_TRUE(consumer.ack(take(consumer).last(), "all"));
    }
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    auto store = Store::open("restored", options_for(world));
    ASSERT_TRUE(store);
    Consumer consumer = open_consumer(*store);
    EXPECT_EQ(consumer.state(), "two");
    EXPECT_EQ(positions_of(take(consumer)), (Positions{9, 12}));
    EXPECT_TRUE(Consumer::verify(*store, "mail")->good);
}

TEST(Consumer, ErasedEventsAreDeliveredAndCounted) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 9);
    Consumer consumer = open_consumer(store);
    const Position erased[] = {Position{6}};
    ASSERT_TRUE(store.erase(erased));
    const Batch batch = take(consumer);
    EXPECT_EQ(positions_of(batch), (Positions{3, 6, 9}));
    EXPECT_TRUE(batch.events()[1].erased);
    ASSERT_TRUE(consumer.ack(batch.last()));
    EXPECT_TRUE(Consumer::verify(store, "mail")->good);
}

TEST(Consumer, ANewVersionTakesThePlaceOfTheOldOne) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    {
        Consumer old = open_consumer(store);
        ASSERT_TRUE(old.ack(take(old, 3).last(), "old"));
        ConsumerOptions options;
        options.retries = 0;
        Consumer fresh = open_consumer(store, options, Selector::all(), "mail-v2");
        EXPECT_EQ(take(fresh, 6).size(), 6U);
        ASSERT_EQ(*fresh.fail(Position{2}, "why"), Failure::parked);
        ASSERT_TRUE(fresh.ack(Position{6}));
        EXPECT_EQ(Consumer::replace(store, "mail", "mail-v2").error().code, ErrorCode::locked);
        ASSERT_TRUE(old.close());
        ASSERT_TRUE(fresh.close());
        auto behind = Consumer::replace(store, "mail", "mail-v2");
        ASSERT_FALSE(behind);
        EXPECT_EQ(behind.error().code, ErrorCode::busy);
        EXPECT_NE(behind.error().message.find("position 11"), std::string::npos);
    }
    {
        Consumer fresh = open_consumer(store, {}, Selector::all(), "mail-v2");
        ASSERT_TRUE(fresh.ack(take(fresh).last(), "new"));
    }
    EXPECT_EQ(Consumer::replace(store, "mail", "mail").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(Consumer::replace(store, "mail", "none").error().code, ErrorCode::not_found);
    // Wherever it is cut off: one of the two has the name, whole.
    std::uint64_t images = 0;
    world.on_step([&] {
        const std::uint64_t seed = ++images;
        for (const auto& left : {world.kill(seed), world.power_cut(seed, {})}) {
            Store then = open_store(*left);
            auto mail = Consumer::open(then, "mail");
            ASSERT_TRUE(mail) << mail.error().message;
            EXPECT_TRUE(mail->state() == "old" || mail->state() == "new");
            EXPECT_TRUE(Consumer::verify(then, "mail")->good);
            EXPECT_EQ(Consumer::parked(then, "mail")->size(), mail->state() == "new" ? 1U : 0U);
        }
    });
    ASSERT_TRUE(Consumer::replace(store, "mail", "mail-v2"));
    world.on_step({});
    EXPECT_GT(images, 6U);
    Consumer mail = open_consumer(store, {}, Selector::all());
    EXPECT_EQ(mail.state(), "new");
    EXPECT_EQ(mail.checkpoint().parked, 1U);
    EXPECT_EQ(Consumer::parked(store, "mail")->front().position.value, 2U);
    EXPECT_EQ(Consumer::list(store)->size(), 1U);
    EXPECT_TRUE(*world.exists("store/consumers/mail~replaced-1"));
    ASSERT_TRUE(mail.close());
    ASSERT_TRUE(Consumer::replace(store, "other", "mail")) << "a name that nobody has";
    EXPECT_EQ(Consumer::list(store)->front().name, "other");
}

TEST(Consumer, SurvivesItsMaker) {
    std::uint64_t steps = 1;
    for (bool died = true; died; ++steps) {
        ASSERT_LT(steps, 200U);
        os::SimEnv world(steps);
        Store store = open_store(world);
        append_events(store, 1, 12);
        {
            MortalEnv mortal(world);
            OpenOptions options = options_for(world, Access::read_only);
            options.env = &mortal;
            auto reader = Store::open("store", options);
            ASSERT_TRUE(reader);
            std::uint64_t left = steps;
            world.on_step([&] {
                if (left > 0 && --left == 0) mortal.die();
            });
            const auto made = Consumer::open(*reader, "mail", Selector::type("A"));
            died = mortal.is_dead();
            world.on_step({});
        }
        {
            Consumer consumer = open_consumer(store);
            ASSERT_TRUE(consumer.ack(take(consumer, 2).last(), "two"));
            ASSERT_TRUE(consumer.close());
        }
        const auto left = world.power_cut(steps, {os::SimCut::Style::nothing, 0});
        Store then = open_store(*left);
        Consumer consumer = open_consumer(then);
        EXPECT_EQ(consumer.state(), "two") << steps;
    }
    EXPECT_GT(steps, 10U);
}

TEST(Consumer, ListTellsOfAll) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    EXPECT_TRUE(Consumer::list(store)->empty());
    Consumer one = open_consumer(store, {}, Selector::all(), "one");
    Consumer two = open_consumer(store, {}, Selector::type("A"), "two");
    ASSERT_TRUE(one.ack(take(one, 5).last()));
    auto listed = Consumer::list(store);
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->size(), 2U);
    EXPECT_EQ((*listed)[0].name, "one");
    EXPECT_EQ((*listed)[0].behind, 7U);
    EXPECT_EQ((*listed)[0].checkpoint.position.value, 5U);
    EXPECT_EQ((*listed)[1].behind, 4U);
    EXPECT_EQ((*listed)[1].selector, "type \"A\"");
    EXPECT_EQ((*listed)[1].health, ConsumerInfo::Health::good);
}

}  // namespace
}  // namespace varve::test
