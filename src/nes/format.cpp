// Headers of partitions and indexes. Any thread.
#include "nes/format.hpp"

#include "base/error.hpp"
#include "nes/json.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::size_t kMagicSize = 8;
constexpr std::size_t kKindSize = 6;  // the rest of the magic is the version
constexpr std::string_view kMagics[] = {"nesprt03", "nesidx01"};
constexpr std::string_view kKindNames[] = {"partition", "index"};

std::string_view magic_of(FileKind kind) noexcept {
    return kMagics[static_cast<std::size_t>(kind)];
}
std::string name_of(FileKind kind) {
    return std::string(kKindNames[static_cast<std::size_t>(kind)]);
}

std::uint64_t metadata_limit(FileKind kind) noexcept {
    return kind == FileKind::partition ? kPartitionMetadataLimit : kIndexMetadataLimit;
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view kBlank = " \n\r\t";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

Result<std::string> encode_header(FileKind kind, std::string_view metadata,
                                  const std::string& path) {
    const std::uint64_t end = sizeof(FileHeader) + metadata.size() + 1;
    const std::uint64_t size = base::align_up(end, kHeaderAlignment);
    const std::uint64_t area = size - sizeof(FileHeader);
    if (area > metadata_limit(kind))
        return failure(ErrorCode::too_large,
                       "the metadata take " + std::to_string(area) +
                           " bytes with their padding; make them fit into " +
                           std::to_string(metadata_limit(kind)),
                       path);
    if (!is_json_object(metadata))
        return failure(ErrorCode::invalid_argument, "the metadata are no JSON object", path);
    std::string header(magic_of(kind));
    header.resize(sizeof(FileHeader));
    store_be32(reinterpret_cast<std::byte*>(header.data()) + kMagicSize,
               static_cast<std::uint32_t>(area));
    header += metadata;
    header.append(size - end, ' ');
    header += '\n';
    return header;
}

Result<HeaderView> parse_header(base::Bytes content, FileKind kind, const std::string& path) {
    const std::string_view text = base::as_text(content);
    const std::string_view magic = magic_of(kind);
    if (content.size() < sizeof(FileHeader))
        return failure(ErrorCode::corrupt,
                       "the file ends inside the header of the " + name_of(kind), path,
                       content.size());
    if (text.substr(0, kKindSize) != magic.substr(0, kKindSize))
        return failure(
            ErrorCode::not_a_store,
            "this is no " + name_of(kind) + " of node-event-storage: the first bytes are others",
            path);
    if (text.substr(kKindSize, kMagicSize - kKindSize) != magic.substr(kKindSize))
        return failure(ErrorCode::unsupported_version,
                       "the " + name_of(kind) + " has version " +
                           std::string(text.substr(kKindSize, kMagicSize - kKindSize)) +
                           ", only version " + std::string(magic.substr(kKindSize)) + " is known",
                       path, kKindSize);
    const std::uint64_t area = load_be32(content.data() + kMagicSize);
    if (area < kMetadataLeast || area > metadata_limit(kind) ||
        !base::fits(sizeof(FileHeader), area, content.size()))
        return failure(ErrorCode::corrupt,
                       "the size of the metadata, " + std::to_string(area) + ", cannot be", path,
                       kMagicSize);
    HeaderView header;
    header.metadata = trimmed(text.substr(sizeof(FileHeader), area - 1));
    header.size = sizeof(FileHeader) + area;
    if (header.size % kHeaderAlignment != 0)
        return failure(ErrorCode::corrupt, "the header is no multiple of 16 bytes long", path,
                       kMagicSize);
    if (!is_json_object(header.metadata))
        return failure(ErrorCode::corrupt, "the metadata are no JSON object", path,
                       sizeof(FileHeader));
    return header;
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
