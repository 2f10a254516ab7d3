// Goal: a damaged checkpoint is reported, kept aside and never begun anew unasked; one that belongs
// to another history names both positions; a failed sync is final. Method: bytes of files changed
// in the simulated machine; power cuts; calls that fail.
#include <gtest/gtest.h>

#include "consumer/checkpoint_file.hpp"
#include "support/consuming.hpp"

namespace varve::test {
namespace {

const std::string kPath = "store/consumers/mail";

void overwrite(os::SimEnv& world, const std::string& path, std::uint64_t offset,
               std::string_view text) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(offset, base::as_bytes(text)));
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(file ? *(*file)->size() : 0);
    if (file) {
        EXPECT_TRUE((*file)->read_at(0, bytes));
    }
    return bytes;
}

/// A store with 12 events and a consumer that has acknowledged two of the four A.
void make(os::SimEnv& world) {
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store);
    ASSERT_TRUE(consumer.ack(take(consumer, 1).last(), "one"));
    ASSERT_TRUE(consumer.sync());
    ASSERT_TRUE(consumer.ack(take(consumer, 1).last(), "two"));
}

TEST(ConsumerDamage, OneSlotIsEnough) {
    os::SimEnv world(1);
    make(world);
    for (const std::size_t slot : {0U, 1U}) {
        const auto copy = world.kill(9);
        overwrite(*copy, kPath, consumer::slot_offset(slot) + 20, "damage");
        Store store = open_store(*copy);
        Consumer consumer = open_consumer(store);
        const bool newest_left = consumer.state() == "two";
        EXPECT_TRUE(newest_left || consumer.state() == "one") << consumer.state();
        EXPECT_EQ(consumer.checkpoint().acknowledged, newest_left ? 2U : 1U);
        EXPECT_EQ(take(consumer).size(), newest_left ? 2U : 3U);
    }
}

TEST(ConsumerDamage, EveryBitCountsAndNothingIsBegunAnewUnasked) {
    os::SimEnv world(1);
    make(world);
    // With the other slot gone, any flipped bit of this one, of the header or of what it follows
    // makes the consumer unreadable.
    auto whole = bytes_of(world, kPath);
    const auto saved = whole;
    auto file = world.open(kPath, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    Store store = open_store(world);
    auto content =
        consumer::read_file(**file, kPath, base::load<consumer::FileHeader>(saved.data()).uuid);
    ASSERT_TRUE(content && !content->error);
    const auto other = static_cast<std::size_t>(1 - content->newest);
    const auto newest = static_cast<std::size_t>(content->newest);
    std::fill_n(whole.begin() + static_cast<std::ptrdiff_t>(consumer::slot_offset(other)),
                consumer::kPage, std::byte{0});
    const std::pair<std::uint64_t, std::uint64_t> ranges[] = {
        {0, consumer::kHeaderSize},
        {consumer::slot_offset(newest), consumer::slot_offset(newest) + 1024 + 3},
        {consumer::kSelectorOffset, consumer::kSelectorOffset + 2},
    };
    std::uint64_t tried = 0;
    for (const auto& [begin, end] : ranges) {
        for (std::uint64_t bit = 8 * begin; bit < 8 * end; bit += 3) {
            auto bytes = whole;
            bytes[bit / 8] ^= std::byte{1} << bit % 8;
            ASSERT_TRUE((*file)->write_at(0, bytes));
            auto refused = Consumer::open(store, "mail", Selector::type("A"));
            ASSERT_FALSE(refused) << bit;
            const ErrorCode code = refused.error().code;
            EXPECT_TRUE(code == ErrorCode::corrupt ||
                        (code == ErrorCode::unsupported_version && bit / 8 >= 8 && bit / 8 < 12))
                << bit << ' ' << refused.error().message;
            ++tried;
        }
    }
    EXPECT_GT(tried, 4000U);
    ASSERT_TRUE((*file)->write_at(0, whole));
    EXPECT_TRUE(Consumer::open(store, "mail", Selector::type("A")));
}

TEST(ConsumerDamage, TheFileIsKeptAsideWhenTheUserSaysReset) {
    os::SimEnv world(1);
    make(world);
    overwrite(world, kPath, consumer::slot_offset(0) + 20, "damage");
    overwrite(world, kPath, consumer::slot_offset(1) + 20, "damage");
    const auto damaged = bytes_of(world, kPath);
    Store store = open_store(world);
    auto refused = Consumer::open(store, "mail", Selector::type("A"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
    EXPECT_NE(refused.error().message.find("reset mail"), std::string::npos);
    EXPECT_EQ(refused.error().file, kPath);
    EXPECT_EQ(bytes_of(world, kPath), damaged) << "looking changes nothing";
    auto info = Consumer::find(store, "mail");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->health, ConsumerInfo::Health::damaged);
    EXPECT_EQ(info->selector, "type \"A\"");
    EXPECT_EQ(Consumer::verify(store, "mail").error().code, ErrorCode::corrupt);
    EXPECT_EQ(Consumer::wait(store, "mail", Position{1}, 0).error().code, ErrorCode::corrupt);
    ResetOptions to;
    to.position = Position{6};
    ASSERT_TRUE(Consumer::reset(store, "mail", to));
    EXPECT_EQ(bytes_of(world, kPath + "~damaged-1"), damaged);
    Consumer again = open_consumer(store);
    EXPECT_EQ(positions_of(take(again)), (Positions{9, 12}));
    EXPECT_EQ(Consumer::list(store)->size(), 1U);
}

TEST(ConsumerDamage, WhoeverWaitsForAFileWithoutContentIsTold) {
    os::SimEnv world(1);
    make(world);
    Store store = open_store(world);
    auto file = world.open(kPath, os::OpenMode::read_write, 0);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->shorten(0));
    EXPECT_EQ(Consumer::wait(store, "mail", Position{1}, 0).error().code, ErrorCode::corrupt);
}

TEST(ConsumerDamage, WithoutItsHeaderAResetNeedsASelector) {
    os::SimEnv world(1);
    make(world);
    overwrite(world, kPath, 17, "damage");
    Store store = open_store(world);
    auto unknown = Consumer::reset(store, "mail");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(*world.exists(kPath + "~damaged-1"));
    ResetOptions to;
    to.selector = Selector::type("B");
    ASSERT_TRUE(Consumer::reset(store, "mail", to));
    Consumer again = open_consumer(store, {}, Selector::type("B"));
    EXPECT_EQ(take(again).size(), 8U);
}

TEST(ConsumerDamage, ACheckpointBeyondTheEndNamesBothPositions) {
    os::SimEnv world(1);
    make(world);
    const auto bytes = bytes_of(world, kPath);
    // The same store, but shorter: a copy that was made before.
    os::SimEnv earlier(1);
    {
        Store store = open_store(earlier);
        append_events(store, 1, 4);
    }
    ASSERT_TRUE(earlier.make_directory("store/consumers", 0700));
    auto file = earlier.open(kPath, os::OpenMode::create, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, bytes));
    Store store = open_store(earlier);
    auto refused = Consumer::open(store, "mail", Selector::type("A"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::stale) << refused.error().message;
    EXPECT_NE(refused.error().message.find("position 8"), std::string::npos)
        << refused.error().message;
    EXPECT_NE(refused.error().message.find("position 4"), std::string::npos);
    EXPECT_EQ(Consumer::find(store, "mail")->health, ConsumerInfo::Health::stale);
    EXPECT_EQ(Consumer::verify(store, "mail").error().code, ErrorCode::stale);
    ASSERT_TRUE(Consumer::reset(store, "mail"));
    Consumer again = open_consumer(store);
    EXPECT_EQ(positions_of(take(again)), (Positions{3}));
}

TEST(ConsumerDamage, AFileOfAnotherStoreIsRefused) {
    os::SimEnv world(1);
    make(world);
    const auto bytes = bytes_of(world, kPath);
    os::SimEnv other(2);
    {
        Store store = open_store(other);
        append_events(store, 1, 20);
    }
    ASSERT_TRUE(other.make_directory("store/consumers", 0700));
    auto file = other.open(kPath, os::OpenMode::create, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, bytes));
    Store store = open_store(other);
    EXPECT_EQ(Consumer::open(store, "mail", Selector::type("A")).error().code, ErrorCode::stale);
    EXPECT_EQ(Consumer::find(store, "mail")->health, ConsumerInfo::Health::stale);
    ASSERT_TRUE(Consumer::reset(store, "mail"));
    Consumer again = open_consumer(store);
    EXPECT_EQ(take(again).size(), 6U);
}

TEST(ConsumerDamage, AFailedSyncIsFinalUntilItIsOpenedAgain) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    {
        Consumer consumer = open_consumer(store);
        ASSERT_TRUE(consumer.ack(take(consumer, 1).last(), "one"));
        ASSERT_TRUE(consumer.sync());
        ASSERT_TRUE(consumer.ack(take(consumer, 1).last(), "two"));
        world.fail_only(os::SimEnv::FailFor::syncs);
        world.fail_call(1, ErrorCode::io, false);
        EXPECT_EQ(consumer.sync().error().code, ErrorCode::io);
        EXPECT_EQ(consumer.ack(take(consumer, 1).last()).error().code, ErrorCode::poisoned);
        EXPECT_EQ(consumer.sync().error().code, ErrorCode::poisoned);
    }
    world.stop_failing();
    Consumer again = open_consumer(store);
    EXPECT_EQ(again.state(), "two");
    ASSERT_TRUE(again.ack(take(again, 1).last(), "three"));
    ASSERT_TRUE(again.sync());
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const auto cut = world.power_cut(seed, {os::SimCut::Style::mixed, 0});
        Store store_then = open_store(*cut);
        EXPECT_EQ(open_consumer(store_then).state(), "three") << seed;
    }
}

TEST(ConsumerDamage, AFullDiskRefusesALargeStateAndNothingElse) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_events(store, 1, 12);
    Consumer consumer = open_consumer(store);
    const Batch batch = take(consumer);
    world.limit_space(1);
    auto refused = consumer.ack(batch.last(), std::string(10'000, 'x'));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::no_space);
    EXPECT_EQ(consumer.in_flight(), 4U);
    ASSERT_TRUE(consumer.ack(Position{6}, "small"));
    ASSERT_TRUE(consumer.sync());
    world.limit_space(~0ULL);
    ASSERT_TRUE(consumer.ack(batch.last(), std::string(10'000, 'x')));
}

TEST(ConsumerDamage, AnyCallMayFailWhileOneIsMade) {
    for (const ErrorCode code : {ErrorCode::no_space, ErrorCode::io}) {
        for (std::uint64_t n = 1;; ++n) {
            os::SimEnv world(1);
            Store store = open_store(world);
            append_events(store, 1, 6);
            world.fail_call(n, code, false);
            const std::uint64_t before = world.failed_calls();
            bool whole = false;
            {
                auto tried = Consumer::open(store, "mail", Selector::type("A"));
                whole = tried.has_value();
            }
            world.stop_failing();
            if (whole && world.failed_calls() == before) break;
            ASSERT_LT(n, 100U);
            auto made = Consumer::open(store, "mail", Selector::type("A"));
            ASSERT_TRUE(made) << n << ' ' << made.error().message;
            EXPECT_EQ(positions_of(take(*made)), (Positions{3, 6})) << n;
            EXPECT_EQ(Consumer::list(store)->size(), 1U);
        }
    }
}

TEST(Consumer, AnEpochThatNothingWasBuiltOnMayBeLostInAPowerCut) {
    os::SimEnv world(1);
    {
        Store store = open_store(world);
        append_events(store, 1, 9);
        ASSERT_TRUE(store.close());
    }
    for (int n = 0; n < 3; ++n) {
        Store idle = open_store(world);  // an epoch of its own, of which nothing is in the log
        if (n == 2) {
            Consumer consumer = open_consumer(idle);
            ASSERT_TRUE(consumer.ack(take(consumer).last(), "nine"));
            ASSERT_TRUE(consumer.close());
        }
        ASSERT_TRUE(idle.close());
    }
    const auto later = world.power_cut(5, {os::SimCut::Style::nothing, 0});
    Store again = open_store(*later);
    auto consumer = Consumer::open(again, "mail", Selector::type("A"));
    ASSERT_TRUE(consumer) << consumer.error().message;
    EXPECT_EQ(consumer->checkpoint().position.value, 9U);
    EXPECT_EQ(consumer->state(), "nine");
    // What was appended in an epoch says so.
    append_events(again, 10, 12);
    ASSERT_TRUE(consumer->ack(take(*consumer).last()));
    EXPECT_EQ(consumer->checkpoint().epoch, again.snapshot()->epoch());
}

}  // namespace
}  // namespace varve::test
