// Makes an Error in one line.
//
// Any thread. The message is one sentence for people: what happened and what to do.
#pragma once

#include <string>

#include "varve/result.hpp"

namespace varve::base {

[[nodiscard]] Error failure(ErrorCode code, std::string message, std::string file = {},
                            std::uint64_t offset = 0);

}  // namespace varve::base
