// Walks down a path with the scanner of the matchers. Recursion goes as deep as the path.
//
// Any thread.
#include "match/json_path.hpp"

#include <algorithm>

#include "match/definition.hpp"

namespace varve::match {

namespace {

class Walk {
public:
    explicit Walk(std::string_view json) : scanner_(json), size_(json.size()) {}

    [[nodiscard]] std::vector<Scalar> whole(std::span<const std::string> path) {
        const bool json = value(path, scanner_.peek(), 0) && scanner_.peek() == '\0' &&
                          scanner_.offset() == size_;
        if (!json) values_.clear();
        return std::move(values_);
    }

private:
    // Each answers whether the text is JSON.
    [[nodiscard]] bool value(std::span<const std::string> path, char first, std::uint32_t level) {
        values_.clear();  // whatever an earlier equal key had
        if (path.empty()) return leaf(first, level);
        if (first == '{') return object(path, level);
        return scanner_.skip(first, level);
    }

    [[nodiscard]] bool object(std::span<const std::string> path, std::uint32_t level) {
        scanner_.advance();
        if (scanner_.peek() == '}') {
            scanner_.advance();
            return true;
        }
        for (bool more = true; more;) {
            Token key;
            if (!scanner_.key(key)) return false;
            const char first = scanner_.peek();
            const bool json = equal(key, std::string_view(path.front()))
                                  ? value(path.subspan(1), first, level + 1)
                                  : scanner_.skip(first, level + 1);
            if (!json || !scanner_.next('}', more)) return false;
        }
        return true;
    }

    [[nodiscard]] bool leaf(char first, std::uint32_t level) {
        if (first == '{') return scanner_.skip(first, level);
        if (first != '[') return scalar(first);
        scanner_.advance();
        if (scanner_.peek() == ']') {
            scanner_.advance();
            return true;
        }
        for (bool more = true; more;) {
            const char inner = scanner_.peek();
            const bool nested = inner == '{' || inner == '[';
            if (!(nested ? scanner_.skip(inner, level + 1) : scalar(inner))) return false;
            if (!scanner_.next(']', more)) return false;
        }
        return true;
    }

    [[nodiscard]] bool scalar(char first) {
        Token token;
        if (!scanner_.scalar(first, token)) return false;
        values_.push_back(to_scalar(token));
        return true;
    }

    JsonScanner scanner_;
    std::size_t size_;
    std::vector<Scalar> values_;
};

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> parts;
    for (bool more = true; more;) {
        const std::size_t point = path.find('.');
        more = point != std::string_view::npos;
        parts.emplace_back(path.substr(0, point));
        if (more) path.remove_prefix(point + 1);
        if (parts.back().empty() || parts.size() > kMaxDefinitionDepth) return {};
    }
    return parts;
}

std::vector<Scalar> values_at(std::string_view json, std::span<const std::string> path) {
    return path.empty() ? std::vector<Scalar>() : Walk(json).whole(path);
}

std::string name_of(const Scalar& scalar) {
    return scalar.kind == Kind::string ? scalar.text : to_json(scalar);
}

}  // namespace varve::match
