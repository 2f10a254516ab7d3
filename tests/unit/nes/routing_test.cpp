// Goal: an index takes exactly the documents that its matcher matches, however documents are
// routed. Method: random matchers and documents, each answer compared with the matcher itself; and
// the spellings that routing by strings could miss.
#include "nes/routing.hpp"

#include <gtest/gtest.h>

#include "support/match_oracle.hpp"

namespace varve::nes {
namespace {

using Numbers = std::vector<std::size_t>;

/// What follows from asking every matcher.
Numbers asked(const std::vector<Matcher>& matchers, const std::string& document) {
    Numbers takers;
    for (std::size_t n = 0; n < matchers.size(); ++n)
        if (matchers[n].matches(document, {})) takers.push_back(n);
    return takers;
}

TEST(NesRouting, TheAnswerIsThatOfEveryMatcher) {
    std::size_t taken = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        test::MatchMaker maker(seed);
        Routing routing;
        std::vector<Matcher> matchers;
        std::vector<std::string> documents;
        for (std::size_t n = 0; n < 40; ++n) {
            matchers.push_back(Matcher::compile(maker.definition()).value());
            const std::string_view text = matchers.back().text();  // {"data":…}
            ASSERT_TRUE(routing.add(n, text.substr(8, text.size() - 9))) << text;
            for (int more = 0; more < 5; ++more) documents.push_back(maker.document());
            documents.push_back(maker.broken(documents.back()));
        }
        Numbers routed;
        for (const std::string& document : documents) {
            routing.route(document, routed);
            ASSERT_EQ(routed, asked(matchers, document)) << seed << ": " << document;
            taken += routed.size();
        }
    }
    EXPECT_GT(taken, 5'000U) << "documents that nobody takes prove little";
}

TEST(NesRouting, HoweverADocumentSpellsIt) {
    const std::vector<std::string> texts = {
        R"({"payload":{"type":"A"}})",        R"({"payload":{"type":["A","B"]}})",
        R"({"payload":{"a/b":"A"}})",         R"({"payload":{"tags":{"$has":"x"}}})",
        R"({"a":"x","b":{"c":{"d":"y"}}})",   R"({"payload":{"type":[1,"A"]}})",
        R"({"payload":{"type":{"$ne":"A"}}})"};
    Routing routing;
    std::vector<Matcher> matchers;
    for (const std::string& text : texts) {
        ASSERT_TRUE(routing.add(matchers.size(), text)) << text;
        matchers.push_back(Matcher::compile("{\"data\":" + text + "}").value());
    }
    const std::pair<std::string, Numbers> documents[] = {
        {R"({"payload":{"type":"A"}})", {0, 1, 5}},
        {R"({"payload":{"type":"\u0041"}})", {0, 1, 5}},
        {R"({"payload":{"t\u0079pe":"A"}})", {0, 1, 5}},
        {R"({"payload":{"type":"B","type":"A"}})", {0, 1, 5}},
        {R"({"payload":{"type":"A","type":"C"}})", {6}},
        {R"({"payload":{"type":1}})", {5, 6}},
        {R"({"payload":{"type":["A"]}})", {6}},
        {R"({"payload":{"a\/b":"A"}})", {2}},
        {R"({"payload":{"tags":["y","x","x"]}})", {3}},
        {R"({"payload":{"tags":"x"}})", {}},
        {R"({"b":{"c":{"d":"y"}},"a":"x"})", {4}},
        {R"({"payload":{"type":"A"}}x)", {}}};
    Numbers routed;
    for (const auto& [document, wanted] : documents) {
        routing.route(document, routed);
        EXPECT_EQ(routed, wanted) << document;
        EXPECT_EQ(asked(matchers, document), wanted) << document;
    }
}

TEST(NesRouting, StreamsAndEverything) {
    Routing routing;
    ASSERT_TRUE(routing.add(0, "{}"));
    ASSERT_TRUE(routing.add(1, R"({"stream":"a"})"));
    ASSERT_TRUE(routing.add(2, R"({"stream":"b"})"));
    ASSERT_TRUE(routing.add(3, R"({"stream":"a","payload":{"n":1}})"));
    Numbers routed;
    routing.route(R"({"stream":"a","payload":{"n":1}})", routed);
    EXPECT_EQ(routed, (Numbers{0, 1, 3}));
    routing.route(R"({"stream":"b"})", routed);
    EXPECT_EQ(routed, (Numbers{0, 2}));
    routing.route("no JSON", routed);
    EXPECT_EQ(routed, Numbers{0});
}

}  // namespace
}  // namespace varve::nes
