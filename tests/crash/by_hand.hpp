// Scenarios on bytes made or damaged by hand. Each returns what went wrong, or an empty text.
//
// One thread.
#pragma once

#include <cstdint>
#include <string>

namespace varve::crash {

[[nodiscard]] std::string older_writer_behind_newer();
[[nodiscard]] std::string damage_in_the_last_segment(std::uint64_t seed);
[[nodiscard]] std::string damage_in_the_segment_before_it(std::uint64_t seed);
[[nodiscard]] std::string flipped_padding(std::uint64_t seed);

}  // namespace varve::crash
