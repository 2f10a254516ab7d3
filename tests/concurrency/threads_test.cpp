// Goal: appends of many threads are linearizable, conditions are judged on exactly what precedes
// them, readers see whole appends in order, and nobody who waits sleeps through an event. Method:
// threads append, read, follow and wait at once; every operation notes when it began and ended;
// afterwards the log is compared with the notes. Runs under the thread sanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

struct Noted {
    std::int64_t begin_ns = 0, end_ns = 0;
    std::uint64_t first = 0, last = 0;
    std::string marker;
};

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// What the threads of one run share.
struct Race {
    explicit Race(Store& s) : store(s) {}
    Store& store;
    std::mutex mutex;
    std::vector<Noted> notes;
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
};

/// Appends pairs, every third with an expected version that others may have passed.
void append_pairs(Race& race, int thread, int appends) {
    std::uint64_t version = 0;
    for (int n = 0; n < appends; ++n) {
        Noted note;
        note.marker = std::to_string(thread) + "/" + std::to_string(n);
        const std::string padding(static_cast<std::size_t>(n % 50) * 20, 'p');
        AppendOptions options;
        options.durability = n % 40 == 0 ? Durability::disk : Durability::os;
        const bool conditional = n % 3 == 0;
        if (conditional) options.expected = Expectations{{"shared", Expected::version(version)}};
        note.begin_ns = now_ns();
        auto done = race.store.append(
            {{.stream = "own-" + std::to_string(thread), .data = note.marker, .metadata = padding},
             {.stream = "shared", .data = note.marker}},
            options);
        note.end_ns = now_ns();
        if (!done) {
            if (done.error().code != ErrorCode::wrong_expected_version) ++race.wrong;
            version = done.error().version;
            continue;
        }
        if (conditional && done->version != version + 1) ++race.wrong;
        version = done->version;
        note.first = done->first.value;
        note.last = done->last.value;
        const std::lock_guard lock(race.mutex);
        race.notes.push_back(note);
    }
}

/// What a reader sees is whole, in order, and never goes back.
void read_meanwhile(Race& race) {
    std::uint64_t before = 0;
    while (!race.stop) {
        auto snapshot = race.store.snapshot();
        if (!snapshot || snapshot->published().value < before ||
            snapshot->published().value % 2 != 0)
            ++race.wrong;
        before = snapshot->published().value;
        std::uint64_t position = before > 100 ? before - 100 : 0;
        auto seen = snapshot->read(Source::all(), {.after = Position{position}})
                        .for_each([&](const EventView& event) {
                            if (event.position.value != ++position) ++race.wrong;
                        });
        if (!seen || position != before) ++race.wrong;
    }
}

/// The log holds exactly what was acknowledged, and its order agrees with the clock.
void check_order(const Snapshot& snapshot, std::vector<Noted>& notes) {
    std::sort(notes.begin(), notes.end(),
              [](const Noted& a, const Noted& b) { return a.first < b.first; });
    std::uint64_t expected_first = 1;
    std::int64_t latest_begin = 0;
    for (const Noted& note : notes) {
        ASSERT_EQ(note.first, expected_first);
        expected_first = note.last + 1;
        EXPECT_EQ(snapshot.at(Position{note.first})->data, note.marker);
        EXPECT_EQ(snapshot.at(Position{note.last})->data, note.marker);
        // Whoever comes later in the log cannot have returned before one that comes earlier had
        // begun.
        EXPECT_GE(note.end_ns, latest_begin) << note.marker;
        latest_begin = std::max(latest_begin, note.begin_ns);
    }
    EXPECT_EQ(snapshot.published().value, expected_first - 1);
}

TEST(Threads, AppendsAreLinearizable) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments());
    ASSERT_TRUE(store);
    constexpr int kThreads = 6;
    constexpr int kAppends = 300;
    Race race(*store);
    std::vector<std::thread> writers;
    std::vector<std::thread> readers;
    for (int t = 0; t < kThreads; ++t)
        writers.emplace_back([&race, t] { append_pairs(race, t, kAppends); });
    for (int t = 0; t < 2; ++t) readers.emplace_back([&race] { read_meanwhile(race); });
    for (std::thread& thread : writers) thread.join();
    race.stop = true;
    for (std::thread& thread : readers) thread.join();
    EXPECT_EQ(race.wrong, 0);
    auto snapshot = store->snapshot();
    ASSERT_TRUE(snapshot);
    check_order(*snapshot, race.notes);
    auto report = Store::verify(directory.store());
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->damaged.empty());
}

TEST(Threads, AnAppendThatManyRepeatIsStoredOnce) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments());
    ASSERT_TRUE(store);
    constexpr unsigned kThreads = 8;
    constexpr unsigned kAppends = 400;
    std::vector<std::atomic<std::uint64_t>> firsts(kAppends);
    std::atomic<unsigned> stored{0};
    std::atomic<int> wrong{0};
    const auto repeat_all = [&](unsigned thread) {
        for (unsigned n = 0; n < kAppends; ++n) {
            // One, two or three events; every thread takes them in nearly the same order.
            const unsigned append = n ^ (thread & 1U);
            std::vector<NewEvent> events(1 + append % 3);
            for (std::size_t e = 0; e < events.size(); ++e) {
                events[e].stream = "s";
                events[e].id = EventId{.bytes = {static_cast<std::byte>(append),
                                                 static_cast<std::byte>(append >> 8),
                                                 static_cast<std::byte>(e)}};
            }
            AppendOptions options;
            options.durability = n % 50 == thread ? Durability::disk : Durability::os;
            auto done = store->append(events, options);
            if (!done || done->last.value != done->first.value + events.size() - 1) {
                ++wrong;
                continue;
            }
            if (!done->duplicate) ++stored;
            std::uint64_t before = 0;
            if (!firsts[append].compare_exchange_strong(before, done->first.value) &&
                before != done->first.value)
                ++wrong;
        }
    };
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) threads.emplace_back(repeat_all, t);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(stored, kAppends);
    std::uint64_t events = 0;
    for (unsigned n = 0; n < kAppends; ++n) events += 1 + n % 3;
    EXPECT_EQ(store->snapshot()->published().value, events);
}

TEST(Threads, FollowersSeeEveryEventOnceAndInOrder) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments());
    ASSERT_TRUE(store);
    constexpr std::uint64_t kEvents = 4'000;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            auto live = store->follow(t == 0 ? Source::all() : Source::tag("odd"));
            std::uint64_t last = 0;
            const std::uint64_t goal = t == 0 ? kEvents : kEvents - 1;
            while (live && last < goal) {
                auto run = live->next(5'000);
                if (!run || run->empty()) {
                    ++wrong;
                    return;
                }
                for (const EventView& event : *run) {
                    if (t == 0 ? event.position.value != last + 1
                               : event.position.value <= last || event.position.value % 2 == 0)
                        ++wrong;
                    last = event.position.value;
                }
            }
        });
    }
    for (std::uint64_t n = 1; n <= kEvents; ++n) {
        NewEvent event;
        if (n % 2 == 1) event.tags.push_back("odd");
        event.data = "some data of an event";
        ASSERT_TRUE(store->append({&event, 1}));
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Threads, WaitReturnsWhenTheLevelIsReached) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments());
    ASSERT_TRUE(store);
    EXPECT_FALSE(*store->wait(Position{1}, Durability::os, 20));
    std::thread waiter([&] {
        auto reached = store->wait(Position{1}, Durability::disk, 10'000);
        EXPECT_TRUE(reached && *reached);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(store->append({{.data = "x"}}));
    ASSERT_TRUE(store->sync());
    waiter.join();
}

TEST(Threads, CloseEndsAWait) {
    TemporaryDirectory directory;
    auto store = Store::open(directory.store(), small_segments());
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->append({{.data = "x"}}));
    auto live = store->follow(Source::all(), {.after = Position{1}});
    ASSERT_TRUE(live);
    std::thread closer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        EXPECT_TRUE(store->close());
    });
    auto run = live->next(20'000);
    closer.join();
    ASSERT_FALSE(run);
    EXPECT_EQ(run.error().code, ErrorCode::closed);
    EXPECT_EQ(store->append({{.data = "y"}}).error().code, ErrorCode::closed);
}

TEST(Threads, AnAppendRaisedToIntervalIsSyncedWithinIt) {
    const TemporaryDirectory directory;
    OpenOptions options;
    options.durability = Durability::os;
    options.interval_ms = 20;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->append({{.data = "stays in memory"}}));
    AppendOptions raised;
    raised.durability = Durability::interval;
    auto done = store->append({{.data = "is synced soon"}}, raised);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->level, Durability::interval);
    auto durable = store->wait(done->last, Durability::disk, 30'000);
    ASSERT_TRUE(durable);
    EXPECT_TRUE(*durable);
}

TEST(Threads, SyncsBesideACloseEndWellOrSayClosed) {
    const TemporaryDirectory directory;
    for (int round = 0; round < 50; ++round) {
        OpenOptions options;
        options.durability = Durability::os;
        auto store = Store::open(directory.store(), options);
        ASSERT_TRUE(store);
        std::atomic<bool> wrong{false};
        std::vector<std::thread> threads;
        for (int n = 0; n < 3; ++n) {
            threads.emplace_back([&] {
                for (int k = 0; k < 20; ++k) {
                    auto done = store->append({{.data = "one more"}});
                    auto synced = store->sync();
                    const auto refused = [](const auto& result) {
                        return !result && result.error().code != ErrorCode::closed;
                    };
                    if (refused(done) || refused(synced)) wrong = true;
                }
            });
        }
        EXPECT_TRUE(store->close());
        for (std::thread& thread : threads) thread.join();
        EXPECT_FALSE(wrong);
    }
    auto report = Store::verify(directory.store());
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->damaged.empty());
}

}  // namespace
}  // namespace varve::test
