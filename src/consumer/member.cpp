// What a member does between two batches, and how it hands them out.
#include "consumer/member.hpp"

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

// The kernel tells nobody that a lock went away: members look that often.
constexpr std::uint64_t kLookAgainUs = 1'000'000;
constexpr std::uint64_t kNever = ~0ULL;

Error no_memory() noexcept {
    return failure(ErrorCode::out_of_memory, "no memory for what a member of a group does");
}

}  // namespace

Result<void> Member::usable() const noexcept {
    const std::lock_guard lock(mutex_);
    if (membership_ == nullptr) return failure(ErrorCode::closed, "the member has left its group");
    return engine_->open_here();
}

// ---- Lanes

/// Looks who is there if anything has moved, or for a second nobody has looked; then gives back
/// what is too much and takes what is free.
Result<void> Member::balance() {
    const std::uint32_t moves = membership_->words().moves.load(std::memory_order_acquire);
    const std::uint64_t now_us = env_.monotonic_us();
    const bool look = moves != seen_moves_ || now_us >= look_at_us_;
    if (look) {
        auto standing = membership_->look();
        if (!standing) return std::move(standing).error();
        seen_moves_ = moves;
        look_at_us_ = now_us + kLookAgainUs;
        members_.store(standing->members);
        rank_ = standing->rank;
        share_ = fair_share(lanes_.count, standing->members, rank_);
    }
    VARVE_TRY(give_back());
    return look ? take_lanes() : Result<void>{};
}

/// What stands behind the share gets nothing new, and goes when it is at rest.
Result<void> Member::give_back() {
    Result<void> done;
    bool gave = false;
    for (std::size_t n = held_.size(); n-- > share_;) {
        const std::shared_ptr<Active> lane = held_[n].lane;
        if (lane->in_flight() > 0 || lane->replays()) continue;
        dealer_->remove(held_[n].number);
        {
            const std::lock_guard lock(mutex_);
            held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(n));
        }
        auto closed = lane->close();
        if (done && !closed) done = std::move(closed);
        gave = true;
    }
    if (gave) membership_->tell();
    return done;
}

Result<void> Member::take_lanes() {
    // Members begin at different lanes, so that they seldom try the same one.
    const std::uint32_t begin = lanes_.count / std::max(members_.load(), 1U) * rank_;
    Result<void> done;
    for (std::uint32_t n = 0; n < lanes_.count && held_.size() < share_; ++n) {
        auto taken = take_lane((begin + n) % lanes_.count);
        if (done && !taken) done = std::move(taken).error();  // those behind it go on
    }
    return done;
}

/// False if another member has it.
Result<bool> Member::take_lane(std::uint32_t number) {
    if (lane_numbered(number) != nullptr) return false;
    const GroupLane lane{membership_->header().id, number, lanes_, name_};
    auto opened = Active::open_lane(engine_, lane, options_, membership_->words());
    if (!opened && opened.error().code == ErrorCode::locked) return false;
    if (!opened && opened.error().code == ErrorCode::not_found)
        return failure(ErrorCode::corrupt,
                       "the file of lane " + std::to_string(number) + " of consumer group " +
                           name_ + " is missing",
                       engine_->meta().in("consumers"));
    if (!opened) return std::move(opened).error();
    std::uint64_t after = (*opened)->followed();
    if (base::seeded(base::SeededBug::group_order_broken_after_death))
        for (const Held& other : held_)
            after = std::max(after, other.lane->checkpoint().position.value);
    dealer_->add(number, after);
    const std::lock_guard lock(mutex_);
    held_.push_back({number, std::move(*opened)});
    return true;
}

// ---- Delivering

Result<Batch> Member::next(std::size_t max_events, std::uint32_t timeout_ms) noexcept {
    try {
        return wait_and_take(std::max<std::size_t>(max_events, 1), timeout_ms);
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<Batch> Member::wait_and_take(std::size_t max_events, std::uint32_t timeout_ms) {
    const std::uint64_t deadline_us = env_.monotonic_us() + std::uint64_t{timeout_ms} * 1000;
    for (bool has_read = false; true; has_read = true) {
        VARVE_TRY(usable());
        // Read before looking: whatever changes after the look has bumped one of the words.
        const std::uint32_t change = engine_->change_word();
        const std::uint32_t handled = handled_.load(std::memory_order_acquire);
        VARVE_TRY(balance());
        auto polled = poll_all(max_events);
        if (!polled) return std::move(polled).error();
        if (!polled->batch.empty()) {
            note_delivered(polled->batch);
            return std::move(polled->batch);
        }
        if (has_read && env_.monotonic_us() >= deadline_us) return Batch{};
        // Every lane has handed out what it may: so more is read.
        auto more = dealer_->read();
        if (!more) return std::move(more).error();
        if (*more) continue;
        const std::uint64_t now_us = env_.monotonic_us();
        if (now_us >= deadline_us) return Batch{};
        const std::uint64_t until_us = std::min({deadline_us, polled->due_us, look_at_us_});
        if (until_us <= now_us) continue;
        const os::Watched others[] = {{&membership_->words().moves, seen_moves_},
                                      {&handled_, handled}};
        VARVE_TRY(engine_->wait_for_change(change, until_us - now_us, others));
    }
}

/// The first lane that has something, beginning behind the one that had something last.
Result<Polled> Member::poll_all(std::size_t max_events) {
    Polled all;
    all.due_us = kNever;
    if (replays_.load() && std::none_of(held_.begin(), held_.end(),
                                        [](const Held& one) { return one.lane->replays(); }))
        replays_.store(false);
    const bool nothing_new = replays_.load();
    std::size_t in_hand = 0;
    std::size_t careful = 0;
    for (const Held& one : held_) {
        const Others hands = one.lane->hands();
        in_hand += hands.in_hand ? 1 : 0;
        careful += hands.careful ? 1 : 0;
    }
    for (std::size_t n = 0; n < held_.size(); ++n) {
        const std::size_t at = (turn_ + n) % held_.size();
        const Others own = held_[at].lane->hands();
        const Others others{in_hand > (own.in_hand ? 1U : 0U), careful > (own.careful ? 1U : 0U)};
        auto polled = held_[at].lane->poll(max_events, at >= share_ || nothing_new, others,
                                           dealer_->of(held_[at].number));
        if (!polled) {
            turn_ = at + 1;  // the others come first next time
            return polled;
        }
        all.due_us = std::min(all.due_us, polled->due_us);
        if (polled->batch.empty()) continue;
        all.batch = std::move(polled->batch);
        turn_ = at + 1;
        break;
    }
    return all;
}

void Member::note_delivered(const Batch& batch) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t begin = batch.events().front().position.value;
    first_ = first_ == 0 ? begin : std::min(first_, begin);
    last_ = std::max(last_, batch.last().value);
}

// ---- Acknowledging

std::vector<Member::Held> Member::held() const {
    const std::lock_guard lock(mutex_);
    return held_;
}

std::shared_ptr<Active> Member::lane_of(Position position) const {
    const std::lock_guard lock(mutex_);
    for (const Held& one : held_)
        if (one.lane->has_in_flight(position)) return one.lane;
    return nullptr;
}

std::shared_ptr<Active> Member::lane_numbered(std::uint32_t number) const {
    const std::lock_guard lock(mutex_);
    for (const Held& one : held_)
        if (one.number == number) return one.lane;
    return nullptr;
}

/// Between the first and the last that were. One of another member in between looks as if it had
/// been, too; nothing depends on it.
bool Member::was_delivered(Position position) const noexcept {
    const std::lock_guard lock(mutex_);
    return first_ != 0 && position.value >= first_ && position.value <= last_;
}

/// The lane of what was handled may go on.
void Member::wake_own() noexcept {
    handled_.fetch_add(1, std::memory_order_release);
    env_.wake_all(handled_);
}

Result<void> Member::ack(Position position, std::optional<std::string_view> state) noexcept {
    try {
        VARVE_TRY(usable());
        const std::shared_ptr<Active> lane = lane_of(position);
        if (lane == nullptr) {
            if (was_delivered(position)) return {};
            return failure(ErrorCode::invalid_argument,
                           "the event at position " + std::to_string(position.value) +
                               " was never delivered to this member of consumer group " + name_ +
                               ": it cannot be acknowledged");
        }
        auto done = lane->ack(position, state);
        wake_own();
        // A lane is given back when everything is acknowledged: this was, before.
        if (!done && done.error().code == ErrorCode::closed) return usable();
        return done;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<Failure> Member::fail(Position position, std::string_view reason) noexcept {
    try {
        VARVE_TRY(usable());
        const std::shared_ptr<Active> lane = lane_of(position);
        if (lane == nullptr)
            return failure(ErrorCode::invalid_argument, "the event at position " +
                                                            std::to_string(position.value) +
                                                            " is not in flight: it cannot fail");
        auto failed = lane->fail(position, reason);
        wake_own();
        return failed;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<std::uint64_t> Member::replay() noexcept {
    try {
        VARVE_TRY(usable());
        std::uint64_t events = 0;
        for (const Held& one : held()) {
            auto own = one.lane->replay();
            if (!own) return own;
            events += *own;
        }
        replays_.store(events > 0);
        wake_own();
        return events;
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> Member::sync() noexcept {
    try {
        VARVE_TRY(usable());
        for (const Held& one : held()) VARVE_TRY(one.lane->sync());
        return {};
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> Member::close() noexcept {
    std::vector<Held> gone;
    std::unique_ptr<Membership> left;
    {
        const std::lock_guard lock(mutex_);
        gone.swap(held_);
        left = std::move(membership_);
    }
    Result<void> done;
    for (const Held& one : gone) {
        auto closed = one.lane->close();
        if (done && !closed) done = std::move(closed);
    }
    return done;
}

// ---- What it knows

Result<std::string> Member::state(std::uint32_t lane) const noexcept {
    try {
        if (const auto found = lane_numbered(lane)) return found->state();
        return failure(ErrorCode::not_found,
                       "lane " + std::to_string(lane) + " is not held by this member");
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<Checkpoint> Member::checkpoint(std::uint32_t lane) const noexcept {
    if (const auto found = lane_numbered(lane)) return found->checkpoint();
    return failure(ErrorCode::not_found,
                   "lane " + std::to_string(lane) + " is not held by this member");
}

std::vector<std::uint32_t> Member::lanes() const {
    std::vector<std::uint32_t> numbers;
    for (const Held& one : held()) numbers.push_back(one.number);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

bool Member::caught_up() const noexcept {
    const std::lock_guard lock(mutex_);
    return std::all_of(held_.begin(), held_.end(),
                       [](const Held& one) { return one.lane->caught_up(); });
}

std::size_t Member::in_flight() const noexcept {
    const std::lock_guard lock(mutex_);
    std::size_t events = 0;
    for (const Held& one : held_) events += one.lane->in_flight();
    return events;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
