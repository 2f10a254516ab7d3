// Goal: a key's list holds exactly the events that were applied with it, also when keys collide,
// when an event is applied again after a crash in the middle, and when the memory is somebody
// else's or hostile. Method: random events against a map; a half-applied event made by hand;
// headers and cells changed.
#include "index/active_index.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "index/head_cache.hpp"

namespace varve::index {
namespace {

class Memory {
public:
    explicit Memory(const ActCapacity& capacity) : bytes(capacity.bytes()) {
        header.slots = capacity.slots;
        header.events = capacity.events;
        header.cells = capacity.cells;
        header.segment = 4;
        index = ActiveIndex::format(bytes.data(), header);
    }
    std::vector<std::byte> bytes;
    ActHeader header;
    ActiveIndex index;
};

std::vector<std::uint32_t> ordinals(const ActiveIndex& index, Key key) {
    std::vector<std::uint32_t> found;
    Postings postings = index.postings(key);
    for (std::uint32_t ordinal = 0; postings.next(ordinal);) found.insert(found.begin(), ordinal);
    return found;
}

TEST(ActiveIndex, ListsWhatWasApplied) {
    Memory memory(capacity_for(64 << 10));
    std::map<Key, std::vector<std::uint32_t>> expected;
    std::mt19937_64 random(1);
    for (std::uint32_t ordinal = 0; ordinal < 300; ++ordinal) {
        std::vector<Key> keys;
        for (int n = 0; n < 4; ++n) {
            const Key key = (random() % 100 + 1) << 3 | 1;
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
        }
        ASSERT_TRUE(memory.index.has_room(1, keys.size()));
        memory.index.apply(ordinal, 512 + ordinal, keys, false);
        for (const Key key : keys) expected[key].push_back(ordinal);
    }
    for (const auto& [key, list] : expected) {
        EXPECT_EQ(ordinals(memory.index, key), list);
        EXPECT_EQ(memory.index.find(key).count, list.size());
    }
    EXPECT_EQ(ordinals(memory.index, 0xFFFF0), std::vector<std::uint32_t>{});
    EXPECT_EQ(memory.index.offset8(7), 519U);
    EXPECT_EQ(memory.index.offset8(300), 0U);
    EXPECT_EQ(memory.index.offset8(~0ULL), 0U);
}

TEST(ActiveIndex, AnEventAppliedAgainIsListedOnce) {
    Memory memory(capacity_for(64 << 10));
    const std::vector<Key> keys{9, 17, 25};
    memory.index.apply(0, 512, std::span(keys).first(2), false);  // the third was not reached
    memory.index.apply(0, 512, keys, true);
    memory.index.apply(0, 512, keys, true);
    for (const Key key : keys)
        EXPECT_EQ(ordinals(memory.index, key), std::vector<std::uint32_t>{0});
}

TEST(ActiveIndex, SaysWhenItIsFull) {
    Memory memory(capacity_for(64 << 10, 0, 0));
    std::uint32_t applied = 0;
    while (memory.index.has_room(1, 1)) {
        const Key key = (Key{applied} + 1) << 3 | 1;
        memory.index.apply(applied, 512, {&key, 1}, false);
        ++applied;
    }
    EXPECT_GT(applied, 100U);
    EXPECT_LE(applied, memory.index.capacity().slots / 4 * 3);
    for (std::uint32_t n = 0; n < applied; ++n) {
        EXPECT_EQ(ordinals(memory.index, (Key{n} + 1) << 3 | 1), std::vector<std::uint32_t>{n});
    }
}

TEST(ActiveIndex, IsTakenOverOnlyByItsOwnSegmentAndBoot) {
    Memory memory(capacity_for(64 << 10));
    ActiveIndex other;
    EXPECT_TRUE(
        ActiveIndex::attach(memory.bytes.data(), memory.bytes.size(), memory.header, other));
    for (int change = 0; change < 4; ++change) {
        ActHeader wanted = memory.header;
        if (change == 0) wanted.segment = 5;
        if (change == 1) wanted.salt = 1;
        if (change == 2) wanted.boot[3] = std::byte{1};
        if (change == 3) wanted.mount = 9;
        EXPECT_FALSE(ActiveIndex::attach(memory.bytes.data(), memory.bytes.size(), wanted, other))
            << change;
    }
    EXPECT_FALSE(
        ActiveIndex::attach(memory.bytes.data(), memory.bytes.size() - 4096, memory.header, other));
}

TEST(ActiveIndex, EveryLengthOfListIsReadBack) {
    Memory memory(capacity_for(1 << 20));
    // Key n is carried by the last n events: lists of every length up to several blocks.
    constexpr std::uint32_t kLongest = 100;
    for (std::uint32_t ordinal = 0; ordinal < kLongest; ++ordinal) {
        std::vector<Key> keys;
        for (std::uint32_t n = kLongest - ordinal; n <= kLongest; ++n) keys.push_back(Key{n} << 3);
        ASSERT_TRUE(memory.index.has_room(1, std::span<const Key>(keys)));
        memory.index.apply(ordinal, 512, keys, false);
        memory.index.apply(ordinal, 512, keys, true);  // changes nothing
    }
    for (std::uint32_t n = 1; n <= kLongest; ++n) {
        const auto list = ordinals(memory.index, Key{n} << 3);
        ASSERT_EQ(list.size(), n);
        EXPECT_EQ(list.front(), kLongest - n);
        EXPECT_EQ(list.back(), kLongest - 1);
        EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
    }
}

TEST(ActiveIndex, RoomIsExactWhenItGetsTight) {
    ActCapacity capacity = capacity_for(64 << 10);
    capacity.cells = 64;
    Memory memory(capacity);
    // One key over and over: a block of fifteen per cache line, to the last entry of the last line.
    const Key key = 9;
    std::uint32_t applied = 0;
    while (memory.index.has_room(1, std::span(&key, 1)))
        memory.index.apply(applied++, 512, {&key, 1}, false);
    EXPECT_EQ(applied, 4U + 7 * 15);
    const std::vector<Key> again(2, key);
    EXPECT_FALSE(memory.index.has_room(1, std::span(again)));
    EXPECT_EQ(ordinals(memory.index, key).size(), applied);
}

TEST(ActiveIndex, HostileListsAreNoticedAndLeadNowhere) {
    const Key key = 9;
    for (std::uint64_t word = 0; word < 64; ++word) {
        Memory memory(capacity_for(64 << 10));
        for (std::uint32_t n = 0; n < 40; ++n) memory.index.apply(n, 512, {&key, 1}, false);
        // Each word of the cells in turn points forwards, into itself, and out of the memory.
        const std::uint64_t at = memory.index.capacity().cells_at() + 8 * word;
        base::store(memory.bytes.data() + at, 0xFFFFFFF0FFFFFFF0ULL >> word % 2);
        Postings postings = memory.index.postings(key);
        std::size_t found = 0;
        for (std::uint32_t ordinal = 0; postings.next(ordinal); ++found) EXPECT_LT(ordinal, 40U);
        EXPECT_TRUE(found == 40 || postings.damaged());
        EXPECT_LE(found, 40U);
        memory.index.apply(40, 512, {&key, 1}, false);
    }
    // A word that claims more than there can be, and one whose block lies outside.
    Memory memory(capacity_for(64 << 10));
    memory.index.apply(0, 512, {&key, 1}, false);
    for (std::uint64_t at = kActSlotsOffset; at < memory.index.capacity().offsets_at(); at += 16) {
        if (base::load<std::uint64_t>(memory.bytes.data() + at) != key) continue;
        for (const std::uint64_t word : {~0ULL, 0x3'FFFFFFF0ULL, 0x50'FFFFFFF0ULL}) {
            base::store(memory.bytes.data() + at + 8, word);
            Postings postings = memory.index.postings(key);
            std::uint32_t ordinal = 0;
            while (postings.next(ordinal)) {
            }
            EXPECT_TRUE(postings.damaged());
            memory.index.apply(1, 512, {&key, 1}, false);
            EXPECT_EQ(ordinals(memory.index, key).size(), 0U);
        }
    }
}

TEST(Key, KindsAndNamesDiffer) {
    const Hasher hasher(7, 64);
    EXPECT_NE(hasher.key(KeyKind::stream, "a"), hasher.key(KeyKind::tag, "a"));
    EXPECT_NE(hasher.key(KeyKind::stream, "a"), hasher.key(KeyKind::stream, "b"));
    EXPECT_NE(hasher.key(KeyKind::stream, "a"), Hasher(8, 64).key(KeyKind::stream, "a"));
    EXPECT_EQ(kind_of(hasher.key(KeyKind::category, "x")), KeyKind::category);
    EXPECT_LT(Hasher(7, 8).key(KeyKind::tag, "anything"), 1ULL << 11);
}

TEST(Key, CategoryIsWhatStandsBeforeTheFirstSeparator) {
    EXPECT_EQ(category_of("order-1-2"), "order");
    EXPECT_EQ(category_of("order/7-1"), "order");
    EXPECT_EQ(category_of("order"), "");
    EXPECT_EQ(category_of("-order"), "");
}

TEST(HeadCache, ReturnsWhatWasPutOrNothing) {
    HeadCache cache(16);
    const Hasher hasher(1, 8);
    std::map<std::string, Head> last;
    for (std::uint64_t n = 1; n < 500; ++n) {
        const std::string name = "stream-" + std::to_string(n * 7 % 60);
        last[name] = {n, n * 2};
        cache.put(hasher.key(KeyKind::stream, name), name, last[name]);
        Head head;
        ASSERT_TRUE(cache.find(hasher.key(KeyKind::stream, name), name, head));
        EXPECT_EQ(head.version, n);
    }
    std::size_t hits = 0;
    for (const auto& [name, expected] : last) {
        Head head;
        if (!cache.find(hasher.key(KeyKind::stream, name), name, head)) continue;
        ++hits;
        EXPECT_EQ(head.version, expected.version);
        EXPECT_EQ(head.position, expected.position);
    }
    EXPECT_GT(hits, 0U);
    EXPECT_LE(hits, 16U);
    Head head;
    EXPECT_FALSE(cache.find(hasher.key(KeyKind::stream, "never"), "never", head));
}

}  // namespace
}  // namespace varve::index
