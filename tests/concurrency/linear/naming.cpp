#include "concurrency/linear/naming.hpp"

#include <charconv>
#include <cstring>
#include <vector>

namespace varve::test::linear {

namespace {

Selector selector_of(const Item& item, Named& named) {
    QueryItem names;
    for (const Name type : item.types) names.types.push_back(named(kTypePrefix, type));
    for (const Name tag : item.tags) names.tags.push_back(named(tag_prefix(tag), tag));
    const bool any = names.types.empty() && names.tags.empty();
    Selector events = any ? Selector::all() : Selector({names});
    if (item.derived != kNone)
        events = events & Selector::derived(named(kDefinitionPrefix, item.derived));
    return events;
}

Selector any_of(const Items& items, Named& named) {
    std::vector<Selector> each;
    for (const Item& item : items) each.push_back(selector_of(item, named));
    return Selector::any_of(each);
}

/// The number behind `key` in data that `data_of` has made; false if it is not there.
template <class Number>
bool find_number(std::string_view data, std::string_view key, Number& number) {
    const std::size_t at = data.find(key);
    if (at == std::string_view::npos) return false;
    const char* const begin = data.data() + at + key.size();
    return std::from_chars(begin, data.data() + data.size(), number).ec == std::errc{};
}

}  // namespace

std::string name_of(const char* prefix, Name number) { return prefix + std::to_string(number); }

Name number_of(const char* prefix, std::string_view name) {
    Name number = kNone;
    const std::size_t length = std::strlen(prefix);
    if (name.starts_with(prefix))
        std::from_chars(name.data() + length, name.data() + name.size(), number);
    return number;
}

EventId id_of(std::uint64_t group, std::uint64_t index) {
    EventId id;
    std::memcpy(id.bytes.data(), &group, sizeof group);
    std::memcpy(id.bytes.data() + sizeof group, &index, sizeof index);
    return id;
}

std::string data_of(std::uint64_t group, std::uint64_t index, const Event& event) {
    std::string data = R"({"group":)" + std::to_string(group) + R"(,"index":)" +
                       std::to_string(index) + R"(,"value":)" + std::to_string(event.value);
    if (event.label != kNone) data += R"(,"label":")" + std::to_string(event.label) + '"';
    if (event.kind != kNone) data += R"(,"kind":"type/)" + std::to_string(event.kind) + '"';
    return data + R"(,"pad":")" + std::string(group * 37 % 160, 'p') + "\"}";
}

Selector selector_of(const Choice& choice, Named& named) {
    Selector events = choice.any.empty() ? Selector::all() : any_of(choice.any, named);
    if (!choice.none.empty()) events = events & !any_of(choice.none, named);
    return events;
}

std::optional<Matcher> matcher_of(const Test& test) {
    if (!test.demands()) return {};
    const std::string number = std::to_string(test.number);
    auto matcher = Matcher::compile(test.what == Test::What::at_least
                                        ? R"({"data":{"value":{"$gte":)" + number + "}}}"
                                        : R"({"data":{"label":")" + number + "\"}}");
    return matcher ? std::optional<Matcher>(std::move(*matcher)) : std::nullopt;
}

NewDefinition definition_of(Name name, Name meaning, Named& named) {
    const std::string_view text = named(kDefinitionPrefix, name);
    const Meaning& means = meanings()[meaning];
    switch (means.kind) {
        case DefinitionKind::tags: return NewDefinition::tags(text, "data.label", kTagPrefix);
        case DefinitionKind::type: return NewDefinition::type(text, "data.kind");
        default: break;
    }
    return NewDefinition::stream(text, selector_of(means.events, named),
                                 matcher_of(means.events.test));
}

Logged read_back(const EventView& event) {
    Logged logged;
    logged.index = ~0U;
    if (!find_number(event.data, R"("group":)", logged.group)) return logged;
    if (!find_number(event.data, R"("index":)", logged.index)) return logged;
    find_number(event.data, R"("value":)", logged.event.value);
    find_number(event.data, R"("label":")", logged.event.label);
    find_number(event.data, R"("kind":"type/)", logged.event.kind);
    logged.revision = event.revision.value;
    logged.event.stream = number_of(kStreamPrefix, event.stream);
    logged.event.type = number_of(kTypePrefix, event.type);
    for (const std::string_view tag : event.tags) {
        const bool own = tag.starts_with(kOwnTagPrefix);
        if (logged.event.tags.size() < logged.event.tags.capacity())
            logged.event.tags.push(number_of(own ? kOwnTagPrefix : kTagPrefix, tag));
        else
            logged.index = ~0U;
    }
    if (const auto id = event.id()) {
        logged.with_id = true;
        if (!(*id == id_of(logged.group, logged.index))) logged.index = ~0U;
    }
    return logged;
}

}  // namespace varve::test::linear
