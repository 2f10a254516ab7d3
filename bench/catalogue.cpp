// catalogue, rebuild, verify: what is asked of a whole store.
//
// catalogue lists every stream of a store in which each has one event, and pages of a hundred by
// their prefix; rebuild makes all indexes of a store whose index directory is gone; verify reads
// every byte.
#include <filesystem>

#include "database.hpp"
#include "processes.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kPage = 100;

std::string numbered(std::uint64_t n) {
    std::string digits = std::to_string(n);
    return "account-" + std::string(digits.size() < 9 ? 9 - digits.size() : 0, '0') + digits;
}

/// The streams that start with `prefix`, which are a page of `kPage`.
std::vector<CatalogueEntry> page(const Snapshot& snapshot, std::string_view prefix) {
    return must(snapshot.streams(prefix), "streams");
}

void load_streams(const Parameters& parameters, const std::string& directory) {
    const auto database = open_database("varve", directory);
    Workload workload(false, parameters.size);
    std::vector<std::string> names(512);
    load(*database, workload, parameters.events,
         [&](std::vector<NewEvent>& events, std::uint64_t first) {
             for (std::size_t n = 0; n < events.size(); ++n)
                 events[n].stream = names[n] = numbered(first + n);
         });
}

[[noreturn]] void wrong(const char* what) {
    std::fprintf(stderr, "varve-bench: %s\n", what);
    std::exit(3);
}

Metrics catalogue_round(const Parameters& parameters, const Snapshot& snapshot, Random& random) {
    const double begin = seconds_now();
    const auto all = must(snapshot.streams(), "streams");
    const double wall = seconds_now() - begin;
    if (all.size() != parameters.events) wrong("the catalogue misses streams");
    Latencies pages;
    for (int n = 0; n < 200; ++n) {
        // Without its last two digits a name is the prefix of a hundred.
        std::string prefix = numbered(random.next() % (parameters.events / kPage) * kPage);
        prefix.resize(prefix.size() - 2);
        const auto before = std::chrono::steady_clock::now();
        const std::size_t found = page(snapshot, prefix).size();
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - before;
        pages.add(static_cast<std::uint64_t>(took.count()));
        if (found != kPage) wrong("a page of the catalogue is not complete");
        if (seconds_now() - begin - wall > 5) break;  // enough is known
    }
    return {{"names_per_s", static_cast<double>(all.size()) / wall},
            {"list_ms", wall * 1000},
            {"page_avg_us", pages.average() / 1000},
            {"page_p50_us", pages.percentile(0.5) / 1000},
            {"page_p99_us", pages.percentile(0.99) / 1000}};
}

void fill(const Parameters& parameters, const std::string& directory) {
    const auto database = open_database("varve", directory);
    Workload workload(parameters.workload == "wide", parameters.size);
    load(*database, workload, parameters.events);
}

/// Until the store is closed again and what should be sealed is: the opening alone makes the
/// indexes of young segments, and closing seals them, all but the last 4 MiB of log or less.
Metrics rebuild_round(const Parameters& parameters, const std::string& directory) {
    const IndexFiles before = index_files(directory);
    std::filesystem::remove_all(directory + "/index");
    const double begin = seconds_now();
    auto database = open_database("varve", directory);
    const double opened = seconds_now();
    if (database->version("account-1") == 0) wrong("a stream is missing after a rebuild");
    const double answered = seconds_now();
    append_one(*database);
    database.reset();
    const double closed = seconds_now();
    const IndexFiles after = index_files(directory);
    if (after.sealed.empty() || bytes_without_index(directory, before, after) > kMayStayUnsealed)
        wrong("segments that had sealed indexes have none after a rebuild");
    const double ms = (closed - begin) * 1000;
    return {{"rebuild_ms", ms},
            {"open_ms", (opened - begin) * 1000},
            {"answered_ms", (answered - begin) * 1000},
            {"seal_ms", (closed - answered) * 1000},
            {"sealed_segments", static_cast<double>(after.sealed.size())},
            {"ms_per_10m_events", ms / static_cast<double>(parameters.events) * 1e7}};
}

}  // namespace

void run_catalogue(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    parameters.events = (parameters.events + kPage - 1) / kPage * kPage;  // whole pages
    const Scratch scratch(parameters.directory);
    load_streams(parameters, scratch.path("store"));
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(scratch.path("store"), options), "open");
    const Snapshot snapshot = must(store.snapshot(), "snapshot");
    Random random(5);
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round)
        ours.rounds.push_back(catalogue_round(parameters, snapshot, random));
    report(parameters, {ours});
}

void run_rebuild(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    const Scratch scratch(parameters.directory);
    fill(parameters, scratch.path("store"));
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round)
        ours.rounds.push_back(rebuild_round(parameters, scratch.path("store")));
    report(parameters, {ours});
}

void run_verify(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    const Scratch scratch(parameters.directory);
    fill(parameters, scratch.path("store"));
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round <= parameters.rounds; ++round) {
        const double begin = seconds_now();
        const VerifyReport found = must(Store::verify(scratch.path("store")), "verify");
        const double wall = seconds_now() - begin;
        if (found.events != parameters.events || !found.damaged.empty())
            wrong("verify finds something else than was written");
        const auto bytes = static_cast<double>(found.bytes);
        if (round == 0) continue;  // warms the cache
        ours.rounds.push_back({{"gb_per_s", bytes / wall / 1e9},
                               {"events_per_s", static_cast<double>(found.events) / wall},
                               {"verify_ms", wall * 1000},
                               {"bytes", bytes}});
    }
    report(parameters, {ours});
}

}  // namespace varve::bench
