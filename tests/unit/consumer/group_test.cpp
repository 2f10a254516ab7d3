// Goal: the members of a group share its lanes fairly, each event is handled by one of them and in
// the order of its stream, what a dead member leaves is taken up where its checkpoint stands, and a
// group is a consumer in every other way. Method: by hand in the simulated machine, in which single
// processes can die.
#include "varve/group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "consumer/membership.hpp"
#include "support/consuming.hpp"
#include "support/mortal_env.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kStreams = 12;

/// Event n belongs to stream n modulo 12, with a tag that five of them share.
void append_to_streams(Store& store, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t n = from; n <= to; ++n) {
        const std::string stream = "s-" + std::to_string(n % kStreams);
        const std::string tag = "customer/" + std::to_string(n % 5);
        const std::vector<std::string_view> tags{"x", tag};
        auto done = store.append({{.stream = stream, .type = "A", .tags = tags}});
        ASSERT_TRUE(done) << done.error().message;
        ASSERT_EQ(done->last.value, n);
    }
}

GroupOptions of_lanes(std::uint32_t lanes) {
    GroupOptions options;
    options.lanes = lanes;
    return options;
}

GroupMember join(const Store& store, const GroupOptions& options = of_lanes(4),
                 std::string_view name = "team") {
    auto member = GroupMember::join(store, name, Selector::type("A"), options);
    EXPECT_TRUE(member) << member.error().message;
    return std::move(*member);
}

Batch take(GroupMember& member, std::size_t most = 100) {
    auto batch = member.next(most, 0);
    EXPECT_TRUE(batch) << batch.error().message;
    return batch ? std::move(*batch) : Batch{};
}

/// Handles everything there is; positions in the order in which they came.
Positions drain(GroupMember& member) {
    Positions seen;
    for (int n = 0; n < 1000; ++n) {
        const Batch batch = take(member, 3);
        if (batch.empty()) break;
        for (const EventView& event : batch) seen.push_back(event.position.value);
        EXPECT_TRUE(member.ack(batch.last()));
    }
    return seen;
}

/// Lets members look at each other until nothing moves any more.
void settle(std::initializer_list<GroupMember*> members) {
    for (int round = 0; round < 3; ++round)
        for (GroupMember* const member : members) EXPECT_TRUE(member->next(1, 0)->empty());
}

std::vector<std::string> files_in(os::SimEnv& world) {
    auto names = world.list("store/consumers");
    EXPECT_TRUE(names);
    return names ? std::move(*names) : std::vector<std::string>{};
}

Positions from_to(std::uint64_t from, std::uint64_t to) {
    Positions all;
    for (std::uint64_t n = from; n <= to; ++n) all.push_back(n);
    return all;
}

TEST(Group, FairSharesAddUp) {
    for (std::uint32_t lanes = 1; lanes <= 256; ++lanes) {
        for (std::uint32_t members = 1; members <= 256; members += 3) {
            std::uint32_t sum = 0;
            for (std::uint32_t rank = 0; rank < members; ++rank) {
                const std::uint32_t share = consumer::fair_share(lanes, members, rank);
                EXPECT_LE(share, (lanes + members - 1) / members);
                EXPECT_GE(share, lanes / members);
                sum += share;
            }
            ASSERT_EQ(sum, lanes);
        }
    }
}

TEST(Group, OneMemberGetsEverythingInTheOrderOfItsStreams) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 100);
    GroupMember member = join(store);
    EXPECT_EQ(member.lanes(), (std::vector<std::uint32_t>{0, 1, 2, 3}));
    EXPECT_EQ(member.lane_count(), 4U);
    std::map<std::uint64_t, std::uint64_t> last;
    std::map<std::uint64_t, std::set<std::uint32_t>> lanes;
    std::set<std::uint32_t> used;
    std::uint64_t seen = 0;
    for (int n = 0; n < 100 && seen < 100; ++n) {
        const Batch batch = take(member, 7);
        ASSERT_FALSE(batch.empty());
        for (const EventView& event : batch) {
            const std::uint64_t stream = event.position.value % kStreams;
            EXPECT_GT(event.position.value, last[stream]);
            last[stream] = event.position.value;
            lanes[stream].insert(batch.lane());
            used.insert(batch.lane());
            ++seen;
        }
        ASSERT_TRUE(member.ack(batch.last()));
    }
    for (const auto& [stream, of_stream] : lanes) EXPECT_EQ(of_stream.size(), 1U) << stream;
    EXPECT_GT(used.size(), 2U) << "the streams are spread over the lanes";
    EXPECT_TRUE(take(member).empty());
    EXPECT_TRUE(member.caught_up());
    auto info = Consumer::find(store, "team");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->checkpoint.position.value, 100U);
    EXPECT_EQ(info->checkpoint.acknowledged, 100U);
    EXPECT_EQ(info->lanes, 4U);
    EXPECT_EQ(info->members, 1U);
    EXPECT_TRUE(info->active);
    EXPECT_EQ(info->behind, 0U);
    EXPECT_TRUE(*Consumer::wait(store, "team", Position{100}, 0));
    auto report = Consumer::verify(store, "team");
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->good);
    EXPECT_EQ(report->expected, 100U);
}

TEST(Group, OfALaneOneBatchIsInFlight) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 100);
    GroupMember member = join(store);
    std::map<std::uint32_t, Batch> in_hands;
    for (int n = 0; n < 4; ++n) {
        Batch batch = take(member, 2);
        ASSERT_FALSE(batch.empty());
        EXPECT_FALSE(in_hands.contains(batch.lane()));
        in_hands.emplace(batch.lane(), std::move(batch));
    }
    EXPECT_TRUE(take(member).empty()) << "every lane is in somebody's hands";
    EXPECT_FALSE(member.caught_up());
    const Batch& one = in_hands.at(2);
    ASSERT_EQ(one.size(), 2U);
    ASSERT_TRUE(member.ack(one.events().front().position));
    EXPECT_TRUE(take(member).empty()) << "half of it";
    ASSERT_TRUE(member.ack(one.last()));
    ASSERT_TRUE(member.ack(one.last())) << "again";
    EXPECT_EQ(take(member).lane(), 2U);
    EXPECT_EQ(member.ack(Position{101}).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(member.fail(Position{101}, "").error().code, ErrorCode::invalid_argument);
}

TEST(Group, MembersComeAndGo) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 60);
    GroupMember one = join(store, of_lanes(7));
    Batch first = take(one, 2);
    GroupMember two = join(store, of_lanes(7));
    EXPECT_TRUE(two.lanes().empty()) << "the first has them all";
    const Batch second = take(one, 2);  // gives back what is at rest
    EXPECT_EQ(one.members(), 2U);
    EXPECT_EQ(one.lanes().size(), 4U);
    const Batch third = take(two, 2);
    EXPECT_EQ(two.lanes().size(), 3U);
    ASSERT_FALSE(third.empty());
    GroupMember three = join(store, of_lanes(7));
    ASSERT_TRUE(one.ack(first.last()));
    ASSERT_TRUE(one.ack(second.last()));
    ASSERT_TRUE(two.ack(third.last()));
    Positions seen = positions_of(first);
    for (const Batch* batch : {&second, &third})
        for (const std::uint64_t position : positions_of(*batch)) seen.push_back(position);
    for (int round = 0; round < 4; ++round) {
        for (GroupMember* const member : {&one, &two, &three}) {
            const Positions more = drain(*member);
            seen.insert(seen.end(), more.begin(), more.end());
        }
    }
    EXPECT_EQ(one.lanes().size(), 3U);
    EXPECT_EQ(two.lanes().size(), 2U);
    EXPECT_EQ(three.lanes().size(), 2U);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, from_to(1, 60)) << "each event once";
    ASSERT_TRUE(two.close());
    EXPECT_EQ(two.next(1, 0).error().code, ErrorCode::closed);
    settle({&one, &three});
    EXPECT_EQ(one.lanes().size(), 4U);
    EXPECT_EQ(three.lanes().size(), 3U);
    EXPECT_EQ(Consumer::find(store, "team")->members, 2U);
    EXPECT_EQ(Consumer::find(store, "team")->checkpoint.position.value, 60U);
}

TEST(Group, MoreMembersThanLanesStandBy) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 20);
    GroupMember one = join(store, of_lanes(2));
    GroupMember two = join(store, of_lanes(2));
    GroupMember three = join(store, of_lanes(2));
    static_cast<void>(drain(one));
    static_cast<void>(drain(two));
    EXPECT_TRUE(drain(three).empty());
    EXPECT_TRUE(three.lanes().empty());
    ASSERT_TRUE(one.close());
    settle({&two, &three});
    EXPECT_EQ(three.lanes().size(), 1U);
}

TEST(Group, ADeadMembersWorkIsTakenUpAtItsCheckpoint) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 60);
    auto mortal = std::make_unique<MortalEnv>(world);
    OpenOptions options = options_for(world, Access::read_only);
    options.env = mortal.get();
    std::optional<Store> its_store(std::move(*Store::open("store", options)));
    std::optional<GroupMember> doomed(join(*its_store));
    GroupMember heir = join(store);
    EXPECT_TRUE(heir.lanes().empty());
    std::map<std::uint32_t, Positions> handled;
    std::map<std::uint32_t, Positions> open;
    for (int n = 0; n < 2; ++n) {
        const Batch batch = take(*doomed, 2);
        ASSERT_EQ(batch.size(), 2U);
        ASSERT_TRUE(doomed->ack(batch.last(), "state of " + std::to_string(batch.lane())));
        handled[batch.lane()] = positions_of(batch);
    }
    const Batch batch = take(*doomed, 2);
    open[batch.lane()] = positions_of(batch);
    const std::vector<std::uint32_t> lanes = doomed->lanes();
    mortal->die();
    doomed.reset();
    its_store.reset();
    world.set_clock(world.monotonic_us() + 1'000'000);
    std::map<std::uint32_t, Positions> came;
    for (int n = 0; n < 100; ++n) {
        const Batch next = take(heir, 2);
        if (next.empty()) break;
        const std::uint32_t lane = next.lane();
        if (came[lane].empty() && handled.contains(lane)) {
            EXPECT_EQ(*heir.state(lane), "state of " + std::to_string(lane));
        }
        for (const std::uint64_t position : positions_of(next)) came[lane].push_back(position);
        ASSERT_TRUE(heir.ack(next.last()));
    }
    EXPECT_EQ(heir.lanes().size(), 4U);
    std::size_t all = 0;
    for (const auto& [lane, positions] : came) {
        all += positions.size() + handled[lane].size();
        if (!handled[lane].empty()) {
            EXPECT_GT(positions.front(), handled[lane].back());
        }
        if (open.contains(lane)) {
            EXPECT_EQ(positions.front(), open[lane].front());
        }
    }
    EXPECT_EQ(all, 60U) << "what was acknowledged does not come again, everything else does";
    EXPECT_TRUE(Consumer::verify(store, "team")->good);
}

TEST(Group, OrderByTag) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 100);
    GroupOptions options = of_lanes(8);
    options.order_by_tag = "customer/";
    GroupMember member = join(store, options);
    std::map<std::uint64_t, std::set<std::uint32_t>> lanes;
    for (int n = 0; n < 100; ++n) {
        const Batch batch = take(member);
        if (batch.empty()) break;
        for (const EventView& event : batch) lanes[event.position.value % 5].insert(batch.lane());
        ASSERT_TRUE(member.ack(batch.last()));
    }
    EXPECT_EQ(lanes.size(), 5U);
    for (const auto& [tag, of_tag] : lanes) EXPECT_EQ(of_tag.size(), 1U) << tag;
    auto other = GroupMember::join(store, "team", Selector::type("A"), of_lanes(8));
    ASSERT_FALSE(other);
    EXPECT_NE(other.error().message.find("customer/"), std::string::npos);
    EXPECT_TRUE(GroupMember::join(store, "team")) << "without a word about it";
    EXPECT_TRUE(GroupMember::join(store, "team", options));
    options.order_by_tag = "other/";
    EXPECT_FALSE(GroupMember::join(store, "team", options));
    EXPECT_FALSE(GroupMember::join(store, "team", of_lanes(7)));
    EXPECT_TRUE(Consumer::verify(store, "team")->good);
}

TEST(Group, WhatCannotBeIsRefused) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 5);
    const auto code = [&](const char* name, const Selector& selector, const GroupOptions& options) {
        auto member = GroupMember::join(store, name, selector, options);
        return member ? ErrorCode::busy : member.error().code;
    };
    EXPECT_EQ(code("../x", Selector::all(), {}), ErrorCode::invalid_argument);
    EXPECT_EQ(code("x", Selector::all(), of_lanes(257)), ErrorCode::invalid_argument);
    const std::string tag(129, 't');
    GroupOptions by_tag;
    by_tag.order_by_tag = tag;
    EXPECT_EQ(code("x", Selector::all(), by_tag), ErrorCode::invalid_argument);
    EXPECT_EQ(GroupMember::join(store, "x").error().code, ErrorCode::not_found);
    GroupMember member = join(store);
    EXPECT_EQ(code("team", Selector::all(), {}), ErrorCode::invalid_argument);
    EXPECT_EQ(code("team", Selector::type("A"), of_lanes(5)), ErrorCode::invalid_argument);
    auto alone = Consumer::open(store, "team");
    ASSERT_FALSE(alone);
    EXPECT_TRUE(alone.error().code == ErrorCode::locked ||
                alone.error().code == ErrorCode::invalid_argument);
    ASSERT_TRUE(member.close());
    EXPECT_EQ(Consumer::open(store, "team").error().code, ErrorCode::invalid_argument);
    Consumer plain = open_consumer(store);
    EXPECT_EQ(code("mail", Selector::type("A"), {}), ErrorCode::invalid_argument);
    EXPECT_EQ(GroupMember::lanes_of(store, "mail").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(GroupMember::lanes_of(store, "none").error().code, ErrorCode::not_found);
    EXPECT_EQ(member.state(0).error().code, ErrorCode::not_found);
}

TEST(Group, EventsThatFailHoldUpTheirLaneOnly) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 60);
    GroupOptions options = of_lanes(4);
    options.consumer.retries = 1;
    GroupMember member = join(store, options);
    const Batch bad = take(member, 1);
    ASSERT_EQ(*member.fail(bad.last(), "why"), Failure::retried);
    const Positions others = drain(member);
    for (const std::uint64_t position : others) EXPECT_NE(position, bad.last().value);
    EXPECT_LT(others.size(), 59U);
    EXPECT_EQ(Consumer::find(store, "team")->checkpoint.position.value, bad.last().value - 1);
    auto again = member.next(10, 1'000);
    ASSERT_TRUE(again);
    EXPECT_EQ(positions_of(*again), positions_of(bad));
    EXPECT_EQ(again->lane(), bad.lane());
    ASSERT_EQ(*member.fail(bad.last(), "why"), Failure::parked);
    EXPECT_EQ(others.size() + drain(member).size(), 59U);
    auto parked = Consumer::parked(store, "team");
    ASSERT_TRUE(parked);
    ASSERT_EQ(parked->size(), 1U);
    EXPECT_EQ(parked->front().position, bad.last());
    EXPECT_EQ(Consumer::find(store, "team")->waiting, 1U);
    EXPECT_EQ(*member.replay(), 1U);
    EXPECT_EQ(positions_of(take(member)), positions_of(bad));
    ASSERT_EQ(*member.fail(bad.last(), "still"), Failure::parked);
    EXPECT_TRUE(Consumer::verify(store, "team")->good);
    const Position its[] = {bad.last()};
    EXPECT_EQ(Consumer::drop(store, "team", its).error().code, ErrorCode::locked);
    ASSERT_TRUE(member.close());
    const Position unknown[] = {Position{59}};
    EXPECT_EQ(Consumer::drop(store, "team", unknown).error().code, ErrorCode::not_found);
    ASSERT_TRUE(Consumer::drop(store, "team", its));
    EXPECT_EQ(Consumer::parked(store, "team")->front().status, ParkedEvent::Status::dropped);
}

TEST(Group, ALaneIsGivenBackWhenNothingOfItIsInFlight) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 60);
    GroupMember one = join(store, of_lanes(2));
    const Batch a = take(one, 1);
    const Batch b = take(one, 1);
    ASSERT_NE(a.lane(), b.lane());
    GroupMember two = join(store, of_lanes(2));
    for (int n = 0; n < 3; ++n) {
        EXPECT_TRUE(take(one).empty());
        EXPECT_TRUE(take(two).empty());
    }
    EXPECT_EQ(one.lanes().size(), 2U);
    ASSERT_TRUE(one.ack(a.last()));
    ASSERT_TRUE(one.ack(b.last()));
    ASSERT_FALSE(take(one).empty());
    EXPECT_EQ(one.lanes().size(), 1U);
    EXPECT_FALSE(take(two).empty());
}

TEST(Group, ALaneStaysWhileOneOfItsParkedEventsIsReplayed) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 60);
    GroupOptions options = of_lanes(2);
    options.consumer.retries = 0;
    GroupMember one = join(store, options);
    std::map<std::uint32_t, Position> parked;
    while (true) {
        const Batch batch = take(one);
        if (batch.empty()) break;
        if (!parked.contains(batch.lane())) {
            ASSERT_EQ(*one.fail(batch.last(), "why"), Failure::parked);
            parked[batch.lane()] = batch.last();
        }
        ASSERT_TRUE(one.ack(batch.last()));
    }
    ASSERT_EQ(parked.size(), 2U);
    EXPECT_EQ(*one.replay(), 2U);
    const Batch first = take(one);
    const Batch second = take(one);
    ASSERT_EQ(first.size(), 1U);
    ASSERT_EQ(second.size(), 1U);
    GroupMember two = join(store, options);
    for (int n = 0; n < 3; ++n) {
        EXPECT_TRUE(take(one).empty());
        EXPECT_TRUE(take(two).empty());
    }
    EXPECT_EQ(one.lanes().size(), 2U);
    ASSERT_TRUE(one.ack(first.last()));
    ASSERT_TRUE(one.ack(second.last()));
    settle({&one, &two});
    EXPECT_EQ(one.lanes().size(), 1U);
    const auto lanes = GroupMember::lanes_of(store, "team");
    ASSERT_TRUE(lanes);
    for (const LaneInfo& lane : *lanes) EXPECT_EQ(lane.waiting, 0U);
}

TEST(Group, CanBePausedResetAndReplaced) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 30);
    {
        GroupMember member = join(store);
        ASSERT_TRUE(Consumer::pause(store, "team", true));
        EXPECT_TRUE(take(member).empty());
        EXPECT_TRUE(Consumer::find(store, "team")->paused);
        ASSERT_TRUE(Consumer::pause(store, "team", false));
        EXPECT_EQ(drain(member).size(), 30U);
        EXPECT_EQ(Consumer::reset(store, "team").error().code, ErrorCode::locked);
        EXPECT_EQ(Consumer::replace(store, "other", "team").error().code, ErrorCode::locked);
    }
    const std::size_t files = world.list("store/consumers")->size();
    ResetOptions options;
    options.position = Position{20};
    options.state = "begun";
    ASSERT_TRUE(Consumer::reset(store, "team", options));
    EXPECT_EQ(world.list("store/consumers")->size(), files) << "the old lanes are gone";
    {
        GroupMember member = join(store);
        EXPECT_EQ(*member.state(3), "begun");
        Positions rest = drain(member);
        std::sort(rest.begin(), rest.end());
        EXPECT_EQ(rest, from_to(21, 30));
    }
    {
        GroupMember member = join(store, of_lanes(8), "team-v2");
        static_cast<void>(take(member));
    }
    EXPECT_EQ(Consumer::replace(store, "team", "team-v2").error().code, ErrorCode::busy);
    {
        GroupMember member = join(store, of_lanes(8), "team-v2");
        EXPECT_EQ(drain(member).size(), 30U);
    }
    ASSERT_TRUE(Consumer::replace(store, "team", "team-v2"));
    EXPECT_EQ(Consumer::find(store, "team")->lanes, 8U);
    EXPECT_EQ(Consumer::find(store, "team")->checkpoint.acknowledged, 30U);
    EXPECT_EQ(Consumer::list(store)->size(), 1U);
    GroupMember member = join(store, of_lanes(8));
    EXPECT_TRUE(drain(member).empty());
}

TEST(Group, AResetIsDoneOrNot) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 30);
    {
        GroupMember member = join(store);
        EXPECT_EQ(drain(member).size(), 30U);
    }
    std::uint64_t images = 0;
    world.on_step([&] {
        const std::uint64_t seed = ++images;
        for (const auto& left : {world.kill(seed), world.power_cut(seed, {})}) {
            Store then = open_store(*left);
            auto member = GroupMember::join(then, "team");
            ASSERT_TRUE(member) << member.error().message;
            EXPECT_EQ(member->lanes().size(), 4U);
            const std::uint64_t reached = Consumer::find(then, "team")->checkpoint.position.value;
            EXPECT_TRUE(reached == 0 || reached == 30) << reached;
            EXPECT_EQ(drain(*member).size(), 30 - reached);
            EXPECT_TRUE(Consumer::verify(then, "team")->good);
        }
    });
    ASSERT_TRUE(Consumer::reset(store, "team"));
    world.on_step({});
    EXPECT_GT(images, 20U);
    EXPECT_EQ(Consumer::find(store, "team")->checkpoint.position.value, 0U);
}

TEST(Group, ADamagedOrMissingLaneIsReportedAndNothingIsAssumed) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 30);
    {
        GroupMember member = join(store);
        EXPECT_EQ(drain(member).size(), 30U);
    }
    std::string lane;
    for (const std::string& name : files_in(world))
        if (name.ends_with("-2")) lane = "store/consumers/" + name;
    ASSERT_FALSE(lane.empty());
    {
        auto file = world.open(lane, os::OpenMode::read_write, 0600);
        const std::byte wrong[1] = {std::byte{0x55}};
        for (const std::uint64_t page : {4096U, 8192U})
            ASSERT_TRUE((*file)->write_at(page + 20, wrong));
    }
    auto joined = GroupMember::join(store, "team");
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code, ErrorCode::corrupt);
    EXPECT_NE(joined.error().message.find("lane 2"), std::string::npos) << joined.error().message;
    EXPECT_EQ(Consumer::find(store, "team")->health, ConsumerInfo::Health::damaged);
    EXPECT_EQ(Consumer::verify(store, "team").error().code, ErrorCode::corrupt);
    auto lanes = GroupMember::lanes_of(store, "team");
    ASSERT_TRUE(lanes);
    ASSERT_EQ(lanes->size(), 4U);
    EXPECT_EQ((*lanes)[2].health, ConsumerInfo::Health::damaged);
    EXPECT_EQ((*lanes)[1].checkpoint.position.value, 30U);
    ASSERT_TRUE(Consumer::reset(store, "team"));
    EXPECT_TRUE(*world.exists(lane)) << "it is kept";
    EXPECT_TRUE(*world.exists("store/consumers/team~damaged-1"));
    {
        GroupMember member = join(store);
        EXPECT_EQ(drain(member).size(), 30U);
    }
    for (const std::string& name : files_in(world)) {
        const bool its = name.starts_with("lane~") && name.ends_with("-1");
        if (its) {
            ASSERT_TRUE(world.remove("store/consumers/" + name));
        }
    }
    joined = GroupMember::join(store, "team");
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code, ErrorCode::corrupt);
    EXPECT_EQ(Consumer::find(store, "team")->health, ConsumerInfo::Health::damaged);
}

TEST(Group, AnyCallMayFailWhileOneIsMade) {
    for (std::uint64_t n = 1; n < 200; ++n) {
        os::SimEnv world(n);
        Store store = open_store(world);
        append_to_streams(store, 1, 6);
        world.fail_call(n, ErrorCode::io, false);
        auto failed = GroupMember::join(store, "team", Selector::type("A"), of_lanes(3));
        world.stop_failing();
        if (failed) {
            EXPECT_GT(n, 10U);
            return;
        }
        GroupMember member = join(store, of_lanes(3));
        EXPECT_EQ(drain(member).size(), 6U) << n;
        const std::vector<std::string> files = files_in(world);
        EXPECT_EQ(std::count_if(files.begin(), files.end(),
                                [](const std::string& file) { return file.starts_with("lane~"); }),
                  3)
            << "call " << n << " left lanes that belong to nobody";
    }
    FAIL() << "it never got through";
}

TEST(Group, ABackupTakesItAlong) {
    os::SimEnv world(1);
    Store store = open_store(world);
    append_to_streams(store, 1, 30);
    GroupMember member = join(store);
    const std::size_t before = take(member, 5).size();
    ASSERT_GT(before, 0U);
    ASSERT_TRUE(store.backup("backup"));
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    auto copy = Store::open("restored", options_for(world));
    ASSERT_TRUE(copy) << copy.error().message;
    auto there = GroupMember::join(*copy, "team");
    ASSERT_TRUE(there) << there.error().message;
    EXPECT_EQ(drain(*there).size(), 30U);
}

}  // namespace
}  // namespace varve::test
