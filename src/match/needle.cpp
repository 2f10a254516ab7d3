// Sixteen places at a time: where two bytes of the piece stand at their distance, the whole piece
// is compared. Where this is not available, and for long pieces, the search of the C library.
//
// Any thread.
#include "match/needle.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace varve::match {

bool contains_portable(std::string_view bytes, std::string_view piece) noexcept {
    if (piece.empty() || bytes.size() < piece.size()) return piece.empty();
    return memmem(bytes.data(), bytes.size(), piece.data(), piece.size()) != nullptr;
}

#if defined(__SSE2__)

namespace {

constexpr std::size_t kBlock = 16;
/// Longer pieces go to the C library, whose search is linear whatever the bytes are; here a hostile
/// text costs one comparison of a piece per byte.
constexpr std::size_t kLongest = 64;

__m128i load(const char* from) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

}  // namespace

bool contains(std::string_view bytes, std::string_view piece) noexcept {
    const std::size_t size = piece.size();
    if (size < 2 || size > kLongest || bytes.size() < size + kBlock)
        return contains_portable(bytes, piece);
    // Pieces are tokens between quotes: bytes before the closing quote are rarer than quotes.
    const std::size_t low = size > 3 ? size - 3 : size - 2;
    const __m128i low_byte = _mm_set1_epi8(piece[low]);
    const __m128i high_byte = _mm_set1_epi8(piece[low + 1]);
    const std::size_t last = bytes.size() - size + 1 - kBlock;  // block with the last places
    for (std::size_t at = 0;; at = std::min(at + kBlock, last)) {
        const char* const block = bytes.data() + at;
        const __m128i both = _mm_and_si128(_mm_cmpeq_epi8(load(block + low), low_byte),
                                           _mm_cmpeq_epi8(load(block + low + 1), high_byte));
        auto places = static_cast<unsigned>(_mm_movemask_epi8(both));
        for (; places != 0; places &= places - 1)
            if (std::memcmp(block + std::countr_zero(places), piece.data(), size) == 0) return true;
        if (at == last) return false;
    }
}

#else

bool contains(std::string_view bytes, std::string_view piece) noexcept {
    return contains_portable(bytes, piece);
}

#endif

bool contains_backslash(std::string_view bytes) noexcept {
    return !bytes.empty() && std::memchr(bytes.data(), '\\', bytes.size()) != nullptr;
}

}  // namespace varve::match
