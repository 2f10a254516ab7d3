// consumer, variants idle and many: what subscriptions that wait for nothing, and consumers that
// nobody has opened, cost those who append and open.
//
// Each measurement is taken in a child process of its own. `idle` starts so many threads there, one
// for each subscription; everything else is the main thread's.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "bench.hpp"
#include "processes.hpp"

namespace varve::bench {

namespace {

double thread_cpu_seconds_now() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Store open_os(const std::string& directory, Access access = Access::read_write) {
    OpenOptions options;
    options.durability = Durability::os;
    options.access = access;
    return must(Store::open(directory, options), "open");
}

// ---- Subscriptions that wait

constexpr std::uint64_t kSubscriptions = 1000;

/// Threads that wait for events that never come.
class Waiting {
public:
    Waiting(const Store& store, std::uint64_t count) {
        for (std::uint64_t n = 0; n < count; ++n)
            threads_.emplace_back([this, &store, n] { wait(store, n); });
        while (ready_.load() < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        // The last one is about to go to sleep.
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { join(); }

    /// After the store was closed, which ends the waits.
    void join() {
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }

private:
    void wait(const Store& store, std::uint64_t number) {
        const std::string tag = "never/" + std::to_string(number);
        Subscription subscription = must(store.follow(Selector::tag(tag)), "follow");
        bool ready = false;
        while (true) {
            // The first call reads what is there; those behind it sleep.
            auto run = subscription.next(ready ? 60'000 : 0);
            if (!run) {
                if (run.error().code == ErrorCode::closed) return;
                must(std::move(run), "next");
            }
            if (!run->empty()) std::exit(3);
            if (!ready) ready_.fetch_add(1);
            ready = true;
        }
    }

    std::vector<std::thread> threads_;
    std::atomic<std::uint64_t> ready_{0};
};

/// The calls of one side, and the processor time that others had meanwhile.
struct Calls {
    std::vector<double> ns;
    double others_s = 0;
};

/// Appends `count` events one by one, `pause_us` after each.
void append_some(Store& store, Workload& workload, std::uint64_t count, std::uint64_t pause_us,
                 Calls& calls) {
    std::vector<NewEvent> one(1);
    const double cpu = cpu_seconds_now() - thread_cpu_seconds_now();
    for (std::uint64_t n = 0; n < count; ++n) {
        workload.fill(one);
        const double begin = seconds_now();
        must(store.append(one), "append");
        calls.ns.push_back((seconds_now() - begin) * 1e9);
        if (pause_us != 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
    // Whoever was woken has looked by then.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    calls.others_s += cpu_seconds_now() - thread_cpu_seconds_now() - cpu;
}

double at(std::vector<double>& sorted, double part) {
    return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void add_calls(Calls& calls, std::vector<double>& into) {
    std::sort(calls.ns.begin(), calls.ns.end());
    into.push_back(at(calls.ns, 0.5));
    into.push_back(at(calls.ns, 0.99));
    into.push_back(calls.others_s * 1e6 / static_cast<double>(calls.ns.size()));
}

/// Two stores in one process, one of which has the subscriptions; appends go to both in turn.
std::vector<double> measure_idle(const Parameters& parameters, const std::string& directory) {
    constexpr std::uint64_t kAtOnce = 1000;
    constexpr std::uint64_t kPaced = 50;
    Store alone = open_os(directory + "-alone");
    Store followed = open_os(directory + "-followed");
    Workload workload(parameters.workload == "wide", parameters.size);
    Calls warm;
    append_some(alone, workload, kAtOnce, 0, warm);
    append_some(followed, workload, kAtOnce, 0, warm);
    Waiting waiting(followed, kSubscriptions);
    const double before = cpu_seconds_now();
    const double begin = seconds_now();
    std::this_thread::sleep_for(std::chrono::seconds(4));
    const double idle = (cpu_seconds_now() - before) / (seconds_now() - begin);
    Calls calls[2], paced[2];
    for (std::uint64_t n = 0; n < parameters.events; n += kAtOnce) {
        append_some(alone, workload, kAtOnce, 0, calls[0]);
        append_some(followed, workload, kAtOnce, 0, calls[1]);
        append_some(alone, workload, kPaced, 1000, paced[0]);
        append_some(followed, workload, kPaced, 1000, paced[1]);
    }
    must_do(followed.close(), "close");
    waiting.join();
    std::vector<double> told{idle * 100};
    for (Calls* one : {&calls[0], &calls[1], &paced[0], &paced[1]}) add_calls(*one, told);
    return told;
}

Metrics idle_round(const Parameters& parameters, const std::string& directory) {
    const auto told = in_child([&] { return measure_idle(parameters, directory); });
    return {{"subscriptions", static_cast<double>(kSubscriptions)},
            {"idle_cpu_percent", told[0]},
            {"alone_p50_ns", told[1]},
            {"alone_p99_ns", told[2]},
            {"alone_others_us", told[3]},
            {"p50_ns", told[4]},
            {"p99_ns", told[5]},
            {"others_us", told[6]},
            {"paced_alone_p50_ns", told[7]},
            {"paced_alone_others_us", told[9]},
            {"paced_p50_ns", told[10]},
            {"paced_others_us", told[12]}};
}

// ---- Consumers that are there

constexpr std::uint64_t kConsumers = 10'000;
constexpr std::uint64_t kOpened = 1000;  ///< in one process, to see what each of them takes

std::string name_of(std::uint64_t number) { return "consumer-" + std::to_string(number); }

void make_store(const Parameters& parameters, const std::string& directory,
                std::uint64_t consumers) {
    Store store = open_os(directory);
    Workload workload(parameters.workload == "wide", parameters.size);
    std::vector<NewEvent> events(64);
    for (std::uint64_t n = 0; n < parameters.events; n += events.size()) {
        workload.fill(events);
        must(store.append(events), "append");
    }
    must(store.sync(), "sync");
    for (std::uint64_t n = 0; n < consumers; ++n) {
        Consumer one =
            must(Consumer::open(store, name_of(n), Selector::tag("never/" + std::to_string(n))),
                 "consumer");
        must_do(one.close(), "close");
    }
    must_do(store.close(), "close");
}

/// How long opening takes, in µs, and the anonymous memory it leaves, in KB.
std::vector<double> measure_opening(const std::string& directory, Access access) {
    return in_child([&] {
        const double memory = anonymous_mb();
        const double begin = seconds_now();
        const Store store = open_os(directory, access);
        const double end = seconds_now();
        return std::vector<double>{(end - begin) * 1e6, (anonymous_mb() - memory) * 1024};
    });
}

/// Anonymous memory of one consumer that is open and was caught up, and how long opening it took.
std::vector<double> measure_opened(const std::string& directory) {
    return in_child([&] {
        const Store store = open_os(directory, Access::read_only);
        std::vector<Consumer> consumers;
        consumers.reserve(kOpened);
        double memory = 0, begin = 0;
        for (std::uint64_t n = 0; n <= kOpened; ++n) {
            if (n == 1) {  // the first one takes what is shared by all
                memory = anonymous_mb();
                begin = seconds_now();
            }
            consumers.push_back(must(Consumer::open(store, name_of(n)), "consumer"));
            must(consumers.back().next(1, 0), "next");
        }
        const auto count = static_cast<double>(kOpened);
        return std::vector<double>{(anonymous_mb() - memory) * 1024 / count,
                                   (seconds_now() - begin) * 1e6 / count};
    });
}

Metrics many_round(const Parameters& parameters, const std::string& directory) {
    const std::string without = directory + "-without";
    const std::string with = directory + "-with";
    for (const auto& [path, consumers] :
         {std::pair{without, std::uint64_t{0}}, std::pair{with, kConsumers}})
        static_cast<void>(in_child([&, path = path, consumers = consumers] {
            make_store(parameters, path, consumers);
            return std::vector<double>{};
        }));
    constexpr int kTimes = 15;
    std::vector<double> times[4], memory[4];
    for (int n = 0; n < kTimes; ++n) {
        for (std::size_t side = 0; side < 4; ++side) {
            const auto told =
                measure_opening(side % 2 == 0 ? without : with,
                                side / 2 == 0 ? Access::read_write : Access::read_only);
            times[side].push_back(told[0]);
            memory[side].push_back(told[1]);
        }
    }
    for (auto* lists : {times, memory})
        for (std::size_t side = 0; side < 4; ++side)
            std::sort(lists[side].begin(), lists[side].end());
    const auto opened = measure_opened(with);
    return {{"consumers", static_cast<double>(kConsumers)},
            {"open_without_us", at(times[0], 0.5)},
            {"open_us", at(times[1], 0.5)},
            {"open_read_without_us", at(times[2], 0.5)},
            {"open_read_us", at(times[3], 0.5)},
            {"anon_without_kb", at(memory[0], 0.5)},
            {"anon_kb", at(memory[1], 0.5)},
            {"anon_read_without_kb", at(memory[2], 0.5)},
            {"anon_read_kb", at(memory[3], 0.5)},
            {"opened_kb_each", opened[0]},
            {"opened_us_each", opened[1]}};
}

}  // namespace

Metrics consumers_at_rest(const Parameters& given, const std::string& directory) {
    Parameters parameters = given;
    const bool idle = parameters.variant == "idle";
    if (parameters.events == 0) parameters.events = idle ? 20'000 : 100'000;
    return idle ? idle_round(parameters, directory) : many_round(parameters, directory);
}

}  // namespace varve::bench
