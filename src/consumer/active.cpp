// Delivering and acknowledging: how a checkpoint moves.
#include "consumer/active.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

constexpr std::uint64_t kNever = ~0ULL;
constexpr std::size_t kUsualBatch = 1024;  // events: room for so many at once

Error no_memory() noexcept {
    return failure(ErrorCode::out_of_memory, "no memory for what a consumer delivers");
}

}  // namespace

// ---- The checkpoint

Result<void> Active::usable() const noexcept {
    if (file_ == nullptr) return failure(ErrorCode::closed, "the consumer is closed");
    return engine_->open_here();
}

/// Counts what is complete and moves the checkpoint up to what is not.
Result<void> Active::advance() {
    const Passed passed = in_flight_.pass();
    Slot& slot = now_.slot;
    slot.acknowledged += passed.acknowledged;
    slot.parked += passed.parked;
    slot.sum += passed.sum;
    if (passed.last != 0) least_ = passed.last;
    std::uint64_t complete = in_flight_.empty() ? followed_ : in_flight_.front() - 1;
    if (base::seeded(base::SeededBug::checkpoint_ahead_of_acknowledgement)) complete = followed_;
    if (base::seeded(base::SeededBug::nonmatching_not_passed)) complete = least_;
    slot.position = std::max(slot.position, complete);
    now_.set_milestone();
    return store_checkpoint();
}

/// Writes what may be written of it: nothing that is not durable in the log.
Result<void> Active::store_checkpoint() {
    if (options_.durable_only || base::seeded(base::SeededBug::checkpoint_beyond_durable))
        return write(now_, kNever);
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    const std::uint64_t durable = std::min(view->durable, view->published);
    if (least_ <= durable) {
        held_.reset();
        return write(now_, durable);
    }
    // An earlier one is kept until it may be written: under load the latest never may.
    if (held_ && held_->least <= durable) {
        VARVE_TRY(write(std::move(held_->saved), durable));
        held_.reset();
    }
    if (!held_) held_ = Held{now_, least_};
    return {};
}

/// `most`: the position must not be beyond it.
Result<void> Active::write(Saved saved, std::uint64_t most) {
    Slot& slot = saved.slot;
    const Slot& stored = file_->saved().slot;
    slot.position = std::max(std::min(slot.position, most), stored.position);
    const bool same = slot.position == stored.position &&
                      slot.acknowledged == stored.acknowledged && slot.parked == stored.parked &&
                      saved.state == file_->saved().state;
    if (same) return {};
    // Of a writer that has appended nothing that is durable the next one may know nothing, and take
    // the same number or a lower one.
    slot.epoch = slot.position > epoch_begins_ ? epoch_ : stored.epoch;
    slot.time_us = env_.now_us();
    VARVE_TRY(file_->write(std::move(saved)));
    if (unsynced_since_us_ == 0) unsynced_since_us_ = env_.monotonic_us();
    return {};
}

/// What was published when an epoch is seen first may be older than it; what comes later is not.
void Active::note_epoch(std::uint32_t epoch, std::uint64_t published) noexcept {
    if (epoch == epoch_) return;
    epoch_ = epoch;
    epoch_begins_ = published;
}

/// What the checkpoint waits for is done here, where it can be.
Result<void> Active::sync_log() {
    store::Writer* const writer = engine_->writer();
    if (writer == nullptr || now_.slot.position == file_->saved().slot.position) return {};
    auto synced = writer->sync();
    if (!synced) return std::move(synced).error();
    return store_checkpoint();
}

Result<void> Active::sync_file() noexcept {
    unsynced_since_us_ = 0;
    unsynced_acks_ = 0;
    return file_->unsynced() ? file_->sync() : Result<void>{};
}

Result<void> Active::sync_if_due(std::uint64_t now_us) noexcept {
    if (unsynced_since_us_ == 0) return {};
    const bool many = options_.sync_acks != 0 && unsynced_acks_ >= options_.sync_acks;
    const bool long_ago = now_us >= unsynced_since_us_ + std::uint64_t{options_.sync_ms} * 1000;
    return many || long_ago ? sync_file() : Result<void>{};
}

// ---- Delivering

Result<Batch> Active::next(std::size_t max_events, std::uint32_t timeout_ms) noexcept {
    try {
        return wait_and_take(std::max<std::size_t>(max_events, 1), timeout_ms);
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

/// Somebody handles what was delivered. Of a lane no more is delivered then: whichever threads
/// handle its batches, they do so one after the other.
bool Active::in_hands() const noexcept { return in_flight_.size() > retries_.size(); }

Result<Active::Turn> Active::turn(std::uint64_t now_us, std::uint64_t deadline_us) {
    VARVE_TRY(usable());
    Turn turn;
    turn.word = file_->words().wake.load(std::memory_order_acquire);
    if (held_) VARVE_TRY(store_checkpoint());
    VARVE_TRY(sync_if_due(now_us));
    const bool paused = file_->words().paused.load(std::memory_order_acquire) != 0;
    const bool lane_is_busy =
        lanes_.count != 0 && (in_hands() || replayed_ != 0 || others_.careful);
    if (!paused && !lane_is_busy) {
        auto again = due_again(now_us);
        if (!again) return std::move(again).error();
        turn.again = std::move(*again);
        if (turn.again) return turn;
    }
    std::uint64_t until_us = std::max(now_us, deadline_us);
    if (unsynced_since_us_ != 0)
        until_us = std::min(until_us, unsynced_since_us_ + std::uint64_t{options_.sync_ms} * 1000);
    const auto due = next_retry();
    if (!paused && !lane_is_busy && due != retries_.end())
        until_us = std::min(until_us, due->due_us);
    turn.sleep_us = until_us > now_us ? until_us - now_us : 0;
    const bool behind_one = options_.keep_order && !retries_.empty();
    if (paused || lane_is_busy || behind_one || replayed_ != 0) return turn;
    const bool full = in_flight_.size() >= options_.in_flight_max;
    if (full && lanes_.count != 0) return turn;
    if (full) {
        return failure(ErrorCode::busy,
                       std::to_string(in_flight_.size()) +
                           " events are in flight: acknowledge some of them first");
    }
    turn.room = is_careful() ? 1 : options_.in_flight_max - in_flight_.size();
    // One that is careful has nobody beside it.
    if (is_careful() && lanes_.count != 0 && others_.in_hand) turn.room = 0;
    return turn;
}

Result<Batch> Active::wait_and_take(std::size_t max_events, std::uint32_t timeout_ms) {
    constexpr std::uint64_t kSecondUs = 1'000'000;
    const std::uint64_t deadline_us = env_.monotonic_us() + std::uint64_t{timeout_ms} * 1000;
    while (true) {
        // Read before the checkpoint is tried: whatever becomes durable afterwards has bumped it.
        const std::uint32_t change = engine_->change_word();
        std::unique_lock lock(mutex_);
        auto turn = this->turn(env_.monotonic_us(), deadline_us);
        if (!turn) return std::move(turn).error();
        if (turn->again) return std::move(*turn->again);
        const bool held = held_.has_value();
        // The page stays mapped while this waits, and is bumped by whoever pauses or resumes.
        const std::atomic<std::uint32_t>& wake = file_->words().wake;
        if (turn->room == 0) caught_up_ = false;  // nobody looks
        lock.unlock();
        if (turn->room == 0) {
            if (env_.monotonic_us() >= deadline_us) return Batch{};
            env_.wait_on(wake, turn->word, std::min(turn->sleep_us, kSecondUs));
            continue;
        }
        auto batch = look(std::min(max_events, turn->room), held ? 0 : turn->sleep_us);
        if (batch && batch->empty() && std::exchange(gave_up_, false)) continue;
        if (!batch || !batch->empty() || env_.monotonic_us() >= deadline_us) return batch;
        // A checkpoint that waits for the disk goes on as soon as anything has changed.
        if (held) VARVE_TRY(engine_->wait_for_change(change, turn->sleep_us));
    }
}

Result<Polled> Active::poll(std::size_t max_events, bool leaving, Others others, Dealt& dealt) {
    Polled polled;
    const std::lock_guard lock(mutex_);
    others_ = others;
    const std::uint64_t now_us = env_.monotonic_us();
    auto turn = this->turn(now_us, kNever);
    if (!turn) return std::move(turn).error();
    polled.due_us = now_us + turn->sleep_us;
    if (turn->again) {
        polled.batch = std::move(*turn->again);
        return polled;
    }
    if (leaving || turn->room == 0) {
        caught_up_ = false;
        return polled;
    }
    do {
        const std::size_t room = is_careful() ? 1 : std::min(max_events, turn->room);
        auto batch = take_dealt(dealt, room);
        if (!batch) return std::move(batch).error();
        polled.batch = std::move(*batch);
    } while (std::exchange(gave_up_, false));
    return polled;
}

/// Under the mutex.
Result<Batch> Active::take_dealt(Dealt& dealt, std::size_t room) {
    std::vector<EventView> events;
    std::shared_ptr<store::Pinned> pinned = dealt.peek(events, room);
    deliver(events, gives_up(events));
    dealt.drop(events.size());
    if (dealt.epoch != 0) note_epoch(dealt.epoch, dealt.published);
    followed_ = dealt.taken();
    caught_up_ = dealt.empty() && dealt.at_end;
    note_hands();
    if (events.empty() || gave_up_) {
        VARVE_TRY(advance());
        return Batch{};
    }
    return Batch(std::move(events), std::move(pinned), lane_);
}

/// What comes next, at most `room` events; empty when the position has moved, or nothing came.
Result<Batch> Active::look(std::size_t room, std::uint64_t sleep_us) {
    if (run_.empty()) {
        auto run = following_->next(static_cast<std::uint32_t>((sleep_us + 999) / 1000),
                                    store::Following::Until::moved);
        if (!run) return std::move(run).error();
        run_ = *run;
    }
    if (!run_.empty()) return gather(room);
    const std::lock_guard lock(mutex_);
    VARVE_TRY(usable());
    followed_ = following_->position().value;
    caught_up_ = following_->caught_up();
    if (following_->pinned() != nullptr) {
        const store::View& view = following_->pinned()->view();
        note_epoch(view.epoch, view.published);
    }
    VARVE_TRY(advance());
    return Batch{};
}

/// Copies views of what is there now, as long as they come from one view of the store.
Result<Batch> Active::gather(std::size_t room) {
    const std::shared_ptr<store::Pinned> pinned = following_->pinned();
    std::vector<EventView> events;
    events.reserve(std::min<std::size_t>(room, kUsualBatch));
    while (true) {
        const std::size_t count = std::min(room - events.size(), run_.size());
        events.insert(events.end(), run_.begin(),
                      run_.begin() + static_cast<std::ptrdiff_t>(count));
        run_ = run_.subspan(count);
        if (!run_.empty() || events.size() == room) break;
        auto more = following_->next(0, store::Following::Until::moved);
        if (!more) break;  // the same error comes with the next call
        run_ = *more;
        if (run_.empty() || following_->pinned() != pinned) break;
    }
    const std::lock_guard lock(mutex_);
    VARVE_TRY(usable());
    deliver(events, gives_up(events));
    note_epoch(pinned->view().epoch, pinned->view().published);
    followed_ = run_.empty() ? following_->position().value : run_.front().position.value - 1;
    caught_up_ = run_.empty() && following_->caught_up();
    note_hands();
    if (gave_up_) {
        VARVE_TRY(advance());
        return Batch{};
    }
    return Batch(std::move(events), pinned);
}

// ---- Acknowledging

Result<void> Active::ack(Position position, std::optional<std::string_view> state) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        VARVE_TRY(usable());
        if (state && state->size() > Consumer::kMaxState) {
            return failure(ErrorCode::too_large, "a state of " + std::to_string(state->size()) +
                                                     " bytes is larger than the limit of 1 MiB");
        }
        // Whatever may fail for want of space fails now, before anything counts.
        if (state) VARVE_TRY(file_->reserve(state->size()));
        VARVE_TRY(position.value != 0 && position.value == replayed_
                      ? acknowledge_replayed(position.value, state)
                      : acknowledge(position.value, state));
        note_acknowledged();
        return sync_if_due(env_.monotonic_us());
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

void Active::note_acknowledged() noexcept {
    note_hands();
    if (unsynced_since_us_ != 0) ++unsynced_acks_;
}

Result<void> Active::acknowledge(std::uint64_t position, std::optional<std::string_view> state) {
    switch (in_flight_.acknowledge(position, state.has_value())) {
        case InFlight::Answer::known: return {};
        case InFlight::Answer::done: break;
        case InFlight::Answer::unknown:
            return failure(ErrorCode::invalid_argument,
                           "the event at position " + std::to_string(position) +
                               " was never delivered to consumer " + name_ +
                               " since it was opened: it cannot be acknowledged");
        case InFlight::Answer::out_of_order:
            return failure(ErrorCode::invalid_argument,
                           "a state belongs to everything before it, but events before position " +
                               std::to_string(position) +
                               " are not acknowledged yet: acknowledge them first");
    }
    if (state) now_.state = std::string(*state);
    return advance();
}

Result<void> Active::sync() noexcept {
    try {
        const std::lock_guard lock(mutex_);
        VARVE_TRY(usable());
        VARVE_TRY(advance());
        VARVE_TRY(sync_log());
        return sync_file();
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

std::string Active::state() const {
    const std::lock_guard lock(mutex_);
    return now_.state;
}

Checkpoint Active::checkpoint() const noexcept {
    const std::lock_guard lock(mutex_);
    return file_ != nullptr ? file_->saved().checkpoint() : now_.checkpoint();
}

bool Active::caught_up() const noexcept {
    const std::lock_guard lock(mutex_);
    return caught_up_;
}

std::size_t Active::in_flight() const noexcept {
    const std::lock_guard lock(mutex_);
    return in_flight_.size();
}

std::uint64_t Active::followed() const noexcept {
    const std::lock_guard lock(mutex_);
    return followed_;
}

bool Active::replays() const noexcept {
    const std::lock_guard lock(mutex_);
    return !replays_.empty() || replayed_ != 0;
}

bool Active::has_in_flight(Position position) const noexcept {
    const std::lock_guard lock(mutex_);
    return in_flight_.has(position.value) || (replayed_ != 0 && replayed_ == position.value);
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
