// Makes one sealed index of several neighbouring ones: per name the lists one behind the other, the
// columns as they are.
//
// One thread. Reads the inputs from front to back, once; memory beyond buffers comes from the
// Scratch: a few bytes for each name.
#pragma once

#include "index/sealed_writer.hpp"

namespace varve::index {

/// `inputs`: in order, each beginning where the one before ends, of one store. Errors:
/// `invalid_argument` if they are not neighbours, or have more than kSealedEventsMax events;
/// `corrupt` if an input is damaged; `busy` if `go_on` said no; the Sink's; `out_of_memory`.
[[nodiscard]] Result<void> merge_sealed(std::span<const SealedIndex* const> inputs,
                                        const log::Uuid& uuid, Sink& to, Scratch& scratch,
                                        const std::function<bool()>& go_on) noexcept;

}  // namespace varve::index
