// Goal: what means the same is the same Selector, what cannot be says why, and only normal forms
// are taken back from bytes.
// Method: tables of selectors with the text of their normal form; every bit of normal forms
// flipped, every length cut, decoded and compared with what the public functions make of the same
// tree.
#include "varve/selector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "varve/options.hpp"
#include "varve/selector_json.hpp"

namespace varve {
namespace {

Selector t(std::string_view name) { return Selector::type(name); }
Selector g(std::string_view name) { return Selector::tag(name); }
Selector any(const std::vector<Selector>& of) { return Selector::any_of(of); }
Selector both(const std::vector<Selector>& of) { return Selector::all_of(of); }
const Selector kAll = Selector::all();
const Selector kNothing = Selector::nothing();

struct Normal {
    Selector made;
    const char* text;
};

/// Each has this text, survives its code, and equals exactly those with the same text.
void check_normal(const std::vector<Normal>& table) {
    for (const Normal& one : table) {
        ASSERT_EQ(one.made.error(), nullptr) << one.text;
        EXPECT_EQ(one.made.text(), one.text);
        EXPECT_EQ(one.made.is_all(), std::string_view(one.text) == "all");
        EXPECT_EQ(one.made.is_nothing(), std::string_view(one.text) == "nothing");
        const auto again = Selector::decode(one.made.encoded());
        ASSERT_TRUE(again) << one.text;
        EXPECT_TRUE(*again == one.made) << one.text;
        for (const Normal& other : table)
            EXPECT_EQ(one.made == other.made, std::string_view(one.text) == other.text)
                << one.text << " and " << other.text;
    }
}

TEST(Selector, NormalForms) {
    check_normal({
        {t("A"), R"(type "A")"},
        {Selector::stream("s-1"), R"(stream "s-1")"},
        {Selector::category("s"), R"(category "s")"},
        {g("c/\"1\"\\\n"), R"(tag "c/\"1\"\\\u000a")"},
        {{}, "nothing"},
        {kAll, "all"},
        // Lists within lists of the same kind are one list.
        {any({t("A"), any({t("B"), any({t("C")})})}), R"(type "A" or type "B" or type "C")"},
        {both({g("a"), both({g("b"), both({g("c")})})}), R"(tag "a" and tag "b" and tag "c")"},
        {any({t("A"), both({g("a"), any({t("B")})})}), R"(type "A" or (type "B" and tag "a"))"},
        // What is there twice is there once; a list of one is what is in it.
        {any({t("A"), t("A")}), R"(type "A")"},
        {any({t("A"), any({t("B"), t("A")}), t("B")}), R"(type "A" or type "B")"},
        {both({both({g("a")}), any({g("a")})}), R"(tag "a")"},
        // Names of different kinds are different.
        {any({t("x"), g("x"), Selector::stream("x"), Selector::category("x")}),
         R"(stream "x" or category "x" or type "x" or tag "x")"},
        // All and nothing are worked out.
        {any({t("A"), kAll}), "all"},
        {any({t("A"), kNothing}), R"(type "A")"},
        {both({t("A"), kAll}), R"(type "A")"},
        {both({t("A"), kNothing}), "nothing"},
        {any({}), "nothing"},
        {both({}), "all"},
        {any({kNothing, kNothing}), "nothing"},
        {both({kAll, kAll}), "all"},
        {!kAll, "nothing"},
        {!kNothing, "all"},
        {any({both({t("A"), kNothing}), !both({})}), "nothing"},
        // Complements.
        {!t("A"), R"(not type "A")"},
        {!!t("A"), R"(type "A")"},
        {!!!t("A"), R"(not type "A")"},
        {!(t("A") | t("B")), R"(not (type "A" or type "B"))"},
        {(!!(t("A") | t("B"))) | t("C"), R"(type "A" or type "B" or type "C")"},
    });
}

TEST(Selector, AsJson) {
    const auto json = [](const Selector& selector) { return to_json(selector); };
    EXPECT_EQ(json(kAll), "true");
    EXPECT_EQ(json(kNothing), "false");
    EXPECT_EQ(json(t("")), "false");  // cannot be
    EXPECT_EQ(json(t("A\"\\\n\u00e9")), "{\"type\":\"A\\\"\\\\\\u000a\u00e9\"}");
    EXPECT_EQ(
        json(any({Selector::stream("s"), Selector::category("c"), t("T"), g("t"),
                  Selector::derived("d")})),
        R"({"any":[{"stream":"s"},{"category":"c"},{"type":"T"},{"tag":"t"},{"derived":"d"}]})");
    EXPECT_EQ(json(both({g("a"), !any({t("B"), g("b")})})),
              R"({"all":[{"tag":"a"},{"not":{"any":[{"type":"B"},{"tag":"b"}]}}]})");
}

TEST(Selector, QueriesAndSourcesAreSelectors) {
    check_normal({
        {Query{{.types = {"A"}}}, R"(type "A")"},
        {Query{{.types = {"B", "A", "B"}}}, R"(type "A" or type "B")"},
        {Query{{.tags = {"b", "a"}}}, R"(tag "a" and tag "b")"},
        {Query{{.types = {"B", "A"}, .tags = {"a"}}}, R"(tag "a" and (type "A" or type "B"))"},
        {Query{{.types = {"A"}, .tags = {"a"}}, {.tags = {"b"}}},
         R"(tag "b" or (type "A" and tag "a"))"},
        {Query{{.types = {"A", "B"}}, {.types = {"B", "C"}}},
         R"(type "A" or type "B" or type "C")"},
        {Selector{{.tags = {"b", "a"}}}, R"(tag "a" and tag "b")"},
        {Selector({{.tags = {"b"}}, {.types = {"A"}}}), R"(type "A" or tag "b")"},
        {Source::all(), "all"},
        {Source::stream("s"), R"(stream "s")"},
        {Source::category("s"), R"(category "s")"},
        {Source::type("s"), R"(type "s")"},
        {Source::tag("s"), R"(tag "s")"},
    });
}

TEST(Selector, OrderMeansNothing) {
    std::vector<Selector> sets{t("A"),          g("long name"),
                               !t("B"),         Selector::stream("s"),
                               g("b") & g("a"), Selector::category("c")};
    const Selector first = any(sets);
    const Selector second = both(sets);
    for (std::size_t turn = 0; turn < sets.size(); ++turn) {
        std::rotate(sets.begin(), sets.begin() + 1, sets.end());
        EXPECT_TRUE(any(sets) == first);
        if (turn % 2 == 0) std::swap(sets[0], sets[3]);
        EXPECT_TRUE(both(sets) == second);
    }
    EXPECT_FALSE(first == second);
}

/// A selector of `levels` lists inside each other, of which none can be left out.
Selector nested(unsigned levels) {
    Selector selector = t("A");
    for (unsigned n = 0; n < levels; ++n) {
        const Selector more = g(std::to_string(n));
        selector = n % 2 == 0 ? selector | more : selector & more;
    }
    return selector;
}

TEST(Selector, WhatCannotBeSaysWhy) {
    const std::string longest(1024, 'n');
    const std::string longer(1025, 'n');
    EXPECT_EQ(t(longest).error(), nullptr);
    EXPECT_EQ(nested(Selector::kMaxDepth).error(), nullptr);
    EXPECT_EQ((!nested(Selector::kMaxDepth - 1)).error(), nullptr);
    const auto types = [](std::size_t count) {
        return QueryItem{.types = std::vector<std::string_view>(count, "A")};
    };
    const auto tags = [](std::size_t count) {
        return QueryItem{.tags = std::vector<std::string_view>(count, "a")};
    };
    EXPECT_EQ(Selector(Query(std::vector<QueryItem>(64, types(256)))).error(), nullptr);
    EXPECT_EQ(Selector(Query{tags(64)}).error(), nullptr);
    std::vector<Selector> many;
    for (int n = 0; n < 1100; ++n) many.push_back(g(std::string(1000, 'n') + std::to_string(n)));

    const struct {
        Selector made;
        const char* why;
    } table[] = {
        {t(""), "empty"},
        {g(longer), "1,024 bytes"},
        {Selector::stream(""), "empty"},
        {Selector::category(longer), "1,024 bytes"},
        {Source::tag(""), "empty"},
        {Query{}, "without items"},
        {Query{QueryItem{}}, "neither types nor tags"},
        {Query{{.types = {"A"}}, QueryItem{}}, "neither types nor tags"},
        {Query{{.types = {"A", ""}}}, "empty"},
        {Query{{.types = {"A"}, .tags = {longer}}}, "1,024 bytes"},
        {Query(std::vector<QueryItem>(65, types(1))), "64 items"},
        {Query{types(257)}, "256 types"},
        {Query{tags(65)}, "64 tags"},
        {nested(Selector::kMaxDepth + 1), "32 levels"},
        {!nested(Selector::kMaxDepth), "32 levels"},
        {any(many), "1 MiB"},
        // What cannot be stays so, whatever is made of it.
        {!t(""), "empty"},
        {t("") | t("A"), "empty"},
        {kAll | t(""), "empty"},
        {kNothing & t(""), "empty"},
        {both({t("A"), any({t("B"), g(longer)})}), "1,024 bytes"},
    };
    for (const auto& one : table) {
        ASSERT_NE(one.made.error(), nullptr) << one.why;
        EXPECT_NE(std::string_view(one.made.error()).find(one.why), std::string_view::npos)
            << one.made.error();
        EXPECT_EQ(one.made.text(), one.made.error());
        EXPECT_FALSE(one.made == kNothing) << one.why;
    }
}

constexpr char kAnyOf = 32;
constexpr char kAllOf = 33;
constexpr char kNoneOf = 34;

std::string name(char op, const std::string& text, std::size_t length) {
    return std::string{op, static_cast<char>(length & 255U), static_cast<char>(length >> 8)} + text;
}
std::string name(char op, const std::string& text) { return name(op, text, text.size()); }
std::string list(char op, const std::string& sets, std::size_t length) {
    std::string code{op};
    for (unsigned n = 0; n < 4; ++n) code.push_back(static_cast<char>(length >> (8 * n) & 255U));
    return code + sets;
}
std::string list(char op, const std::string& sets) { return list(op, sets, sets.size()); }

TEST(Selector, DecodeTakesNormalFormsOnly) {
    const std::string a = name(18, "A");
    const std::string b = name(18, "B");
    const std::string tag = name(19, "a");
    const std::string all(1, 1);
    const std::string nothing(1, 0);
    for (const std::string& right :
         {all, nothing, a, list(kAnyOf, a + b), list(kAllOf, a + tag), list(kNoneOf, a),
          list(kNoneOf, list(kAnyOf, a + b)), list(kAllOf, a + list(kNoneOf, tag))}) {
        const auto decoded = Selector::decode(right);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->encoded(), right) << decoded->text();
    }
    for (const std::string& wrong : {std::string(),
                                     std::string(1, 2),
                                     std::string(1, 35),
                                     all + all,
                                     a + b,
                                     name(18, ""),
                                     name(18, std::string(1025, 'n')),
                                     name(18, "A", 2),
                                     name(21, "A"),
                                     a.substr(0, 2),
                                     list(kAnyOf, ""),
                                     list(kAllOf, a),
                                     list(kAnyOf, b + a),
                                     list(kAnyOf, a + a),
                                     list(kAnyOf, all + a),
                                     list(kAllOf, nothing + a),
                                     list(kAnyOf, a + list(kAnyOf, b + tag)),
                                     list(kAllOf, a + list(kAllOf, b + tag)),
                                     list(kNoneOf, ""),
                                     list(kNoneOf, all),
                                     list(kNoneOf, nothing),
                                     list(kNoneOf, a + b),
                                     list(kNoneOf, list(kNoneOf, a)),
                                     list(kAnyOf, a + b, 7),
                                     list(kAnyOf, a + b, 9),
                                     list(kAnyOf, a + b, ~std::uint32_t{0}),
                                     list(kAnyOf, a + b).substr(0, 4)}) {
        const auto decoded = Selector::decode(wrong);
        ASSERT_FALSE(decoded) << testing::PrintToString(wrong);
        EXPECT_EQ(decoded.error().code, ErrorCode::corrupt);
        EXPECT_FALSE(decoded.error().message.empty());
    }
}

TEST(Selector, DecodeRefusesWhatIsTooDeepOrTooLarge) {
    const auto deep = [](unsigned levels) {
        std::string code = name(18, "A");
        for (unsigned n = 0; n < levels; ++n)
            code = list(n % 2 == 0 ? kAnyOf : kAllOf, name(18, "0") + code);
        return code;
    };
    EXPECT_TRUE(Selector::decode(deep(Selector::kMaxDepth)));
    EXPECT_FALSE(Selector::decode(deep(Selector::kMaxDepth + 1)));
    EXPECT_FALSE(Selector::decode(deep(10'000)));
    const auto wide = [](int names) {
        std::string sets;
        for (int n = 0; n < names; ++n)
            sets += name(19, std::to_string(100'000 + n) + std::string(1000, 'n'));
        return list(kAnyOf, sets);
    };
    EXPECT_TRUE(Selector::decode(wide(1000)));
    EXPECT_FALSE(Selector::decode(wide(1100)));
}

/// What the public functions make of the tree that `code` begins with, which they take off.
/// Nothing if the bytes are no tree.
std::optional<Selector> rebuilt(std::string_view& code) {
    if (code.empty()) return std::nullopt;
    const char op = code.front();
    const std::size_t head = op < 16 ? 1 : op < kAnyOf ? 3 : 5;
    if (code.size() < head) return std::nullopt;
    std::size_t length = 0;
    for (std::size_t n = 1; n < head; ++n)
        length |= static_cast<std::size_t>(static_cast<unsigned char>(code[n])) << (8 * (n - 1));
    if (length > code.size() - head) return std::nullopt;
    std::string_view inside = code.substr(head, length);
    code.remove_prefix(head + length);
    switch (op) {
        case 0: return kNothing;
        case 1: return kAll;
        case 16: return Selector::stream(inside);
        case 17: return Selector::category(inside);
        case 18: return t(inside);
        case 19: return g(inside);
        case 20: return Selector::derived(inside);
        case kAnyOf:
        case kAllOf:
        case kNoneOf: break;
        default: return std::nullopt;
    }
    std::vector<Selector> sets;
    while (!inside.empty()) {
        auto set = rebuilt(inside);
        if (!set) return std::nullopt;
        sets.push_back(*set);
    }
    if (op == kNoneOf) return sets.size() == 1 ? std::optional(!sets.front()) : std::nullopt;
    return op == kAnyOf ? any(sets) : both(sets);
}

bool is_normal(std::string_view code) {
    std::string_view rest = code;
    const auto selector = rebuilt(rest);
    return selector && rest.empty() && selector->error() == nullptr && selector->encoded() == code;
}

TEST(Selector, DecodeTakesAChangedCodeOnlyIfItIsNormalToo) {
    const Selector selectors[] = {
        t("A"),
        !t("A"),
        t("A") | t("B") | g("a"),
        Query{{.types = {"A", "B"}, .tags = {"a", "b"}}, {.tags = {"c"}}, {.types = {"D"}}},
        (Selector::stream("s-1") | Selector::category("s")) & !(t("A") & !(g("a") | g("b"))),
        nested(6),
    };
    std::size_t taken = 0;
    std::size_t refused = 0;
    const auto check = [&](const std::string& code) {
        const auto decoded = Selector::decode(code);
        ASSERT_EQ(decoded.has_value(), is_normal(code)) << testing::PrintToString(code);
        ++(decoded ? taken : refused);
        if (decoded) {
            EXPECT_EQ(decoded->encoded(), code);
        }
    };
    for (const Selector& selector : selectors) {
        const std::string code(selector.encoded());
        ASSERT_TRUE(is_normal(code)) << selector.text();
        for (std::size_t at = 0; at < code.size(); ++at) {
            for (unsigned value = 0; value < 256; ++value) {
                std::string changed = code;
                changed[at] = static_cast<char>(value);
                check(changed);
            }
            check(code.substr(0, at));
            check(code.substr(at));
            check(code.substr(0, at) + code.substr(at + 1));
            check(code.substr(0, at) + code.substr(at, 4) + code.substr(at));
        }
    }
    EXPECT_GT(taken, 1000U) << "other names are other normal forms";
    EXPECT_GT(refused, 1000U);
}

}  // namespace
}  // namespace varve
