// What the scenarios of varve-bench share: parameters, workloads, clocks, latencies, results.
//
// Main thread unless a scenario says otherwise. Invariant: nothing is reported that was not
// measured in this run.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <varve/varve.hpp>
#include <vector>

namespace varve::bench {

struct Parameters {
    std::string scenario, file, workload = "hot", level = "os", verify = "always", directory;
    std::string variant;                     ///< of the scenario; empty: the plain one
    std::vector<std::string> peers{"lmdb"};  ///< beside whom; those that this build has
    bool peers_asked = false;                ///< they were named, not taken by default
    bool threads_asked = false;              ///< the same for `threads`
    bool readers_asked = false;              ///< and for `readers`
    std::uint64_t events = 0;                ///< 0: the scenario's own choice
    std::uint64_t threads = 1, batch = 1, size = 150, readers = 1, rounds = 3, repeat = 1;
    bool json = false, cold = false;
    bool conditional = false;  ///< appends carry a condition

    [[nodiscard]] Durability durability() const {
        return level == "disk" ? Durability::disk : Durability::os;
    }
    [[nodiscard]] Verify verification() const {
        return verify == "trusted" ? Verify::trusted : Verify::always;
    }
};

using Metrics = std::map<std::string, double>;

/// Measurements of one side, several rounds of which are taken alternately with those of the other
/// side.
struct Side {
    std::string variant;
    std::vector<Metrics> rounds;
    /// Median of each metric; of one that the first round lacks, nothing.
    [[nodiscard]] Metrics medians() const;
};

/// A line per side, the first of which is ours, and a line of ratios per peer that was measured.
void report(const Parameters& parameters, const std::vector<Side>& sides);
/// A line per side, and a line of ratios for each of `ours` beside each of `theirs`.
void report_all(const Parameters& parameters, const std::vector<Side>& ours,
                const std::vector<Side>& theirs);

[[nodiscard]] double seconds_now();
[[nodiscard]] double cpu_seconds_now();

/// Logarithmic buckets, eight per power of two: percentiles within nine per cent, in constant
/// memory.
class Latencies {
public:
    void add(std::uint64_t ns);
    void add(const Latencies& other);
    [[nodiscard]] double percentile(double part) const;
    [[nodiscard]] double average() const {
        return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
    }
    [[nodiscard]] double max() const { return static_cast<double>(max_); }
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    std::array<std::uint64_t, 64 * 8> buckets_{};
    std::uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

/// A directory of this run's own, removed at the end.
class Scratch {
public:
    explicit Scratch(const std::string& beside);
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch();
    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Asks ext4 to keep what is made directly in it apart from everything else, so that making
    /// files does not depend on what was removed in the last five minutes: their places are passed
    /// over one by one. Best effort.
    void spread() const;

private:
    std::string path_;
};

/// Events as applications write them. hot: 1,000 streams, 12 types, 2 of 10,000 tags, skewed. wide:
/// 100,000 streams, 1,000,000 tags, even. Names exist before anything is timed; the views point
/// into this object.
class Workload {
public:
    Workload(bool wide, std::size_t data_size);
    /// Fills `events` with the next ones, valid until the next call. Their names are written anew,
    /// as an application does that makes them from what it handles.
    void fill(std::vector<NewEvent>& events);

private:
    [[nodiscard]] std::uint64_t random();
    [[nodiscard]] std::size_t pick(std::size_t count);
    [[nodiscard]] std::string_view written(const std::string& name);

    bool wide_;
    std::uint64_t state_ = 42;
    std::vector<std::string> streams_, types_, tags_;
    std::vector<std::uint32_t> skew_;
    std::string data_;
    std::string text_;  ///< the names of the events that were filled last
};

/// Ends the program with a message if `result` is an error.
template <class T>
T must(Result<T> result, const char* what) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "varve-bench: %s: %s\n", what, result.error().message.c_str());
    std::exit(3);
}

/// The same for what returns nothing.
inline void must_do(Result<void> result, const char* what) {
    if (result) return;
    std::fprintf(stderr, "varve-bench: %s: %s\n", what, result.error().message.c_str());
    std::exit(3);
}

/// Random numbers, the same in every run.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    [[nodiscard]] std::uint64_t next() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return state_ >> 33;
    }

private:
    std::uint64_t state_;
};

/// Percentiles of calls that took `wall` and `cpu` seconds together for `events` events.
[[nodiscard]] Metrics append_metrics(const Latencies& latencies, double wall, double cpu,
                                     std::uint64_t events);

/// Writes `size` bytes and syncs, one behind the other, in an allocated file that is made at `path`
/// and removed, for `goal_s` seconds: what a disk allows.
[[nodiscard]] Metrics raw_round(const std::string& path, std::size_t size, double goal_s);

/// Imports `file` into a new store at `store` by the command line, as a process of its own. The
/// most anonymous memory it had, in MB, goes to `anonymous` unless that is null.
void import_file(const std::string& file, const std::string& store, double* anonymous = nullptr);

/// A round of the variants idle and many of consumer, beside `directory`.
[[nodiscard]] Metrics consumers_at_rest(const Parameters& parameters, const std::string& directory);

// The scenarios.
void run_append(const Parameters& parameters);
void run_durable(const Parameters& parameters);
void run_raw_durable(const Parameters& parameters);
void run_scan(const Parameters& parameters);
void run_visibility(const Parameters& parameters);
void run_import(const Parameters& parameters);
void run_open(const Parameters& parameters);
void run_catalogue(const Parameters& parameters);
void run_rebuild(const Parameters& parameters);
void run_seal(const Parameters& parameters);
void run_verify(const Parameters& parameters);
void run_matcher(const Parameters& parameters);
void run_derived(const Parameters& parameters);
void run_query(const Parameters& parameters);
void run_conditional(const Parameters& parameters);
void run_contention(const Parameters& parameters);
void run_speedrun(const Parameters& parameters);
void run_consumer(const Parameters& parameters);
void run_nes(const Parameters& parameters);
void run_seed(const Parameters& parameters);
void run_import_nes(const Parameters& parameters);

}  // namespace varve::bench
