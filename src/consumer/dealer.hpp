// One read of the log for all lanes that a member of a group holds: each event is looked at once
// and put into the queue of its lane.
//
// One thread at a time: that of the member's `next`. Invariants: the queue of a lane holds, in
// order, all its events behind those that were taken, up to `looked`; no queue grows beyond its
// limit: a lane that is full is passed by and read for again later.
#pragma once

#include <deque>
#include <map>

#include "consumer/format.hpp"
#include "store/following.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// What there is for one lane and was not taken yet.
class Dealt {
public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Everything of the lane up to here was taken, or does not match.
    [[nodiscard]] std::uint64_t taken() const noexcept {
        return empty() ? looked : pieces_.front().events[pieces_.front().at].position.value - 1;
    }
    /// At most so many events, of one view of the store, which is returned; null if it is empty.
    [[nodiscard]] std::shared_ptr<store::Pinned> peek(std::vector<EventView>& events,
                                                      std::size_t most) const;
    /// Takes so many of those away.
    void drop(std::size_t count) noexcept;
    void put(const EventView& event, const std::shared_ptr<store::Pinned>& pinned);

    std::uint64_t looked = 0;     ///< everything of the lane up to here was put into the queue
    std::uint32_t epoch = 0;      ///< of the store when it was looked at last; 0: it was not yet
    std::uint64_t published = 0;  ///< the same
    bool at_end = false;          ///< and nothing was published behind it at the last look

private:
    struct Piece {
        std::shared_ptr<store::Pinned> pinned;
        std::vector<EventView> events;
        std::size_t at = 0;
    };
    std::deque<Piece> pieces_;
    std::size_t size_ = 0;
};

class Dealer {
public:
    Dealer(std::shared_ptr<store::Engine> engine, const Selector& selector, const Lanes& lanes,
           const ConsumerOptions& options);

    /// From now on the lane gets what lies behind `after`. May throw bad_alloc, as `read`.
    void add(std::uint32_t lane, std::uint64_t after) { lanes_held_[lane].looked = after; }
    void remove(std::uint32_t lane) noexcept { lanes_held_.erase(lane); }
    [[nodiscard]] Dealt& of(std::uint32_t lane) { return lanes_held_.at(lane); }

    /// Reads some for the lane that is furthest behind, and for all others that are not full.
    /// False if nothing is there or nobody has room.
    [[nodiscard]] Result<bool> read();

private:
    [[nodiscard]] Result<bool> read_run(std::size_t& dealt);
    void go_back_to(std::uint64_t position);

    std::shared_ptr<store::Engine> engine_;
    const Selector selector_;
    const Lanes lanes_;
    FollowOptions options_;
    std::unique_ptr<store::Following> following_;
    std::map<std::uint32_t, Dealt> lanes_held_;
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
