// varve_consumers_kill: real processes, killed with SIGKILL at random microseconds.
//
//   varve_consumers_kill [--rounds N] [--seed S]
//
// One process appends, two want the same consumer; in each round one of the three dies and is
// started again. What the holder of the consumer finds must be what was left: no acknowledgement
// lost, none invented, the state equal to the fold of the events up to the checkpoint. At the end
// every event was handled.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::consumers {
namespace {

constexpr std::uint64_t kMost = 1 << 20;  // events of one store
constexpr std::uint64_t kEvery = 3;       // which events match

struct Shared {
    std::atomic<std::uint64_t> reached{0};  ///< checkpoint that some acknowledgement has left
    std::atomic<std::uint64_t> takeovers{0};
    std::atomic<std::uint32_t> wrong{0};
    char what[256] = {};
    std::atomic<std::uint8_t> handled[kMost] = {};
};

void say_wrong(Shared& shared, const std::string& what) {
    if (shared.wrong.fetch_add(1) == 0) what.copy(shared.what, sizeof shared.what - 1);
}

OpenOptions options_for(Access access) {
    OpenOptions options;
    options.access = access;
    options.durability = Durability::os;
    options.segment_size_first = 256 << 10;
    options.segment_size_max = 256 << 10;
    return options;
}

/// What the state must be when everything up to here has been handled.
std::string fold(std::uint64_t position) {
    const std::uint64_t events = position / kEvery;
    return std::to_string(events) + ' ' + std::to_string(kEvery * events * (events + 1) / 2);
}

[[noreturn]] void append_until_killed(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) {
        say_wrong(shared, "the writer cannot open: " + store.error().message);
        ::_exit(1);
    }
    std::uint64_t position = store->snapshot()->published().value;
    while (position + 1 < kMost) {
        ++position;
        const std::string data = std::to_string(position);
        AppendOptions options;
        if (position % 8 == 0) options.durability = Durability::disk;
        const char* type = position % kEvery == 0 ? "A" : "B";
        if (!store->append({{.stream = "s-1", .type = type, .data = data}}, options)) ::_exit(1);
    }
    ::pause();
    ::_exit(0);
}

/// What a holder finds when it opens the consumer.
void check_opening(const Consumer& consumer, Shared& shared) {
    const Checkpoint at = consumer.checkpoint();
    const std::uint64_t position = at.position.value;
    if (position < shared.reached.load()) return say_wrong(shared, "an acknowledgement was lost");
    if (at.acknowledged != position / kEvery) return say_wrong(shared, "the count is wrong");
    for (std::uint64_t n = kEvery; n <= position; n += kEvery)
        if (shared.handled[n].load() == 0) return say_wrong(shared, "an event was skipped");
    const std::string expected = position < kEvery ? "" : fold(position);
    if (consumer.state() != expected)
        return say_wrong(shared, "the state is " + consumer.state() + ", not " + expected);
    shared.takeovers.fetch_add(1);
}

/// Handles one batch. False if something is wrong.
bool handle(Consumer& consumer, const Batch& batch, std::uint64_t& last, Shared& shared) {
    for (const EventView& event : batch) {
        const std::uint64_t position = event.position.value;
        if (position != last + kEvery || event.data != std::to_string(position)) return false;
        last = position;
        shared.handled[position].fetch_add(1);
    }
    if (!consumer.ack(batch.last(), fold(last))) return false;
    const std::uint64_t at = consumer.checkpoint().position.value;
    std::uint64_t before = shared.reached.load();
    while (before < at && !shared.reached.compare_exchange_weak(before, at)) {
    }
    return true;
}

[[noreturn]] void consume_until_killed(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_only));
    if (!store) {
        say_wrong(shared, "a consumer cannot open the store: " + store.error().message);
        ::_exit(1);
    }
    ConsumerOptions options;
    options.wait_ms = 600'000;
    options.sync_ms = 20;
    options.retries = 1'000'000;  // no event is at fault here
    auto consumer = Consumer::open(*store, "one", Selector::type("A"), options);
    if (!consumer) {
        say_wrong(shared, "the consumer cannot be opened: " + consumer.error().message);
        ::_exit(1);
    }
    check_opening(*consumer, shared);
    std::uint64_t last = consumer->checkpoint().position.value / kEvery * kEvery;
    while (true) {
        auto batch = consumer->next(16, 100);
        const bool good = batch && (batch->empty() || handle(*consumer, *batch, last, shared));
        if (good) continue;
        say_wrong(shared, batch ? "another event came, or an acknowledgement failed"
                                : "next: " + batch.error().message);
        ::_exit(1);
    }
}

/// Nobody is left: what remains is handled here, and everything adds up.
std::string finish(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) return "the store cannot be opened: " + store.error().message;
    const std::uint64_t end = store->snapshot()->published().value;
    auto consumer = Consumer::open(*store, "one", Selector::type("A"));
    if (!consumer) return "the consumer cannot be opened: " + consumer.error().message;
    check_opening(*consumer, shared);
    std::uint64_t last = consumer->checkpoint().position.value / kEvery * kEvery;
    for (std::uint64_t n = 0; n < kMost; ++n) {
        auto batch = consumer->next(100, 0);
        if (!batch) return batch.error().message;
        if (batch->empty() && consumer->caught_up()) break;
        if (!batch->empty() && !handle(*consumer, *batch, last, shared)) return "a wrong event";
    }
    if (!consumer->close()) return "close failed";
    auto report = Consumer::verify(*store, "one");
    if (!report || !report->good) return "verify finds a skip";
    if (report->checkpoint.position.value != end) return "the end was not reached";
    return shared.wrong.load() != 0 ? shared.what : "";
}

std::string run_store(std::uint64_t rounds, std::uint64_t& seed, std::uint64_t& takeovers) {
    const test::TemporaryDirectory directory;
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Shared& shared = *new (memory) Shared{};
    if (auto made = Store::open(directory.store(), options_for(Access::read_write)); !made)
        return "cannot create: " + made.error().message;
    const auto start = [&](int role) {
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (role == 0) append_until_killed(directory.store(), shared);
        consume_until_killed(directory.store(), shared);
    };
    pid_t children[3] = {start(0), start(1), start(2)};
    for (std::uint64_t round = 0; round < rounds && shared.wrong.load() == 0; ++round) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        std::this_thread::sleep_for(std::chrono::microseconds((seed >> 33) % 12'000));
        const int role = static_cast<int>((seed >> 50) % 3);
        ::kill(children[role], SIGKILL);
        ::waitpid(children[role], nullptr, 0);
        children[role] = start(role);
    }
    for (const pid_t child : children) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    std::string wrong = shared.wrong.load() != 0 ? shared.what : "";
    if (wrong.empty()) wrong = finish(directory.store(), shared);
    takeovers += shared.takeovers.load();
    ::munmap(memory, sizeof(Shared));
    return wrong;
}

}  // namespace
}  // namespace varve::consumers

int main(int count, char** values) {
    std::uint64_t rounds = 1'000;
    std::uint64_t seed = 1;
    for (int n = 1; n + 1 < count; n += 2) {
        std::uint64_t& into = std::strcmp(values[n], "--rounds") == 0 ? rounds : seed;
        std::from_chars(values[n + 1], values[n + 1] + std::strlen(values[n + 1]), into);
    }
    const std::uint64_t first_seed = seed;
    std::uint64_t done = 0;
    std::uint64_t takeovers = 0;
    constexpr std::uint64_t kPerStore = 100;
    while (done < rounds) {
        const std::string wrong = varve::consumers::run_store(kPerStore, seed, takeovers);
        done += kPerStore;
        if (wrong.empty()) continue;
        std::printf(
            "after %llu kills: %s\nreplay: varve_consumers_kill --seed %llu --rounds %llu\n",
            static_cast<unsigned long long>(done), wrong.c_str(),
            static_cast<unsigned long long>(first_seed), static_cast<unsigned long long>(rounds));
        return 1;
    }
    std::printf("%llu kills, the consumer was taken over %llu times: 0 violations\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(takeovers));
    // A rig in which nobody dies while holding the consumer proves nothing.
    return takeovers >= done / 10 ? 0 : 1;
}
