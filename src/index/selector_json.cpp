// Selectors as JSON. Any thread. Nesting is bounded by Selector::kMaxDepth.
#include "varve/selector_json.hpp"

#include "index/selector_code.hpp"

namespace varve {
inline namespace v0 {

namespace {

using index::CodedSet;
using index::Op;

const char* key_of(Op op) noexcept {
    switch (op) {
        case Op::stream: return "stream";
        case Op::category: return "category";
        case Op::type: return "type";
        case Op::tag: return "tag";
        case Op::derived: return "derived";
        case Op::any_of: return "any";
        case Op::all_of: return "all";
        case Op::none_of: return "not";
        default: return "?";  // none that a Selector holds
    }
}

void append_quoted(std::string& json, std::string_view name) {
    constexpr char kDigits[] = "0123456789abcdef";
    json.push_back('"');
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20) {
            json.append("\\u00").push_back(kDigits[byte >> 4]);
            json.push_back(kDigits[byte & 15U]);
            continue;
        }
        if (c == '"' || c == '\\') json.push_back('\\');
        json.push_back(c);
    }
    json.push_back('"');
}

void append_set(std::string& json, const CodedSet& set) {
    if (set.op == Op::nothing || set.op == Op::all) {
        json.append(set.op == Op::all ? "true" : "false");
        return;
    }
    json.append("{\"").append(key_of(set.op)).append("\":");
    if (!index::is_list(set.op)) {
        append_quoted(json, set.inside);
    } else {
        const bool several = set.op != Op::none_of;
        if (several) json.push_back('[');
        std::string_view rest = set.inside;
        CodedSet inner;
        for (bool first = true; take_set(rest, inner); first = false) {
            if (!first) json.push_back(',');
            append_set(json, inner);
        }
        if (several) json.push_back(']');
    }
    json.push_back('}');
}

}  // namespace

std::string to_json(const Selector& selector) {
    std::string json;
    std::string_view rest = selector.encoded();
    CodedSet set;
    if (take_set(rest, set)) append_set(json, set);
    return json;
}

}  // namespace v0
}  // namespace varve
