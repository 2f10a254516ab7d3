// What rigs have in common that end processes with SIGKILL: memory that the processes share, random
// moments, one violation told by whoever sees it first, and rounds that one line replays.
//
// Whoever starts processes here has one thread. What is in the shared memory is atomic, but for the
// text of the violation, which is written once and read when the processes are gone.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <thread>

namespace varve::test {

/// A `Content` that this process and those forked from it see.
template <class Content>
class SharedMemory {
public:
    SharedMemory() {
        void* const memory = ::mmap(nullptr, sizeof(Content), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            std::perror("mmap");
            std::abort();
        }
        content_ = new (memory) Content{};
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { ::munmap(content_, sizeof(Content)); }
    [[nodiscard]] Content& operator*() const { return *content_; }

private:
    Content* content_;
};

/// The first violation that any process has seen. Lives in shared memory.
class Violation {
public:
    void say(const std::string& what) {
        if (count_.fetch_add(1) == 0) what.copy(what_, sizeof what_ - 1);
    }
    [[nodiscard]] bool seen() const { return count_.load() != 0; }
    /// Nothing if nobody has seen one.
    [[nodiscard]] std::string text() const {
        if (!seen()) return "";
        return what_[0] != 0 ? what_ : "something, but its process was ended before it had said it";
    }

private:
    std::atomic<std::uint32_t> count_{0};
    char what_[256] = {};
};

/// Goes on with the row of random numbers of which `seed` is the last.
inline std::uint64_t next_random(std::uint64_t& seed) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return seed;
}

/// A random moment: from before a store is open to well into a row of calls.
inline void sleep_until_kill(std::uint64_t random) {
    std::this_thread::sleep_for(std::chrono::microseconds((random >> 33) % 12'000));
}

/// Its status, as `waitpid` tells it.
inline int kill_and_wait(pid_t child) {
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

/// Ends one of the children at a random moment and starts it again, so many times or until
/// something is wrong; at the end all of them. `start(n)` gives the process that does what child
/// `n` has to.
template <class Start>
void kill_in_turns(std::span<pid_t> children, std::uint64_t rounds, std::uint64_t& seed,
                   const Violation& violation, const Start& start) {
    for (std::size_t n = 0; n < children.size(); ++n) children[n] = start(n);
    for (std::uint64_t round = 0; round < rounds && !violation.seen(); ++round) {
        const std::uint64_t random = next_random(seed);
        sleep_until_kill(random);
        const std::size_t n = (random >> 50) % children.size();
        kill_and_wait(children[n]);
        children[n] = start(n);
    }
    for (const pid_t child : children) kill_and_wait(child);
}

/// What a rig was called with.
struct KillArguments {
    std::uint64_t rounds;
    std::uint64_t seed = 1;
};

/// `--rounds N` and `--seed S`; anything else ends the program.
inline KillArguments kill_arguments(int count, char** values, std::uint64_t rounds) {
    KillArguments arguments{rounds};
    bool good = count % 2 == 1;
    for (int n = 1; n + 1 < count && good; n += 2) {
        const bool is_rounds = std::strcmp(values[n], "--rounds") == 0;
        good = is_rounds || std::strcmp(values[n], "--seed") == 0;
        const char* const end = values[n + 1] + std::strlen(values[n + 1]);
        const auto read =
            std::from_chars(values[n + 1], end, is_rounds ? arguments.rounds : arguments.seed);
        good = good && read.ec == std::errc{} && read.ptr == end;
    }
    if (good) return arguments;
    std::fprintf(stderr, "usage: %s [--rounds N] [--seed S]\n", values[0]);
    std::exit(2);
}

/// Runs `run(kills, seed)` for one store after another, until `arguments.rounds` processes were
/// ended; it gives what is wrong, or nothing. The number of those that were, or 0 after something
/// was wrong and has been printed.
template <class Run>
std::uint64_t run_stores(const char* program, const KillArguments& arguments, const Run& run) {
    constexpr std::uint64_t kPerStore = 100;
    std::uint64_t seed = arguments.seed;
    std::uint64_t done = 0;
    while (done < arguments.rounds) {
        const std::string wrong = run(kPerStore, seed);
        done += kPerStore;
        if (wrong.empty()) continue;
        std::printf("after %llu kills: %s\nreplay: %s --seed %llu --rounds %llu\n",
                    static_cast<unsigned long long>(done), wrong.c_str(), program,
                    static_cast<unsigned long long>(arguments.seed),
                    static_cast<unsigned long long>(arguments.rounds));
        return 0;
    }
    return done;
}

}  // namespace varve::test
