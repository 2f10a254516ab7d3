// Goal: what a definition means, what a document may be, and what is refused, case by case.
// Method: definitions and documents side by side; error texts with the place they name.
#include "varve/matcher.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "match/definition.hpp"
#include "match/program.hpp"

namespace varve {
namespace {

bool matches(std::string_view definition, std::string_view data, std::string_view metadata = {}) {
    const auto matcher = Matcher::compile(definition);
    EXPECT_TRUE(matcher) << definition << ": " << (matcher ? "" : matcher.error().message);
    return matcher && matcher->matches(data, metadata);
}

/// A demand on the field v of the data.
bool demands(std::string_view demand, std::string_view value) {
    return matches("{\"data\":{\"v\":" + std::string(demand) + "}}",
                   "{\"v\":" + std::string(value) + "}");
}

std::string refusal(std::string_view definition) {
    const auto matcher = Matcher::compile(definition);
    EXPECT_FALSE(matcher) << definition;
    if (matcher) return {};
    EXPECT_EQ(matcher.error().code, ErrorCode::invalid_argument);
    return matcher.error().message;
}

std::string text(std::string_view definition) {
    const auto matcher = Matcher::compile(definition);
    EXPECT_TRUE(matcher) << definition << ": " << (matcher ? "" : matcher.error().message);
    return matcher ? std::string(matcher->text()) : "";
}

TEST(Matcher, EqualityAnyOfAndNesting) {
    EXPECT_TRUE(demands("5", "5"));
    EXPECT_FALSE(demands("5", "\"5\""));
    EXPECT_TRUE(demands("null", "null"));
    EXPECT_FALSE(demands("null", "false"));
    EXPECT_FALSE(demands("true", "1"));
    EXPECT_TRUE(demands("[1,\"a\",null]", "\"a\""));
    EXPECT_FALSE(demands("[1,\"a\",null]", "2"));
    EXPECT_FALSE(demands("[1]", "[1]")) << "a list means one of";
    EXPECT_TRUE(demands(R"({"a":{"b":1}})", R"({"x":0,"a":{"b":1.0,"c":2}})"));
    EXPECT_FALSE(demands(R"({"a":{"b":1}})", R"({"a":1,"b":1})"));
    EXPECT_FALSE(demands(R"({"a":1})", "null"));
    EXPECT_FALSE(demands(R"({"a":1})", R"([{"a":1}])"));
    EXPECT_FALSE(matches(R"({"data":{"b":1}})", R"({"a":{"b":1}})")) << "another level";
    EXPECT_TRUE(matches(R"({"data":"whole"})", R"("whole")")) << "data need not be an object";
    EXPECT_TRUE(matches(R"({"data":{"$gt":5}})", " 6 "));
}

TEST(Matcher, DataAndMetadataBothHold) {
    const auto* const both = R"({"data":{"a":1},"metadata":{"user":"ann"}})";
    EXPECT_TRUE(matches(both, R"({"a":1})", R"({"user":"ann"})"));
    EXPECT_FALSE(matches(both, R"({"a":1})", R"({"user":"bob"})"));
    EXPECT_FALSE(matches(both, R"({"a":2})", R"({"user":"ann"})"));
    EXPECT_FALSE(matches(both, R"({"a":1})", ""));
    EXPECT_TRUE(matches(R"({"metadata":{"user":"ann"}})", "\xFF not JSON", R"({"user":"ann"})"))
        << "what the definition does not speak of is not looked at";
}

TEST(Matcher, Operators) {
    EXPECT_TRUE(demands(R"({"$gt":1,"$lte":3})", "3"));
    EXPECT_FALSE(demands(R"({"$gt":1,"$lte":3})", "1"));
    EXPECT_FALSE(demands(R"({"$gt":1,"$lte":3})", "3.0000000000000000001"));
    EXPECT_TRUE(demands(R"({"$gte":"b"})", "\"b\""));
    EXPECT_FALSE(demands(R"({"$gte":"b"})", "\"aa\""));
    EXPECT_TRUE(demands(R"({"$lt":"\uD83D\uDE00"})", "\"\xEF\xBF\xBD\"")) << "by code points";
    EXPECT_FALSE(demands(R"({"$gte":5})", "\"7\"")) << "kinds do not compare";
    EXPECT_FALSE(demands(R"({"$lt":5})", "null"));
    EXPECT_TRUE(demands(R"({"$ne":1})", "2"));
    EXPECT_FALSE(demands(R"({"$ne":1})", "1e0"));
    EXPECT_TRUE(demands(R"({"$ne":1})", "\"1\""));
    EXPECT_TRUE(demands(R"({"$ne":1})", "[1]"));
    EXPECT_TRUE(demands(R"({"$ne":1})", "{}"));
    EXPECT_FALSE(matches(R"({"data":{"v":{"$ne":1}}})", "{}")) << "missing satisfies nothing";
    EXPECT_TRUE(demands(R"({"$eq":"x","$ne":"y"})", "\"x\""));
}

TEST(Matcher, HasAndHasAny) {
    EXPECT_TRUE(demands(R"({"$has":5})", "[4,5.0]"));
    EXPECT_TRUE(demands(R"({"$has":true})", "[false,true]"));
    EXPECT_FALSE(demands(R"({"$has":5})", "5")) << "only an array has";
    EXPECT_FALSE(demands(R"({"$has":5})", "[]"));
    EXPECT_FALSE(demands(R"({"$has":5})", "[[5],{\"a\":5}]")) << "elements, not what is in them";
    EXPECT_TRUE(demands(R"({"$has":"a","$ne":"b"})", "[\"a\"]"));
    EXPECT_FALSE(demands(R"({"$has":"a","$eq":"a"})", "[\"a\"]"));
    EXPECT_TRUE(demands(R"({"$hasAny":["x","y"]})", "[\"y\"]"));
    EXPECT_FALSE(demands(R"({"$hasAny":["x","y"]})", "[\"z\"]"));
    EXPECT_TRUE(demands(R"({"$has":1,"$hasAny":[2,3]})", "[3,1]"));
    EXPECT_FALSE(demands(R"({"$has":1,"$hasAny":[2,3]})", "[3,2]"));
}

TEST(Matcher, NumbersAreExact) {
    EXPECT_TRUE(demands(R"({"$gt":0.45})", "0.5"));
    EXPECT_FALSE(demands(R"({"$lt":1.25})", "1.3"));
    EXPECT_TRUE(demands(R"({"$gt":-1.5})", "-1.25"));
    EXPECT_TRUE(demands(R"({"$gt":5})", "1e21"));
    EXPECT_FALSE(demands("9007199254740993", "9007199254740992"));
    EXPECT_TRUE(demands("9007199254740993", "900719925474099.3e1"));
    EXPECT_TRUE(demands("0", "-0.000e99999999999999999999999"));
    EXPECT_TRUE(demands("100", "0.001E+5"));
    EXPECT_TRUE(demands("1000", "0.1e000000000000000000000000004"));
    EXPECT_TRUE(demands(R"({"$gt":1e1000000000})", "1e99999999999999999999999999"));
    EXPECT_TRUE(demands(R"({"$gt":-1e1000000000})", "-1e-99999999999999999999999999"));
    EXPECT_FALSE(demands(R"({"$gt":0})", "-1e-99999999999999999999999999"));
    EXPECT_TRUE(demands(R"({"$gt":0})", "1e-99999999999999999999999999"));
    EXPECT_TRUE(demands("1", "1" + std::string(100000, '0') + "e-100000"));
    EXPECT_TRUE(demands("1", "0." + std::string(99999, '0') + "1e100000"));
}

TEST(Matcher, StringsHaveManySpellings) {
    EXPECT_TRUE(demands("\"needle\"", R"("n\u0065edle")")) << "looked for, not found, but there";
    EXPECT_TRUE(matches(R"({"data":{"key":"value"}})", R"({"k\u0065y":"value"})"));
    EXPECT_TRUE(demands(R"("a\/b")", R"("a/b")"));
    EXPECT_TRUE(demands(R"("\ud83d\ude00")", "\"\xF0\x9F\x98\x80\""));
    EXPECT_TRUE(demands("\"\xF0\x9F\x98\x80\"", R"("\uD83D\uDE00")"));
    EXPECT_TRUE(demands(R"("\u0000\n\"\\")", R"("\u0000\u000A\u0022\u005c")"));
    EXPECT_FALSE(demands(R"("ab")", R"("a\u0062c")"));
    EXPECT_FALSE(demands(R"("abc")", R"("a\u0062")"));
}

TEST(Matcher, OfADuplicateKeyTheLastOneCounts) {
    EXPECT_TRUE(matches(R"({"data":{"v":2}})", R"({"v":1,"v":2})"));
    EXPECT_FALSE(matches(R"({"data":{"v":1}})", R"({"v":1,"v":2})"));
    EXPECT_FALSE(matches(R"({"data":{"v":1}})", R"({"v":1,"\u0076":2})"));
    EXPECT_FALSE(matches(R"({"data":{"a":{"x":1,"y":2}}})", R"({"a":{"x":1},"a":{"y":2}})"));
    EXPECT_FALSE(matches(R"({"data":{"a":{"x":1}}})", R"({"a":{"x":1},"a":5})"));
    EXPECT_EQ(text(R"({"data":{"v":1,"v":2}})"), R"({"data":{"v":2}})");
    EXPECT_EQ(text(R"({"data":{"v":{"$gt":1,"$gt":2}}})"), R"({"data":{"v":{"$gt":2}}})");
}

TEST(Matcher, WhatIsNotWhollyJsonMatchesNothing) {
    const Matcher matcher = Matcher::compile(R"({"data":{"v":1}})").value();
    ASSERT_TRUE(matcher.matches(" { \"v\" : 1 , \"w\" : [ ] } \r\n", {}));
    for (const std::string_view data : {"",
                                        " ",
                                        "v",
                                        "{\"v\":1",
                                        "{\"v\":1}}",
                                        "{\"v\":1} x",
                                        "{\"v\":1,}",
                                        "{\"v\":1 \"w\":2}",
                                        "{\"v\":1,\"w\":[1,]}",
                                        "{\"v\":1,\"w\":01}",
                                        "{\"v\":1,\"w\":+1}",
                                        "{\"v\":1,\"w\":1.}",
                                        "{\"v\":1,\"w\":.5}",
                                        "{\"v\":1,\"w\":1e}",
                                        "{\"v\":1,\"w\":1e+}",
                                        "{\"v\":1,\"w\":-}",
                                        "{\"v\":1,\"w\":tru}",
                                        "{\"v\":1,\"w\":nulll}",
                                        "{\"v\":1,\"w\":NaN}",
                                        "{\"v\":1,\"w\"}",
                                        "{\"v\":1,\"w\":}",
                                        "{\"v\":1,w:2}",
                                        "{\"v\":1,\"w\":\"\n\"}",
                                        "{\"v\":1,\"w\":\"\\x\"}",
                                        "{\"v\":1,\"w\":\"\\u12\"}",
                                        "{\"v\":1,\"w\":\"\\u12g4\"}",
                                        "{\"v\":1,\"w\":\"\\ud800\"}",
                                        "{\"v\":1,\"w\":\"\\udc00\"}",
                                        "{\"v\":1,\"w\":\"\\ud800\\u0041\"}",
                                        "{\"v\":1,\"w\":\"\xC3\"}",
                                        "{\"v\":1,\"w\":\"\xC0\x80\"}",
                                        "{\"v\":1,\"w\":\"\xED\xA0\x80\"}",
                                        "{\"v\":1,\"w\":\"\xF5\x80\x80\x80\"}",
                                        "{\"v\":1,\"w\":[}",
                                        "{\"v\":1,\"w\":{]}",
                                        "{\"v\":1,\"w\":\"",
                                        "{\"v\":1,\"w\":\"\\",
                                        "\xEF\xBB\xBF{\"v\":1}",
                                        "{\"v\":1}\f"}) {
        EXPECT_FALSE(matcher.matches(data, {})) << data;
    }
    EXPECT_FALSE(matcher.matches(std::string_view("{\"v\":1}\0", 8), {}));
    EXPECT_FALSE(matcher.matches(std::string_view("\0{\"v\":1}", 8), {}));
}

std::string nested(std::size_t depth, bool objects) {
    std::string json;
    for (std::size_t n = 0; n < depth; ++n) json += objects ? "{\"a\":" : "[";
    json += "1";
    return json + std::string(depth, objects ? '}' : ']');
}

TEST(Matcher, DocumentsMayBeNestedTo1024) {
    for (const bool objects : {true, false}) {
        const Matcher inside = Matcher::compile(R"({"data":{"v":1}})").value();
        EXPECT_TRUE(inside.matches("{\"v\":1,\"w\":" + nested(1023, objects) + "}", {}));
        EXPECT_FALSE(inside.matches("{\"v\":1,\"w\":" + nested(1024, objects) + "}", {}));
        const Matcher whole = Matcher::compile(R"({"data":{"$ne":1}})").value();
        EXPECT_TRUE(whole.matches(nested(1024, objects), {}));
        EXPECT_FALSE(whole.matches(nested(1025, objects), {}));
    }
    const Matcher has = Matcher::compile(R"({"data":{"$has":1}})").value();
    EXPECT_TRUE(has.matches("[1," + nested(1023, false) + "]", {}));
    EXPECT_FALSE(has.matches("[1," + nested(1024, false) + "]", {}));
}

TEST(Matcher, HostileDocumentsTakeLinearTime) {
    const Matcher matcher = Matcher::compile(R"({"data":{"a":{"a":{"a":1}},"v":5}})").value();
    std::string keys = "{";
    std::string escapes = "{\"v\":\"";
    for (int n = 0; n < 400'000; ++n) {
        keys += "\"a\":{\"a\":{}},";
        escapes += "\\u0061";
    }
    const std::string documents[] = {std::string(4'000'000, '['),
                                     std::string(4'000'000, '"'),
                                     keys + "\"v\":5}",
                                     escapes + "\"}",
                                     "{\"v\":" + std::string(4'000'000, '9') + "}",
                                     std::string(4'000'000, ' '),
                                     std::string(4'000'000, '\\')};
    const auto begin = std::chrono::steady_clock::now();
    for (const std::string& document : documents) EXPECT_FALSE(matcher.matches(document, {}));
    // 29 MB: quadratic time would be hours.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Matcher, ManyFieldsAreFound) {
    std::string definition = "{\"data\":{";
    std::string data = "{";
    for (int n = 0; n < 500; ++n) {
        const std::string member = "\"k" + std::to_string(n) + "\":" + std::to_string(n);
        definition += (n == 0 ? "" : ",") + member;
        data += (n == 0 ? "" : ",") + member;
    }
    const Matcher matcher = Matcher::compile(definition + "}}").value();
    EXPECT_TRUE(matcher.matches(data + "}", {}));
    EXPECT_TRUE(matcher.matches(data + ",\"other\":1,\"k\":2}", {}));
    EXPECT_FALSE(matcher.matches(data + ",\"k7\":8}", {}));
}

TEST(Matcher, TextIsCanonical) {
    EXPECT_EQ(text(R"( { "metadata":{"u":"\u0061"}, "data" : {"b":[2,1.0,1e0],"a":{"$eq":1}} } )"),
              R"({"data":{"a":1,"b":[1,2]},"metadata":{"u":"a"}})");
    EXPECT_EQ(text(R"({"data":[7]})"), R"({"data":7})");
    EXPECT_EQ(text(R"({"data":{"$lt":2,"$gt":1,"$eq":1.5}})"),
              R"({"data":{"$eq":1.5,"$gt":1,"$lt":2}})");
    EXPECT_EQ(text(R"({"data":{"$hasAny":["b","b"]}})"), R"({"data":{"$has":"b"}})");
    EXPECT_EQ(text(R"({"data":{"$has":2,"$hasAny":[1]}})"),
              text(R"({"data":{"$has":1,"$hasAny":[2]}})"));
    EXPECT_EQ(text(R"({"data":{"$has":2,"$hasAny":[2]}})"), R"({"data":{"$has":2}})");
    EXPECT_EQ(text(R"({"data":[-0,1e21,1e20,1e-5,1e-7,12.50,-1.5e300,0.1]})"),
              R"({"data":[-1.5e300,0,0.00001,0.1,100000000000000000000,12.5,1e-7,1e21]})");
    EXPECT_EQ(text(R"({"data":"\u0001\u001f\t\"\\\/"})"), R"({"data":"\u0001\u001f\t\"\\/"})");
    for (const std::string_view definition :
         {R"({"data":{"v":{"$has":2,"$hasAny":[1,3]},"w":[1,"1",null,true]}})"})
        EXPECT_EQ(text(text(definition)), text(definition));
}

TEST(Matcher, RefusalsSayWhereAndWhatToDo) {
    const auto says = [](std::string_view definition, std::size_t at, std::string_view what) {
        const std::string message = refusal(definition);
        EXPECT_NE(message.find("at byte " + std::to_string(at) + " "), std::string::npos)
            << message;
        EXPECT_NE(message.find(what), std::string::npos) << message;
    };
    says("", 0, "a definition is a JSON object");
    says("[]", 0, "a definition is a JSON object");
    says("{}", 0, "an empty object");
    says(R"({"data":{}})", 8, "an empty object");
    says(R"({"data":{"v":{}}})", 13, "an empty object");
    says(R"({"data":{"v":[]}})", 13, "an empty list");
    says(R"({"data":{"v":{"$foo":1}}})", 14, "unknown operator $foo");
    says(R"({"data":{"v":{"$gt":true}}})", 14, "$gt compares with a number or a string");
    says(R"({"data":{"v":{"$eq":[1]}}})", 20, "a string, number, true, false or null");
    says(R"({"data":{"v":[{"a":1}]}})", 14, "a string, number, true, false or null");
    says(R"({"data":{"v":{"$hasAny":1}}})", 24, "$hasAny needs a list");
    says(R"({"data":{"v":{"$gt":1,"a":2}}})", 22, "do not go together");
    says(R"({"data":{"v":{"a":2,"$gt":1}}})", 20, "do not go together");
    says(R"({"payload":{"v":1}})", 0, "not payload");
    says(R"({"$eq":1})", 0, "inside data or metadata");
    says(R"({"data":1} x)", 11, "something follows");
    says(R"({"data":{"v":1e1000000001}})", 13, "exponent");
    says(R"({"data":{"v":tru}})", 13, "not JSON");
    says(R"({"data":{"v":1)", 14, "not JSON");
    says("{\"data\":\"\xFF\"}", 8, "not JSON");  // where the string begins
    says(R"({"data":{v:1}})", 9, "not JSON");
}

TEST(Matcher, LimitsOfADefinition) {
    const auto deep = [](std::size_t depth) {
        return "{\"data\":" + nested(depth - 1, true) + "}";
    };
    EXPECT_TRUE(Matcher::compile(deep(64)));
    EXPECT_NE(refusal(deep(65)).find("nested deeper than 64"), std::string::npos);
    const auto many = [](std::size_t values) {
        std::string list = "{\"data\":[0";
        for (std::size_t n = 1; n < values; ++n) list += "," + std::to_string(n);
        return list + "]}";
    };
    EXPECT_TRUE(Matcher::compile(many(1023)));  // with `data` itself 1,024
    EXPECT_NE(refusal(many(1024)).find("more than 1024"), std::string::npos);
    const auto large = [](std::size_t size) {
        return "{\"data\":\"" + std::string(size - 11, 'x') + "\"}";
    };
    EXPECT_TRUE(Matcher::compile(large(65536)));
    EXPECT_NE(refusal(large(65537)).find("65537 bytes; the limit is 65536"), std::string::npos);
}

TEST(Matcher, CopiesShareAndOutlive) {
    Matcher copy = Matcher::compile(R"({"data":1})").value();
    {
        const Matcher original = Matcher::compile(R"({"data":2})").value();
        copy = original;
        EXPECT_EQ(copy.text().data(), original.text().data());
    }
    EXPECT_EQ(copy.text(), R"({"data":2})");
    EXPECT_TRUE(copy.matches("2", {}));
}

TEST(Matcher, DiscriminatorsAreWhatEveryMatchHas) {
    const match::Field definition =
        match::parse_definition(
            R"({"data":{"n":{"$gt":1},"a":{"b":"x"},"s":["p","q"],"t":{"$has":5}},"metadata":{"u":null}})")
            .value();
    const match::Program program(definition);
    const auto& all = program.discriminators();
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0].path, (std::vector<std::string>{"data", "a", "b"}));
    EXPECT_EQ(all[0].values[0].text, "x");
    EXPECT_FALSE(all[0].element);
    EXPECT_EQ(all[1].path, (std::vector<std::string>{"data", "s"}));
    EXPECT_EQ(all[1].values.size(), 2U);
    EXPECT_EQ(all[2].path, (std::vector<std::string>{"data", "t"}));
    EXPECT_TRUE(all[2].element);
    EXPECT_EQ(to_json(all[2].values[0]), "5");
    EXPECT_EQ(all[3].path, (std::vector<std::string>{"metadata", "u"}));
}

}  // namespace
}  // namespace varve
