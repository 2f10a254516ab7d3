// The catalogue and the versions of streams, answered from a view's indexes.
//
// Any thread, nothing kept. Invariant: names are taken from records and compared, never from hashes
// alone.
#pragma once

#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Names of one kind that begin with `prefix`, sorted by bytes.
[[nodiscard]] Result<std::vector<CatalogueEntry>> catalogue(const Pinned& pinned,
                                                            index::KeyKind kind,
                                                            std::string_view prefix) noexcept;

/// Number of events in `stream`.
[[nodiscard]] Result<std::uint64_t> version_of(const Pinned& pinned,
                                               std::string_view stream) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
