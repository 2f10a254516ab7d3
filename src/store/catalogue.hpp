// The catalogue and the versions of streams, answered from a view's indexes.
//
// Any thread; names of young segments are kept with the view. Invariant: names are taken from
// records and compared, never from hashes alone.
#pragma once

#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// The names of one kind that `options` ask for, sorted by bytes.
[[nodiscard]] Result<std::vector<CatalogueEntry>> catalogue(Pinned& pinned, index::KeyKind kind,
                                                            const NamesOptions& options) noexcept;

/// Bytes of the records of `stream`.
[[nodiscard]] Result<std::uint64_t> bytes_of(const std::shared_ptr<Pinned>& pinned,
                                             std::string_view stream);

/// Number of events in `stream`.
[[nodiscard]] Result<std::uint64_t> version_of(const Pinned& pinned,
                                               std::string_view stream) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
