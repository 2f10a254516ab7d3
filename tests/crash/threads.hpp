// Scenarios of the crash rig that need real threads and real files.
//
// Each returns what went wrong, or an empty text.
#pragma once

#include <cstdint>
#include <string>

namespace varve::crash {

/// One thread appends, another follows; a time-out while an event is there is a failure.
[[nodiscard]] std::string lost_wake_ups(std::uint64_t rounds);

/// Four threads append to one stream with exact expected versions.
[[nodiscard]] std::string contended_versions(std::uint64_t rounds);

}  // namespace varve::crash
