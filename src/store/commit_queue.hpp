// Appends that wait: for their place in the log, then for the sync that covers them.
//
// A Request lives on the stack of its append. Threads: `push` from any; `take_all` by whoever holds
// the writer's place lock; a request belongs to the thread that took it until its state is set,
// which wakes its owner and must be the last touch. Invariant: exactly one of those who find the
// queue empty becomes the leader that will take it, so no request is left behind.
// Source of the idea: LevelDB's writer queue; flat combining (Hendler et al., SPAA 2010).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "store/admission.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// More bytes than this in appends that wait for their place are refused with `busy`.
inline constexpr std::uint64_t kMaxWaitingBytes = 64ULL << 20;

struct Request {
    enum State : std::uint32_t {
        waiting,  ///< somebody else will place it, or sync it
        lead,     ///< its thread is asked to lead the next sync
        done,     ///< `appended` and `error` are final
    };

    Plan* plan = nullptr;  ///< null: only waits for a position to become durable
    Durability level = Durability::os;
    Appended appended{};
    std::uint64_t position = 0;    ///< that must be durable
    std::optional<Error> error{};  ///< why it failed
    std::atomic<std::uint32_t> state{waiting};
    Request* next = nullptr;
};

class CommitQueue {
public:
    enum class Pushed : std::uint8_t { leads, follows, refused };

    [[nodiscard]] bool empty() const noexcept {
        return newest_.load(std::memory_order_relaxed) == nullptr;
    }

    /// `leads`: the caller must take the place lock and then `take_all`.
    [[nodiscard]] Pushed push(Request& request) noexcept;

    /// Everything that waits, oldest first, linked by `next`.
    [[nodiscard]] Request* take_all() noexcept;

private:
    std::atomic<Request*> newest_{nullptr};
    std::atomic<std::uint64_t> bytes_{0};
};

/// Requests whose events are placed and not yet durable. Guarded by the writer's sync lock.
class SyncWaiters {
public:
    void add(Request& request) noexcept;
    [[nodiscard]] Request* first() const noexcept { return first_; }
    /// Takes out those up to `position`, linked by `next`.
    [[nodiscard]] Request* take_until(std::uint64_t position) noexcept;

private:
    Request* first_ = nullptr;
    Request** end_ = &first_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
