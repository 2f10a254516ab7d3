// What an index of node-event-storage is in varve, by its name and its matcher.
//
// Any thread. Invariant: an index that is said to be a stream, a type or a tag takes exactly the
// events that have it, by the matcher's words; whether it really holds them is compared later.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "bridge/source_event.hpp"
#include "varve/matcher.hpp"
#include "varve/nes.hpp"
#include "varve/selector.hpp"

namespace varve::bridge {

enum class Means : std::uint8_t {
    stream,   ///< the stream of that name
    type,     ///< the events of a type: made by the accessor of types
    tag,      ///< those with a tag: made by the accessor of tags
    derived,  ///< what a selector and a matcher ask for, to be defined
    nothing,  ///< it cannot be said here
};

struct Meaning {
    Means means = Means::nothing;
    std::string name;  ///< of the stream, as the original's users know it
    Selector selector;
    std::optional<Matcher> matcher;
    std::string why;  ///< it means nothing here
};

/// `envelopes`: the documents are what an event store writes, so names begin with `stream-` and
/// matchers speak of stream, payload and metadata; else of the whole document.
[[nodiscard]] Meaning meaning_of(const nes::IndexInfo& index, const Paths& paths, bool envelopes);

/// The paths that the original's accessors had, as the matchers of the indexes tell that they made.
/// Absent where there is no such index.
struct Accessors {
    std::optional<Path> type;
    std::optional<Path> tags;
};
[[nodiscard]] Accessors accessors_of(std::span<const nes::IndexInfo> indexes);

}  // namespace varve::bridge
