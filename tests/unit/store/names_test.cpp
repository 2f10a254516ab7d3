// Goal: pages of the catalogue hold every name once, exactly counted, over rolls, sealed indexes,
// colliding keys, and as of the snapshot; a stream whose key it shares with another one is not
// counted for both.
// Method: many streams over small segments, 8-bit hashes beside whole ones; pages put together and
// compared with a map; a snapshot that is older than what its segments hold.
#include <gtest/gtest.h>

#include <map>

#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

class Names : public ::testing::TestWithParam<std::uint8_t> {
protected:
    void open() {
        OpenOptions options;
        options.durability = Durability::os;
        options.segment_size_first = 64 << 10;
        options.segment_size_max = 64 << 10;
        options.hash_bits = GetParam();
        auto store = Store::open(directory_.store(), options);
        ASSERT_TRUE(store) << store.error().message;
        store_.emplace(std::move(*store));
    }
    void append(std::uint64_t count) {
        for (std::uint64_t n = 0; n < count; ++n) {
            const std::uint64_t draw = ++drawn_ * 2654435761U % 4093;
            const std::string stream =
                "s" + std::to_string(draw % 7) + "-" + std::to_string(draw % 311);
            const std::string tag = "t/" + std::to_string(draw % 97);
            ASSERT_TRUE(store_->append({{.stream = stream, .type = "kind", .tags = {tag}}}));
            add(wanted_[0], stream);
            add(wanted_[1], tag);
        }
    }
    void add(std::map<std::string, CatalogueEntry>& names, const std::string& name) {
        CatalogueEntry& entry = names[name];
        entry.name = name;
        if (entry.count++ == 0) entry.first = Position{drawn_};
        entry.last = Position{drawn_};
    }
    using Wanted = std::map<std::string, CatalogueEntry>;
    static void compare(const Snapshot& snapshot, NameKind kind, const Wanted& wanted,
                        std::uint64_t page) {
        auto next = wanted.begin();
        NamesOptions options;
        options.limit = page;
        std::string after;
        while (true) {
            options.after = after;
            auto entries = snapshot.names(kind, options);
            ASSERT_TRUE(entries) << entries.error().message;
            for (const CatalogueEntry& entry : *entries) {
                ASSERT_NE(next, wanted.end()) << entry.name;
                EXPECT_EQ(entry.name, next->first);
                EXPECT_EQ(entry.count, next->second.count) << entry.name;
                EXPECT_EQ(entry.first, next->second.first) << entry.name;
                EXPECT_EQ(entry.last, next->second.last) << entry.name;
                ++next;
            }
            if (entries->size() < page) break;
            after = entries->back().name;
        }
        EXPECT_EQ(next, wanted.end());
    }

    TemporaryDirectory directory_;
    std::optional<Store> store_;
    Wanted wanted_[2];
    std::uint64_t drawn_ = 0;
};

TEST_P(Names, PagesPutTogetherAreTheWholeCatalogueOfTheSnapshot) {
    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_NO_FATAL_FAILURE(append(3000));
    auto snapshot = store_->snapshot();
    ASSERT_TRUE(snapshot);
    const Wanted streams = wanted_[0];
    const Wanted tags = wanted_[1];
    compare(*snapshot, NameKind::stream, streams, 10);
    // More of the same names, and rolls: the snapshot does not see them, asked for the first time
    // or again.
    ASSERT_NO_FATAL_FAILURE(append(700));
    compare(*snapshot, NameKind::stream, streams, 1000);
    compare(*snapshot, NameKind::tag, tags, 7);
    auto later = store_->snapshot();
    ASSERT_TRUE(later);
    compare(*later, NameKind::stream, wanted_[0], 33);
    compare(*later, NameKind::tag, wanted_[1], 1);
}

TEST_P(Names, WhatIsNewSinceAPositionAreNamesThatBeginBehindIt) {
    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_NO_FATAL_FAILURE(append(1500));
    const Wanted* const all = wanted_;
    auto snapshot = store_->snapshot();
    ASSERT_TRUE(snapshot);
    for (const std::uint64_t since : {0U, 1U, 250U, 310U, 1499U, 1500U}) {
        NamesOptions options;
        options.since = Position{since};
        options.limit = 200;
        auto found = snapshot->names(NameKind::stream, options);
        ASSERT_TRUE(found);
        std::vector<std::string> names;
        for (const auto& [name, entry] : all[0]) {
            if (entry.first.value > since && names.size() < options.limit) names.push_back(name);
        }
        std::vector<std::string> got;
        for (const CatalogueEntry& entry : *found) got.push_back(entry.name);
        EXPECT_EQ(got, names) << since;
    }
}

TEST_P(Names, ReadersAnswerTheSame) {
    ASSERT_NO_FATAL_FAILURE(open());
    ASSERT_NO_FATAL_FAILURE(append(2000));
    OpenOptions options;
    options.access = Access::read_only;
    auto reader = Store::open(directory_.store(), options);
    ASSERT_TRUE(reader) << reader.error().message;
    auto snapshot = reader->snapshot();
    ASSERT_TRUE(snapshot);
    compare(*snapshot, NameKind::stream, wanted_[0], 50);
    compare(*snapshot, NameKind::tag, wanted_[1], 50);
    auto types = snapshot->types();
    ASSERT_TRUE(types);
    ASSERT_EQ(types->size(), 1U);
    EXPECT_EQ(types->front().count, 2000U);
    EXPECT_EQ(snapshot->categories()->size(), 7U);
    EXPECT_TRUE(snapshot->streams("s9")->empty());
}

INSTANTIATE_TEST_SUITE_P(HashBits, Names, ::testing::Values(4, 8, 64));

}  // namespace
}  // namespace varve::test
