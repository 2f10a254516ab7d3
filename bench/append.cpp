// append: one thread, latency of every call. Rounds of varve and of its peers alternate.
//
// Variants: `ids` gives every event a random id, in a store that holds many; `cold-streams` appends
// to streams that are new, or were last written long ago.
#include <cstring>

#include "database.hpp"
#include "processes.hpp"

namespace varve::bench {

Metrics append_metrics(const Latencies& latencies, double wall, double cpu, std::uint64_t events) {
    const auto count = static_cast<double>(events);
    return {{"ns_per_event", wall / count * 1e9},     {"events_per_s", count / wall},
            {"p50_ns", latencies.percentile(0.5)},    {"p99_ns", latencies.percentile(0.99)},
            {"p999_ns", latencies.percentile(0.999)}, {"max_ns", latencies.max()},
            {"cpu_ns_per_event", cpu / count * 1e9}};
}

namespace {

/// Appends `total` events, `batch` a call; what `change` does to a run of them is not timed.
Metrics append_round(const Parameters& parameters, Database& database, Workload& workload,
                     std::uint64_t total,
                     const std::function<void(std::vector<NewEvent>&)>& change = {}) {
    std::vector<NewEvent> events(4096 / parameters.batch * parameters.batch);
    Latencies latencies;
    double wall = 0;
    double cpu = 0;
    std::uint64_t done = 0;
    while (done < total) {
        workload.fill(events);
        if (change) change(events);
        const double cpu_begin = cpu_seconds_now();
        const auto begin = std::chrono::steady_clock::now();
        auto before = begin;
        for (std::size_t at = 0; at < events.size(); at += parameters.batch) {
            database.append(std::span<const NewEvent>(&events[at], parameters.batch));
            const auto now = std::chrono::steady_clock::now();
            latencies.add(
                static_cast<std::uint64_t>(std::chrono::nanoseconds(now - before).count()));
            before = now;
        }
        wall += std::chrono::duration<double>(before - begin).count();
        cpu += cpu_seconds_now() - cpu_begin;
        done += events.size();
    }
    return append_metrics(latencies, wall, cpu, done);
}

void plain(const Parameters& parameters, const Scratch& scratch, std::vector<Side>& sides) {
    Workload workload(parameters.workload == "wide", parameters.size);
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        for (Side& side : sides) {
            const Scratch own(scratch.path());
            const auto database =
                open_database(side.variant, own.path("store"), {.level = parameters.durability()});
            // Peers take longer: a fifth of the events says as much about them.
            const std::uint64_t total =
                side.variant == "varve" ? parameters.events : parameters.events / 5;
            side.rounds.push_back(append_round(parameters, *database, workload, total));
        }
    }
}

EventId random_id(Random& random) {
    EventId id;
    for (std::size_t at = 0; at < id.bytes.size(); at += 4) {
        const std::uint64_t word = random.next() ^ random.next() << 7;
        std::memcpy(&id.bytes[at], &word, 4);
    }
    return id;
}

constexpr std::uint64_t kMeasured = 200'000;  ///< appends per round in a filled store

void with_ids(const Parameters& parameters, const Scratch& scratch, std::vector<Side>& sides) {
    Workload workload(parameters.workload == "wide", parameters.size);
    Random random(7);
    const auto name_all = [&](std::vector<NewEvent>& events) {
        for (NewEvent& event : events) event.id = random_id(random);
    };
    for (Side& side : sides) {
        const auto database =
            open_database(side.variant, scratch.path(side.variant), {.level = Durability::os});
        load(*database, workload, parameters.events,
             [&](std::vector<NewEvent>& events, std::uint64_t) { name_all(events); });
    }
    const std::uint64_t total = std::min(kMeasured, parameters.events);
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        for (Side& side : sides) {
            const auto database = open_database(side.variant, scratch.path(side.variant),
                                                {.level = parameters.durability()});
            side.rounds.push_back(append_round(parameters, *database, workload, total, name_all));
        }
    }
}

/// Streams that were written once, before everything else, and how many appends have used up.
struct OldStreams {
    std::uint64_t count = 0;
    std::uint64_t used = 0;  ///< of the old ones, and as many of the new ones
};

std::string stream_name(const char* kind, std::uint64_t n) {
    return std::string(kind) + "-" + std::to_string(n * 2'654'435'761U % (1U << 31U));
}

/// One append to a stream of the long past, one to a stream that is new, in turn.
Metrics cold_round(const Parameters& parameters, Database& database, Workload& workload,
                   OldStreams& streams) {
    const DiskReads reads;
    const std::uint64_t pairs = streams.count / parameters.rounds;
    Latencies all;
    Latencies fresh;
    Latencies old;
    std::vector<NewEvent> events(2);
    double wall = 0;
    const double cpu_begin = cpu_seconds_now();
    for (std::uint64_t n = 0; n < pairs; ++n, ++streams.used) {
        workload.fill(events);
        const std::string names[] = {stream_name("old", streams.used),
                                     stream_name("fresh", streams.used)};
        for (std::size_t kind = 0; kind < 2; ++kind) {
            events[kind].stream = names[kind];
            const auto begin = std::chrono::steady_clock::now();
            database.append(std::span<const NewEvent>(&events[kind], 1));
            const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
            wall += static_cast<double>(took.count()) / 1e9;
            all.add(static_cast<std::uint64_t>(took.count()));
            (kind == 0 ? old : fresh).add(static_cast<std::uint64_t>(took.count()));
        }
    }
    Metrics metrics = append_metrics(all, wall, cpu_seconds_now() - cpu_begin, all.count());
    metrics["old_stream_p50_ns"] = old.percentile(0.5);
    metrics["new_stream_p50_ns"] = fresh.percentile(0.5);
    metrics["read_bytes"] = reads.bytes();
    metrics["major_faults"] = reads.major_faults();
    return metrics;
}

void cold_streams(const Parameters& parameters, const Scratch& scratch, std::vector<Side>& sides) {
    Workload workload(parameters.workload == "wide", parameters.size);
    OldStreams streams{std::min<std::uint64_t>(60'000, parameters.events), 0};
    std::vector<OldStreams> each(sides.size(), streams);
    for (const Side& side : sides) {
        const auto database =
            open_database(side.variant, scratch.path(side.variant), {.level = Durability::os});
        std::vector<std::string> names(512);
        load(*database, workload, streams.count,
             [&](std::vector<NewEvent>& events, std::uint64_t first) {
                 for (std::size_t n = 0; n < events.size(); ++n)
                     events[n].stream = names[n] = stream_name("old", first + n);
             });
        load(*database, workload, parameters.events);
    }
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        for (std::size_t n = 0; n < sides.size(); ++n) {
            const std::string directory = scratch.path(sides[n].variant);
            if (parameters.cold) drop_cache(directory);
            const auto database =
                open_database(sides[n].variant, directory, {.level = parameters.durability()});
            sides[n].rounds.push_back(cold_round(parameters, *database, workload, each[n]));
        }
    }
}

}  // namespace

void run_append(const Parameters& given) {
    if (given.conditional) return run_conditional(given);
    Parameters parameters = given;
    if (parameters.events == 0)
        parameters.events = parameters.variant.empty() ? 5'000'000 : 1'000'000;
    if (!parameters.variant.empty() && !parameters.peers_asked) parameters.peers.clear();
    const Scratch scratch(parameters.directory);
    std::vector<Side> sides{{"varve", {}}};
    for (const std::string& peer : parameters.peers) sides.push_back({peer, {}});
    if (parameters.variant == "ids")
        with_ids(parameters, scratch, sides);
    else if (parameters.variant == "cold-streams")
        cold_streams(parameters, scratch, sides);
    else
        plain(parameters, scratch, sides);
    report(parameters, sides);
}

}  // namespace varve::bench
