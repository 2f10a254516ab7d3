// Judges whether a history is linearizable: whether there is one order of all operations, agreeing
// with the clock, in which each has the answer that it got and which leaves this log.
//
// A pure function. The log gives the order of appends away, so this takes no search: an append
// stands at its position, a read at the end of its snapshot, and whatever was refused at the first
// prefix where that answer is right and which is not before anything that had ended when it began.
// Cost: O(n log n), and for each condition the events between `after` and the append that have the
// rarest of its names.
#pragma once

#include <string>
#include <vector>

#include "concurrency/linear/history.hpp"

namespace varve::test::linear {

/// Nothing if the history is linearizable, else what contradicts that: at most twenty sentences.
/// Times of an `unknown` operation: it was placed before `end_ns` or never. Of several such
/// attempts at the same append it is left open which of them was placed.
[[nodiscard]] std::vector<std::string> check(const History& history);

}  // namespace varve::test::linear
