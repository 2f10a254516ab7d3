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
constexpr std::uint64_t kMostSteady = 1'000;  // operations of a round, so that files stay small
constexpr std::array<std::uint64_t, 5> kReaders{1, 2, 4, 8, 16};

void read_all(SeedSubject& subject, std::uint64_t first, double wanted, std::uint64_t readers) {
    for (std::uint64_t n = 0; n < readers; ++n)
        if (subject.read(first) != wanted)
            must_do(Error{.message = "what was read is not what was written"}, "seed");
}

/// Adds what `work` takes.
template <class Work>
void take(Taken& into, Work&& work) {
    const double begin = seconds_now();
    const double cpu = cpu_seconds_now();
    work();
    into.seconds += seconds_now() - begin;
    into.cpu_seconds += cpu_seconds_now() - cpu;
    ++into.operations;
}

SeedRound round_of(const Parameters& parameters, const std::string& variant,
                   const std::string& directory, double budget_s) {
    const auto subject = seed_subject(parameters, variant);
    SeedRound round;
    double wanted = subject->expected(1);
    for (int n = 0; round.cycles.seconds < budget_s; ++n) {
        const std::string path = directory + "/" + variant + "-" + std::to_string(n);
        take(round.cycles, [&] {
            subject->open(path, true);
            subject->write(1);
            subject->close();
            subject->open(path, false);
            read_all(*subject, 1, wanted, parameters.readers);
            subject->close();
        });
    }
    subject->open(directory + "/" + variant, true);
    for (std::uint64_t n = 0; round.steady.seconds < budget_s && n < kMostSteady; ++n) {
        const std::uint64_t first = n * kSeedWrites + 1;
        wanted = subject->expected(first);
        take(round.steady, [&] {
            subject->write(first);
            read_all(*subject, first, wanted, parameters.readers);
        });
    }
    subject->close();
    return round;
}

Metrics metrics_of(const SeedRound& round) {
    const auto cpu_us = [](const Taken& taken) {
        return taken.cpu_seconds / taken.operations * 1e6;
    };
    return {{"ops_per_s", round.cycles.operations / round.cycles.seconds},
            {"cpu_per_op_us", cpu_us(round.cycles)},
            {"steady_ops_per_s", round.steady.operations / round.steady.seconds},
            {"steady_cpu_per_op_us", cpu_us(round.steady)}};
}

void run_with(const Parameters& parameters, const Scratch& scratch, NodePeer* node) {
    std::vector<Side> ours;
    for (const char* variant : {"varve", "nes-classic", "nes-mapped"})
        if (parameters.variant.empty() || parameters.variant == variant)
            ours.push_back({variant, {}});
    std::vector<Side> theirs;
    if (node != nullptr) theirs = {{"node", {}}, {"node-no-sync", {}}};
    // What a round has made is removed when all are done, and each side of a round lies apart: for
    // some minutes after files were removed ext4 takes long to make others near them.
    std::uint64_t rounds = 0;
    const auto directory_of = [&](const Side& side) {
        const std::string directory =
            scratch.path("readers-" + std::to_string(parameters.readers) + "-round-" +
                         std::to_string(rounds) + "-" + side.variant);
        std::filesystem::create_directory(directory);
        return directory;
    };
    const auto each = [&](double budget_s, auto&& take) {
        for (Side& side : ours)
            take(side, round_of(parameters, side.variant, directory_of(side), budget_s));
        for (Side& side : theirs)
            take(side,
                 node->round(parameters, directory_of(side), budget_s, side.variant == "node"));
        ++rounds;
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
    scratch.spread();
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
