// Reads documents in the bytes of a partition that follow its header.
//
// Plain functions over bytes that are suspects, any thread. Invariant: nothing outside the span is
// read, and a document is answered only if its header, its footer and its separator agree.
#pragma once

#include <optional>

#include "nes/format.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

inline constexpr std::uint64_t kDocumentLimit = 64 << 20;
inline constexpr std::uint64_t kPartitionLimit = std::uint64_t{1} << 32;  // entries hold 32 bits

/// What is wrong with a document, in words, or null if nothing is.
using Flaw = const char*;

/// The document that begins at `at`.
[[nodiscard]] Flaw read_document(base::Bytes documents, std::uint64_t at, Document& into) noexcept;
/// The document that ends at `end`.
[[nodiscard]] Flaw read_document_before(base::Bytes documents, std::uint64_t end,
                                        Document& into) noexcept;

/// True if a document ends at `at`, or it is 0. Its header, footer and separator agree.
[[nodiscard]] bool is_boundary(base::Bytes documents, std::uint64_t at) noexcept;
/// The greatest boundary that is at most `at`.
[[nodiscard]] std::uint64_t boundary_before(base::Bytes documents, std::uint64_t at) noexcept;

/// Where the first document begins whose sequence number is at least `sequence`; their end if none.
/// `documents` ends with a boundary. A document that cannot be read is a flaw at `at`.
[[nodiscard]] Flaw find_document(base::Bytes documents, std::uint64_t sequence,
                                 std::uint64_t& at) noexcept;

/// Says whether a document of `size` bytes may be written where the documents of a partition end.
/// `too_large`, or `invalid_argument` if it is empty.
[[nodiscard]] Result<void> check_document(std::uint64_t size, std::uint64_t end,
                                          const std::string& path) noexcept;
/// Stores a whole document of `document_bytes(data.size())` bytes.
void store_document(std::byte* to, std::string_view data, std::uint32_t sequence,
                    std::uint64_t time_us) noexcept;

}  // namespace nes
}  // namespace v0
}  // namespace varve
