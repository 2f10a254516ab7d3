// import: the command line's import of a file, as a process of its own, from its start to its end.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench.hpp"

namespace varve::bench {

namespace {

std::string beside_me(const char* name) {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

/// The file `repeat` times, one behind the other. Frames of zstd and lines may simply follow each
/// other.
std::string repeated(const Parameters& parameters, const Scratch& scratch) {
    if (parameters.repeat <= 1) return parameters.file;
    std::ifstream in(parameters.file, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    const std::string path = scratch.path("repeated");
    std::ofstream out(path, std::ios::binary);
    for (std::uint64_t n = 0; n < parameters.repeat; ++n) out << content.str();
    return path;
}

double anonymous_mb(pid_t child) {
    std::ifstream file("/proc/" + std::to_string(child) + "/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("RssAnon:")) return std::stod(line.substr(8)) / 1024;
    }
    return 0;
}

Metrics import_round(const std::string& file, const std::string& store) {
    double anonymous = 0;
    const double begin = seconds_now();
    import_file(file, store, &anonymous);
    const double wall = seconds_now() - begin;
    OpenOptions options;
    options.access = Access::read_only;
    const Store imported = must(Store::open(store, options), "open");
    const Stats stats = must(imported.stats(), "stats");
    return {{"events_per_s", static_cast<double>(stats.events) / wall},
            {"wall_ms", wall * 1000},
            {"files", static_cast<double>(stats.files)},
            {"anon_mb", anonymous}};
}

}  // namespace

void import_file(const std::string& file, const std::string& store, double* anonymous) {
    const std::string program = beside_me("varve");
    const pid_t child = ::fork();
    if (child == 0) {
        if (::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(3);
        ::execl(program.c_str(), program.c_str(), "import", store.c_str(), file.c_str(),
                static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    // Looked at every two milliseconds, which the wall time of the child does not notice on another
    // core.
    while (::waitpid(child, &status, WNOHANG) == 0) {
        if (anonymous != nullptr) *anonymous = std::max(*anonymous, anonymous_mb(child));
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    std::fprintf(stderr, "varve-bench: '%s import' failed\n", program.c_str());
    std::exit(3);
}

void run_import(const Parameters& parameters) {
    const Scratch scratch(parameters.directory);
    const std::string file = repeated(parameters, scratch);
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        ours.rounds.push_back(import_round(file, own.path("store")));
    }
    report(parameters, {ours});
}

}  // namespace varve::bench
