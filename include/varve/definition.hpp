// Definitions: what a store does by itself with the events it takes - derived streams, and names
// that events get from the JSON they carry.
//
// Thread rule: plain values. Definitions are facts in the log: they travel with it, take a position
// of their own, and say the same in every process.
// Source of the idea: the streams of node-event-storage that are defined by a matcher, and its
// accessors of types and tags, which are given with every opening there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "varve/matcher.hpp"
#include "varve/selector.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

enum class DefinitionKind : std::uint8_t {
    stream,  ///< a derived stream: the events of a selector that satisfy a matcher
    tags,    ///< each value of a field is a tag of its event
    type,    ///< the value of a field is the type of an event that has none
};

/// What to define. Views are borrowed for the duration of the call only.
///
/// A definition counts for the events that are there and for those that come. Events that come are
/// looked at as they are appended, and carry in the log what they were found to be. Those that are
/// there remain as they are: they are found by the new name, but an event that is read does not
/// show a type or tag that it was not appended with.
struct NewDefinition {
    DefinitionKind kind = DefinitionKind::stream;
    std::string_view name{};  ///< of the definition: as names of streams, at most 1,024 bytes
    Selector events = Selector::all();  ///< which events are looked at; not of derived streams
    std::optional<Matcher> matcher{};   ///< of a stream: only events that satisfy it
    std::string_view field{};   ///< of tags and types: `data.customer.id` or `metadata.user`
    std::string_view prefix{};  ///< of tags: `customer/` makes `customer/7` of 7

    [[nodiscard]] static NewDefinition stream(std::string_view name, Selector events,
                                              std::optional<Matcher> matcher = {}) {
        return {DefinitionKind::stream, name, std::move(events), std::move(matcher), {}, {}};
    }
    /// A string is a tag as it is, a number or truth value in its shortest spelling; of an array,
    /// each element. What cannot be a tag (null, an object, more than 1,024 bytes, control
    /// characters) gives none.
    [[nodiscard]] static NewDefinition tags(std::string_view name, std::string_view field,
                                            std::string_view prefix) {
        return {DefinitionKind::tags, name, Selector::all(), {}, field, prefix};
    }
    [[nodiscard]] static NewDefinition type(std::string_view name, std::string_view field) {
        return {DefinitionKind::type, name, Selector::all(), {}, field, {}};
    }
};

/// What defining did.
struct Defined {
    std::uint64_t number = 0;  ///< of the definition, for ever
    Position position{};       ///< where it stands in the log
    bool existed = false;      ///< it was there already, with the same meaning
};

/// One definition as a snapshot has it.
struct Definition {
    DefinitionKind kind = DefinitionKind::stream;
    std::string name;
    std::uint64_t number = 0;
    Selector events;
    std::string matcher;  ///< canonical text; empty: none
    std::string field;
    std::string prefix;
    Position defined{};  ///< where it stands in the log
    Position closed{};   ///< events behind it are not looked at; 0: it is not closed
    /// Up to where events from before the definition have been looked at and listed. Answers are
    /// complete all the same: what is not listed yet is looked at again by every question.
    Position listed{};
    bool complete = false;  ///< all of them have
};

}  // namespace v0
}  // namespace varve
