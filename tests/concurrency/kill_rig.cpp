// varve_kill: kill -9 on real files. Writers die at random microseconds while readers follow and a
// waiter waits.
//
//   varve_kill [--rounds N] [--seed S]
//
// Every round a writer process appends and notes in shared memory what was acknowledged; the parent
// kills it, opens what is left and compares. Readers live through all writers of one store. One
// line replays a violation.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "support/killing.hpp"
#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

/// What the processes tell each other.
struct Shared {
    std::atomic<std::uint64_t> acknowledged;  ///< highest position an append has returned
    std::atomic<std::uint64_t> followed[2];   ///< highest position each reader was given
    std::atomic<std::uint32_t> reader_failed;
    std::atomic<std::uint32_t> stop;
};

/// The data of the event at a position: anybody can say what must be there.
std::string data_at(std::uint64_t position) {
    return std::to_string(position) +
           std::string(position * 37 % 400, static_cast<char>('a' + position % 26));
}

[[noreturn]] void write_until_killed(const std::string& path, Shared& shared, std::uint64_t seed) {
    auto store = Store::open(path, small_segments(Access::read_write));
    if (!store) ::_exit(9);
    std::uint64_t position = store->snapshot()->published().value;
    while (true) {
        next_random(seed);
        const std::uint64_t count = 1 + (seed >> 40) % 5;
        std::vector<std::string> data;
        for (std::uint64_t n = 1; n <= count; ++n) data.push_back(data_at(position + n));
        std::vector<NewEvent> events(count);
        for (std::uint64_t n = 0; n < count; ++n) {
            events[n].data = data[n];
            events[n].stream = (position + n + 1) % 3 == 0 ? "third" : "other";
            events[n].tags.push_back((position + n + 1) % 5 == 0 ? "fifth" : "rest");
        }
        AppendOptions append;
        append.durability = (seed >> 50) % 16 == 0 ? Durability::disk : Durability::os;
        auto done = store->append(events, append);
        if (!done) ::_exit(8);
        position = done->last.value;
        shared.acknowledged.store(position);
    }
}

[[noreturn]] void follow_until_stopped(const std::string& path, Shared& shared, int number) {
    auto store = Store::open(path, small_segments(Access::read_only));
    if (!store) ::_exit(7);
    auto live = store->follow();
    std::uint64_t last = 0;
    while (shared.stop.load() == 0) {
        auto run = live->next(50);
        if (!run) {
            shared.reader_failed.store(1);
            ::_exit(6);
        }
        for (const EventView& event : *run) {
            if (event.position.value != ++last || event.data != data_at(last))
                shared.reader_failed.store(2);
        }
        shared.followed[number].store(last);
    }
    ::_exit(0);
}

/// Empty, or what is wrong with the store after a kill.
std::string check(const std::string& path, const Shared& shared, std::uint64_t& published) {
    auto store = Store::open(path, small_segments(Access::read_write));
    if (!store) return "cannot open: " + store.error().message;
    auto snapshot = store->snapshot();
    published = snapshot->published().value;
    if (published < shared.acknowledged.load()) return "acknowledged events are gone";
    std::uint64_t position = 0;
    std::uint64_t thirds = 0;
    bool wrong = false;
    auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
        wrong = wrong || event.position.value != ++position || event.data != data_at(position);
    });
    if (!seen || wrong || position != published) return "the log is not what was appended";
    auto third = snapshot->read("third").for_each([&](const EventView& event) {
        ++thirds;
        wrong = wrong || event.position.value != thirds * 3 || event.revision.value != thirds;
    });
    if (!third || wrong || thirds != published / 3) return "the index disagrees with the log";
    return {};
}

std::string run_store(std::uint64_t rounds, std::uint64_t& seed) {
    const TemporaryDirectory directory;
    const SharedMemory<Shared> memory;
    Shared& shared = *memory;
    {
        auto store = Store::open(directory.store(), small_segments(Access::read_write));
        if (!store) return "cannot create: " + store.error().message;
    }
    std::vector<pid_t> readers;
    for (int n = 0; n < 2; ++n) {
        const pid_t child = ::fork();
        if (child == 0) follow_until_stopped(directory.store(), shared, n);
        readers.push_back(child);
    }
    std::string wrong;
    std::uint64_t published = 0;
    for (std::uint64_t round = 0; round < rounds && wrong.empty(); ++round) {
        next_random(seed);
        const pid_t writer = ::fork();
        if (writer == 0) write_until_killed(directory.store(), shared, seed);
        sleep_until_kill(seed);
        const int status = kill_and_wait(writer);
        if (WIFEXITED(status))
            wrong = "the writer ended by itself with " + std::to_string(WEXITSTATUS(status));
        if (wrong.empty()) wrong = check(directory.store(), shared, published);
    }
    // Everybody who follows has been given everything, whoever wrote it. The bound is for hangs
    // only.
    constexpr int kWaitMs = 60'000;
    for (int wait = 0; wait < kWaitMs && wrong.empty(); ++wait) {
        if (shared.followed[0].load() >= published && shared.followed[1].load() >= published) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (wait == kWaitMs - 1) wrong = "a reader did not follow to the end";
    }
    shared.stop.store(1);
    for (const pid_t reader : readers) ::waitpid(reader, nullptr, 0);
    if (wrong.empty() && shared.reader_failed.load() != 0)
        wrong = "a reader saw something else than what was appended";
    return wrong;
}

}  // namespace
}  // namespace varve::test

int main(int count, char** values) {
    const std::uint64_t done = varve::test::run_stores(
        "varve_kill", varve::test::kill_arguments(count, values, 2'000), varve::test::run_store);
    if (done == 0) return 1;
    std::printf("%llu kills: 0 violations\n", static_cast<unsigned long long>(done));
    return 0;
}
