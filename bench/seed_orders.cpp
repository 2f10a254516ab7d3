// The documents of seed-storage, written and parsed.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "seed.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kFirstPlaced = 1'700'000'000'000;

template <class Number>
void put_number(std::string& into, Number value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    into.append(digits, end.ptr);
}

bool must_be_escaped(char letter) {
    return letter == '"' || letter == '\\' || static_cast<unsigned char>(letter) < 0x20;
}

void put_string(std::string& into, std::string_view text) {
    into.push_back('"');
    // Orders have nothing to escape; a writer of JSON has to look all the same.
    if (std::none_of(text.begin(), text.end(), must_be_escaped)) {
        into.append(text);
    } else {
        for (const char letter : text) {
            constexpr char kHex[] = "0123456789abcdef";
            if (!must_be_escaped(letter)) {
                into.push_back(letter);
                continue;
            }
            into += "\\u00";
            into.push_back(kHex[static_cast<unsigned char>(letter) >> 4]);
            into.push_back(kHex[letter & 15]);
        }
    }
    into.push_back('"');
}

double amount_of(std::uint64_t number) { return static_cast<double>(number % 1'000) / 4; }

}  // namespace

std::string_view Orders::write(std::uint64_t number) {
    order_.type = "OrderPlaced";
    order_.number = number;
    order_.customer = "customer-";
    put_number(order_.customer, number % 97);
    order_.amount = amount_of(number);
    order_.express = number % 3 == 0;
    order_.items[0] = "book";
    order_.items[1] = "pencil";
    order_.placed_at = kFirstPlaced + number;
    text_ = "{\"type\":";
    put_string(text_, order_.type);
    text_ += ",\"number\":";
    put_number(text_, order_.number);
    text_ += ",\"customer\":";
    put_string(text_, order_.customer);
    text_ += ",\"amount\":";
    put_number(text_, order_.amount);
    text_ += order_.express ? ",\"express\":true,\"items\":[" : ",\"express\":false,\"items\":[";
    put_string(text_, order_.items[0]);
    text_.push_back(',');
    put_string(text_, order_.items[1]);
    text_ += "],\"placedAt\":";
    put_number(text_, order_.placed_at);
    text_.push_back('}');
    return text_;
}

double Orders::sum(std::uint64_t number) {
    return static_cast<double>(number) * 2 + amount_of(number) + (number % 3 == 0 ? 1 : 0) +
           static_cast<double>(number % 97 < 10 ? 10 : 11) + 11 + 4 + 6 +
           static_cast<double>(kFirstPlaced);
}

double Orders::read(std::string_view json) {
    padded_.resize(json.size() + simdjson::SIMDJSON_PADDING);
    std::memcpy(padded_.data(), json.data(), json.size());
    std::string_view text;
    std::size_t items = 0;
    const auto parse = [&]() -> simdjson::error_code {
        simdjson::ondemand::document document;
        simdjson::ondemand::object object;
        simdjson::ondemand::array array;
        if (auto bad = parser_.iterate(padded_.data(), json.size(), padded_.size()).get(document))
            return bad;
        if (auto bad = document.get_object().get(object)) return bad;
        if (auto bad = object["type"].get_string().get(text)) return bad;
        order_.type = text;
        if (auto bad = object["number"].get_uint64().get(order_.number)) return bad;
        if (auto bad = object["customer"].get_string().get(text)) return bad;
        order_.customer = text;
        if (auto bad = object["amount"].get_double().get(order_.amount)) return bad;
        if (auto bad = object["express"].get_bool().get(order_.express)) return bad;
        if (auto bad = object["items"].get_array().get(array)) return bad;
        for (auto item : array) {
            if (auto bad = item.get_string().get(text)) return bad;
            if (items < 2) order_.items[items++] = text;
        }
        return object["placedAt"].get_uint64().get(order_.placed_at);
    };
    if (const auto bad = parse(); bad != simdjson::SUCCESS)
        must_do(Error{.message = simdjson::error_message(bad)}, "JSON");
    return static_cast<double>(order_.number) + order_.amount + (order_.express ? 1 : 0) +
           static_cast<double>(order_.customer.size() + order_.type.size() +
                               order_.items[0].size() + order_.items[1].size()) +
           static_cast<double>(order_.placed_at);
}

}  // namespace varve::bench
