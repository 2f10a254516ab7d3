#include "print_event.hpp"

#include <ctime>

#include "json_events.hpp"
#include "output.hpp"

namespace varve::cli {

namespace {

/// UTC to the millisecond.
std::string printable_time(std::int64_t time_us) {
    std::int64_t seconds = time_us / 1'000'000;
    std::int64_t rest_us = time_us % 1'000'000;
    if (rest_us < 0) {
        rest_us += 1'000'000;
        --seconds;
    }
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return fmt::format("{}.{:03}", text, rest_us / 1000);
}

/// One event as a line for people.
void print_for_people(const EventView& event) {
    const char* const bold = colours() ? "\033[1m" : "";
    const char* const dim = colours() ? "\033[2m" : "";
    const char* const plain = colours() ? "\033[0m" : "";
    std::string tags;
    for (const std::string_view tag : event.tags)
        tags += (tags.empty() ? "" : " ") + printable(tag, 60);
    std::string time = printable_time(event.time_us);
    if (event.recorded_us()) time += " (recorded " + printable_time(*event.recorded_us()) + ")";
    print("{:>9}  {}{}{} {}{}{}  {}{}  {}{}\n", event.position.value, bold,
          event.type.empty() ? "(no type)" : printable(event.type, 60), plain, dim, time, plain,
          event.stream.empty()
              ? "(no stream)"
              : printable(event.stream, 80) + "@" + std::to_string(event.revision.value),
          tags.empty() ? "" : "  [" + tags + "]",
          event.erased ? "(erased)" : printable(event.data, 100), "");
}

}  // namespace

void print_event(const EventView& event, bool json, std::string& buffer) {
    if (!json) return print_for_people(event);
    write_line(event, buffer);
    if (buffer.size() < (64 << 10)) return;
    put(buffer);
    buffer.clear();
}

void flush_events(std::string& buffer) {
    put(buffer);
    buffer.clear();
    flush_output();
}

}  // namespace varve::cli
