// The slow judge: tries every order of a tiny history on the simplest store there is. The checker
// is compared with it.
#pragma once

#include <algorithm>
#include <map>

#include "concurrency/linear/history.hpp"

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
    /// The newest event in the way of the condition; 0: none.
    [[nodiscard]] std::uint64_t in_the_way(const Operation& asked) const {
        for (std::size_t n = log.size(); n > asked.after; --n) {
            if (matches(asked.condition, log[n - 1].event)) return n;
        }
        return 0;
    }
    [[nodiscard]] Few<std::uint64_t, kMaxFound> read(const Operation& asked) const {
        Few<std::uint64_t, kMaxFound> found;
        for (std::size_t n = 0; n < log.size(); ++n) {
            const std::size_t at = asked.backwards ? log.size() - n : n + 1;
            const bool wanted =
                asked.condition.empty() || matches(asked.condition, log[at - 1].event);
            if (at > asked.after && wanted && found.size() < asked.limit) found.push(at);
        }
        return found;
    }
    void append(const Operation& asked) {
        for (std::uint32_t n = 0; n < asked.events.size(); ++n) {
            const Name stream = asked.events[n].stream;
            const std::uint64_t revision = stream == kNoStream ? 0 : version(stream) + 1;
            log.push_back({asked.group, n, asked.with_ids, revision, asked.events[n]});
        }
    }

    /// Does what is asked for and says what came of it.
    void answer(Operation& asked) {
        if (asked.group == 0) {
            asked.outcome = Outcome::read;
            asked.first = log.size();
            asked.found = read(asked);
            return;
        }
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
        asked.outcome = asked.first != 0 ? Outcome::condition_failed : Outcome::placed;
        if (asked.first != 0) return;
        asked.first = log.size() + 1;
        append(asked);
    }

    /// True if the answer that was given would be right now; then it is carried out.
    bool repeat(const Operation& told) {
        const std::uint64_t place = place_of(told.group);
        switch (told.outcome) {
            case Outcome::read: return told.first == log.size() && told.found == read(told);
            case Outcome::duplicate: return told.with_ids && place != 0 && told.first == place;
            case Outcome::version_failed:
                return place == 0 && version(told.stream) == told.version &&
                       std::any_of(told.demands.begin(), told.demands.end(), [&](const Demand& d) {
                           return d.stream == told.stream && !d.expected.allows(told.version);
                       });
            case Outcome::condition_failed:
                return place == 0 && meets_demands(told) && told.first > told.after &&
                       told.first <= log.size() &&
                       matches(told.condition, log[told.first - 1].event);
            case Outcome::placed:
                if (told.first != log.size() + 1) return false;
                [[fallthrough]];
            case Outcome::unknown: break;
        }
        const bool stale = !told.condition.empty() && told.after > log.size();
        if (place != 0 || stale || !meets_demands(told) || in_the_way(told) != 0) return false;
        append(told);
        return true;
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
                                     a.event == b.event;
                          });
    }

    const History& history_;
};

}  // namespace varve::test::linear
