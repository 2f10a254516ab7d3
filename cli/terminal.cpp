#include "terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace varve::cli {

namespace {

// The handler may only use what is async-signal-safe, so its sentence is made beforehand.
std::array<char, 2048> mapping_complaint{};
std::size_t mapping_complaint_length = 0;

void on_bad_page(int) {
    const ssize_t ignored =
        ::write(STDERR_FILENO, mapping_complaint.data(), mapping_complaint_length);
    static_cast<void>(ignored);
    ::_exit(kDamaged);
}

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) { interrupted = 1; }

}  // namespace

Store open_or_fail(const std::string& path, const OpenOptions& options) {
    guard_mappings(path);
    auto store = Store::open(path, options);
    if (!store) throw Failed(store.error());
    return std::move(*store);
}

Store open_to_read(const std::string& path) {
    OpenOptions options;
    options.access = Access::read_only;
    return open_or_fail(path, options);
}

Snapshot snapshot_of(const Store& store) {
    auto snapshot = store.snapshot();
    if (!snapshot) throw Failed(snapshot.error());
    return std::move(*snapshot);
}

void guard_mappings(const std::string& store) {
    const std::string text =
        "varve: a page of the store " + printable(store, 1024) +
        " cannot be read: one of its files was cut short by another program, or the disk failed; "
        "see `varve verify` [io]\n";
    mapping_complaint_length = std::min(text.size(), mapping_complaint.size());
    std::memcpy(mapping_complaint.data(), text.data(), mapping_complaint_length);
    struct sigaction action {};
    action.sa_handler = on_bad_page;
    ::sigaction(SIGBUS, &action, nullptr);
}

ProgressBar::ProgressBar(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), visible_(::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(std::uint64_t done, std::uint64_t count, const char* unit) {
    const auto now = std::chrono::steady_clock::now();
    if (!visible_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    const double seconds = std::max(1e-3, std::chrono::duration<double>(now - begin_).count());
    const double rate = static_cast<double>(count) / seconds;
    std::string text;
    if (total_ == 0) {
        text = fmt::format("\r{}  {} {}, {:.0f}/s ", what_, count, unit, rate);
    } else {
        const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
        constexpr std::size_t kWidth = 30;
        const auto full = static_cast<std::size_t>(part * kWidth);
        const std::string bar = std::string(full, '#') + std::string(kWidth - full, '-');
        const double left = part > 0 ? seconds / part - seconds : 0;
        text = fmt::format("\r{} [{}] {:3.0f} %  {} {}, {:.0f}/s, {:.0f} s left ", what_, bar,
                           part * 100, count, unit, rate, left);
    }
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void ProgressBar::finish() {
    if (drawn_) std::fwrite("\r\033[K", 1, 4, stderr);
    drawn_ = false;
}

Watched::Watched(const char* what, const char* unit, unsigned shift)
    : bar_(what, 1000), unit_(unit), shift_(shift) {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
}

Progress Watched::progress() {
    return [this](std::uint64_t done, std::uint64_t total) {
        const double part = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
        bar_.show(static_cast<std::uint64_t>(part * 1000), done >> shift_, unit_);
        return interrupted == 0;
    };
}

}  // namespace varve::cli
