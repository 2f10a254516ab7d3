// varve-bench: measures varve, beside its peers where there are any, interleaved in the same run.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "database.hpp"

namespace {

using namespace varve::bench;

const std::map<std::string, void (*)(const Parameters&)> kScenarios = {
    {"append", run_append},
    {"append-durable", run_durable},
    {"raw-durable", run_raw_durable},
    {"scan", run_scan},
    {"stream-read", run_scan},
    {"tag-read", run_scan},
    {"visibility", run_visibility},
    {"import", run_import},
    {"open", run_open},
    {"catalogue", run_catalogue},
    {"rebuild", run_rebuild},
    {"seal", run_seal},
    {"verify", run_verify},
    {"matcher", run_matcher},
    {"derived", run_derived},
    {"query", run_query},
    {"contention", run_contention},
    {"nes", run_nes},
    {"seed-index", run_seed},
    {"seed-storage", run_seed},
    {"import-nes", run_import_nes},
    {"speedrun", run_speedrun},
    {"consumer", run_consumer}};

constexpr const char* kAbout =
    "Measures varve. Medians over the rounds are reported; rounds of the peers alternate with "
    "ours.";

constexpr const char* kMore =
    "open: clean_ms, killed_ms, recovered_ms and crashed_ms each open the store in a fresh "
    "process, "
    "read the last event, the version of a random stream and one tag of ten events, and append "
    "one. "
    "recovered: closed, then the page cache of its files dropped and the boot id of the machine "
    "replaced by another one, as after a restart, so that nothing an earlier boot left in memory "
    "is "
    "believed. crashed: the same without closing; crashed_mib of log were appended since the last "
    "close. LMDB keeps no index and finds no names: it reads the last event and appends.";

/// Which variants there are, and of what.
const std::map<std::string, std::vector<std::string>> kVariants = {
    {"append", {"cold-streams", "ids"}},
    {"matcher", {"parse", "absent", "absent-short"}},
    {"derived", {"absent", "unwanted", "matching"}},
    {"contention", {"one", "disjoint"}},
    {"query", {"rare"}},
    {"consumer", {"state", "each", "group", "idle", "many"}},
    {"visibility", {"nes-classic", "nes-mapped"}},
    {"nes", {"nes-classic", "nes-mapped", "open-close"}},
    {"seed-index", {"varve", "nes-classic", "nes-mapped"}},
    {"seed-storage", {"varve", "nes-classic", "nes-mapped"}},
    {"import-nes", {"nes-classic", "nes-mapped"}}};

std::vector<std::string> all_variants() {
    std::vector<std::string> all;
    for (const auto& [scenario, variants] : kVariants)
        all.insert(all.end(), variants.begin(), variants.end());
    return all;
}

bool has_variant(const Parameters& parameters) {
    const auto found = kVariants.find(parameters.scenario);
    return found != kVariants.end() && std::find(found->second.begin(), found->second.end(),
                                                 parameters.variant) != found->second.end();
}

void add_sizes(CLI::App& app, Parameters& parameters) {
    app.add_option("--events", parameters.events, "how many")->check(CLI::PositiveNumber);
    app.add_option("--threads", parameters.threads,
                   "for append-durable, contention (default: 1, 4, 16, 64), speedrun")
        ->check(CLI::Range(1, 1024));
    app.add_option("--batch", parameters.batch, "events per commit")->check(CLI::Range(1, 4096));
    app.add_option("--size", parameters.size, "bytes of data per event")
        ->check(CLI::Range(0, 1 << 20));
    app.add_option(
           "--readers", parameters.readers,
           "for visibility: reader processes; for consumer: consumer processes; for seed-index and "
           "seed-storage: passes over what was written (default: 1, 2, 4, 8, 16)")
        ->check(CLI::Range(1, 256));
    app.add_option("--rounds", parameters.rounds, "of which medians are taken")
        ->check(CLI::Range(1, 100));
    app.add_option("--repeat", parameters.repeat, "for import: the file so many times")
        ->check(CLI::Range(1, 1000));
}

void add_choices(CLI::App& app, Parameters& parameters) {
    app.add_option("--level", parameters.level, "what an append waits for")
        ->check(CLI::IsMember({"os", "disk"}));
    app.add_option("--workload", parameters.workload, "shape of the events")
        ->check(CLI::IsMember({"hot", "wide"}));
    app.add_option(
           "--variant", parameters.variant,
           "for append: cold-streams (to new streams and to those last written --events "
           "ago), ids (random ids, --events of them there before); for matcher: parse, "
           "absent, absent-short; for derived: absent, unwanted, matching (what the JSON has of "
           "the fields that streams wait for); for contention: one (all threads on one boundary), "
           "disjoint (each on its own) (default: all of them); for visibility, nes and "
           "import-nes: nes-classic, nes-mapped; for nes also open-close (--events openings and "
           "closings of "
           "files, which must leave nothing behind); for seed-index and seed-storage: varve, "
           "nes-classic, nes-mapped (default: all of them); for query: rare (two rare tags); for "
           "consumer: state "
           "(acknowledgements carry 100 bytes of state), each (and every event has its "
           "own), group (members of one group), idle (1,000 subscriptions that wait while somebody "
           "appends), many (10,000 consumers that are there while somebody opens the store)")
        ->check(CLI::IsMember(all_variants()));
    app.add_option("--verify", parameters.verify, "checks while reading")
        ->check(CLI::IsMember({"always", "trusted"}));
    app.add_option("--peer", parameters.peers,
                   "beside whom; may be repeated (default: lmdb); node: node-event-storage, for "
                   "seed-index and seed-storage, installed by npm at first use")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"lmdb", "sqlite", "rocksdb", "node", "none"}));
    app.add_option("--dir", parameters.directory, "where to make a directory for the run")
        ->check(CLI::ExistingDirectory);
    app.add_flag("--cold", parameters.cold,
                 "for reads and cold-streams: drop the cache of the store's files before each "
                 "round");
    app.add_flag("--conditional", parameters.conditional,
                 "for append and append-durable: every append carries a condition; beside it the "
                 "same without");
    app.add_flag("--json", parameters.json, "one JSON object per line");
}

/// A word about what does not fit together, else null.
const char* complaint(const Parameters& parameters) {
    const std::string& scenario = parameters.scenario;
    if ((scenario == "import" || scenario == "query") && parameters.file.empty())
        return "import and query need a FILE";
    if (!parameters.variant.empty() && !has_variant(parameters))
        return "that --variant is not one of this scenario";
    const bool takes = scenario == "append" || scenario == "append-durable";
    if (parameters.conditional && (!takes || !parameters.variant.empty()))
        return "--conditional is for append and append-durable without a --variant";
    const bool seed = scenario == "seed-index" || scenario == "seed-storage";
    const auto is_node = [](const std::string& peer) { return peer == "node"; };
    if (!seed && std::any_of(parameters.peers.begin(), parameters.peers.end(), is_node))
        return "--peer node is for seed-index and seed-storage";
    return nullptr;
}

}  // namespace

int main(int count, char** values) {
    Parameters parameters;
    CLI::App app(kAbout, "varve-bench");
    app.footer(kMore);
    std::vector<std::string> names;
    for (const auto& [name, run] : kScenarios) names.push_back(name);
    app.add_option("SCENARIO", parameters.scenario, "what to measure")
        ->required()
        ->check(CLI::IsMember(names));
    app.add_option("FILE", parameters.file, "for import and query: NDJSON, plain, .gz or .zst")
        ->check(CLI::ExistingFile);
    add_sizes(app, parameters);
    add_choices(app, parameters);
    try {
        app.parse(count, values);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (const char* what = complaint(parameters); what != nullptr) {
        std::fprintf(stderr, "varve-bench: %s\n", what);
        return 2;
    }
    if (parameters.scenario == "visibility" && app.count("--level") == 0) parameters.level = "disk";
    const bool wide = parameters.scenario == "open" || parameters.scenario == "seal";
    if (wide && app.count("--workload") == 0) parameters.workload = "wide";
    parameters.threads_asked = app.count("--threads") > 0;
    parameters.readers_asked = app.count("--readers") > 0;
    parameters.peers_asked = app.count("--peer") > 0;
    std::erase_if(parameters.peers, [](const std::string& name) { return !peer_is_here(name); });
    kScenarios.at(parameters.scenario)(parameters);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
    std::fprintf(stderr, "varve-bench: cannot write standard output\n");
    return 3;
}
