#include "json_events.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace varve::cli {

namespace {

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string encode_base64(std::string_view bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        for (std::size_t n = 0; n < 3; ++n)
            group = group << 8 | (n < count ? static_cast<unsigned char>(bytes[at + n]) : 0U);
        for (std::size_t n = 0; n < 4; ++n)
            text += n <= count ? kBase64[group >> (18 - 6 * n) & 63U] : '=';
    }
    return text;
}

bool decode_base64(std::string_view text, std::string& bytes) {
    if (text.size() % 4 != 0) return false;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        std::uint32_t group = 0;
        std::size_t count = 3;
        for (std::size_t n = 0; n < 4; ++n) {
            const char c = text[at + n];
            const bool pad = c == '=' && at + 4 == text.size() && n >= 2;
            const std::size_t value = pad ? 0 : kBase64.find(c);
            if (value == std::string_view::npos) return false;
            if (pad) count = std::min(count, n - 1);
            group = group << 6 | static_cast<std::uint32_t>(value);
        }
        for (std::size_t n = 0; n < count; ++n)
            bytes += static_cast<char>(group >> (16 - 8 * n) & 255U);
    }
    return true;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' ||
                             text.back() == '\n')) {
        text.remove_suffix(1);
    }
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    return text;
}

/// The text of {"$base64": "text"}, with white space wherever JSON allows it.
std::optional<std::string_view> base64_text(std::string_view json) {
    const auto take = [&](std::string_view token) {
        while (!json.empty() && std::string_view(" \t\r\n").find(json[0]) != std::string_view::npos)
            json.remove_prefix(1);
        if (!json.starts_with(token)) return false;
        json.remove_prefix(token.size());
        return true;
    };
    if (!take("{") || !take("\"$base64\"") || !take(":") || !take("\"")) return std::nullopt;
    const std::string_view text = json.substr(0, json.find('"'));
    json.remove_prefix(text.size());
    return take("\"") && take("}") && take("") && json.empty() ? std::optional(text) : std::nullopt;
}

/// The JSON of a value as it stands in the line, or the bytes that {"$base64": …} stands for.
std::string payload(simdjson::ondemand::value value, std::string_view& into, Batch& batch) {
    std::string_view raw;
    simdjson::ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return "cannot be read";
    if (type == simdjson::ondemand::json_type::object) {
        simdjson::ondemand::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS) return "is not a whole object";
        if (object.raw_json().get(raw) != simdjson::SUCCESS) return "is not a whole object";
    } else if (type == simdjson::ondemand::json_type::array) {
        simdjson::ondemand::array array;
        if (value.get_array().get(array) != simdjson::SUCCESS) return "is not a whole array";
        if (array.raw_json().get(raw) != simdjson::SUCCESS) return "is not a whole array";
    } else {
        raw = value.raw_json_token();
        if (type == simdjson::ondemand::json_type::string) {
            std::string_view ignored;
            if (value.get_string().get(ignored) != simdjson::SUCCESS)
                return "is not a whole string";
        }
    }
    into = trim(raw);
    const auto encoded = base64_text(into);
    if (!encoded) return {};
    std::string& bytes = batch.texts.emplace_back();
    if (!decode_base64(*encoded, bytes)) return "is not valid base64";
    into = bytes;
    return {};
}

/// A name: a view into the line, unless escapes made the parser write it elsewhere.
std::string name(simdjson::ondemand::value value, std::string_view& into, Batch& batch) {
    const std::string_view raw = value.raw_json_token();
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) return "is not a string";
    const bool plain = raw.find('\\') == std::string_view::npos && raw.size() >= text.size() + 2;
    into = plain ? raw.substr(1, text.size()) : std::string_view(batch.texts.emplace_back(text));
    return {};
}

std::string tags(simdjson::ondemand::value value, NewEvent& event, Batch& batch) {
    simdjson::ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return "is not an array of strings";
    for (auto element : array) {
        simdjson::ondemand::value tag;
        if (element.get(tag) != simdjson::SUCCESS) return "is not an array of strings";
        std::string_view text;
        if (std::string wrong = name(tag, text, batch); !wrong.empty())
            return "is not an array of strings";
        event.tags.push_back(text);
    }
    return {};
}

bool is_json(std::string_view bytes) {
    if (bytes.empty()) return false;
    thread_local simdjson::dom::parser parser;
    if (trim(bytes).size() != bytes.size() || bytes.find('\n') != std::string_view::npos)
        return false;
    return parser.parse(bytes.data(), bytes.size()).error() == simdjson::SUCCESS &&
           !base64_text(bytes);
}

void write_payload(std::string_view bytes, std::string& out) {
    if (is_json(bytes))
        out += bytes;
    else
        out += "{\"$base64\":\"" + encode_base64(bytes) + "\"}";
}

void write_id(const EventId& id, std::string& out) {
    constexpr std::string_view kHex = "0123456789abcdef";
    for (std::size_t n = 0; n < 16; ++n) {
        if (n == 4 || n == 6 || n == 8 || n == 10) out += '-';
        out += kHex[std::to_integer<std::size_t>(id.bytes[n]) >> 4];
        out += kHex[std::to_integer<std::size_t>(id.bytes[n]) & 15U];
    }
}

}  // namespace

bool parse_id(std::string_view text, EventId& id) {
    std::size_t digits = 0;
    for (const char c : text) {
        if (c == '-') continue;
        const int value = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (value < 0 || digits >= 32) return false;
        std::byte& byte = id.bytes[digits / 2];
        byte = static_cast<std::byte>(digits % 2 == 0 ? value << 4
                                                      : std::to_integer<int>(byte) | value);
        ++digits;
    }
    return digits == 32;
}

NewEvent& Batch::add() {
    if (count == events.size()) events.emplace_back();
    NewEvent& event = events[count++];
    std::vector<std::string_view> tags = std::move(event.tags);
    tags.clear();
    event = NewEvent{};
    event.tags = std::move(tags);
    return event;
}

void Batch::clear() {
    count = 0;
    texts.clear();
    line_numbers.clear();
}

std::string Parser::field(std::string_view key, simdjson::ondemand::value value, NewEvent& event,
                          Batch& batch) {
    if (key == "stream") return name(value, event.stream, batch);
    if (key == "type") return name(value, event.type, batch);
    if (key == "tags") return tags(value, event, batch);
    if (key == "data") return payload(value, event.data, batch);
    if (key == "metadata") return payload(value, event.metadata, batch);
    if (key == "time") {
        std::string_view raw = trim(value.raw_json_token());
        std::int64_t time_us = 0;
        const bool read =
            raw.starts_with('"')
                ? parse_rfc3339(raw.substr(1, raw.size() < 2 ? 0 : raw.size() - 2), time_us)
                : parse_time(raw, time_us);
        if (!read) return "is neither milliseconds since 1970 nor an RFC 3339 time";
        event.time_us = time_us;
        return {};
    }
    if (key == "id") {
        std::string_view text;
        EventId id;
        if (value.get_string().get(text) != simdjson::SUCCESS || !parse_id(text, id))
            return "is not a UUID";
        event.id = id;
        return {};
    }
    const bool known = key == "position" || key == "revision" || key == "erased";
    return known || ignore_unknown_ ? "" : "is not a field of an event";
}

std::string Parser::parse(std::string_view line, std::uint64_t line_number, Batch& batch) {
    simdjson::ondemand::document document;
    if (parser_.iterate(line.data(), line.size(), line.size() + kPadding).get(document) !=
        simdjson::SUCCESS) {
        return "it is not JSON";
    }
    simdjson::ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) return "it is not a JSON object";
    NewEvent& event = batch.add();
    const auto refuse = [&](std::string why) {
        --batch.count;
        return why;
    };
    for (auto one : object) {
        std::string_view key;
        simdjson::ondemand::value value;
        if (one.unescaped_key().get(key) != simdjson::SUCCESS ||
            one.value().get(value) != simdjson::SUCCESS) {
            return refuse("it is not valid JSON");
        }
        const std::string owned(key);
        std::string wrong = field(owned, value, event, batch);
        if (!wrong.empty()) return refuse("field \"" + owned + "\" " + wrong);
    }
    const char* rest = nullptr;
    const bool more = document.current_location().get(rest) == simdjson::SUCCESS &&
                      rest < line.data() + line.size();
    if (more) return refuse("something follows the object");
    batch.line_numbers.push_back(line_number);
    return {};
}

void write_string(std::string_view text, std::string& out) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

void write_time(std::int64_t time_us, std::string& out) {
    const std::int64_t magnitude = time_us < 0 ? -time_us : time_us;
    if (time_us < 0) out += '-';
    out += std::to_string(magnitude / 1000);
    if (magnitude % 1000 == 0) return;
    std::string decimals = std::to_string(1000 + magnitude % 1000).substr(1);
    while (decimals.back() == '0') decimals.pop_back();
    out += '.' + decimals;
}

bool parse_time(std::string_view text, std::int64_t& time_us) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t dot = text.find('.');
    const std::string_view whole = text.substr(0, dot);
    const std::string_view decimals =
        dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
    std::int64_t ms = 0;
    const auto read = std::from_chars(whole.data(), whole.data() + whole.size(), ms);
    if (read.ec != std::errc{} || read.ptr != whole.data() + whole.size() ||
        ms > 9'000'000'000'000'000)
        return false;
    if (decimals.size() > 3 || (dot != std::string_view::npos && decimals.empty())) return false;
    std::int64_t us = 0;
    for (std::size_t n = 0; n < 3; ++n) {
        const char digit = n < decimals.size() ? decimals[n] : '0';
        if (digit < '0' || digit > '9') return false;
        us = us * 10 + (digit - '0');
    }
    time_us = (ms * 1000 + us) * (negative ? -1 : 1);
    return true;
}

bool parse_rfc3339(std::string_view text, std::int64_t& time_us) {
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
        return false;
    const auto number = [&](std::size_t at, std::size_t length, int& value) {
        const auto read = std::from_chars(text.data() + at, text.data() + at + length, value);
        return read.ec == std::errc{} && read.ptr == text.data() + at + length;
    };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (!number(0, 4, year) || !number(5, 2, month) || !number(8, 2, day) || !number(11, 2, hour) ||
        !number(14, 2, minute) || !number(17, 2, second) || month < 1 || month > 12 || day < 1 ||
        day > 31 || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    std::size_t at = 19;
    std::int64_t fraction = 0;
    if (text[at] == '.') {
        std::int64_t unit = 100'000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
            fraction += (text[at] - '0') * unit;
    }
    if (at >= text.size()) return false;
    std::int64_t offset_minutes = 0;
    if (text[at] == 'Z' || text[at] == 'z') {
        if (at + 1 != text.size()) return false;
    } else {
        int hours = 0, minutes = 0;
        if (text.size() != at + 6 || text[at + 3] != ':' || !number(at + 1, 2, hours) ||
            !number(at + 4, 2, minutes))
            return false;
        offset_minutes = (text[at] == '-' ? -1 : 1) * (hours * 60 + minutes);
    }
    // Days since 1970 of a date in the proleptic Gregorian calendar, counted in eras of 400 years
    // that begin in March.
    const std::int64_t y = month <= 2 ? year - 1 : year;
    const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
    const std::int64_t in_era = y - era * 400;
    const std::int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int64_t days =
        era * 146'097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719'468;
    time_us =
        (((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1'000'000 + fraction;
    return true;
}

void write_line(const EventView& event, std::string& out) {
    out += "{\"position\":" + std::to_string(event.position.value);
    if (!event.stream.empty()) {
        out += ",\"stream\":";
        write_string(event.stream, out);
        out += ",\"revision\":" + std::to_string(event.revision.value);
    }
    if (!event.type.empty()) {
        out += ",\"type\":";
        write_string(event.type, out);
    }
    if (!event.tags.empty()) {
        out += ",\"tags\":[";
        for (const std::string_view tag : event.tags) {
            if (out.back() != '[') out += ',';
            write_string(tag, out);
        }
        out += ']';
    }
    out += ",\"time\":";
    write_time(event.time_us, out);
    if (const auto id = event.id()) {
        out += ",\"id\":\"";
        write_id(*id, out);
        out += '"';
    }
    if (event.erased) out += ",\"erased\":true";
    if (!event.metadata.empty()) {
        out += ",\"metadata\":";
        write_payload(event.metadata, out);
    }
    if (!event.data.empty()) {
        out += ",\"data\":";
        write_payload(event.data, out);
    }
    out += "}\n";
}

}  // namespace varve::cli
