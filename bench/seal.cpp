// seal: how fast segments get their sealed indexes, and what appends feel of it.
//
// Sealing alone: the index directory of a loaded store is removed, opening makes the indexes of
// young segments from the log, and closing seals them, which is what is timed. Beside appends: a
// store of small segments, in which sealing and merging run all the time; appends pause a
// millisecond after each run of them, so that merging gets its turn. The counts of sealed segments
// and merged indexes say that both happened.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "database.hpp"
#include "processes.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kSmallSegment = 1 << 20;
constexpr std::uint64_t kRun = 512;  ///< appends between two pauses
constexpr double kPatience = 60;     ///< seconds that a first merge may take after the last event

[[noreturn]] void wrong(const char* what) {
    std::fprintf(stderr, "varve-bench: seal: %s\n", what);
    std::exit(3);
}

Stats stats_of(const std::string& directory) {
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(directory, options), "open");
    return must(store.stats(), "stats");
}

/// Seals the store at `directory`, which was closed; up to 4 MiB of its log stay as they are, as in
/// any store that is closed, and are not counted.
Metrics seal_alone(const std::string& directory) {
    const IndexFiles before = index_files(directory);
    std::filesystem::remove_all(directory + "/index");
    auto database = open_database("varve", directory, {.level = Durability::os});
    const double begin = seconds_now();
    append_one(*database);
    database.reset();
    const double wall = seconds_now() - begin;
    const IndexFiles made = index_files(directory);
    const double left = bytes_without_index(directory, before, made);
    if (made.sealed.empty() || left > kMayStayUnsealed) wrong("segments were not sealed");
    // All events are of one size: those that were sealed are as many as their share of the log.
    const Stats stats = stats_of(directory);
    const double log_bytes = static_cast<double>(stats.log_bytes) - left;
    const double events =
        static_cast<double>(stats.events) * log_bytes / static_cast<double>(stats.log_bytes);
    return {{"events_per_s", events / wall},
            {"bytes_per_s", log_bytes / wall},
            {"seal_ms", wall * 1000},
            {"sealed_segments", static_cast<double>(made.sealed.size())},
            {"index_share", made.sealed_bytes / log_bytes}};
}

/// Appends to a store of small segments, one event a commit, until `events` are there and some
/// indexes were merged. Adds what appends took, and how many indexes were seen to be made.
void append_beside(const Parameters& parameters, const std::string& directory, Metrics& into) {
    const auto database = open_database(
        "varve", directory, {.level = parameters.durability(), .segment_size = kSmallSegment});
    Workload workload(parameters.workload == "wide", parameters.size);
    std::vector<NewEvent> run(kRun);
    Latencies latencies;
    IndexFiles seen;
    std::uint64_t merges = 0;
    double until = 0;
    for (std::uint64_t done = 0; done < parameters.events || merges == 0; done += kRun) {
        if (done < parameters.events) until = seconds_now() + kPatience;
        if (seconds_now() > until) break;
        workload.fill(run);
        auto before = std::chrono::steady_clock::now();
        for (const NewEvent& event : run) {
            database->append(std::span<const NewEvent>(&event, 1));
            const auto now = std::chrono::steady_clock::now();
            latencies.add(
                static_cast<std::uint64_t>(std::chrono::nanoseconds(now - before).count()));
            before = now;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (done / kRun % 16 != 0) continue;
        seen = index_files(directory);
        merges = std::max(merges, seen.merged_files);
    }
    if (merges == 0) wrong("nothing was merged in time");
    into["append_avg_ns"] = latencies.average();
    into["append_p50_ns"] = latencies.percentile(0.5);
    into["append_p99_ns"] = latencies.percentile(0.99);
    into["append_p999_ns"] = latencies.percentile(0.999);
    into["append_max_ns"] = latencies.max();
    into["seals"] = static_cast<double>(seen.sealed.size());
    into["merges"] = static_cast<double>(merges);
}

}  // namespace

void run_seal(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    parameters.events = std::max<std::uint64_t>(parameters.events, 50'000);  // fewer: no seals
    const Scratch scratch(parameters.directory);
    {
        const auto database =
            open_database("varve", scratch.path("store"), {.level = Durability::os});
        Workload workload(parameters.workload == "wide", parameters.size);
        load(*database, workload, parameters.events);
    }
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        Metrics metrics = seal_alone(scratch.path("store"));
        append_beside(parameters, own.path("small"), metrics);
        ours.rounds.push_back(metrics);
    }
    report(parameters, {ours});
}

}  // namespace varve::bench
