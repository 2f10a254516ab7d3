// Errors that the addon itself reports.
//
// Thread rule: plain values.
#pragma once

#include "varve/result.hpp"

namespace varve::node {

[[nodiscard]] inline Error error_of(ErrorCode code, const char* message) {
    Error error;
    error.code = code;
    error.message = message;
    return error;
}

}  // namespace varve::node
