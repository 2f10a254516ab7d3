#include "concurrency/linear/log_index.hpp"

#include <algorithm>

namespace varve::test::linear {

LogIndex::LogIndex(const std::vector<Logged>& log) : log_(log), defined_(log) {
    for (std::uint64_t position = 1; position <= log.size(); ++position) {
        if (at(position).kind != Kind::append) continue;
        const Event& event = at(position).event;
        all_.push_back(position);
        if (event.stream != kNone) streams_[event.stream].push_back(position);
        const Name type = event.type != kNone ? event.type : event.kind;
        if (type != kNone) types_[type].push_back(position);
        for (const Name tag : event.tags) tags_[tag].push_back(position);
        const bool more = event.label != kNone && !event.tags.contains(event.label);
        if (more) tags_[event.label].push_back(position);
    }
}

std::uint64_t LogIndex::version(Name stream, std::uint64_t prefix) const {
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return 0;
    const List& list = found->second;
    return static_cast<std::uint64_t>(std::upper_bound(list.begin(), list.end(), prefix) -
                                      list.begin());
}

std::uint64_t LogIndex::reaches(Name stream, std::uint64_t version) const {
    if (version == 0) return 0;
    const auto found = streams_.find(stream);
    if (found == streams_.end() || found->second.size() < version) return kNever;
    return found->second[version - 1];
}

std::uint64_t LogIndex::next_allowed(const Demand& demand, std::uint64_t prefix) const {
    const std::uint64_t version_now = version(demand.stream, prefix);
    if (demand.expected.allows(version_now)) return prefix;
    // Versions only grow: what comes can help those who want more events.
    switch (demand.expected.kind()) {
        case Expected::Kind::stream_exists: return reaches(demand.stream, 1);
        case Expected::Kind::exact:
            return version_now < demand.expected.number()
                       ? reaches(demand.stream, demand.expected.number())
                       : kNever;
        default: return kNever;
    }
}

/// Of the names that every event of the item has. Null: it demands a choice of types only, or
/// nothing that there are lists for.
const LogIndex::List* LogIndex::shortest(const Item& item, std::uint64_t prefix) const {
    static const List kEmpty;
    const List* best = nullptr;
    const auto consider = [&](const Lists& lists, Name name) {
        const auto found = lists.find(name);
        const List* const list = found == lists.end() ? &kEmpty : &found->second;
        if (best == nullptr || list->size() < best->size()) best = list;
    };
    for (const Name tag : item.tags) consider(tags_, tag);
    if (item.types.size() == 1) consider(types_, item.types[0]);
    if (item.derived == kNone) return best;
    const Defined::Rule* const rule = defined_.find(item.derived, prefix);
    if (rule == nullptr) return &kEmpty;
    const Items& any = rule->means().events.any;
    const List* const own = any.size() == 1 ? shortest(any[0], prefix) : nullptr;
    return best == nullptr || (own != nullptr && own->size() < best->size()) ? own : best;
}

/// Every event that matches is in at least one of them.
std::vector<const LogIndex::List*> LogIndex::lists_for(const Choice& choice,
                                                       std::uint64_t prefix) const {
    std::vector<const List*> lists;
    for (const Item& item : choice.any) {
        lists.push_back(shortest(item, prefix));
        if (lists.back() == nullptr) return {&all_};
    }
    return lists.empty() ? std::vector<const List*>{&all_} : lists;
}

std::uint64_t LogIndex::first_match(const Choice& choice, std::uint64_t after, std::uint64_t until,
                                    std::uint64_t prefix) const {
    std::uint64_t first = kNever;
    for (const List* const list : lists_for(choice, prefix)) {
        auto next = std::upper_bound(list->begin(), list->end(), after);
        const std::uint64_t end = std::min(until, first - 1);
        while (next != list->end() && *next <= end && !matches(choice, *next, prefix)) ++next;
        if (next != list->end() && *next <= end) first = *next;
    }
    return first == kNever ? 0 : first;
}

std::uint64_t LogIndex::last_match(const Choice& choice, std::uint64_t after, std::uint64_t until,
                                   std::uint64_t prefix) const {
    std::uint64_t last = after;
    for (const List* const list : lists_for(choice, prefix)) {
        auto next = std::upper_bound(list->begin(), list->end(), until);
        while (next != list->begin() && *(next - 1) > last && !matches(choice, *(next - 1), prefix))
            --next;
        if (next != list->begin() && *(next - 1) > last) last = *(next - 1);
    }
    return last == after ? 0 : last;
}

std::vector<std::uint64_t> LogIndex::read(const Operation& read, std::uint64_t prefix) const {
    std::vector<std::uint64_t> found;
    std::uint64_t after = read.after;
    std::uint64_t until = prefix;
    while (found.size() < read.limit) {
        const std::uint64_t next = read.backwards
                                       ? last_match(read.condition, after, until, prefix)
                                       : first_match(read.condition, after, until, prefix);
        if (next == 0) break;
        found.push_back(next);
        (read.backwards ? until : after) = read.backwards ? next - 1 : next;
    }
    return found;
}

}  // namespace varve::test::linear
