// Goal: a read-only opener beside a writer that lives, fails, comes back, and comes back with less.
// Method: writer and reader share a simulated world; what the disk lost is brought about by hand.
#include <gtest/gtest.h>

#include <algorithm>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

Result<Store> write(os::SimEnv& world) { return Store::open("store", options_for(world)); }
Result<Store> read(os::SimEnv& world) {
    return Store::open("store", options_for(world, Access::read_only));
}

/// Changes the first byte of the last `text` in the first segment: a page that never reached the
/// disk and was read again from there.
void lose(os::SimEnv& world, std::string_view text) {
    auto file = world.open("store/log/0000000001.seg", os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    std::vector<std::byte> bytes(*(*file)->size());
    ASSERT_TRUE((*file)->read_at(0, bytes));
    const std::size_t at = base::as_text(bytes).rfind(text);
    ASSERT_NE(at, std::string_view::npos);
    const std::byte other{0};
    ASSERT_TRUE((*file)->write_at(at, {&other, 1}));
}

/// A store whose second event was published but whose sync failed; its writer has gone.
void fail_second_event(os::SimEnv& world) {
    auto writer = write(world);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append({{.data = "durable"}}));
    world.fail_syncs_only(true);
    world.fail_call(1, ErrorCode::io, true);
    auto lost = writer->append({{.data = "shown only"}});
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, ErrorCode::durability_lost);
    EXPECT_EQ(writer->append({{.data = "refused"}}).error().code, ErrorCode::poisoned);
    world.stop_failing();
}

TEST(Reader, FollowsAWriterAndItsSuccessor) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    auto reader = read(world);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->opening().how, Opening::How::following);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    ASSERT_TRUE(writer->append({{.data = "two"}}));
    EXPECT_EQ(live->next(0)->size(), 1U);
    ASSERT_TRUE(writer->close());
    EXPECT_TRUE(live->next(0)->empty());
    auto next = write(world);
    ASSERT_TRUE(next->append({{.data = std::string(60'000, 'r')}}));  // rolls
    EXPECT_EQ(live->next(5'000)->size(), 1U);
    EXPECT_EQ(reader->snapshot()->published().value, 3U);
}

TEST(Reader, GoesOnWhenAFailedSyncLostNothing) {
    os::SimEnv world(1);
    fail_second_event(world);
    auto reader = read(world);
    ASSERT_TRUE(reader);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 2U);
    auto again = write(world);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->opening().lost_first.value, 0U);
    auto more = again->append({{.data = "three"}});
    ASSERT_TRUE(more);
    EXPECT_EQ(more->first.value, 3U);
    auto run = live->next(5'000);
    ASSERT_TRUE(run) << run.error().message;
    ASSERT_EQ(run->size(), 1U);
    EXPECT_EQ(run->front().data, "three");
}

TEST(Reader, IsToldWhenEventsThatItSawWereLost) {
    os::SimEnv world(1);
    fail_second_event(world);
    auto reader = read(world);
    ASSERT_TRUE(reader);
    auto kept = reader->snapshot();
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->published().value, 2U);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 2U);
    lose(world, "shown only");
    auto again = write(world);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->opening().lost_first.value, 2U);
    EXPECT_EQ(again->opening().lost_last.value, 2U);
    EXPECT_GT(again->snapshot()->epoch(), kept->epoch());
    auto other = again->append({{.data = "another second"}});
    ASSERT_TRUE(other);
    EXPECT_EQ(other->first.value, 2U);
    auto told = live->next(5'000);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, ErrorCode::durability_lost);
    auto refused = reader->snapshot();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::durability_lost);
    // Who opens now sees the history that holds.
    auto fresh = read(world);
    ASSERT_TRUE(fresh);
    EXPECT_EQ(fresh->snapshot()->at(Position{2})->data, "another second");
    EXPECT_EQ(kept->at(Position{1})->data, "durable");
}

TEST(Reader, WhoOnlyTakesSnapshotsIsToldToo) {
    os::SimEnv world(1);
    fail_second_event(world);
    auto reader = read(world);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->snapshot()->published().value, 2U);
    lose(world, "shown only");
    auto again = write(world);
    ASSERT_TRUE(again->append({{.data = "another second"}}));
    auto told = reader->snapshot();
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().code, ErrorCode::durability_lost);
}

TEST(Reader, WhoOnlyTakesSnapshotsSeesAWriterThatComesLater) {
    os::SimEnv first(1);
    {
        auto writer = write(first);
        ASSERT_TRUE(writer->append({{.data = "one"}}));
    }
    const auto world = first.power_cut(2, {os::SimCut::Style::nothing, 0});
    auto reader = read(*world);
    EXPECT_EQ(reader->snapshot()->published().value, 1U);
    auto writer = write(*world);
    ASSERT_TRUE(writer->append({{.data = "two"}}));
    auto snapshot = reader->snapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(snapshot->published().value, 2U);
}

/// A recovery finds that nothing of the newest segment is left, and its writer dies before it
/// appends: the next one continues the segment before, and what lies between belongs to nobody.
TEST(Reader, PassesOverASegmentThatARecoveryHasEmptied) {
    os::SimEnv first(1);
    auto writer = Store::open("store", options_for(first, Access::read_write, Durability::os));
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append({{.data = std::string(40'000, 'a')}}));
    ASSERT_TRUE(writer->sync());
    ASSERT_TRUE(writer->append({{.data = std::string(40'000, 'b')}}));  // rolls
    std::uint64_t emptied = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const auto cut = first.power_cut(seed, {os::SimCut::Style::mixed, 0});
        std::unique_ptr<os::SimEnv> world;
        {
            auto recovered = write(*cut);
            ASSERT_TRUE(recovered) << recovered.error().message;
            world = cut->kill(seed);
        }
        auto next = write(*world);
        ASSERT_TRUE(next) << next.error().message;
        auto appended = next->append({{.data = "c"}});
        ASSERT_TRUE(appended);
        auto reader = read(*world);
        ASSERT_TRUE(reader);
        auto now = reader->snapshot();
        ASSERT_TRUE(now) << seed << ' ' << now.error().message;
        ASSERT_EQ(now->published(), appended->last);
        EXPECT_EQ(now->at(appended->last)->data, "c") << seed;
        const auto later = world->power_cut(seed, {os::SimCut::Style::nothing, 0});
        auto last = write(*later);
        ASSERT_TRUE(last) << seed << ' ' << last.error().message;
        EXPECT_EQ(last->snapshot()->published(), appended->last);
        emptied += appended->last.value == 2 ? 1U : 0U;
    }
    EXPECT_GT(emptied, 0U);
}

TEST(Reader, StandsAloneAfterAPowerCutAndThenFollows) {
    os::SimEnv first(1);
    {
        auto writer = write(first);
        ASSERT_TRUE(writer->append({{.data = "one"}}));
    }
    const auto world = first.power_cut(2, {os::SimCut::Style::nothing, 0});
    auto reader = read(*world);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->opening().how, Opening::How::recovered);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    auto writer = write(*world);
    ASSERT_TRUE(writer->append({{.data = "two"}}));
    auto run = live->next(5'000);
    ASSERT_TRUE(run) << run.error().message;
    ASSERT_EQ(run->size(), 1U);
    EXPECT_EQ(run->front().data, "two");
}

TEST(Reader, ChangesNothing) {
    os::SimEnv world(1);
    {
        auto writer = write(world);
        ASSERT_TRUE(writer->append({{.stream = "s", .data = "one"}}));
    }
    const auto after = world.power_cut(2, {});
    const std::uint64_t before = after->dirty_pages();
    const auto names = *after->list("store");
    auto reader = read(*after);
    ASSERT_TRUE(reader);
    EXPECT_EQ(*reader->snapshot()->version("s"), 1U);
    EXPECT_EQ(reader->follow()->next(0)->size(), 1U);
    auto refused = reader->append({{.data = "from a reader"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(*after->list("store"), names);
    EXPECT_EQ(after->dirty_pages(), before);
}

TEST(Reader, ADurableReadHasSeenNoMoreThanIsDurable) {
    os::SimEnv world(1);
    OpenOptions options = options_for(world);
    options.durability = Durability::os;
    auto store = Store::open("store", options);
    ASSERT_TRUE(store);
    for (int n = 0; n < 10; ++n) ASSERT_TRUE(store->append({{.stream = "s", .data = "x"}}));
    auto snapshot = store->snapshot();
    ASSERT_TRUE(snapshot);
    const auto nothing = [](const EventView&) {};
    for (const auto direction : {Direction::forwards, Direction::backwards}) {
        auto seen = snapshot->read(Source::all(), {.direction = direction, .durable_only = true})
                        .for_each(nothing);
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->position, snapshot->durable());
    }
    // A read that ends with a revision has seen up to that event.
    auto seen = snapshot->read("s", {.until_revision = Revision{3}}).for_each(nothing);
    ASSERT_TRUE(seen);
    EXPECT_EQ(seen->position, Position{3});
}

TEST(Reader, IsToldThatNothingMoreBecomesDurable) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "durable"}}));
    auto reader = read(world);
    ASSERT_TRUE(reader);
    world.fail_syncs_only(true);
    world.fail_call(1, ErrorCode::io, false);
    EXPECT_FALSE(writer->append({{.data = "shown only"}}));
    world.stop_failing();
    auto waited = reader->wait(Position{2}, Durability::disk, 60'000);
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().code, ErrorCode::poisoned);
    auto shown = reader->wait(Position{2}, Durability::os, 0);
    ASSERT_TRUE(shown);
    EXPECT_TRUE(*shown);
}

TEST(Reader, CannotFollowFromBeyondTheEnd) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    EXPECT_TRUE(writer->follow(Source::all(), {.after = Position{1}}));
    auto beyond = writer->follow(Source::all(), {.after = Position{2}});
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::stale);
}

TEST(Reader, FollowsALivingWriterWhereTheMountIsNotKnown) {
    os::SimEnv world(1);
    world.forget_mount();
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.stream = "s", .data = "one"}}));
    auto reader = read(world);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->opening().how, Opening::How::following);
    // Over several segments, whose indexes are the writer's.
    const std::string data(20'000, 'd');
    for (int n = 0; n < 12; ++n) ASSERT_TRUE(writer->append({{.stream = "s", .data = data}}));
    auto snapshot = reader->snapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(snapshot->published().value, 13U);
    auto version = snapshot->version("s");
    ASSERT_TRUE(version);
    EXPECT_EQ(*version, 13U);
    // Nobody lives any more: a reader recovers for itself, and so does the next writer.
    const auto after = world.kill(2);
    after->forget_mount();
    auto alone = read(*after);
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->opening().how, Opening::How::recovered);
    EXPECT_EQ(alone->snapshot()->published().value, 13U);
    auto next = write(*after);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->snapshot()->published().value, 13U);
}

TEST(Reader, GoesOnAfterTheIndexesWereRemovedAndMadeAgain) {
    os::SimEnv world(1);
    {
        auto writer = write(world);
        ASSERT_TRUE(writer->append({{.stream = "s", .data = "one"}}));
        auto closing = read(world);
        ASSERT_TRUE(closing);
    }
    auto reader = read(world);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->snapshot()->published().value, 1U);
    const auto indexes = world.list("store/index");
    ASSERT_TRUE(indexes);
    for (const std::string& name : *indexes) ASSERT_TRUE(world.remove("store/index/" + name));
    auto writer = write(world);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append({{.stream = "s", .data = "two"}}));
    auto snapshot = reader->snapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(*snapshot->version("s"), 2U);
}

TEST(Reader, NoticesThatItsPageWasReplacedWithoutAWord) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    auto reader = read(world);
    ASSERT_TRUE(reader);
    ASSERT_TRUE(writer->close());
    // The next writer finds no page to mark, as if it had died before it could.
    ASSERT_TRUE(world.remove("store/control"));
    auto next = write(world);
    ASSERT_TRUE(next);
    ASSERT_TRUE(next->append({{.data = "two"}}));
    auto waited = reader->wait(Position{2}, Durability::os, 3'000);
    ASSERT_TRUE(waited) << waited.error().message;
    EXPECT_TRUE(*waited);
}

TEST(Writer, ASyncOfTheStoresOwnNamesThatFailsIsNotBelievedLater) {
    for (std::uint64_t n = 1; n <= 5; ++n) {
        os::SimEnv world(n);
        OpenOptions options = options_for(world);
        options.durability = Durability::os;
        ASSERT_TRUE(Store::open("store", options));
        auto store = write(world);
        ASSERT_TRUE(store);
        world.fail_syncs_only(true);
        world.fail_call(n, ErrorCode::io, false);
        auto first = store->append({{.data = "first"}});
        world.stop_failing();
        auto second = store->append({{.data = "second"}});
        const bool acknowledged = first || second;
        auto cut = world.power_cut(n, {os::SimCut::Style::nothing, 0});
        auto after = write(*cut);
        ASSERT_TRUE(after || !acknowledged) << n;
        if (!acknowledged) continue;
        EXPECT_GE(after->snapshot()->published().value, 1U) << n;
    }
}

}  // namespace
}  // namespace varve::test
