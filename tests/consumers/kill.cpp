// varve_consumers_kill: real processes, killed with SIGKILL at random microseconds.
//
//   varve_consumers_kill [--rounds N] [--seed S]
//
// One process appends, two want the same consumer; in each round one of the three dies and is
// started again. What the holder of the consumer finds must be what was left: no acknowledgement
// lost, none invented, the state equal to the fold of the events up to the checkpoint. At the end
// every event was handled.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>

#include "support/killing.hpp"
#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::consumers {
namespace {

constexpr std::uint64_t kMost = 1 << 20;  // events of one store
constexpr std::uint64_t kEvery = 3;       // which events match

struct Shared {
    std::atomic<std::uint64_t> reached{0};  ///< checkpoint that some acknowledgement has left
    std::atomic<std::uint64_t> takeovers{0};
    test::Violation violation;
    std::atomic<std::uint8_t> handled[kMost] = {};
};

OpenOptions options_for(Access access) {
    return test::small_segments(access, {.first = 256 << 10, .max = 256 << 10});
}

/// What the state must be when everything up to here has been handled.
std::string fold(std::uint64_t position) {
    const std::uint64_t events = position / kEvery;
    return std::to_string(events) + ' ' + std::to_string(kEvery * events * (events + 1) / 2);
}

[[noreturn]] void append_until_killed(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) {
        shared.violation.say("the writer cannot open: " + store.error().message);
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
    if (position < shared.reached.load())
        return shared.violation.say("an acknowledgement was lost");
    if (at.acknowledged != position / kEvery) return shared.violation.say("the count is wrong");
    for (std::uint64_t n = kEvery; n <= position; n += kEvery)
        if (shared.handled[n].load() == 0) return shared.violation.say("an event was skipped");
    const std::string expected = position < kEvery ? "" : fold(position);
    if (consumer.state() != expected)
        return shared.violation.say("the state is " + consumer.state() + ", not " + expected);
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
        shared.violation.say("a consumer cannot open the store: " + store.error().message);
        ::_exit(1);
    }
    ConsumerOptions options;
    options.wait_ms = 600'000;
    options.sync_ms = 20;
    options.retries = 1'000'000;  // no event is at fault here
    auto consumer = Consumer::open(*store, "one", Selector::type("A"), options);
    if (!consumer) {
        shared.violation.say("the consumer cannot be opened: " + consumer.error().message);
        ::_exit(1);
    }
    check_opening(*consumer, shared);
    std::uint64_t last = consumer->checkpoint().position.value / kEvery * kEvery;
    while (true) {
        auto batch = consumer->next(16, 100);
        const bool good = batch && (batch->empty() || handle(*consumer, *batch, last, shared));
        if (good) continue;
        shared.violation.say(batch ? "another event came, or an acknowledgement failed"
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
    return shared.violation.text();
}

std::string run_store(std::uint64_t rounds, std::uint64_t& seed, std::uint64_t& takeovers) {
    const test::TemporaryDirectory directory;
    const test::SharedMemory<Shared> memory;
    Shared& shared = *memory;
    if (auto made = Store::open(directory.store(), options_for(Access::read_write)); !made)
        return "cannot create: " + made.error().message;
    const auto start = [&](std::size_t role) {
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (role == 0) append_until_killed(directory.store(), shared);
        consume_until_killed(directory.store(), shared);
    };
    pid_t children[3];
    test::kill_in_turns(children, rounds, seed, shared.violation, start);
    std::string wrong = shared.violation.text();
    if (wrong.empty()) wrong = finish(directory.store(), shared);
    takeovers += shared.takeovers.load();
    return wrong;
}

}  // namespace
}  // namespace varve::consumers

int main(int count, char** values) {
    std::uint64_t takeovers = 0;
    const std::uint64_t done = varve::test::run_stores(
        "varve_consumers_kill", varve::test::kill_arguments(count, values, 1'000),
        [&](std::uint64_t rounds, std::uint64_t& seed) {
            return varve::consumers::run_store(rounds, seed, takeovers);
        });
    if (done == 0) return 1;
    std::printf("%llu kills, the consumer was taken over %llu times: 0 violations\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(takeovers));
    // A rig in which nobody dies while holding the consumer proves nothing.
    return takeovers >= done / 10 ? 0 : 1;
}
