// seed-index and seed-storage: the two benchmarks of node-event-storage inside one process. An
// operation makes a store, writes a thousand things, closes it, opens it again, and reads all of
// them once per reader; beside it the same in a store that stays open. JSON is written and parsed
// in each. The original itself can run beside it, with rounds that alternate.
#include "seed.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace varve::bench {

namespace {

constexpr double kBudgetS = 0.3;  // of each half of a round
constexpr double kWarmUpS = 0.1;
constexpr double kMostSteady = 1'000;  // operations of a round, so that files stay small
constexpr std::array<std::uint64_t, 5> kReaders{1, 2, 4, 8, 16};

void read_all(SeedSubject& subject, std::uint64_t first, double wanted, std::uint64_t readers) {
    for (std::uint64_t n = 0; n < readers; ++n)
        if (subject.read(first) != wanted)
            must_do(Error{.message = "what was read is not what was written"}, "seed");
}

SeedRound round_of(const Parameters& parameters, const std::string& variant,
                   const std::string& directory, double budget_s) {
    const auto subject = seed_subject(parameters, variant);
    const std::string path = directory + "/" + variant;
    SeedRound round;
    double wanted = subject->expected(1);
    while (round.seconds < budget_s) {
        const double begin = seconds_now();
        subject->open(path, true);
        subject->write(1);
        subject->close();
        subject->open(path, false);
        read_all(*subject, 1, wanted, parameters.readers);
        subject->close();
        round.seconds += seconds_now() - begin;
        ++round.operations;
        std::filesystem::remove_all(path);
    }
    subject->open(path, true);
    while (round.steady_seconds < budget_s && round.steady_operations < kMostSteady) {
        const auto first = static_cast<std::uint64_t>(round.steady_operations) * kSeedWrites + 1;
        wanted = subject->expected(first);
        const double begin = seconds_now();
        subject->write(first);
        read_all(*subject, first, wanted, parameters.readers);
        round.steady_seconds += seconds_now() - begin;
        ++round.steady_operations;
    }
    subject->close();
    std::filesystem::remove_all(path);
    return round;
}

Metrics metrics_of(const SeedRound& round) {
    return {{"ops_per_s", round.operations / round.seconds},
            {"steady_ops_per_s", round.steady_operations / round.steady_seconds}};
}

void run_with(const Parameters& parameters, const Scratch& scratch, NodePeer* node) {
    std::vector<Side> ours{{"varve", {}}, {"nes-classic", {}}, {"nes-mapped", {}}};
    std::vector<Side> theirs;
    if (node != nullptr) theirs = {{"node", {}}, {"node-no-sync", {}}};
    const auto each = [&](double budget_s, auto&& take) {
        for (Side& side : ours)
            take(side, round_of(parameters, side.variant, scratch.path(), budget_s));
        for (Side& side : theirs)
            take(side, node->round(parameters, scratch.path(), budget_s, side.variant == "node"));
    };
    each(kWarmUpS, [](Side&, const SeedRound&) {});
    for (std::uint64_t n = 0; n < parameters.rounds; ++n)
        each(kBudgetS,
             [](Side& side, const SeedRound& round) { side.rounds.push_back(metrics_of(round)); });
    report_all(parameters, ours, theirs);
}

}  // namespace

void run_seed(const Parameters& given) {
    Parameters parameters = given;
    parameters.events = kSeedWrites;
    const Scratch scratch(parameters.directory);
    const bool beside = std::find(parameters.peers.begin(), parameters.peers.end(), "node") !=
                        parameters.peers.end();
    const auto node = beside ? NodePeer::start() : nullptr;
    for (const std::uint64_t readers : kReaders) {
        if (parameters.readers_asked && readers != given.readers) continue;
        parameters.readers = readers;
        run_with(parameters, scratch, node.get());
    }
}

}  // namespace varve::bench
