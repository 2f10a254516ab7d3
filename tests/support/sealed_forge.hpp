// Makes the checksums of a sealed index right again after its bytes were changed.
//
// For tests and fuzz targets. Any bytes: what has no place in the file is left as it is.
#pragma once

#include <algorithm>
#include <span>

#include "base/crc32c.hpp"
#include "index/sealed_format.hpp"

namespace varve::test {

inline void sign_sealed(std::span<std::byte> file) {
    constexpr std::uint32_t kSeed = 0x58444956;
    if (file.size() < index::kSealedHeaderSize) return;
    auto header = base::load<index::SealedHeader>(file.data());
    const auto place = [&](index::Section section) {
        return header.sections[static_cast<std::size_t>(section)];
    };
    const index::SectionPlace tables = place(index::Section::segments);
    const index::SectionPlace sums = place(index::Section::checksums);
    const bool there = tables.offset >= index::kSealedHeaderSize && sums.offset >= tables.offset &&
                       base::fits(sums.offset, sums.length, file.size());
    if (there) {
        std::uint64_t begin = index::kSealedHeaderSize;
        for (std::uint64_t block = 0; block < sums.length / 4 && begin < tables.offset; ++block) {
            const std::uint64_t end = std::min(begin + index::kSealedBlock, tables.offset);
            base::store(file.data() + sums.offset + 4 * block,
                        base::crc32c(static_cast<std::uint32_t>(block) ^ kSeed,
                                     base::Bytes{file.data() + begin, end - begin}));
            begin = end;
        }
        header.table_crc = base::crc32c(
            kSeed,
            base::Bytes{file.data() + tables.offset, sums.offset + sums.length - tables.offset});
        base::store(file.data(), header);
    }
    base::store(file.data() + index::kSealedCrcOffset,
                base::crc32c(kSeed, base::Bytes{file.data(), index::kSealedCrcOffset}));
}

}  // namespace varve::test
