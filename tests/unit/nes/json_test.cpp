// Goal: fields of JSON text are found as they are spelt, and nothing else is taken for JSON.
// Method: texts and what they hold.
#include "nes/json.hpp"

#include <gtest/gtest.h>

namespace varve::nes {
namespace {

TEST(NesJson, FieldsAreFoundAtTheTopOnly) {
    constexpr std::string_view kText =
        R"( { "a" : {"b":1,"c":"}"} , "b":[1,{"a":2}], "c":"x\"y", "d":-1.5e3, "c" : null } )";
    EXPECT_EQ(json_field(kText, "a"), R"({"b":1,"c":"}"})");
    EXPECT_EQ(json_field(kText, "b"), R"([1,{"a":2}])");
    EXPECT_EQ(json_field(kText, "c"), "null") << "the last one counts";
    EXPECT_EQ(json_field(kText, "d"), "-1.5e3");
    EXPECT_FALSE(json_field(kText, "e"));
    EXPECT_FALSE(json_field("{}", "a"));
    EXPECT_FALSE(json_field("[]", "a"));
    EXPECT_FALSE(json_field("{\"a\":1", "a"));
}

TEST(NesJson, OnlyWholeObjectsAreObjects) {
    for (const char* good : {"{}", " {\"a\":[]} ", "{\"a\":{\"b\":[1,2,true,false,null]}}"})
        EXPECT_TRUE(is_json_object(good)) << good;
    for (const char* bad : {"", "[]", "1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{}x",
                            "{\"a\":01}", "{\"a\":+1}", "{\"a\":\"\n\"}", "{a:1}", "{\"a\":tru}"})
        EXPECT_FALSE(is_json_object(bad)) << bad;
    EXPECT_FALSE(is_json_object("{\"a\":" + std::string(100'000, '[')));
}

TEST(NesJson, ManyFieldsAreFoundInOneGo) {
    JsonField wanted[] = {{"b", {}}, {"missing", {}}, {"c", {}}};
    EXPECT_EQ(json_fields(R"({"a":1,"b":{"c":0}, "c":"x" , "c":[2]} )", wanted), 4U);
    EXPECT_EQ(wanted[0].value, R"({"c":0})");
    EXPECT_FALSE(wanted[1].value);
    EXPECT_EQ(wanted[2].value, "[2]") << "the last one counts";
    EXPECT_EQ(json_fields("{}", wanted), 0U);
    for (const char* bad : {"", "[]", "{} x", "{\"a\":1", "{\"a\":1,}", "{\"a\":\"\\q\"}"})
        EXPECT_FALSE(json_fields(bad, wanted)) << bad;
    const auto members = json_members(R"({"x":1,"y":[ "z" ]})");
    ASSERT_TRUE(members && members->size() == 2);
    EXPECT_EQ((*members)[0].key, "x");
    EXPECT_EQ((*members)[1].value, R"([ "z" ])");
    EXPECT_FALSE(json_members(R"({"x":1}})"));
    const auto elements = json_elements(R"([ 1 ,"a,b",[]] )");
    ASSERT_TRUE(elements && elements->size() == 3);
    EXPECT_EQ((*elements)[1], R"("a,b")");
    EXPECT_EQ(json_elements("[]")->size(), 0U);
    EXPECT_FALSE(json_elements("[1,]"));
    EXPECT_FALSE(json_elements("{}"));
}

TEST(NesJson, StringsAreLookedAtToTheirEnd) {
    // Bytes that end a string at every distance from the steps of eight.
    for (std::size_t length = 0; length < 40; ++length) {
        const std::string plain(length, 'x');
        EXPECT_TRUE(is_json_object("{\"a\":\"" + plain + "\xC3\xA9\\u00e9\"}")) << length;
        EXPECT_TRUE(is_json_object("{\"a\":\"" + plain + "\\\\\"}")) << length;
        for (const char* bad :
             {"\x1F\"}", "\\q\"}", "\\u12g4\"}", "\\\"}", "\\", "", "\"", "\n\"}"})
            EXPECT_FALSE(is_json_object("{\"a\":\"" + plain + bad)) << length << bad;
    }
}

TEST(NesJson, AllFieldsAndElementsInOrder) {
    std::vector<JsonField> fields;
    ASSERT_TRUE(json_members(R"( {"a":1, "b" : {"a":[2]} ,"a":"x,y"} )", fields));
    ASSERT_EQ(fields.size(), 3U);
    EXPECT_EQ(fields[0].key, "a");
    EXPECT_EQ(fields[1].value, R"({"a":[2]})");
    EXPECT_EQ(fields[2].value, R"("x,y")");
    ASSERT_TRUE(json_members("{}", fields));
    EXPECT_TRUE(fields.empty());
    for (const char* bad : {"", "[]", "{\"a\":1", "{\"a\":1}x", "{\"a\":1,}", "{\"a\":[}"})
        EXPECT_FALSE(json_members(bad, fields)) << bad;
    std::vector<std::string_view> elements;
    ASSERT_TRUE(json_elements(R"( [1, [2,3] , "4,]" ] )", elements));
    EXPECT_EQ(elements, (std::vector<std::string_view>{"1", "[2,3]", R"("4,]")"}));
    ASSERT_TRUE(json_elements("[]", elements));
    EXPECT_TRUE(elements.empty());
    for (const char* bad : {"", "{}", "\"a\"", "[1", "[1]x", "[1,]", "[01]"})
        EXPECT_FALSE(json_elements(bad, elements)) << bad;
}

TEST(NesJson, StringsMeanWhatTheyDenote) {
    EXPECT_EQ(json_string(R"("a\"\\\/\n\u00e9\ud83d\ude00")"), "a\"\\/\n\xC3\xA9\xF0\x9F\x98\x80");
    EXPECT_EQ(json_string(R"("\ud83d")"), "\xEF\xBF\xBD");
    EXPECT_FALSE(json_string(R"("\x")"));
    EXPECT_FALSE(json_string(R"("\u12")"));
    EXPECT_FALSE(json_string("1"));
    EXPECT_EQ(json_quoted("a\"b\\\n\x01\xC3\xA9"), "\"a\\\"b\\\\\\n\\u0001\xC3\xA9\"");
}

TEST(NesJson, NumbersAreRead) {
    EXPECT_EQ(json_number("-12.5e1"), -125.0);
    EXPECT_EQ(json_number("1700000000000"), 1700000000000.0);
    for (const char* bad : {"", "-", "01", "1.", ".5", "1e", "1e999", "0x1", "1 "})
        EXPECT_FALSE(json_number(bad)) << bad;
}

}  // namespace
}  // namespace varve::nes
