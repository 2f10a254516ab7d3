// varve_poison_kill: events that kill whoever handles them, in real processes.
//
//   varve_poison_kill [--rounds N] [--seed S]
//
// In each round a few random events of a store are deadly: a process that is handed one of them
// dies by SIGKILL, as if its handler had taken it down, and another one takes over; members of a
// group have two threads that handle events at the same time. Every deadly event must be parked
// after the attempts that it was allowed, nothing else may be, and everything else must be handled.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>

#include "support/killing.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::consumers {
namespace {

constexpr std::uint64_t kEvents = 200;
constexpr std::uint32_t kRetries = 2;
constexpr std::uint64_t kMostDeaths = 100;  // of one round: more, and it does not come to an end

struct Shared {
    std::atomic<std::uint8_t> deadly[kEvents + 1] = {};
    std::atomic<std::uint32_t> killed[kEvents + 1] = {};  ///< by which event, how often
    std::atomic<std::uint32_t> handled[kEvents + 1] = {};
};

OpenOptions options_for(Access access) {
    OpenOptions options;
    options.access = access;
    options.durability = Durability::os;
    return options;
}

ConsumerOptions consumer_options() {
    ConsumerOptions options;
    options.retries = kRetries;
    options.count_deaths = true;
    return options;
}

void handle(const EventView& event, Shared& shared) {
    const std::uint64_t position = event.position.value;
    if (shared.deadly[position].load() != 0) {
        shared.killed[position].fetch_add(1);
        ::kill(::getpid(), SIGKILL);
    }
    shared.handled[position].fetch_add(1);
}

/// Ends when nothing is left: 0, or 1 if something was refused.
int consume(const Store& store, Shared& shared, std::uint64_t batch_size) {
    auto consumer = Consumer::open(store, "one", Selector::all(), consumer_options());
    if (!consumer) return 1;
    while (true) {
        auto batch = consumer->next(batch_size, 0);
        if (!batch) return 1;
        if (batch->empty()) break;
        for (const EventView& event : *batch) handle(event, shared);
        if (!consumer->ack(batch->last())) return 1;
    }
    return consumer->close() ? 0 : 1;
}

/// The same as a member of a group whose threads take turns at `next`.
int share(const Store& store, Shared& shared, std::uint64_t batch_size) {
    GroupOptions options;
    options.lanes = 4;
    options.consumer = consumer_options();
    auto member = GroupMember::join(store, "team", Selector::all(), options);
    if (!member) return 1;
    std::mutex taking;
    std::atomic<int> failed{0};
    const auto work = [&] {
        for (int idle = 0; idle < 3;) {
            std::unique_lock lock(taking);
            auto batch = member->next(batch_size, 5);
            lock.unlock();
            if (!batch) return failed.store(1);
            if (batch->empty() && member->in_flight() == 0) ++idle;
            if (batch->empty()) continue;
            for (const EventView& event : *batch) handle(event, shared);
            if (!member->ack(batch->last())) return failed.store(1);
        }
    };
    std::thread other(work);
    work();
    other.join();
    return member->close() && failed.load() == 0 ? 0 : 1;
}

std::string check(const Store& store, const Shared& shared, const char* name) {
    auto parked = Consumer::parked(store, name);
    if (!parked) return parked.error().message;
    std::atomic<std::uint8_t> found[kEvents + 1] = {};
    for (const ParkedEvent& one : *parked) {
        found[one.position.value].store(1);
        if (one.attempts != kRetries + 1) return "an event was parked after other attempts";
    }
    for (std::uint64_t n = 1; n <= kEvents; ++n) {
        const bool deadly = shared.deadly[n].load() != 0;
        const std::string position = std::to_string(n);
        if ((found[n].load() != 0) != deadly)
            return "position " + position + (deadly ? " is not parked" : " is parked");
        if (deadly != (shared.handled[n].load() == 0))
            return "position " + position + (deadly ? " was handled" : " was not handled");
        // It may have killed once more: the first time, when others were in hand beside it.
        const std::uint32_t deaths = shared.killed[n].load();
        if (deadly && (deaths < kRetries + 1 || deaths > kRetries + 2))
            return "position " + position + " has killed " + std::to_string(deaths) + " times";
    }
    auto report = Consumer::verify(store, name);
    return report && report->good ? "" : "verify finds a skip";
}

std::string run_round(std::uint64_t& seed, bool group, std::uint64_t& deaths) {
    const auto random = [&](std::uint64_t below) {
        return (test::next_random(seed) >> 33) % below;
    };
    const test::TemporaryDirectory directory;
    const test::SharedMemory<Shared> memory;
    Shared& shared = *memory;
    for (std::uint64_t n = random(4) + 1; n > 0; --n) shared.deadly[1 + random(kEvents)].store(1);
    {
        auto store = Store::open(directory.store(), options_for(Access::read_write));
        if (!store) return store.error().message;
        for (std::uint64_t n = 0; n < kEvents; ++n) {
            const std::string stream = "s-" + std::to_string(random(20));
            if (!store->append({{.stream = stream, .type = "A"}})) return "append failed";
        }
        if (!store->close()) return "close failed";
    }
    const std::uint64_t batch_size = 1 + random(40);
    std::string wrong;
    for (std::uint64_t round = 0; true; ++round, ++deaths) {
        if (round == kMostDeaths) return "an event kills for ever";
        const pid_t child = ::fork();
        if (child == 0) {
            auto store = Store::open(directory.store(), options_for(Access::read_write));
            if (!store) ::_exit(1);
            ::_exit(group ? share(*store, shared, batch_size)
                          : consume(*store, shared, batch_size));
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) continue;
        if (WEXITSTATUS(status) != 0) wrong = "a call was refused";
        break;
    }
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    if (!store) return store.error().message;
    if (wrong.empty()) wrong = check(*store, shared, group ? "team" : "one");
    return wrong;
}

}  // namespace
}  // namespace varve::consumers

int main(int count, char** values) {
    auto [rounds, seed] = varve::test::kill_arguments(count, values, 100);
    std::uint64_t deaths = 0;
    for (std::uint64_t n = 0; n < rounds; ++n) {
        const std::uint64_t before = seed;
        const std::string wrong = varve::consumers::run_round(seed, n % 2 == 1, deaths);
        if (wrong.empty()) continue;
        std::printf("round %llu, %s: %s\nits seed: %llu\n", static_cast<unsigned long long>(n),
                    n % 2 == 1 ? "a group" : "a consumer", wrong.c_str(),
                    static_cast<unsigned long long>(before));
        return 1;
    }
    std::printf("%llu rounds, %llu deaths by an event: 0 violations\n",
                static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(deaths));
    return deaths > rounds * 3 ? 0 : 1;
}
