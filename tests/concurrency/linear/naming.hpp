// The texts that the rig gives to a store for its numbers, and back.
//
// Pure functions; a Named by one thread. Invariant: what `Named` answers lives as long as it does.
#pragma once

#include <array>
#include <string>

#include "concurrency/linear/defined.hpp"
#include "varve/varve.hpp"

namespace varve::test::linear {

inline constexpr const char* kStreamPrefix = "stream-";
inline constexpr const char* kTypePrefix = "type/";
inline constexpr const char* kTagPrefix = "tag/";  ///< definitions make such ones too
inline constexpr const char* kOwnTagPrefix = "own/";
inline constexpr Name kOwnTags = 100;  ///< from here on
inline constexpr const char* kDefinitionPrefix = "def/";

[[nodiscard]] std::string name_of(const char* prefix, Name number);
/// kNone if it is not such a name.
[[nodiscard]] Name number_of(const char* prefix, std::string_view name);
[[nodiscard]] constexpr const char* tag_prefix(Name tag) {
    return tag < kOwnTags ? kTagPrefix : kOwnTagPrefix;
}
[[nodiscard]] EventId id_of(std::uint64_t group, std::uint64_t index);
/// The data of event `index` of an append.
[[nodiscard]] std::string data_of(std::uint64_t group, std::uint64_t index, const Event& event);

/// What a call needs while it lasts: the names behind the views.
class Named {
public:
    std::string_view operator()(const char* prefix, Name number) {
        names_[used_] = name_of(prefix, number);
        return names_[used_++];
    }

private:
    std::array<std::string, 60> names_;
    std::size_t used_ = 0;
};

[[nodiscard]] Selector selector_of(const Choice& choice, Named& named);
/// Absent if it demands nothing.
[[nodiscard]] std::optional<Matcher> matcher_of(const Test& test);
[[nodiscard]] NewDefinition definition_of(Name name, Name meaning, Named& named);

/// Back from what a client has appended; index ~0 if it is not from a client.
[[nodiscard]] Logged read_back(const EventView& event);

}  // namespace varve::test::linear
