// varve-bench: measures varve, beside a peer where there is one, interleaved in the same run.
#include <CLI/CLI.hpp>

#include "bench.hpp"

int main(int count, char** values) {
    using namespace varve::bench;
    Parameters parameters;
    CLI::App app(
        "Measures varve. Medians over the rounds are reported; a peer's rounds alternate with "
        "ours.",
        "varve-bench");
    const std::map<std::string, void (*)(const Parameters&)> scenarios = {
        {"append", run_append},           {"append-durable", run_durable},
        {"raw-durable", run_raw_durable}, {"scan", run_scan},
        {"stream-read", run_scan},        {"tag-read", run_scan},
        {"visibility", run_visibility},   {"import", run_import}};
    std::vector<std::string> names;
    for (const auto& [name, run] : scenarios) names.push_back(name);
    app.add_option("SCENARIO", parameters.scenario, "what to measure")
        ->required()
        ->check(CLI::IsMember(names));
    app.add_option("FILE", parameters.file, "for import: NDJSON, plain, .gz or .zst")
        ->check(CLI::ExistingFile);
    app.add_option("--events", parameters.events, "how many")->check(CLI::PositiveNumber);
    app.add_option("--threads", parameters.threads, "for append-durable")
        ->check(CLI::Range(1, 1024));
    app.add_option("--batch", parameters.batch, "events per commit")->check(CLI::Range(1, 4096));
    app.add_option("--size", parameters.size, "bytes of data per event")
        ->check(CLI::Range(0, 1 << 20));
    app.add_option("--readers", parameters.readers, "for visibility: reader processes")
        ->check(CLI::Range(1, 256));
    app.add_option("--level", parameters.level, "what an append waits for")
        ->check(CLI::IsMember({"os", "disk"}));
    app.add_option("--workload", parameters.workload, "shape of the events")
        ->check(CLI::IsMember({"hot", "wide"}));
    app.add_option("--verify", parameters.verify, "checks while reading")
        ->check(CLI::IsMember({"always", "trusted"}));
    app.add_option("--peer", parameters.peer, "beside whom")
        ->check(CLI::IsMember({"lmdb", "none"}));
    app.add_option("--rounds", parameters.rounds, "of which medians are taken")
        ->check(CLI::Range(1, 100));
    app.add_option("--repeat", parameters.repeat, "for import: the file so many times")
        ->check(CLI::Range(1, 1000));
    app.add_option("--dir", parameters.directory, "where to make a directory for the run")
        ->check(CLI::ExistingDirectory);
    app.add_flag("--cold", parameters.cold,
                 "for reads: drop the cache of the store's files before each round");
    app.add_flag("--json", parameters.json, "one JSON object per line");
    try {
        app.parse(count, values);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (parameters.scenario == "import" && parameters.file.empty()) {
        std::fprintf(stderr, "varve-bench: import needs a FILE\n");
        return 2;
    }
    if (parameters.scenario == "visibility" && app.count("--level") == 0) parameters.level = "disk";
    if (app.count("--peer") == 0) parameters.peer = "lmdb";
    scenarios.at(parameters.scenario)(parameters);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
    std::fprintf(stderr, "varve-bench: cannot write standard output\n");
    return 3;
}
