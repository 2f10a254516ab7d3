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
