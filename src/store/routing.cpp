#include "store/routing.hpp"

#include <algorithm>
#include <bit>

#include "match/program.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// Of what a stream waits for: `by` with the field's number in it, and the text of the value.
std::uint64_t hash_of(std::uint64_t by, std::string_view text) noexcept {
    static const index::Hasher kHasher(0x726F757465ULL, 64);
    const std::uint64_t hash =
        kHasher.key(index::KeyKind::tag, text) ^ (by + 1) * 0x9E37'79B9'7F4A'7C15ULL;
    return hash == 0 ? 1 : hash;
}

std::uint64_t by_field(bool element, unsigned part, std::uint32_t field) noexcept {
    return (std::uint64_t{field} << 8) | (std::uint64_t{part} << 4) | (element ? 1U : 0U);
}
constexpr std::uint64_t kByName = 1ULL << 60;

/// Strings as they are, everything else in its canonical spelling behind a byte that no string has.
std::uint64_t hash_of_value(std::uint64_t by, const match::Token& token) {
    if (token.kind == match::Kind::string && !token.escaped) return hash_of(by, token.raw);
    const match::Scalar scalar = match::to_scalar(token);
    if (token.kind == match::Kind::string) return hash_of(by, scalar.text);
    return hash_of(by, '\xFF' + match::to_json(scalar));
}

std::uint64_t hash_of_scalar(std::uint64_t by, const match::Scalar& scalar) {
    if (scalar.kind == match::Kind::string) return hash_of(by, scalar.text);
    return hash_of(by, '\xFF' + match::to_json(scalar));
}

}  // namespace

Router::Router(std::vector<RulePtr> streams, std::vector<RulePtr> names)
    : streams_(std::move(streams)), names_(std::move(names)) {
    std::vector<Wait> waits;
    for (std::uint32_t n = 0; n < streams_.size(); ++n) wait_for(n, waits);
    make_slots(waits);
    for (const RulePtr& rule : names_)
        named_fields_.push_back(fields_[rule->in_metadata ? 1 : 0].add(rule->path));
}

void Router::wait_for(std::uint32_t stream, std::vector<Wait>& waits) {
    if (wait_for_values(stream, waits) || wait_for_names(stream, waits)) return;
    always_.push_back(stream);
}

bool Router::wait_for_values(std::uint32_t stream, std::vector<Wait>& waits) {
    const auto& all = streams_[stream]->matcher->program().discriminators();
    if (all.empty()) return false;
    // The one with the fewest values is the rarest, as far as anybody can tell.
    const match::Discriminator& best =
        *std::ranges::min_element(all, {}, [](const match::Discriminator& one) {
            return one.values.size() + (one.path.size() < 2 ? 1U << 20 : 0U);
        });
    if (best.path.size() < 2) return false;  // the whole text is the value
    const unsigned number = best.path.front() == "metadata" ? 1 : 0;
    const std::uint32_t field =
        fields_[number].add(std::span<const std::string>(best.path).subspan(1));
    for (const match::Scalar& value : best.values)
        waits.push_back({hash_of_scalar(by_field(best.element, number, field), value), stream});
    return true;
}

bool Router::wait_for_names(std::uint32_t stream, std::vector<Wait>& waits) {
    std::vector<Wait> own;
    if (!wait_for_set(stream, 0, own)) return false;
    waits.insert(waits.end(), own.begin(), own.end());
    return true;
}

/// False if an event may belong to the set without carrying one of some names.
bool Router::wait_for_set(std::uint32_t stream, std::uint32_t set, std::vector<Wait>& waits) {
    const index::Selection& selection = streams_[stream]->selection;
    const index::Selection::Set& own = selection.sets[set];
    if (index::is_name(own.op)) {
        by_name_[static_cast<unsigned>(own.op) - static_cast<unsigned>(index::Op::stream)] = true;
        waits.push_back({hash_of(kByName + static_cast<unsigned>(own.op), own.name), stream});
        return true;
    }
    if (own.op == index::Op::nothing) return true;
    for (std::uint32_t n = set + 1; n < own.end; n = selection.sets[n].end) {
        const std::size_t before = waits.size();
        const bool waits_for = wait_for_set(stream, n, waits);
        if (own.op == index::Op::all_of && waits_for) return true;
        if (own.op == index::Op::any_of && !waits_for) return false;
        if (!waits_for) waits.resize(before);
    }
    return own.op == index::Op::any_of;
}

void Router::make_slots(std::vector<Wait>& waits) {
    if (waits.empty()) return;
    std::ranges::sort(waits, [](const Wait& a, const Wait& b) {
        return a.hash != b.hash ? a.hash < b.hash : a.stream < b.stream;
    });
    slots_.resize(std::bit_ceil(2 * waits.size()));
    for (std::size_t n = 0; n < waits.size();) {
        Slot slot{waits[n].hash, static_cast<std::uint32_t>(waiting_.size()), 0};
        for (; n < waits.size() && waits[n].hash == slot.hash; ++n, ++slot.count)
            waiting_.push_back(waits[n].stream);
        std::size_t at = slot.hash & (slots_.size() - 1);
        while (slots_[at].hash != 0) at = (at + 1) & (slots_.size() - 1);
        slots_[at] = slot;
    }
}

void Router::look_up(std::uint64_t hash, std::vector<std::uint32_t>& candidates) const {
    if (slots_.empty()) return;
    for (std::size_t at = hash & (slots_.size() - 1); slots_[at].hash != 0;
         at = (at + 1) & (slots_.size() - 1)) {
        if (slots_[at].hash != hash) continue;
        const auto first = waiting_.begin() + slots_[at].first;
        candidates.insert(candidates.end(), first, first + slots_[at].count);
        return;
    }
}

void Router::find_candidates(const index::EventNames& names, Routed& to) const {
    to.candidates.assign(always_.begin(), always_.end());
    if (streams_.size() == always_.size()) return;
    for (unsigned part = 0; part < 2; ++part) {
        for (const match::Fields::Value& value : to.values[part])
            look_up(hash_of_value(by_field(value.element, part, value.field), value.token),
                    to.candidates);
    }
    const auto named = [&](index::Op op, std::string_view name) {
        if (!name.empty())
            look_up(hash_of(kByName + static_cast<unsigned>(op), name), to.candidates);
    };
    if (waited_for(index::Op::stream)) named(index::Op::stream, names.stream);
    if (waited_for(index::Op::category))
        named(index::Op::category, index::category_of(names.stream));
    if (waited_for(index::Op::type)) named(index::Op::type, names.type);
    if (waited_for(index::Op::tag))
        for (const std::string_view tag : names.tags) named(index::Op::tag, tag);
    if (to.candidates.size() < 2) return;
    std::ranges::sort(to.candidates);
    const auto again = std::ranges::unique(to.candidates);
    to.candidates.erase(again.begin(), again.end());
}

void Router::give(const Rule& rule, std::uint32_t field, Routed& to) const {
    const bool type = rule.says.kind == DefinitionKind::type;
    for (const match::Fields::Value& value : to.values[rule.in_metadata ? 1 : 0]) {
        if (value.field != field || (type && (value.element || !to.type.empty()))) continue;
        std::string name = name_given(rule, value.token);
        if (name.empty()) continue;
        if (type)
            to.type = to.texts.emplace_back(std::move(name));
        else if (std::ranges::find(to.tags, name) == to.tags.end())
            to.tags.push_back(to.texts.emplace_back(std::move(name)));
    }
}

/// Names that the content of the event gives it.
void Router::give_names(const Content& event, Routed& to) const {
    to.texts.clear();
    to.type = event.names.type;
    to.tags.assign(event.names.tags.begin(), event.names.tags.end());
    for (std::size_t n = 0; n < names_.size(); ++n)
        if (index::matches(names_[n]->selection, event.names))
            give(*names_[n], named_fields_[n], to);
}

void Router::route_roughly(const Content& event, Routed& to) const {
    fields_[0].read(event.data, to.values[0]);
    fields_[1].read(event.metadata, to.values[1]);
    give_names(event, to);
    find_candidates({event.names.stream, to.type, to.tags}, to);
}

void Router::route(const Content& event, Routed& to) const {
    route_roughly(event, to);
    to.streams.clear();
    const index::EventNames names{event.names.stream, to.type, to.tags};
    for (const std::uint32_t n : to.candidates) {
        const Rule& rule = *streams_[n];
        if (index::matches(rule.selection, names) &&
            rule.matcher->matches(event.data, event.metadata))
            to.streams.push_back(&rule);
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
