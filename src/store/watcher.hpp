// One thread that waits for all subscriptions of a process: it looks at each new event once, and
// wakes those that the event may belong to.
//
// `wait` and `wake_everybody` from any thread; `mutex_` guards everything. Invariants: whoever is
// registered has looked at everything up to `tested_` itself, or the thread has tested it for him;
// who is in doubt is woken, because a wake-up too many costs little. The thread begins with the
// first `wait` and ends with this.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "index/key.hpp"
#include "os/env.hpp"
#include "store/view.hpp"
#include "store/wanted.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Engine;

/// Keys of which every event that is wanted has at least one; none where that cannot be said.
/// May throw bad_alloc.
[[nodiscard]] std::optional<std::vector<index::Key>> keys_wanted(const Wanted& wanted);

/// What a subscription has looked at.
struct Looked {
    std::uint64_t end = 0;  ///< everything up to here
    std::uint32_t epoch = 0;
    std::uint32_t definitions = 0;  ///< as in the view from which its keys were taken
};

class Watcher {
public:
    explicit Watcher(Engine& engine) noexcept;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();

    /// Sleeps until an event behind `looked` that has one of the keys was published, or something
    /// else happened that must be looked at, or `timeout_us` have passed. False at once if the
    /// caller has to wait by himself: something was published since he looked, or there is no
    /// thread.
    [[nodiscard]] bool wait(const Looked& looked, std::span<const index::Key> keys,
                            std::uint64_t timeout_us) noexcept;
    void wake_everybody() noexcept;

private:
    /// Lives where its owner waits; touched by others under the mutex only, and while registered.
    struct Waiter {
        std::span<const index::Key> keys;
        std::size_t at = 0;  ///< in `waiters_`
        bool registered = false;
        std::atomic<std::uint32_t> woken{0};
    };
    using Words = std::vector<const std::atomic<std::uint32_t>*>;

    // Under the mutex.
    [[nodiscard]] bool admit(const Looked& looked);
    void add(Waiter& waiter);
    void remove(Waiter& waiter) noexcept;
    void wake(Waiter& waiter, Words& words) noexcept;
    void wake_all(Words& words) noexcept;
    [[nodiscard]] bool test_some(const View& view, Words& words) noexcept;
    [[nodiscard]] bool test_event(const View& view, std::uint64_t position, Words& words) noexcept;

    // The thread.
    void run() noexcept;
    [[nodiscard]] bool sleep_while_idle() noexcept;
    [[nodiscard]] bool look() noexcept;
    void test_all(const View& view);

    Engine& engine_;
    os::Env& env_;
    std::mutex mutex_;
    std::vector<Waiter*> waiters_;
    std::unordered_map<index::Key, std::vector<Waiter*>> by_key_;
    std::uint64_t tested_ = 0;  ///< every event up to here
    std::uint32_t epoch_ = 0;
    std::uint32_t definitions_ = 0;
    bool idle_ = true;     ///< the thread sleeps, or will look anew before it tests anything
    bool failed_ = false;  ///< everybody waits by himself from now on, and is told why
    std::atomic<bool> stop_{false};
    std::atomic<std::uint32_t> asked_{0};  ///< bumped when the thread must not go on sleeping
    std::thread thread_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
