// Goal: a sealed index answers about its events exactly what they say, whether it was built or
// merged, also when keys collide; making one can be given up, and fails cleanly for want of disk or
// memory. Method: events through SealedBuilder into memory; every answer against plain maps.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "index/sealed_select.hpp"
#include "support/sealed_expect.hpp"
#include "varve/selector.hpp"

namespace varve::index {
namespace {

using test::kSealedUuid;
using test::MemoryScratch;
using test::MemorySink;
using test::SealedEvent;
using test::SealedModel;

const std::function<bool()> kGoOn = [] { return true; };

std::string id_of(std::uint64_t n) {
    std::string id = "identity--------";
    std::memcpy(id.data() + 8, &n, sizeof n);
    return id;
}

/// Lists of 1, 2, 3, 128, 129 and 400 events, control records, and events without anything.
std::vector<SealedEvent> sample(std::uint64_t seed, std::size_t count) {
    std::vector<SealedEvent> events;
    std::size_t tagged = 0;
    for (std::size_t n = 0; n < count; ++n) {
        SealedEvent event;
        event.time_us = static_cast<std::int64_t>((n * 7919 + seed) % 1000) - 300;
        event.recorded_us = static_cast<std::int64_t>(1000 * seed + n);
        if (n % 50 == 49) {  // a control record that claims names and an id
            event.kind = log::RecordKind::control;
            event.stream = "hidden-1";
            event.type = "Hidden";
            event.tags = {"hidden"};
            event.id = id_of(n);
        } else if (n % 50 != 48) {
            event.stream = n % 3 == 0   ? "order-" + std::to_string(n % 40)
                           : n % 3 == 1 ? "plain"
                                        : "a/" + std::to_string(seed) + "/" + std::to_string(n);
            event.type = n % 5 == 0 ? "" : "Type" + std::to_string(n % 7);
            event.tags = {"every"};
            for (const std::size_t length : {1U, 2U, 3U, 128U, 129U, 400U}) {
                if (tagged < length) event.tags.push_back("first" + std::to_string(length));
            }
            ++tagged;
            if (n % 4 == 0) event.id = id_of(n % 8 == 0 ? n : 1'000'000 * seed + n);
        }
        events.push_back(std::move(event));
    }
    return events;
}

struct Made {
    std::vector<std::byte> file;
    SealedModel model;
    SealedIndex index;
};

void build(const std::vector<SealedEvent>& events, const Hasher& hasher, Made& made,
           std::uint64_t number = 3, std::uint64_t first = 1000) {
    const SealedSegment segment{number, 77 + number, first, first + events.size() - 1};
    MemorySink sink;
    ASSERT_TRUE(test::make_sealed(events, segment, hasher, sink, kGoOn));
    made.file = std::move(sink.file);
    made.model.add(events, segment, hasher);
    ASSERT_STREQ(SealedIndex::open(made.file, kSealedUuid, hasher, made.index), nullptr);
}

/// Neighbouring segments of `counts` events each.
void build_all(const std::vector<std::size_t>& counts, const Hasher& hasher,
               std::deque<Made>& parts) {
    std::uint64_t first = 5;
    for (const std::size_t count : counts) {
        const std::uint64_t number = 1 + parts.size();
        parts.emplace_back();
        ASSERT_NO_FATAL_FAILURE(build(sample(number, count), hasher, parts.back(), number, first));
        first += count;
    }
}

std::vector<const SealedIndex*> inputs_of(const std::deque<Made>& parts) {
    std::vector<const SealedIndex*> inputs;
    for (const Made& part : parts) inputs.push_back(&part.index);
    return inputs;
}

void merge(const std::deque<Made>& parts, const Hasher& hasher, Made& made) {
    MemorySink sink;
    MemoryScratch scratch;
    ASSERT_TRUE(merge_sealed(inputs_of(parts), kSealedUuid, sink, scratch, kGoOn));
    made.file = std::move(sink.file);
    for (const Made& part : parts)
        made.model.add(part.model.events, part.model.segments.front(), hasher);
    ASSERT_STREQ(SealedIndex::open(made.file, kSealedUuid, hasher, made.index), nullptr);
}

class SealedIndexOf : public testing::TestWithParam<std::uint8_t> {
protected:
    const Hasher hasher{42, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(HashBits, SealedIndexOf, testing::Values(64, 8));

TEST_P(SealedIndexOf, ABuiltIndexAnswersWhatItsEventsSay) {
    for (const std::size_t count : {1U, 2U, 16U, 47U, 600U}) {
        SCOPED_TRACE(count);
        Made made;
        ASSERT_NO_FATAL_FAILURE(build(sample(1, count), hasher, made));
        ASSERT_NO_FATAL_FAILURE(test::expect_model(made.index, made.model));
        EXPECT_EQ(made.index.end_chain(), 0xC0FFEEU);
    }
    // The sample has the lengths of lists at which their form changes.
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(sample(1, 600), hasher, made));
    for (const std::uint32_t length : {1U, 2U, 3U, 128U, 129U, 400U}) {
        SealedList list;
        ASSERT_EQ(made.index.find(KeyKind::tag, "first" + std::to_string(length), list),
                  Found::yes);
        EXPECT_EQ(list.count, length);
    }
}

TEST_P(SealedIndexOf, AMergedIndexAnswersWhatAllEventsSay) {
    for (const std::vector<std::size_t>& counts :
         {std::vector<std::size_t>{1, 1}, std::vector<std::size_t>{150, 47, 300},
          std::vector<std::size_t>{1100, 1, 1024}, std::vector<std::size_t>(16, 30)}) {
        SCOPED_TRACE(counts.size());
        std::deque<Made> parts;
        ASSERT_NO_FATAL_FAILURE(build_all(counts, hasher, parts));
        Made whole;
        ASSERT_NO_FATAL_FAILURE(merge(parts, hasher, whole));
        ASSERT_NO_FATAL_FAILURE(test::expect_model(whole.index, whole.model));
    }
}

TEST_P(SealedIndexOf, MergedIndexesMergeAgain) {
    std::deque<Made> parts;
    ASSERT_NO_FATAL_FAILURE(build_all({40, 60, 80, 20}, hasher, parts));
    Made first;
    Made second;
    Made whole;
    MemorySink sink[3];
    MemoryScratch scratch;
    const auto inputs = inputs_of(parts);
    const std::span<const SealedIndex* const> all(inputs);
    ASSERT_TRUE(merge_sealed(all.first(2), kSealedUuid, sink[0], scratch, kGoOn));
    ASSERT_TRUE(merge_sealed(all.last(2), kSealedUuid, sink[1], scratch, kGoOn));
    ASSERT_STREQ(SealedIndex::open(sink[0].file, kSealedUuid, hasher, first.index), nullptr);
    ASSERT_STREQ(SealedIndex::open(sink[1].file, kSealedUuid, hasher, second.index), nullptr);
    const SealedIndex* const halves[] = {&first.index, &second.index};
    ASSERT_TRUE(merge_sealed(halves, kSealedUuid, sink[2], scratch, kGoOn));
    ASSERT_STREQ(SealedIndex::open(sink[2].file, kSealedUuid, hasher, whole.index), nullptr);
    for (const Made& part : parts)
        whole.model.add(part.model.events, part.model.segments.front(), hasher);
    // Small enough for one group of times: its bounds are those of all events.
    ASSERT_NO_FATAL_FAILURE(test::expect_model(whole.index, whole.model));
}

TEST_P(SealedIndexOf, RunsOfOneSegmentBecomeOneSegment) {
    std::deque<Made> parts;
    for (std::uint64_t n = 0; n < 3; ++n) {
        parts.emplace_back();
        ASSERT_NO_FATAL_FAILURE(build(sample(n, 100), hasher, parts.back(), 3, 1000 + 100 * n));
    }
    Made whole;
    ASSERT_NO_FATAL_FAILURE(merge(parts, hasher, whole));
    whole.model.segments = {{3, 80, 1000, 1299}};
    ASSERT_NO_FATAL_FAILURE(test::expect_model(whole.index, whole.model));
}

struct Searched {
    Selector selector;
    std::function<bool(const SealedEvent&)> has;
};

/// Selections that make each kind of walk lead, follow and be left out.
std::vector<Searched> searches() {
    using Event = SealedEvent;
    const auto listed = [](const Event& e) { return e.kind == log::RecordKind::event; };
    const auto tag = [=](std::string name) {
        return Searched{Selector::tag(name), [=](const Event& e) {
                            return listed(e) &&
                                   std::find(e.tags.begin(), e.tags.end(), name) != e.tags.end();
                        }};
    };
    const auto type = [=](std::string name) {
        return Searched{Selector::type(name),
                        [=](const Event& e) { return listed(e) && e.type == name; }};
    };
    const auto both = [](const Searched& a, const Searched& b) {
        return Searched{a.selector & b.selector,
                        [=](const Event& e) { return a.has(e) && b.has(e); }};
    };
    const auto either = [](const Searched& a, const Searched& b) {
        return Searched{a.selector | b.selector,
                        [=](const Event& e) { return a.has(e) || b.has(e); }};
    };
    const auto without = [](const Searched& a) {
        return Searched{!a.selector, [=](const Event& e) { return !a.has(e); }};
    };
    const Searched every = tag("every");
    return {every,
            type("Type3"),
            both(every, type("Type3")),
            both(tag("first2"), type("Type3")),
            both(tag("first129"), tag("first400")),
            both(tag("first400"), either(type("Type1"), type("Type2"))),
            both(every, without(type("Type1"))),
            both(every, without(tag("first129"))),
            both(type("Type4"), without(either(tag("first3"), tag("first128")))),
            either(both(every, type("Type5")), tag("first128")),
            both(either(tag("first3"), type("Type6")), tag("first400")),
            without(tag("first400")),
            without(both(every, type("Type2"))),
            both(tag("first400"), tag("none"))};
}

/// What `select` finds if it is asked for `room` events at a time.
std::vector<std::uint32_t> taken(SealedSelect& select, std::size_t room) {
    std::vector<std::uint32_t> all;
    std::vector<std::uint32_t> some(room);
    while (const std::size_t count = select.next(some))
        all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
    return all;
}

void expect_found(const Made& made, const Hasher& hasher, const Searched& searched,
                  bool backwards) {
    Selection selection;
    selection.compile(searched.selector.encoded(), hasher);
    const auto events = static_cast<std::uint32_t>(made.model.events.size());
    for (const std::uint32_t from : {0U, 17U, 300U, events - 1}) {
        std::vector<std::uint32_t> expected;
        for (std::uint32_t n = backwards ? 0 : from; n <= (backwards ? from : events - 1); ++n)
            if (searched.has(made.model.events[n])) expected.push_back(n);
        if (backwards) std::reverse(expected.begin(), expected.end());
        for (const std::size_t room : {1U, 3U, 64U, 200U}) {
            SealedSelect select(made.index, selection, backwards);
            select.seek(from);
            EXPECT_EQ(taken(select, room), expected) << "from " << from << ", room " << room;
            EXPECT_FALSE(select.damaged());
        }
    }
}

TEST_P(SealedIndexOf, ASelectionIsFoundRunByRunInEitherDirection) {
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(sample(1, 600), hasher, made));
    for (const Searched& searched : searches()) {
        SCOPED_TRACE(searched.selector.text());
        expect_found(made, hasher, searched, false);
        expect_found(made, hasher, searched, true);
    }
}

/// From either end of the list to every ordinal in one leap, also to those that lie between two
/// blocks of it.
TEST(SealedIndex, AWalkLeapsToEveryOrdinalInEitherDirection) {
    constexpr std::uint32_t kEvery = 9;
    constexpr std::uint32_t kEvents = 6000;  // six blocks
    std::vector<SealedEvent> events(kEvents);
    for (std::uint32_t n = 0; n < kEvents; n += kEvery) events[n].tags = {"some"};
    const Hasher hasher{1, 64};
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(events, hasher, made));
    SealedList list;
    ASSERT_EQ(made.index.find(KeyKind::tag, "some", hasher.key(KeyKind::tag, "some"), list),
              Found::yes);
    const std::uint32_t last = (kEvents - 1) / kEvery * kEvery;
    for (std::uint32_t ordinal = 0; ordinal < kEvents; ++ordinal) {
        for (const bool backwards : {false, true}) {
            SealedCursor cursor(made.index, list, backwards);
            std::uint32_t found = 0;
            ASSERT_TRUE(cursor.reach(backwards ? kEvents - 1 : 0, found));
            const std::uint32_t before = ordinal / kEvery * kEvery;
            const std::uint32_t behind = (ordinal + kEvery - 1) / kEvery * kEvery;
            const bool there = backwards || ordinal <= last;
            ASSERT_EQ(cursor.reach(ordinal, found), there) << ordinal << ", " << backwards;
            if (!there) continue;
            ASSERT_EQ(found, backwards ? before : behind) << ordinal;
            ASSERT_FALSE(cursor.damaged()) << ordinal << ", " << backwards;
        }
    }
}

TEST(SealedIndex, EventsWithoutNamesAndIdsAreCountedAndListedNowhere) {
    std::vector<SealedEvent> events(20);
    events[7].kind = log::RecordKind::control;
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(events, Hasher{1, 64}, made));
    EXPECT_EQ(made.index.events(), 20U);
    for (const KeyKind kind : test::kAllNameKinds) EXPECT_EQ(made.index.names(kind), 0U);
    EXPECT_EQ(made.index.names(KeyKind::id), 0U);
    SealedList list;
    EXPECT_EQ(made.index.find(KeyKind::stream, "any", list), Found::no);
    ASSERT_NO_FATAL_FAILURE(test::expect_model(made.index, made.model));
}

TEST(SealedIndex, ManyTypesDoNotTouchEventsWithoutOne) {
    std::vector<SealedEvent> events(66'000);
    for (std::size_t n = 0; n + 1 < events.size(); ++n) events[n].type = std::to_string(n);
    const Hasher hasher{1, 64};
    std::deque<Made> parts(1);
    ASSERT_NO_FATAL_FAILURE(build(events, hasher, parts[0]));
    Made whole;
    ASSERT_NO_FATAL_FAILURE(merge(parts, hasher, whole));
    ASSERT_NO_FATAL_FAILURE(test::expect_columns(parts[0].index, parts[0].model));
    ASSERT_NO_FATAL_FAILURE(test::expect_columns(whole.index, whole.model));
}

static_assert(noexcept(SealedIndex::open({}, {}, {}, std::declval<SealedIndex&>())));

TEST(SealedIndex, BelongsToOneStore) {
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(sample(1, 10), Hasher{1, 64}, made));
    SealedIndex other;
    EXPECT_STREQ(SealedIndex::open(made.file, log::Uuid{}, Hasher{1, 64}, other),
                 "it belongs to another store");
}

// ---- given up, and without disk or memory

TEST(SealedIndex, MakingOneCanBeGivenUpAtEveryQuestion) {
    const Hasher hasher{1, 64};
    std::deque<Made> parts;
    ASSERT_NO_FATAL_FAILURE(build_all({300, 200}, hasher, parts));
    const auto inputs = inputs_of(parts);
    const auto events = sample(1, 300);
    for (const bool merging : {false, true}) {
        bool done = false;
        int most = 0;
        for (; !done && most < 1000; ++most) {
            int left = most;
            const std::function<bool()> go_on = [&] { return left-- > 0; };
            MemorySink sink;
            MemoryScratch scratch;
            Result<void> result =
                merging ? merge_sealed(inputs, kSealedUuid, sink, scratch, go_on)
                        : test::make_sealed(events, {1, 2, 5, 304}, hasher, sink, go_on);
            done = result.has_value();
            ASSERT_TRUE(done || result.error().code == ErrorCode::busy) << most;
        }
        EXPECT_TRUE(done);
        EXPECT_GT(most, 1);
    }
}

TEST(SealedIndex, LongLoopsOfAMergeAskWhetherToGoOn) {
    // Columns and ids of so many events without names: less than one buffer of the writer.
    const Hasher hasher{1, 64};
    std::vector<SealedEvent> events(20'000);
    for (std::size_t n = 0; n < events.size(); ++n) events[n].id = id_of(n);
    Made made;
    ASSERT_NO_FATAL_FAILURE(build(events, hasher, made));
    const SealedIndex* const inputs[] = {&made.index};
    int asked = 0;
    MemorySink sink;
    MemoryScratch scratch;
    ASSERT_TRUE(merge_sealed(inputs, kSealedUuid, sink, scratch, [&] { return ++asked > 0; }));
    EXPECT_GE(asked, 2 * 20'000 / 4096);
}

TEST(SealedIndex, WithoutDiskOrMemoryTheErrorIsTold) {
    const Hasher hasher{1, 64};
    std::deque<Made> parts;
    ASSERT_NO_FATAL_FAILURE(build_all({300, 200}, hasher, parts));
    const auto inputs = inputs_of(parts);
    for (const bool disk : {false, true}) {
        bool done = false;
        std::uint64_t most = 0;
        for (; !done && most < 1000; ++most) {
            MemorySink sink;
            MemoryScratch scratch;
            (disk ? sink.writes_left : scratch.takes_left) = most;
            Result<void> result = merge_sealed(inputs, kSealedUuid, sink, scratch, kGoOn);
            done = result.has_value();
            const ErrorCode wanted = disk ? ErrorCode::no_space : ErrorCode::out_of_memory;
            ASSERT_TRUE(done || result.error().code == wanted) << most;
        }
        EXPECT_TRUE(done);
        EXPECT_GT(most, 1U);
    }
}

TEST(SealedIndex, OnlyNeighboursAreMerged) {
    const Hasher hasher{1, 64};
    std::deque<Made> parts;
    ASSERT_NO_FATAL_FAILURE(build_all({30, 20, 10}, hasher, parts));
    const auto refused = [&](std::vector<const SealedIndex*> inputs) {
        MemorySink sink;
        MemoryScratch scratch;
        Result<void> result = merge_sealed(inputs, kSealedUuid, sink, scratch, kGoOn);
        return !result && result.error().code == ErrorCode::invalid_argument && sink.file.empty();
    };
    EXPECT_TRUE(refused({&parts[0].index, &parts[2].index}));
    EXPECT_TRUE(refused({&parts[1].index, &parts[0].index}));
    EXPECT_TRUE(refused({&parts[0].index, &parts[0].index}));
    EXPECT_TRUE(refused({}));
}

}  // namespace
}  // namespace varve::index
