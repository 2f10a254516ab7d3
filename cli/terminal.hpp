// What the commands share with the person in front of them: output, complaints, progress, exit
// codes.
//
// Main thread only. Invariant: progress goes to the error stream and only if that is a terminal.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <varve/varve.hpp>

namespace varve::cli {

enum ExitCode { kOk = 0, kRefused = 1, kUsage = 2, kDamaged = 3 };

/// Ends a command with an error of the store.
struct Failed {
    explicit Failed(Error e) : error(std::move(e)) {}
    Error error;
};

/// Prints the error with its place; returns the exit code it stands for.
int report(const Error& error);

template <class... Arguments>
void print(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const std::string text = fmt::format(format, std::forward<Arguments>(arguments)...);
    std::fwrite(text.data(), 1, text.size(), stdout);
}

template <class... Arguments>
void complain(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const std::string text =
        "varve: " + fmt::format(format, std::forward<Arguments>(arguments)...) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
}

/// Opens the store or throws Failed.
Store open_or_fail(const std::string& path, const OpenOptions& options);
Store open_to_read(const std::string& path);

/// Control characters and line ends as escapes, so that data cannot steer a terminal. At most
/// `limit` bytes, then "…".
std::string printable(std::string_view text, std::size_t limit = ~std::size_t{0});

/// True if colours are wanted on standard output.
bool colours();

/// "1.2 MB" and the like.
std::string human_bytes(std::uint64_t bytes);

class ProgressBar {
public:
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

}  // namespace varve::cli
