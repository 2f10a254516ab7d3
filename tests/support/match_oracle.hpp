// What a matcher's definition means, told a second time: over a tree that simdjson has parsed,
// slowly and in the plainest words. Random definitions and documents to compare the two with.
//
// One thread. Numbers of the documents made here are exact in a double, so that doubles compare
// them rightly; how numbers of other shapes compare is another test's.
#pragma once

#include <simdjson.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "varve/matcher.hpp"

namespace varve::test {

using Element = simdjson::dom::element;
using simdjson::dom::element_type;

inline bool is_number(Element value) {
    return value.is<double>() || value.is<std::int64_t>() || value.is<std::uint64_t>();
}

/// -1, 0, 1, or 2 if the two cannot be ordered.
inline int order_of(Element left, Element right) {
    if (left.type() == element_type::STRING && right.type() == element_type::STRING) {
        const int order = std::string_view(left).compare(std::string_view(right));
        return order < 0 ? -1 : order > 0 ? 1 : 0;
    }
    if (!is_number(left) || !is_number(right)) return 2;
    const double l = left.get_double();
    const double r = right.get_double();
    return l < r ? -1 : l > r ? 1 : 0;
}

inline bool same(Element left, Element right) {
    if (is_number(left) || left.type() == element_type::STRING) return order_of(left, right) == 0;
    if (left.type() != right.type()) return false;
    if (left.type() == element_type::BOOL) return bool(left) == bool(right);
    return left.type() == element_type::NULL_VALUE;
}

inline bool same_as_any(Element value, Element list) {
    for (const Element one : simdjson::dom::array(list))
        if (same(value, one)) return true;
    return false;
}

inline bool has(Element value, Element wanted) {
    if (value.type() != element_type::ARRAY) return false;
    return same_as_any(wanted, value);
}

inline bool operation_holds(std::string_view name, Element operand, Element value) {
    if (name == "$eq") return same(value, operand);
    if (name == "$ne") return !same(value, operand);
    if (name == "$has") return has(value, operand);
    if (name == "$hasAny") {
        for (const Element one : simdjson::dom::array(operand))
            if (has(value, one)) return true;
        return false;
    }
    const int order = order_of(value, operand);
    if (order == 2) return false;
    if (name == "$gt") return order > 0;
    if (name == "$gte") return order >= 0;
    if (name == "$lt") return order < 0;
    return order <= 0;
}

/// The last value of a key.
inline std::optional<Element> last_of(simdjson::dom::object object, std::string_view key) {
    std::optional<Element> found;
    for (const auto field : object)
        if (field.key == key) found = field.value;
    return found;
}

inline bool holds(Element definition, Element value) {
    if (definition.type() == element_type::ARRAY) return same_as_any(value, definition);
    if (definition.type() != element_type::OBJECT) return same(value, definition);
    const simdjson::dom::object fields = definition;
    for (const auto field : fields) {
        if (field.key.starts_with('$')) {
            if (!operation_holds(field.key, field.value, value)) return false;
            continue;
        }
        if (value.type() != element_type::OBJECT) return false;
        const auto inner = last_of(value, field.key);
        if (!inner || !holds(field.value, *inner)) return false;
    }
    return true;
}

/// What `matches` must answer for data alone; nothing if simdjson cannot say, because a number does
/// not fit a double.
inline std::optional<bool> oracle(const std::string& definition, const std::string& data) {
    thread_local simdjson::dom::parser definitions;
    thread_local simdjson::dom::parser documents;
    const Element meaning = definitions.parse(definition).value();
    Element document;
    const simdjson::error_code error = documents.parse(data).get(document);
    if (error == simdjson::NUMBER_ERROR) return std::nullopt;
    if (error != simdjson::SUCCESS) return false;
    return holds(meaning["data"], document);
}

/// Definitions and documents over few keys and values, so that they meet.
class MatchMaker {
public:
    explicit MatchMaker(std::uint64_t seed) : random_(seed) {}

    std::string definition() {
        witness_.clear();
        return space() + "{\"data\":" + demand(3) + "}" + space();
    }

    /// Anything, or something that most probably satisfies the last definition.
    std::string document() {
        return space() + (below(2) == 0 ? witness_ : value(4, below(8) != 0)) + space();
    }

    /// One to three bytes changed, removed or doubled.
    std::string broken(std::string text) {
        for (std::size_t change = below(3) + 1; change > 0 && !text.empty(); --change) {
            constexpr std::string_view kBytes = "{}[]\",:\\ 01.e-+tfnu\x01\x80\xC3\xE2\xED\xF0\xFF";
            const std::size_t at = below(text.size());
            const std::size_t how = below(4);
            if (how == 0) text.erase(at, 1);
            if (how == 1) text.insert(at, 1, text[at]);
            if (how == 2) text[at] = kBytes[below(kBytes.size())];
            if (how == 3) text.resize(at);
        }
        return text;
    }

    std::size_t below(std::size_t end) { return random_() % end; }

private:
    std::string space() {
        constexpr std::string_view kSpaces[] = {"", "", "", "", "", "", " ", "\n", "\t \r"};
        return std::string(kSpaces[below(9)]);
    }

    /// A string in one of its spellings.
    std::string string(std::string_view text) {
        const bool escape = below(4) == 0;
        std::string out = "\"";
        for (const char c : text) {
            const bool ascii = static_cast<unsigned char>(c) < 0x80;
            constexpr std::string_view kHex = "0123456789ABCDEF0123456789abcdef";
            if (c == '"' || c == '\\' || (ascii && (c < 0x20 || (escape && below(2) == 0)))) {
                const std::size_t letters = below(2) * 16;
                out += "\\u00";
                out += kHex[letters + static_cast<std::size_t>(c >> 4)];
                out += kHex[letters + static_cast<std::size_t>(c & 15)];
            } else {
                out += c;
            }
        }
        return out + "\"";
    }

    std::string key() {
        constexpr std::string_view kKeys[] = {"a",    "b",        "c",         "name",
                                              "a\"b", "\xC3\xA4", "long key 0"};
        return string(kKeys[below(7)]);
    }

    std::string scalar() {
        constexpr std::string_view kTexts[] = {"",
                                               "a",
                                               "b",
                                               "1",
                                               "true",
                                               "name",
                                               "quo\"te",
                                               "back\\",
                                               "tab\tnul\x01",
                                               "\xC3\xA4",
                                               "\xE2\x82\xAC uro",
                                               "eight by",
                                               "a text longer than sixteen bytes"};
        constexpr std::string_view kNumbers[] = {"0",
                                                 "-0",
                                                 "0.0",
                                                 "1",
                                                 "1.0",
                                                 "10e-1",
                                                 "1E0",
                                                 "-1",
                                                 "-1.5",
                                                 "-15e-1",
                                                 "0.5",
                                                 "5e-1",
                                                 "0.25",
                                                 "2",
                                                 "10",
                                                 "1e1",
                                                 "100",
                                                 "9",
                                                 "-10",
                                                 "4503599627370496",
                                                 "4503599627370498",
                                                 "4503599627370497",
                                                 "1e2",
                                                 "1e+2"};
        const std::size_t kind = below(10);
        if (kind == 0) return "null";
        if (kind == 1) return "true";
        if (kind == 2) return "false";
        if (kind < 6) return std::string(kNumbers[below(24)]);
        // A pair of surrogates stands for the one character that is also spelt as itself.
        if (kind == 6) return below(2) == 0 ? "\"\\ud83D\\ude00\"" : "\"\xF0\x9F\x98\x80\"";
        return string(kTexts[below(13)]);
    }

    /// A list of scalars, one of which is left in `element_`.
    std::string list(std::size_t least, std::size_t most) {
        std::string out = "[" + space();
        const std::size_t count = least + below(most - least + 1);
        for (std::size_t n = 0; n < count; ++n) {
            std::string one = scalar();
            out += (n == 0 ? "" : ",") + one + space();
            if (n == 0 || below(2) == 0) element_ = std::move(one);
        }
        return out + "]";
    }

    std::string operations() {
        constexpr std::string_view kNames[] = {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$has"};
        std::string out = "{" + space();
        std::vector<std::string_view> names;
        for (std::size_t n = below(3) + 1; n > 0; --n) {
            const std::string_view name = below(8) == 0 ? "$hasAny" : kNames[below(7)];
            if (std::find(names.begin(), names.end(), name) != names.end()) continue;
            names.push_back(name);
            std::string operand = name == "$hasAny" ? list(1, 3) : scalar();
            const bool compares = name.starts_with("$g") || name.starts_with("$l");
            while (compares && (operand[0] == 't' || operand[0] == 'f' || operand[0] == 'n'))
                operand = scalar();
            out += names.size() == 1 ? "" : "," + space();
            out += "\"" + std::string(name) + "\":" + space() + operand;
        }
        return out + space() + "}";
    }

    std::string demand(std::size_t depth) {
        const std::size_t kind = below(6);
        if (depth > 0 && (kind < 2 || depth == 3)) {
            std::string out = "{";
            std::vector<std::string> keys;
            // Before and behind what is demanded stand other values of the same and other keys.
            witness_ += '{';
            if (below(2) == 0) witness_ += key() + ":" + value(2, false) + space() + ",";
            for (std::size_t n = below(2) + 1; n > 0; --n) {
                constexpr std::string_view kKeys[] = {"a", "b", "c", "name", "\xC3\xA4"};
                std::string name(kKeys[below(5)]);
                if (std::find(keys.begin(), keys.end(), name) != keys.end()) continue;
                out += (keys.empty() ? "" : ",") + string(name) + ":";
                witness_ += (keys.empty() ? "" : ",") + string(name) + space() + ":";
                out += demand(depth - 1);
                keys.push_back(std::move(name));
            }
            if (below(4) == 0) witness_ += "," + key() + ":" + value(2, false);
            witness_ += space() + "}";
            return out + "}";
        }
        std::string out = kind == 2 ? list(1, 4) : kind == 3 ? operations() : scalar();
        witness_ += kind == 2 ? element_ : kind == 3 ? value(1, false) : out;
        return out;
    }

    std::string value(std::size_t depth, bool object) {
        const std::size_t kind = object ? 0 : below(6);
        if (depth == 0 || kind > 2) return scalar();
        if (kind == 1) return list(0, 4);
        std::string out = kind == 0 ? "{" : "[";
        for (std::size_t n = below(5); n > 0; --n) {
            out += space();
            if (kind == 0) out += key() + space() + ":" + space();
            out += value(depth - 1, below(4) == 0) + space();
            if (n > 1) out += ',';
        }
        return out + (kind == 0 ? "}" : "]");
    }

    std::mt19937_64 random_;
    std::string element_;
    std::string witness_;  ///< a document made along with the last definition
};

/// How often matcher and oracle were compared, how often both said yes, and where they differ.
struct Agreement {
    std::size_t compared = 0;
    std::size_t matched = 0;
    std::string difference;  ///< of the first one: definition, data, answer
};

/// `rounds` definitions with forty documents each, a quarter of them broken.
inline Agreement compare_with_oracle(std::uint64_t seed, std::size_t rounds) {
    MatchMaker maker(seed);
    Agreement agreement;
    for (std::size_t round = 0; round < rounds && agreement.difference.empty(); ++round) {
        const std::string definition = maker.definition();
        const auto matcher = Matcher::compile(definition);
        if (!matcher) {
            agreement.difference = definition + " is refused: " + matcher.error().message;
            break;
        }
        // Its canonical text means the same.
        const Matcher again = Matcher::compile(matcher->text()).value();
        for (std::size_t n = 0; n < 40; ++n) {
            std::string data = maker.document();
            if (n % 4 == 0) data = maker.broken(std::move(data));
            const std::optional<bool> expected = oracle(definition, data);
            if (!expected) continue;
            // A buffer of exactly this size, so that the sanitizer sees a read behind it.
            const std::vector<char> bytes(data.begin(), data.end());
            const std::string_view view(bytes.data(), bytes.size());
            ++agreement.compared;
            agreement.matched += *expected ? 1U : 0U;
            if (matcher->matches(view, {}) == *expected && again.matches(view, {}) == *expected)
                continue;
            agreement.difference =
                definition + " on " + data + " should be " + (*expected ? "yes" : "no");
            break;
        }
    }
    return agreement;
}

}  // namespace varve::test
