// Scenarios that need real threads: lost wake-ups and expected versions under contention. On real
// files.
#include "threads.hpp"

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "varve/varve.hpp"

namespace varve::crash {

namespace {

/// A directory that goes away with its object.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "varve-crash-XXXXXX").string();
        if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

OpenOptions fast() {
    OpenOptions options;
    options.durability = Durability::os;
    return options;
}

}  // namespace

std::string lost_wake_ups(std::uint64_t rounds) {
    const TemporaryDirectory directory;
    auto store = Store::open(directory.path() + "/store", fast());
    if (!store) return "cannot open: " + store.error().message;
    std::atomic<std::uint64_t> delivered{0};
    std::atomic<bool> late{false};
    std::thread reader([&] {
        auto live = store->follow();
        if (!live) return;
        while (delivered.load() < rounds && !late) {
            auto run = live->next(500);
            // A time-out while the event is there is a lost wake-up: nobody told us.
            auto snapshot = store->snapshot();
            if (!run || !snapshot) break;
            if (run->empty() && snapshot->published().value > live->position().value) late = true;
            delivered += run->size();
            delivered.notify_all();
        }
    });
    for (std::uint64_t n = 0; n < rounds && !late; ++n) {
        static_cast<void>(store->append({{.data = "ping"}}));
        for (std::uint64_t seen = delivered.load(); seen <= n && !late; seen = delivered.load()) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
    reader.join();
    return late ? "an event was published and its reader slept on" : "";
}

std::string contended_versions(std::uint64_t rounds) {
    const TemporaryDirectory directory;
    auto store = Store::open(directory.path() + "/store", fast());
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
