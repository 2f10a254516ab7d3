// Goal: a full disk and calls that fail in the middle of an erasure are answered with an error or
// the truth, and a later request finishes. Method: in the simulated world each call fails in turn,
// once and for ever; power cuts after that.
#include <gtest/gtest.h>

#include "support/erasing.hpp"

namespace varve::test {
namespace {

TEST(Erase, AFullDiskRefusesAndLaterGoesOn) {
    os::SimEnv world(1);
    auto store = write(world);
    fill(*store);
    world.limit_space(0);
    // There is room for the record where the log is; fill that first.
    while (store->append({{.data = std::string(3000, 'f')}})) {
    }
    while (store->append({{.data = "f"}})) {
    }
    auto full = store->erase(kSecond);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, ErrorCode::no_space);
    EXPECT_EQ(store->snapshot()->at(Position{2})->data, "secret data");
    world.limit_space(~0ULL);
    ASSERT_TRUE(store->erase(kSecond));
    EXPECT_TRUE(store->snapshot()->at(Position{2})->erased);
    EXPECT_FALSE(is_found(world, "secret"));
}

struct Fault {
    ErrorCode code;
    os::SimEnv::FailFor which;
    bool for_ever;
};
constexpr Fault kFaults[] = {{ErrorCode::io, os::SimEnv::FailFor::all, false},
                             {ErrorCode::io, os::SimEnv::FailFor::all, true},
                             {ErrorCode::no_space, os::SimEnv::FailFor::others, false},
                             {ErrorCode::no_space, os::SimEnv::FailFor::others, true},
                             {ErrorCode::io, os::SimEnv::FailFor::syncs, false},
                             {ErrorCode::io, os::SimEnv::FailFor::syncs, true}};

/// What a crash after the fault left is whole, and the next writer can erase.
void expect_recovers(os::SimEnv& world, bool gone) {
    if (gone) {
        EXPECT_FALSE(is_found(world, "secret"));
    }
    expect_verified(world, Store::verify("store", options_for(world))->erased);
    auto store = write(world);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(store->snapshot()->at(Position{1})->data, "first");
    EXPECT_EQ(store->snapshot()->at(Position{3})->data, "third");
    auto erased = store->erase(kSecond);
    ASSERT_TRUE(erased) << erased.error().message;
    EXPECT_TRUE(store->snapshot()->at(Position{2})->erased);
    EXPECT_FALSE(is_found(world, "secret"));
}

/// Each call fails in turn: the answer is an error or the truth. A later request in the same
/// session, in the next one, and after a power cut, finishes what this one began.
TEST(Erase, EachCallMayFail) {
    for (const Fault& fault : kFaults) {
        bool failed = true;
        std::uint64_t n = 1;
        for (; failed && n < 60; ++n) {
            SCOPED_TRACE(std::to_string(&fault - kFaults) + ", call " + std::to_string(n));
            os::SimEnv world(n);
            auto store = write(world);
            fill(*store);
            world.fail_only(fault.which);
            world.fail_call(n, fault.code, fault.for_ever);
            auto erased = store->erase(kSecond);
            const bool done = erased.has_value() && erased->done;
            failed = world.failed_calls() > 0;
            world.stop_failing();
            if (done) {
                EXPECT_FALSE(is_found(world, "secret"));
            }
            expect_recovers(*world.power_cut(n, {os::SimCut::Style::mixed, 0}), done);
            const Position fourth[] = {Position{4}};
            auto next = store->erase(fourth);
            EXPECT_TRUE(next || next.error().code == ErrorCode::poisoned);
            expect_recovers(*world.power_cut(n, {os::SimCut::Style::mixed, 0}), done);
            static_cast<void>(store->close());
            expect_recovers(world, done);
        }
        EXPECT_GT(n, 3U);
        EXPECT_LT(n, 60U);
    }
}

}  // namespace
}  // namespace varve::test
