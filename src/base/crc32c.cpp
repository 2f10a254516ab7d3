#include "base/crc32c.hpp"

namespace varve::base {
namespace {

std::uint32_t portable(std::uint32_t crc, const std::byte* data, std::size_t size) noexcept {
    return crc32c_portable(crc, Bytes{data, size});
}

const detail::Crc32cFunction kBest =
    detail::crc32c_accelerated() != nullptr ? detail::crc32c_accelerated() : &portable;

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) noexcept {
    // Before static initialisation has reached this file the pointer is null: another global may be
    // faster than we are.
    if (kBest == nullptr) [[unlikely]]
        return crc32c_portable(crc, bytes);
    return kBest(crc, bytes.data(), bytes.size());
}

}  // namespace varve::base
