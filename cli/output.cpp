#include "output.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "json_events.hpp"

namespace varve::cli {

namespace {

constexpr std::size_t kBuffered = 64 << 10;

std::string& pending() {
    static std::string buffer;
    return buffer;
}

bool json_errors = false;

/// Writes all of `text` or returns the errno.
int write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

/// The length of the UTF-8 character at the start of `text` and its number; length 0 if there is
/// none.
std::pair<std::size_t, char32_t> first_character(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {1, lead};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {0, 0};
    char32_t number = lead & (0xFFU >> (length + 1));
    for (std::size_t at = 1; at < length; ++at) {
        if ((byte(at) & 0xC0U) != 0x80) return {0, 0};
        number = number << 6 | (byte(at) & 0x3FU);
    }
    const bool surrogate = number >= 0xD800 && number <= 0xDFFF;
    if (number < kSmallest[length] || number > 0x10FFFF || surrogate) return {0, 0};
    return {length, number};
}

/// Characters that move the cursor, change colours, or turn the direction of writing round.
bool steers(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/// True if an event stands in the way of what was refused.
bool names_event(const Error& error) {
    return error.code == ErrorCode::condition_failed || error.code == ErrorCode::id_conflict;
}

/// The event that is in the way, for people.
void complain_of_event(const Error& error) {
    std::string what = fmt::format("in the way: position {}", error.position.value);
    if (!error.stream.empty()) what += ", stream " + error.stream;
    if (!error.type.empty()) what += ", type " + error.type;
    if (!error.tags.empty()) what += fmt::format(", tags {}", fmt::join(error.tags, " "));
    complain_text(what);
}

void write_event(const Error& error, std::string& out) {
    out += fmt::format(",\"position\":{},\"stream\":", error.position.value);
    write_string(error.stream, out);
    out += ",\"type\":";
    write_string(error.type, out);
    out += ",\"tags\":[";
    for (const std::string& tag : error.tags) {
        if (out.back() != '[') out += ',';
        write_string(tag, out);
    }
    out += ']';
}

void write_error(const Error& error) {
    if (!json_errors) {
        std::string where;
        if (!error.file.empty())
            where = " (" + error.file +
                    (error.offset != 0 ? ", offset " + std::to_string(error.offset) : "") + ")";
        complain("{}{} [{}]", error.message, where, to_string(error.code));
        if (names_event(error)) complain_of_event(error);
        return;
    }
    std::string out =
        fmt::format("{{\"error\":{{\"code\":\"{}\",\"message\":", to_string(error.code));
    write_string(error.message, out);
    if (!error.file.empty()) {
        out += ",\"file\":";
        write_string(error.file, out);
        out += fmt::format(",\"offset\":{}", error.offset);
    }
    if (error.code == ErrorCode::wrong_expected_version) {
        out += ",\"stream\":";
        write_string(error.stream, out);
        out += fmt::format(",\"version\":{}", error.version);
    }
    if (names_event(error)) write_event(error, out);
    out += fmt::format(",\"retry\":{}}}}}\n", error.retry);
    write_all(STDERR_FILENO, out);
}

}  // namespace

void put(std::string_view text) {
    pending() += text;
    if (pending().size() >= kBuffered) flush_output();
}

void flush_output() {
    const std::string text = std::exchange(pending(), {});
    if (const int error = write_all(STDOUT_FILENO, text); error != 0) throw OutputFailed{error};
}

bool output_abandoned() {
    pollfd output{STDOUT_FILENO, 0, 0};  // asks for nothing: errors are always reported
    return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

void errors_as_json() { json_errors = true; }

void complain_text(std::string_view message) {
    std::string out;
    if (json_errors) {
        out = "{\"error\":{\"message\":";
        write_string(message, out);
        out += "}}\n";
    } else {
        out = "varve: " + printable(message) + "\n";
    }
    write_all(STDERR_FILENO, out);
}

int report(const Error& error) {
    write_error(error);
    switch (error.code) {
        case ErrorCode::corrupt:
        case ErrorCode::io:
        case ErrorCode::no_space:
        case ErrorCode::durability_lost:
        case ErrorCode::out_of_memory:
        case ErrorCode::poisoned: return kDamaged;
        default: return kRefused;
    }
}

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= limit) return out + "…";
        const auto [length, character] = first_character(text);
        if (length == 0)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
        else if (!steers(character))
            out += text.substr(0, length);
        else if (character < 0x80)
            out += fmt::format("\\x{:02x}", static_cast<unsigned>(character));
        else
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(character));
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

bool colours() {
    static const bool wanted = [] {
        const char* const no = std::getenv("NO_COLOR");
        const char* const terminal = std::getenv("TERM");
        return ::isatty(STDOUT_FILENO) == 1 && (no == nullptr || *no == '\0') &&
               (terminal == nullptr || std::string_view(terminal) != "dumb");
    }();
    return wanted;
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array kUnits{"B", "KB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace varve::cli
