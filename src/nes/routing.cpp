// Most indexes take the documents of one stream, or of one type or tag: those are found by the
// string that they want, the others tried. One thread.
#include "nes/routing.hpp"

#include <algorithm>

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr std::size_t kMostDeep = 64;  // as matchers allow

/// The stream, if the matcher asks for one and nothing else.
std::optional<std::string> only_stream(std::string_view matcher) {
    const auto field = json_field(matcher, "stream");
    if (!field) return std::nullopt;
    if (matcher != "{\"stream\":" + std::string(*field) + "}") return std::nullopt;
    return json_string(*field);
}

/// Documents can spell such a key in one way only, but for escapes by number.
bool is_plain(std::string_view key) { return key.find_first_of("\\/") == std::string_view::npos; }

/// Where a matcher demands a string, and which ones satisfy it.
struct Demand {
    std::vector<std::string> path;
    std::vector<std::string> strings;
};

/// The strings of which a value must be or have one. Nothing if there is another way to satisfy
/// `value`, which is no object of fields.
std::vector<std::string> strings_of(std::string_view value) {
    std::vector<std::string_view> elements;
    if (!json_elements(value, elements)) elements = {value};
    std::vector<std::string> strings;
    for (const std::string_view element : elements) {
        auto text = json_string(element);
        if (!text) return {};
        strings.push_back(std::move(*text));
    }
    return strings;
}

/// Looks for a demand in the canonical text of a matcher, in which no key comes twice.
bool find_demand(std::string_view matcher, Demand& into) {
    std::vector<JsonField> fields;
    if (!json_members(matcher, fields) || into.path.size() > kMostDeep) return false;
    for (const JsonField& field : fields) {
        const bool has = field.key == "$has" || field.key == "$hasAny";
        if (!has && (field.key.starts_with('$') || !is_plain(field.key))) continue;
        if (!has) into.path.emplace_back(field.key);
        into.strings = strings_of(*field.value);
        if (!into.strings.empty() || (!has && find_demand(*field.value, into))) return true;
        if (!has) into.path.pop_back();
    }
    return false;
}

}  // namespace

Result<void> Routing::add(std::size_t index, std::string_view matcher) noexcept {
    if (matcher == "{}") {
        everything_.push_back(index);
        return {};
    }
    if (auto stream = only_stream(matcher)) {
        streams_[*stream].push_back(index);
        return {};
    }
    auto compiled = Matcher::compile("{\"data\":" + std::string(matcher) + "}");
    if (!compiled) return std::move(compiled).error();
    tried_.push_back({std::move(*compiled), index});
    place(tried_.size() - 1, tried_.back().matcher.text());
    return {};
}

void Routing::place(std::size_t tried, std::string_view matcher) {
    Demand demand;
    const auto data = json_field(matcher, "data");
    if (!data || !find_demand(*data, demand) || demand.path.empty()) {
        unplaced_.push_back(tried);
        return;
    }
    auto found = std::find_if(places_.begin(), places_.end(),
                              [&](const Place& one) { return one.path == demand.path; });
    if (found == places_.end()) found = places_.insert(found, Place{std::move(demand.path), {}});
    for (const std::string& string : demand.strings) found->wanted[string].push_back(tried);
}

void Routing::ask(std::size_t tried, std::string_view document,
                  std::vector<std::size_t>& into) const {
    if (tried_[tried].matcher.matches(document, {})) into.push_back(tried_[tried].index);
}

void Routing::ask_wanted(const Place& place, std::string_view value, std::string_view document,
                         std::vector<std::size_t>& into) {
    if (!json_elements(value, elements_)) elements_ = {value};
    for (const std::string_view element : elements_) {
        const auto string = json_string(element);
        const auto found = string ? place.wanted.find(*string) : place.wanted.end();
        if (found == place.wanted.end()) continue;
        for (const std::size_t tried : found->second) ask(tried, document, into);
    }
}

/// Keys are compared as they are spelt, so a document whose keys may be escaped is shown to all; so
/// is one that only a matcher can read, since it goes deeper.
void Routing::route(std::string_view document, std::vector<std::size_t>& into) {
    into = everything_;
    if (streams_.empty() && tried_.empty()) return;
    const bool whole = json_members(document, fields_);
    const auto value_of = [&](std::string_view key) {
        std::optional<std::string_view> found;
        for (const JsonField& field : fields_)
            if (field.key == key) found = field.value;
        return whole ? found : std::nullopt;
    };
    if (!streams_.empty()) {
        const auto field = value_of("stream");
        const auto stream = field ? json_string(*field) : std::nullopt;
        const auto found = stream ? streams_.find(*stream) : streams_.end();
        if (found != streams_.end())
            into.insert(into.end(), found->second.begin(), found->second.end());
    }
    if (!whole || document.find("\\u") != std::string_view::npos) {
        for (std::size_t tried = 0; tried < tried_.size(); ++tried) ask(tried, document, into);
    } else {
        for (const std::size_t tried : unplaced_) ask(tried, document, into);
        for (const Place& place : places_) {
            auto value = value_of(place.path.front());
            for (std::size_t n = 1; value && n < place.path.size(); ++n)
                value = json_field(*value, place.path[n]);
            if (value) ask_wanted(place, *value, document, into);
        }
    }
    std::sort(into.begin(), into.end());
    into.erase(std::unique(into.begin(), into.end()), into.end());
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
