// varve_nes_kill: kill -9 on real files of node-event-storage, in both layouts.
//
//   varve_nes_kill [--rounds N] [--seed S]     rounds of each of four kinds
//
// Every round a writer process appends, a partition with its index or a whole storage, flushes now
// and then, and notes in shared memory what it has flushed. The parent kills it at a random
// microsecond and opens what is left: everything flushed must be there, what else is there must go
// on from it without a gap, and the next writer goes on behind it. A reader follows the mapped
// partition through all writers of a store. One line replays a violation.
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
#include "varve/nes.hpp"

namespace varve::nes {
namespace {

constexpr std::uint64_t kMostDelayUs = 9'000;
constexpr std::uint64_t kPerStore = 25;
constexpr int kWaitMs = 60'000;

/// What the processes tell each other.
struct Shared {
    std::atomic<std::uint64_t> documents;  ///< flushed
    std::atomic<std::uint64_t> entries;    ///< flushed
    std::atomic<std::uint64_t> followed;   ///< documents that the reader was given
    std::atomic<std::uint32_t> reader_failed;
    std::atomic<std::uint32_t> stop;
};

std::uint64_t next(std::uint64_t& seed) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return seed >> 33;
}

/// Document `n`, 1-based: anybody can say what must be there. Some are longer than several pages.
std::string document(std::uint64_t n) {
    const std::size_t size = n % 61 == 0 ? 20'000 : n * 37 % 400;
    return R"({"stream":"s)" + std::to_string(n % 3) + R"(","n":)" + std::to_string(n) +
           R"(,"more":")" + std::string(size, static_cast<char>('a' + n % 26)) + "\"}";
}
std::string partition_of(std::uint64_t n) { return "s" + std::to_string(n % 3); }

template <class Options>
Options options_for(Layout layout, Access access) {
    Options options;
    options.access = access;
    options.layout = access == Access::read_only ? Layout::detect : layout;
    options.write_ahead_bytes = 8 << 10;  // small, so that files grow and buffers fill often
    return options;
}

/// A partition and its index, as a writer or the check opens them.
struct Files {
    Partition partition;
    Index index;
};

std::optional<Files> open_files(const std::string& directory, Layout layout, Access access) {
    auto partition =
        Partition::open(directory + "/p", options_for<PartitionOptions>(layout, access));
    if (!partition) {
        std::printf("%s\n", partition.error().message.c_str());
        std::fflush(stdout);
        return std::nullopt;
    }
    auto index = Index::open(directory + "/p.index", options_for<IndexOptions>(layout, access));
    if (!index) {
        std::printf("%s\n", index.error().message.c_str());
        std::fflush(stdout);
        return std::nullopt;
    }
    return Files{std::move(*partition), std::move(*index)};
}

IndexEntry entry_of(std::uint64_t n, std::uint64_t position) {
    return {static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(position),
            static_cast<std::uint32_t>(document(n).size()), 7};
}

/// Cuts what a dead writer left behind the last whole document, and brings the index to agree.
std::uint64_t go_on(Files& files) {
    if (!files.partition.drop_torn()) ::_exit(20);
    const auto last = files.partition.last();
    if (!last) ::_exit(21);
    const std::uint64_t count = *last ? (*last)->sequence + 1 : 0;
    if (files.index.length() > count && !files.index.truncate(count)) ::_exit(22);
    if (files.index.length() < count) {
        auto cursor = files.partition.forwards();
        std::uint64_t n = 0;
        for (Document one; cursor->next(one);)
            if (++n > files.index.length() && !files.index.add(entry_of(n, one.position)))
                ::_exit(23);
    }
    return count;
}

[[noreturn]] void write_files(const std::string& directory, Layout layout, Shared& shared,
                              std::uint64_t seed) {
    auto files = open_files(directory, layout, Access::read_write);
    if (!files) ::_exit(9);
    for (std::uint64_t n = go_on(*files) + 1;; ++n) {
        const auto position =
            files->partition.write(document(n), static_cast<std::uint32_t>(n - 1));
        if (!position) ::_exit(10);
        if (!files->index.add(entry_of(n, *position))) ::_exit(11);
        if (next(seed) % 7 != 0) continue;
        if (!files->partition.flush()) ::_exit(12);
        shared.documents.store(n);
        if (!files->index.flush()) ::_exit(13);
        shared.entries.store(n);
    }
}

/// Empty, or what is wrong with the files after a kill.
std::string check_files(const std::string& directory, Layout, const Shared& shared) {
    auto files = open_files(directory, Layout::detect, Access::read_only);
    if (!files) return "the files cannot be opened";
    std::uint64_t n = 0;
    auto cursor = files->partition.forwards();
    if (!cursor) return "cannot read: " + cursor.error().message;
    for (Document one; cursor->next(one);) {
        const std::uint64_t place = ++n;
        if (one.data != document(n) || one.sequence != n - 1) return "a document is another";
        const auto entry = files->index.get(static_cast<std::int64_t>(place));
        if (entry && *entry != entry_of(n, one.position)) return "an index entry is another";
    }
    if (!cursor->status()) return "a document is damaged: " + cursor->status().error().message;
    if (n < shared.documents.load()) return "flushed documents are gone";
    if (files->index.length() < shared.entries.load()) return "flushed entries are gone";
    return {};
}

StorageOptions storage_options(const std::string& directory, Layout layout) {
    StorageOptions options;
    options.access = Access::read_write;
    options.layout = layout;
    options.index_directory = directory + "/streams";
    options.lock = Lock::take_over;
    return options;
}

constexpr const char* kMatcher = R"({"stream":"s1"})";

[[noreturn]] void write_storage(const std::string& directory, Layout layout, Shared& shared,
                                std::uint64_t seed) {
    auto storage = Storage::open(directory, storage_options(directory, layout));
    if (!storage) {
        std::printf("%s (%s)\n", storage.error().message.c_str(), storage.error().file.c_str());
        std::fflush(stdout);
        ::_exit(9);
    }
    if (!storage->ensure_index("one", kMatcher)) ::_exit(14);
    for (std::uint64_t n = storage->length() + 1;; ++n) {
        const auto number = storage->write(document(n), partition_of(n));
        if (!number || *number != n) ::_exit(10);
        if (next(seed) % 7 != 0) continue;
        if (!storage->flush()) ::_exit(12);
        shared.documents.store(n);
    }
}

std::string check_storage(const std::string& directory, Layout layout, const Shared& shared) {
    auto storage = Storage::open(directory, storage_options(directory, layout));
    if (!storage) return "cannot open: " + storage.error().message + " " + storage.error().file;
    if (auto made = storage->ensure_index("one", kMatcher); !made) return made.error().message;
    if (storage->length() < shared.documents.load()) return "flushed documents are gone";
    std::uint64_t n = 0;
    auto all = storage->range();
    if (!all) return "cannot read: " + all.error().message;
    for (StoredDocument one; all->next(one);)
        if (one.number != ++n || one.data != document(n)) return "a document is another";
    if (!all->status()) return "a document is damaged: " + all->status().error().message;
    if (n != storage->length()) return "the length is not the number of documents";
    std::uint64_t ones = 0;
    auto some = storage->range(1, -1, "one");
    if (!some) return "cannot read the index: " + some.error().message;
    for (StoredDocument one; some->next(one);)
        if (one.number != 3 * ones++ + 1) return "the index has another document";
    if (ones != (n + 2) / 3) return "the index lacks documents";
    return {};
}

[[noreturn]] void follow_until_stopped(const std::string& directory, Shared& shared) {
    auto files = open_files(directory, Layout::detect, Access::read_only);
    if (!files) ::_exit(7);
    std::uint64_t position = 0;
    std::uint64_t seen = 0;
    while (shared.stop.load() == 0) {
        auto cursor = files->partition.forwards(position);
        if (!cursor) ::_exit(6);
        for (Document one; cursor->next(one);)
            if (one.sequence != seen || one.data != document(++seen)) shared.reader_failed.store(1);
        if (!cursor->status()) shared.reader_failed.store(2);
        position = cursor->position();
        shared.followed.store(seen);
        const auto change = files->partition.wait(20'000);
        if (!change || change->truncated != 0) shared.reader_failed.store(3);
    }
    ::_exit(0);
}

struct Kind {
    const char* name;
    Layout layout;
    bool storage;
    [[nodiscard]] bool followed() const { return !storage && layout == Layout::mapped; }
};

/// Kills one writer; empty, or what is wrong.
std::string kill_one(const Kind& kind, const std::string& directory, Shared& shared,
                     std::uint64_t& seed) {
    const std::uint64_t delay = next(seed) % kMostDelayUs;
    const pid_t writer = ::fork();
    if (writer == 0)
        (kind.storage ? write_storage : write_files)(directory, kind.layout, shared, seed);
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
    ::kill(writer, SIGKILL);
    int status = 0;
    ::waitpid(writer, &status, 0);
    if (WIFEXITED(status))
        return "the writer ended by itself with " + std::to_string(WEXITSTATUS(status));
    return (kind.storage ? check_storage : check_files)(directory, kind.layout, shared);
}

/// The reader has been given everything, whoever wrote it. The bound is for hangs only.
std::string end_follower(pid_t reader, Shared& shared) {
    std::string wrong;
    for (int ms = 0; shared.followed.load() < shared.documents.load(); ++ms) {
        if (ms == kWaitMs || shared.reader_failed.load() != 0) {
            wrong = "the reader did not follow to the end";
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    shared.stop.store(1);
    int status = 0;
    ::waitpid(reader, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) wrong = "the reader died";
    if (const auto failed = shared.reader_failed.load(); failed != 0)
        wrong = "the reader saw something else, " + std::to_string(failed);
    return wrong;
}

std::string run_store(const Kind& kind, std::uint64_t& seed, std::uint64_t& written) {
    const test::TemporaryDirectory directory;
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Shared& shared = *new (memory) Shared{};
    if (!kind.storage && !open_files(directory.path(), kind.layout, Access::read_write))
        return "the files cannot be made";
    pid_t reader = 0;
    if (kind.followed()) {
        reader = ::fork();
        if (reader == 0) follow_until_stopped(directory.path(), shared);
    }
    std::string wrong;
    for (std::uint64_t round = 0; round < kPerStore && wrong.empty(); ++round)
        wrong = kill_one(kind, directory.path(), shared, seed);
    if (reader != 0) {
        const std::string followed = end_follower(reader, shared);
        if (wrong.empty()) wrong = followed;
    }
    written += shared.documents.load();
    ::munmap(memory, 4096);
    return wrong;
}

constexpr Kind kKinds[] = {{"classic files", Layout::classic, false},
                           {"mapped files", Layout::mapped, false},
                           {"classic storage", Layout::classic, true},
                           {"mapped storage", Layout::mapped, true}};

int run(std::uint64_t rounds, std::uint64_t seed) {
    const std::uint64_t first_seed = seed;
    for (const Kind& kind : kKinds) {
        std::uint64_t written = 0;
        for (std::uint64_t done = 0; done < rounds; done += kPerStore) {
            const std::string wrong = run_store(kind, seed, written);
            if (wrong.empty()) continue;
            std::printf("%s, before kill %llu: %s\n", kind.name,
                        static_cast<unsigned long long>(done + kPerStore), wrong.c_str());
            std::printf("replay: varve_nes_kill --seed %llu --rounds %llu\n",
                        static_cast<unsigned long long>(first_seed),
                        static_cast<unsigned long long>(rounds));
            return 1;
        }
        std::printf("%s: %llu kills, %llu documents flushed, 0 violations\n", kind.name,
                    static_cast<unsigned long long>(rounds),
                    static_cast<unsigned long long>(written));
        // A rig in which nothing is ever flushed would find nothing.
        if (written < rounds) return 1;
    }
    return 0;
}

}  // namespace
}  // namespace varve::nes

int main(int count, char** values) {
    std::uint64_t rounds = 125;
    std::uint64_t seed = 1;
    for (int n = 1; n + 1 < count; n += 2) {
        std::uint64_t& into = std::strcmp(values[n], "--rounds") == 0 ? rounds : seed;
        std::from_chars(values[n + 1], values[n + 1] + std::strlen(values[n + 1]), into);
    }
    return varve::nes::run(rounds, seed);
}
