#include "concurrency/linear/log_index.hpp"

#include <algorithm>

namespace varve::test::linear {

LogIndex::LogIndex(const std::vector<Logged>& log) : log_(log) {
    for (std::uint64_t position = 1; position <= log.size(); ++position) {
        const Event& event = at(position).event;
        if (event.stream != kNoStream) streams_[event.stream].push_back(position);
        types_[event.type].push_back(position);
        for (const Name tag : event.tags) tags_[tag].push_back(position);
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

/// Of the names that every event of the item has. Null: it demands a choice of types only.
const LogIndex::List* LogIndex::shortest(const Item& item) const {
    static const List kNone;
    const List* best = nullptr;
    const auto consider = [&](const Lists& lists, Name name) {
        const auto found = lists.find(name);
        const List* const list = found == lists.end() ? &kNone : &found->second;
        if (best == nullptr || list->size() < best->size()) best = list;
    };
    for (const Name tag : item.tags) consider(tags_, tag);
    if (item.types.size() == 1) consider(types_, item.types[0]);
    return best;
}

std::uint64_t LogIndex::first_match(const Items& items, std::uint64_t after,
                                    std::uint64_t until) const {
    until = std::min(until, size());
    if (items.empty()) return after < until ? after + 1 : 0;
    std::uint64_t first = kNever;
    for (const Item& item : items) {
        const auto hit = [&](std::uint64_t position) {
            if (!matches(item, at(position).event)) return false;
            first = std::min(first, position);
            return true;
        };
        if (const List* list = shortest(item)) {
            auto next = std::upper_bound(list->begin(), list->end(), after);
            while (next != list->end() && *next <= until && !hit(*next)) ++next;
        } else {
            std::uint64_t next = after + 1;
            while (next <= until && !hit(next)) ++next;
        }
    }
    return first == kNever ? 0 : first;
}

std::uint64_t LogIndex::last_match(const Items& items, std::uint64_t after,
                                   std::uint64_t until) const {
    until = std::min(until, size());
    if (items.empty()) return until > after ? until : 0;
    std::uint64_t last = 0;
    for (const Item& item : items) {
        const auto hit = [&](std::uint64_t position) {
            if (!matches(item, at(position).event)) return false;
            last = std::max(last, position);
            return true;
        };
        if (const List* list = shortest(item)) {
            auto next = std::upper_bound(list->begin(), list->end(), until);
            while (next != list->begin() && *(next - 1) > after && !hit(*(next - 1))) --next;
        } else {
            std::uint64_t next = until;
            while (next > after && !hit(next)) --next;
        }
    }
    return last;
}

std::vector<std::uint64_t> LogIndex::read(const Operation& read, std::uint64_t until) const {
    std::vector<std::uint64_t> found;
    std::uint64_t after = read.after;
    while (found.size() < read.limit) {
        const std::uint64_t next = read.backwards ? last_match(read.condition, after, until)
                                                  : first_match(read.condition, after, until);
        if (next == 0) break;
        found.push_back(next);
        (read.backwards ? until : after) = read.backwards ? next - 1 : next;
    }
    return found;
}

}  // namespace varve::test::linear
