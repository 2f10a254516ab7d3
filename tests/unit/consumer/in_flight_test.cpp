// Goal: acknowledgements count once, and only those that are complete from the front are passed.
// Method: batches by hand; then random acknowledgements against a plain set of positions.
#include "consumer/in_flight.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "consumer/format.hpp"

namespace varve::consumer {
namespace {

using Answer = InFlight::Answer;

std::vector<EventView> events(std::initializer_list<std::uint64_t> positions) {
    std::vector<EventView> made;
    for (const std::uint64_t position : positions)
        made.push_back(EventView{.position = Position{position}});
    return made;
}

TEST(InFlight, ABatchIsAcknowledgedUpToAnEvent) {
    InFlight flight;
    flight.deliver(events({2, 5, 9}));
    EXPECT_EQ(flight.acknowledge(5, false), Answer::done);
    const Passed passed = flight.pass();
    EXPECT_EQ(passed.acknowledged, 2U);
    EXPECT_EQ(passed.sum, mix(2) + mix(5));
    EXPECT_EQ(passed.last, 5U);
    EXPECT_EQ(flight.front(), 9U);
    EXPECT_EQ(flight.size(), 1U);
}

TEST(InFlight, ALaterBatchWaitsForAnEarlierOne) {
    InFlight flight;
    flight.deliver(events({1, 2}));
    flight.deliver(events({3, 4}));
    EXPECT_EQ(flight.acknowledge(4, true), Answer::out_of_order);
    EXPECT_EQ(flight.acknowledge(4, false), Answer::done);
    EXPECT_EQ(flight.pass().acknowledged, 0U);
    EXPECT_EQ(flight.front(), 1U);
    EXPECT_EQ(flight.acknowledge(2, true), Answer::done);
    EXPECT_EQ(flight.pass().acknowledged, 4U);
    EXPECT_TRUE(flight.empty());
}

TEST(InFlight, WhatWasNeverDeliveredIsUnknown) {
    InFlight flight;
    EXPECT_EQ(flight.acknowledge(1, false), Answer::unknown);
    flight.deliver(events({10, 20}));
    EXPECT_EQ(flight.acknowledge(15, false), Answer::unknown);
    EXPECT_EQ(flight.acknowledge(21, false), Answer::unknown);
    EXPECT_EQ(flight.acknowledge(9, false), Answer::unknown);
    EXPECT_EQ(flight.acknowledge(20, false), Answer::done);
    EXPECT_EQ(flight.acknowledge(20, false), Answer::known);
    EXPECT_EQ(flight.pass().acknowledged, 2U);
    EXPECT_EQ(flight.acknowledge(10, false), Answer::known);
    EXPECT_EQ(flight.acknowledge(21, false), Answer::unknown);
}

TEST(InFlight, WhatFailedIsNotAcknowledgedWithItsBatch) {
    InFlight flight;
    flight.deliver(events({1, 2, 3}));
    EXPECT_EQ(flight.fail(2), Answer::done);
    EXPECT_EQ(flight.fail(2), Answer::known);
    EXPECT_EQ(flight.acknowledge(3, false), Answer::done);
    EXPECT_EQ(flight.pass().acknowledged, 1U);
    EXPECT_EQ(flight.front(), 2U);
    flight.deliver(events({4}));
    EXPECT_EQ(flight.acknowledge(4, true), Answer::out_of_order);
    flight.deliver_again(2);
    EXPECT_EQ(flight.acknowledge(2, true), Answer::done);
    EXPECT_EQ(flight.pass().acknowledged, 2U);
    EXPECT_EQ(flight.front(), 4U);
    EXPECT_EQ(flight.fail(4), Answer::done);
    flight.park(4);
    const Passed passed = flight.pass();
    EXPECT_EQ(passed.parked, 1U);
    EXPECT_EQ(passed.acknowledged, 0U);
    EXPECT_TRUE(flight.empty());
}

TEST(InFlight, TheFirstOfABatchIsAloneWhenItIsDeliveredAgain) {
    InFlight flight;
    flight.deliver(events({1, 2}));
    EXPECT_EQ(flight.fail(1), Answer::done);
    flight.deliver_again(1);
    EXPECT_EQ(flight.acknowledge(2, false), Answer::done);
    EXPECT_EQ(flight.pass().acknowledged, 0U);
    EXPECT_EQ(flight.front(), 1U);
}

TEST(InFlight, RandomAcknowledgementsCountOnce) {
    for (std::uint32_t seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        InFlight flight;
        std::set<std::uint64_t> open;
        std::vector<std::vector<std::uint64_t>> batches;
        std::uint64_t position = 0;
        std::uint64_t counted = 0;
        for (int step = 0; step < 100; ++step) {
            if (random() % 3 == 0) {
                std::vector<EventView> batch;
                auto& remembered = batches.emplace_back();
                for (std::uint64_t n = 1 + random() % 5; n > 0; --n) {
                    position += 1 + random() % 3;
                    batch.push_back(EventView{.position = Position{position}});
                    remembered.push_back(position);
                    open.insert(position);
                }
                flight.deliver(batch);
            } else if (!batches.empty()) {
                const auto& batch = batches[random() % batches.size()];
                const std::size_t up_to = random() % batch.size();
                EXPECT_NE(flight.acknowledge(batch[up_to], false), Answer::unknown);
                for (std::size_t n = 0; n <= up_to; ++n) open.erase(batch[n]);
            }
            counted += flight.pass().acknowledged;
            ASSERT_EQ(flight.size(), open.size()) << seed;
            ASSERT_EQ(flight.empty(), open.empty()) << seed;
            const std::uint64_t first = open.empty() ? ~0ULL : *open.begin();
            ASSERT_EQ(flight.empty() ? ~0ULL : flight.front(), first) << seed;
            std::uint64_t complete = 0;
            for (const auto& batch : batches)
                for (const std::uint64_t one : batch) complete += one < first ? 1U : 0U;
            ASSERT_EQ(counted, complete) << seed;
        }
    }
}

}  // namespace
}  // namespace varve::consumer
