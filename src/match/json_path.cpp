// Paths as people write them, and one path's values.
//
// Any thread.
#include "match/json_path.hpp"

#include "match/definition.hpp"
#include "match/fields.hpp"

namespace varve::match {

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
    std::vector<Scalar> scalars;
    if (path.empty()) return scalars;
    Fields fields;
    static_cast<void>(fields.add(path));
    std::vector<Fields::Value> values;
    fields.read(json, values);
    scalars.reserve(values.size());
    for (const Fields::Value& value : values) scalars.push_back(to_scalar(value.token));
    return scalars;
}

std::string name_of(const Scalar& scalar) {
    return scalar.kind == Kind::string ? scalar.text : to_json(scalar);
}

}  // namespace varve::match
