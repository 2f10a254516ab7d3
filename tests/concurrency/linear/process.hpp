// What one of the three processes of the rig does: it queries while others write, writes with 24
// threads when it is its turn, and repeats what died with the writer before it.
//
// Runs in a child that was forked while there was one thread.
#pragma once

#include <string>

#include "concurrency/linear/shared.hpp"
#include "varve/varve.hpp"

namespace varve::test::linear {

[[nodiscard]] OpenOptions options_for(Access access);

/// Returns when it is told to quit or something went wrong, which `shared` tells.
void run_process(const std::string& path, Shared& shared, unsigned number, std::uint64_t seed);

}  // namespace varve::test::linear
