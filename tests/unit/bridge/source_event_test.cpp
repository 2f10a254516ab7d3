// Goal: a document becomes the event that its text says, whatever it is, and the same one each
// time. Method: documents of both kinds and what must be read of them.
#include "bridge/source_event.hpp"

#include <gtest/gtest.h>

namespace varve::bridge {
namespace {

nes::StoredDocument document(std::string_view data, std::uint64_t number = 7) {
    nes::StoredDocument stored;
    stored.number = number;
    stored.partition = "the/partition";
    stored.data = data;
    stored.time_us = 1'700'000'000'000'123;
    return stored;
}

class SourceEvents : public testing::Test {
protected:
    bool read(std::string_view data) { return read_event(document(data), paths_, texts_, event_); }
    std::vector<std::string> tags() { return {event_.event.tags.begin(), event_.event.tags.end()}; }

    Paths paths_{{"stream"}, {"type"}, {"tags"}};
    std::list<std::string> texts_;
    SourceEvent event_;
};

TEST_F(SourceEvents, OfAnEventStore) {
    ASSERT_TRUE(read(
        R"({"stream":"a/\"b\"","payload":{"x":[1],"type":"T","tags":["u","\u00e9",1,""]},)"
        R"("metadata":{"commitId":4,"committedAt":1700000000001.5,"commitVersion":1,"commitSize":3}})"));
    EXPECT_TRUE(event_.envelope);
    EXPECT_EQ(event_.event.stream, "a/\"b\"");
    EXPECT_EQ(event_.event.data, R"({"x":[1],"type":"T","tags":["u","\u00e9",1,""]})");
    EXPECT_EQ(event_.event.type, "T");
    EXPECT_EQ(tags(), (std::vector<std::string>{"u", "\xC3\xA9"}));
    EXPECT_EQ(event_.event.time_us, 1'700'000'000'001'500);
    EXPECT_EQ(event_.commit.id, 4U);
    EXPECT_EQ(event_.commit.version, 1U);
    EXPECT_EQ(event_.commit.size, 3U);
}

TEST_F(SourceEvents, WithoutAPayloadAndWithOddMetadata) {
    ASSERT_TRUE(read(R"({"stream":"a","metadata":{"committedAt":"soon","commitId":-1,)"
                     R"("commitVersion":0,"commitSize":2}})"));
    EXPECT_TRUE(event_.envelope);
    EXPECT_EQ(event_.event.data, "");
    EXPECT_EQ(event_.event.time_us, 1'700'000'000'000'123) << "the document's";
    EXPECT_EQ(event_.commit.size, 1U) << "without all three it is no part of a commit";
    ASSERT_TRUE(read(R"({"stream":"a","payload":"type","metadata":{"committedAt":1e300}})"));
    EXPECT_EQ(event_.event.data, "\"type\"");
    EXPECT_EQ(event_.event.type, "");
    EXPECT_EQ(event_.event.time_us, 1'700'000'000'000'123);
}

TEST_F(SourceEvents, AnythingElseIsKeptWhole) {
    for (const char* text :
         {R"({"stream":"s","payload":{"type":"no"},"metadata":{},"more":1,"type":"T"})",
          R"({"stream":"s","payload":1,"type":"T"})", R"({"stream":"s","metadata":[],"type":"T"})",
          R"({"stream":"s","stream":"s","metadata":{},"type":"T"})"}) {
        ASSERT_TRUE(read(text)) << text;
        EXPECT_FALSE(event_.envelope) << text;
        EXPECT_EQ(event_.event.data, text);
        EXPECT_EQ(event_.event.metadata, "");
        EXPECT_EQ(event_.event.stream, "s");
        EXPECT_EQ(event_.event.type, "T") << text;
    }
    ASSERT_TRUE(read(R"({"stream":5,"type":["","T","U"]})"));
    EXPECT_EQ(event_.event.stream, "the/partition");
    EXPECT_EQ(event_.event.type, "T");
    EXPECT_EQ(event_.types, 2U);
    for (const char* text : {"", "1", "[]", "{\"a\":1", "{}{}", "{\"a\":\"\\q\"}", "\x93\x01"})
        EXPECT_FALSE(read(text)) << text;
}

TEST_F(SourceEvents, PathsMayBeDeepOrNowhere) {
    paths_ = {split_path("meta.name"), split_path("a.b.c"), {}};
    EXPECT_EQ(joined(paths_.type), "a.b.c");
    EXPECT_TRUE(split_path("").empty());
    ASSERT_TRUE(read(R"({"meta":{"name":"n"},"a":{"b":{"c":"deep"}},"tags":["t"]})"));
    EXPECT_EQ(event_.event.stream, "n");
    EXPECT_EQ(event_.event.type, "deep");
    EXPECT_TRUE(tags().empty());
    ASSERT_TRUE(read(R"({"a":{"b":"c"}})"));
    EXPECT_EQ(event_.event.type, "");
}

TEST(SourceIds, FollowFromTheDocumentAndTellItsNumber) {
    const std::uint32_t mark = source_mark("shop");
    EXPECT_NE(mark, source_mark("shop2"));
    const EventId id = id_of(document("{}"), mark);
    EXPECT_EQ(id, id_of(document("{}"), mark));
    EXPECT_NE(id, id_of(document("{ }"), mark));
    EXPECT_NE(id, id_of(document("{}", 8), mark));
    auto later = document("{}");
    ++later.time_us;
    EXPECT_NE(id, id_of(later, mark));
    EXPECT_EQ(number_in(id.bytes.data(), mark), 7U);
    EXPECT_EQ(number_in(id.bytes.data(), mark + 1), 0U);
}

}  // namespace
}  // namespace varve::bridge
