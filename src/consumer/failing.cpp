// Events that fail: retries, parking, and another try for what was parked.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "consumer/active.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

Result<Failure> Active::fail(Position position, std::string_view reason) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        VARVE_TRY(usable());
        if (position.value != 0 && position.value == replayed_) {
            if (parked_error_) return Error(*parked_error_);
            const std::uint32_t before = parked_.events().at(replayed_).attempts;
            VARVE_TRY(parked_.add(ParkedKind::parked, replayed_, before + 1, reason));
            replayed_ = 0;
            note_hands();
            return Failure::parked;
        }
        if (in_flight_.fail(position.value) != InFlight::Answer::done) {
            return failure(ErrorCode::invalid_argument, "the event at position " +
                                                            std::to_string(position.value) +
                                                            " is not in flight: it cannot fail");
        }
        auto failed = retry_or_park(position.value, reason);
        note_hands();
        return failed;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to park an event");
    }
}

Result<Failure> Active::retry_or_park(std::uint64_t position, std::string_view reason) {
    const std::uint32_t attempts = ++attempts_[position];
    const std::uint32_t doublings = std::min(attempts - 1, 31U);
    const std::uint64_t pause_ms = std::min<std::uint64_t>(
        std::uint64_t{options_.retry_ms} << doublings, options_.retry_max_ms);
    const Retry retry{position, env_.monotonic_us() + pause_ms * 1000};
    if (attempts <= options_.retries) {
        retries_.push_back(retry);
        if (SharedWords* const words = file_->own_words())
            mark_attempts(*words, position, attempts, now_.slot.position);
        return Failure::retried;
    }
    Result<void> parked;
    if (parked_error_) parked = Error(*parked_error_);
    if (parked) parked = parked_.add(ParkedKind::parked, position, attempts, reason);
    if (!parked) {
        // It is not put aside, so it is tried again.
        retries_.push_back(retry);
        return std::move(parked).error();
    }
    in_flight_.park(position);
    attempts_.erase(position);
    VARVE_TRY(advance());
    return Failure::parked;
}

// ---- Events that end their process

/// What a holder that died has left: which events are to be taken with care, and what was tried.
void Active::take_over() {
    SharedWords* const words = file_->own_words();
    if (words == nullptr) return;
    const Slot& slot = file_->saved().slot;
    Left left = take_marks(*words, slot.generation, slot.position);
    attempts_ = std::move(left.attempts);
    if (!options_.count_deaths) return;
    careful_until_ = left.given;
    if (left.alone == 0) return;
    const std::uint32_t attempts = ++attempts_[left.alone];
    mark_attempts(*words, left.alone, attempts, slot.position);
}

/// Says in the file what is in hand now, for whoever takes over if this process dies. Of a lane
/// only what comes with care is said to be alone: other lanes may have something in hand, too.
void Active::note_hands() noexcept {
    const std::size_t hands = in_flight_.size() - retries_.size() + (replayed_ != 0 ? 1 : 0);
    std::uint64_t given = is_careful() ? careful_until_ : 0;
    std::uint64_t alone = 0;
    if (hands > 0) given = std::max(given, in_flight_.delivered());
    if (hands == 1 && replayed_ == 0) alone = in_flight_.first_in_hand();
    const bool careful = alone != 0 && alone <= careful_until_;
    if (lanes_.count != 0 && (!careful || others_.in_hand)) alone = 0;
    hands_.store(hands == 0 ? 0 : careful ? 2 : 1, std::memory_order_relaxed);
    if (SharedWords* const words = file_->own_words()) mark_in_hand(*words, given, alone);
}

/// It has ended its process too often: it is put aside, if that can be done.
bool Active::gives_up(std::span<const EventView> events) {
    if (events.size() != 1 || !options_.count_deaths || parked_error_) return false;
    const std::uint64_t position = events.front().position.value;
    const auto tried = attempts_.find(position);
    if (tried == attempts_.end() || tried->second <= options_.retries) return false;
    constexpr std::string_view kReason =
        "the process that handled it has died, the last time alone";
    return parked_.add(ParkedKind::parked, position, tried->second, kReason).has_value();
}

/// Takes events over that are handed out now, or were given up.
void Active::deliver(std::span<const EventView> events, bool given_up) {
    in_flight_.deliver(events);
    gave_up_ = given_up;
    if (!given_up) return;
    const std::uint64_t position = events.front().position.value;
    static_cast<void>(in_flight_.fail(position));
    in_flight_.park(position);
    attempts_.erase(position);
}

/// The failed event that comes next. In order a later one waits for an earlier one.
std::vector<Active::Retry>::const_iterator Active::next_retry() const noexcept {
    return std::min_element(retries_.begin(), retries_.end(), [&](const Retry& a, const Retry& b) {
        return options_.keep_order ? a.position < b.position : a.due_us < b.due_us;
    });
}

/// An event whose time has come: one that is replayed, or the first of those that failed.
Result<std::optional<Batch>> Active::due_again(std::uint64_t now_us) {
    if (replayed_ == 0 && !replays_.empty()) {
        auto batch = fetch(replays_.front());
        if (!batch) return std::move(batch).error();
        replayed_ = replays_.front();
        replays_.pop_front();
        note_hands();
        return std::optional<Batch>(std::move(*batch));
    }
    const auto due = next_retry();
    if (due == retries_.end() || due->due_us > now_us) return std::optional<Batch>{};
    auto batch = fetch(due->position);
    if (!batch) return std::move(batch).error();
    in_flight_.deliver_again(due->position);
    retries_.erase(due);
    note_hands();
    return std::optional<Batch>(std::move(*batch));
}

/// One event, wherever it lies.
Result<Batch> Active::fetch(std::uint64_t position) const {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    ReadOptions only;
    only.from = Position{position};
    only.until = Position{position};
    only.verify = options_.verify;
    auto pinned = std::make_shared<store::Pinned>(engine_->shared_meta(), std::move(*view));
    store::Reading reading(pinned, Selector::all(), only);
    auto run = reading.next();
    if (!run) return std::move(run).error();
    if (run->empty()) {
        return failure(ErrorCode::corrupt,
                       "there is no event at position " + std::to_string(position) +
                           " any more, though it was delivered",
                       engine_->meta().path);
    }
    return Batch({run->begin(), run->end()}, std::move(pinned), lane_);
}

Result<void> Active::acknowledge_replayed(std::uint64_t position,
                                          std::optional<std::string_view> state) {
    VARVE_ASSERT(position == replayed_);
    VARVE_TRY(parked_.add(ParkedKind::replayed, position, 0, {}));
    replayed_ = 0;
    if (!state) return {};
    now_.state = std::string(*state);
    return advance();
}

Result<std::uint64_t> Active::replay() noexcept {
    try {
        const std::lock_guard lock(mutex_);
        VARVE_TRY(usable());
        if (parked_error_) return Error(*parked_error_);
        replays_.clear();
        for (const auto& [position, event] : parked_.events()) {
            const bool passed = position <= now_.slot.position;
            if (event.status == ParkedEvent::Status::waiting && passed && position != replayed_)
                replays_.push_back(position);
        }
        return replays_.size();
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to replay parked events");
    }
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
