// What `visibility` measures: a writer, and processes that follow it.
//
// Each function runs in one thread of one process.
#pragma once

#include <functional>

#include "bench.hpp"

namespace varve::bench {

/// One way to append and to follow.
struct Followed {
    /// Makes what is followed. Nothing stays open: a child must not inherit it.
    std::function<void()> create;
    /// In a reader's process: opens, calls `ready`, calls `seen` with the time stamp of each of so
    /// many events as soon as it is seen; at the end calls `idle` and waits a second for nothing.
    std::function<void(std::uint64_t events, const std::function<void()>& ready,
                       const std::function<void(std::uint64_t sent_ns)>& seen,
                       const std::function<void()>& idle)>
        follow;
    /// Opens for writing; what it returns appends one event that holds a time stamp.
    std::function<std::function<void(std::uint64_t now_ns)>()> open;
};

/// Files of node-event-storage in `directory`: documents of one partition, flushed one by one.
[[nodiscard]] Followed followed_partition(const std::string& directory, bool mapped);

}  // namespace varve::bench
