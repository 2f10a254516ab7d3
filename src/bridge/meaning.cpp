// Matchers of the original, read by their form. Any thread.
#include "bridge/meaning.hpp"

#include <vector>

#include "nes/json.hpp"

namespace varve::bridge {

using nes::IndexInfo;
using nes::JsonField;

namespace {

constexpr std::string_view kStreamPrefix = "stream-";
constexpr std::string_view kTagPrefix = "tags/";

std::string stream_name(const IndexInfo& index, bool envelopes) {
    const bool prefixed = envelopes && index.name.starts_with(kStreamPrefix);
    return prefixed ? index.name.substr(kStreamPrefix.size()) : index.name;
}

/// A matcher that demands one string, or an array that has it, at one path of the payload.
struct Demand {
    Path path;
    std::string value;
};

std::optional<Demand> only_demand(std::string_view matcher) {
    const auto top = nes::json_members(matcher);
    if (!top || top->size() != 1 || top->front().key != "payload") return std::nullopt;
    Demand demand;
    std::string_view value = *top->front().value;
    while (true) {
        if (auto text = nes::json_string(value)) {
            demand.value = std::move(*text);
            return demand.path.empty() ? std::nullopt : std::optional(std::move(demand));
        }
        const auto members = nes::json_members(value);
        if (!members || members->size() != 1) return std::nullopt;
        value = *members->front().value;
        if (members->front().key != "$has") demand.path.emplace_back(members->front().key);
    }
}

bool is_type(const std::string& stream, const Demand& demand) { return stream == demand.value; }
bool is_tag(const std::string& stream, const Demand& demand) {
    return stream == std::string(kTagPrefix) + demand.value;
}

Meaning refused(Meaning meaning, std::string why) {
    meaning.means = Means::nothing;
    meaning.why = std::move(why);
    return meaning;
}

/// The streams that a demand allows: a name, or a list of names. Nothing if it is another one.
std::optional<std::vector<Selector>> streams_of(std::string_view demand) {
    std::vector<Selector> streams;
    if (const auto one = nes::json_string(demand)) {
        streams.push_back(Selector::stream(*one));
        return streams;
    }
    const auto elements = nes::json_elements(demand);
    if (!elements || elements->empty()) return std::nullopt;
    for (const std::string_view element : *elements) {
        const auto name = nes::json_string(element);
        if (!name) return std::nullopt;
        streams.push_back(Selector::stream(*name));
    }
    return streams;
}

/// Compiles what is demanded of the content: the fields of a definition.
Meaning with_matcher(Meaning meaning, const std::string& fields) {
    std::string definition(1, '{');
    definition.append(fields).append(1, '}');
    auto compiled = Matcher::compile(definition);
    if (!compiled)
        return refused(std::move(meaning), "its matcher has no equal: " + compiled.error().message);
    meaning.matcher.emplace(std::move(*compiled));
    return meaning;
}

Meaning of_envelopes(Meaning meaning, std::string_view matcher) {
    JsonField wanted[] = {{"stream", {}}, {"payload", {}}, {"metadata", {}}};
    const auto fields = nes::json_fields(matcher, wanted);
    const auto& [stream, payload, metadata] = wanted;
    const std::size_t known = std::size_t{stream.value.has_value()} +
                              std::size_t{payload.value.has_value()} +
                              std::size_t{metadata.value.has_value()};
    if (!fields || *fields != known)
        return refused(std::move(meaning), "its matcher demands fields that events do not have: " +
                                               std::string(matcher));
    meaning.selector = Selector::all();
    if (stream.value) {
        const auto streams = streams_of(*stream.value);
        if (!streams)
            return refused(std::move(meaning),
                           "its matcher demands of the stream what only a "
                           "program can decide: " +
                               std::string(*stream.value));
        meaning.selector = Selector::any_of(*streams);
    }
    std::string definition;
    if (payload.value) definition.append("\"data\":").append(*payload.value);
    if (payload.value && metadata.value) definition.append(",");
    if (metadata.value) definition.append("\"metadata\":").append(*metadata.value);
    if (definition.empty()) return meaning;
    return with_matcher(std::move(meaning), definition);
}

}  // namespace

Meaning meaning_of(const IndexInfo& index, const Paths& paths, bool envelopes) {
    Meaning meaning;
    meaning.name = stream_name(index, envelopes);
    if (index.kind != nes::MatcherKind::object)
        return refused(std::move(meaning), index.kind == nes::MatcherKind::function
                                               ? "it is filled by a function: " + index.matcher
                                               : "what it takes is not recorded");
    meaning.means = Means::derived;
    if (!envelopes) {
        meaning.selector = Selector::all();
        if (index.matcher == "{}") return meaning;
        return with_matcher(std::move(meaning), std::string("\"data\":").append(index.matcher));
    }
    const auto top = nes::json_members(index.matcher);
    if (top && top->size() == 1 && top->front().key == "stream" &&
        nes::json_string(*top->front().value) == meaning.name) {
        meaning.means = Means::stream;
        meaning.selector = Selector::stream(meaning.name);
        return meaning;
    }
    if (const auto demand = only_demand(index.matcher)) {
        if (demand->path == paths.type && is_type(meaning.name, *demand)) {
            meaning.means = Means::type;
            meaning.selector = Selector::type(demand->value);
            return meaning;
        }
        if (demand->path == paths.tags && is_tag(meaning.name, *demand)) {
            meaning.means = Means::tag;
            meaning.selector = Selector::tag(demand->value);
            return meaning;
        }
    }
    return of_envelopes(std::move(meaning), index.matcher);
}

Accessors accessors_of(std::span<const IndexInfo> indexes) {
    Accessors found;
    for (const IndexInfo& index : indexes) {
        if (found.type && found.tags) break;
        if (index.kind != nes::MatcherKind::object) continue;
        auto demand = only_demand(index.matcher);
        if (!demand) continue;
        const std::string stream = stream_name(index, true);
        if (!found.type && is_type(stream, *demand)) found.type = demand->path;
        if (!found.tags && is_tag(stream, *demand)) found.tags = demand->path;
    }
    return found;
}

}  // namespace varve::bridge
