// Lays a definition out and runs it over documents.
//
// Any thread.
#include "match/program.hpp"

#include <algorithm>
#include <array>

#include "match/needle.hpp"

namespace varve::match {

namespace {

/// A string token that spells exactly `text`, or nothing if it cannot be spelt without a backslash.
std::string token_of(std::string_view text) {
    std::string token;
    append_json_string(text, token);
    return token.find('\\') == std::string::npos ? token : std::string();
}

bool equal_any(const Token& token, const std::vector<Scalar>& operands) noexcept {
    return std::ranges::any_of(operands,
                               [&](const Scalar& operand) { return equal(token, operand); });
}

/// Whether a scalar satisfies a condition.
bool satisfies(const Token& token, const Condition& condition) noexcept {
    const Scalar& operand = condition.operands.front();
    switch (condition.op) {
        case Operator::any_of: return equal_any(token, condition.operands);
        case Operator::ne: return !equal(token, operand);
        case Operator::gt: return std::is_gt(order(token, operand));
        case Operator::gte: return std::is_gteq(order(token, operand));
        case Operator::lt: return std::is_lt(order(token, operand));
        case Operator::lte: return std::is_lteq(order(token, operand));
        default: return false;  // only an array has something
    }
}

bool looks_into(Operator op) noexcept { return op == Operator::has || op == Operator::has_any; }

}  // namespace

/// One pass over one document.
class Program::Run {
public:
    Run(const Program& program, std::string_view json) noexcept
        : program_(program), scanner_(json), size_(json.size()) {}

    [[nodiscard]] bool whole(std::uint32_t node) noexcept {
        bool held = false;
        if (!value(program_.nodes_[node], scanner_.peek(), 0, held)) return false;
        return held && scanner_.peek() == '\0' && scanner_.offset() == size_;
    }

private:
    // The functions below answer whether the text is JSON, and in `held` whether it satisfies.
    // Recursion goes as deep as the definition.
    [[nodiscard]] bool value(const Node& node, char first, std::uint32_t level,
                             bool& held) noexcept {
        if (node.nodes != 0) {
            if (first == '{') return object(node, level, held);
            held = false;
            return scanner_.skip(first, level);
        }
        if (first == '[') return array(node, level, held);
        const std::span conditions(&program_.conditions_[node.first_condition], node.conditions);
        Token token;
        if (first == '{') {
            held = std::ranges::all_of(conditions, [](const Condition& condition) {
                return condition.op == Operator::ne;
            });
            return scanner_.skip(first, level);
        }
        if (!scanner_.scalar(first, token)) return false;
        held = std::ranges::all_of(
            conditions, [&](const Condition& condition) { return satisfies(token, condition); });
        return true;
    }

    [[nodiscard]] bool object(const Node& node, std::uint32_t level, bool& held) noexcept {
        bool* const fields = &held_[node.first_node];
        std::fill_n(fields, node.nodes, false);
        held = false;
        JsonScanner scanner = scanner_;  // in registers, but for fields that are looked into
        scanner.advance();
        bool more = scanner.peek() != '}';
        if (!more) scanner.advance();
        while (more) {
            Token key;
            if (!scanner.key(key)) return false;
            const char first = scanner.peek();
            const std::uint32_t field = find(node, key);
            if (field == node.nodes) {
                if (!scanner.skip(first, level + 1)) return false;
            } else {
                scanner_ = scanner;
                if (!value(program_.nodes_[node.first_node + field], first, level + 1,
                           fields[field]))
                    return false;
                scanner = scanner_;
            }
            if (!scanner.next('}', more)) return false;
        }
        scanner_ = scanner;
        held = std::all_of(fields, fields + node.nodes, [](bool one) { return one; });
        return true;
    }

    [[nodiscard]] bool array(const Node& node, std::uint32_t level, bool& held) noexcept {
        const std::span conditions(&program_.conditions_[node.first_condition], node.conditions);
        held = std::ranges::all_of(conditions, [](const Condition& condition) {
            return condition.op == Operator::ne || looks_into(condition.op);
        });
        if (!held || !std::ranges::any_of(conditions, looks_into, &Condition::op))
            return scanner_.skip('[', level);
        unsigned found = 0;  // a bit per condition; there is one per operator at most
        scanner_.advance();
        if (scanner_.peek() == ']') {
            scanner_.advance();
            held = false;
            return true;
        }
        for (bool more = true; more;) {
            if (!element(conditions, level + 1, found) || !scanner_.next(']', more)) return false;
        }
        for (std::size_t n = 0; n < conditions.size(); ++n)
            held = held && (!looks_into(conditions[n].op) || (found >> n & 1U) != 0);
        return true;
    }

    [[nodiscard]] bool element(std::span<const Condition> conditions, std::uint32_t level,
                               unsigned& found) noexcept {
        const char first = scanner_.peek();
        if (first == '{' || first == '[') return scanner_.skip(first, level);
        Token token;
        if (!scanner_.scalar(first, token)) return false;
        for (std::size_t n = 0; n < conditions.size(); ++n) {
            if (looks_into(conditions[n].op) && equal_any(token, conditions[n].operands))
                found |= 1U << n;
        }
        return true;
    }

    /// Which field of `node` has this key; as many as it has if none.
    [[nodiscard]] std::uint32_t find(const Node& node, const Token& key) const noexcept {
        const std::span fields(&program_.nodes_[node.first_node], node.nodes);
        if (fields.size() <= 8) {
            std::uint32_t n = 0;
            while (n < fields.size() && !equal(key, std::string_view(fields[n].key))) ++n;
            return n;
        }
        const auto at = std::partition_point(fields.begin(), fields.end(), [&](const Node& field) {
            return std::is_gt(compare(key, field.key));
        });
        const bool found = at != fields.end() && equal(key, std::string_view(at->key));
        return found ? static_cast<std::uint32_t>(at - fields.begin()) : node.nodes;
    }

    const Program& program_;
    JsonScanner scanner_;
    std::size_t size_;
    // Whether the fields of the objects that are open are satisfied; set where an object begins.
    std::array<bool, kMaxConditions + 1> held_;
};

Program::Program(const Field& definition) : text_(to_json(definition)) {
    for (const Field& field : definition.fields) {
        Part& part = field.key == "data" ? data_ : metadata_;
        part.asked = true;
        part.node = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back({field.key});
        std::vector<std::string> path{field.key};
        add(field, part.node, path, part);
    }
}

void Program::add(const Field& field, std::uint32_t node, std::vector<std::string>& path,
                  Part& part) {
    nodes_[node].first_node = static_cast<std::uint32_t>(nodes_.size());
    nodes_[node].nodes = static_cast<std::uint32_t>(field.fields.size());
    for (const Field& inner : field.fields) nodes_.push_back({inner.key});
    for (std::uint32_t n = 0; n < field.fields.size(); ++n) {
        path.push_back(field.fields[n].key);
        add(field.fields[n], nodes_[node].first_node + n, path, part);
        path.pop_back();
    }
    nodes_[node].first_condition = static_cast<std::uint32_t>(conditions_.size());
    nodes_[node].conditions = static_cast<std::uint32_t>(field.conditions.size());
    conditions_.insert(conditions_.end(), field.conditions.begin(), field.conditions.end());
    for (const Condition& condition : field.conditions) add_condition(condition, path, part);
}

void Program::add_condition(const Condition& condition, const std::vector<std::string>& path,
                            Part& part) {
    const bool equality = condition.op == Operator::any_of || looks_into(condition.op);
    if (equality) discriminators_.push_back({path, looks_into(condition.op), condition.operands});
    const Scalar& operand = condition.operands.front();
    // The longer a piece is, the faster it is looked for and the rarer it is; most documents share
    // their keys, so that a value is better than any key.
    const bool value = equality && condition.operands.size() == 1 && operand.kind == Kind::string;
    const std::string piece = token_of(value ? operand.text : path.back());
    const bool better = value != part.value ? value : piece.size() > part.needle.size();
    if (piece.empty() || !better || (!value && path.size() == 1)) return;
    part.needle = piece;
    part.value = value;
}

bool Program::matches(const Part& part, std::string_view json) const noexcept {
    if (!part.asked) return true;
    Run run(*this, json);
    return run.whole(part.node);
}

bool Program::matches(std::string_view data, std::string_view metadata) const noexcept {
    for (const auto& [part, json] : {std::pair(&data_, data), std::pair(&metadata_, metadata)}) {
        // What is escaped may spell the piece in another way: then only reading it tells.
        if (part->asked && !contains(json, part->needle) && !contains_backslash(json)) return false;
    }
    return matches(data_, data) && matches(metadata_, metadata);
}

}  // namespace varve::match
