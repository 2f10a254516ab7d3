// The memory that the processes of the rig share: the record of all operations, and what the parent
// tells them.
//
// Threads and processes: everything here is an atomic, or belongs to the one who claimed it. A
// record outlives the process that wrote it: what it asks for is complete before `begin_ns` is set,
// what it was answered before `outcome` is, so a process may die between any two instructions.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>

#include "concurrency/linear/history.hpp"

namespace varve::test::linear {

inline constexpr unsigned kProcesses = 3;
inline constexpr unsigned kThreads = 24;  ///< of the process that writes
// Turns count from 0; these are none.
inline constexpr std::uint32_t kQuit = ~0U;
inline constexpr std::uint32_t kNobody = kQuit - 1;
inline constexpr std::uint32_t kNames = 4096;  ///< for definitions

/// Nanoseconds on the clock that all processes share.
inline std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// Who does what to a name of a definition. It is closed by one, and defined by nobody any more
/// once somebody removes it: so it is defined at most once.
class NameUse {
public:
    /// False if it is being removed.
    [[nodiscard]] bool begin_define() {
        std::uint32_t now = word_.load();
        while ((now & kRemoving) == 0)
            if (word_.compare_exchange_weak(now, now + 1)) return true;
        return false;
    }
    void end_define() { word_.fetch_sub(1); }
    /// True for the first one.
    [[nodiscard]] bool begin_close() { return (word_.fetch_or(kClosing) & kClosing) == 0; }
    /// False while it is being defined, and for ever if one who did so died.
    [[nodiscard]] bool begin_remove() {
        std::uint32_t now = word_.load();
        while ((now & kDefining) == 0)
            if (word_.compare_exchange_weak(now, now | kRemoving)) return true;
        return false;
    }

private:
    static constexpr std::uint32_t kDefining = 0xffff;  ///< how many do
    static constexpr std::uint32_t kClosing = 1U << 16;
    static constexpr std::uint32_t kRemoving = 1U << 17;
    std::atomic<std::uint32_t> word_;
};

struct Shared {
    std::atomic<std::uint32_t> turn;      ///< who writes: turn % kProcesses; or kNobody, kQuit
    std::atomic<std::uint32_t> writing;   ///< the turn whose writer has opened the store
    std::atomic<std::uint32_t> stopping;  ///< the turn whose writer is asked to close the store
    std::atomic<std::uint32_t> closed;    ///< the turn whose writer has
    std::atomic<std::uint64_t> claimed;   ///< records; may pass `capacity`
    std::atomic<std::uint64_t> answered;  ///< operations that came to an end
    std::atomic<std::uint32_t> named;     ///< names of definitions that were given out
    std::array<NameUse, kNames> names;
    std::uint64_t capacity;
    std::atomic<std::uint32_t> failed;
    char why[400];
    std::atomic<std::uint32_t> amiss;  ///< answers that no operation has; the first one:
    char answer[400];

    [[nodiscard]] Operation* records() { return reinterpret_cast<Operation*>(this + 1); }
    [[nodiscard]] std::uint64_t count() const {
        const std::uint64_t n = claimed.load(std::memory_order_acquire);
        return n < capacity ? n : capacity;
    }
    [[nodiscard]] bool full() const { return claimed.load(std::memory_order_relaxed) >= capacity; }

    /// A record of one's own; null when the memory is full.
    [[nodiscard]] Operation* claim(std::uint64_t& number) {
        number = claimed.fetch_add(1, std::memory_order_acq_rel);
        return number < capacity ? records() + number : nullptr;
    }
    /// Keeps the first answer that should not be.
    void note_amiss(const char* what, const char* detail) {
        if (amiss.fetch_add(1) == 0) std::snprintf(answer, sizeof answer, "%s: %s", what, detail);
    }
    /// Keeps the first thing that went wrong.
    void fail(const char* what, const char* detail) {
        if (failed.exchange(1) != 0) return;
        std::snprintf(why, sizeof why, "%s: %s", what, detail);
        failed.store(2);
    }
};

/// False of a record that was claimed and whose call was never made.
inline bool has_begun(Operation& operation) {
    return std::atomic_ref(operation.begin_ns).load(std::memory_order_acquire) != 0;
}
inline void set_begun(Operation& operation) {
    std::atomic_ref(operation.begin_ns).store(now_ns(), std::memory_order_seq_cst);
}
inline void set_answered(Operation& operation, std::int64_t end_ns, Outcome outcome) {
    operation.end_ns = end_ns;
    std::atomic_ref(operation.outcome).store(outcome, std::memory_order_release);
}
inline Outcome outcome_of(Operation& operation) {
    return std::atomic_ref(operation.outcome).load(std::memory_order_acquire);
}

}  // namespace varve::test::linear
