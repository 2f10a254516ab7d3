#include "moment.hpp"

#include <charconv>
#include <chrono>
#include <string>

#include "json_events.hpp"

namespace varve::cli {

namespace {

/// Seconds of a unit; 0 if it is none.
std::int64_t seconds_of(char unit) {
    switch (unit) {
        case 's': return 1;
        case 'm': return 60;
        case 'h': return 3600;
        case 'd': return 86'400;
        case 'w': return 604'800;
        default: return 0;
    }
}

/// `-1h` and the like, in microseconds.
std::optional<std::int64_t> parse_distance(std::string_view text) {
    if (text.size() < 3 || (text.front() != '-' && text.front() != '+')) return std::nullopt;
    const std::int64_t unit_s = seconds_of(text.back());
    const std::string_view digits = text.substr(1, text.size() - 2);
    std::int64_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    constexpr std::int64_t kMost_s = 1'000'000'000'000;  // 30,000 years: no sum overflows
    const bool whole = read.ec == std::errc{} && read.ptr == digits.data() + digits.size();
    if (!whole || unit_s == 0 || number < 0 || number > kMost_s / unit_s) return std::nullopt;
    return (text.front() == '-' ? -1 : 1) * number * unit_s * 1'000'000;
}

}  // namespace

std::optional<std::int64_t> parse_moment(std::string_view text, std::int64_t now_us) {
    if (text == "now") return now_us;
    if (const auto distance = parse_distance(text)) return now_us + *distance;
    std::int64_t time_us = 0;
    constexpr std::size_t kDate = 10;  // 2024-02-29
    const bool date = text.size() == kDate && text[4] == '-' && text[7] == '-';
    const std::string whole = std::string(text) + (date ? "T00:00:00Z" : "");
    if (parse_rfc3339(whole, time_us) || parse_time(text, time_us)) return time_us;
    return std::nullopt;
}

std::int64_t now_us() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count();
}

}  // namespace varve::cli
