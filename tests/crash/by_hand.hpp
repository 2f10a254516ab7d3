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
[[nodiscard]] std::string evidence_behind_a_roll();
/// The header of a new segment is lost in a power cut, what stands behind it is not: it stays given
/// up, also for those who read around later damage.
[[nodiscard]] std::string segment_that_lost_its_header(std::uint64_t seed);

// ---- sealed indexes (sealing.cpp)
/// At every step of sealing and merging the power is cut: what the manifest names is whole.
[[nodiscard]] std::string named_indexes_are_whole(std::uint64_t seed);
/// Files that a merge replaces stay until readers had time to look again.
[[nodiscard]] std::string replaced_files_stay(std::uint64_t seed);
/// A reader without one of the indexes answers in full.
[[nodiscard]] std::string missing_index(std::uint64_t seed);
/// A view ends where it ends, also where an index goes on.
[[nodiscard]] std::string clipped_lists(std::uint64_t seed);

}  // namespace varve::crash
