// import-nes: a storage of node-event-storage carried over into a store, compared, synced and
// closed; and the same once more, when everything is there.
#include <varve/nes_import.hpp>

#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kStreams = 1000;
constexpr std::uint64_t kTypes = 10;

nes::StorageOptions source_options(const std::string& directory, bool mapped) {
    nes::StorageOptions options;
    options.name = "bench";
    options.index_directory = directory + "/streams";
    options.access = Access::read_write;
    options.layout = mapped ? nes::Layout::mapped : nes::Layout::classic;
    return options;
}

/// What an event store writes: 200 bytes of payload with a type and two tags, commits of one and of
/// three events, an index per stream and type.
void make_source(const std::string& directory, std::uint64_t events, bool mapped) {
    auto storage = must(nes::Storage::open(directory, source_options(directory, mapped)), "open");
    for (std::uint64_t n = 0; n < kStreams; ++n) {
        const std::string name = "account-" + std::to_string(n);
        must_do(storage.ensure_index("stream-" + name, "{\"stream\":\"" + name + "\"}"), "index");
    }
    for (std::uint64_t n = 0; n < kTypes; ++n) {
        const std::string name = "Kind" + std::to_string(n);
        must_do(storage.ensure_index("stream-" + name, R"({"payload":{"type":")" + name + "\"}}"),
                "index");
    }
    Random random(7);
    std::vector<std::uint64_t> versions(kStreams);
    const std::string filler(90, 'x');
    for (std::uint64_t n = 0; n < events;) {
        const std::uint64_t size = std::min<std::uint64_t>(n % 2 == 0 ? 1 : 3, events - n);
        const std::uint64_t stream = random.next() % kStreams;
        const std::string name = "account-" + std::to_string(stream);
        const std::uint64_t first = n;
        for (std::uint64_t version = 0; version < size; ++version, ++n) {
            const std::string number = std::to_string(n);
            must(
                storage.write(
                    R"({"stream":")" + name + R"(","payload":{"type":"Kind)" +
                        std::to_string(random.next() % kTypes) + R"(","tags":["customer/)" +
                        std::to_string(stream % 100) + R"(","order/)" + number + R"("],"amount":)" +
                        number + R"(,"text":")" + filler + R"("},"metadata":{"commitId":)" +
                        std::to_string(first) + R"(,"committedAt":1700000000000,"commitVersion":)" +
                        std::to_string(version) + R"(,"commitSize":)" + std::to_string(size) +
                        R"(,"streamVersion":)" + std::to_string(versions[stream]++) + "}}",
                    name),
                "write");
        }
    }
    must_do(storage.close(), "close");
}

/// Seconds of an import with everything that belongs to it.
double import_once(const std::string& directory, const std::string& target, bool compare,
                   std::uint64_t events, std::uint64_t known) {
    nes::ImportOptions options;
    options.directory = directory;
    options.name = "bench";
    options.compare = compare;
    OpenOptions level;
    level.durability = Durability::os;
    const double begin = seconds_now();
    auto store = must(Store::open(target, level), "open");
    const auto report = must(nes::import_storage(store, options), "import");
    must_do(store.close(), "close");
    const double wall = seconds_now() - begin;
    const bool whole = report.imported + report.present == events && report.present == known;
    if (!whole || report.weight() != nes::Weight::note)
        must_do(Error{.message = "the import is not whole"}, "import");
    return wall;
}

}  // namespace

void run_import_nes(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    const bool mapped = parameters.variant == "nes-mapped";
    const Scratch scratch(parameters.directory);
    const std::string source = scratch.path("source");
    make_source(source, parameters.events, mapped);
    const auto count = static_cast<double>(parameters.events);
    Side side{mapped ? "nes-mapped" : "nes-classic", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        const std::uint64_t events = parameters.events;
        Metrics metrics;
        const double cpu = cpu_seconds_now();
        metrics["events_per_s"] =
            count / import_once(source, own.path("compared"), true, events, 0);
        metrics["cpu_us_per_event"] = (cpu_seconds_now() - cpu) * 1e6 / count;
        metrics["events_per_s_no_compare"] =
            count / import_once(source, own.path("copied"), false, events, 0);
        metrics["events_per_s_again"] =
            count / import_once(source, own.path("copied"), false, events, events);
        side.rounds.push_back(metrics);
    }
    report(parameters, {side});
}

}  // namespace varve::bench
