// Scenarios in which two parties act at once, brought about on purpose in the simulated world: no
// scheduler, no clock, no luck.
//
// One thread. Each returns what went wrong, or an empty text.
#pragma once

#include <cstdint>
#include <string>

namespace varve::crash {

/// An append happens inside another one, where that one holds no lock. Both demand the same version
/// of one stream: one of them must be refused.
[[nodiscard]] std::string append_inside_append(std::uint64_t seed);

/// The same append from two parties at once, one inside the other, and once more later: stored
/// once, and the repetition is not judged by the version that it expected.
[[nodiscard]] std::string repeated_append_inside(std::uint64_t seed);

/// An event is published right before a reader falls asleep, and while it sleeps: in the writer's
/// process and in a read-only one. The reader must not sleep on.
[[nodiscard]] std::string append_while_waiting(std::uint64_t seed);

}  // namespace varve::crash
