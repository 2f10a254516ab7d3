// contention: threads that read, decide and append under a condition, all on one boundary, or each
// on its own.
//
// Every event says how many its boundary had when it was decided. Invariant: in the end those
// numbers go up one by one, or the run fails.
#include <string>
#include <thread>

#include "bench.hpp"

namespace varve::bench {

namespace {

struct Counts {
    std::uint64_t commits = 0;
    std::uint64_t conflicts = 0;
};

std::string boundary(std::uint64_t n) { return "boundary/" + std::to_string(n); }

/// One client's knowledge of its boundary, and what it does with it.
class Client {
public:
    Client(Store& store, std::string tag, const Parameters& parameters)
        : store_(store),
          tag_(std::move(tag)),
          selector_(Selector::tag(tag_)),
          padding_(parameters.size, 'd') {}

    /// Reads what is new, appends under the condition that nothing else came, until it succeeds or
    /// `end`.
    void decide(double end) {
        while (true) {
            look();
            const std::string data = std::to_string(events_) + " " + padding_;
            NewEvent event{.stream = tag_, .type = "Decided", .data = data};
            event.tags.push_back(tag_);
            AppendOptions options;
            options.condition = {selector_, seen_};
            auto done = store_.append(std::span<const NewEvent>(&event, 1), options);
            if (done) {
                // Nothing of this boundary lies between what was seen and this event.
                ++events_;
                seen_.position = done->last;
                ++counts_.commits;
                return;
            }
            if (done.error().code != ErrorCode::condition_failed) must(std::move(done), "append");
            ++counts_.conflicts;
            if (seconds_now() > end) return;
        }
    }
    [[nodiscard]] const Counts& counts() const { return counts_; }

private:
    void look() {
        ReadOptions options;
        options.after = seen_.position;
        seen_ = must(must(store_.snapshot(), "snapshot")
                         .query(selector_, options)
                         .for_each([&](const EventView&) { ++events_; }),
                     "query");
    }

    Store& store_;
    std::string tag_;
    Selector selector_;
    std::string padding_;
    Seen seen_;
    std::uint64_t events_ = 0;  ///< of the boundary, seen
    Counts counts_;
};

/// Ends the program unless the events of this boundary were decided one behind the other.
std::uint64_t check_order(const Snapshot& snapshot, const std::string& tag) {
    std::uint64_t events = 0;
    must(snapshot.query(Selector::tag(tag)).for_each([&](const EventView& event) {
        if (std::stoull(std::string(event.data.substr(0, event.data.find(' ')))) != events) {
            std::fprintf(stderr, "varve-bench: two appends were decided on the same events\n");
            std::exit(3);
        }
        ++events;
    }),
         "query");
    return events;
}

Metrics contention_round(const Parameters& parameters, bool one, const std::string& directory) {
    constexpr double kRoundS = 1.0;
    OpenOptions options;
    options.durability = parameters.durability();
    Store store = must(Store::open(directory, options), "open");
    must(store.append({{.stream = "begin"}}), "append");
    std::vector<Client> clients;
    for (std::uint64_t n = 0; n < parameters.threads; ++n)
        clients.emplace_back(store, boundary(one ? 0 : n), parameters);
    std::vector<std::thread> threads;
    const double begin = seconds_now();
    for (Client& client : clients) {
        threads.emplace_back([&client, begin] {
            while (seconds_now() - begin < kRoundS) client.decide(begin + kRoundS);
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double wall = seconds_now() - begin;
    Counts all;
    for (const Client& client : clients) {
        all.commits += client.counts().commits;
        all.conflicts += client.counts().conflicts;
    }
    const Snapshot snapshot = must(store.snapshot(), "snapshot");
    std::uint64_t events = 0;
    for (std::uint64_t n = 0; n < (one ? 1 : parameters.threads); ++n)
        events += check_order(snapshot, boundary(n));
    if (events != all.commits) {
        std::fprintf(stderr, "varve-bench: %lu events of %lu appends\n", events, all.commits);
        std::exit(3);
    }
    const auto commits = static_cast<double>(all.commits);
    return {{"threads", static_cast<double>(parameters.threads)},
            {"commits_per_s", commits / wall},
            {"conflicts_per_commit", static_cast<double>(all.conflicts) / commits}};
}

}  // namespace

void run_contention(const Parameters& given) {
    const Scratch scratch(given.directory);
    for (const std::string variant : {"one", "disjoint"}) {
        if (!given.variant.empty() && given.variant != variant) continue;
        for (const std::uint64_t threads : {1U, 4U, 16U, 64U}) {
            if (given.threads_asked && given.threads != threads) continue;
            Parameters parameters = given;
            parameters.variant = variant;
            parameters.threads = threads;
            Side side{"varve", {}};
            for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
                const Scratch own(scratch.path());
                side.rounds.push_back(
                    contention_round(parameters, variant == "one", own.path("store")));
            }
            report(parameters, {side});
        }
    }
}

}  // namespace varve::bench
