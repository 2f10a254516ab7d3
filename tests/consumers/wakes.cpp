// Waits that must end when what they wait for happens: in the simulated machine a wait that is not
// ended costs its whole time, so the clock tells.
#include <functional>

#include "os/sim_env.hpp"
#include "rig.hpp"
#include "support/small_store.hpp"
#include "varve/group.hpp"

namespace varve::consumers {

namespace {

constexpr std::uint32_t kWaitMs = 5'000;
constexpr std::uint64_t kSlackUs = 100'000;  // for what is done meanwhile

/// Waits while `happens` is done at the moment in question. What is wrong, or nothing.
std::string must_wake(os::SimEnv& world, const char* who, bool while_asleep,
                      const std::function<bool()>& happens, const std::function<bool()>& wait) {
    bool done = false;
    bool happened = true;
    world.on_wait([&](bool asleep) {
        if (done || asleep != while_asleep) return;
        done = true;
        happened = happens();
    });
    const std::uint64_t begin_us = world.monotonic_us();
    const bool good = wait();
    const std::uint64_t slept_us = world.monotonic_us() - begin_us;
    world.on_wait({});
    if (!done) return std::string(who) + " never slept";
    if (!happened || !good) return std::string(who) + " waited in vain";
    if (slept_us < kSlackUs) return "";
    return std::string(who) + " slept on for " + std::to_string(slept_us / 1000) +
           " ms: the wake-up was lost";
}

std::string who_waits_for_a_consumer(os::SimEnv& world, Store& store, bool while_asleep) {
    auto consumer = Consumer::open(store, "one", Selector::all());
    if (!consumer) return consumer.error().message;
    auto batch = consumer->next(100, 0);
    if (!batch || batch->empty()) return "nothing came";
    return must_wake(
        world, "who waits for a consumer", while_asleep,
        [&] { return consumer->ack(batch->last()).has_value(); },
        [&] {
            auto reached = Consumer::wait(store, "one", batch->last(), kWaitMs);
            return reached && *reached;
        });
}

std::string who_waits_for_a_group(os::SimEnv& world, Store& store, bool while_asleep) {
    GroupOptions options;
    options.lanes = 1;
    auto member = GroupMember::join(store, "team", Selector::all(), options);
    if (!member) return member.error().message;
    auto batch = member->next(100, 0);
    if (!batch || batch->empty()) return "nothing came";
    return must_wake(
        world, "who waits for a group", while_asleep,
        [&] { return member->ack(batch->last()).has_value(); },
        [&] {
            auto reached = Consumer::wait(store, "team", batch->last(), kWaitMs);
            return reached && *reached;
        });
}

/// One member has the only lane, another one waits for events and gets it when the first leaves.
std::string who_waits_for_a_lane(os::SimEnv& world, Store& store, bool while_asleep) {
    GroupOptions options;
    options.lanes = 1;
    auto first = GroupMember::join(store, "pair", Selector::all(), options);
    auto second = GroupMember::join(store, "pair", Selector::all(), options);
    if (!first || !second) return "the group cannot be joined";
    return must_wake(
        world, "who waits for a lane", while_asleep, [&] { return first->close().has_value(); },
        [&] {
            auto batch = second->next(100, kWaitMs);
            return batch && !batch->empty();
        });
}

}  // namespace

std::string slept_through(std::uint64_t seed) {
    for (const bool while_asleep : {false, true}) {
        os::SimEnv world(seed);
        auto store =
            Store::open("store", test::options_for(world, Access::read_write, Durability::disk));
        if (!store) return store.error().message;
        if (!store->append({{.type = "A"}, {.type = "B"}})) return "append failed";
        for (const auto& one :
             {who_waits_for_a_consumer, who_waits_for_a_group, who_waits_for_a_lane}) {
            std::string wrong = one(world, *store, while_asleep);
            if (!wrong.empty()) return wrong;
        }
    }
    return "";
}

}  // namespace varve::consumers
