// The final log, with lists by tag, type and stream: what holds at each of its prefixes.
//
// Immutable once made. Positions count from 1; 0 as an answer means "none".
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "concurrency/linear/defined.hpp"

namespace varve::test::linear {

class LogIndex {
public:
    explicit LogIndex(const std::vector<Logged>& log);

    [[nodiscard]] std::uint64_t size() const { return log_.size(); }
    [[nodiscard]] const Logged& at(std::uint64_t position) const { return log_[position - 1]; }
    [[nodiscard]] const Defined& defined() const { return defined_; }

    /// The first prefix from `prefix` on that holds no append in part.
    [[nodiscard]] std::uint64_t whole(std::uint64_t prefix) const {
        while (prefix < size() && at(prefix + 1).index != 0) ++prefix;
        return prefix;
    }
    [[nodiscard]] std::uint64_t version(Name stream, std::uint64_t prefix) const;
    /// The first prefix in which the stream has `version` events; kNever if there is none.
    [[nodiscard]] std::uint64_t reaches(Name stream, std::uint64_t version) const;
    /// The first prefix from `prefix` on that meets the demand; kNever if there is none.
    [[nodiscard]] std::uint64_t next_allowed(const Demand& demand, std::uint64_t prefix) const;
    /// Whether the event there matches, to those who see this prefix.
    [[nodiscard]] bool matches(const Choice& choice, std::uint64_t position,
                               std::uint64_t prefix) const {
        const Logged& logged = at(position);
        return logged.kind == Kind::append &&
               defined_.matches(choice, logged.event, position, prefix);
    }
    /// The first event that matches in (after, until], to those who see `prefix`.
    [[nodiscard]] std::uint64_t first_match(const Choice& choice, std::uint64_t after,
                                            std::uint64_t until, std::uint64_t prefix) const;
    /// The last one.
    [[nodiscard]] std::uint64_t last_match(const Choice& choice, std::uint64_t after,
                                           std::uint64_t until, std::uint64_t prefix) const;
    /// At most `limit` of those that match in (after, prefix], in the order of a read.
    [[nodiscard]] std::vector<std::uint64_t> read(const Operation& read,
                                                  std::uint64_t prefix) const;

private:
    using List = std::vector<std::uint64_t>;
    using Lists = std::unordered_map<Name, List>;
    [[nodiscard]] const List* shortest(const Item& item, std::uint64_t prefix) const;
    [[nodiscard]] std::vector<const List*> lists_for(const Choice& choice,
                                                     std::uint64_t prefix) const;

    const std::vector<Logged>& log_;
    const Defined defined_;
    List all_;
    Lists streams_;
    Lists types_;  ///< with events that may come to have it
    Lists tags_;   ///< the same
};

}  // namespace varve::test::linear
