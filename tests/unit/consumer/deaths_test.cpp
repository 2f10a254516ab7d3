// Goal: how often an event was tried outlives the process; one that ends the process that handles
// it is found, tried as often as any other that fails, and parked; no other event is blamed.
// Method: processes die in the simulated machine while they handle events, and the next one opens
// what they left.
#include <gtest/gtest.h>

#include <set>

#include "consumer/marks.hpp"
#include "support/consuming.hpp"
#include "varve/group.hpp"

namespace varve::test {
namespace {

ConsumerOptions patient(std::uint32_t retries) {
    ConsumerOptions options;
    options.retries = retries;
    options.retry_ms = 1;
    options.count_deaths = true;
    return options;
}

/// One process after the other, each in what the one before it has left.
class Deaths : public testing::Test {
protected:
    Deaths() {
        Store store = open_store(*world_);
        append_events(store, 1, 30);  // 3, 6, … 30 match
    }
    /// Lets `process` run and die where it returns: nothing is closed.
    template <class Process>
    void live_and_die(Process process, const ConsumerOptions& options) {
        std::unique_ptr<os::SimEnv> after;
        {
            const Store store = open_store(*world_);
            Consumer consumer = open_consumer(store, options);
            process(consumer);
            after = world_->kill(++seed_);
        }
        world_ = std::move(after);
    }
    void expect_parked(const Positions& positions, std::uint32_t attempts) {
        const Store store = open_store(*world_, Access::read_only);
        auto parked = Consumer::parked(store, "mail");
        ASSERT_TRUE(parked) << parked.error().message;
        Positions found;
        for (const ParkedEvent& one : *parked) {
            found.push_back(one.position.value);
            EXPECT_EQ(one.attempts, attempts);
            EXPECT_NE(one.reason.find("has died"), std::string::npos);
        }
        EXPECT_EQ(found, positions);
        EXPECT_TRUE(Consumer::verify(store, "mail")->good);
    }

    std::unique_ptr<os::SimEnv> world_ = std::make_unique<os::SimEnv>(1);
    std::uint64_t seed_ = 10;
};

/// Handles events until it meets the one that ends it. What it was given at once, each time.
std::vector<std::size_t> handle_until(Consumer& consumer, std::uint64_t deadly) {
    std::vector<std::size_t> batches;
    for (int n = 0; n < 100; ++n) {
        const Batch batch = take(consumer);
        if (batch.empty()) break;
        batches.push_back(batch.size());
        for (const EventView& event : batch) {
            if (event.position.value == deadly) return batches;
            EXPECT_TRUE(consumer.ack(event.position));
        }
    }
    return batches;
}

TEST_F(Deaths, AnEventThatEndsItsProcessIsParked) {
    using Sizes = std::vector<std::size_t>;
    const ConsumerOptions options = patient(2);
    // Nobody knows which of the ten it was: from now on they come one by one.
    live_and_die([](Consumer& one) { EXPECT_EQ(handle_until(one, 12), (Sizes{10})); }, options);
    // An acknowledgement stands for all before it in its batch: 3, 6 and 9 are done.
    for (int times = 0; times < 3; ++times) {
        expect_parked({}, 0);
        live_and_die([](Consumer& one) { EXPECT_EQ(handle_until(one, 12), (Sizes{1})); }, options);
    }
    live_and_die(
        [](Consumer& one) {
            EXPECT_EQ(positions_of(take(one)), (Positions{15}));
            EXPECT_TRUE(one.ack(Position{15}));
            EXPECT_EQ(one.checkpoint().parked, 1U);
            EXPECT_EQ(handle_until(one, 0), (Sizes{1, 1, 1, 1, 1}));
            EXPECT_TRUE(one.caught_up());
        },
        options);
    expect_parked({12}, 3);
    // Behind what the first one had in hand they come together again.
    {
        Store store = open_store(*world_);
        append_events(store, 31, 39);
    }
    live_and_die([](Consumer& one) { EXPECT_EQ(handle_until(one, 0), (Sizes{3})); }, options);
}

TEST_F(Deaths, TheLastEventIsParkedWhileNextWaits) {
    const ConsumerOptions options = patient(0);
    // All others were acknowledged: it is known which one it was.
    live_and_die([](Consumer& one) { EXPECT_EQ(handle_until(one, 30).size(), 1U); }, options);
    live_and_die(
        [](Consumer& one) {
            auto batch = one.next(10, 100);
            ASSERT_TRUE(batch) << batch.error().message;
            EXPECT_TRUE(batch->empty());
            EXPECT_TRUE(one.caught_up());
            EXPECT_EQ(one.checkpoint().position.value, 30U);
        },
        options);
    expect_parked({30}, 1);
}

TEST_F(Deaths, NobodyIsBlamedWhereSeveralAreInHand) {
    const ConsumerOptions options = patient(0);
    for (int times = 0; times < 5; ++times) {
        live_and_die(
            [](Consumer& one) {
                const Batch first = take(one);
                const Batch second = take(one);
                EXPECT_GE(one.in_flight(), 2U);
            },
            options);
    }
    live_and_die([](Consumer& one) { EXPECT_EQ(one.checkpoint().parked, 0U); }, options);
    expect_parked({}, 0);
}

TEST_F(Deaths, WhoClosesDoesNotDie) {
    const ConsumerOptions options = patient(0);
    const Store store = open_store(*world_);
    for (int times = 0; times < 5; ++times) {
        Consumer consumer = open_consumer(store, options);
        EXPECT_EQ(positions_of(take(consumer, 1)), (Positions{3}));
        if (times % 2 == 0) {
            EXPECT_TRUE(consumer.close());
        }
    }
    Consumer consumer = open_consumer(store, options);
    EXPECT_EQ(take(consumer).size(), 10U);
}

TEST_F(Deaths, NobodyCountsThemIfAskedNotTo) {
    ConsumerOptions options = patient(0);
    options.count_deaths = false;
    for (int times = 0; times < 5; ++times)
        live_and_die([](Consumer& one) { EXPECT_EQ(take(one, 1).size(), 1U); }, options);
    live_and_die([](Consumer& one) { EXPECT_EQ(take(one).size(), 10U); }, options);
    expect_parked({}, 0);
}

TEST_F(Deaths, FailuresAreRemembered) {
    const ConsumerOptions options = patient(3);
    const auto fail_once = [](Consumer& one) {
        EXPECT_EQ(positions_of(take(one, 1)), (Positions{3}));
        EXPECT_EQ(*one.fail(Position{3}, "why"), Failure::retried);
    };
    live_and_die(fail_once, options);
    live_and_die(fail_once, options);
    {
        const Store store = open_store(*world_);
        Consumer consumer = open_consumer(store, options);
        fail_once(consumer);  // and this one closes
    }
    live_and_die(
        [](Consumer& one) {
            EXPECT_EQ(positions_of(take(one, 1)), (Positions{3}));
            EXPECT_EQ(*one.fail(Position{3}, "why"), Failure::parked);
        },
        options);
    const Store store = open_store(*world_);
    auto parked = Consumer::parked(store, "mail");
    ASSERT_TRUE(parked);
    ASSERT_EQ(parked->size(), 1U);
    EXPECT_EQ(parked->front().attempts, 4U);
}

TEST_F(Deaths, ASeekForgetsThem) {
    const ConsumerOptions options = patient(0);
    for (int times = 0; times < 3; ++times)
        live_and_die(
            [](Consumer& one) {
                EXPECT_TRUE(one.seek(Position{0}));
                EXPECT_EQ(positions_of(take(one, 1)), (Positions{3}));
            },
            options);
    expect_parked({}, 0);
}

TEST_F(Deaths, DamagedWordsParkNothing) {
    live_and_die([](Consumer& one) { EXPECT_EQ(take(one, 2).size(), 2U); }, patient(0));
    {
        auto file = world_->open("store/consumers/mail", os::OpenMode::read_write, 0600);
        ASSERT_TRUE(file);
        const std::vector<std::byte> garbage(
            sizeof(consumer::SharedWords) - offsetof(consumer::SharedWords, given),
            std::byte{0xA5});
        const std::uint64_t at = consumer::kWordsOffset + offsetof(consumer::SharedWords, given);
        ASSERT_TRUE((*file)->write_at(at, garbage));
    }
    live_and_die([](Consumer& one) { EXPECT_EQ(handle_until(one, 0).size(), 10U); }, patient(0));
    expect_parked({}, 0);
}

TEST(Marks, AttemptsOfPassedEventsMakeRoom) {
    consumer::SharedWords words{};
    consumer::clear_marks(words, 7);
    for (std::uint64_t n = 1; n <= consumer::kAttempts + 5; ++n)
        consumer::mark_attempts(words, n * 10, static_cast<std::uint32_t>(n), 0);
    consumer::mark_attempts(words, 50, 99, 0);
    auto left = consumer::take_marks(words, 7, 0);
    EXPECT_EQ(left.attempts.size(), consumer::kAttempts);
    EXPECT_EQ(left.attempts.at(50), 99U);
    EXPECT_EQ(left.attempts.at(320), 32U);
    // What the checkpoint has passed says nothing, and makes room.
    for (std::uint64_t n = 40; n < 50; ++n) consumer::mark_attempts(words, n * 10, 2, 100);
    left = consumer::take_marks(words, 7, 100);
    EXPECT_EQ(left.attempts.size(), consumer::kAttempts);
    EXPECT_EQ(left.attempts.at(490), 2U);
    EXPECT_TRUE(consumer::take_marks(words, 7, 1'000).attempts.empty());
    // One of which a word was changed does not count; those of another generation do not either.
    words.attempts[3].attempts.fetch_add(1);
    words.attempts[4].position.fetch_add(1);
    EXPECT_EQ(consumer::take_marks(words, 7, 100).attempts.size(), consumer::kAttempts - 2);
    EXPECT_TRUE(consumer::take_marks(words, 8, 0).attempts.empty());
    EXPECT_TRUE(consumer::take_marks(words, 8, 0).attempts.empty());
}

/// A member that is given all it can get at once, one batch of each lane, and dies.
TEST(GroupDeaths, OfSeveralLanesOnlyOneIsInHandWhenItMatters) {
    auto world = std::make_unique<os::SimEnv>(5);
    {
        Store store = open_store(*world);
        for (int n = 0; n < 40; ++n) {
            const std::string stream = "s-" + std::to_string(n % 8);
            ASSERT_TRUE(store.append({{.stream = stream, .type = "A"}}));
        }
    }
    GroupOptions options;
    options.lanes = 4;
    options.consumer = patient(1);
    constexpr std::uint64_t kDeadly = 3;
    std::uint64_t deaths = 0;
    std::set<std::uint64_t> handled;
    for (bool died = true; died && deaths < 20;) {
        std::unique_ptr<os::SimEnv> after;
        {
            const Store store = open_store(*world);
            auto member = GroupMember::join(store, "group", Selector::type("A"), options);
            ASSERT_TRUE(member) << member.error().message;
            died = false;
            for (int n = 0; n < 1'000 && !died; ++n) {
                // Several batches at once, as threads would take them.
                std::vector<Batch> batches;
                for (int taken = 0; taken < 4; ++taken) {
                    auto batch = member->next(10, 0);
                    ASSERT_TRUE(batch) << batch.error().message;
                    if (!batch->empty()) batches.push_back(std::move(*batch));
                }
                if (batches.empty()) break;
                for (const Batch& batch : batches)
                    for (const EventView& event : batch) died |= event.position.value == kDeadly;
                if (died && deaths > 0) {
                    EXPECT_EQ(batches.size(), 1U) << "others beside it";
                }
                if (died) break;
                for (const Batch& batch : batches) {
                    for (const EventView& event : batch) handled.insert(event.position.value);
                    ASSERT_TRUE(member->ack(batch.last()));
                }
            }
            after = world->kill(++deaths);
        }
        world = std::move(after);
    }
    EXPECT_EQ(deaths, 4U) << "the first one, two that count, and the end";
    EXPECT_EQ(handled.size(), 39U);
    EXPECT_FALSE(handled.contains(kDeadly));
    const Store store = open_store(*world, Access::read_only);
    auto parked = Consumer::parked(store, "group");
    ASSERT_TRUE(parked);
    ASSERT_EQ(parked->size(), 1U);
    EXPECT_EQ(parked->front().position.value, kDeadly);
    EXPECT_EQ(parked->front().attempts, 2U);
    EXPECT_TRUE(Consumer::verify(store, "group")->good);
}

}  // namespace
}  // namespace varve::test
