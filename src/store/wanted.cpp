#include "store/wanted.hpp"

#include "base/error.hpp"
#include "store/pinned.hpp"
#include "store/rule_book.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

Source::Kind source_of(index::Op name) noexcept {
    switch (name) {
        case index::Op::stream: return Source::Kind::stream;
        case index::Op::category: return Source::Kind::category;
        case index::Op::type: return Source::Kind::type;
        default: return Source::Kind::tag;
    }
}

/// One name, or nothing if nobody can carry it.
Wanted named(const Pinned& pinned, Source::Kind kind, std::string_view name) {
    Wanted wanted;
    wanted.kind = kind;
    wanted.name = name;
    // Nothing carries the empty name, and what begins with '$' is the store's own.
    wanted.nothing = kind != Source::Kind::all && (name.empty() || log::is_mark(name));
    if (kind != Source::Kind::all) wanted.key = pinned.meta().hasher.key(key_kind(kind), name);
    return wanted;
}

/// What a valid selector comes down to.
Wanted compiled(const Pinned& pinned, const Selector& selector, const ViewMeanings& meanings) {
    Wanted wanted;
    wanted.selector = selector;
    wanted.selection.compile(wanted.selector.encoded(), pinned.meta().hasher, meanings.get());
    const index::Selection::Set& root = wanted.selection.root();
    if (index::is_name(root.op) && wanted.selection.sets.size() == 1)
        return named(pinned, source_of(root.op), root.name);
    wanted.nothing = root.op == index::Op::nothing;
    return wanted;
}

}  // namespace

Wanted wanted_of(const Pinned& pinned, const Selector& selector) {
    Wanted wanted;
    if (selector.error() != nullptr) {
        wanted.error =
            base::failure(ErrorCode::invalid_argument, selector.error(), pinned.meta().path);
        return wanted;
    }
    wanted.nothing = selector.is_nothing();
    if (wanted.nothing || selector.is_all()) return wanted;
    ViewMeanings meanings;
    if (auto looked = meanings.look(pinned.meta(), pinned.view()); looked)
        return compiled(pinned, selector, meanings);
    else
        wanted.error = std::move(looked).error();
    return wanted;
}

Wanted wanted_of(const Pinned& pinned, Source source) {
    Wanted wanted = named(pinned, source.kind, source.name);
    const bool meant = source.kind == Source::Kind::type || source.kind == Source::Kind::tag ||
                       source.kind == Source::Kind::derived;
    if (wanted.nothing || !meant) return wanted;
    ViewMeanings meanings;
    if (auto looked = meanings.look(pinned.meta(), pinned.view()); !looked) {
        wanted.error = std::move(looked).error();
        return wanted;
    }
    if (meanings.get() != nullptr) return compiled(pinned, Selector(source), meanings);
    wanted.nothing = source.kind == Source::Kind::derived;
    return wanted;
}

index::KeyKind key_kind(Source::Kind kind) noexcept {
    switch (kind) {
        case Source::Kind::stream: return index::KeyKind::stream;
        case Source::Kind::category: return index::KeyKind::category;
        case Source::Kind::type: return index::KeyKind::type;
        default: return index::KeyKind::tag;
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
