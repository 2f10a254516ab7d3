// Runs a test against the library with one deliberate defect: success if the test fails. What
// stands behind the name of the defect goes to the test.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "base/seeded_bug.hpp"

namespace {

using varve::base::SeededBug;

constexpr struct {
    const char* name;
    SeededBug bug;
} kBugs[] = {
    {"condition_judged_outside_lock", SeededBug::condition_judged_outside_lock},
    {"condition_after_off_by_one", SeededBug::condition_after_off_by_one},
    {"seen_of_limited_read_is_published", SeededBug::seen_of_limited_read_is_published},
    {"complement_not_clipped", SeededBug::complement_not_clipped},
    {"given_tags_dropped_in_batches", SeededBug::given_tags_dropped_in_batches},
    {"outdated_append_placed", SeededBug::outdated_append_placed},
    {"repair_keeps_epoch", SeededBug::repair_keeps_epoch},
    {"shared_wait_wake_lost", SeededBug::shared_wait_wake_lost},
};

}  // namespace

int main(int argc, char** argv) {
    const std::string_view wanted = argc > 1 ? argv[1] : "";
    for (const auto& one : kBugs) {
        if (wanted == one.name) varve::base::seeded_bug = one.bug;
    }
    if (varve::base::seeded_bug == SeededBug::none) {
        std::fputs("give the name of a defect\n", stderr);
        return 2;
    }
    ::testing::InitGoogleTest(&argc, argv);
    const bool noticed = RUN_ALL_TESTS() != 0;
    std::puts(noticed ? "the test has noticed the defect" : "the test has noticed nothing");
    return noticed ? 0 : 1;
}
