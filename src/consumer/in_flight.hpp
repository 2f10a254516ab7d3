// What was delivered and is not acknowledged yet: which acknowledgements are complete from the
// front.
//
// One thread at a time. Invariants: positions rise; the front is always an event that is neither
// acknowledged nor parked; what has been passed has been counted once.
#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include "varve/event.hpp"
#include "varve/result.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// What has been passed since it was last asked.
struct Passed {
    std::uint64_t acknowledged = 0;
    std::uint64_t parked = 0;
    std::uint64_t sum = 0;   ///< of `mix` of their positions
    std::uint64_t last = 0;  ///< position of the last one; 0: none
};

class InFlight {
public:
    enum class Answer : std::uint8_t {
        done,         ///< something is acknowledged, or failed, that was not
        known,        ///< nothing to do: it was before
        unknown,      ///< never delivered
        out_of_order  ///< something before it is not acknowledged
    };

    /// A batch is delivered. May throw bad_alloc, and has done nothing then.
    void deliver(std::span<const EventView> events);
    /// One that failed is delivered again, as a batch of its own.
    void deliver_again(std::uint64_t position) noexcept;
    /// The event and all before it in its batch, but for those that failed. `in_order`: only if
    /// nothing would remain before it.
    [[nodiscard]] Answer acknowledge(std::uint64_t position, bool in_order) noexcept;
    /// It waits to be delivered again.
    [[nodiscard]] Answer fail(std::uint64_t position) noexcept;
    /// One that failed is put aside.
    void park(std::uint64_t position) noexcept;

    /// It was delivered and not passed.
    [[nodiscard]] bool has(std::uint64_t position) const noexcept {
        return find(position) < entries_.size();
    }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return open_; }
    /// Position of the first event that is neither acknowledged nor parked.
    [[nodiscard]] std::uint64_t front() const noexcept { return entries_.front().position; }
    /// Highest position that was delivered; 0: none.
    [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }
    /// The first event that somebody handles: not one that waits to be delivered again. 0: none.
    [[nodiscard]] std::uint64_t first_in_hand() const noexcept;
    /// Takes what is complete from the front.
    [[nodiscard]] Passed pass() noexcept;
    void clear() noexcept;

private:
    enum class Status : std::uint8_t { delivered, failed, acknowledged, parked };
    struct Entry {
        std::uint64_t position = 0;
        std::uint64_t begin = 0;  ///< position of the first event of its batch
        std::uint64_t batch = 0;  ///< number of its batch
        Status status = Status::delivered;
    };
    /// Index of the entry of this position; the number of entries if there is none.
    [[nodiscard]] std::size_t find(std::uint64_t position) const noexcept;
    [[nodiscard]] bool leaves_nothing_before(std::size_t n) const noexcept;
    [[nodiscard]] Answer absent(std::uint64_t position) const noexcept;

    std::deque<Entry> entries_;
    std::size_t open_ = 0;         ///< entries neither acknowledged nor parked
    std::uint64_t delivered_ = 0;  ///< highest position that was delivered
    std::uint64_t first_ = 0;      ///< lowest one
    std::uint64_t batches_ = 0;
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
