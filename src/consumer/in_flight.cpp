#include "consumer/in_flight.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/seeded_bug.hpp"
#include "consumer/format.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

void InFlight::deliver(std::span<const EventView> events) {
    if (events.empty()) return;
    VARVE_ASSERT(events.front().position.value > delivered_);
    const std::uint64_t begin = events.front().position.value;
    // A deque cannot reserve: room is made first, so that either all of them are in flight or none.
    const std::size_t before = entries_.size();
    entries_.resize(before + events.size());
    ++batches_;
    for (std::size_t n = 0; n < events.size(); ++n)
        entries_[before + n] = {events[n].position.value, begin, batches_, Status::delivered};
    open_ += events.size();
    delivered_ = events.back().position.value;
    if (first_ == 0) first_ = begin;
}

void InFlight::deliver_again(std::uint64_t position) noexcept {
    const std::size_t n = find(position);
    VARVE_ASSERT(n < entries_.size() && entries_[n].status == Status::failed);
    entries_[n].status = Status::delivered;
    entries_[n].begin = position;
    entries_[n].batch = ++batches_;
}

std::size_t InFlight::find(std::uint64_t position) const noexcept {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), position,
                         [](const Entry& entry, std::uint64_t p) { return entry.position < p; });
    const bool found = at != entries_.end() && at->position == position;
    return found ? static_cast<std::size_t>(at - entries_.begin()) : entries_.size();
}

/// Of a position that is not in flight. One between two that were passed may never have been
/// delivered; nobody remembers that, and nothing depends on it.
InFlight::Answer InFlight::absent(std::uint64_t position) const noexcept {
    const std::uint64_t front = entries_.empty() ? delivered_ + 1 : entries_.front().position;
    return first_ != 0 && position >= first_ && position < front ? Answer::known : Answer::unknown;
}

bool InFlight::leaves_nothing_before(std::size_t n) const noexcept {
    const std::uint64_t batch = entries_[n].batch;
    return std::all_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(n),
                       [&](const Entry& entry) {
                           if (entry.status == Status::delivered) return entry.batch == batch;
                           return entry.status != Status::failed;
                       });
}

InFlight::Answer InFlight::acknowledge(std::uint64_t position, bool in_order) noexcept {
    const std::size_t n = find(position);
    if (n == entries_.size()) return absent(position);
    if (entries_[n].status == Status::acknowledged) return Answer::known;
    if (in_order && !leaves_nothing_before(n)) return Answer::out_of_order;
    // One that failed is not acknowledged itself; those before it in its batch are.
    const std::uint64_t batch = entries_[n].batch;
    const std::uint64_t begin = entries_[n].begin;
    for (std::size_t at = n + 1; at-- > 0 && entries_[at].position >= begin;) {
        Entry& entry = entries_[at];
        if (entry.status != Status::delivered || entry.batch != batch) continue;
        entry.status = Status::acknowledged;
        --open_;
    }
    return Answer::done;
}

InFlight::Answer InFlight::fail(std::uint64_t position) noexcept {
    const std::size_t n = find(position);
    if (n == entries_.size()) return absent(position);
    if (entries_[n].status != Status::delivered) return Answer::known;
    entries_[n].status = Status::failed;
    return Answer::done;
}

void InFlight::park(std::uint64_t position) noexcept {
    const std::size_t n = find(position);
    VARVE_ASSERT(n < entries_.size() && entries_[n].status == Status::failed);
    entries_[n].status = base::seeded(base::SeededBug::parked_counted_as_acknowledged)
                             ? Status::acknowledged
                             : Status::parked;
    --open_;
}

std::uint64_t InFlight::first_in_hand() const noexcept {
    for (const Entry& entry : entries_)
        if (entry.status == Status::delivered) return entry.position;
    return 0;
}

Passed InFlight::pass() noexcept {
    Passed passed;
    while (!entries_.empty()) {
        const Entry& entry = entries_.front();
        if (entry.status == Status::delivered || entry.status == Status::failed) break;
        (entry.status == Status::parked ? passed.parked : passed.acknowledged) += 1;
        passed.sum += mix(entry.position);
        passed.last = entry.position;
        entries_.pop_front();
    }
    return passed;
}

void InFlight::clear() noexcept {
    entries_.clear();
    open_ = 0;
    delivered_ = 0;
    first_ = 0;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
