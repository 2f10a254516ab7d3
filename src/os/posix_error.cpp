#include "os/posix_error.hpp"

#include <cerrno>
#include <cstring>

#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace os {

namespace {

ErrorCode code_of(int number) noexcept {
    switch (number) {
        case ENOENT: return ErrorCode::not_found;
        case ENOTDIR: return ErrorCode::not_a_store;
        case EACCES:
        case EPERM:
        case EROFS: return ErrorCode::permission;
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return ErrorCode::no_space;
        case EMFILE:
        case ENFILE:
        case ENOMEM: return ErrorCode::out_of_memory;
        case EAGAIN:
        case EBUSY: return ErrorCode::busy;
        default: return ErrorCode::io;
    }
}

}  // namespace

Error posix_error(int number, const char* doing, const std::string& path, std::uint64_t offset) {
    char buffer[128];
    const char* text = strerror_r(number, buffer, sizeof buffer);
    const std::string why =
        number == ELOOP ? "it is a symbolic link, which is not followed" : std::string(text);
    return base::failure(code_of(number), std::string(doing) + ": " + why, path, offset);
}

}  // namespace os
}  // namespace v0
}  // namespace varve
