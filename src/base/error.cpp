#include "base/error.hpp"

namespace varve::base {

Error failure(ErrorCode code, std::string message, std::string file, std::uint64_t offset) {
    Error error;
    error.code = code;
    error.message = std::move(message);
    error.file = std::move(file);
    error.offset = offset;
    error.retry =
        code == ErrorCode::no_space || code == ErrorCode::busy || code == ErrorCode::out_of_memory;
    return error;
}

}  // namespace varve::base
