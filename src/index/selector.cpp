// The public Selector: makes normal forms.
#include "varve/selector.hpp"

#include <algorithm>
#include <new>

#include "base/error.hpp"
#include "index/selector_code.hpp"
#include "log/format.hpp"
#include "varve/options.hpp"

namespace varve {
inline namespace v0 {

using index::CodedSet;
using index::Op;

namespace {

constexpr std::string_view kNothing("\0", 1);
constexpr const char* kNoMemory = "no memory for the selector";
constexpr std::size_t kMaxItems = 64;
constexpr std::size_t kMaxItemTypes = 256;
constexpr std::size_t kMaxItemTags = 64;

void put(std::string& code, std::uint8_t op) { code.push_back(static_cast<char>(op)); }

template <class Number>
void put_number(std::string& code, Number number) {
    for (std::size_t n = 0; n < sizeof number; ++n)
        code.push_back(static_cast<char>(number >> (8 * n) & 0xFFU));
}

void put_name(std::string& code, std::uint8_t op, std::string_view name) {
    put(code, op);
    put_number(code, static_cast<std::uint16_t>(name.size()));
    code.append(name);
}

void put_list(std::string& code, Op op, const std::vector<std::string_view>& sets) {
    std::size_t bytes = 0;
    for (const std::string_view set : sets) bytes += set.size();
    code.reserve(code.size() + 5 + bytes);
    put(code, static_cast<std::uint8_t>(op));
    put_number(code, static_cast<std::uint32_t>(bytes));
    for (const std::string_view set : sets) code.append(set);
}

unsigned depth_of(std::string_view code) noexcept {
    unsigned deepest = 0;
    for (CodedSet set; take_set(code, set);) {
        if (index::is_list(set.op)) deepest = std::max(deepest, 1 + depth_of(set.inside));
    }
    return deepest;
}

const char* fault_of(std::string_view name) noexcept {
    if (name.empty()) return "a name in the selector is empty";
    if (name.size() > log::kMaxNameBytes) return "a name in the selector exceeds 1,024 bytes";
    return nullptr;
}

/// The code of a list of sets that are in normal form themselves. `of` holds views into theirs.
std::string combined(Op op, std::vector<std::string_view>& of) {
    const Op absorbing = op == Op::any_of ? Op::all : Op::nothing;
    const Op neutral = op == Op::any_of ? Op::nothing : Op::all;
    std::vector<std::string_view> sets;
    for (const std::string_view code : of) {
        std::string_view rest = code;
        CodedSet set;
        static_cast<void>(take_set(rest, set));
        if (set.op == absorbing) return std::string(set.whole);
        if (set.op == neutral) continue;
        if (set.op != op) {
            sets.push_back(set.whole);
            continue;
        }
        for (CodedSet inner; take_set(set.inside, inner);) sets.push_back(inner.whole);
    }
    std::sort(sets.begin(), sets.end());
    sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
    std::string code;
    if (sets.empty())
        put(code, static_cast<std::uint8_t>(neutral));
    else if (sets.size() == 1)
        code = sets.front();
    else
        put_list(code, op, sets);
    return code;
}

const char* fault_of(std::span<const QueryItem> items) noexcept {
    if (items.empty())
        return "a query without items; to match every event, say so with Selector::all()";
    if (items.size() > kMaxItems) return "a query of more than 64 items";
    for (const QueryItem& item : items) {
        if (item.types.empty() && item.tags.empty())
            return "an item of the query has neither types nor tags; to match every event, say so "
                   "with Selector::all()";
        if (item.types.size() > kMaxItemTypes)
            return "an item of the query has more than 256 types";
        if (item.tags.size() > kMaxItemTags) return "an item of the query has more than 64 tags";
        for (const std::string_view name : item.types)
            if (const char* why = fault_of(name)) return why;
        for (const std::string_view name : item.tags)
            if (const char* why = fault_of(name)) return why;
    }
    return nullptr;
}

std::string code_of_item(const QueryItem& item) {
    if (item.types.size() + item.tags.size() == 1) {
        const bool type = item.tags.empty();
        std::string code;
        const std::string_view name = type ? item.types.front() : item.tags.front();
        code.reserve(3 + name.size());
        put_name(code, static_cast<std::uint8_t>(type ? Op::type : Op::tag), name);
        return code;
    }
    std::string names;  // of all of them: the views into it are made when it is complete
    for (const std::string_view type : item.types)
        put_name(names, static_cast<std::uint8_t>(Op::type), type);
    const std::size_t types_end = names.size();
    for (const std::string_view tag : item.tags)
        put_name(names, static_cast<std::uint8_t>(Op::tag), tag);
    std::vector<std::string_view> sets;
    std::string_view rest = std::string_view(names).substr(0, types_end);
    for (CodedSet set; take_set(rest, set);) sets.push_back(set.whole);
    const std::string types = item.types.empty() ? std::string() : combined(Op::any_of, sets);
    sets.clear();
    if (!types.empty()) sets.emplace_back(types);
    rest = std::string_view(names).substr(types_end);
    for (CodedSet set; take_set(rest, set);) sets.push_back(set.whole);
    return combined(Op::all_of, sets);
}

void append_quoted(std::string& text, std::string_view name) {
    text.push_back('"');
    for (const char c : name) {
        if (c == '"' || c == '\\') text.push_back('\\');
        if (static_cast<unsigned char>(c) < 0x20) {
            constexpr char kDigits[] = "0123456789abcdef";
            text.append("\\u00").push_back(kDigits[c >> 4 & 15]);
            text.push_back(kDigits[c & 15]);
        } else {
            text.push_back(c);
        }
    }
    text.push_back('"');
}

void append_text(std::string& text, const CodedSet& set, bool inside) {
    switch (set.op) {
        case Op::nothing: text.append("nothing"); return;
        case Op::all: text.append("all"); return;
        case Op::stream: text.append("stream "); return append_quoted(text, set.inside);
        case Op::category: text.append("category "); return append_quoted(text, set.inside);
        case Op::type: text.append("type "); return append_quoted(text, set.inside);
        case Op::tag: text.append("tag "); return append_quoted(text, set.inside);
        case Op::derived: text.append("derived "); return append_quoted(text, set.inside);
        default: break;
    }
    std::string_view rest = set.inside;
    CodedSet inner;
    if (set.op == Op::none_of) {
        text.append("not ");
        if (take_set(rest, inner)) append_text(text, inner, true);
        return;
    }
    if (inside) text.push_back('(');
    for (bool first = true; take_set(rest, inner); first = false) {
        if (!first) text.append(set.op == Op::any_of ? " or " : " and ");
        append_text(text, inner, true);
    }
    if (inside) text.push_back(')');
}

}  // namespace

Selector Selector::failed(const char* why) noexcept {
    Selector selector;
    selector.error_ = why;
    return selector;
}

Selector Selector::of_code(std::string code) noexcept {
    if (code.size() > kMaxBytes) return failed("the selector is larger than 1 MiB");
    if (depth_of(code) > kMaxDepth) return failed("the selector is nested deeper than 32 levels");
    Selector selector;
    if (code == kNothing) return selector;
    try {
        selector.code_ = std::make_shared<const std::string>(std::move(code));
    } catch (const std::bad_alloc&) {
        return failed(kNoMemory);
    }
    return selector;
}

Selector Selector::of_name(std::uint8_t op, std::string_view name) noexcept {
    if (const char* why = fault_of(name)) return failed(why);
    try {
        std::string code;
        code.reserve(3 + name.size());
        put_name(code, op, name);
        return of_code(std::move(code));
    } catch (const std::bad_alloc&) {
        return failed(kNoMemory);
    }
}

Selector Selector::of_list(std::uint8_t op, std::span<const Selector> selectors) noexcept {
    for (const Selector& selector : selectors)
        if (selector.error_ != nullptr) return failed(selector.error_);
    try {
        std::vector<std::string_view> codes;
        codes.reserve(selectors.size());
        for (const Selector& selector : selectors) codes.push_back(selector.encoded());
        return of_code(combined(static_cast<Op>(op), codes));
    } catch (const std::bad_alloc&) {
        return failed(kNoMemory);
    }
}

Selector Selector::of_query(std::span<const QueryItem> items) noexcept {
    if (const char* why = fault_of(items)) return failed(why);
    try {
        if (items.size() == 1) return of_code(code_of_item(items.front()));
        std::vector<std::string> codes;
        codes.reserve(items.size());
        for (const QueryItem& item : items) codes.push_back(code_of_item(item));
        std::vector<std::string_view> views(codes.begin(), codes.end());
        return of_code(combined(Op::any_of, views));
    } catch (const std::bad_alloc&) {
        return failed(kNoMemory);
    }
}

Selector::Selector(const Query& query) noexcept : Selector(of_query(query.items)) {}
Selector::Selector(std::initializer_list<QueryItem> items) noexcept
    : Selector(of_query({items.begin(), items.size()})) {}

Selector::Selector(Source source) noexcept {
    switch (source.kind) {
        case Source::Kind::all: *this = all(); break;
        case Source::Kind::stream: *this = stream(source.name); break;
        case Source::Kind::category: *this = category(source.name); break;
        case Source::Kind::type: *this = type(source.name); break;
        case Source::Kind::tag: *this = tag(source.name); break;
        case Source::Kind::derived: *this = derived(source.name); break;
    }
}

Selector Selector::all() noexcept {
    // Kept for ever: it is asked for in every condition of "nothing new at all".
    static const Selector kAll = of_code(std::string(1, static_cast<char>(Op::all)));
    return kAll;
}
Selector Selector::stream(std::string_view name) noexcept {
    return of_name(static_cast<std::uint8_t>(Op::stream), name);
}
Selector Selector::category(std::string_view name) noexcept {
    return of_name(static_cast<std::uint8_t>(Op::category), name);
}
Selector Selector::type(std::string_view name) noexcept {
    return of_name(static_cast<std::uint8_t>(Op::type), name);
}
Selector Selector::tag(std::string_view name) noexcept {
    return of_name(static_cast<std::uint8_t>(Op::tag), name);
}
Selector Selector::derived(std::string_view name) noexcept {
    return of_name(static_cast<std::uint8_t>(Op::derived), name);
}
Selector Selector::any_of(std::span<const Selector> selectors) noexcept {
    return of_list(static_cast<std::uint8_t>(Op::any_of), selectors);
}
Selector Selector::all_of(std::span<const Selector> selectors) noexcept {
    return of_list(static_cast<std::uint8_t>(Op::all_of), selectors);
}

Selector Selector::none_of(const Selector& selector) noexcept {
    if (selector.error_ != nullptr) return selector;
    if (selector.is_nothing()) return all();
    if (selector.is_all()) return nothing();
    try {
        std::string_view rest = selector.encoded();
        CodedSet set;
        static_cast<void>(take_set(rest, set));
        if (set.op == Op::none_of) return of_code(std::string(set.inside));
        std::string code;
        put_list(code, Op::none_of, {set.whole});
        return of_code(std::move(code));
    } catch (const std::bad_alloc&) {
        return failed(kNoMemory);
    }
}

bool Selector::is_all() const noexcept { return encoded().front() == static_cast<char>(Op::all); }
bool Selector::is_nothing() const noexcept { return code_ == nullptr; }

std::string_view Selector::encoded() const noexcept {
    return code_ == nullptr ? kNothing : std::string_view(*code_);
}

std::string Selector::text() const {
    if (error_ != nullptr) return error_;
    std::string text;
    std::string_view rest = encoded();
    CodedSet set;
    static_cast<void>(take_set(rest, set));
    append_text(text, set, false);
    return text;
}

Result<Selector> Selector::decode(std::string_view encoded) noexcept {
    if (!index::valid(encoded)) {
        return base::failure(ErrorCode::corrupt, "the bytes are no selector in normal form");
    }
    try {
        Selector selector = of_code(std::string(encoded));
        if (selector.error_ == nullptr) return selector;
    } catch (const std::bad_alloc&) {
    }
    return base::failure(ErrorCode::out_of_memory, kNoMemory);
}

}  // namespace v0
}  // namespace varve
