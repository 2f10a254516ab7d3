// Events that belong to a definition although they were appended before it: what was found of them
// so far, and how to tell for the rest.
//
// Any thread; never changes. Invariants: parts ascend and say everything up to `filled`; events at
// or behind `before` carry what the definition gives them in their own records.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "log/record.hpp"

namespace varve::index {

class Past {
public:
    /// Positions `first` + each of `ordinals`, which ascend.
    struct Part {
        std::uint64_t first = 0;
        std::span<const std::uint32_t> ordinals{};
    };

    Past() = default;
    Past(const Past&) = delete;
    Past& operator=(const Past&) = delete;
    virtual ~Past() = default;

    /// Looks at the content of an event that no part tells of. May throw bad_alloc.
    [[nodiscard]] virtual bool holds(const log::RecordView& record) const = 0;

    /// Whether the event belongs. May throw bad_alloc.
    [[nodiscard]] bool has(const log::RecordView& record) const {
        const std::uint64_t position = record.header.position;
        if (position >= before) return false;
        if (position > filled) return holds(record);
        std::uint64_t found = 0;
        return next(position, found) && found == position;
    }
    /// True if the parts say everything of the positions `low` … `high`.
    [[nodiscard]] bool exact(std::uint64_t low, std::uint64_t high) const noexcept {
        return high <= filled || low >= before || filled + 1 >= before;
    }
    /// The first position at or behind `from` that a part holds. False if there is none.
    [[nodiscard]] bool next(std::uint64_t from, std::uint64_t& found) const noexcept;
    /// The last one at or before `from`.
    [[nodiscard]] bool last(std::uint64_t from, std::uint64_t& found) const noexcept;
    /// How many positions `low` … `high` the parts hold.
    [[nodiscard]] std::uint64_t count(std::uint64_t low, std::uint64_t high) const noexcept;

    std::uint64_t before = 0;  ///< position of the definition
    std::uint64_t filled = 0;  ///< position up to which the parts say everything
    std::vector<Part> parts;
};

}  // namespace varve::index
