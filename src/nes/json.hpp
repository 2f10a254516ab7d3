// Finds the fields of a JSON object in its text, so that what another program wrote can be passed
// on byte for byte.
//
// Any thread. Invariants: nothing outside the text is read; nothing is allocated; nesting is
// bounded. Escapes in keys are not resolved: the keys looked for have none.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve {
inline namespace v0 {
namespace nes {

/// True if the text is one whole JSON object.
[[nodiscard]] bool is_json_object(std::string_view text) noexcept;

/// The text of the value of field `key` of the object, without blanks around it. Of a key that
/// comes twice, the last one counts. Nothing if it is not there or the text is no JSON object.
[[nodiscard]] std::optional<std::string_view> json_field(std::string_view object,
                                                         std::string_view key) noexcept;

/// A field that is looked for, and the text of its value.
struct JsonField {
    std::string_view key;
    std::optional<std::string_view> value;
};

/// The same for several fields at once, in one go over the text. Answers how many fields the object
/// has, those that come twice counted twice; nothing if the text is not one whole JSON object.
[[nodiscard]] std::optional<std::size_t> json_fields(std::string_view object,
                                                     std::span<JsonField> wanted) noexcept;

/// All fields of the object, keys as they are spelt. Nothing if the text is not one whole object.
[[nodiscard]] std::optional<std::vector<JsonField>> json_members(std::string_view object);
/// The same into a vector that is used again. False if the text is not one whole object.
[[nodiscard]] bool json_members(std::string_view object, std::vector<JsonField>& into);
/// The texts of the elements of an array. Nothing if the text is not one whole array.
[[nodiscard]] std::optional<std::vector<std::string_view>> json_elements(std::string_view array);
[[nodiscard]] bool json_elements(std::string_view array, std::vector<std::string_view>& into);

/// The string that a JSON text denotes, as UTF-8. Nothing if it is no string. A surrogate without
/// its other half becomes U+FFFD.
[[nodiscard]] std::optional<std::string> json_string(std::string_view value);

/// The number that a JSON text denotes. Nothing if it is no number.
[[nodiscard]] std::optional<double> json_number(std::string_view value) noexcept;

/// The text as a JSON string, quotes included, spelt as JSON.stringify spells it.
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace nes
}  // namespace v0
}  // namespace varve
