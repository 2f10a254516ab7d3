// Options of the stores of unit tests: in a simulated world, with segments so small that they roll.
#pragma once

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {

[[nodiscard]] inline OpenOptions options_for(os::SimEnv& world, Access access = Access::read_write,
                                             Durability level = Durability::disk) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.durability = level;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

}  // namespace varve::test
