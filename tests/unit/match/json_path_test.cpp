// Goal: the scalars at a path are found, decoded, and nothing else is taken for one.
// Method: texts and paths side by side.
#include "match/json_path.hpp"

#include <gtest/gtest.h>

namespace varve::match {
namespace {

std::vector<std::string> names(std::string_view json, std::string_view path) {
    std::vector<std::string> found;
    for (const Scalar& scalar : values_at(json, split_path(path))) found.push_back(name_of(scalar));
    return found;
}

using Names = std::vector<std::string>;

TEST(JsonPath, FindsScalarsAndElements) {
    EXPECT_EQ(names(R"({"customerId":"c\u002d7","x":1})", "customerId"), Names{"c-7"});
    EXPECT_EQ(names(R"({"address":{"city":"Ulm"},"city":"no"})", "address.city"), Names{"Ulm"});
    EXPECT_EQ(names(R"({"n":1.50e1})", "n"), Names{"15"});
    EXPECT_EQ(names(R"({"t":["a",2,true,null,{"a":1},["b"]]})", "t"),
              (Names{"a", "2", "true", "null"}));
    EXPECT_EQ(names(R"({"t":[]})", "t"), Names{});
    EXPECT_EQ(names(R"({"a":{"b":{}}})", "a.b"), Names{});
    EXPECT_EQ(names(R"({"a":1})", "a.b"), Names{});
    EXPECT_EQ(names(R"({"a":1})", "b"), Names{});
    EXPECT_EQ(names(R"([{"a":1}])", "a"), Names{});
}

TEST(JsonPath, OfADuplicateKeyTheLastOneCounts) {
    EXPECT_EQ(names(R"({"a":1,"a":2})", "a"), Names{"2"});
    EXPECT_EQ(names(R"({"a":{"b":1},"a":{"c":2}})", "a.b"), Names{});
    EXPECT_EQ(names(R"({"a":{"b":1},"a":5})", "a.b"), Names{});
}

TEST(JsonPath, WhatIsNotJsonHasNoValues) {
    EXPECT_EQ(names(R"({"a":1)", "a"), Names{});
    EXPECT_EQ(names(R"({"a":1} 2)", "a"), Names{});
    EXPECT_EQ(names(R"({"a":1,"b":[}})", "a"), Names{});
    EXPECT_EQ(names("", "a"), Names{});
}

TEST(JsonPath, Splits) {
    EXPECT_EQ(split_path("a.b.c"), (Names{"a", "b", "c"}));
    EXPECT_EQ(split_path("a"), Names{"a"});
    for (const std::string_view wrong : {"", ".", "a.", ".a", "a..b"})
        EXPECT_EQ(split_path(wrong), Names{}) << wrong;
    EXPECT_TRUE(values_at("1", {}).empty());
    std::string longest = "a";
    for (int n = 1; n < 64; ++n) longest += ".a";
    EXPECT_EQ(split_path(longest).size(), 64U);
    EXPECT_EQ(split_path(longest + ".a"), Names{});
}

}  // namespace
}  // namespace varve::match
