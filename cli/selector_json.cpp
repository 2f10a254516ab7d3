#include "selector_json.hpp"

#include <simdjson.h>

#include <vector>

namespace varve::cli {

namespace {

namespace dom = simdjson::dom;

[[noreturn]] void refuse(const std::string& where, const std::string& why) {
    throw BadJson(where.empty() ? why : where + ": " + why);
}

std::string inside(const std::string& where, std::string_view key) {
    return where.empty() ? std::string(key) : where + "." + std::string(key);
}

std::string inside(const std::string& where, std::size_t number) {
    return where + "[" + std::to_string(number) + "]";
}

/// The selector, unless it cannot be.
Selector checked(Selector selector, const std::string& where) {
    if (selector.error() != nullptr) refuse(where, selector.error());
    return selector;
}

std::string_view name(dom::element json, const std::string& where) {
    std::string_view text;
    if (json.get_string().get(text) != simdjson::SUCCESS) refuse(where, "is not a string");
    if (text.empty()) refuse(where, "is an empty name");
    return text;
}

dom::array array(dom::element json, const std::string& where) {
    dom::array elements;
    if (json.get_array().get(elements) != simdjson::SUCCESS) refuse(where, "is not an array");
    return elements;
}

std::vector<std::string_view> names(dom::element json, const std::string& where) {
    std::vector<std::string_view> all;
    for (const dom::element element : array(json, where))
        all.push_back(name(element, inside(where, all.size())));
    return all;
}

QueryItem item(dom::object fields, const std::string& where) {
    QueryItem made;
    for (const auto [key, value] : fields) {
        const std::string place = inside(where, key);
        std::vector<std::string_view>* const into = key == "types"  ? &made.types
                                                    : key == "tags" ? &made.tags
                                                                    : nullptr;
        if (into == nullptr) refuse(place, "is not a field of an item: those are types and tags");
        if (!into->empty()) refuse(place, "is there twice");
        *into = names(value, place);
    }
    if (made.types.empty() && made.tags.empty())
        refuse(where, "has neither types nor tags; every event is the selector true");
    return made;
}

Selector query(dom::array elements, const std::string& where) {
    std::vector<QueryItem> items;
    for (const dom::element element : elements) {
        const std::string place = inside(where, items.size());
        dom::object fields;
        if (element.get_object().get(fields) != simdjson::SUCCESS)
            refuse(place, R"(is not an item such as {"types":["A"],"tags":["t"]})");
        items.push_back(item(fields, place));
    }
    if (items.empty()) refuse(where, "has no items; every event is the selector true");
    return checked(Query(std::move(items)), where);
}

Selector selector(dom::element json, const std::string& where);

std::vector<Selector> selectors(dom::element json, const std::string& where) {
    std::vector<Selector> all;
    for (const dom::element element : array(json, where))
        all.push_back(selector(element, inside(where, all.size())));
    if (all.empty())
        refuse(where, "is empty; every event is the selector true, none is the selector false");
    return all;
}

Selector of_field(std::string_view key, dom::element value, const std::string& where) {
    if (key == "stream") return Selector::stream(name(value, where));
    if (key == "category") return Selector::category(name(value, where));
    if (key == "type") return Selector::type(name(value, where));
    if (key == "tag") return Selector::tag(name(value, where));
    if (key == "derived") return Selector::derived(name(value, where));
    if (key == "any") return Selector::any_of(selectors(value, where));
    if (key == "all") return Selector::all_of(selectors(value, where));
    if (key == "not") return Selector::none_of(selector(value, where));
    refuse(
        where,
        "is not a field of a selector: those are stream, category, type, tag, derived, any, all, "
        "not, and types and tags");
}

/// The depth is bounded by that of the parser.
Selector selector(dom::element json, const std::string& where) {
    bool everything = false;
    if (json.get_bool().get(everything) == simdjson::SUCCESS)
        return everything ? Selector::all() : Selector::nothing();
    dom::object fields;
    if (json.get_object().get(fields) != simdjson::SUCCESS)
        refuse(where, R"(is not a selector such as {"type":"A"}, true or false)");
    if (fields.size() == 0) refuse(where, "is empty; every event is the selector true");
    const std::string_view first = (*fields.begin()).key;
    if (first == "types" || first == "tags")
        return checked(Query(std::vector{item(fields, where)}), where);
    if (fields.size() != 1)
        refuse(where, R"(has several fields; say {"all":[...]} or {"any":[...]} of them)");
    const std::string place = inside(where, first);
    return checked(of_field(first, (*fields.begin()).value, place), place);
}

enum class Form { items, selector, either };

Selector read(std::string_view json, Form form) {
    dom::parser parser;
    dom::element root;
    const simdjson::error_code wrong = parser.parse(json.data(), json.size()).get(root);
    if (wrong != simdjson::SUCCESS)
        refuse("", std::string("it is not JSON: ") + simdjson::error_message(wrong));
    const bool is_array = root.is_array();
    if (form == Form::selector && is_array)
        refuse("", "it is an array: those are the items of a query, not a selector");
    if (form == Form::items && !is_array)
        refuse("", R"(it is not an array of items such as [{"types":["A"],"tags":["t"]}])");
    return is_array ? query(array(root, ""), "") : selector(root, "");
}

}  // namespace

Selector items_of(std::string_view json) { return read(json, Form::items); }
Selector selector_of(std::string_view json) { return read(json, Form::selector); }
Selector question_of(std::string_view json) { return read(json, Form::either); }

Matcher compile_matcher(std::string_view json) {
    auto matcher = Matcher::compile(json);
    if (!matcher) throw BadJson(matcher.error().message);
    return *matcher;
}

std::optional<Matcher> matcher_of(std::string_view json) {
    if (json.empty()) return std::nullopt;
    return compile_matcher(json);
}

}  // namespace varve::cli
