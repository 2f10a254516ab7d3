// append: one thread, level os, latency of every call. Rounds of varve and LMDB alternate.
#include "bench.hpp"

namespace varve::bench {

namespace {

Metrics append_round(const Parameters& parameters, const std::string& directory,
                     Workload& workload) {
    OpenOptions options;
    options.durability = parameters.durability();
    Store store = must(Store::open(directory, options), "open");
    std::vector<NewEvent> events(4096 / parameters.batch * parameters.batch);
    Latencies latencies;
    double wall = 0;
    double cpu = 0;
    std::uint64_t done = 0;
    while (done < parameters.events) {
        workload.fill(events);
        const double cpu_begin = cpu_seconds_now();
        const auto begin = std::chrono::steady_clock::now();
        auto before = begin;
        for (std::size_t at = 0; at < events.size(); at += parameters.batch) {
            must(store.append(std::span<const NewEvent>(&events[at], parameters.batch)), "append");
            const auto now = std::chrono::steady_clock::now();
            latencies.add(
                static_cast<std::uint64_t>(std::chrono::nanoseconds(now - before).count()));
            before = now;
        }
        wall += std::chrono::duration<double>(before - begin).count();
        cpu += cpu_seconds_now() - cpu_begin;
        done += events.size();
    }
    const auto count = static_cast<double>(done);
    return {{"ns_per_event", wall / count * 1e9},     {"events_per_s", count / wall},
            {"p50_ns", latencies.percentile(0.5)},    {"p99_ns", latencies.percentile(0.99)},
            {"p999_ns", latencies.percentile(0.999)}, {"max_ns", latencies.max()},
            {"cpu_ns_per_event", cpu / count * 1e9}};
}

}  // namespace

void run_append(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 5'000'000;
    const Scratch scratch(parameters.directory);
    Workload workload(parameters.workload == "wide", parameters.size);
    Side ours{"varve", {}};
    Side theirs{"lmdb", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        {
            const Scratch own(scratch.path());
            ours.rounds.push_back(append_round(parameters, own.path("store"), workload));
        }
        if (parameters.peer != "lmdb") continue;
        const Scratch own(scratch.path());
        theirs.rounds.push_back(
            lmdb_append(own.path(), parameters.events / 5, parameters.batch, parameters.size));
    }
    std::vector<Side> sides{ours};
    if (!theirs.rounds.empty()) sides.push_back(theirs);
    report(parameters, sides);
}

}  // namespace varve::bench
