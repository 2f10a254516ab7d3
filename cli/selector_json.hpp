// Queries, selectors and matchers as they are written on the command line, in JSON.
//
// Any thread, no state. Invariant: what is not understood is refused with its place, never ignored.
// The form is told in docs/queries.md.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <varve/matcher.hpp>
#include <varve/selector.hpp>

namespace varve::cli {

/// What is given says nothing that can be asked: wrong usage. `what()` tells where it is wrong and
/// why.
struct BadJson : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A query: `[{"types":["A","B"],"tags":["t"]}, …]`. Throws BadJson.
Selector items_of(std::string_view json);
/// A selector: `true`, `{"stream":"s"}`, `{"any":[…]}` and so on. Throws BadJson.
Selector selector_of(std::string_view json);
/// A query or a selector, whichever is written there. Throws BadJson.
Selector question_of(std::string_view json);

/// Throws BadJson.
Matcher compile_matcher(std::string_view json);
/// The same; nothing for an empty text.
std::optional<Matcher> matcher_of(std::string_view json);

}  // namespace varve::cli
