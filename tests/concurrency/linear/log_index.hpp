// The final log, with lists by tag, type, stream and append: what holds at each of its prefixes.
//
// Immutable once made. Positions count from 1; 0 as an answer means "none".
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "concurrency/linear/history.hpp"

namespace varve::test::linear {

inline constexpr std::uint64_t kNever = ~0ULL;  ///< no prefix

class LogIndex {
public:
    explicit LogIndex(const std::vector<Logged>& log);

    [[nodiscard]] std::uint64_t size() const { return log_.size(); }
    [[nodiscard]] const Logged& at(std::uint64_t position) const { return log_[position - 1]; }

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
    /// The first event that matches in (after, until]; no items: every event does.
    [[nodiscard]] std::uint64_t first_match(const Items& items, std::uint64_t after,
                                            std::uint64_t until) const;
    /// The last one.
    [[nodiscard]] std::uint64_t last_match(const Items& items, std::uint64_t after,
                                           std::uint64_t until) const;
    /// At most `limit` of those that match in (after, until], in the order of a read.
    [[nodiscard]] std::vector<std::uint64_t> read(const Operation& read, std::uint64_t until) const;

private:
    using List = std::vector<std::uint64_t>;
    using Lists = std::unordered_map<Name, List>;
    [[nodiscard]] const List* shortest(const Item& item) const;

    const std::vector<Logged>& log_;
    Lists streams_;
    Lists types_;
    Lists tags_;
};

}  // namespace varve::test::linear
