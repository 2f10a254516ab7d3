// The scalars that stand at a path in a JSON text: what an event is indexed by.
//
// Any thread; free functions. Invariants: time proportional to the text, memory to the answer.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "match/scalar.hpp"

namespace varve::match {

/// Splits `address.city` at its points. Empty if there is an empty part or more than 64 of them.
[[nodiscard]] std::vector<std::string> split_path(std::string_view path);

/// The scalar at `path`, or the scalars of the array there, in their order; nothing if the path is
/// empty, if there is an object or nothing, or if the text is not JSON. Of a key that comes twice
/// the last one counts.
[[nodiscard]] std::vector<Scalar> values_at(std::string_view json,
                                            std::span<const std::string> path);

/// How a scalar is called in a name: a string is itself, everything else its canonical JSON.
[[nodiscard]] std::string name_of(const Scalar& scalar);

}  // namespace varve::match
