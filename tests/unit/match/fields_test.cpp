// Goal: several fields found in one pass are those that one path at a time finds, in texts of every
// shape.
// Method: a table of texts and what must come; random texts of nested objects against `values_at`
// of each path by itself.
#include "match/fields.hpp"

#include <gtest/gtest.h>

#include <random>

#include "match/json_path.hpp"

namespace varve::match {
namespace {

const char* const kPaths[] = {"a", "b", "a.b", "a.b.c", "c.\xC3\xBC", "b.a"};

std::vector<std::string> found(const char* json) {
    Fields fields;
    for (const char* path : kPaths) static_cast<void>(fields.add(split_path(path)));
    std::vector<Fields::Value> values;
    fields.read(json, values);
    std::vector<std::string> texts;
    for (const Fields::Value& value : values)
        texts.push_back(std::string(kPaths[value.field]) + (value.element ? "[]=" : "=") +
                        to_json(to_scalar(value.token)));
    return texts;
}

using Texts = std::vector<std::string>;

TEST(Fields, AreFoundInOnePass) {
    EXPECT_EQ(found(R"({"a":1,"b":"x"})"), (Texts{"a=1", R"(b="x")"}));
    EXPECT_EQ(found(R"({"a":{"b":{"c":true}}})"), (Texts{"a.b.c=true"}));
    EXPECT_EQ(found(R"({"a":{"b":[1,{"c":2},"y"]},"b":{"a":null}})"),
              (Texts{"a.b[]=1", R"(a.b[]="y")", "b.a=null"}));
    EXPECT_EQ(found(R"({"c":{"ü":-1.50}, "d":{"a":7}})"), (Texts{"c.\xC3\xBC=-1.5"}));
    EXPECT_EQ(found(R"({"\u0061":1})"), (Texts{"a=1"}));
    EXPECT_TRUE(found(R"({"d":1})").empty());
    EXPECT_TRUE(found(R"([{"a":1}])").empty());
    EXPECT_TRUE(found("").empty());
}

TEST(Fields, TheLastOfEqualKeysCounts) {
    EXPECT_EQ(found(R"({"a":1,"a":2})"), (Texts{"a=2"}));
    EXPECT_EQ(found(R"({"a":{"b":1},"b":3,"a":{"d":2}})"), (Texts{"b=3"}));
    EXPECT_EQ(found(R"({"a":[1,2],"a":{}})"), Texts{});
}

TEST(Fields, OfWhatIsNotJsonThereAreNone) {
    for (const char* json : {R"({"a":1)", R"({"a":1}})", R"({"a":1,})", R"({"a":01})",
                             R"({"a":1,"x":"\uD800"})", "{\"a\":1} \x01"})
        EXPECT_TRUE(found(json).empty()) << json;
}

TEST(Fields, TheSamePathIsOneField) {
    Fields fields;
    const auto path = split_path("x.y");
    EXPECT_EQ(fields.add(path), 0U);
    EXPECT_EQ(fields.add(split_path("x")), 1U);
    EXPECT_EQ(fields.add(path), 0U);
}

class RandomText {
public:
    explicit RandomText(std::uint64_t seed) : random_(seed) {}
    std::string object(int depth) {
        std::string text = "{";
        const std::uint64_t count = random_() % 4;
        for (std::uint64_t n = 0; n < count; ++n) {
            static const char* const kKeys[] = {"a", "b", "c", "\xC3\xBC", "\\u0062", "d"};
            text += std::string(n > 0 ? "," : "") + "\"" + kKeys[random_() % 6] +
                    "\":" + value(depth - 1);
        }
        return text + "}";
    }

private:
    std::string value(int depth) {
        const std::uint64_t shape = random_() % (depth > 0 ? 6 : 4);
        static const char* const kScalars[] = {"1", "\"x\\n\"", "null", "-2.50e1"};
        if (shape < 4) return kScalars[shape];
        if (shape == 4) return object(depth);
        return "[" + value(depth - 1) + "," + value(depth - 1) + "]";
    }
    std::mt19937_64 random_;
};

TEST(Fields, AreWhatEachPathFindsByItself) {
    RandomText random(1);
    std::size_t values_found = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::string json = random.object(4);
        Fields fields;
        for (const char* path : kPaths) static_cast<void>(fields.add(split_path(path)));
        std::vector<Fields::Value> values;
        fields.read(json, values);
        values_found += values.size();
        for (std::uint32_t n = 0; n < std::size(kPaths); ++n) {
            std::vector<std::string> own;
            for (const Fields::Value& value : values)
                if (value.field == n) own.push_back(to_json(to_scalar(value.token)));
            std::vector<std::string> alone;
            for (const Scalar& scalar : values_at(json, split_path(kPaths[n])))
                alone.push_back(to_json(scalar));
            ASSERT_EQ(own, alone) << json << ' ' << kPaths[n];
        }
    }
    EXPECT_GT(values_found, 10'000U);
}

}  // namespace
}  // namespace varve::match
