// varve_crash: opens what a crash at any moment would leave of a store, some hundred thousand
// times.
//
//   varve_crash [--seed S] [--images N] [--bug NAME]
//
// With --bug the deliberate defect of that name is switched on, and the run succeeds only if a
// promise is seen broken within N images: a rig that cannot fail proves nothing.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/seeded_bug.hpp"
#include "by_hand.hpp"
#include "interleave.hpp"
#include "rig.hpp"
#include "threads.hpp"

namespace varve::crash {
namespace {

using base::SeededBug;

struct BugName {
    const char* name;
    SeededBug bug;
};
constexpr BugName kBugs[] = {
    {"acknowledge_before_sync", SeededBug::acknowledge_before_sync},
    {"sync_retried", SeededBug::sync_retried},
    {"no_directory_sync", SeededBug::no_directory_sync},
    {"chain_unchecked", SeededBug::chain_unchecked},
    {"evidence_in_one_segment", SeededBug::evidence_in_one_segment},
    {"drop_beyond_published", SeededBug::drop_beyond_published},
    {"epoch_ignored", SeededBug::epoch_ignored},
    {"wake_bump_dropped", SeededBug::wake_bump_dropped},
    {"version_checked_outside_lock", SeededBug::version_checked_outside_lock},
    {"verify_skips_last_segment", SeededBug::verify_skips_last_segment},
    {"padding_not_covered", SeededBug::padding_not_covered},
    {"pages_not_dirtied_again", SeededBug::pages_not_dirtied_again},
    {"verify_skips_second_to_last_segment", SeededBug::verify_skips_second_to_last_segment},
    {"backup_without_tail", SeededBug::backup_without_tail},
    {"index_named_before_sync", SeededBug::index_named_before_sync},
    {"merge_input_removed_at_once", SeededBug::merge_input_removed_at_once},
    {"missing_index_answers_short", SeededBug::missing_index_answers_short},
    {"list_not_clipped", SeededBug::list_not_clipped},
    {"erased_body_breaks_recovery", SeededBug::erased_body_breaks_recovery},
    {"id_checked_after_condition", SeededBug::id_checked_after_condition},
    {"used_by_header_alone", SeededBug::used_by_header_alone},
};

struct Arguments {
    std::uint64_t seed = 1;
    std::uint64_t images = 20'000;
    SeededBug bug = SeededBug::none;
    std::string bug_name;
};

bool parse(int count, char** values, Arguments& arguments) {
    for (int n = 1; n + 1 < count; n += 2) {
        const std::string name = values[n];
        const char* const value = values[n + 1];
        if (name == "--bug") {
            for (const BugName& known : kBugs) {
                if (std::strcmp(known.name, value) == 0) arguments.bug = known.bug;
            }
            if (arguments.bug == SeededBug::none) return false;
            arguments.bug_name = value;
            continue;
        }
        std::uint64_t& number = name == "--seed" ? arguments.seed : arguments.images;
        if (name != "--seed" && name != "--images") return false;
        if (std::from_chars(value, value + std::strlen(value), number).ec != std::errc{})
            return false;
    }
    return count % 2 == 1;
}

/// Runs one scenario with its share of the images and adds up.
void run(Tally& all, std::uint64_t seed, std::uint64_t images, void (Rig::*scenario)(),
         const char* name) {
    if (!all.held()) return;
    Rig rig(seed, images);
    (rig.*scenario)();
    all.images += rig.tally().images;
    all.cut_points += rig.tally().cut_points;
    all.double_crashes += rig.tally().double_crashes;
    if (!rig.tally().held()) all.violation = std::string(name) + ": " + rig.tally().violation;
}

template <class... Given>
void run_by_hand(Tally& all, std::string (*scenario)(Given...), Given... given) {
    if (!all.held()) return;
    ++all.images;
    all.violation = scenario(given...);
}

Tally run_all(const Arguments& arguments) {
    Tally all;
    const std::uint64_t images = arguments.images;
    const std::uint64_t seed = arguments.seed;
    run_by_hand(all, &older_writer_behind_newer);
    run_by_hand(all, &damage_in_the_last_segment, seed);
    run_by_hand(all, &damage_in_the_segment_before_it, seed);
    run_by_hand(all, &flipped_padding, seed);
    run_by_hand(all, &evidence_behind_a_roll);
    run_by_hand(all, &segment_that_lost_its_header, seed);
    run_by_hand(all, &named_indexes_are_whole, seed);
    run_by_hand(all, &replaced_files_stay, seed);
    run_by_hand(all, &missing_index, seed);
    run_by_hand(all, &clipped_lists, seed);
    run_by_hand(all, &append_inside_append, seed);
    run_by_hand(all, &repeated_append_inside, seed);
    run_by_hand(all, &append_while_waiting, seed);
    run_by_hand(all, &contended_versions, std::uint64_t{2'000});
    run_by_hand(all, &lost_wake_ups, std::uint64_t{200});
    run(all, seed, images / 200 + 20, &Rig::run_splices, "splices");
    run(all, seed, images / 200 + 20, &Rig::run_damage, "damage");
    run(all, seed, images / 50 + 100, &Rig::run_backups, "backups");
    run(all, seed, images / 10 + 500, &Rig::run_failed_syncs, "failed syncs");
    run(all, seed, images / 10 + 500, &Rig::run_failing_calls, "failing calls");
    run(all, seed, images / 8 + 500, &Rig::run_erasures, "erasures");
    run(all, seed, images / 4, &Rig::run_exhaustive, "exhaustive");
    run(all, seed, images > all.images ? images - all.images : 1, &Rig::run_workloads, "workloads");
    return all;
}

}  // namespace
}  // namespace varve::crash

int main(int count, char** values) {
    using namespace varve::crash;
    Arguments arguments;
    if (!parse(count, values, arguments)) {
        std::fprintf(stderr, "usage: varve_crash [--seed S] [--images N] [--bug NAME]\n");
        return 2;
    }
    varve::base::seeded_bug = arguments.bug;
    const Tally tally = run_all(arguments);
    std::printf("%llu images, %llu cut points, %llu double crashes: %s\n",
                static_cast<unsigned long long>(tally.images),
                static_cast<unsigned long long>(tally.cut_points),
                static_cast<unsigned long long>(tally.double_crashes),
                tally.held() ? "0 violations" : tally.violation.c_str());
    if (arguments.bug != varve::base::SeededBug::none) {
        if (!tally.held()) return 0;
        std::printf("the defect '%s' was not noticed: this rig proves nothing about it\n",
                    arguments.bug_name.c_str());
        return 1;
    }
    if (!tally.held())
        std::printf("replay: make crash SEED=%llu\n",
                    static_cast<unsigned long long>(arguments.seed));
    return tally.held() ? 0 : 1;
}
