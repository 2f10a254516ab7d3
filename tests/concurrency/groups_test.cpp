// Goal: members of a group in several threads and processes: whoever waits is woken by events, by
// an acknowledgement, by members that come and go; each event is handled once and in the order of
// its stream; a forked child holds nothing. Method: real threads and processes; an env that looks
// again only after a hundred seconds, so that a lost wake-up is a failure.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/child.hpp"
#include "support/patient_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

using std::chrono::steady_clock;

constexpr std::uint32_t kLongMs = 60'000;  // within which a wake-up must come
constexpr auto kSoon = std::chrono::seconds(30);

OpenOptions options_for(Access access, os::Env* env = nullptr) {
    OpenOptions options;
    options.access = access;
    options.env = env;
    options.durability = Durability::disk;
    return options;
}

void append(Store& store, std::uint64_t from, std::uint64_t to) {
    constexpr std::uint64_t kStreams = 23;
    std::vector<NewEvent> events;
    std::vector<std::string> names(to - from + 1);
    for (std::uint64_t n = from; n <= to; ++n) {
        names[n - from] = "s-" + std::to_string(n % kStreams);
        events.push_back({.stream = names[n - from], .type = "A"});
    }
    ASSERT_TRUE(store.append(events));
}

GroupOptions of_lanes(std::uint32_t lanes) {
    GroupOptions options;
    options.lanes = lanes;
    return options;
}

GroupMember join(const Store& store, std::uint32_t lanes) {
    auto member = GroupMember::join(store, "team", Selector::type("A"), of_lanes(lanes));
    EXPECT_TRUE(member) << member.error().message;
    return std::move(*member);
}

/// Handles events until all of them, `count` by all members, are handled; an exit code.
int work(const std::string& path, os::Env* env, std::uint64_t count, const Pipe* ready) {
    auto store = Store::open(path, options_for(Access::read_only, env));
    if (!store) return 2;
    auto member = GroupMember::join(*store, "team", Selector::type("A"), of_lanes(4));
    if (!member) return 3;
    if (ready != nullptr) ready->tell();
    while (true) {
        auto batch = member->next(10, kLongMs);
        if (!batch) return 4;
        if (!batch->empty() && !member->ack(batch->last())) return 5;
        auto group = Consumer::find(*store, "team");
        if (!group) return 6;
        if (group->checkpoint.position.value >= count) return 0;
        if (batch->empty()) return 7;
    }
}

TEST(GroupProcesses, WhoWaitsForAGroupIsWoken) {
    TemporaryDirectory directory;
    PatientEnv env;
    ASSERT_TRUE(Store::open(directory.store(), options_for(Access::read_write)));
    const Pipe ready;
    constexpr std::uint64_t kRounds = 200;
    Child child([&] { return work(directory.store(), &env, 2 * kRounds, &ready); });
    ready.listen();
    auto store = Store::open(directory.store(), options_for(Access::read_write, &env));
    ASSERT_TRUE(store);
    for (std::uint64_t n = 0; n < kRounds; ++n) {
        append(*store, 2 * n + 1, 2 * n + 2);
        const auto begin = steady_clock::now();
        auto reached = Consumer::wait(*store, "team", Position{2 * n + 2}, kLongMs);
        ASSERT_TRUE(reached && *reached) << n;
        ASSERT_LT(steady_clock::now() - begin, kSoon) << n;
    }
    // It may have acknowledged before the events were durable, and wait for the next one.
    append(*store, 2 * kRounds + 1, 2 * kRounds + 1);
    EXPECT_EQ(child.wait(), 0);
    EXPECT_TRUE(Consumer::verify(*store, "team")->good);
}

TEST(GroupProcesses, WhatADeadMemberHeldIsTakenOver) {
    TemporaryDirectory directory;
    const Pipe ready;
    {
        auto store = Store::open(directory.store(), options_for(Access::read_write));
        ASSERT_TRUE(store);
        append(*store, 1, 100);
    }
    Child child([&] {
        auto store = Store::open(directory.store(), options_for(Access::read_only));
        if (!store) return 2;
        GroupMember member = join(*store, 4);
        auto batch = member.next(10, 0);
        if (!batch || batch->empty()) return 3;
        ready.tell();
        ::pause();
        return 4;
    });
    ready.listen();
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    GroupMember member = join(*store, 4);
    EXPECT_TRUE(member.next(1, 0)->empty()) << "the other one has everything";
    EXPECT_EQ(member.members(), 2U);
    child.kill();
    const auto begin = steady_clock::now();
    std::uint64_t seen = 0;
    while (seen < 100 && steady_clock::now() - begin < kSoon) {
        auto batch = member.next(100, 500);
        ASSERT_TRUE(batch);
        seen += batch->size();
        if (!batch->empty()) {
            ASSERT_TRUE(member.ack(batch->last()));
        }
    }
    EXPECT_EQ(seen, 100U);
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
}

TEST(GroupThreads, AnAcknowledgementOfAnotherThreadWakesTheOneThatTakes) {
    TemporaryDirectory directory;
    PatientEnv env;
    auto store = Store::open(directory.store(), options_for(Access::read_write, &env));
    ASSERT_TRUE(store);
    append(*store, 1, 200);
    GroupMember member = join(*store, 1);
    std::atomic<std::uint64_t> to_handle{0};
    std::thread helper([&] {
        for (std::uint64_t n = 1; n <= 200; ++n) {
            to_handle.wait(n - 1);
            EXPECT_TRUE(member.ack(Position{n}));
        }
    });
    const auto begin = steady_clock::now();
    for (std::uint64_t n = 1; n <= 200; ++n) {
        auto batch = member.next(1, kLongMs);
        ASSERT_TRUE(batch);
        ASSERT_EQ(batch->last().value, n);
        to_handle.store(n);
        to_handle.notify_one();
    }
    helper.join();
    EXPECT_LT(steady_clock::now() - begin, kSoon);
}

TEST(GroupThreads, MembersThatComeAndGoWakeTheOthers) {
    TemporaryDirectory directory;
    PatientEnv env;
    auto store = Store::open(directory.store(), options_for(Access::read_write, &env));
    ASSERT_TRUE(store);
    std::atomic<bool> end{false};
    std::atomic<std::size_t> held{0};
    std::thread one([&] {
        GroupMember member = join(*store, 4);
        held.store(member.lanes().size());
        while (!end.load()) {
            auto batch = member.next(1, kLongMs);  // nothing comes: only moves wake it
            ASSERT_TRUE(batch);
            held.store(member.lanes().size());
            if (!batch->empty()) {
                ASSERT_TRUE(member.ack(batch->last()));
            }
        }
    });
    const auto until = [&](std::size_t lanes, GroupMember* other) {
        const auto begin = steady_clock::now();
        while (steady_clock::now() - begin < kSoon) {
            if (other != nullptr) {
                EXPECT_TRUE(other->next(1, 20)->empty());
            }
            const bool there = other == nullptr || other->lanes().size() == 4 - lanes;
            // `held` is told with the next event at the latest; the lanes' locks tell it now.
            std::size_t active = 0;
            auto infos = GroupMember::lanes_of(*store, "team");
            if (!infos) continue;  // not there yet
            for (const LaneInfo& lane : *infos) active += lane.active ? 1U : 0U;
            if (there && active == 4) return true;
        }
        return false;
    };
    EXPECT_TRUE(until(4, nullptr));
    for (int n = 0; n < 20; ++n) {
        GroupMember other = join(*store, 4);
        EXPECT_TRUE(until(2, &other)) << n;
        ASSERT_TRUE(other.close());
        EXPECT_TRUE(until(4, nullptr)) << n;
    }
    end.store(true);
    append(*store, 1, 1);
    one.join();
    EXPECT_EQ(held.load(), 4U);
}

TEST(GroupThreads, EachEventOnceAndInTheOrderOfItsStream) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    constexpr std::uint64_t kEvents = 20'000;
    constexpr std::uint64_t kStreams = 23;
    std::vector<std::atomic<std::uint64_t>> last(kStreams);
    std::atomic<std::uint64_t> handled{0};
    std::atomic<std::uint64_t> wrong{0};
    const auto run = [&](bool leaves_early) {
        GroupMember member = join(*store, 8);
        while (handled.load() < kEvents) {
            auto batch = member.next(50, 50);
            ASSERT_TRUE(batch) << batch.error().message;
            for (const EventView& event : *batch) {
                std::atomic<std::uint64_t>& of = last[event.position.value % kStreams];
                // Nobody else writes here at the same time, or this is wrong.
                if (of.exchange(event.revision.value) + 1 != event.revision.value) ++wrong;
            }
            handled.fetch_add(batch->size());
            if (!batch->empty()) {
                ASSERT_TRUE(member.ack(batch->last()));
            }
            if (leaves_early && handled.load() > kEvents / 2) break;
        }
        ASSERT_TRUE(member.close());
    };
    std::vector<std::thread> members;
    for (int n = 0; n < 4; ++n) members.emplace_back(run, n % 2 == 1);
    for (std::uint64_t n = 0; n < kEvents; n += 100) append(*store, n + 1, n + 100);
    for (std::thread& member : members) member.join();
    EXPECT_EQ(handled.load(), kEvents);
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_TRUE(Consumer::verify(*store, "team")->good);
    EXPECT_EQ(Consumer::find(*store, "team")->checkpoint.acknowledged, kEvents);
}

TEST(GroupProcesses, AForkedChildHoldsNothing) {
    TemporaryDirectory directory;
    {
        auto writer = Store::open(directory.store(), options_for(Access::read_write));
        ASSERT_TRUE(writer);
        append(*writer, 1, 10);
    }
    auto store = Store::open(directory.store(), options_for(Access::read_only));
    ASSERT_TRUE(store);
    GroupMember member = join(*store, 4);
    const Pipe go_on;
    const Pipe looked;
    Child child([&] {
        const bool closed = member.next(1, 0).error().code == ErrorCode::closed &&
                            member.ack(Position{1}).error().code == ErrorCode::closed;
        looked.tell();
        go_on.listen();
        return closed ? 0 : 1;
    });
    looked.listen();
    ASSERT_TRUE(member.close());
    EXPECT_EQ(join(*store, 4).lanes().size(), 4U) << "while the child lives";
    EXPECT_EQ(Consumer::find(*store, "team")->members, 0U);
    go_on.tell();
    EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace varve::test
