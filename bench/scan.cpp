// scan, stream-read, tag-read: what a snapshot gives back, warm or with the cache of its own files
// dropped.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "bench.hpp"

namespace varve::bench {

namespace {

void drop_cache(const std::string& directory) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ::fdatasync(file);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

Metrics metrics_of(std::uint64_t events, double wall) {
    return {{"ns_per_event", wall / static_cast<double>(events) * 1e9},
            {"events_per_s", static_cast<double>(events) / wall}};
}

/// Reads what `source` names and touches each event's data.
std::uint64_t consume(const Snapshot& snapshot, Source source, Verify verify, std::uint64_t& sum) {
    ReadOptions options;
    options.verify = verify;
    std::uint64_t events = 0;
    must(snapshot.read(source, options).for_each([&](const EventView& event) {
        sum += event.data.empty() ? 1U : static_cast<unsigned char>(event.data.front());
        ++events;
    }),
         "read");
    return events;
}

void build(const Parameters& parameters, Store& store) {
    Workload workload(parameters.workload == "wide", parameters.size);
    std::vector<NewEvent> events(512);
    for (std::uint64_t done = 0; done < parameters.events; done += events.size()) {
        workload.fill(events);
        must(store.append(events), "append");
    }
}

/// Every tag on ten events that lie far apart.
void build_tags(const Parameters& parameters, Store& store, std::vector<std::string>& tags) {
    constexpr std::uint64_t kEvents = 10;
    const std::uint64_t count = parameters.events / kEvents;
    for (std::uint64_t n = 0; n < count; ++n) tags.push_back("customer/" + std::to_string(n));
    const std::string data(parameters.size, 'd');
    std::vector<NewEvent> events;
    for (std::uint64_t n = 0; n < count * kEvents; ++n) {
        NewEvent event;
        event.stream = "orders";
        event.type = "OrderPlaced";
        event.tags.push_back(tags[(n * 7919) % count]);
        event.data = data;
        events.push_back(event);
        if (events.size() < 512 && n + 1 < count * kEvents) continue;
        must(store.append(events), "append");
        events.clear();
    }
}

}  // namespace

void run_scan(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    const Scratch scratch(parameters.directory);
    OpenOptions options;
    options.durability = Durability::os;
    Store store = must(Store::open(scratch.path("store"), options), "open");
    std::vector<std::string> tags;
    if (parameters.scenario == "tag-read")
        build_tags(parameters, store, tags);
    else
        build(parameters, store);
    must(store.sync(), "sync");
    const bool peer = parameters.peer == "lmdb" && parameters.scenario == "scan";
    std::filesystem::create_directory(scratch.path("lmdb"));
    if (peer)
        static_cast<void>(
            lmdb_append(scratch.path("lmdb"), parameters.events, 100, parameters.size));
    const Snapshot snapshot = must(store.snapshot(), "snapshot");
    auto streams = must(snapshot.streams(), "streams");
    Side ours{"varve", {}};
    Side theirs{"lmdb", {}};
    std::uint64_t sum = 0;
    std::uint64_t random = 1;
    for (std::uint64_t round = 0; round <= parameters.rounds; ++round) {
        if (parameters.cold) drop_cache(scratch.path("store"));
        std::uint64_t events = 0;
        const double begin = seconds_now();
        if (parameters.scenario == "scan") {
            events = consume(snapshot, Source::all(), parameters.verification(), sum);
        } else {
            const std::uint64_t reads = parameters.scenario == "tag-read" ? 100'000 : 2'000;
            for (std::uint64_t n = 0; n < reads; ++n) {
                random = random * 6364136223846793005ULL + 1442695040888963407ULL;
                const std::string& name = tags.empty()
                                              ? streams[(random >> 33) % streams.size()].name
                                              : tags[(random >> 33) % tags.size()];
                events += consume(snapshot, tags.empty() ? Source::stream(name) : Source::tag(name),
                                  parameters.verification(), sum);
            }
        }
        const Metrics metrics = metrics_of(events, seconds_now() - begin);
        if (round > 0 || parameters.cold)
            ours.rounds.push_back(metrics);  // the first one warms the cache
        if (peer && round > 0) theirs.rounds.push_back(lmdb_scan(scratch.path("lmdb")));
    }
    if (sum == 0) std::exit(3);
    std::vector<Side> sides{ours};
    if (peer) sides.push_back(theirs);
    report(parameters, sides);
}

}  // namespace varve::bench
