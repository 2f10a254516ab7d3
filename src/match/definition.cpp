// The parser of definitions. Recursion is bounded by `kMaxDefinitionDepth`.
//
// Any thread.
#include "match/definition.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve::match {

namespace {

struct Spelling {
    std::string_view name;
    Operator op;
};

constexpr std::array<Spelling, 8> kOperators{{{"$eq", Operator::any_of},
                                              {"$gt", Operator::gt},
                                              {"$gte", Operator::gte},
                                              {"$has", Operator::has},
                                              {"$hasAny", Operator::has_any},
                                              {"$lt", Operator::lt},
                                              {"$lte", Operator::lte},
                                              {"$ne", Operator::ne}}};

const Spelling* find_operator(std::string_view name) {
    const auto* const found = std::ranges::find(kOperators, name, &Spelling::name);
    return found == kOperators.end() ? nullptr : &*found;
}

std::string_view name_of(Operator op) {
    return std::ranges::find(kOperators, op, &Spelling::op)->name;
}

/// Sorted by their canonical text, each once.
void normalise(std::vector<Scalar>& operands) {
    const auto text = [](const Scalar& scalar) { return to_json(scalar); };
    std::ranges::sort(operands, {}, text);
    const auto twice = std::ranges::unique(operands, {}, text);
    operands.erase(twice.begin(), twice.end());
}

/// `$hasAny` of one value is `$has`; beside a `$has` the smaller value goes there.
void normalise(std::vector<Condition>& conditions) {
    const auto has = std::ranges::find(conditions, Operator::has, &Condition::op);
    const auto any = std::ranges::find(conditions, Operator::has_any, &Condition::op);
    if (any != conditions.end() && any->operands.size() == 1) {
        if (has == conditions.end()) {
            any->op = Operator::has;
        } else {
            std::vector<Scalar> both{has->operands[0], any->operands[0]};
            normalise(both);
            has->operands = {both[0]};
            any->operands = {both.back()};
            if (both.size() == 1) conditions.erase(any);
        }
    }
    std::ranges::sort(conditions, {}, &Condition::op);
}

class Parser {
public:
    explicit Parser(std::string_view json) : scanner_(json), size_(json.size()) {}

    Result<Field> definition() {
        Field field;
        if (scanner_.peek() != '{')
            return wrong("a definition is a JSON object such as {\"data\": {\"type\": \"sold\"}}");
        VARVE_TRY(object(field, 1));
        if (scanner_.peek() != '\0' || scanner_.offset() != size_)
            return wrong("something follows the definition; remove it");
        for (const Field& part : field.fields) {
            if (part.key != "data" && part.key != "metadata")
                return wrong("a definition has the fields data and metadata, not " + part.key, 0);
        }
        if (!field.conditions.empty())
            return wrong("operators belong to a field inside data or metadata", 0);
        return field;
    }

private:
    [[nodiscard]] Error wrong(const std::string& what, std::optional<std::size_t> at = {}) const {
        return base::failure(ErrorCode::invalid_argument,
                             "matcher, at byte " + std::to_string(at.value_or(scanner_.offset())) +
                                 " of the definition: " + what);
    }

    [[nodiscard]] Result<void> count(std::size_t at) {
        if (++count_ <= kMaxConditions) return {};
        return wrong("more than " + std::to_string(kMaxConditions) +
                         " fields and values; use several matchers",
                     at);
    }

    Result<Scalar> operand() {
        const char first = scanner_.peek();
        const std::size_t at = scanner_.offset();
        if (first == '{' || first == '[')
            return wrong("a string, number, true, false or null is needed here", at);
        VARVE_TRY(count(at));
        Token token;
        if (!scanner_.scalar(first, token)) return wrong("this is not JSON; correct it");
        Scalar scalar = to_scalar(token);
        // Of the first digit, as in 1.5e3.
        if (std::abs(scalar.exponent - 1) > kMaxExponent)
            return wrong("the exponent is too large; its limit is " + std::to_string(kMaxExponent),
                         at);
        return scalar;
    }

    Result<std::vector<Scalar>> operands() {
        const std::size_t at = scanner_.offset();
        std::vector<Scalar> all;
        scanner_.advance();
        if (scanner_.peek() == ']')
            return wrong("an empty list matches nothing; give the values that are wanted", at);
        for (bool more = true; more;) {
            auto one = operand();
            if (!one) return std::move(one).error();
            all.push_back(std::move(*one));
            if (!scanner_.next(']', more)) return wrong("this is not JSON; , or ] is missing");
        }
        normalise(all);
        return all;
    }

    Result<void> list_or_one(Condition& condition, bool list) {
        if (list) {
            auto many = operands();
            if (!many) return std::move(many).error();
            condition.operands = std::move(*many);
            return {};
        }
        auto one = operand();
        if (!one) return std::move(one).error();
        condition.operands.push_back(std::move(*one));
        return {};
    }

    Result<void> operation(const std::string& key, std::size_t at, Field& field) {
        const Spelling* const spelling = find_operator(key);
        if (spelling == nullptr)
            return wrong(
                "unknown operator " + key + "; there are $eq $ne $gt $gte $lt $lte $has $hasAny",
                at);
        Condition condition{spelling->op, {}};
        const bool list = condition.op == Operator::has_any;
        if (list && scanner_.peek() != '[') return wrong("$hasAny needs a list of values");
        VARVE_TRY(list_or_one(condition, list));
        const Kind kind = condition.operands[0].kind;
        const bool compares = condition.op == Operator::gt || condition.op == Operator::gte ||
                              condition.op == Operator::lt || condition.op == Operator::lte;
        if (compares && kind != Kind::number && kind != Kind::string)
            return wrong(key + " compares with a number or a string", at);
        // As everywhere, of a key that is given twice the last one counts.
        std::erase_if(field.conditions,
                      [&](const Condition& other) { return other.op == condition.op; });
        field.conditions.push_back(std::move(condition));
        return {};
    }

    Result<void> member(const std::string& key, std::size_t at, Field& field, std::uint32_t depth) {
        const bool operates = key.starts_with('$');
        if (operates ? !field.fields.empty() : !field.conditions.empty())
            return wrong("operators and fields do not go together in one object", at);
        if (operates) return operation(key, at, field);
        VARVE_TRY(count(at));
        Field inner{key, {}, {}};
        VARVE_TRY(value(inner, depth));
        std::erase_if(field.fields, [&](const Field& other) { return other.key == key; });
        field.fields.push_back(std::move(inner));
        return {};
    }

    Result<void> object(Field& field, std::uint32_t depth) {
        const std::size_t at = scanner_.offset();
        if (depth > kMaxDefinitionDepth)
            return wrong(
                "nested deeper than " + std::to_string(kMaxDefinitionDepth) + "; flatten it", at);
        scanner_.advance();
        if (scanner_.peek() == '}')
            return wrong("an empty object demands nothing; give a condition or leave it out", at);
        for (bool more = true; more;) {
            static_cast<void>(scanner_.peek());
            const std::size_t key_at = scanner_.offset();
            Token key;
            if (!scanner_.key(key)) return wrong("this is not JSON; a \"key\": is missing");
            VARVE_TRY(member(decode(key), key_at, field, depth));
            if (!scanner_.next('}', more)) return wrong("this is not JSON; , or } is missing");
        }
        std::ranges::sort(field.fields, {}, &Field::key);
        normalise(field.conditions);
        return {};
    }

    Result<void> value(Field& field, std::uint32_t depth) {
        const char first = scanner_.peek();
        if (first == '{') return object(field, depth + 1);
        return list_or_one(field.conditions.emplace_back(), first == '[');
    }

    JsonScanner scanner_;
    std::size_t size_;
    std::uint32_t count_ = 0;
};

void write_list(const std::vector<Scalar>& operands, std::string& out) {
    out += '[';
    for (const Scalar& operand : operands) {
        if (&operand != operands.data()) out += ',';
        out += to_json(operand);
    }
    out += ']';
}

void write(const Field& field, std::string& out) {
    // A lone equality is written as the value itself.
    if (field.conditions.size() == 1 && field.conditions[0].op == Operator::any_of) {
        const std::vector<Scalar>& operands = field.conditions[0].operands;
        if (operands.size() == 1)
            out += to_json(operands[0]);
        else
            write_list(operands, out);
        return;
    }
    char before = '{';
    for (const Condition& condition : field.conditions) {
        out += before;
        append_json_string(name_of(condition.op), out);
        out += ':';
        if (condition.op == Operator::has_any)
            write_list(condition.operands, out);
        else
            out += to_json(condition.operands[0]);
        before = ',';
    }
    for (const Field& inner : field.fields) {
        out += before;
        append_json_string(inner.key, out);
        out += ':';
        write(inner, out);
        before = ',';
    }
    out += '}';
}

}  // namespace

Result<Field> parse_definition(std::string_view json) {
    if (json.size() > kMaxDefinitionSize)
        return base::failure(ErrorCode::invalid_argument,
                             "matcher: the definition has " + std::to_string(json.size()) +
                                 " bytes; the limit is " + std::to_string(kMaxDefinitionSize));
    return Parser(json).definition();
}

std::string to_json(const Field& field) {
    std::string text;
    write(field, text);
    return text;
}

}  // namespace varve::match
