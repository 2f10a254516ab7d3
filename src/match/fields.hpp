// Several fields of a JSON text, found in one pass: what events are sorted and named by.
//
// Any thread once all fields are added. Invariants: one pass over the text, memory in proportion to
// the answer; of a key that comes twice the last value counts; a text that is not wholly JSON has
// no values. Many texts have none of the fields: where none of their keys can be spelt in it, the
// text is not read.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "match/scalar.hpp"

namespace varve::match {

class Fields {
public:
    struct Value {
        std::uint32_t field = 0;  ///< what `add` answered
        bool element = false;     ///< one of an array's that stands there
        Token token{};            ///< points into the text
    };

    /// Adds the field at `path`, which is not empty, unless it is there. Its number counts from 0
    /// in the order of adding.
    std::uint32_t add(std::span<const std::string> path);
    [[nodiscard]] bool empty() const noexcept { return needles_.empty(); }

    /// Replaces `to` by the scalars at the fields and in the arrays that stand there.
    void read(std::string_view json, std::vector<Value>& to) const;

private:
    static constexpr std::uint32_t kNone = ~0U;
    struct Node {
        std::string key;
        std::uint32_t field = kNone;
        std::vector<std::uint32_t> inside;  ///< numbers of nodes
    };
    class Walk;

    void forget(std::uint32_t node, std::vector<Value>& values) const;
    [[nodiscard]] bool may_have_any(std::string_view json) const noexcept;

    std::vector<Node> nodes_{1};        ///< the first one is the whole text
    std::vector<std::string> needles_;  ///< of each field; empty: it can be anywhere
};

}  // namespace varve::match
