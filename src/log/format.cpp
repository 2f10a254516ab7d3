#include "log/format.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"

namespace varve::log {

using base::Bytes;

SegmentKeys segment_keys(const Uuid& uuid, std::uint64_t salt) noexcept {
    const std::uint32_t seed = base::crc32c_u64(base::crc32c(0, Bytes{uuid}), salt);
    return {salt, seed, kCommitMagic ^ static_cast<std::uint32_t>(salt)};
}

void encode_segment_header(std::byte* page, const SegmentHeader& header) noexcept {
    VARVE_ASSERT(header.capacity > kSegmentHeaderSize);
    VARVE_ASSERT(header.first_position > 0);
    std::memset(page, 0, kSegmentHeaderSize);
    base::store(page, header);
    base::store(page + kSegmentCrcOffset, base::crc32c(0, Bytes{page, kSegmentCrcOffset}));
}

HeaderState decode_segment_header(const std::byte* page, SegmentHeader& header) noexcept {
    const Bytes all{page, kSegmentHeaderSize};
    if (base::all_zero(all)) return HeaderState::unused;
    if (base::load<std::uint32_t>(page + kSegmentCrcOffset) !=
        base::crc32c(0, all.first(kSegmentCrcOffset))) {
        return HeaderState::damaged;
    }
    header = base::load<SegmentHeader>(page);
    if (header.magic != kSegmentMagic) return HeaderState::damaged;
    if (header.format > kFormat || (header.must_understand & ~kKnownFeatures) != 0)
        return HeaderState::newer;
    const Bytes rest =
        all.subspan(sizeof(SegmentHeader), kSegmentCrcOffset - sizeof(SegmentHeader));
    const bool sane = header.format == kFormat && header.reserved == 0 &&
                      header.first_position > 0 && header.capacity > kSegmentHeaderSize &&
                      header.number > header.previous && base::all_zero(rest);
    return sane ? HeaderState::valid : HeaderState::damaged;
}

}  // namespace varve::log
