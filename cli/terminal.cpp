#include "terminal.hpp"

#include <unistd.h>

#include <cstdlib>

namespace varve::cli {

int report(const Error& error) {
    std::string where;
    if (!error.file.empty())
        where = " (" + error.file +
                (error.offset != 0 ? ", offset " + std::to_string(error.offset) : "") + ")";
    complain("{}{} [{}]", error.message, where, to_string(error.code));
    switch (error.code) {
        case ErrorCode::corrupt:
        case ErrorCode::io:
        case ErrorCode::no_space:
        case ErrorCode::durability_lost:
        case ErrorCode::poisoned: return kDamaged;
        default: return kRefused;
    }
}

Store open_or_fail(const std::string& path, const OpenOptions& options) {
    auto store = Store::open(path, options);
    if (!store) throw Failed(store.error());
    return std::move(*store);
}

Store open_to_read(const std::string& path) {
    OpenOptions options;
    options.access = Access::read_only;
    return open_or_fail(path, options);
}

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    for (const char c : text) {
        if (out.size() >= limit) return out + "…";
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

bool colours() {
    static const bool wanted = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    return wanted;
}

std::string human_bytes(std::uint64_t bytes) {
    const char* const units[] = {"B", "KB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1000 && unit < 4; ++unit) value /= 1000;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

ProgressBar::ProgressBar(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), visible_(::isatty(STDERR_FILENO) == 1) {}

void ProgressBar::show(std::uint64_t done, std::uint64_t count, const char* unit) {
    const auto now = std::chrono::steady_clock::now();
    if (!visible_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    const double part =
        total_ == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    constexpr std::size_t kWidth = 30;
    const auto full = static_cast<std::size_t>(part * kWidth);
    const std::string bar = std::string(full, '#') + std::string(kWidth - full, '-');
    const double left = part > 0 ? seconds / part - seconds : 0;
    const std::string text =
        fmt::format("\r{} [{}] {:3.0f} %  {} {}, {:.0f}/s, {:.0f} s left ", what_, bar, part * 100,
                    count, unit, static_cast<double>(count) / seconds, left);
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void ProgressBar::finish() {
    if (drawn_) std::fwrite("\r\033[K", 1, 4, stderr);
    drawn_ = false;
}

}  // namespace varve::cli
