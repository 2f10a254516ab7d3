// Durable consumers: named subscriptions whose position, count of acknowledged events and state
// outlive the process.
//
// Thread rule: of one Consumer, `next`, `seek` and `close` by one thread at a time; everything else
// from any thread, also while `next` waits. Invariants: a checkpoint lies before the first event
// that was delivered and neither acknowledged nor parked, and never beyond what is durable;
// position, count and state change together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/event.hpp"
#include "varve/export.hpp"
#include "varve/options.hpp"
#include "varve/result.hpp"
#include "varve/selector.hpp"
#include "varve/store.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

namespace consumer {
class Active;
}  // namespace consumer

/// How to open a consumer.
struct ConsumerOptions {
    Create create = Create::if_missing;
    Position after{};  ///< where a new consumer begins: only events beyond it
    /// Deliver events only when a sync has confirmed them. If not, they come as soon as they are
    /// published, and the checkpoint waits until they are durable: in a store of level `os`, until
    /// its writer syncs or closes it.
    bool durable_only = false;
    Verify verify = Verify::always;
    std::uint32_t in_flight_max = 1
                                  << 16;  ///< delivered events that wait for their acknowledgement
    /// A checkpoint is on the disk after so many acknowledgements; 0: their number does not matter.
    std::uint32_t sync_acks = 0;
    /// And at most so long after an acknowledgement, if `next`, `ack` or `sync` is called then; 0:
    /// when `ack` returns. `close` always syncs. Losing an unsynced checkpoint in a power cut costs
    /// no event: those behind the checkpoint before it are delivered again.
    std::uint32_t sync_ms = 1000;
    /// How long to wait for the process that has the consumer. One that closes it is noticed at
    /// once, one that dies within a second.
    std::uint32_t wait_ms = 0;
    std::uint32_t retries = 3;     ///< of an event that failed, before it is parked
    std::uint32_t retry_ms = 100;  ///< before the first retry; twice as long before each other
    std::uint32_t retry_max_ms = 60'000;  ///< but never longer
    /// If set, an event whose handling ends the process counts as tried, too: after a process has
    /// died with events in hand, those come again one by one; the one that was alone in hand when a
    /// process died has been tried once more, and is parked instead of delivered when its retries
    /// are used up. Not set unless asked for: a process that dies at once whatever it is given
    /// would have one event after the other parked.
    bool count_deaths = false;
    /// While an event waits for its retry nothing behind it is delivered that was not yet. If not,
    /// others overtake it.
    bool keep_order = true;
};

/// Up to where a consumer has come.
struct Checkpoint {
    Position position{};  ///< everything up to here is acknowledged, parked, or does not match
    std::uint64_t acknowledged = 0;  ///< events since `counted_after`
    std::uint64_t parked = 0;        ///< events since then that were given up and put aside
    Position counted_after{};        ///< where counting began: at creation, a reset, or a seek
    std::uint32_t epoch = 0;         ///< of the store, of events that it has passed; 0: not known
    std::int64_t time_us = 0;        ///< when it was written, microseconds since 1970
};

/// Delivered events. Move-only. Views are valid as long as it lives, also after the next batch.
class Batch {
public:
    Batch() noexcept = default;
    Batch(std::vector<EventView> events, std::shared_ptr<const void> keeps,
          std::uint32_t lane = 0) noexcept
        : events_(std::move(events)), keeps_(std::move(keeps)), lane_(lane) {}
    Batch(Batch&&) noexcept = default;
    Batch& operator=(Batch&&) noexcept = default;

    [[nodiscard]] std::span<const EventView> events() const noexcept { return events_; }
    [[nodiscard]] auto begin() const noexcept { return events().begin(); }
    [[nodiscard]] auto end() const noexcept { return events().end(); }
    [[nodiscard]] std::size_t size() const noexcept { return events_.size(); }
    [[nodiscard]] bool empty() const noexcept { return events_.empty(); }
    /// Of its last event, 0 if it is empty: `ack(last())` acknowledges all of it.
    [[nodiscard]] Position last() const noexcept {
        return events_.empty() ? Position{} : events_.back().position;
    }

    /// Of a consumer group: the lane whose events these are; else 0.
    [[nodiscard]] std::uint32_t lane() const noexcept { return lane_; }

private:
    std::vector<EventView> events_;
    std::shared_ptr<const void> keeps_;
    std::uint32_t lane_ = 0;
};

/// What became of an event that failed.
enum class Failure : std::uint8_t {
    retried,  ///< it will be delivered again
    parked,   ///< it was put aside; the consumer goes on without it
};

/// An event that was put aside.
struct ParkedEvent {
    enum class Status : std::uint8_t {
        waiting,   ///< to be replayed or dropped
        replayed,  ///< was acknowledged later
        dropped,   ///< was given up
    };
    Position position{};
    Status status = Status::waiting;
    std::uint32_t attempts = 0;
    std::int64_t time_us = 0;  ///< of the last change, microseconds since 1970
    std::string reason;
};

/// What there is to know of a consumer without being it.
struct ConsumerInfo {
    enum class Health : std::uint8_t {
        good,
        damaged,  ///< its file cannot be read; `error` says what to do
        stale,    ///< its checkpoint belongs to another history of the store, or another store
    };
    std::string name;
    Health health = Health::good;
    std::string error;  ///< of one that is not good
    Checkpoint checkpoint{};
    std::size_t state_bytes = 0;
    std::string selector;       ///< its text, see `Selector::text`
    std::uint64_t behind = 0;   ///< matching events beyond the checkpoint
    std::uint64_t waiting = 0;  ///< parked events that were neither replayed nor dropped
    bool active = false;        ///< some process has it
    std::string holder;         ///< which, for people; empty for a group
    bool paused = false;
    /// Of a consumer group: into how many lanes its events are divided; else 0. Its checkpoint is
    /// where the last of its lanes stands, with the counts of all.
    std::uint32_t lanes = 0;
    std::uint32_t members = 0;  ///< of a group: how many it has now
};

/// All that a consumer's file says.
struct ConsumerContent {
    Selector selector;
    Checkpoint checkpoint{};
    std::string state;  ///< together with the checkpoint
};

/// What counting again found.
struct ConsumerReport {
    bool good = false;
    Checkpoint checkpoint{};
    std::uint64_t expected = 0;  ///< events that match between `counted_after` and the checkpoint
    std::uint64_t skipped = 0;   ///< of them, neither acknowledged nor parked
    std::uint64_t surplus = 0;   ///< acknowledged or parked, though they do not match
    /// The first event that was skipped; 0 if none was or if only `after` and `until` are known.
    Position first_skipped{};
    Position after{};  ///< what is wrong lies behind this position
    Position until{};  ///< and not behind this one
};

struct ResetOptions {
    Position position{};                      ///< only events beyond it are delivered from then on
    std::optional<std::string_view> state{};  ///< absent: empty
    /// For a consumer whose file is so damaged that it does not say what it follows.
    std::optional<Selector> selector{};
};

/// A consumer this process has. Move-only; destroying it closes it.
///
/// At least once: every event that matches is delivered, in order, until it is acknowledged or
/// parked. Exactly once for the state: it is stored together with the position, so a state that was
/// computed from the stored one and the delivered events is never computed from an event twice.
class VARVE_EXPORT Consumer {
public:
    static constexpr std::size_t kMaxState = 1 << 20;  ///< bytes
    static constexpr std::size_t kMaxName = 100;       ///< bytes

    /// Takes the consumer `name` of this store, making it if asked to. A name is 1 to 100 of the
    /// characters A–Z a–z 0–9 . _ - and begins with a letter or digit. `selector` belongs to the
    /// consumer: what exists must have the same. The store may be open read-only; only its
    /// directory `consumers` must be writable. Errors: `locked` (another process has it, with
    /// which), `invalid_argument` (the name, or another selector), `corrupt` (both copies of the
    /// checkpoint are damaged; the file stays as it is until somebody calls `reset`), `stale` (the
    /// checkpoint lies beyond the end of the store, with both positions), `not_found`,
    /// `unsupported_version`, `permission`, `no_space`, `closed`, `io`, `out_of_memory`.
    [[nodiscard]] static Result<Consumer> open(const Store& store, std::string_view name,
                                               const Selector& selector,
                                               const ConsumerOptions& options = {}) noexcept;
    /// The same for one that exists, with the selector it has.
    [[nodiscard]] static Result<Consumer> open(const Store& store, std::string_view name,
                                               const ConsumerOptions& options = {}) noexcept;

    Consumer(Consumer&&) noexcept;
    Consumer& operator=(Consumer&&) noexcept;
    ~Consumer();

    /// The next events, at most `max_events`, waiting up to `timeout_ms` for the first; empty when
    /// nothing came in time or the consumer is paused. Several batches may be in flight. Errors:
    /// `busy` when `in_flight_max` events wait for their acknowledgement, `closed`,
    /// `durability_lost`, `corrupt` (the event's position is named), `poisoned` after a failed sync
    /// of the checkpoint, `io`, `out_of_memory`.
    [[nodiscard]] Result<Batch> next(std::size_t max_events, std::uint32_t timeout_ms) noexcept;

    /// Acknowledges the delivered event at `position` and those before it in the same batch, except
    /// those that failed. The checkpoint moves over the acknowledgements that are complete from the
    /// front, as far as their events are durable; what it has moved over when this returns survives
    /// the death of the process, and a power cut as `ConsumerOptions::sync_ms` says. `state`
    /// replaces the stored state; a state belongs to everything before it, so it is only taken with
    /// acknowledgements in order. Acknowledging again changes nothing. Errors: `invalid_argument`
    /// (never delivered to this opening; a state out of order), `too_large` (the state), `no_space`
    /// (the event counts as not acknowledged), `closed`, `poisoned`, `io`.
    [[nodiscard]] Result<void> ack(Position position,
                                   std::optional<std::string_view> state = {}) noexcept;

    /// Says that the event at `position` could not be handled. It is delivered again, alone, after
    /// a time; when its retries are used up it is parked with `reason` (≤ 1,024 bytes are kept),
    /// durably, before the checkpoint passes it. Attempts are remembered across openings, of 32
    /// events at a time. Errors: as `ack`.
    [[nodiscard]] Result<Failure> fail(Position position, std::string_view reason) noexcept;

    /// The stored state, as of the last acknowledgement that the checkpoint has passed.
    [[nodiscard]] std::string state() const;
    /// As it is stored; behind the acknowledgements while their events are not durable.
    [[nodiscard]] Checkpoint checkpoint() const noexcept;
    /// Everything published (or durable) at the last call of `next` was delivered.
    [[nodiscard]] bool caught_up() const noexcept;
    /// Delivered and neither acknowledged nor parked.
    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept;

    /// Makes the checkpoint durable. In the writer's process the store is synced before, if the
    /// checkpoint waits for that.
    [[nodiscard]] Result<void> sync() noexcept;
    /// Goes on behind `position` instead, with that state; counts anew. What is in flight or parked
    /// is forgotten. Durable when it returns. Errors: `stale`
    /// beyond what is durable.
    [[nodiscard]] Result<void> seek(Position position,
                                    std::optional<std::string_view> state = {}) noexcept;
    /// Delivers the events that are parked now once more, in order, before anything else. Returns
    /// how many. Acknowledged, they are `replayed`; if they fail, they stay parked.
    [[nodiscard]] Result<std::uint64_t> replay() noexcept;
    /// Syncs and gives the consumer up; later calls answer `closed`.
    [[nodiscard]] Result<void> close() noexcept;

    // ---- Of any consumer, whoever has it

    /// All consumers of the store, by name. One that cannot be read is listed with its error.
    [[nodiscard]] static Result<std::vector<ConsumerInfo>> list(const Store& store) noexcept;
    /// `not_found` if there is none; a damaged one is no error.
    [[nodiscard]] static Result<ConsumerInfo> find(const Store& store,
                                                   std::string_view name) noexcept;
    /// What it follows, where it stands and its state, whoever has it. Errors: `not_found`;
    /// `invalid_argument` for a group, which has a state per lane; what is wrong with its file.
    [[nodiscard]] static Result<ConsumerContent> content(const Store& store,
                                                         std::string_view name) noexcept;
    /// Waits until its checkpoint has reached `position`, at most `timeout_ms`. True if it has. The
    /// consumer wakes whoever waits; a consumer that did not exist yet is looked for every second.
    [[nodiscard]] static Result<bool> wait(const Store& store, std::string_view name,
                                           Position position, std::uint32_t timeout_ms) noexcept;
    /// From the next call on, `next` delivers nothing until it is resumed. Durable when it returns.
    [[nodiscard]] static Result<void> pause(const Store& store, std::string_view name,
                                            bool paused) noexcept;
    /// Lets a consumer that nobody has begin anew. A damaged file is kept under another name,
    /// NAME~damaged-N. Errors: `locked`, `not_found`, `stale`, `invalid_argument` (a selector is
    /// needed).
    [[nodiscard]] static Result<void> reset(const Store& store, std::string_view name,
                                            const ResetOptions& options = {}) noexcept;
    /// Gives the consumer `by` the name `name`, in one step, if it has come at least as far as the
    /// one that has it: a new version that was filled beside the old one takes its place, with what
    /// it follows, its state and its parked events. The old file is kept as NAME~replaced-N. Nobody
    /// may have either of them. Errors: `busy` (`by` is behind, with both positions), `locked`,
    /// `not_found` (`by`), and what is wrong with either.
    [[nodiscard]] static Result<void> replace(const Store& store, std::string_view name,
                                              std::string_view by) noexcept;
    /// Counts the events that match up to the checkpoint once more and compares. Needs no lock.
    [[nodiscard]] static Result<ConsumerReport> verify(const Store& store,
                                                       std::string_view name) noexcept;
    /// Every event that was ever parked since counting began, by position. `corrupt` if the file of
    /// them does not hold as many as the checkpoint says.
    [[nodiscard]] static Result<std::vector<ParkedEvent>> parked(const Store& store,
                                                                 std::string_view name) noexcept;
    /// Gives parked events up, for a consumer that nobody has. `not_found` for one that is not
    /// waiting, and then none is dropped.
    [[nodiscard]] static Result<void> drop(const Store& store, std::string_view name,
                                           std::span<const Position> positions) noexcept;

private:
    explicit Consumer(std::unique_ptr<consumer::Active> active) noexcept;
    std::unique_ptr<consumer::Active> active_;
};

}  // namespace v0
}  // namespace varve
