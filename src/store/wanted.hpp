// Which events a read is about: all, those of one name, or those of a selection.
//
// One thread. Invariant: a name that definitions give a meaning to is a selection; what comes down
// to one name, or to nothing, is that.
#pragma once

#include <optional>
#include <string>

#include "index/selection.hpp"
#include "varve/options.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Pinned;

struct Wanted {
    Source::Kind kind = Source::Kind::all;
    std::string name;  ///< if `kind` has one
    index::Key key = 0;
    bool nothing = false;
    Selector selector;           ///< where the names of `selection` lie
    index::Selection selection;  ///< of what is no single name; else no sets
    std::optional<Error> error;  ///< why it cannot be

    [[nodiscard]] bool selects() const noexcept { return !selection.sets.empty(); }
    /// All in order; else what an index says.
    [[nodiscard]] bool everything() const noexcept {
        return kind == Source::Kind::all && !selects();
    }
};

[[nodiscard]] index::KeyKind key_kind(Source::Kind kind) noexcept;

/// May throw bad_alloc.
[[nodiscard]] Wanted wanted_of(const Pinned& pinned, Source source);
[[nodiscard]] Wanted wanted_of(const Pinned& pinned, const Selector& selector);

}  // namespace store
}  // namespace v0
}  // namespace varve
