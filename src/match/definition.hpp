// Reads the definition of a matcher into a normalised tree and writes that tree as canonical JSON.
//
// Any thread: plain values. Invariants of a tree that was parsed: fields are sorted by key and have
// each key once, operands are sorted and different, there is no empty level, and the limits below
// hold. Two definitions that differ only in spelling or order give equal trees.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "match/scalar.hpp"
#include "varve/result.hpp"

namespace varve::match {

inline constexpr std::size_t kMaxDefinitionSize = 64 << 10;  ///< bytes; names of fields, not data
inline constexpr std::uint32_t kMaxDefinitionDepth = 64;     ///< one stack frame each when matching
inline constexpr std::uint32_t kMaxConditions = 1024;        ///< fields and values: state of a run
inline constexpr std::int64_t kMaxExponent = 1'000'000'000;  ///< every larger number is larger

enum class Operator : std::uint8_t { any_of, gt, gte, has, has_any, lt, lte, ne };

/// What a value must satisfy. One operand but for `any_of` and `has_any`.
struct Condition {
    Operator op = Operator::any_of;
    std::vector<Scalar> operands;
};

/// A field, with fields inside it or with conditions: never both, never neither.
struct Field {
    std::string key;
    std::vector<Field> fields;
    std::vector<Condition> conditions;
};

/// The fields `data` and `metadata` of a definition, as fields of a nameless one.
[[nodiscard]] Result<Field> parse_definition(std::string_view json);
[[nodiscard]] std::string to_json(const Field& field);

}  // namespace varve::match
