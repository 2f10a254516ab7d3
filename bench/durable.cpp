// append-durable and raw-durable: commits that a sync has confirmed, beside pwrite and fdatasync of
// as many bytes. With --conditional every append carries a condition on a tag of its thread, and
// the same without conditions stands beside it.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <thread>

#include "database.hpp"

namespace varve::bench {

namespace {

/// Bytes this process has caused to be written to the disk so far, as the kernel counts them; 0 if
/// it does not.
double bytes_written() {
    std::ifstream file("/proc/self/io");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("write_bytes: ")) return std::stod(line.substr(13));
    }
    return 0;
}

struct DurableRound {
    double seconds = 0, commits = 0, events = 0, log_bytes = 0, written = 0;
};

/// Appends under the condition that nobody else has written to this thread's own boundary since.
class Guard {
public:
    Guard(Store& store, std::uint64_t number) : tag_("boundary/" + std::to_string(number)) {
        options_.condition.after.epoch = must(store.snapshot(), "snapshot").epoch();
    }
    void append(Store& store, std::vector<NewEvent>& events) {
        for (NewEvent& event : events) event.tags.back() = tag_;
        options_.condition.fail_if_match = Selector::tag(tag_);
        options_.condition.after.position = must(store.append(events, options_), "append").last;
    }

private:
    std::string tag_;
    AppendOptions options_;
};

DurableRound durable_round(const Parameters& parameters, bool conditional,
                           const std::string& directory, double goal_s) {
    Store store = must(Store::open(directory), "open");
    std::vector<std::uint64_t> commits(parameters.threads);
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<Workload>> workloads;
    for (std::uint64_t n = 0; n < parameters.threads; ++n) {
        workloads.push_back(
            std::make_unique<Workload>(parameters.workload == "wide", parameters.size));
    }
    // The first append of a session makes the store's names durable: not part of what is measured.
    must(store.append({{.stream = "begin"}}), "append");
    const double written = bytes_written();
    const double begin = seconds_now();
    for (std::uint64_t n = 0; n < parameters.threads; ++n) {
        threads.emplace_back([&, n] {
            std::vector<NewEvent> events(parameters.batch);
            Guard guard(store, n);
            while (seconds_now() - begin < goal_s) {
                workloads[n]->fill(events);
                if (conditional)
                    guard.append(store, events);
                else
                    must(store.append(events), "append");
                ++commits[n];
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    DurableRound round;
    round.seconds = seconds_now() - begin;
    round.written = bytes_written() - written;
    for (const std::uint64_t count : commits) round.commits += static_cast<double>(count);
    round.events = round.commits * static_cast<double>(parameters.batch);
    round.log_bytes = static_cast<double>(must(store.stats(), "stats").log_bytes);
    return round;
}

/// The same for a peer; threads take turns where it has one writer.
Metrics peer_round(const Parameters& parameters, const std::string& name,
                   const std::string& directory, double goal_s) {
    const auto peer = open_database(name, directory, {.level = Durability::disk});
    std::mutex turns;
    std::vector<std::uint64_t> commits(parameters.threads);
    std::vector<std::thread> threads;
    const double begin = seconds_now();
    for (std::uint64_t n = 0; n < parameters.threads; ++n) {
        threads.emplace_back([&, n] {
            Workload workload(false, parameters.size);
            std::vector<NewEvent> events(parameters.batch);
            while (seconds_now() - begin < goal_s) {
                workload.fill(events);
                const std::unique_lock<std::mutex> turn = peer->takes_many_writers()
                                                              ? std::unique_lock<std::mutex>()
                                                              : std::unique_lock<std::mutex>(turns);
                peer->append(events);
                ++commits[n];
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double wall = seconds_now() - begin;
    double sum = 0;
    for (const std::uint64_t count : commits) sum += static_cast<double>(count);
    return {{"commits_per_s", sum / wall},
            {"events_per_s", sum * static_cast<double>(parameters.batch) / wall}};
}

}  // namespace

Metrics raw_round(const std::string& path, std::size_t size, double goal_s) {
    const std::size_t capacity = std::size_t{1} << 30;
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || ::posix_fallocate(file, 0, static_cast<off_t>(capacity)) != 0) std::exit(3);
    const std::string bytes(size, 'r');
    double syncs = 0;
    std::size_t offset = 0;
    const double begin = seconds_now();
    while (seconds_now() - begin < goal_s) {
        if (offset + size > capacity) offset = 0;
        if (::pwrite(file, bytes.data(), size, static_cast<off_t>(offset)) !=
            static_cast<ssize_t>(size))
            std::exit(3);
        if (::fdatasync(file) != 0) std::exit(3);
        offset += size;
        ++syncs;
    }
    const double wall = seconds_now() - begin;
    ::close(file);
    ::unlink(path.c_str());
    return {{"raw_syncs_per_s", syncs / wall},
            {"bytes_per_s", syncs * static_cast<double>(size) / wall}};
}

namespace {

constexpr double kRoundS = 1.5;

Metrics beside_raw(const Parameters& parameters, bool conditional, const Scratch& own,
                   const char* name) {
    const DurableRound mine = durable_round(parameters, conditional, own.path(name), kRoundS);
    const double commit_bytes = mine.log_bytes / mine.commits;
    // One client: a sync per commit. Many: runs as large as all clients together have
    // outstanding.
    const auto group =
        static_cast<std::size_t>(commit_bytes * static_cast<double>(parameters.threads));
    const Metrics raw = raw_round(own.path("raw"), std::max<std::size_t>(group, 64), kRoundS);
    Metrics metrics{{"commits_per_s", mine.commits / mine.seconds},
                    {"events_per_s", mine.events / mine.seconds},
                    {"bytes_per_s", mine.log_bytes / mine.seconds},
                    {"raw_syncs_per_s", raw.at("raw_syncs_per_s")},
                    {"bytes_written_per_commit", mine.written / mine.commits}};
    metrics["ratio_to_raw"] = parameters.threads == 1 && parameters.batch == 1
                                  ? metrics["commits_per_s"] / metrics["raw_syncs_per_s"]
                                  : metrics["bytes_per_s"] / raw.at("bytes_per_s");
    return metrics;
}

}  // namespace

void run_durable(const Parameters& given) {
    Parameters parameters = given;
    parameters.level = "disk";
    const Scratch scratch(parameters.directory);
    std::vector<Side> sides{{"varve", {}}};
    if (parameters.conditional) {
        sides.push_back({"unconditional", {}});  // beside itself: peers have no conditions
    } else {
        for (const std::string& peer : parameters.peers) sides.push_back({peer, {}});
    }
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        for (Side& side : sides) {
            const bool ours = side.variant == "varve" || side.variant == "unconditional";
            const bool conditional = parameters.conditional && side.variant == "varve";
            side.rounds.push_back(
                ours ? beside_raw(parameters, conditional, own, side.variant.c_str())
                     : peer_round(parameters, side.variant, own.path(side.variant), kRoundS));
        }
    }
    report(parameters, sides);
}

void run_raw_durable(const Parameters& given) {
    Parameters parameters = given;
    parameters.level = "disk";
    const Scratch scratch(parameters.directory);
    Side side{"raw", {}};
    const std::size_t size = parameters.threads * parameters.batch * (parameters.size + 150);
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        side.rounds.push_back(raw_round(own.path("raw"), size, 1.5));
    }
    report(parameters, {side});
}

}  // namespace varve::bench
