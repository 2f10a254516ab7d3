// visibility: how long after the call an event is seen in other processes, and what waiting costs
// them.
#include "visibility.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>

namespace varve::bench {

namespace {

std::uint64_t monotonic_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// What a reader process tells its parent.
struct Told {
    double idle_cpu_percent = 0;
    std::uint64_t events = 0;
};

double own_cpu() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/// The reader process. Everything goes through the pipe.
void read_all(const Followed& followed, std::uint64_t events, int ready, int out) {
    std::vector<std::uint64_t> latencies;
    Told told;
    double cpu = 0;
    double begin = 0;
    followed.follow(
        events,
        [&] {
            if (::write(ready, "r", 1) != 1) ::_exit(3);
        },
        [&](std::uint64_t sent) {
            latencies.push_back(monotonic_ns() - sent);
            ++told.events;
        },
        [&] {
            cpu = own_cpu();
            begin = seconds_now();
        });
    told.idle_cpu_percent = (own_cpu() - cpu) / (seconds_now() - begin) * 100;
    if (::write(out, &told, sizeof told) != sizeof told) ::_exit(3);
    const std::size_t bytes = latencies.size() * sizeof(std::uint64_t);
    for (std::size_t at = 0; at < bytes;) {
        const ssize_t put =
            ::write(out, reinterpret_cast<const char*>(latencies.data()) + at, bytes - at);
        if (put <= 0) ::_exit(3);
        at += static_cast<std::size_t>(put);
    }
    ::_exit(0);
}

void read_exactly(int from, void* into, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
        const ssize_t got = ::read(from, static_cast<char*>(into) + at, size - at);
        if (got <= 0) std::exit(3);
        at += static_cast<std::size_t>(got);
    }
}

/// The processes that follow, each with the pipe on which it tells what it saw.
struct Readers {
    std::vector<std::pair<pid_t, int>> each;
    int ready[2] = {-1, -1};
};

Readers fork_readers(const Parameters& parameters, const Followed& followed) {
    Readers readers;
    if (::pipe(readers.ready) != 0) std::exit(3);
    for (std::uint64_t n = 0; n < parameters.readers; ++n) {
        int out[2];
        if (::pipe(out) != 0) std::exit(3);
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(out[0]);
            read_all(followed, parameters.events, readers.ready[1], out[1]);
        }
        ::close(out[1]);
        readers.each.emplace_back(child, out[0]);
    }
    return readers;
}

/// Waits until every reader follows; returns the seconds that the appends took.
double append_all(const std::function<void(std::uint64_t)>& append, const Parameters& parameters,
                  const Readers& readers) {
    for (std::uint64_t n = 0; n < parameters.readers; ++n) {
        char byte = 0;
        read_exactly(readers.ready[0], &byte, 1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double begin = seconds_now();
    for (std::uint64_t n = 0; n < parameters.events; ++n) {
        append(monotonic_ns());
    }
    return seconds_now() - begin;
}

/// Latencies of all readers, sorted; `idle` gets the highest share of a CPU that one took.
std::vector<std::uint64_t> collect(const Readers& readers, std::uint64_t events, double& idle) {
    std::vector<std::uint64_t> all;
    for (const auto& [child, pipe] : readers.each) {
        Told told;
        read_exactly(pipe, &told, sizeof told);
        if (told.events != events) {
            std::fprintf(stderr, "varve-bench: a reader saw only %llu events\n",
                         static_cast<unsigned long long>(told.events));
            std::exit(3);
        }
        std::vector<std::uint64_t> latencies(told.events);
        read_exactly(pipe, latencies.data(), latencies.size() * sizeof(std::uint64_t));
        all.insert(all.end(), latencies.begin(), latencies.end());
        idle = std::max(idle, told.idle_cpu_percent);
        ::close(pipe);
        ::waitpid(child, nullptr, 0);
    }
    ::close(readers.ready[0]);
    ::close(readers.ready[1]);
    std::sort(all.begin(), all.end());
    return all;
}

Followed followed_store(const std::string& directory, Durability durability) {
    OpenOptions options;
    options.durability = durability;
    Followed followed;
    followed.create = [=] {
        Store store = must(Store::open(directory, options), "create");
        must(store.append({{.data = "12345678"}}), "append");
    };
    followed.open = [=] {
        auto store = std::make_shared<Store>(must(Store::open(directory, options), "open"));
        return [store](std::uint64_t now) {
            const std::string_view data(reinterpret_cast<const char*>(&now), sizeof now);
            must(store->append({{.stream = "one", .data = data}}), "append");
        };
    };
    followed.follow = [=](std::uint64_t events, const auto& ready, const auto& seen,
                          const auto& idle) {
        OpenOptions reading;
        reading.access = Access::read_only;
        const Store store = must(Store::open(directory, reading), "open");
        FollowOptions follow;
        follow.after = must(store.snapshot(), "snapshot").published();
        Subscription live = must(store.follow(Source::all(), follow), "follow");
        ready();
        for (std::uint64_t count = 0; count < events;) {
            const auto run = must(live.next(5000), "next");
            if (run.empty()) break;
            for (const EventView& event : run) {
                std::uint64_t sent = 0;
                std::memcpy(&sent, event.data.data(), sizeof sent);
                seen(sent);
                ++count;
            }
        }
        idle();
        static_cast<void>(live.next(1000));
    };
    return followed;
}

Metrics visibility_round(const Parameters& parameters, const Followed& followed) {
    // Created and closed before the readers are forked: a child must not inherit an open store.
    followed.create();
    const Readers readers = fork_readers(parameters, followed);
    const double total = append_all(followed.open(), parameters, readers);
    double idle = 0;
    const std::vector<std::uint64_t> all = collect(readers, parameters.events, idle);
    double sum = 0;
    for (const std::uint64_t one : all) sum += static_cast<double>(one);
    const auto at = [&](double part) {
        return static_cast<double>(
                   all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))]) /
               1000;
    };
    return {{"avg_us", sum / static_cast<double>(all.size()) / 1000},
            {"p50_us", at(0.5)},
            {"p95_us", at(0.95)},
            {"p99_us", at(0.99)},
            {"max_us", at(1)},
            {"total_ms", total * 1000},
            {"idle_cpu_percent", idle}};
}

}  // namespace

void run_visibility(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000;
    const Scratch scratch(parameters.directory);
    const bool mapped = parameters.variant == "nes-mapped";
    const bool nes = mapped || parameters.variant == "nes-classic";
    Side ours{nes ? parameters.variant : "varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        const std::string directory = own.path("store");
        ours.rounds.push_back(
            visibility_round(parameters, nes ? followed_partition(directory, mapped)
                                             : followed_store(directory, parameters.durability())));
    }
    report(parameters, {ours});
}

}  // namespace varve::bench
