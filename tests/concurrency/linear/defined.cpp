#include "concurrency/linear/defined.hpp"

#include <algorithm>

namespace varve::test::linear {

namespace {

Item item(std::initializer_list<Name> types, std::initializer_list<Name> tags) {
    Item item;
    for (const Name type : types) item.types.push(type);
    for (const Name tag : tags) item.tags.push(tag);
    return item;
}

Meaning stream(std::initializer_list<Item> any, std::initializer_list<Item> none, Test test) {
    Meaning meaning;
    for (const Item& one : any) meaning.events.any.push(one);
    for (const Item& one : none) meaning.events.none.push(one);
    meaning.events.test = test;
    return meaning;
}

/// All of `item` but derived streams, judged by the names that an event has.
bool has_names(const Item& item, const Event& event) {
    if (!item.types.empty() && !item.types.contains(event.type)) return false;
    return std::all_of(item.tags.begin(), item.tags.end(),
                       [&](Name tag) { return event.tags.contains(tag); });
}

bool has_names(const Choice& choice, const Event& event) {
    const auto has = [&](const Item& item) { return has_names(item, event); };
    if (std::any_of(choice.none.begin(), choice.none.end(), has)) return false;
    return choice.any.empty() || std::any_of(choice.any.begin(), choice.any.end(), has);
}

void give(DefinitionKind kind, Event& event) {
    if (kind == DefinitionKind::type && event.type == kNone) event.type = event.kind;
    const bool tag = kind == DefinitionKind::tags && event.label != kNone;
    if (tag && !event.tags.contains(event.label)) event.tags.push(event.label);
}

}  // namespace

std::span<const Meaning> meanings() {
    using What = Test::What;
    static const std::vector<Meaning> kMeanings = {
        {DefinitionKind::tags, {}},
        stream({item({0}, {})}, {}, {What::at_least, 9}),
        stream({item({}, {1})}, {item({1}, {})}, {}),
        {DefinitionKind::type, {}},
        stream({item({}, {2})}, {}, {What::label_is, 3}),
        stream({}, {item({}, {0}), item({0}, {})}, {What::at_least, 5}),
        stream({item({0, 1}, {}), item({}, {1})}, {}, {}),
        stream({}, {}, {What::at_least, 12}),
    };
    return kMeanings;
}

Defined::Defined(const std::vector<Logged>& log) {
    for (std::uint64_t position = 1; position <= log.size(); ++position) {
        const Logged& record = log[position - 1];
        if (record.kind == Kind::append) continue;
        changes_.push_back(position);
        if (record.defined >= by_name_.size()) by_name_.resize(record.defined + 1U, 0);
        std::size_t& at = by_name_[record.defined];
        if (record.kind == Kind::define) {
            rules_.push_back({record.defined, record.meaning, position, kNever, kNever, at});
            at = rules_.size();
        } else if (at != 0) {
            Rule& rule = rules_[at - 1];
            if (record.kind == Kind::remove) rule.removed = position;
            rule.closed = std::min(rule.closed, position);
        }
    }
    for (const Rule& rule : rules_)
        if (rule.means().kind != DefinitionKind::stream) naming_.push_back(rule);
}

const Defined::Rule* Defined::find(Name name, std::uint64_t prefix) const {
    if (name >= by_name_.size()) return nullptr;
    for (std::size_t at = by_name_[name]; at != 0; at = rules_[at - 1].before)
        if (rules_[at - 1].in_force(prefix)) return &rules_[at - 1];
    return nullptr;
}

std::uint64_t Defined::next_change(std::uint64_t prefix) const {
    const auto next = std::upper_bound(changes_.begin(), changes_.end(), prefix);
    return next == changes_.end() ? kNever : *next;
}

/// With the names that definitions give which look at `position`.
Event Defined::named_by(Event event, std::uint64_t position) const {
    for (const Rule& rule : naming_)
        if (rule.looks_at(position)) give(rule.means().kind, event);
    return event;
}

Event Defined::shown(Event event, std::uint64_t position) const {
    return named_by(event, position);
}

/// Whether events at `position` were there before a definition gave them names.
bool Defined::gives_past(DefinitionKind kind, std::uint64_t position, std::uint64_t prefix) const {
    return std::any_of(naming_.begin(), naming_.end(), [&](const Rule& rule) {
        return rule.means().kind == kind && rule.in_force(prefix) && rule.defined > position;
    });
}

bool Defined::in_derived(Name name, const Event& event, std::uint64_t position,
                         std::uint64_t prefix) const {
    const Rule* const rule = find(name, prefix);
    if (rule == nullptr || rule->means().kind != DefinitionKind::stream) return false;
    const Choice& events = rule->means().events;
    if (!events.test.demands()) {
        const bool open = rule->closed > prefix || rule->closed > position;
        return open && matches(events, event, position, prefix);
    }
    if (!events.test.holds(event)) return false;
    if (position > rule->defined) return rule->closed > position && has_names(events, event);
    return has_names(events, named_by(event, rule->defined));
}

bool Defined::matches(const Item& item, const Event& event, std::uint64_t position,
                      std::uint64_t prefix) const {
    Event seen = event;
    if (seen.label != kNone && gives_past(DefinitionKind::tags, position, prefix))
        give(DefinitionKind::tags, seen);
    if (seen.kind != kNone && gives_past(DefinitionKind::type, position, prefix))
        give(DefinitionKind::type, seen);
    return has_names(item, seen) &&
           (item.derived == kNone || in_derived(item.derived, event, position, prefix));
}

bool Defined::matches(const Choice& choice, const Event& event, std::uint64_t position,
                      std::uint64_t prefix) const {
    const auto is = [&](const Item& item) { return matches(item, event, position, prefix); };
    if (!choice.test.holds(event)) return false;
    if (std::any_of(choice.none.begin(), choice.none.end(), is)) return false;
    return choice.any.empty() || std::any_of(choice.any.begin(), choice.any.end(), is);
}

}  // namespace varve::test::linear
