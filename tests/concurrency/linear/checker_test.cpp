// Goal: the checker of histories sees what is wrong and nothing else. Method: small forged
// histories with one fault each; and random tiny ones, half of them spoilt, judged by trying every
// order of their operations on the simplest store there is.
#include "concurrency/linear/checker.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "concurrency/linear/search.hpp"

namespace varve::test::linear {
namespace {

Event event_of(Name stream, Name tag) {
    Event event;
    event.stream = stream;
    event.tags.push(tag);
    return event;
}

Operation append_of(std::uint64_t group, std::int64_t begin, std::int64_t end, Event event) {
    Operation append;
    append.group = group;
    append.begin_ns = begin;
    append.end_ns = end;
    append.events.push(event);
    return append;
}

Operation guarded(Operation append, Name tag, std::uint64_t after) {
    Item item;
    item.tags.push(tag);
    append.condition.push(item);
    append.after = after;
    return append;
}

Operation demanding(Operation append, Name stream, Expected expected) {
    append.demands.push({stream, expected});
    return append;
}

Operation read_of(std::int64_t begin, std::int64_t end, Name tag, bool backwards) {
    Operation read;
    read.begin_ns = begin;
    read.end_ns = end;
    read.backwards = backwards;
    read.limit = kMaxFound;
    Item item;
    item.tags.push(tag);
    read.condition.push(item);
    return read;
}

/// Has the operations answered in this order.
History answered(std::vector<Operation> operations) {
    History history;
    SimpleStore store;
    for (Operation& operation : operations) {
        if (operation.group != 0) {
            for (const Operation& other : history.operations)
                operation.with_ids = operation.with_ids || other.group == operation.group;
        }
        store.answer(operation);
        history.operations.push_back(operation);
    }
    history.log = store.log;
    return history;
}

/// One of everything: placed, repeated, refused for both reasons, read in both directions.
History sample() {
    Operation repeated = append_of(1, 0, 5, event_of(1, 7));
    repeated.with_ids = true;
    Operation again = repeated;
    again.begin_ns = 20;
    again.end_ns = 25;
    Operation pair = append_of(2, 10, 15, event_of(1, 8));
    pair.events.push(event_of(2, 7));
    return answered({repeated, pair, again,
                     demanding(append_of(3, 30, 35, event_of(1, 9)), 1, Expected::version(2)),
                     demanding(append_of(4, 40, 45, event_of(1, 9)), 1, Expected::version(2)),
                     guarded(append_of(5, 50, 55, event_of(3, 7)), 7, 1),
                     guarded(append_of(6, 60, 65, event_of(3, 7)), 7, 3), read_of(70, 75, 7, true),
                     read_of(80, 85, 7, false)});
}

std::string all_of(const std::vector<std::string>& said) {
    std::string text;
    for (const std::string& line : said) text += line + "\n";
    return text;
}

TEST(LinearChecker, AcceptsWhatOneClientDoesAlone) {
    const History history = sample();
    EXPECT_EQ(history.operations[2].outcome, Outcome::duplicate);
    EXPECT_EQ(history.operations[4].outcome, Outcome::version_failed);
    EXPECT_EQ(history.operations[5].outcome, Outcome::condition_failed);
    EXPECT_EQ(history.operations[7].found.size(), 3U);
    EXPECT_EQ(all_of(check(history)), "");
}

TEST(LinearChecker, NoticesEachFaultByItself) {
    struct Fault {
        const char* said;
        std::function<void(History&)> spoil;
    };
    const auto turned = [](History& h, std::size_t n, std::int64_t begin, std::int64_t end) {
        h.operations[n].begin_ns = begin;
        h.operations[n].end_ns = end;
    };
    const std::vector<Fault> faults = {
        {"appended by nobody", [](History& h) { h.log[0].group = 77; }},
        {"twice or apart", [](History& h) { h.log.push_back(h.log[0]); }},
        {"twice or apart", [](History& h) { std::swap(h.log[2], h.log[3]); }},
        {"in part", [](History& h) { h.log.erase(h.log.begin() + 2); }},
        {"not what was appended", [](History& h) { h.log[0].event.type = 5; }},
        {"not what was appended", [](History& h) { h.log[0].with_id = false; }},
        {"not the next of its stream", [](History& h) { h.log[1].revision = 3; }},
        {"not in the log", [](History& h) { h.log.pop_back(); }},
        {"acknowledged elsewhere", [](History& h) { h.operations[0].first = 2; }},
        {"acknowledged elsewhere", [](History& h) { h.operations[2].first = 2; }},
        {"two attempts", [](History& h) { h.operations[2].outcome = Outcome::placed; }},
        {"nobody placed it", [](History& h) { h.operations[0].outcome = Outcome::duplicate; }},
        {"although it has no ids",
         [](History& h) {
             h.operations[0].with_ids = h.operations[2].with_ids = h.log[0].with_id = false;
         }},
        {"was there before it began", [&](History& h) { turned(h, 0, 17, 18); }},
        {"although stream 1 was at",
         [](History& h) {
             h.operations[3].demands[0].stream = 1,
             h.operations[3].demands[0].expected = Expected::version(1);
         }},
        {"its condition is not met", [](History& h) { h.operations[6].after = 2; }},
        {"placed before what it has seen", [](History& h) { h.operations[6].after = 5; }},
        {"does not match", [](History& h) { h.operations[5].first = 2; }},
        {"does not match", [](History& h) { h.operations[5].after = 3; }},
        {"does not match", [](History& h) { h.operations[5].first = 50; }},
        {"was there before it began", [&](History& h) { turned(h, 5, 6, 8); }},
        {"no moment of the call", [](History& h) { h.operations[4].version = 1; }},
        {"demanded or never was", [](History& h) { h.operations[4].version = 2; }},
        {"demanded or never was", [](History& h) { h.operations[4].version = 9; }},
        {"demanded or never was", [](History& h) { h.operations[4].stream = 2; }},
        {"no moment of the call",
         [](History& h) {
             h.operations[5].demands.push({1, Expected::version(1)});
         }},
        {"other events than those", [](History& h) { h.operations[7].found[0] = 2; }},
        {"other events than those", [](History& h) { h.operations[8].backwards = true; }},
        {"has not seen", [](History& h) { h.operations[7].first = 3; }},
        {"a part of an append", [](History& h) { h.operations[7].first = 2; }},
        {"beyond the end", [](History& h) { h.operations[7].first = 9; }},
    };
    for (std::size_t n = 0; n < faults.size(); ++n) {
        History history = sample();
        faults[n].spoil(history);
        EXPECT_NE(all_of(check(history)).find(faults[n].said), std::string::npos)
            << "fault " << n << ", " << faults[n].said << ": " << all_of(check(history));
        // Nothing that is wrong here has a right order after all.
        EXPECT_FALSE(Search(history).any()) << "fault " << n;
    }
}

TEST(LinearChecker, WhatNobodyWasToldMayBeThereOnceOrNot) {
    Operation lost = append_of(1, 0, 10, event_of(1, 7));
    lost.with_ids = true;
    Operation again = lost;
    again.begin_ns = 20;
    again.end_ns = 30;
    const Operation next = append_of(2, 12, 14, event_of(1, 7));
    // Placed before its process died, and found again.
    History there = answered({lost, next, again});
    there.operations[0].outcome = Outcome::unknown;
    EXPECT_EQ(all_of(check(there)), "");
    // Not placed, then repeated with effect.
    History later = answered({next, again});
    later.operations.push_back(lost);
    later.operations.back().outcome = Outcome::unknown;
    EXPECT_EQ(all_of(check(later)), "");
    // Placed too late: behind what began only when it had ended.
    History haunted = answered({next, lost});
    haunted.operations[1].outcome = Outcome::unknown;
    EXPECT_NE(all_of(check(haunted)).find("was there before it began"), std::string::npos)
        << all_of(check(haunted));
}

/// Random histories that could have happened.
class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    History make() {
        History history;
        SimpleStore store;
        const std::size_t count = 2 + below(5);
        for (std::size_t n = 0; n < count; ++n) {
            Operation operation = choose(history, store);
            const auto at = static_cast<std::int64_t>(10 * n);
            operation.begin_ns = at - static_cast<std::int64_t>(below(20));
            operation.end_ns = at + static_cast<std::int64_t>(below(20));
            if (below(8) == 0 && operation.group != 0 && !is_unknown(history, operation.group))
                lose(operation, store);
            else
                store.answer(operation);
            history.operations.push_back(operation);
        }
        history.log = store.log;
        return history;
    }

    void spoil(History& history) {
        Operation& one = history.operations[below(history.operations.size())];
        const std::uint64_t step = below(2) == 0 ? 1 : ~0ULL;
        switch (below(10)) {
            case 0: one.begin_ns -= static_cast<std::int64_t>(below(40)); break;
            case 1: one.end_ns += static_cast<std::int64_t>(below(40)); break;
            case 2:
                one.begin_ns = one.end_ns =
                    one.begin_ns + static_cast<std::int64_t>(below(60)) - 30;
                break;
            case 3: one.first += step; break;
            case 4: one.after += below(3); break;
            case 5: one.version += step; break;
            case 6: one.found.clear(); break;
            case 7:
                if (!one.demands.empty()) one.demands[0].expected = Expected::version(below(3));
                break;
            case 8:
                if (history.log.size() > 1)
                    std::swap(history.log.back(), history.log[history.log.size() - 2]);
                break;
            default:
                if (one.outcome == Outcome::placed && !is_unknown(history, one.group))
                    one.outcome = Outcome::unknown;
        }
    }

private:
    static bool is_unknown(const History& history, std::uint64_t group) {
        return std::any_of(
            history.operations.begin(), history.operations.end(),
            [&](const Operation& o) { return o.group == group && o.outcome == Outcome::unknown; });
    }

    void lose(Operation& operation, SimpleStore& store) {
        if (below(2) == 0) store.answer(operation);
        operation.outcome = Outcome::unknown;
    }

    Items items() {
        Items items;
        const std::uint64_t count = 1 + below(2);
        for (std::uint64_t n = 0; n < count; ++n) {
            Item item;
            if (below(2) == 0) item.types.push(static_cast<Name>(below(2)));
            if (item.types.empty() || below(2) == 0) item.tags.push(static_cast<Name>(below(3)));
            items.push(item);
        }
        return items;
    }

    Operation choose(const History& history, const SimpleStore& store) {
        Operation operation;
        operation.after = below(store.log.size() + 1);
        if (below(4) == 0) {
            operation.backwards = below(2) == 0;
            operation.limit = 1 + below(3);
            if (below(3) != 0) operation.condition = items();
            return operation;
        }
        if (!history.operations.empty() && below(4) == 0) {
            const Operation& earlier = history.operations[below(history.operations.size())];
            if (earlier.with_ids) {
                operation = earlier;
                operation.found.clear();
                return operation;
            }
        }
        operation.group = history.operations.size() + 1;
        operation.with_ids = below(2) == 0;
        const std::uint64_t events = 1 + below(2);
        for (std::uint64_t n = 0; n < events; ++n) {
            Event event = event_of(static_cast<Name>(below(2)), static_cast<Name>(below(3)));
            event.type = static_cast<Name>(below(2));
            operation.events.push(event);
        }
        if (below(2) == 0) operation.condition = items();
        if (below(3) == 0) {
            const Expected kinds[] = {Expected::no_stream(), Expected::stream_exists(),
                                      Expected::version(below(3))};
            operation.demands.push({static_cast<Name>(below(2)), kinds[below(3)]});
        }
        return operation;
    }

    std::mt19937_64 random_;
};

TEST(LinearChecker, JudgesTinyHistoriesAsASearchOfAllOrdersDoes) {
    constexpr std::uint64_t kHistories = 100'000;
    std::uint64_t right = 0;
    for (std::uint64_t seed = 1; seed <= kHistories; ++seed) {
        Maker maker(seed);
        History history = maker.make();
        const bool spoilt = seed % 2 == 0;
        if (spoilt) maker.spoil(history);
        const bool explained = Search(history).any();
        ASSERT_TRUE(explained || spoilt) << "seed " << seed;
        const std::vector<std::string> said = check(history);
        ASSERT_EQ(said.empty(), explained) << "seed " << seed << ": " << all_of(said);
        right += explained ? 1 : 0;
    }
    // Both answers are put to the test.
    EXPECT_GT(right, kHistories / 2);
    EXPECT_LT(right, kHistories * 9 / 10);
}

}  // namespace
}  // namespace varve::test::linear
