// A selector as JSON: the form that docs/queries.md tells and the command line reads.
//
// Any thread.
#pragma once

#include <string>

#include "varve/export.hpp"
#include "varve/selector.hpp"

namespace varve {
inline namespace v0 {

/// The selector in its normal form as one line of JSON:
/// `{"all":[{"type":"A"},{"not":{"tag":"t"}}]}`, `true` for all events, `false` for none and for a
/// selector that cannot be. Equal selectors give equal texts, and what reads the form makes the
/// same selector of it. Throws nothing but std::bad_alloc.
[[nodiscard]] VARVE_EXPORT std::string to_json(const Selector& selector);

}  // namespace v0
}  // namespace varve
