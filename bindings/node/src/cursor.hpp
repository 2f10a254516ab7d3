// One read in progress, filled into rooms batch by batch.
//
// Thread rule: one thread. Invariant: what it holds lives until `close`, also when the store is
// closed.
#pragma once

#include <optional>
#include <vector>

#include "rows.hpp"
#include "varve/store.hpp"

namespace varve::node {

/// What to read.
struct Wanted {
    std::optional<std::string> stream{};  ///< the events of one stream; absent: those of `selector`
    Selector selector{};
    /// Instead of both: the events at these positions, in this order.
    std::optional<std::vector<double>> positions{};
    ReadOptions options{};
    std::uint64_t skip = 0;  ///< so many events are passed over first
    std::uint64_t limit =
        std::numeric_limits<std::uint64_t>::max();  ///< behind those; counted before `matcher`
    std::optional<Matcher> matcher{};
};

class Cursor {
public:
    Cursor(Snapshot snapshot, Wanted wanted) noexcept;

    /// What a call of `fill` did.
    struct Filled {
        std::size_t rows = 0;
        std::size_t needed = 0;  ///< not 0: nothing was written, the room must have so many bytes
    };

    /// Writes the next events into `room`, at most `rows`; none at the end. An error comes when
    /// everything before it was handed out, and again whenever it is called.
    [[nodiscard]] Result<Filled> fill(std::span<char> room, std::size_t rows,
                                      std::uint32_t want) noexcept;

private:
    /// The next event that is wanted, or null: at the end, or at an error.
    [[nodiscard]] const EventView* peek();
    [[nodiscard]] bool refill();
    [[nodiscard]] Result<std::span<const EventView>> next_run();

    Wanted wanted_;
    Snapshot snapshot_;
    std::optional<Events> events_;
    std::span<const EventView> run_{};
    std::size_t at_ = 0;
    std::optional<Error> error_;
    bool at_end_ = false;
    std::vector<EventView> batch_;
    std::vector<EventView> found_;   // a run of `positions`
    std::size_t next_position_ = 0;  // of `positions`
};

}  // namespace varve::node
