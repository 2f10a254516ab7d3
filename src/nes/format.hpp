// What node-event-storage writes, byte for byte: headers, documents, index entries, size marker.
//
// Plain data and functions, any thread. Invariants: headers and documents are big-endian, index
// entries little-endian; every header is a multiple of 16 bytes long, every document a multiple
// of 4. The page docs/format/nes.md is compared with the tables here by a test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/field.hpp"
#include "varve/nes_files.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// Begins every partition and every index; the metadata follow.
struct FileHeader {
    char magic[8];                  ///< what kind of file, and in the last two bytes which version
    std::uint8_t metadata_size[4];  ///< big-endian, with padding and the final newline
};

struct DocumentHeader {
    std::uint8_t size[4];      ///< big-endian, bytes of the payload
    std::uint8_t sequence[4];  ///< big-endian, 0-based number in the whole store
    std::uint8_t time[8];      ///< big-endian double, microseconds since the partition's epoch
};

struct DocumentFooter {
    std::uint8_t size[4];       ///< as in the header, for stepping backwards
    std::uint8_t separator[4];  ///< 00 00 1E 0A
};

/// The last bytes of a file in the mapped layout.
struct SizeMarker {
    std::uint8_t distance[4];  ///< big-endian, from the end of the content to the end of the file
};

inline constexpr base::Field kFileHeaderFields[] = {
    VARVE_FIELD(FileHeader, magic),
    VARVE_FIELD(FileHeader, metadata_size),
};
inline constexpr base::Field kDocumentHeaderFields[] = {
    VARVE_FIELD(DocumentHeader, size),
    VARVE_FIELD(DocumentHeader, sequence),
    VARVE_FIELD(DocumentHeader, time),
};
inline constexpr base::Field kDocumentFooterFields[] = {
    VARVE_FIELD(DocumentFooter, size),
    VARVE_FIELD(DocumentFooter, separator),
};
inline constexpr base::Field kIndexEntryFields[] = {
    VARVE_FIELD(IndexEntry, number),
    VARVE_FIELD(IndexEntry, position),
    VARVE_FIELD(IndexEntry, size),
    VARVE_FIELD(IndexEntry, partition),
};
inline constexpr base::Field kSizeMarkerFields[] = {
    VARVE_FIELD(SizeMarker, distance),
};

static_assert(sizeof(FileHeader) == 12 && sizeof(DocumentHeader) == 16);
static_assert(sizeof(DocumentFooter) == 8 && sizeof(IndexEntry) == 16 && sizeof(SizeMarker) == 4);

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kMarkerSize = sizeof(SizeMarker);
inline constexpr std::uint64_t kHeaderAlignment = 16;
inline constexpr std::uint64_t kDocumentAlignment = 4;
inline constexpr std::uint64_t kDocumentFrame = sizeof(DocumentHeader) + sizeof(DocumentFooter);
inline constexpr std::uint32_t kSeparator = 0x00001E0A;
/// What the original reads; a partition with more would be written and never opened again.
inline constexpr std::uint64_t kPartitionMetadataLimit = 4096;
/// The original has none for indexes, whose matchers may be long; this keeps a damaged size from
/// being believed.
inline constexpr std::uint64_t kIndexMetadataLimit = 1 << 20;
inline constexpr std::uint64_t kMetadataLeast = 3;

enum class FileKind : std::uint8_t { partition, index };

[[nodiscard]] inline std::uint32_t load_be32(const std::byte* from) noexcept {
    return __builtin_bswap32(base::load<std::uint32_t>(from));
}
inline void store_be32(std::byte* to, std::uint32_t value) noexcept {
    base::store(to, __builtin_bswap32(value));
}
[[nodiscard]] inline double load_be_double(const std::byte* from) noexcept {
    return std::bit_cast<double>(__builtin_bswap64(base::load<std::uint64_t>(from)));
}
inline void store_be_double(std::byte* to, double value) noexcept {
    base::store(to, __builtin_bswap64(std::bit_cast<std::uint64_t>(value)));
}

/// Bytes that a document of `size` payload bytes takes in its partition.
[[nodiscard]] constexpr std::uint64_t document_bytes(std::uint64_t size) noexcept {
    return base::align_up(size, kDocumentAlignment) + kDocumentFrame;
}

/// A whole header with these metadata, JSON text. `too_large` if the original could not read it.
[[nodiscard]] Result<std::string> encode_header(FileKind kind, std::string_view metadata,
                                                const std::string& path);

struct HeaderView {
    std::string_view metadata;  ///< JSON text without padding; points into the content
    std::uint64_t size = 0;     ///< where the documents or entries begin
};

/// Reads the header of a file. `not_a_store`: another kind of file; `unsupported_version`: another
/// version; `corrupt`: a size that cannot be, or metadata that are no JSON object.
[[nodiscard]] Result<HeaderView> parse_header(base::Bytes content, FileKind kind,
                                              const std::string& path);

}  // namespace nes
}  // namespace v0
}  // namespace varve
