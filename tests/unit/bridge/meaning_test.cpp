// Goal: an index is said to be a stream, type or tag only if its matcher says exactly that; what
// cannot be said here is refused with a reason. Method: matchers of every form.
#include "bridge/meaning.hpp"

#include <gtest/gtest.h>

namespace varve::bridge {
namespace {

nes::IndexInfo index_of(std::string name, std::string matcher) {
    nes::IndexInfo index;
    index.name = std::move(name);
    index.matcher = std::move(matcher);
    index.kind = index.matcher.empty()          ? nes::MatcherKind::none
                 : index.matcher.front() == '{' ? nes::MatcherKind::object
                                                : nes::MatcherKind::function;
    return index;
}

const Paths kPaths{{"stream"}, {"type"}, {"meta", "tags"}};

Meaning meaning(std::string name, std::string matcher, bool envelopes = true) {
    return meaning_of(index_of(std::move(name), std::move(matcher)), kPaths, envelopes);
}

TEST(Meanings, WhatTheOriginalMakesByItself) {
    const Meaning stream = meaning("stream-a/\"b\"", R"({"stream":"a/\"b\""})");
    EXPECT_EQ(stream.means, Means::stream);
    EXPECT_EQ(stream.name, "a/\"b\"");
    EXPECT_EQ(stream.selector, Selector::stream("a/\"b\""));
    const Meaning type = meaning("stream-T", R"({"payload":{"type":"T"}})");
    EXPECT_EQ(type.means, Means::type);
    EXPECT_EQ(type.selector, Selector::type("T"));
    for (const char* demand : {R"("t")", R"({"$has":"t"})"}) {
        const Meaning tag = meaning("stream-tags/t",
                                    R"({"payload":{"meta":{"tags":)" + std::string(demand) + "}}}");
        EXPECT_EQ(tag.means, Means::tag) << demand;
        EXPECT_EQ(tag.selector, Selector::tag("t"));
    }
}

TEST(Meanings, WhatOnlyLooksLikeIt) {
    for (const auto& [name, matcher] : {std::pair{"stream-a", R"({"stream":"b"})"},
                                        {"a", R"({"stream":"b"})"},
                                        {"stream-T", R"({"payload":{"kind":"T"}})"},
                                        {"stream-T", R"({"payload":{"type":"U"}})"},
                                        {"stream-T", R"({"payload":{"type":"T","n":1}})"},
                                        {"stream-t", R"({"payload":{"meta":{"tags":"t"}}})"},
                                        {"stream-T", R"({"payload":{"type":["T"]}})"}}) {
        const Meaning derived = meaning(name, matcher);
        EXPECT_EQ(derived.means, Means::derived) << matcher;
        EXPECT_EQ(derived.why, "");
    }
}

TEST(Meanings, SelectorAndMatcher) {
    const Meaning both = meaning(
        "stream-x", R"({"stream":["a","b"],"payload":{"n":{"$gt":5}},"metadata":{"user":"ann"}})");
    EXPECT_EQ(both.selector, Selector::stream("a") | Selector::stream("b"));
    ASSERT_TRUE(both.matcher);
    EXPECT_TRUE(both.matcher->matches(R"({"n":6})", R"({"user":"ann"})"));
    EXPECT_FALSE(both.matcher->matches(R"({"n":6})", R"({"user":"bob"})"));
    const Meaning all = meaning("stream-x", "{}");
    EXPECT_EQ(all.means, Means::derived);
    EXPECT_TRUE(all.selector.is_all());
    EXPECT_FALSE(all.matcher);
    const Meaning whole = meaning("stream-x", R"({"stream":"x"})", false);
    EXPECT_EQ(whole.name, "stream-x") << "a storage without an event store has no prefix";
    ASSERT_TRUE(whole.matcher);
    EXPECT_TRUE(whole.matcher->matches(R"({"stream":"x"})", ""));
    EXPECT_TRUE(meaning("x", "{}", false).selector.is_all());
}

TEST(Meanings, WhatCannotBeSaid) {
    for (const char* matcher :
         {"", "(e) => true", R"({"stream":{"$ne":"a"}})", R"({"stream":[]})", R"({"stream":[1]})",
          R"({"other":1})", R"({"payload":{"a":{"$regex":"x"}}})", R"({"payload":{"a":{}}})"}) {
        const Meaning none = meaning("stream-x", matcher);
        EXPECT_EQ(none.means, Means::nothing) << matcher;
        EXPECT_NE(none.why, "") << matcher;
    }
}

TEST(Meanings, AccessorsAreFoundByWhatTheyHaveMade) {
    const std::vector<nes::IndexInfo> none = {index_of("stream-a", R"({"stream":"a"})"),
                                              index_of("stream-x", R"({"payload":{"k":"K"}})"),
                                              index_of("stream-f", "(e) => true")};
    EXPECT_FALSE(accessors_of(none).type);
    EXPECT_FALSE(accessors_of(none).tags);
    std::vector<nes::IndexInfo> both = none;
    both.push_back(index_of("stream-K", R"({"payload":{"deep":{"kind":"K"}}})"));
    both.push_back(index_of("stream-tags/t", R"({"payload":{"labels":{"$has":"t"}}})"));
    EXPECT_EQ(accessors_of(both).type, (Path{"deep", "kind"}));
    EXPECT_EQ(accessors_of(both).tags, (Path{"labels"}));
}

}  // namespace
}  // namespace varve::bridge
