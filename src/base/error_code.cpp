#include "varve/result.hpp"

namespace varve {
inline namespace v0 {

std::string_view to_string(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::wrong_expected_version: return "wrong_expected_version";
        case ErrorCode::condition_failed: return "condition_failed";
        case ErrorCode::id_conflict: return "id_conflict";
        case ErrorCode::stale: return "stale";
        case ErrorCode::no_space: return "no_space";
        case ErrorCode::corrupt: return "corrupt";
        case ErrorCode::erased: return "erased";
        case ErrorCode::locked: return "locked";
        case ErrorCode::busy: return "busy";
        case ErrorCode::poisoned: return "poisoned";
        case ErrorCode::durability_lost: return "durability_lost";
        case ErrorCode::closed: return "closed";
        case ErrorCode::too_large: return "too_large";
        case ErrorCode::invalid_argument: return "invalid_argument";
        case ErrorCode::not_found: return "not_found";
        case ErrorCode::not_a_store: return "not_a_store";
        case ErrorCode::unsupported_version: return "unsupported_version";
        case ErrorCode::unsupported_filesystem: return "unsupported_filesystem";
        case ErrorCode::permission: return "permission";
        case ErrorCode::out_of_memory: return "out_of_memory";
        case ErrorCode::io: return "io";
    }
    return "io";
}

}  // namespace v0
}  // namespace varve
