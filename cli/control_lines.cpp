#include "control_lines.hpp"

#include <algorithm>
#include <varve/selector_json.hpp>

#include "json_events.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

constexpr std::string_view kBlank = " \t\r\n";

std::string_view without_blanks(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

/// The JSON of a value as it stands in the line.
std::string raw_json(simdjson::ondemand::value value, std::string_view& raw) {
    simdjson::ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return "cannot be read";
    if (type == simdjson::ondemand::json_type::object) {
        simdjson::ondemand::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS ||
            object.raw_json().get(raw) != simdjson::SUCCESS)
            return "is not a whole object";
    } else {
        raw = value.raw_json_token();
    }
    raw = without_blanks(raw);
    return {};
}

std::string text(simdjson::ondemand::value value, std::string& into) {
    std::string_view view;
    if (value.get_string().get(view) != simdjson::SUCCESS) return "is not a string";
    into = view;
    return {};
}

std::string kind(simdjson::ondemand::value value, DefinitionKind& into) {
    std::string name;
    if (std::string wrong = text(value, name); !wrong.empty()) return wrong;
    for (const auto kind : {DefinitionKind::stream, DefinitionKind::tags, DefinitionKind::type}) {
        if (name != kind_name(kind)) continue;
        into = kind;
        return {};
    }
    return "is neither stream nor tags nor type";
}

std::string control(simdjson::ondemand::value value, bool& closes) {
    std::string what;
    if (std::string wrong = text(value, what); !wrong.empty()) return wrong;
    closes = what == "close";
    if (closes || what == "define") return {};
    return "is neither define nor close: a newer version may know it";
}

std::string field(std::string_view key, simdjson::ondemand::value value, bool ignore_unknown,
                  ControlLine& into) {
    if (key == "control") return control(value, into.closes);
    if (key == "name") return text(value, into.name);
    if (key == "kind") return kind(value, into.kind);
    if (key == "field") return text(value, into.field);
    if (key == "prefix") return text(value, into.prefix);
    if (key == "selector" || key == "match") {
        std::string_view raw;
        if (std::string wrong = raw_json(value, raw); !wrong.empty()) return wrong;
        try {
            if (key == "match")
                into.matcher = compile_matcher(raw);
            else
                into.events = selector_of(raw);
        } catch (const BadJson& bad) {
            return std::string("cannot be: ") + bad.what();
        }
        return {};
    }
    return key == "position" || ignore_unknown ? "" : "is not a field of a definition";
}

std::string define_line(const Definition& one) {
    std::string out =
        "{\"control\":\"define\",\"position\":" + std::to_string(one.defined.value) + ",\"name\":";
    write_string(one.name, out);
    out += ",\"kind\":\"" + std::string(kind_name(one.kind)) + '"';
    if (!one.events.is_all()) out += ",\"selector\":" + to_json(one.events);
    if (!one.matcher.empty()) out += ",\"match\":" + one.matcher;
    for (const auto& [key, value] :
         {std::pair(",\"field\":", &one.field), std::pair(",\"prefix\":", &one.prefix)}) {
        if (value->empty()) continue;
        out += key;
        write_string(*value, out);
    }
    return out + "}\n";
}

std::string close_line(const Definition& one) {
    std::string out =
        "{\"control\":\"close\",\"position\":" + std::to_string(one.closed.value) + ",\"name\":";
    write_string(one.name, out);
    return out + "}\n";
}

}  // namespace

const char* kind_name(DefinitionKind kind) {
    switch (kind) {
        case DefinitionKind::stream: return "stream";
        case DefinitionKind::tags: return "tags";
        case DefinitionKind::type: return "type";
    }
    return "?";
}

NewDefinition ControlLine::definition() const {
    return {kind, name, events, matcher, field, prefix};
}

bool is_control_line(std::string_view line) {
    const auto take = [&](std::string_view token) {
        line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
        if (!line.starts_with(token)) return false;
        line.remove_prefix(token.size());
        return true;
    };
    return take("{") && take("\"control\"") && take(":");
}

std::string parse_control_line(std::string_view line, bool ignore_unknown, ControlLine& into) {
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    if (parser.iterate(line.data(), line.size(), line.size() + Parser::kPadding).get(document) !=
            simdjson::SUCCESS ||
        document.get_object().get(object) != simdjson::SUCCESS)
        return "it is not JSON";
    for (auto one : object) {
        std::string_view key;
        simdjson::ondemand::value value;
        if (one.unescaped_key().get(key) != simdjson::SUCCESS ||
            one.value().get(value) != simdjson::SUCCESS)
            return "it is not valid JSON";
        const std::string owned(key);
        const std::string wrong = field(owned, value, ignore_unknown, into);
        if (!wrong.empty()) return "field \"" + owned + "\" " + wrong;
    }
    const char* rest = nullptr;
    if (document.current_location().get(rest) == simdjson::SUCCESS &&
        rest < line.data() + line.size())
        return "something follows the object";
    return into.name.empty() ? "the definition has no name" : "";
}

DefinitionLines::DefinitionLines(const Snapshot& snapshot) {
    auto all = snapshot.definitions();
    if (!all) throw Failed(all.error());
    definitions_ = all->size();
    for (const Definition& one : *all) {
        lines_.push_back({one.defined, define_line(one)});
        if (one.closed.value != 0) lines_.push_back({one.closed, close_line(one)});
    }
    std::sort(lines_.begin(), lines_.end(),
              [](const Line& a, const Line& b) { return a.position < b.position; });
}

}  // namespace varve::cli
