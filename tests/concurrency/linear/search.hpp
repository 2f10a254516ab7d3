// The slow judge: tries every order of a tiny history on the simplest store there is. The checker
// is compared with it.
#pragma once

#include <algorithm>
#include <map>

#include "concurrency/linear/defined.hpp"

namespace varve::test::linear {

/// A list of events, and for each operation whether it could be answered as it was, now.
class SimpleStore {
public:
    std::vector<Logged> log;

    [[nodiscard]] std::uint64_t version(Name stream) const {
        return static_cast<std::uint64_t>(std::count_if(
            log.begin(), log.end(), [&](const Logged& l) { return l.event.stream == stream; }));
    }
    /// Position of the append's first event; 0: it is not there.
    [[nodiscard]] std::uint64_t place_of(std::uint64_t group) const {
        for (std::size_t n = 0; n < log.size(); ++n) {
            if (log[n].group == group) return n + 1;
        }
        return 0;
    }
    [[nodiscard]] bool meets_demands(const Operation& asked) const {
        return std::all_of(asked.demands.begin(), asked.demands.end(), [&](const Demand& demand) {
            return demand.expected.allows(version(demand.stream));
        });
    }
    [[nodiscard]] bool matches(const Choice& choice, std::size_t position) const {
        const Logged& logged = log[position - 1];
        return logged.kind == Kind::append &&
               Defined(log).matches(choice, logged.event, position, log.size());
    }
    /// The newest event in the way of the condition; 0: none.
    [[nodiscard]] std::uint64_t in_the_way(const Operation& asked) const {
        if (asked.condition.empty()) return 0;
        for (std::size_t n = log.size(); n > asked.after; --n) {
            if (matches(asked.condition, n)) return n;
        }
        return 0;
    }
    [[nodiscard]] Few<std::uint64_t, kMaxFound> read(const Operation& asked) const {
        Few<std::uint64_t, kMaxFound> found;
        for (std::size_t n = 0; n < log.size(); ++n) {
            const std::size_t at = asked.backwards ? log.size() - n : n + 1;
            const bool wanted = at > asked.after && matches(asked.condition, at);
            if (wanted && found.size() < asked.limit) found.push(at);
        }
        return found;
    }
    void append(const Operation& asked) {
        if (asked.kind != Kind::append) {
            Logged record;
            record.group = asked.group;
            record.kind = asked.kind;
            record.defined = asked.defined;
            record.meaning = asked.kind == Kind::define ? asked.meaning : Name{0};
            log.push_back(record);
            return;
        }
        const Defined defined(log);
        for (std::uint32_t n = 0; n < asked.events.size(); ++n) {
            const Name stream = asked.events[n].stream;
            const std::uint64_t revision = stream == kNone ? 0 : version(stream) + 1;
            const Event shown = defined.shown(asked.events[n], log.size() + 1);
            log.push_back({asked.group, n, asked.with_ids, revision, shown});
        }
    }
    /// Of the stream of its last event, when it is placed now.
    [[nodiscard]] std::uint64_t version_behind(const Operation& asked) const {
        SimpleStore then = *this;
        then.append(asked);
        const Name stream = asked.events[asked.events.size() - 1].stream;
        return stream == kNone ? 0 : then.version(stream);
    }
    [[nodiscard]] bool is_stale(const Operation& asked) const {
        return !asked.condition.empty() && asked.after > log.size();
    }

    /// Does what is asked for and says what came of it.
    void answer(Operation& asked) {
        if (asked.kind == Kind::read) {
            asked.outcome = Outcome::read;
            asked.first = log.size();
            asked.found = read(asked);
        } else if (asked.kind == Kind::append) {
            answer_append(asked);
        } else {
            answer_definition(asked);
        }
    }

    /// True if the answer that was given would be right now; then it is carried out.
    bool repeat(const Operation& told) {
        if (told.outcome == Outcome::failed) return false;
        if (told.kind == Kind::read) return told.first == log.size() && told.found == read(told);
        return told.kind == Kind::append ? repeat_append(told) : repeat_definition(told);
    }

private:
    void answer_append(Operation& asked) {
        asked.first = place_of(asked.group);
        if (asked.first != 0) {
            asked.outcome = Outcome::duplicate;
            return;
        }
        for (const Demand& demand : asked.demands) {
            if (demand.expected.allows(version(demand.stream))) continue;
            asked.outcome = Outcome::version_failed;
            asked.stream = demand.stream;
            asked.version = version(demand.stream);
            return;
        }
        asked.first = in_the_way(asked);
        asked.outcome = Outcome::condition_failed;
        if (asked.first != 0) return;
        asked.outcome = asked.dry ? Outcome::would_place : Outcome::placed;
        asked.first = log.size() + 1;
        asked.version = version_behind(asked);
        if (!asked.dry) append(asked);
    }

    bool repeat_append(const Operation& told) {
        const std::uint64_t place = place_of(told.group);
        switch (told.outcome) {
            case Outcome::duplicate: return told.with_ids && place != 0 && told.first == place;
            case Outcome::version_failed:
                return place == 0 && version(told.stream) == told.version &&
                       std::any_of(told.demands.begin(), told.demands.end(), [&](const Demand& d) {
                           return d.stream == told.stream && !d.expected.allows(told.version);
                       });
            case Outcome::condition_failed:
                return place == 0 && meets_demands(told) && told.first > told.after &&
                       told.first <= log.size() && !told.condition.empty() &&
                       matches(told.condition, told.first);
            case Outcome::placed:
            case Outcome::would_place:
                if (told.first != log.size() + 1 || told.version != version_behind(told))
                    return false;
                break;
            default: break;
        }
        if (place != 0 || is_stale(told) || !meets_demands(told) || in_the_way(told) != 0)
            return false;
        if (told.outcome != Outcome::would_place) append(told);
        return true;
    }

    void answer_definition(Operation& asked) {
        const Defined defined(log);
        const Defined::Rule* const rule = defined.find(asked.defined, log.size());
        const bool fresh = asked.kind == Kind::define;
        asked.first = log.size() + 1;
        asked.outcome = fresh || rule != nullptr ? Outcome::placed : Outcome::not_defined;
        if (fresh && rule != nullptr) {
            asked.first = rule->defined;
            const bool same = rule->meaning == asked.meaning;
            asked.outcome = same ? Outcome::duplicate : Outcome::other_meaning;
        }
        if (asked.outcome == Outcome::placed) append(asked);
    }

    bool repeat_definition(const Operation& told) {
        Operation now = told;
        answer_definition(now);
        if (told.outcome == Outcome::unknown) return now.outcome == Outcome::placed;
        const bool place = told.kind == Kind::define &&
                           (told.outcome == Outcome::placed || told.outcome == Outcome::duplicate);
        return now.outcome == told.outcome && (!place || now.first == told.first);
    }
};

/// Whether any order explains the history.
class Search {
public:
    explicit Search(const History& history) : history_(history) {}

    bool any() {
        const unsigned all = (1U << history_.operations.size()) - 1;
        // Of what nobody was told, it was placed before it ended or had no effect.
        unsigned without = 0;
        for (std::size_t n = 0; n < history_.operations.size(); ++n) {
            if (history_.operations[n].outcome == Outcome::unknown) without |= 1U << n;
        }
        for (unsigned left_out = without;; left_out = (left_out - 1) & without) {
            if (go_on(SimpleStore{}, all & ~left_out)) return true;
            if (left_out == 0) return false;
        }
    }

private:
    /// `left`: a bit for each operation that is still to come.
    bool go_on(const SimpleStore& store, unsigned left) {
        if (left == 0) return same(store.log);
        for (std::size_t n = 0; n < history_.operations.size(); ++n) {
            if ((left >> n & 1U) == 0) continue;
            const unsigned rest = left & ~(1U << n);
            const Operation& next = history_.operations[n];
            if (must_wait(n, rest)) continue;
            SimpleStore then = store;
            if (then.repeat(next) && go_on(then, rest)) return true;
        }
        return false;
    }
    [[nodiscard]] bool must_wait(std::size_t n, unsigned rest) const {
        for (std::size_t other = 0; other < history_.operations.size(); ++other) {
            const Operation& before = history_.operations[other];
            const bool counts = (rest >> other & 1U) != 0;
            if (counts && before.end_ns < history_.operations[n].begin_ns) return true;
        }
        return false;
    }
    [[nodiscard]] bool same(const std::vector<Logged>& log) const {
        return std::equal(log.begin(), log.end(), history_.log.begin(), history_.log.end(),
                          [](const Logged& a, const Logged& b) {
                              return a.group == b.group && a.index == b.index &&
                                     a.with_id == b.with_id && a.revision == b.revision &&
                                     a.event == b.event && a.kind == b.kind;
                          });
    }

    const History& history_;
};

}  // namespace varve::test::linear
