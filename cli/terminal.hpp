// What the commands share: opening a store, progress, and the guard of the mappings.
//
// Main thread only. Invariant: progress goes to the error stream and only if that is a terminal.
#pragma once

#include <chrono>
#include <string>
#include <varve/varve.hpp>

#include "output.hpp"

namespace varve::cli {

/// Ends a command with an error of the store.
struct Failed {
    explicit Failed(Error e) : error(std::move(e)) {}
    Error error;
};

/// Opens the store or throws Failed.
Store open_or_fail(const std::string& path, const OpenOptions& options);
Store open_to_read(const std::string& path);
/// Everything published now, or throws Failed.
Snapshot snapshot_of(const Store& store);

/// From now on a mapped page that cannot be read (a file cut short by somebody else, a disk that
/// fails) ends the process with a sentence that names `store` and exit code 3, not with a signal.
void guard_mappings(const std::string& store);

class ProgressBar {
public:
    /// `total` of what `show` calls `done`; 0 if nobody knows: then there is no bar, only a rate.
    ProgressBar(std::string what, std::uint64_t total);
    /// Redraws at most ten times a second. `count` of `unit` give the rate.
    void show(std::uint64_t done, std::uint64_t count, const char* unit);
    void finish();

private:
    std::string what_;
    std::uint64_t total_;
    bool visible_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point last_{};
};

/// The bar of a long call that ends in order on Ctrl-C. The first one in a process takes over the
/// signals.
class Watched {
public:
    /// What the call counts is shown divided by 2^`shift`, as `unit`.
    explicit Watched(const char* what, const char* unit = "MiB", unsigned shift = 20);
    /// For the call. Lives as long as this.
    [[nodiscard]] Progress progress();
    void finish() { bar_.finish(); }

private:
    ProgressBar bar_;
    const char* unit_;
    unsigned shift_;
};

}  // namespace varve::cli
