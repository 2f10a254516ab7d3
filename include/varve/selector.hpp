// Which events: queries as the DCB specification has them, and selectors, which nest.
//
// Thread rule: plain values; a Selector may be shared by any threads. Invariant: a Selector is
// always in normal form, so that what means the same by the rules below is equal.
// Source of the idea: the DCB specification (dcb.events) for queries; the nested OR and AND lists
// of node-event-storage for selectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "varve/export.hpp"
#include "varve/result.hpp"

namespace varve {
inline namespace v0 {

struct Source;

/// One alternative of a query: an event whose type is one of `types` and that has all of `tags`. An
/// empty list demands nothing, but not both may be empty. Views are borrowed for the duration of
/// the call only.
struct QueryItem {
    std::vector<std::string_view> types{};  ///< ≤ 256
    std::vector<std::string_view> tags{};   ///< ≤ 64
};

/// Events that match at least one item. 1 to 64 items.
struct Query {
    std::vector<QueryItem> items{};

    Query() noexcept = default;
    // Implicit, so that a list of items is a query.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Query(std::initializer_list<QueryItem> list) : items(list) {}
    explicit Query(std::vector<QueryItem> list) noexcept : items(std::move(list)) {}
};

/// A set of events: all, those of a stream, category, type, tag or derived stream, and unions,
/// intersections and complements of sets. A name that no event has is the empty set.
///
/// It is normalised as it is made: lists within lists of the same kind are one list, what is there
/// twice is there once, the order of a list means nothing, `all` and `nothing` are worked out, and
/// a complement of a complement is the set itself.
///
/// A selector that cannot be (an empty name, a name longer than 1,024 bytes, more than kMaxDepth
/// levels, more than 1 MiB, a query without items, no memory) carries its error: `error()` tells,
/// and whatever it is given to refuses with it.
class VARVE_EXPORT Selector {
public:
    static constexpr unsigned kMaxDepth = 32;          ///< levels of lists and complements
    static constexpr std::size_t kMaxBytes = 1 << 20;  ///< of `encoded()`

    /// No events.
    Selector() noexcept = default;
    // A query, or what a read reads, is a selector.
    // NOLINTBEGIN(google-explicit-constructor)
    Selector(const Query& query) noexcept;
    Selector(std::initializer_list<QueryItem> items) noexcept;
    Selector(Source source) noexcept;
    // NOLINTEND(google-explicit-constructor)

    [[nodiscard]] static Selector all() noexcept;
    [[nodiscard]] static Selector nothing() noexcept { return {}; }
    [[nodiscard]] static Selector stream(std::string_view name) noexcept;
    [[nodiscard]] static Selector category(std::string_view name) noexcept;
    [[nodiscard]] static Selector type(std::string_view name) noexcept;
    [[nodiscard]] static Selector tag(std::string_view name) noexcept;
    /// The events of a derived stream, see `Store::define`. Of a name that is not defined: none.
    [[nodiscard]] static Selector derived(std::string_view name) noexcept;
    /// In at least one of them; of none at all: nothing.
    [[nodiscard]] static Selector any_of(std::span<const Selector> selectors) noexcept;
    /// In every one of them; of none at all: all.
    [[nodiscard]] static Selector all_of(std::span<const Selector> selectors) noexcept;
    /// In `selector` not.
    [[nodiscard]] static Selector none_of(const Selector& selector) noexcept;

    [[nodiscard]] friend Selector operator|(const Selector& a, const Selector& b) noexcept {
        const Selector both[] = {a, b};
        return any_of(both);
    }
    [[nodiscard]] friend Selector operator&(const Selector& a, const Selector& b) noexcept {
        const Selector both[] = {a, b};
        return all_of(both);
    }
    [[nodiscard]] friend Selector operator!(const Selector& a) noexcept { return none_of(a); }

    [[nodiscard]] bool is_all() const noexcept;
    [[nodiscard]] bool is_nothing() const noexcept;
    /// Why it cannot be; null if it can. Lives as long as the program.
    [[nodiscard]] const char* error() const noexcept { return error_; }
    /// For people: `tag "c/1" and (type "A" or type "B")`. Names are quoted as in JSON.
    [[nodiscard]] std::string text() const;
    /// Equal sets of the same normal form.
    friend bool operator==(const Selector& a, const Selector& b) noexcept {
        return a.error_ == b.error_ && a.encoded() == b.encoded();
    }

    /// The normal form in bytes, see index/selector_code.hpp. Lives as long as any copy of this.
    [[nodiscard]] std::string_view encoded() const noexcept;
    /// Takes over what `encoded` gave, checking all of it. Errors: `corrupt`, `out_of_memory`.
    [[nodiscard]] static Result<Selector> decode(std::string_view encoded) noexcept;

private:
    static Selector failed(const char* why) noexcept;
    static Selector of_code(std::string code) noexcept;
    static Selector of_name(std::uint8_t op, std::string_view name) noexcept;
    static Selector of_list(std::uint8_t op, std::span<const Selector> selectors) noexcept;
    static Selector of_query(std::span<const QueryItem> items) noexcept;

    std::shared_ptr<const std::string> code_;  ///< null: nothing
    const char* error_ = nullptr;
};

}  // namespace v0
}  // namespace varve
