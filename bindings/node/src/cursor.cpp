#include "cursor.hpp"

#include <new>
#include <utility>

#include "error.hpp"

namespace varve::node {

Cursor::Cursor(Snapshot snapshot, Wanted wanted) noexcept
    : wanted_(std::move(wanted)), snapshot_(std::move(snapshot)) {
    // Where nothing is counted off, the store itself looks for what matches.
    const bool counts = wanted_.positions || wanted_.skip > 0 ||
                        wanted_.limit != std::numeric_limits<std::uint64_t>::max();
    if (wanted_.matcher && !counts)
        wanted_.options.matcher = std::exchange(wanted_.matcher, std::nullopt);
    if (wanted_.positions) {
        // One by one in `next_run`.
    } else if (wanted_.stream)
        events_.emplace(snapshot_.read(Source::stream(*wanted_.stream), wanted_.options));
    else
        events_.emplace(snapshot_.query(wanted_.selector, wanted_.options));
    if (wanted_.limit == 0) at_end_ = true;
}

Result<std::span<const EventView>> Cursor::next_run() {
    constexpr std::size_t kRun = 256;
    if (events_) return events_->next();
    const std::vector<double>& positions = *wanted_.positions;
    found_.clear();
    while (found_.size() < kRun && next_position_ < positions.size()) {
        auto event = snapshot_.at(Position{static_cast<std::uint64_t>(positions[next_position_])});
        if (!event && found_.empty()) return std::move(event).error();
        if (!event) break;  // the same error comes first in the next run
        found_.push_back(*event);
        ++next_position_;
    }
    return std::span<const EventView>(found_);
}

bool Cursor::refill() {
    auto run = next_run();
    if (!run) {
        error_ = std::move(run).error();
        return false;
    }
    run_ = *run;
    at_ = 0;
    if (run_.empty()) at_end_ = true;
    return !run_.empty();
}

const EventView* Cursor::peek() {
    while (!at_end_ && !error_) {
        if (at_ == run_.size() && !refill()) return nullptr;
        if (wanted_.skip > 0) {
            const auto passed = std::min<std::uint64_t>(wanted_.skip, run_.size() - at_);
            wanted_.skip -= passed;
            at_ += passed;
            continue;
        }
        if (wanted_.limit == 0) {
            at_end_ = true;
            return nullptr;
        }
        const EventView& event = run_[at_];
        if (!wanted_.matcher || wanted_.matcher->matches(event.data, event.metadata)) return &event;
        ++at_;
        --wanted_.limit;
    }
    return nullptr;
}

Result<Cursor::Filled> Cursor::fill(std::span<char> room, std::size_t rows,
                                    std::uint32_t want) noexcept try {
    batch_.clear();
    std::size_t bytes = bytes_around(rows);
    while (batch_.size() < rows) {
        const EventView* event = peek();
        if (event == nullptr) break;
        const std::size_t more = bytes_of(*event, want);
        if (bytes + more > room.size()) {
            if (batch_.empty()) return Filled{0, bytes + more};
            break;
        }
        bytes += more;
        batch_.push_back(*event);
        ++at_;
        --wanted_.limit;
    }
    if (batch_.empty() && error_) return Error(*error_);
    if (bytes > room.size()) return Filled{0, bytes};
    write_rows(batch_, want, rows, room);
    return Filled{batch_.size(), 0};
} catch (const std::bad_alloc&) {
    return error_of(ErrorCode::out_of_memory,
                    "There is no memory for a batch of events. Ask for fewer.");
}

}  // namespace varve::node
