// The control record that defines: a derived stream, or names that events get from their content;
// or ends such a definition.
//
// docs/format/definitions.md says the same in words; a test compares the two. Pure functions over
// bytes, any thread. Invariant: what `decode_define` accepts has texts within their limits.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "log/erase.hpp"

namespace varve::log {

enum class DefineAction : std::uint32_t {
    define = 1,
    close = 2,   ///< events behind the record are not looked at any more
    remove = 3,  ///< the definition is gone
};

/// What the definition gives.
enum class Defines : std::uint32_t {
    stream = 1,  ///< a derived stream
    tags = 2,    ///< tags made of a field's values
    type = 3,    ///< the type, of a field's value
};

/// The beginning of the record's data; the texts follow, one behind the other in this order.
struct DefineHeader {
    std::uint32_t control = 0;  ///< ControlKind
    std::uint32_t version = 1;
    std::uint32_t action = 0;   ///< DefineAction
    std::uint32_t defines = 0;  ///< Defines; of `define`
    std::uint64_t number = 0;   ///< of the definition that is ended: the revision of its record
    std::uint32_t name_length = 0;
    std::uint32_t selector_length = 0;  ///< in normal form, see index/selector_code.hpp
    std::uint32_t matcher_length = 0;   ///< in its canonical form; 0: none
    std::uint32_t field_length = 0;
    std::uint32_t prefix_length = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(DefineHeader) == 48);

// clang-format off
inline constexpr Field kDefineHeaderFields[] = {
    VARVE_FIELD(DefineHeader, control), VARVE_FIELD(DefineHeader, version),
    VARVE_FIELD(DefineHeader, action), VARVE_FIELD(DefineHeader, defines),
    VARVE_FIELD(DefineHeader, number),
    VARVE_FIELD(DefineHeader, name_length), VARVE_FIELD(DefineHeader, selector_length),
    VARVE_FIELD(DefineHeader, matcher_length), VARVE_FIELD(DefineHeader, field_length),
    VARVE_FIELD(DefineHeader, prefix_length), VARVE_FIELD(DefineHeader, reserved)};
// clang-format on

/// The stream of all such records: their revisions are the numbers of the definitions.
inline constexpr std::string_view kDefineStream = "$defined";
inline constexpr std::string_view kDefineType = "$define";

/// One record's content. Views are the record's, or the caller's.
struct Define {
    DefineAction action = DefineAction::define;
    Defines defines = Defines::stream;
    std::uint64_t number = 0;
    std::string_view name{};
    std::string_view selector{};
    std::string_view matcher{};
    std::string_view field{};
    std::string_view prefix{};
};

[[nodiscard]] std::vector<std::byte> encode_define(const Define& define);

/// Reads a record whose checksums hold. Nothing if it is none, or none that this version
/// understands, or contradicts itself.
[[nodiscard]] std::optional<Define> decode_define(const RecordView& record) noexcept;

}  // namespace varve::log
