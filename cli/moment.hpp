// Moments as people write them on the command line.
//
// Any thread, no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace varve::cli {

/// Microseconds since 1970 of `text`: RFC 3339 (a date alone is its beginning in UTC), milliseconds
/// since 1970 with up to three decimals, `now`, or a number with a unit and a sign that counts from
/// `now_us`: `-90s`, `-15m`, `-1h`, `-7d`, `-2w`, `+1h`. Nothing if it is none of these.
[[nodiscard]] std::optional<std::int64_t> parse_moment(std::string_view text, std::int64_t now_us);

/// The time now, microseconds since 1970.
[[nodiscard]] std::int64_t now_us();

}  // namespace varve::cli
