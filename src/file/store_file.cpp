#include "file/store_file.hpp"

#include "base/crc32c.hpp"
#include "base/error.hpp"

namespace varve::file {

using base::Bytes;

void encode_store_file(std::span<std::byte, kStoreFileSize> to, const StoreFile& content) noexcept {
    std::memset(to.data(), 0, to.size());
    base::store(to.data(), content);
    base::store(to.data() + kStoreFileCrcOffset, base::crc32c(0, to.first(kStoreFileCrcOffset)));
}

Result<StoreFile> decode_store_file(Bytes bytes, const std::string& path) noexcept {
    const auto refuse = [&](ErrorCode code, const char* why) {
        return base::failure(code, why, path);
    };
    if (bytes.size() < kStoreFileSize)
        return refuse(ErrorCode::corrupt, "the store's file is cut short");
    const auto content = base::load<StoreFile>(bytes.data());
    if (content.magic != kStoreMagic)
        return refuse(ErrorCode::corrupt, "the store's file does not begin as one of ours");
    // The version is looked at before the checksum: a newer format may keep its checksum elsewhere.
    if (content.major > kFormatMajor && content.major < 1000) {
        return refuse(ErrorCode::unsupported_version,
                      "written by a newer version; use a newer varve to open it");
    }
    if (bytes.size() != kStoreFileSize ||
        base::load<std::uint32_t>(bytes.data() + kStoreFileCrcOffset) !=
            base::crc32c(0, bytes.first(kStoreFileCrcOffset))) {
        return refuse(ErrorCode::corrupt, "the store's file fails its checksum");
    }
    if (content.must_understand != 0) {
        return refuse(ErrorCode::unsupported_version,
                      "uses features of a newer version; use a newer varve to open it");
    }
    const bool sane = content.major == kFormatMajor &&
                      content.segment_size_first >= (64ULL << 10) &&
                      content.segment_size_first <= content.segment_size_max &&
                      content.segment_size_max <= (1ULL << 30) && content.hash_bits >= 1 &&
                      content.hash_bits <= 64;
    if (!sane) return refuse(ErrorCode::corrupt, "the store's file holds impossible values");
    return content;
}

}  // namespace varve::file
