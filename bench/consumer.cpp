// consumer: how fast consumers catch up, and how soon after the call an event is handled by
// consumers in other processes.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::size_t kBatch = 1024;

std::uint64_t monotonic_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void read_exactly(int from, void* into, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
        const ssize_t got = ::read(from, static_cast<char*>(into) + at, size - at);
        if (got <= 0) std::exit(3);
        at += static_cast<std::size_t>(got);
    }
}

void write_exactly(int to, const void* bytes, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
        const ssize_t put = ::write(to, static_cast<const char*>(bytes) + at, size - at);
        if (put <= 0) ::_exit(3);
        at += static_cast<std::size_t>(put);
    }
}

/// What a consumer process tells its parent.
struct Told {
    double seconds = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;  ///< of data: so that it is looked at
};

bool with_state(const Parameters& parameters) {
    return parameters.variant == "state" || parameters.variant == "each";
}

/// Events whose acknowledgement goes together.
std::size_t batch_of(const Parameters& parameters) {
    return parameters.variant == "each" ? 1 : kBatch;
}

Consumer open_one(const Store& store, const Parameters& parameters, std::uint64_t number,
                  Position after) {
    ConsumerOptions options;
    options.after = after;
    options.verify = parameters.verification();
    return must(Consumer::open(store, "bench-" + std::to_string(number), Selector::all(), options),
                "consumer");
}

/// Acknowledges, with a state of 100 bytes if asked for.
void acknowledge(Consumer& consumer, const Batch& batch, std::uint64_t events, bool state) {
    char text[100];
    std::memset(text, 's', sizeof text);
    std::memcpy(text, &events, sizeof events);
    must_do(state ? consumer.ack(batch.last(), std::string_view(text, sizeof text))
                  : consumer.ack(batch.last()),
            "ack");
}

/// The process of one consumer: everything that is there, then the end.
void catch_up(const std::string& directory, const Parameters& parameters, std::uint64_t number,
              int out) {
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(directory, options), "open");
    Consumer consumer = open_one(store, parameters, number, {});
    Told told;
    const double begin = seconds_now();
    while (told.events < parameters.events) {
        const Batch batch = must(consumer.next(batch_of(parameters), 5000), "next");
        if (batch.empty()) break;
        for (const EventView& event : batch) told.bytes += event.data.size();
        told.events += batch.size();
        acknowledge(consumer, batch, told.events, with_state(parameters));
    }
    told.seconds = seconds_now() - begin;
    must_do(consumer.close(), "close");
    write_exactly(out, &told, sizeof told);
    ::_exit(0);
}

/// The process of one member: what is there of its lanes, until the whole group is caught up.
void catch_up_together(const std::string& directory, const Parameters& parameters, int out) {
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(directory, options), "open");
    GroupOptions how;
    how.consumer.verify = parameters.verification();
    GroupMember member = must(GroupMember::join(store, "team", Selector::all(), how), "join");
    Told told;
    const double begin = seconds_now();
    double end = begin;
    while (true) {
        const Batch batch = must(member.next(kBatch, 100), "next");
        if (batch.empty()) {
            const auto group = must(Consumer::find(store, "team"), "find");
            if (group.checkpoint.position.value >= parameters.events) break;
            continue;
        }
        for (const EventView& event : batch) told.bytes += event.data.size();
        told.events += batch.size();
        must_do(member.ack(batch.last()), "ack");
        end = seconds_now();
    }
    told.seconds = end - begin;
    must_do(member.close(), "close");
    write_exactly(out, &told, sizeof told);
    ::_exit(0);
}

/// The process of one consumer that is caught up: handles what comes and measures how old it is.
void live(const std::string& directory, const Parameters& parameters, std::uint64_t number,
          std::uint64_t events, int ready, int out) {
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(directory, options), "open");
    Consumer consumer =
        open_one(store, parameters, number, must(store.snapshot(), "snapshot").durable());
    std::vector<std::uint64_t> latencies;
    write_exactly(ready, "r", 1);
    while (latencies.size() < events) {
        const Batch batch = must(consumer.next(batch_of(parameters), 5000), "next");
        if (batch.empty()) ::_exit(3);
        const std::uint64_t now = monotonic_ns();
        for (const EventView& event : batch) {
            std::uint64_t sent = 0;
            std::memcpy(&sent, event.data.data(), sizeof sent);
            latencies.push_back(now - sent);
        }
        acknowledge(consumer, batch, latencies.size(), with_state(parameters));
    }
    must_do(consumer.close(), "close");
    write_exactly(out, latencies.data(), events * sizeof(std::uint64_t));
    ::_exit(0);
}

/// The consumers' processes, each with the pipe on which it tells what it saw.
using Children = std::vector<std::pair<pid_t, int>>;

template <class Work>
Children fork_all(std::uint64_t count, Work work) {
    Children children;
    for (std::uint64_t n = 0; n < count; ++n) {
        int out[2];
        if (::pipe(out) != 0) std::exit(3);
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(out[0]);
            work(n, out[1]);
        }
        ::close(out[1]);
        children.emplace_back(child, out[0]);
    }
    return children;
}

void end(const Children& children) {
    for (const auto& [child, pipe] : children) {
        ::close(pipe);
        ::waitpid(child, nullptr, 0);
    }
}

void fill(const std::string& directory, const Parameters& parameters) {
    OpenOptions options;
    options.durability = Durability::os;
    Store store = must(Store::open(directory, options), "create");
    Workload workload(parameters.workload == "wide", parameters.size);
    std::vector<NewEvent> events(64);
    for (std::uint64_t n = 0; n < parameters.events; n += events.size()) {
        events.resize(std::min<std::uint64_t>(events.size(), parameters.events - n));
        workload.fill(events);
        must(store.append(events), "append");
    }
    must_do(store.close(), "close");
}

/// Events per second of each consumer: of the slowest one, if there are several.
double catch_up_rate(const Parameters& parameters, const std::string& directory) {
    const Children children = fork_all(parameters.readers, [&](std::uint64_t n, int out) {
        catch_up(directory, parameters, n, out);
    });
    double rate = 0;
    for (const auto& [child, pipe] : children) {
        Told told;
        read_exactly(pipe, &told, sizeof told);
        if (told.events != parameters.events) std::exit(3);
        const double own = static_cast<double>(told.events) / told.seconds;
        rate = rate == 0 ? own : std::min(rate, own);
    }
    end(children);
    return rate;
}

/// Events per second of a group with so many members, all together.
Metrics group_round(const Parameters& parameters, const std::string& directory) {
    fill(directory, parameters);
    const Children children = fork_all(parameters.readers, [&](std::uint64_t, int out) {
        catch_up_together(directory, parameters, out);
    });
    std::uint64_t events = 0;
    double seconds = 0;
    std::uint64_t least = parameters.events;
    for (const auto& [child, pipe] : children) {
        Told told;
        read_exactly(pipe, &told, sizeof told);
        events += told.events;
        seconds = std::max(seconds, told.seconds);
        least = std::min(least, told.events);
    }
    end(children);
    if (events < parameters.events) std::exit(3);
    return {{"events_per_s", static_cast<double>(parameters.events) / seconds},
            {"least_share", static_cast<double>(least) / static_cast<double>(parameters.events)},
            {"again", static_cast<double>(events - parameters.events)}};
}

/// Latencies of all consumers in µs, sorted: from before the append to where the event is handled.
std::vector<double> live_latencies(const Parameters& parameters, const std::string& directory) {
    constexpr std::uint64_t kEvents = 1'000;
    constexpr auto kPause = std::chrono::microseconds(1'000);
    int ready[2];
    if (::pipe(ready) != 0) std::exit(3);
    const Children children = fork_all(parameters.readers, [&](std::uint64_t n, int out) {
        live(directory, parameters, parameters.readers + n, kEvents, ready[1], out);
    });
    OpenOptions options;
    options.durability = parameters.durability();
    Store store = must(Store::open(directory, options), "open");
    for (std::uint64_t n = 0; n < parameters.readers; ++n) {
        char byte = 0;
        read_exactly(ready[0], &byte, 1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (std::uint64_t n = 0; n < kEvents; ++n) {
        const std::uint64_t now = monotonic_ns();
        must(store.append(
                 {{.stream = "one",
                   .data = std::string_view(reinterpret_cast<const char*>(&now), sizeof now)}}),
             "append");
        std::this_thread::sleep_for(kPause);
    }
    std::vector<double> all;
    for (const auto& [child, pipe] : children) {
        std::vector<std::uint64_t> latencies(kEvents);
        read_exactly(pipe, latencies.data(), kEvents * sizeof(std::uint64_t));
        for (const std::uint64_t ns : latencies) all.push_back(static_cast<double>(ns) / 1000);
    }
    end(children);
    ::close(ready[0]);
    ::close(ready[1]);
    std::sort(all.begin(), all.end());
    return all;
}

/// One acknowledgement with state, everything else left out.
double ack_us(const Parameters& parameters, const std::string& directory) {
    OpenOptions options;
    options.access = Access::read_only;
    const Store store = must(Store::open(directory, options), "open");
    Consumer consumer = open_one(store, parameters, 2 * parameters.readers, {});
    const std::uint64_t events = std::min<std::uint64_t>(parameters.events, 60'000);
    const Batch batch = must(consumer.next(events, 5000), "next");
    const std::string state(100, 's');
    const double begin = seconds_now();
    for (const EventView& event : batch) must_do(consumer.ack(event.position, state), "ack");
    return (seconds_now() - begin) * 1e6 / static_cast<double>(batch.size());
}

Metrics consumer_round(const Parameters& parameters, const std::string& directory) {
    fill(directory, parameters);
    const double rate = catch_up_rate(parameters, directory);
    const double ack = ack_us(parameters, directory);
    const std::vector<double> all = live_latencies(parameters, directory);
    const auto at = [&](double part) {
        return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))];
    };
    return {{"events_per_s", rate},
            {"p50_us", at(0.5)},
            {"p99_us", at(0.99)},
            {"max_us", at(1)},
            {"ack_us", ack}};
}

}  // namespace

void run_consumer(const Parameters& given) {
    Parameters parameters = given;
    const bool at_rest = parameters.variant == "idle" || parameters.variant == "many";
    if (parameters.events == 0 && !at_rest) parameters.events = 2'000'000;
    const Scratch scratch(parameters.directory);
    Side ours{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        const auto measure = at_rest                         ? consumers_at_rest
                             : parameters.variant == "group" ? group_round
                                                             : consumer_round;
        ours.rounds.push_back(measure(parameters, own.path("store")));
    }
    report(parameters, {ours});
}

}  // namespace varve::bench
