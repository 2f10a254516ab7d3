// Which definitions apply to an event that is being appended, without asking each of them.
//
// A Router never changes once it is made; any thread, each with a Routed of its own. Invariant: a
// definition that is not looked at could not have applied. Events are sorted by the fields that
// matchers demand one of some values of, and by names that selectors demand: what is left to be
// asked are the definitions that wait for exactly that value.
#pragma once

#include <array>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "store/definitions.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// What an event gets.
struct Routed {
    std::deque<std::string> texts;       ///< of the next two, which stay where they are
    std::string_view type{};             ///< its own, or the one that its content gives it
    std::vector<std::string_view> tags;  ///< its own, then those that its content gives it
    std::vector<const Rule*> streams;    ///< derived streams that it belongs to, by number

    // Scratch.
    std::array<std::vector<match::Fields::Value>, 2> values;
    std::vector<std::uint32_t> candidates;
};

class Router {
public:
    /// `streams`: of kind `stream` and by content, ascending; `names`: of the others.
    Router(std::vector<RulePtr> streams, std::vector<RulePtr> names);

    [[nodiscard]] bool empty() const noexcept { return streams_.empty() && names_.empty(); }
    /// Replaces what is in `to`. May throw bad_alloc.
    void route(const Content& event, Routed& to) const;
    /// The same, but the streams only may have the event: their numbers here are in
    /// `to.candidates`, ascending.
    void route_roughly(const Content& event, Routed& to) const;
    [[nodiscard]] const std::vector<RulePtr>& streams() const noexcept { return streams_; }

private:
    /// Streams that wait for one value; open addressing.
    struct Slot {
        std::uint64_t hash = 0;  ///< 0: free
        std::uint32_t first = 0;
        std::uint32_t count = 0;
    };
    struct Wait {
        std::uint64_t hash;
        std::uint32_t stream;
    };

    void wait_for(std::uint32_t stream, std::vector<Wait>& waits);
    [[nodiscard]] bool wait_for_values(std::uint32_t stream, std::vector<Wait>& waits);
    [[nodiscard]] bool wait_for_names(std::uint32_t stream, std::vector<Wait>& waits);
    [[nodiscard]] bool wait_for_set(std::uint32_t stream, std::uint32_t set,
                                    std::vector<Wait>& waits);
    void make_slots(std::vector<Wait>& waits);
    [[nodiscard]] bool waited_for(index::Op op) const noexcept {
        return by_name_[static_cast<unsigned>(op) - static_cast<unsigned>(index::Op::stream)];
    }
    void look_up(std::uint64_t hash, std::vector<std::uint32_t>& candidates) const;
    void find_candidates(const index::EventNames& names, Routed& to) const;
    void give_names(const Content& event, Routed& to) const;
    void give(const Rule& rule, std::uint32_t field, Routed& to) const;

    std::vector<RulePtr> streams_;
    std::vector<RulePtr> names_;
    std::vector<std::uint32_t> always_;  ///< streams that wait for nothing in particular
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> waiting_;       ///< streams, of all slots
    bool by_name_[4] = {};                     ///< streams, categories, types, tags are waited for
    match::Fields fields_[2];                  ///< of data and of metadata: what anything waits for
    std::vector<std::uint32_t> named_fields_;  ///< of each of `names_`
};

}  // namespace store
}  // namespace v0
}  // namespace varve
