// The log of a store as the checker wants it: events as reads show them, and what was defined.
//
// A pure function of what the store has published. Records of definitions are no events, so they
// are read from the bytes of the log.
#pragma once

#include "concurrency/linear/history.hpp"
#include "varve/varve.hpp"

namespace varve::test::linear {

/// Everything published, position by position. A position of which nothing tells is an event of
/// group 0, which nobody appended.
[[nodiscard]] Result<std::vector<Logged>> read_log(const Store& store);

}  // namespace varve::test::linear
