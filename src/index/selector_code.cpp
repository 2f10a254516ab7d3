#include "index/selector_code.hpp"

#include "log/format.hpp"
#include "varve/selector.hpp"

namespace varve::index {

namespace {

constexpr std::size_t kNameHead = 1 + sizeof(std::uint16_t);
constexpr std::size_t kListHead = 1 + sizeof(std::uint32_t);

template <class Number>
Number number_at(std::string_view code) noexcept {
    return base::load<Number>(reinterpret_cast<const std::byte*>(code.data() + 1));
}

/// What the normal form allows inside a list.
bool fits_into(Op list, Op set) noexcept {
    if (set == Op::all || set == Op::nothing) return false;
    return set != list;
}

bool valid_set(const CodedSet& set, unsigned depth) noexcept {
    if (!is_list(set.op)) return true;
    if (depth == 0) return false;
    std::string_view rest = set.inside;
    std::string_view before;
    std::size_t count = 0;
    for (CodedSet inner; !rest.empty(); ++count, before = inner.whole) {
        if (!take_set(rest, inner) || !fits_into(set.op, inner.op)) return false;
        if (count > 0 && inner.whole <= before) return false;
        if (!valid_set(inner, depth - 1)) return false;
    }
    return set.op == Op::none_of ? count == 1 : count > 1;
}

}  // namespace

bool take_set(std::string_view& code, CodedSet& set) noexcept {
    if (code.empty()) return false;
    set.op = static_cast<Op>(static_cast<std::uint8_t>(code.front()));
    std::size_t head = 1;
    std::size_t length = 0;
    switch (set.op) {
        case Op::nothing:
        case Op::all: break;
        case Op::stream:
        case Op::category:
        case Op::type:
        case Op::tag:
        case Op::derived:
            head = kNameHead;
            if (code.size() < head) return false;
            length = number_at<std::uint16_t>(code);
            if (length == 0 || length > log::kMaxNameBytes) return false;
            break;
        case Op::any_of:
        case Op::all_of:
        case Op::none_of:
            head = kListHead;
            if (code.size() < head) return false;
            length = number_at<std::uint32_t>(code);
            break;
        default: return false;
    }
    if (length > code.size() - head) return false;
    set.whole = code.substr(0, head + length);
    set.inside = code.substr(head, length);
    code.remove_prefix(head + length);
    return true;
}

bool valid(std::string_view code) noexcept {
    if (code.size() > Selector::kMaxBytes) return false;
    CodedSet set;
    return take_set(code, set) && code.empty() && valid_set(set, Selector::kMaxDepth);
}

}  // namespace varve::index
