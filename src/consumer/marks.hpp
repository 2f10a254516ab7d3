// What the holder of a consumer or lane leaves to whoever takes over when it dies: which events it
// had in hand, and how often events were tried.
//
// By the holder alone, under its mutex. Words of a mapping: they cost a few stores and outlive the
// process, but not always a power cut. Invariants: what was left for another generation of the
// checkpoint says nothing; damaged words cost at most one attempt of one event, and some events
// that come one by one.
#pragma once

#include <map>

#include "consumer/format.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// How often each event was tried, by position.
using Attempts = std::map<std::uint64_t, std::uint32_t>;

/// What the holder before this one has left.
struct Left {
    std::uint64_t given = 0;  ///< it died with events up to here in hand; 0: it did not
    std::uint64_t alone = 0;  ///< the only one that it had in hand; 0: there were several
    Attempts attempts;        ///< of events behind the checkpoint
};

/// Reads what was left behind a checkpoint at `passed`; afterwards nothing is in hand. May throw
/// bad_alloc.
[[nodiscard]] Left take_marks(SharedWords& words, std::uint32_t generation, std::uint64_t passed);
/// Nothing is in hand and nothing was tried.
void clear_marks(SharedWords& words, std::uint32_t generation) noexcept;
/// Says what is in hand.
void mark_in_hand(SharedWords& words, std::uint64_t given, std::uint64_t alone) noexcept;
/// Remembers how often an event was tried, if there is room: in the place of one that the
/// checkpoint has passed.
void mark_attempts(SharedWords& words, std::uint64_t position, std::uint32_t attempts,
                   std::uint64_t passed) noexcept;

}  // namespace consumer
}  // namespace v0
}  // namespace varve
