// Goal: erasing beside appends and readers, in threads and processes, and killed at any moment,
// leaves every event either whole or erased, and what was acknowledged erased. Method: real files,
// a writer that is killed at random microseconds, readers that look at everything meanwhile.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>
#include <set>
#include <thread>

#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr std::uint64_t kEvents = 300;

/// What event `n` holds: some are small, some have whole pages.
std::string content_of(std::uint64_t n) {
    return std::string(n % 7 == 0 ? 9000 : 40 + n % 50, static_cast<char>('a' + n % 26));
}

void fill(Store& store) {
    for (std::uint64_t n = 1; n <= kEvents; ++n) {
        const std::string content = content_of(n);
        ASSERT_TRUE(store.append({{.stream = "s", .data = content}}));
    }
}

/// Everything is there, whole or erased. Returns the erased ones. Copies first, judges afterwards:
/// a view may turn to zeros at any time.
std::set<std::uint64_t> look(const Store& store, std::string& wrong) {
    std::set<std::uint64_t> erased;
    auto snapshot = store.snapshot();
    if (!snapshot) {
        wrong = snapshot.error().message;
        return erased;
    }
    std::uint64_t events = 0;
    auto seen = snapshot->read(Source::stream("s")).for_each([&](const EventView& event) {
        ++events;
        if (event.erased) erased.insert(event.position.value);
        if (event.erased && !event.data.empty()) wrong = "an erased event with content";
        if (event.revision.value != events) wrong = "a wrong revision";
        if (!event.erased && event.data.size() != content_of(events).size())
            wrong = "a wrong length";
    });
    if (!seen) wrong = seen.error().message;
    if (seen && events != kEvents) wrong = std::to_string(events) + " events";
    return erased;
}

TEST(EraseConcurrently, ReadersNeverMeetDamage) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    fill(*store);
    const pid_t other = ::fork();
    if (other == 0) {
        std::string wrong;
        auto reader = Store::open(directory.store(), small_segments(Access::read_only));
        if (!reader) ::_exit(2);
        ::alarm(60);  // bounded, whatever the writer does
        for (std::size_t most = 0; most < kEvents / 2 && wrong.empty();)
            most = look(*reader, wrong).size();
        if (!wrong.empty()) std::fprintf(stderr, "reader: %s\n", wrong.c_str());
        ::_exit(wrong.empty() ? 0 : 1);
    }
    std::atomic<bool> stop{false};
    std::string wrong;
    std::thread own([&] {
        while (!stop && wrong.empty()) static_cast<void>(look(*store, wrong));
    });
    std::thread appends([&] {
        while (!stop) {
            static_cast<void>(store->append({{.stream = "other", .data = "x"}}));
            ::usleep(200);
        }
    });
    for (std::uint64_t n = 1; n <= kEvents; n += 2) {
        const Position one[] = {Position{n}};
        auto erased = store->erase(one, {.wait = n % 3 != 0});
        EXPECT_TRUE(erased) << erased.error().message;
        if (!erased) break;
    }
    EXPECT_TRUE(store->wait_erased());
    int status = 0;
    ::waitpid(other, &status, 0);
    EXPECT_EQ(status, 0);
    stop = true;
    own.join();
    appends.join();
    EXPECT_EQ(wrong, "");
    std::set<std::uint64_t> odd;
    for (std::uint64_t n = 1; n <= kEvents; n += 2) odd.insert(n);
    EXPECT_EQ(look(*store, wrong), odd);
    const auto closed = store->close();
    ASSERT_TRUE(closed) << closed.error().message << closed.error().file;
    auto report = Store::verify(directory.store());
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->damaged.empty());
    EXPECT_EQ(report->erased, odd.size());
}

/// Each call takes several records, which those of the others may come between.
TEST(EraseConcurrently, LargeRequestsOfSeveralThreads) {
    constexpr std::uint64_t kMany = 24'000;
    constexpr std::uint64_t kThreads = 3;
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    for (std::uint64_t n = 1; n <= kMany; ++n)
        ASSERT_TRUE(store->append({{.stream = "s", .data = "something"}}));
    std::vector<std::thread> threads;
    for (std::uint64_t own = 0; own < kThreads; ++own) {
        threads.emplace_back([&, own] {
            std::vector<Position> positions;
            for (std::uint64_t n = 1; n <= kMany; ++n) {
                if (n % (kThreads + 1) == own) positions.push_back(Position{n});
            }
            auto erased = store->erase(positions, {.wait = own != 0});
            EXPECT_TRUE(erased) << erased.error().message;
            EXPECT_EQ(erased->events, positions.size());
            EXPECT_GT(erased->record.value, kMany);
        });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(store->wait_erased());
    std::uint64_t erased = 0;
    auto seen = store->snapshot()->read(Source::all()).for_each([&](const EventView& event) {
        const bool asked = event.position.value % (kThreads + 1) != kThreads;
        EXPECT_EQ(event.erased, asked) << event.position.value;
        erased += event.erased ? 1U : 0U;
    });
    ASSERT_TRUE(seen) << seen.error().message;
    EXPECT_EQ(erased, kMany / (kThreads + 1) * kThreads);
    ASSERT_TRUE(store->close());
    auto report = Store::verify(directory.store());
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->damaged.empty());
    EXPECT_EQ(report->erased, erased);
}

/// Erases one event after the other and says so, until it is killed.
[[noreturn]] void erase_until_killed(const std::string& path, int out, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    auto store = Store::open(path, small_segments(Access::read_write));
    if (!store) ::_exit(2);
    for (;;) {
        const std::uint64_t n = 1 + random() % kEvents;
        const Position some[] = {Position{n}};
        if (!store->erase(some, {.wait = random() % 2 == 0})) ::_exit(3);
        if (::write(out, &n, sizeof n) != sizeof n) ::_exit(4);
    }
}

TEST(EraseConcurrently, AKilledWriterIsFinishedByTheNext) {
    TemporaryDirectory directory;
    {
        auto store = Store::open(directory.store(), small_segments(Access::read_write));
        ASSERT_TRUE(store);
        fill(*store);
    }
    std::set<std::uint64_t> acknowledged;
    std::mt19937_64 random(7);
    for (int round = 0; round < 60 && acknowledged.size() < kEvents; ++round) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        if (child == 0) erase_until_killed(directory.store(), ends[1], random());
        ::close(ends[1]);
        ::usleep(static_cast<useconds_t>(500 + random() % 8'000));
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
        std::uint64_t n = 0;
        while (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged.insert(n);
        ::close(ends[0]);
        if (round % 4 != 0) continue;
        std::string wrong;
        auto report = Store::verify(directory.store());
        ASSERT_TRUE(report);
        ASSERT_TRUE(report->damaged.empty()) << report->damaged.front().what;
        auto store = Store::open(directory.store(), small_segments(Access::read_write));
        ASSERT_TRUE(store) << store.error().message;
        ASSERT_TRUE(store->wait_erased());
        const auto erased = look(*store, wrong);
        ASSERT_EQ(wrong, "");
        for (const std::uint64_t one : acknowledged) ASSERT_TRUE(erased.contains(one)) << one;
    }
    EXPECT_GT(acknowledged.size(), 10U);
}

TEST(EraseConcurrently, TheNextOpeningFinishesWithoutAnyAppend) {
    TemporaryDirectory directory;
    const pid_t child = ::fork();
    if (child == 0) {
        auto store = Store::open(directory.store(), small_segments(Access::read_write));
        if (!store) ::_exit(1);
        fill(*store);
        if (!store->erase(Source::stream("s"), {.wait = false})) ::_exit(1);
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto store = Store::open(directory.store(), small_segments(Access::read_write));
    ASSERT_TRUE(store);
    std::string wrong;
    for (int n = 0; n < 1000 && look(*store, wrong).size() < kEvents; ++n) ::usleep(10'000);
    EXPECT_EQ(look(*store, wrong).size(), kEvents);
    EXPECT_EQ(wrong, "");
}

}  // namespace
}  // namespace varve::test
