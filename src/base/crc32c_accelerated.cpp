// CRC32C by CPU instruction. On x86-64 three lanes run at once, because the instruction takes three
// cycles and starts one a cycle; the lanes are joined by a carry-less multiplication with x^(8n-33)
// mod P. Method: Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction"
// (Intel, 2011). This file is apart because its functions are compiled for instructions the
// baseline does not have.
#include <array>

#include "base/crc32c.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace varve::base::detail {

#if defined(__x86_64__)
namespace {

constexpr std::size_t kMaxLaneWords =
    128;  // 1 KiB a lane: the table of joining constants stays at 1 KiB

/// kJoin[w] = x^(64 w - 33) mod P, bit-reflected: what a lane's crc is multiplied with to pass w
/// words.
constexpr std::array<std::uint32_t, 2 * kMaxLaneWords + 1> make_join() noexcept {
    std::array<std::uint32_t, 2 * kMaxLaneWords + 1> join{};
    std::uint32_t power = 0x80000000;  // x^0
    std::size_t exponent = 0;
    for (std::size_t words = 1; words < join.size(); ++words) {
        for (; exponent < 64 * words - 33; ++exponent)
            power = (power >> 1) ^ ((power & 1) != 0 ? 0x82F63B78 : 0);
        join[words] = power;
    }
    return join;
}

constexpr auto kJoin = make_join();

__attribute__((target("sse4.2,pclmul"))) std::uint64_t past(std::uint64_t crc,
                                                            std::size_t words) noexcept {
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)),
                                                 _mm_cvtsi64_si128(kJoin[words]), 0);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t crc32c_sse42(std::uint32_t start,
                                                                    const std::byte* at,
                                                                    std::size_t left) noexcept {
    std::uint64_t crc = ~start;
    while (left >= 96) {
        const std::size_t words = left / 24 < kMaxLaneWords ? left / 24 : kMaxLaneWords;
        const std::byte* lane1 = at + words * 8;
        const std::byte* lane2 = lane1 + words * 8;
        std::uint64_t crc1 = 0;
        std::uint64_t crc2 = 0;
        for (std::size_t i = 0; i + 1 < words; ++i, at += 8, lane1 += 8, lane2 += 8) {
            crc = _mm_crc32_u64(crc, load<std::uint64_t>(at));
            crc1 = _mm_crc32_u64(crc1, load<std::uint64_t>(lane1));
            crc2 = _mm_crc32_u64(crc2, load<std::uint64_t>(lane2));
        }
        crc = _mm_crc32_u64(crc, load<std::uint64_t>(at));
        crc1 = _mm_crc32_u64(crc1, load<std::uint64_t>(lane1));
        // The joining products are below 2^64 and enter with the last word of the third lane: one
        // step does both.
        const std::uint64_t joined = past(crc, 2 * words) ^ past(crc1, words);
        crc = _mm_crc32_u64(crc2, load<std::uint64_t>(lane2)) ^ _mm_crc32_u64(0, joined);
        at = lane2 + 8;
        left -= words * 24;
    }
    for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load<std::uint64_t>(at));
    auto crc32 = static_cast<std::uint32_t>(crc);
    for (; left > 0; --left, ++at) crc32 = _mm_crc32_u8(crc32, std::to_integer<std::uint8_t>(*at));
    return ~crc32;
}

}  // namespace

Crc32cFunction crc32c_accelerated() noexcept {
    __builtin_cpu_init();
    const bool has = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
    return has ? &crc32c_sse42 : nullptr;
}

#elif defined(__aarch64__)
namespace {

__attribute__((target("+crc"))) std::uint32_t crc32c_armv8(std::uint32_t start, const std::byte* at,
                                                           std::size_t left) noexcept {
    std::uint32_t crc = ~start;
    for (; left >= 8; left -= 8, at += 8) crc = __crc32cd(crc, load<std::uint64_t>(at));
    for (; left > 0; --left, ++at) crc = __crc32cb(crc, std::to_integer<std::uint8_t>(*at));
    return ~crc;
}

}  // namespace

Crc32cFunction crc32c_accelerated() noexcept {
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0 ? &crc32c_armv8 : nullptr;
}

#else
Crc32cFunction crc32c_accelerated() noexcept { return nullptr; }
#endif

}  // namespace varve::base::detail
