// Walks down all paths at once with the scanner of the matchers. Recursion goes as deep as they do.
//
// Any thread.
#include "match/fields.hpp"

#include <algorithm>

#include "match/needle.hpp"

namespace varve::match {

class Fields::Walk {
public:
    Walk(const Fields& fields, std::string_view json, std::vector<Value>& to) noexcept
        : fields_(fields), scanner_(json), size_(json.size()), to_(to) {}

    [[nodiscard]] bool whole() {
        return value(0, scanner_.peek(), 0) && scanner_.peek() == '\0' &&
               scanner_.offset() == size_;
    }

private:
    // Each answers whether the text is JSON.
    [[nodiscard]] bool value(std::uint32_t node, char first, std::uint32_t level) {
        const Node& own = fields_.nodes_[node];
        if (!to_.empty()) fields_.forget(node, to_);  // whatever an earlier equal key had
        if (first == '{' && !own.inside.empty()) return object(own, level);
        if (own.field == kNone || first == '{') return scanner_.skip(first, level);
        return first == '[' ? array(own, level) : scalar(own, first, false);
    }

    [[nodiscard]] bool object(const Node& own, std::uint32_t level) {
        scanner_.advance();
        bool more = scanner_.peek() != '}';
        if (!more) scanner_.advance();
        while (more) {
            Token key;
            if (!scanner_.key(key)) return false;
            const char first = scanner_.peek();
            const auto inside = std::ranges::find_if(own.inside, [&](std::uint32_t node) {
                return equal(key, std::string_view(fields_.nodes_[node].key));
            });
            const bool json = inside != own.inside.end() ? value(*inside, first, level + 1)
                                                         : scanner_.skip(first, level + 1);
            if (!json || !scanner_.next('}', more)) return false;
        }
        return true;
    }

    [[nodiscard]] bool array(const Node& own, std::uint32_t level) {
        scanner_.advance();
        bool more = scanner_.peek() != ']';
        if (!more) scanner_.advance();
        while (more) {
            const char inner = scanner_.peek();
            const bool nested = inner == '{' || inner == '[';
            if (!(nested ? scanner_.skip(inner, level + 1) : scalar(own, inner, true)))
                return false;
            if (!scanner_.next(']', more)) return false;
        }
        return true;
    }

    [[nodiscard]] bool scalar(const Node& own, char first, bool element) {
        Value value{own.field, element, {}};
        if (!scanner_.scalar(first, value.token)) return false;
        to_.push_back(value);
        return true;
    }

    const Fields& fields_;
    JsonScanner scanner_;
    std::size_t size_;
    std::vector<Value>& to_;
};

std::uint32_t Fields::add(std::span<const std::string> path) {
    std::uint32_t at = 0;
    for (const std::string& key : path) {
        const auto& inside = nodes_[at].inside;
        const auto known = std::ranges::find_if(
            inside, [&](std::uint32_t node) { return nodes_[node].key == key; });
        if (known != inside.end()) {
            at = *known;
            continue;
        }
        const auto fresh = static_cast<std::uint32_t>(nodes_.size());
        nodes_[at].inside.push_back(fresh);
        nodes_.push_back({key, kNone, {}});
        at = fresh;
    }
    if (nodes_[at].field != kNone) return nodes_[at].field;
    std::string needle;
    append_json_string(path.back(), needle);
    if (needle.find('\\') != std::string::npos) needle.clear();
    nodes_[at].field = static_cast<std::uint32_t>(needles_.size());
    needles_.push_back(std::move(needle));
    return nodes_[at].field;
}

/// Drops the values of a node and of those inside.
void Fields::forget(std::uint32_t node, std::vector<Value>& values) const {
    const Node& own = nodes_[node];
    if (own.field != kNone)
        std::erase_if(values, [&](const Value& value) { return value.field == own.field; });
    for (const std::uint32_t inner : own.inside) forget(inner, values);
}

bool Fields::may_have_any(std::string_view json) const noexcept {
    const bool spelt = std::ranges::any_of(
        needles_, [&](const std::string& needle) { return contains(json, needle); });
    return spelt || contains_backslash(json);
}

void Fields::read(std::string_view json, std::vector<Value>& to) const {
    to.clear();
    if (empty() || !may_have_any(json)) return;
    if (!Walk(*this, json, to).whole()) to.clear();
}

}  // namespace varve::match
