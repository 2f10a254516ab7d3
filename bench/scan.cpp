// scan, stream-read, tag-read: what a database gives back, warm, or with the cache of its own files
// dropped. Rounds of varve and of its peers alternate.
//
// Cold rounds close the database first: the page cache keeps what somebody has mapped.
#include "database.hpp"
#include "processes.hpp"

namespace varve::bench {

namespace {

/// What the rounds of this run read.
struct Plan {
    Parameters parameters;
    std::vector<std::string> names;  ///< of streams or tags; empty: everything in order
    std::uint64_t reads = 1;         ///< names per round
    Random random{1};

    [[nodiscard]] bool tags() const { return parameters.scenario == "tag-read"; }
    [[nodiscard]] std::vector<std::string> pick() {
        std::vector<std::string> picked;
        for (std::uint64_t n = 0; n < reads && !names.empty(); ++n)
            picked.push_back(names[random.next() % names.size()]);
        return picked;
    }
};

constexpr const char* kOneAtATime = "one-at-a-time";  ///< a side that only cold rounds have

/// `reads`: what the disk was asked for meanwhile, if that says anything.
Metrics metrics_of(std::uint64_t events, double wall, const DiskReads* reads) {
    const auto count = static_cast<double>(events);
    Metrics metrics{{"ns_per_event", wall / count * 1e9}, {"events_per_s", count / wall}};
    if (reads == nullptr) return metrics;
    metrics["read_bytes"] = reads->bytes();
    metrics["major_faults"] = reads->major_faults();
    metrics["disk_bytes_per_event"] = metrics["read_bytes"] / count;
    return metrics;
}

Metrics measure(const Plan& plan, Database& database, const std::vector<std::string>& names) {
    std::uint64_t sum = 0;
    std::uint64_t events = 0;
    const DiskReads reads;
    const double begin = seconds_now();
    if (plan.names.empty()) events = database.scan(sum);
    for (const std::string& name : names)
        events += plan.tags() ? database.read_tag(name, sum) : database.read_stream(name, sum);
    const double wall = seconds_now() - begin;
    if (sum == 0 || events == 0) {
        std::fprintf(stderr, "varve-bench: nothing was read\n");
        std::exit(3);
    }
    return metrics_of(events, wall, plan.parameters.cold ? &reads : nullptr);
}

/// The events of those tags, each fetched by its position, the cache dropped before: what a read
/// by tag would cost if it waited for one event after the other. Finding out the positions is not
/// part of it.
Metrics one_at_a_time(const Plan& plan, const std::string& directory,
                      const std::vector<std::string>& names) {
    OpenOptions options;
    options.access = Access::read_only;
    std::vector<Position> positions;
    {
        const Store store = must(Store::open(directory, options), "open");
        const Snapshot snapshot = must(store.snapshot(), "snapshot");
        for (const std::string& name : names) {
            must(snapshot.read(Source::tag(name)).for_each([&](const EventView& event) {
                positions.push_back(event.position);
            }),
                 "read");
        }
    }
    drop_cache(directory);
    const Store store = must(Store::open(directory, options), "open");
    const Snapshot snapshot = must(store.snapshot(), "snapshot");
    std::uint64_t sum = 0;
    const DiskReads reads;
    const double begin = seconds_now();
    for (const Position position : positions)
        sum += must(snapshot.at(position, plan.parameters.verification()), "read").data.size() + 1;
    const double wall = seconds_now() - begin;
    if (sum == 0) std::exit(3);
    return metrics_of(positions.size(), wall, &reads);
}

/// Every tag on ten events that lie far apart.
void load_tags(const Plan& plan, Database& database) {
    constexpr std::uint64_t kEvents = 10;
    const std::uint64_t count = plan.names.size();
    const std::string data(plan.parameters.size, 'd');
    std::vector<NewEvent> events;
    for (std::uint64_t n = 0; n < count * kEvents; ++n) {
        NewEvent event;
        event.stream = "orders";
        event.type = "OrderPlaced";
        event.tags.push_back(plan.names[(n * 7919) % count]);
        event.data = data;
        events.push_back(event);
        if (events.size() < 512 && n + 1 < count * kEvents) continue;
        database.append(events);
        show_progress("loading", n + 1, count * kEvents);
        events.clear();
    }
}

void fill(Plan& plan, const std::string& name, const std::string& directory) {
    const auto database = open_database(name, directory);
    if (plan.tags()) return load_tags(plan, *database);
    Workload workload(plan.parameters.workload == "wide", plan.parameters.size);
    load(*database, workload, plan.parameters.events);
}

/// The names to read from, of a store that was filled (streams) or is to be filled (tags).
void find_names(Plan& plan, const std::string& directory) {
    if (plan.parameters.scenario == "scan") return;
    const bool cold = plan.parameters.cold;
    plan.reads = plan.tags() ? (cold ? 1'000 : 100'000) : (cold ? 200 : 2'000);
    if (plan.tags()) {
        for (std::uint64_t n = 0; n < std::max<std::uint64_t>(1, plan.parameters.events / 10); ++n)
            plan.names.push_back("customer/" + std::to_string(n));
        return;
    }
    const Store store = must(Store::open(directory), "open");
    for (const CatalogueEntry& entry :
         must(must(store.snapshot(), "snapshot").streams(), "streams"))
        plan.names.push_back(entry.name);
}

std::vector<Side> sides_of(const Plan& plan) {
    std::vector<Side> sides{{"varve", {}}};
    for (const std::string& peer : plan.parameters.peers) {
        if (peer == "lmdb" && plan.parameters.scenario != "scan") {
            if (plan.parameters.peers_asked)
                std::fprintf(stderr, "varve-bench: peer lmdb keeps no index: not in %s\n",
                             plan.parameters.scenario.c_str());
            continue;
        }
        sides.push_back({peer, {}});
    }
    if (plan.parameters.cold && plan.tags()) sides.push_back({kOneAtATime, {}});
    return sides;
}

void measure_cold(Plan& plan, const Scratch& scratch, std::vector<Side>& sides) {
    const HowToOpen how{.level = Durability::os, .verify = plan.parameters.verification()};
    for (std::uint64_t round = 0; round < plan.parameters.rounds; ++round) {
        const std::vector<std::string> names = plan.pick();
        for (Side& side : sides) {
            const bool slowly = side.variant == kOneAtATime;
            const std::string directory = scratch.path(slowly ? "varve" : side.variant);
            if (slowly) {
                side.rounds.push_back(one_at_a_time(plan, directory, names));
                continue;
            }
            drop_cache(directory);
            HowToOpen mine = how;
            mine.reader = true;  // a writer would bring pages in beforehand
            side.rounds.push_back(
                measure(plan, *open_database(side.variant, directory, mine), names));
        }
    }
}

void measure_warm(Plan& plan, const Scratch& scratch, std::vector<Side>& sides) {
    const HowToOpen how{.level = Durability::os, .verify = plan.parameters.verification()};
    std::vector<std::unique_ptr<Database>> databases;
    for (const Side& side : sides)
        databases.push_back(open_database(side.variant, scratch.path(side.variant), how));
    for (std::uint64_t round = 0; round <= plan.parameters.rounds; ++round) {
        const std::vector<std::string> names = plan.pick();
        for (std::size_t n = 0; n < sides.size(); ++n) {
            const Metrics metrics = measure(plan, *databases[n], names);
            if (round > 0) sides[n].rounds.push_back(metrics);  // the first one warms the cache
        }
    }
}

}  // namespace

void run_scan(const Parameters& given) {
    Plan plan{.parameters = given, .names = {}};
    if (plan.parameters.events == 0) plan.parameters.events = 1'000'000;
    const Scratch scratch(plan.parameters.directory);
    std::vector<Side> sides = sides_of(plan);
    if (plan.tags()) find_names(plan, {});
    for (const Side& side : sides) {
        if (side.variant != kOneAtATime) fill(plan, side.variant, scratch.path(side.variant));
    }
    if (!plan.tags()) find_names(plan, scratch.path("varve"));
    if (plan.parameters.cold)
        measure_cold(plan, scratch, sides);
    else
        measure_warm(plan, scratch, sides);
    report(plan.parameters, sides);
}

}  // namespace varve::bench
