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
    append.kind = Kind::append;
    append.group = group;
    append.begin_ns = begin;
    append.end_ns = end;
    append.events.push(event);
    return append;
}

Operation guarded(Operation append, Name tag, std::uint64_t after) {
    Item item;
    item.tags.push(tag);
    append.condition.any.push(item);
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
    read.condition.any.push(item);
    return read;
}

/// What is done to a definition.
Operation change_of(Kind kind, std::int64_t begin, Name defined, Name meaning = 0) {
    Operation change;
    change.kind = kind;
    change.begin_ns = begin;
    change.end_ns = begin + 5;
    change.defined = defined;
    change.meaning = meaning;
    change.group = group_of(kind, defined, meaning);
    change.with_ids = kind == Kind::define;
    return change;
}

/// Has the operations answered in this order.
History answered(std::vector<Operation> operations) {
    History history;
    SimpleStore store;
    for (Operation& operation : operations) {
        if (operation.kind == Kind::append) {
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

constexpr Name kLabels = 0;  ///< meanings
constexpr Name kLarge = 1;   ///< of type 0, from value 9 on
constexpr Name kPlain = 2;   ///< with tag 1, not of type 1

Event labelled(Name label, Name value) {
    Event event = event_of(1, 7);
    event.label = label;
    event.value = value;
    return event;
}

Operation derived_of(std::int64_t begin, Name name) {
    Operation read = read_of(begin, begin + 5, 0, false);
    read.condition.any[0].tags.clear();
    read.condition.any[0].derived = name;
    return read;
}

/// Definitions of names 1 to 3 among four appends, of which the third has its label as a tag; dry
/// runs and reads.
History defined_sample() {
    Operation dry = append_of(20, 60, 65, labelled(5, 12));
    dry.dry = true;
    Operation labels = read_of(90, 95, 5, false);
    Operation others = read_of(100, 105, 5, true);
    others.condition.none = others.condition.any;
    others.condition.any.clear();
    others.condition.test = {Test::What::at_least, 9};
    return answered({append_of(1, 0, 5, labelled(5, 10)), change_of(Kind::define, 10, 1, kLabels),
                     change_of(Kind::define, 20, 2, kLarge), change_of(Kind::define, 30, 2, kLarge),
                     change_of(Kind::define, 40, 2, kPlain), append_of(2, 50, 55, labelled(6, 11)),
                     dry, change_of(Kind::close, 70, 2), append_of(3, 80, 85, labelled(6, 12)),
                     labels, others, derived_of(110, 2), change_of(Kind::remove, 120, 2),
                     change_of(Kind::remove, 130, 2), derived_of(140, 2)});
}

TEST(LinearChecker, AcceptsDefinitionsAmongAppends) {
    const History history = defined_sample();
    const auto& operations = history.operations;
    EXPECT_EQ(operations[3].outcome, Outcome::duplicate);
    EXPECT_EQ(operations[4].outcome, Outcome::other_meaning);
    EXPECT_EQ(operations[6].outcome, Outcome::would_place);
    EXPECT_EQ(operations[13].outcome, Outcome::not_defined);
    EXPECT_EQ(operations[9].found.size(), 1U) << "from before its definition";
    EXPECT_EQ(operations[10].found.size(), 2U);
    EXPECT_EQ(operations[11].found.size(), 2U) << "nothing from behind its closing";
    EXPECT_EQ(operations[14].found.size(), 0U);
    EXPECT_TRUE(history.log[3].event.tags.contains(6));
    EXPECT_EQ(all_of(check(history)), "");
    EXPECT_TRUE(Search(history).any());
}

struct Fault {
    const char* said;
    std::function<void(History&)> spoil;
};

void expect_noticed(History (*make)(), const std::vector<Fault>& faults) {
    for (std::size_t n = 0; n < faults.size(); ++n) {
        History history = make();
        faults[n].spoil(history);
        EXPECT_NE(all_of(check(history)).find(faults[n].said), std::string::npos)
            << "fault " << n << ", " << faults[n].said << ": " << all_of(check(history));
        // Nothing that is wrong here has a right order after all.
        EXPECT_FALSE(Search(history).any()) << "fault " << n;
    }
}

TEST(LinearChecker, NoticesFaultsOfDefinitions) {
    const std::vector<Fault> faults = {
        {"not what was appended",
         [](History& h) {
             h.log[3].event.tags.clear();
             h.log[3].event.tags.push(7);
         }},
        {"not what was appended", [](History& h) { h.log[0].event.tags.push(5); }},
        {"although the name had a meaning",
         [](History& h) {
             // Another meaning is taken as well, instead of being refused.
             Operation other = change_of(Kind::define, 40, 2, kPlain);
             other.outcome = Outcome::placed;
             other.first = 2;
             h = answered({change_of(Kind::define, 20, 2, kLarge)});
             h.operations.push_back(other);
             h.log.push_back(h.log[0]);
             h.log[1].meaning = kPlain;
             h.log[1].group = other.group;
         }},
        {"appended by nobody", [](History& h) { h.operations.erase(h.operations.begin() + 7); }},
        {"not in the log",
         [](History& h) {
             std::swap(h.operations[13].outcome, h.operations[4].outcome),
                 h.operations[4].outcome = Outcome::placed;
         }},
        {"acknowledged elsewhere", [](History& h) { h.operations[3].first = 2; }},
        {"at no moment was this", [](History& h) { h.operations[4].meaning = kLarge; }},
        {"at no moment was this", [](History& h) { h.operations[13].defined = 1; }},
        {"two attempts", [](History& h) { h.operations[13].outcome = Outcome::placed; }},
        {"was there", [](History& h) { h.operations[6].first = 1; }},
        {"where nothing can be", [](History& h) { h.operations[6].first = 99; }},
        {"not with this version", [](History& h) { h.operations[6].version = 9; }},
        {"not with this version", [](History& h) { h.operations[8].version = 9; }},
        {"its condition is not met",
         [](History& h) { h.operations[6] = guarded(h.operations[6], 6, 0); }},
        {"other events than those", [](History& h) { h.operations[9].found.clear(); }},
        {"other events than those", [](History& h) { h.operations[9].found.push(4); }},
        {"other events than those", [](History& h) { h.operations[10].found.push(1); }},
        {"other events than those",
         [](History& h) { h.operations[10].condition.test.number = 12; }},
        {"other events than those", [](History& h) { h.operations[11].found.push(6); }},
        {"other events than those", [](History& h) { h.operations[14].found.push(1); }},
        {"does not match",
         [](History& h) {
             h.operations[6] = guarded(h.operations[6], 9, 0);
             h.operations[6].outcome = Outcome::condition_failed;
             h.operations[6].first = 1;
         }},
    };
    expect_noticed(defined_sample, faults);
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
        {"failed", [](History& h) { h.operations[4].outcome = Outcome::failed; }},
    };
    expect_noticed(sample, faults);
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
            const bool changes = operation.kind != Kind::read && !operation.dry;
            if (below(8) == 0 && changes && !is_unknown(history, operation.group))
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
        switch (below(12)) {
            case 0: one.begin_ns -= static_cast<std::int64_t>(below(40)); break;
            case 1: one.end_ns += static_cast<std::int64_t>(below(40)); break;
            case 2:
                one.begin_ns = one.end_ns =
                    one.begin_ns + static_cast<std::int64_t>(below(60)) - 30;
                break;
            case 3: one.first += step; break;
            case 4: one.after += below(3); break;
            case 9:
                one.condition.test = {Test::What::at_least, static_cast<Name>(below(20))};
                break;
            case 10:
                if (one.outcome == Outcome::would_place)
                    one.outcome = Outcome::placed;
                else if (one.kind == Kind::read)
                    one.found.push(1 + below(4));
                break;
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
            if (below(3) == 0) item.derived = static_cast<Name>(below(3));
            items.push(item);
        }
        return items;
    }
    Choice some_choice() {
        Choice choice;
        if (below(4) != 0) choice.any = items();
        if (choice.any.empty() || below(4) == 0) choice.none = items();
        if (below(4) == 0) choice.test = {Test::What::at_least, static_cast<Name>(below(20))};
        if (below(8) == 0) choice.test = {Test::What::label_is, static_cast<Name>(below(3))};
        return choice;
    }

    /// Name 2 is defined once and may be removed; each name is closed once.
    Operation some_change(const History& history) {
        const auto name = static_cast<Name>(below(3));
        const auto there = [&](Kind kind, Name of) {
            return std::any_of(
                history.operations.begin(), history.operations.end(),
                [&](const Operation& o) { return o.kind == kind && o.defined == of; });
        };
        const auto meaning = static_cast<Name>(below(meanings().size()));
        const std::uint64_t choice = below(4);
        if (choice == 0 && !there(Kind::close, name)) return change_of(Kind::close, 0, name);
        if (choice == 1 && there(Kind::define, 2)) return change_of(Kind::remove, 0, 2);
        const bool again = name != 2 || !there(Kind::define, 2);
        return change_of(Kind::define, 0, again ? name : Name{1}, meaning);
    }

    Operation choose(const History& history, const SimpleStore& store) {
        Operation operation;
        operation.after = below(store.log.size() + 1);
        if (below(4) == 0) {
            operation.backwards = below(2) == 0;
            operation.limit = 1 + below(3);
            if (below(3) != 0) operation.condition = some_choice();
            return operation;
        }
        if (below(4) == 0) return some_change(history);
        if (!history.operations.empty() && below(4) == 0) {
            const Operation& earlier = history.operations[below(history.operations.size())];
            if (earlier.with_ids && !(earlier.kind == Kind::define && earlier.defined == 2)) {
                operation = earlier;
                operation.version = 0;
                if (operation.kind == Kind::append) operation.dry = below(4) == 0;
                return operation;
            }
        }
        operation.kind = Kind::append;
        operation.group = history.operations.size() + 1;
        operation.with_ids = below(2) == 0;
        operation.dry = below(6) == 0;
        const std::uint64_t events = 1 + below(2);
        for (std::uint64_t n = 0; n < events; ++n) {
            Event event = event_of(static_cast<Name>(below(2)), static_cast<Name>(below(3)));
            event.type = below(3) == 0 ? kNone : static_cast<Name>(below(2));
            if (below(2) == 0) event.label = static_cast<Name>(below(3));
            if (below(2) == 0) event.kind = static_cast<Name>(below(2));
            event.value = static_cast<Name>(below(20));
            operation.events.push(event);
        }
        if (below(2) == 0) operation.condition = some_choice();
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
