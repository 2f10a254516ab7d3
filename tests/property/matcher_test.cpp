// Goal: a matcher says what its definition means, on every document, whole or broken.
// Method: random definitions and documents, judged beside a plain evaluation of what simdjson has
// parsed; numbers of all shapes beside long-hand decimal arithmetic. Allocations are counted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "match/scalar.hpp"
#include "support/match_oracle.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads): the array forms call these
void* operator new(std::size_t size) {
    ++allocations;
    if (void* const memory = std::malloc(size == 0 ? 1 : size); memory != nullptr) return memory;
    std::abort();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-new-delete-overloads)

namespace varve::test {
namespace {

TEST(MatcherProperty, MatchingAllocatesNothing) {
    MatchMaker maker(2);
    for (int round = 0; round < 500; ++round) {
        const Matcher matcher = Matcher::compile(maker.definition()).value();
        for (int n = 0; n < 20; ++n) {
            const std::string data = maker.document();
            const std::size_t before = allocations;
            const bool answer = matcher.matches(data, {});
            ASSERT_EQ(allocations, before) << data << answer;
        }
    }
    EXPECT_GT(allocations, 500U) << "they are counted";
}

TEST(MatcherProperty, AgreesWithTheOracle) {
    const Agreement agreement = compare_with_oracle(1, 20000);
    EXPECT_EQ(agreement.difference, "");
    EXPECT_GT(agreement.compared, 700000U);
    // Yes is said often enough to mean something.
    EXPECT_GT(agreement.matched, 100000U);
}

/// A decimal with all its digits written out: sign, 60 before the point, 60 behind it.
struct Longhand {
    std::string digits = std::string(120, '0');
    bool negative = false;

    [[nodiscard]] int compare(const Longhand& other) const {
        const auto zero = [](const Longhand& number) {
            return number.digits.find_first_not_of('0') == std::string::npos;
        };
        if (zero(*this) && zero(other)) return 0;
        const auto sign = [&](const Longhand& n) { return zero(n) ? 0 : n.negative ? -1 : 1; };
        if (sign(*this) != sign(other)) return sign(*this) < sign(other) ? -1 : 1;
        const int order = digits.compare(other.digits);
        return (order < 0 ? -1 : order > 0 ? 1 : 0) * (negative ? -1 : 1);
    }
};

/// A random number in a random spelling, and the same written out.
std::string spell(std::mt19937_64& random, Longhand& longhand) {
    const std::size_t whole = random() % 4 == 0 ? random() % 20 + 1 : random() % 3 + 1;
    const std::size_t fraction = random() % 3 == 0 ? 0 : random() % 6;
    const int exponent = random() % 2 == 0 ? 0 : static_cast<int>(random() % 50) - 25;
    // Few different digits, so that numbers are often equal or nearly so.
    std::string digits;
    for (std::size_t n = 0; n < whole + fraction; ++n)
        digits += static_cast<char>('0' + (random() % 2 == 0 ? 0 : random() % 2 == 0 ? 1 : 9));
    if (whole > 1 && digits[0] == '0') digits[0] = '1';
    longhand = {};
    longhand.negative = random() % 3 == 0;
    for (std::size_t n = 0; n < digits.size(); ++n) {
        const int place = static_cast<int>(whole) - static_cast<int>(n) + exponent;
        longhand.digits[static_cast<std::size_t>(60 - place)] = digits[n];
    }
    std::string text = (longhand.negative ? "-" : "") + digits.substr(0, whole);
    if (fraction > 0) text += "." + digits.substr(whole);
    if (exponent != 0 || random() % 4 == 0) {
        text += random() % 2 == 0 ? "e" : "E";
        if (exponent >= 0 && random() % 2 == 0) text += "+";
        if (exponent < 0) text += "-";
        text += std::string(random() % 3, '0') + std::to_string(std::abs(exponent));
    }
    return text;
}

TEST(MatcherProperty, NumbersCompareAsDecimals) {
    std::mt19937_64 random(1);
    std::size_t equal = 0;
    for (int round = 0; round < 300000; ++round) {
        Longhand left;
        Longhand right;
        const std::string l = spell(random, left);
        const std::string r = spell(random, right);
        const int expected = left.compare(right);
        equal += expected == 0 ? 1U : 0U;
        const auto order = match::compare(match::read_number(l), match::read_number(r));
        ASSERT_EQ(order < 0 ? -1 : order > 0 ? 1 : 0, expected) << l << " and " << r;
        // Equal numbers, and no others, have the same canonical spelling, which is their value.
        const std::string text = match::canonical(match::read_number(l));
        ASSERT_EQ(text == match::canonical(match::read_number(r)), expected == 0) << l << " " << r;
        ASSERT_TRUE(match::compare(match::read_number(text), match::read_number(l)) == 0) << l;
    }
    EXPECT_GT(equal, 1500U);
}

}  // namespace
}  // namespace varve::test
