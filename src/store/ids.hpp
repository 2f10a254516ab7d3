// Event ids: finding events by them, and telling a repeated append from a conflicting one.
//
// Any thread, nothing kept, nothing locked. The rule: an append that has ids repeats an earlier one
// if its events are, one by one from the first, the first events of one earlier commit: where the
// append has an id the commit has the same one there, and where it has none the commit has none.
// If any of its ids is found and it is no such repetition, it is in conflict. What the events say
// is not compared: the id decides. Of several events with one id (which only `id_window` makes
// possible) the newest counts. Invariant: an id is compared with the record's bytes before anything
// is answered, because keys may collide, and an event that cannot be read is never passed over.
#pragma once

#include <optional>

#include "store/admission.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// The newest event of the segment with this id (16 bytes, whose key is `key`) among the ordinals
/// `low`… `high`. The one place that asks a segment's index about ids. Errors: `corrupt` if an
/// event or a list that may hold the answer cannot be read.
[[nodiscard]] Result<std::optional<std::uint32_t>> find_id(const Meta& meta, const Segment& segment,
                                                           index::Key key, std::string_view id,
                                                           std::uint64_t low,
                                                           std::uint64_t high) noexcept;

/// Which of some ids was found, and where. Position 0: none.
struct FoundId {
    std::size_t number = 0;  ///< index into the ids
    std::uint64_t position = 0;
};

/// Looks for any of `ids` at the positions `low`… `high`, newest segment first.
[[nodiscard]] Result<FoundId> find_any(const Meta& meta, const SegmentList& list,
                                       std::span<const PlannedId> ids, std::uint64_t low,
                                       std::uint64_t high) noexcept;

/// True if the plan repeats an earlier append of which an event stands at the positions `low`…
/// `high`; then `done` says what that one did, and `plan`'s heads are those of then. False if none
/// of its ids is there. Errors: `id_conflict` with the event in the way, `corrupt`,
/// `out_of_memory`.
[[nodiscard]] Result<bool> is_repetition(const Meta& meta, const SegmentList& list, Plan& plan,
                                         std::uint64_t low, std::uint64_t high,
                                         Appended& done) noexcept;

/// First of the positions that the option `id_window` looks at when the last one is `last`.
[[nodiscard]] constexpr std::uint64_t window_begin(std::uint64_t window,
                                                   std::uint64_t last) noexcept {
    return window == 0 || window >= last ? 1 : last - window + 1;
}

/// What `done` says of the versions, from the heads of the plan's streams. Its vector has room.
void tell_versions(const Plan& plan, Appended& done) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
