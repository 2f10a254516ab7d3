// Sets of events as a test writes them down: a tree that looks at one event at a time. The oracle
// of selectors.
//
// One thread.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "model/model_store.hpp"

namespace varve::test {

struct ModelSet {
    enum class Kind { nothing, all, stream, category, type, tag, any_of, all_of, none_of };
    Kind kind = Kind::nothing;
    std::string name;
    std::vector<ModelSet> members;

    [[nodiscard]] bool has(const ModelEvent& event) const {
        const auto in = [&](const ModelSet& member) { return member.has(event); };
        switch (kind) {
            case Kind::nothing: return false;
            case Kind::all: return true;
            case Kind::stream: return ModelStore::matches(event, Source::stream(name));
            case Kind::category: return ModelStore::matches(event, Source::category(name));
            case Kind::type: return ModelStore::matches(event, Source::type(name));
            case Kind::tag: return ModelStore::matches(event, Source::tag(name));
            case Kind::any_of: return std::any_of(members.begin(), members.end(), in);
            case Kind::all_of: return std::all_of(members.begin(), members.end(), in);
            case Kind::none_of: return !members.front().has(event);
        }
        return false;
    }

    [[nodiscard]] Selector selector() const {
        std::vector<Selector> inside;
        inside.reserve(members.size());
        for (const ModelSet& member : members) inside.push_back(member.selector());
        switch (kind) {
            case Kind::nothing: return Selector::nothing();
            case Kind::all: return Selector::all();
            case Kind::stream: return Selector::stream(name);
            case Kind::category: return Selector::category(name);
            case Kind::type: return Selector::type(name);
            case Kind::tag: return Selector::tag(name);
            case Kind::any_of: return Selector::any_of(inside);
            case Kind::all_of: return Selector::all_of(inside);
            case Kind::none_of: return Selector::none_of(inside.front());
        }
        return {};
    }

    /// Any tree; `random(n)` gives a number below n.
    template <class Random>
    static ModelSet random(Random&& below, int depth) {
        ModelSet set;
        const std::uint64_t shape = depth == 0 ? below(8) : below(16);
        if (shape < 8) {
            static const char* const kStreams[] = {"order-1", "order-2", "order/3", "größe-ü",
                                                   "plain",   "cart-9",  "none"};
            static const char* const kTypes[] = {"Placed", "Paid", "Shipped", "Never"};
            static const char* const kCategories[] = {"order", "cart", "größe", "plain"};
            const std::string tag = "tag/" + std::to_string(below(14));
            switch (shape) {
                case 0: return {Kind::stream, kStreams[below(7)], {}};
                case 1: return {Kind::category, kCategories[below(4)], {}};
                case 2:
                case 3: return {Kind::type, kTypes[below(4)], {}};
                case 4: return {below(4) == 0 ? Kind::all : Kind::nothing, "", {}};
                default: return {Kind::tag, tag, {}};
            }
        }
        set.kind = shape < 11 ? Kind::any_of : shape < 15 ? Kind::all_of : Kind::none_of;
        const std::uint64_t members = set.kind == Kind::none_of ? 1 : below(4);
        for (std::uint64_t n = 0; n < members; ++n) set.members.push_back(random(below, depth - 1));
        return set;
    }
};

}  // namespace varve::test
