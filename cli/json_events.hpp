// Events as NDJSON lines, in and out.
//
// One thread per Parser. Invariant: what is written reads back as the same event: `data` and
// `metadata` are kept byte for byte as they stand in the line; bytes that are not JSON are carried
// as {"$base64": "…"}.
#pragma once

#include <simdjson.h>

#include <deque>
#include <string>
#include <string_view>
#include <varve/varve.hpp>
#include <vector>

namespace varve::cli {

/// Events parsed from lines. NewEvents point into `lines` (which the caller keeps) and into
/// `texts`.
struct Batch {
    std::vector<NewEvent> events;
    std::size_t count = 0;          ///< of `events` that are in use; the rest keep their memory
    std::deque<std::string> texts;  ///< names with escapes, decoded bytes
    std::vector<std::uint64_t> line_numbers;

    [[nodiscard]] NewEvent& add();
    void clear();
};

class Parser {
public:
    explicit Parser(bool ignore_unknown) : ignore_unknown_(ignore_unknown) {}

    /// Adds the event of `line`, behind which kPadding readable bytes lie. Empty text: fine, else
    /// what is wrong.
    [[nodiscard]] std::string parse(std::string_view line, std::uint64_t line_number, Batch& batch);

    static constexpr std::size_t kPadding = simdjson::SIMDJSON_PADDING;

private:
    [[nodiscard]] std::string field(std::string_view name, simdjson::ondemand::value value,
                                    NewEvent& event, Batch& batch);

    simdjson::ondemand::parser parser_;
    bool ignore_unknown_;
};

/// Appends one line, with its line end. `position` and `revision` are left out for `portable` lines
/// that are only data.
void write_line(const EventView& event, std::string& out);

/// Reads 32 hexadecimal digits, with hyphens anywhere, as a UUID is written.
[[nodiscard]] bool parse_id(std::string_view text, EventId& id);

/// A JSON string literal of `text`.
void write_string(std::string_view text, std::string& out);

/// Microseconds since 1970 as milliseconds with up to three decimals, and back. RFC 3339 is read
/// too.
void write_time(std::int64_t time_us, std::string& out);
[[nodiscard]] bool parse_time(std::string_view text, std::int64_t& time_us);
[[nodiscard]] bool parse_rfc3339(std::string_view text, std::int64_t& time_us);

}  // namespace varve::cli
