// varve_consumers: consumers in a simulated machine that crashes at any moment.
//
//   varve_consumers [--seed S] [--rounds N] [--bug NAME]
//
// With --bug the deliberate defect of that name is switched on, and the run succeeds only if a
// promise is seen broken within N rounds.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/seeded_bug.hpp"
#include "group_rig.hpp"
#include "rig.hpp"

namespace varve::consumers {
namespace {

using base::SeededBug;

struct BugName {
    const char* name;
    SeededBug bug;
    bool of_groups = false;  ///< the rig of groups must notice it, else that of one consumer
};
constexpr BugName kBugs[] = {
    {"checkpoint_ahead_of_acknowledgement", SeededBug::checkpoint_ahead_of_acknowledgement},
    {"nonmatching_not_passed", SeededBug::nonmatching_not_passed},
    {"slot_unchecked", SeededBug::slot_unchecked},
    {"single_slot", SeededBug::single_slot},
    {"checkpoint_beyond_durable", SeededBug::checkpoint_beyond_durable},
    {"parked_counted_as_acknowledged", SeededBug::parked_counted_as_acknowledged},
    {"consumer_verify_says_yes", SeededBug::consumer_verify_says_yes},
    {"group_order_broken_after_death", SeededBug::group_order_broken_after_death, true},
    {"consumer_wake_lost", SeededBug::consumer_wake_lost},
    {"takeover_by_time_out", SeededBug::takeover_by_time_out},
};

struct Arguments {
    std::uint64_t seed = 1;
    std::uint64_t rounds = 500;
    SeededBug bug = SeededBug::none;
    std::string bug_name;
    bool consumers = true, groups = true;  ///< which rigs run
};

bool parse(int count, char** values, Arguments& arguments) {
    for (int n = 1; n + 1 < count; n += 2) {
        const std::string name = values[n];
        const char* const value = values[n + 1];
        if (name == "--bug") {
            for (const BugName& known : kBugs) {
                if (std::strcmp(known.name, value) != 0) continue;
                arguments.bug = known.bug;
                arguments.groups = known.of_groups;
                arguments.consumers = !known.of_groups;
            }
            if (arguments.bug == SeededBug::none) return false;
            arguments.bug_name = value;
            continue;
        }
        std::uint64_t& number = name == "--seed" ? arguments.seed : arguments.rounds;
        if (name != "--seed" && name != "--rounds") return false;
        if (std::from_chars(value, value + std::strlen(value), number).ec != std::errc{})
            return false;
    }
    return count % 2 == 1;
}

Tally run_all(const Arguments& arguments) {
    constexpr std::uint64_t kOperations = 150;
    constexpr std::uint64_t kForged = 3;
    Tally all;
    const auto add = [&](const Tally& one, std::uint64_t seed) {
        all.operations += one.operations;
        all.crashes += one.crashes;
        all.delivered += one.delivered;
        all.parked += one.parked;
        all.given_up += one.given_up;
        all.violation = one.violation;
        if (!all.violation.empty())
            std::printf("replay: varve_consumers --seed %llu --rounds 1\n",
                        static_cast<unsigned long long>(seed));
    };
    for (std::uint64_t n = 0; n < kForged && arguments.consumers && all.violation.empty(); ++n)
        all.violation = forged_skip(arguments.seed + n);
    for (std::uint64_t n = 0; n < kForged && all.violation.empty(); ++n)
        all.violation = slept_through(arguments.seed + n);
    for (std::uint64_t n = 0; n < arguments.rounds && all.violation.empty(); ++n) {
        const std::uint64_t seed = arguments.seed + n;
        if (arguments.consumers) add(Rig(seed).run(kOperations), seed);
        if (arguments.groups && all.violation.empty()) add(GroupRig(seed).run(kOperations), seed);
    }
    return all;
}

}  // namespace
}  // namespace varve::consumers

int main(int count, char** values) {
    using namespace varve::consumers;
    Arguments arguments;
    if (!parse(count, values, arguments)) {
        std::fprintf(stderr, "usage: varve_consumers [--seed S] [--rounds N] [--bug NAME]\n");
        return 2;
    }
    varve::base::seeded_bug = arguments.bug;
    const Tally tally = run_all(arguments);
    std::printf(
        "%llu operations, %llu crashes, %llu events delivered, %llu parked, %llu given up: %s\n",
        static_cast<unsigned long long>(tally.operations),
        static_cast<unsigned long long>(tally.crashes),
        static_cast<unsigned long long>(tally.delivered),
        static_cast<unsigned long long>(tally.parked),
        static_cast<unsigned long long>(tally.given_up),
        tally.violation.empty() ? "0 violations" : tally.violation.c_str());
    if (arguments.bug == varve::base::SeededBug::none) return tally.violation.empty() ? 0 : 1;
    if (!tally.violation.empty()) return 0;
    std::printf("the defect '%s' was not noticed: this rig proves nothing about it\n",
                arguments.bug_name.c_str());
    return 1;
}
