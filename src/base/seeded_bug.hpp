// Deliberate defects for proving that the test rigs can fail. Compiled in only with
// VARVE_SEEDED_BUGS.
//
// Thread rule: switch before a store is opened, from one thread. In every other build `seeded` is a
// constant false and the defective branch disappears.
#pragma once

#include <cstdint>

namespace varve::base {

enum class SeededBug : std::uint8_t {
    none,
    acknowledge_before_sync,
    sync_retried,
    no_directory_sync,
    chain_unchecked,
    evidence_in_one_segment,
    drop_beyond_published,
    epoch_ignored,
    wake_bump_dropped,
    version_checked_outside_lock,
    verify_skips_last_segment,
    padding_not_covered,
    pages_not_dirtied_again,
    verify_skips_second_to_last_segment,
    backup_without_tail,
    index_named_before_sync,
    merge_input_removed_at_once,
    missing_index_answers_short,
    list_not_clipped,
    erased_body_breaks_recovery,
    id_checked_after_condition,
    condition_judged_outside_lock,
    condition_after_off_by_one,
    batch_mates_unseen,
    stale_heads_after_handoff,
    seen_of_limited_read_is_published,
    complement_not_clipped,
    number_compared_as_text,
    given_tags_dropped_in_batches,
    outdated_append_placed,
    repair_keeps_epoch,
    used_by_header_alone,
    checkpoint_ahead_of_acknowledgement,
    nonmatching_not_passed,
    slot_unchecked,
    single_slot,
    checkpoint_beyond_durable,
    parked_counted_as_acknowledged,
    consumer_verify_says_yes,
    group_order_broken_after_death,
    consumer_wake_lost,
    takeover_by_time_out,
    shared_wait_wake_lost,
};

#if defined(VARVE_SEEDED_BUGS)
inline SeededBug seeded_bug = SeededBug::none;
[[nodiscard]] inline bool seeded(SeededBug bug) noexcept { return seeded_bug == bug; }
#else
[[nodiscard]] constexpr bool seeded(SeededBug) noexcept { return false; }
#endif

}  // namespace varve::base
