// A member of a group in this process: which lanes it holds, and their events one lane after the
// other.
//
// `next` and `close` by one thread at a time, everything else from any thread; `mutex_` guards the
// list of lanes, which only `next` and `close` change. Invariants: a lane that is held is locked;
// one is given back only when nothing of it is in flight; nothing is decided by time.
#pragma once

#include <atomic>

#include "consumer/active.hpp"
#include "consumer/membership.hpp"
#include "varve/group.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

class Member {
public:
    /// `selector`: null for the one the group has.
    [[nodiscard]] static Result<std::unique_ptr<Member>> join(std::shared_ptr<store::Engine> engine,
                                                              std::string_view name,
                                                              const Selector* selector,
                                                              const GroupOptions& options) noexcept;

    [[nodiscard]] Result<Batch> next(std::size_t max_events, std::uint32_t timeout_ms) noexcept;
    [[nodiscard]] Result<void> ack(Position position,
                                   std::optional<std::string_view> state) noexcept;
    [[nodiscard]] Result<Failure> fail(Position position, std::string_view reason) noexcept;
    [[nodiscard]] Result<std::uint64_t> replay() noexcept;
    [[nodiscard]] Result<void> sync() noexcept;
    [[nodiscard]] Result<void> close() noexcept;

    [[nodiscard]] Result<std::string> state(std::uint32_t lane) const noexcept;
    [[nodiscard]] Result<Checkpoint> checkpoint(std::uint32_t lane) const noexcept;
    [[nodiscard]] std::vector<std::uint32_t> lanes() const;
    [[nodiscard]] std::uint32_t lane_count() const noexcept { return lanes_.count; }
    [[nodiscard]] std::uint32_t members() const noexcept { return members_.load(); }
    [[nodiscard]] bool caught_up() const noexcept;
    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    struct Held {
        std::uint32_t number = 0;
        std::shared_ptr<Active> lane;
    };

    Member(std::shared_ptr<store::Engine> engine, std::string_view name,
           const ConsumerOptions& options)
        : engine_(std::move(engine)), env_(*engine_->meta().env), name_(name), options_(options) {}

    [[nodiscard]] Result<void> obtain(const Selector* selector, const Lanes& lanes);
    [[nodiscard]] Result<void> check(const Selector* selector, const GroupOptions& options) const;
    [[nodiscard]] Result<void> usable() const noexcept;

    // By the thread of `next`.
    [[nodiscard]] Result<Batch> wait_and_take(std::size_t max_events, std::uint32_t timeout_ms);
    [[nodiscard]] Result<void> balance();
    [[nodiscard]] Result<void> give_back();
    [[nodiscard]] Result<void> take_lanes();
    [[nodiscard]] Result<bool> take_lane(std::uint32_t number);
    [[nodiscard]] Result<Polled> poll_all(std::size_t max_events);
    void note_delivered(const Batch& batch);

    // From any thread.
    [[nodiscard]] std::vector<Held> held() const;
    [[nodiscard]] std::shared_ptr<Active> lane_of(Position position) const;
    [[nodiscard]] std::shared_ptr<Active> lane_numbered(std::uint32_t number) const;
    [[nodiscard]] bool was_delivered(Position position) const noexcept;
    void wake_own() noexcept;

    std::shared_ptr<store::Engine> engine_;
    os::Env& env_;
    std::string name_;
    ConsumerOptions options_;
    Lanes lanes_;

    std::atomic<std::uint32_t> handled_{0};  ///< bumped with each ack and failure; a futex word
    std::atomic<bool> replays_{false};       ///< parked events come before anything else
    std::atomic<std::uint32_t> members_{1};  ///< at the last look
    std::uint32_t seen_moves_ = 0;           ///< the group's word at the last look
    std::uint64_t look_at_us_ = 0;           ///< when to look at the latest
    std::uint32_t share_ = 0;                ///< lanes to hold at most
    std::uint32_t rank_ = 0;
    std::size_t turn_ = 0;  ///< which of the lanes comes first
    std::optional<Dealer> dealer_;

    mutable std::mutex mutex_;
    std::unique_ptr<Membership> membership_;  ///< null: closed
    std::vector<Held> held_;
    std::uint64_t first_ = 0;  ///< lowest and highest position that was delivered; 0: none
    std::uint64_t last_ = 0;
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
