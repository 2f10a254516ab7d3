// Scenarios that need real threads: lost wake-ups and expected versions under contention. On real
// files.
#include "threads.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "support/patient_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::crash {

namespace {

using test::TemporaryDirectory;

OpenOptions fast() {
    OpenOptions options;
    options.durability = Durability::os;
    return options;
}

}  // namespace

std::string lost_wake_ups(std::uint64_t rounds) {
    const TemporaryDirectory directory;
    test::PatientEnv env;
    OpenOptions options = fast();
    options.env = &env;
    auto store = Store::open(directory.store(), options);
    if (!store) return "cannot open: " + store.error().message;
    // A waiter looks again on its own after 100 seconds. Whoever needs this long was not woken; no
    // load of the machine explains it.
    constexpr auto kLate = std::chrono::seconds(30);
    std::atomic<std::uint64_t> delivered{0};
    std::atomic<bool> stopped{false};
    std::thread reader([&] {
        auto live = store->follow();
        while (live && !stopped && delivered.load() < rounds) {
            auto run = live->next(5000);
            if (!run) break;
            delivered += run->size();
        }
    });
    bool late = false;
    for (std::uint64_t n = 0; n < rounds && !late; ++n) {
        // Long enough for the reader to fall asleep, most of the time.
        std::this_thread::sleep_for(std::chrono::microseconds(n % 4 * 40));
        const auto begin = std::chrono::steady_clock::now();
        static_cast<void>(store->append({{.data = "ping"}}));
        while (delivered.load() <= n && !late) {
            std::this_thread::yield();
            late = std::chrono::steady_clock::now() - begin > kLate;
        }
    }
    stopped = true;
    static_cast<void>(store->close());
    reader.join();
    return late ? "an event was published and its reader slept on" : "";
}

std::string contended_versions(std::uint64_t rounds) {
    const TemporaryDirectory directory;
    auto store = Store::open(directory.store(), fast());
    if (!store) return "cannot open: " + store.error().message;
    std::atomic<bool> wrong{false};
    const auto contend = [&] {
        std::uint64_t version = 0;
        for (std::uint64_t n = 0; n < rounds && !wrong; ++n) {
            auto done =
                store->append({{.stream = "one"}}, {.expected = Expected::version(version)});
            if (done && done->version != version + 1) wrong = true;
            version = done ? done->version : done.error().version;
        }
    };
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) threads.emplace_back(contend);
    for (std::thread& thread : threads) thread.join();
    return wrong ? "an append with an expected version was taken at another one" : "";
}

}  // namespace varve::crash
