// A matcher as it runs: fields in one flat array, conditions and operands in others, and the pieces
// of text without which no document can match.
//
// Any thread: immutable after it was made. Invariants: fields inside a field stand side by side and
// are sorted by key; a run allocates nothing, needs one pass over the text and reads all of it,
// because a document matches only if the whole of it is JSON and because of a key that comes twice
// the last value counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "match/definition.hpp"

namespace varve::match {

/// A field that every match has with one of these values: what events can be sorted by first.
struct Discriminator {
    std::vector<std::string> path;  ///< begins with `data` or `metadata`
    bool element = false;           ///< the field is an array that has one of the values
    std::vector<Scalar> values;
};

class Program {
public:
    explicit Program(const Field& definition);

    [[nodiscard]] bool matches(std::string_view data, std::string_view metadata) const noexcept;
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// All there are, in the order of the canonical text; may be empty.
    [[nodiscard]] const std::vector<Discriminator>& discriminators() const noexcept {
        return discriminators_;
    }
    /// True if it demands nothing but that the only discriminator's field is there with one of its
    /// values.
    [[nodiscard]] bool is_one_field() const noexcept {
        return conditions_.size() == 1 && discriminators_.size() == 1;
    }

private:
    class Run;

    /// Conditions, or fields, `count` of them from `first`.
    struct Node {
        std::string key;
        std::uint32_t first_node = 0, nodes = 0;
        std::uint32_t first_condition = 0, conditions = 0;
    };

    /// `data` or `metadata`: the node, and a piece of text that must be in it unless something
    /// there is escaped. An empty piece is in everything.
    struct Part {
        bool asked = false;
        bool value = false;  ///< the piece is a value, not a key
        std::uint32_t node = 0;
        std::string needle;
    };

    void add(const Field& field, std::uint32_t node, std::vector<std::string>& path, Part& part);
    void add_condition(const Condition& condition, const std::vector<std::string>& path,
                       Part& part);
    [[nodiscard]] bool matches(const Part& part, std::string_view json) const noexcept;

    std::string text_;
    std::vector<Node> nodes_;
    std::vector<Condition> conditions_;
    std::vector<Discriminator> discriminators_;
    Part data_, metadata_;
};

}  // namespace varve::match
