// A consumer that this process has: delivers, takes acknowledgements, moves the checkpoint.
//
// `next` and `seek` by one thread at a time, everything else from any thread; `mutex_` guards what
// both touch. Invariants: the checkpoint moves over complete acknowledgements and over what does
// not match, in that order; it never passes what is durable, and never an event that was delivered
// and is neither acknowledged nor parked.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "consumer/dealer.hpp"
#include "consumer/in_flight.hpp"
#include "consumer/marks.hpp"
#include "consumer/parked_file.hpp"
#include "store/following.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

[[nodiscard]] Place place_of(const store::Engine& engine);

/// Makes a consumer, or a group of so many lanes, that begins behind `after`. `invalid_argument` if
/// there is one of this name.
[[nodiscard]] Result<void> make_consumer(store::Engine& engine, const Place& place,
                                         std::string_view name, const Selector& selector,
                                         Position after, const Lanes& lanes);

/// One of the lanes into which the events of a group are divided.
struct GroupLane {
    std::uint64_t group = 0;  ///< its id
    std::uint32_t number = 0;
    Lanes lanes;
    std::string_view name;  ///< of the group, for messages
};

/// What the other lanes of a member are doing.
struct Others {
    bool in_hand = false;  ///< somebody handles events of one of them
    bool careful = false;  ///< of them one that has ended its process perhaps
};

/// What a lane had when nobody waited for it.
struct Polled {
    Batch batch;
    std::uint64_t due_us = 0;  ///< monotonic: something has to be done then
};

class Active {
public:
    /// `selector`: null for the one the consumer has.
    [[nodiscard]] static Result<std::unique_ptr<Active>> open(
        std::shared_ptr<store::Engine> engine, std::string_view name, const Selector* selector,
        const ConsumerOptions& options) noexcept;

    /// One lane of a group. `shared`: the words of the group, which outlive this. `locked` if
    /// another member has it.
    [[nodiscard]] static Result<std::unique_ptr<Active>> open_lane(
        std::shared_ptr<store::Engine> engine, const GroupLane& lane,
        const ConsumerOptions& options, SharedWords& shared);

    [[nodiscard]] Result<Batch> next(std::size_t max_events, std::uint32_t timeout_ms) noexcept;
    /// Of a lane, without waiting: from what was dealt to it. `leaving`: nothing new is delivered.
    /// May throw bad_alloc.
    [[nodiscard]] Result<Polled> poll(std::size_t max_events, bool leaving, Others others,
                                      Dealt& dealt);
    /// What this one says to the other lanes; from any thread, without the mutex.
    [[nodiscard]] Others hands() const noexcept {
        const std::uint8_t now = hands_.load(std::memory_order_relaxed);
        return {now != 0, now == 2};
    }
    [[nodiscard]] Result<void> ack(Position position,
                                   std::optional<std::string_view> state) noexcept;
    [[nodiscard]] Result<Failure> fail(Position position, std::string_view reason) noexcept;
    [[nodiscard]] Result<std::uint64_t> replay() noexcept;
    [[nodiscard]] Result<void> sync() noexcept;
    [[nodiscard]] Result<void> seek(Position position,
                                    std::optional<std::string_view> state) noexcept;
    [[nodiscard]] Result<void> close() noexcept;

    [[nodiscard]] std::string state() const;
    [[nodiscard]] Checkpoint checkpoint() const noexcept;
    [[nodiscard]] bool caught_up() const noexcept;
    [[nodiscard]] std::size_t in_flight() const noexcept;
    /// Parked events are to be delivered once more, or one was and is not handled.
    [[nodiscard]] bool replays() const noexcept;
    /// Everything up to here was delivered or does not match.
    [[nodiscard]] std::uint64_t followed() const noexcept;
    /// It was delivered and the checkpoint has not passed it.
    [[nodiscard]] bool has_in_flight(Position position) const noexcept;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    Active(std::shared_ptr<store::Engine> engine, std::string_view name,
           const ConsumerOptions& options)
        : engine_(std::move(engine)), env_(*engine_->meta().env), name_(name), options_(options) {}

    /// A failed event that waits for its time.
    struct Retry {
        std::uint64_t position = 0;
        std::uint64_t due_us = 0;
    };
    /// A checkpoint that waits until what it stands for is durable.
    struct Held {
        Saved saved;
        std::uint64_t least = 0;
    };
    /// What `next` may do now.
    struct Turn {
        std::optional<Batch> again;  ///< a replayed or failed event
        std::size_t room = 0;        ///< for so many new events; 0: none may come now
        std::uint32_t word = 0;      ///< the wake word, read before anything was looked at
        std::uint64_t sleep_us = 0;  ///< until something is due
    };

    [[nodiscard]] Result<void> take(const Place& place, const Selector* selector);
    [[nodiscard]] Result<void> obtain(const Place& place, const Selector* selector);
    [[nodiscard]] Result<void> begin(const Place& place, const std::string& path);
    void begin_after(std::uint64_t position);
    [[nodiscard]] Result<void> load_parked(const Place& place);

    // Under the mutex, all of these.
    [[nodiscard]] Result<void> usable() const noexcept;
    [[nodiscard]] Result<void> advance();
    [[nodiscard]] Result<void> store_checkpoint();
    [[nodiscard]] Result<void> write(Saved saved, std::uint64_t most);
    [[nodiscard]] Result<void> sync_if_due(std::uint64_t now_us) noexcept;
    [[nodiscard]] Result<void> sync_log();
    [[nodiscard]] Result<void> sync_file() noexcept;
    void note_epoch(std::uint32_t epoch, std::uint64_t published) noexcept;
    [[nodiscard]] Result<Turn> turn(std::uint64_t now_us, std::uint64_t deadline_us);
    [[nodiscard]] bool in_hands() const noexcept;
    [[nodiscard]] std::vector<Retry>::const_iterator next_retry() const noexcept;
    [[nodiscard]] Result<std::optional<Batch>> due_again(std::uint64_t now_us);
    [[nodiscard]] Result<Batch> fetch(std::uint64_t position) const;
    [[nodiscard]] Result<void> acknowledge(std::uint64_t position,
                                           std::optional<std::string_view> state);
    [[nodiscard]] Result<void> acknowledge_replayed(std::uint64_t position,
                                                    std::optional<std::string_view> state);
    [[nodiscard]] Result<Failure> retry_or_park(std::uint64_t position, std::string_view reason);
    void note_acknowledged() noexcept;
    void take_over();
    void note_hands() noexcept;
    [[nodiscard]] bool is_careful() const noexcept { return followed_ < careful_until_; }
    [[nodiscard]] bool gives_up(std::span<const EventView> events);
    void deliver(std::span<const EventView> events, bool given_up);

    // By the thread of `next`, without the mutex.
    [[nodiscard]] Result<Batch> wait_and_take(std::size_t max_events, std::uint32_t timeout_ms);
    [[nodiscard]] Result<Batch> look(std::size_t room, std::uint64_t sleep_us);
    [[nodiscard]] Result<Batch> gather(std::size_t room);
    [[nodiscard]] Result<Batch> take_dealt(Dealt& dealt, std::size_t room);

    std::shared_ptr<store::Engine> engine_;
    os::Env& env_;
    std::string name_;
    ConsumerOptions options_;
    Lanes lanes_;             ///< none: all events that match are ours
    std::uint32_t lane_ = 0;  ///< else those of this one

    std::unique_ptr<store::Following> following_;
    std::span<const EventView> run_;  ///< events that are there and were not delivered yet

    mutable std::mutex mutex_;
    std::unique_ptr<CheckpointFile> file_;  ///< null: closed
    InFlight in_flight_;
    std::uint64_t followed_ = 0;  ///< everything up to here was delivered or does not match
    bool caught_up_ = false;
    std::uint32_t epoch_ = 0;         ///< of the store when it was looked at last
    std::uint64_t epoch_begins_ = 0;  ///< what lies behind this position was appended in it
    Saved now_;                       ///< what acknowledgements add up to
    std::uint64_t least_ = 0;         ///< position of the last event that `now_` counts
    std::optional<Held> held_;
    std::uint32_t unsynced_acks_ = 0;
    std::uint64_t unsynced_since_us_ = 0;  ///< 0: nothing is unsynced

    ParkedFile parked_;
    std::optional<Error> parked_error_;  ///< nothing can be parked
    std::vector<Retry> retries_;
    Attempts attempts_;                  ///< of events that have failed, or ended their process
    std::deque<std::uint64_t> replays_;  ///< parked events to be delivered once more
    std::uint64_t replayed_ = 0;         ///< the one that was, and is not acknowledged
    /// A process has died with events up to here in hand: they come one by one.
    std::uint64_t careful_until_ = 0;
    Others others_;                       ///< of a lane, at the last poll
    std::atomic<std::uint8_t> hands_{0};  ///< 1: events are in hand; 2: a careful one is
    bool gave_up_ = false;                ///< the last delivery was put aside instead
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
