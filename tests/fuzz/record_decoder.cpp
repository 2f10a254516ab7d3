// Fuzz target: any bytes as a segment. Decoding, scanning, recovery and the search for evidence
// read nothing outside them and end.
#include <cstdlib>
#include <vector>

#include "log/recovery.hpp"
#include "log/scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace varve;
    // A copy of exactly this size, so that the sanitizer sees a read behind it.
    std::vector<std::byte> bytes(size);
    if (size > 0) std::memcpy(bytes.data(), data, size);
    const log::Uuid uuid{};
    const log::SegmentImage image = log::look_at(1, bytes, uuid, 7);
    log::RecordView view;
    for (std::uint64_t offset = 0; offset < size && offset < 4096; offset += 8) {
        const std::uint64_t position =
            size - offset >= 24 ? base::load<std::uint64_t>(bytes.data() + offset + 16) : 1;
        if (log::decode_record(bytes, offset, position, 7, log::Check::structure, view) != nullptr)
            continue;
        // What the structure check lets pass must be readable to the last byte.
        const EventView event = log::to_event(view);
        std::size_t sum =
            event.stream.size() + event.type.size() + event.data.size() + event.metadata.size();
        for (const std::string_view tag : event.tags)
            sum += tag.size() + (tag.empty() ? 0U : static_cast<unsigned char>(tag.back()));
        if (!event.data.empty()) sum += static_cast<unsigned char>(event.data.back());
        if (sum > size * 300) std::abort();
    }
    const log::SegmentImage images[] = {image};
    static_cast<void>(log::recover(images, {}));
    static_cast<void>(log::recover(images, {{1, 4096, 0, 0, 0}, 0, 1}));
    log::SegmentScanner scanner(bytes, image.keys, {1, log::kSegmentHeaderSize, 0, 0, 0},
                                size / 64 + 1);
    std::uint64_t next = 1;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        const bool record = step == log::SegmentScanner::Step::record;
        const std::uint64_t first = record ? scanner.record().header.position : scanner.first();
        if (first != next) std::abort();
        next = record ? first + 1 : scanner.last() + 1;
    }
    return 0;
}
