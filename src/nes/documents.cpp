// Documents: framed on both sides, so that they can be read in both directions. Any thread.
#include "nes/documents.hpp"

#include <cstring>

#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr double kTimeLimit = 9007199254740992.0;  // above, doubles are no longer whole numbers
constexpr std::uint64_t kTimeAt = offsetof(DocumentHeader, time);
constexpr std::uint64_t kSequenceAt = offsetof(DocumentHeader, sequence);

bool is_size(std::uint64_t size) noexcept { return size >= 1 && size <= kDocumentLimit; }

}  // namespace

Flaw read_document(base::Bytes documents, std::uint64_t at, Document& into) noexcept {
    if (at % kDocumentAlignment != 0) return "a document begins at a multiple of 4";
    if (!base::fits(at, sizeof(DocumentHeader), documents.size()))
        return "the document's header is cut off";
    const std::byte* const from = documents.data() + at;
    const std::uint64_t size = load_be32(from);
    if (!is_size(size)) return "the document has a size that cannot be";
    const std::uint64_t total = document_bytes(size);
    if (!base::fits(at, total, documents.size()))
        return "the document is cut off: it was not written to its end";
    const std::byte* const footer = from + total - sizeof(DocumentFooter);
    if (load_be32(footer) != size)
        return "the sizes before and behind the document are not the same";
    if (load_be32(footer + 4) != kSeparator) return "no separator ends the document";
    const double time = load_be_double(from + kTimeAt);
    if (!(time >= 0 && time <= kTimeLimit)) return "the document has a time that cannot be";
    into.data = {reinterpret_cast<const char*>(from + sizeof(DocumentHeader)), size};
    into.position = at;
    into.sequence = load_be32(from + kSequenceAt);
    into.time_us = static_cast<std::uint64_t>(time);
    return nullptr;
}

bool is_boundary(base::Bytes documents, std::uint64_t at) noexcept {
    if (at == 0) return true;
    if (at < kDocumentFrame || at > documents.size() || at % kDocumentAlignment != 0) return false;
    const std::byte* const end = documents.data() + at;
    if (load_be32(end - 4) != kSeparator) return false;
    const std::uint64_t size = load_be32(end - sizeof(DocumentFooter));
    if (!is_size(size) || document_bytes(size) > at) return false;
    // A payload may hold bytes that look like an end. They would have to look like a beginning too,
    // one with another end before it.
    const std::uint64_t begin = at - document_bytes(size);
    if (begin > 0 && load_be32(documents.data() + begin - 4) != kSeparator) return false;
    Document ignored;
    return read_document(documents.first(at), begin, ignored) == nullptr;
}

Flaw read_document_before(base::Bytes documents, std::uint64_t end, Document& into) noexcept {
    if (end == 0 || !is_boundary(documents, end)) return "no document ends here";
    const std::uint64_t size = load_be32(documents.data() + end - sizeof(DocumentFooter));
    return read_document(documents.first(end), end - document_bytes(size), into);
}

std::uint64_t boundary_before(base::Bytes documents, std::uint64_t at) noexcept {
    std::uint64_t end =
        base::align_down(std::min<std::uint64_t>(at, documents.size()), kDocumentAlignment);
    while (end > 0 && !is_boundary(documents, end)) end -= kDocumentAlignment;
    return end;
}

Flaw find_document(base::Bytes documents, std::uint64_t sequence, std::uint64_t& at) noexcept {
    std::uint64_t low = 0;  // a boundary: what ends there has a smaller sequence number
    std::uint64_t high = documents.size();
    Document found;
    while (low < high) {
        at = std::max(boundary_before(documents, low + (high - low) / 2), low);
        if (Flaw flaw = read_document(documents, at, found); flaw != nullptr) return flaw;
        if (found.sequence < sequence)
            low = at + document_bytes(found.data.size());
        else
            high = at;
    }
    at = low;
    return nullptr;
}

Result<void> check_document(std::uint64_t size, std::uint64_t end,
                            const std::string& path) noexcept {
    if (size == 0)
        return base::failure(ErrorCode::invalid_argument,
                             "a document without bytes could not be read back", path);
    if (size > kDocumentLimit)
        return base::failure(ErrorCode::too_large, "the document has more than 64 MiB", path);
    if (document_bytes(size) > kPartitionLimit - end)
        return base::failure(ErrorCode::too_large,
                             "the partition would exceed 4 GiB, which index entries cannot address",
                             path, end);
    return {};
}

void store_document(std::byte* to, std::string_view data, std::uint32_t sequence,
                    std::uint64_t time_us) noexcept {
    const auto size = static_cast<std::uint32_t>(data.size());
    const std::uint64_t total = document_bytes(size);
    store_be32(to, size);
    store_be32(to + kSequenceAt, sequence);
    store_be_double(to + kTimeAt, static_cast<double>(time_us));
    std::byte* const payload = to + sizeof(DocumentHeader);
    std::memcpy(payload, data.data(), data.size());
    std::byte* const footer = to + total - sizeof(DocumentFooter);
    for (std::byte* pad = payload + size; pad != footer; ++pad) *pad = std::byte{' '};
    store_be32(footer, size);
    store_be32(footer + 4, kSeparator);
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
