// Compares every answer of a sealed index with a model's.
//
// For tests; one thread. Nothing is asserted but by gtest in the caller's test.
#pragma once

#include <gtest/gtest.h>

#include "support/sealed_made.hpp"

namespace varve::test {

inline constexpr index::KeyKind kAllNameKinds[] = {index::KeyKind::stream, index::KeyKind::category,
                                                   index::KeyKind::type, index::KeyKind::tag};

inline std::vector<std::uint32_t> rest_of(index::SealedCursor& cursor) {
    std::vector<std::uint32_t> found;
    for (std::uint32_t ordinal = 0; cursor.next(ordinal);) found.push_back(ordinal);
    return found;
}

/// Both directions, and from every ordinal in each.
inline void expect_list(const index::SealedIndex& index, const index::SealedList& list,
                        const std::vector<std::uint32_t>& expected) {
    ASSERT_EQ(list.count, expected.size());
    ASSERT_EQ(list.first, expected.front());
    ASSERT_EQ(list.last, expected.back());
    const std::vector<std::uint32_t> reversed(expected.rbegin(), expected.rend());
    index::SealedCursor forwards(index, list, false);
    ASSERT_EQ(rest_of(forwards), expected);
    index::SealedCursor backwards(index, list, true);
    ASSERT_EQ(rest_of(backwards), reversed);
    // One cursor is sought again and again, another is new for each ordinal.
    for (std::uint32_t from = 0; from <= index.events(); ++from) {
        const auto at = std::lower_bound(expected.begin(), expected.end(), from);
        const auto behind = std::upper_bound(expected.begin(), expected.end(), from);
        ASSERT_EQ(forwards.seek(from), at != expected.end()) << from;
        ASSERT_EQ(backwards.seek(from), behind != expected.begin()) << from;
        std::uint32_t ordinal = 0;
        ASSERT_EQ(forwards.next(ordinal), at != expected.end()) << from;
        ASSERT_TRUE(at == expected.end() || ordinal == *at) << from;
        ASSERT_EQ(backwards.next(ordinal), behind != expected.begin()) << from;
        ASSERT_TRUE(behind == expected.begin() || ordinal == *(behind - 1)) << from;
        index::SealedCursor fresh(index, list, from % 2 == 0);
        const bool any = fresh.seek(from);
        const auto left = rest_of(fresh);
        const std::vector<std::uint32_t> wanted =
            from % 2 == 0
                ? std::vector<std::uint32_t>(std::make_reverse_iterator(behind), expected.rend())
                : std::vector<std::uint32_t>(at, expected.end());
        ASSERT_EQ(left, wanted) << from;
        ASSERT_EQ(any, !wanted.empty()) << from;
    }
    ASSERT_FALSE(forwards.damaged() || backwards.damaged());
}

inline void expect_names(const index::SealedIndex& index, index::KeyKind kind,
                         const SealedModel::Lists& expected, const std::string& from) {
    index::SealedNames names(index, kind, from);
    auto at = expected.lower_bound(from);
    for (; names.next(); ++at) {
        ASSERT_NE(at, expected.end()) << names.name();
        ASSERT_EQ(names.name(), at->first);
        ASSERT_EQ(names.list().count, at->second.size());
        ASSERT_EQ(names.list().first, at->second.front());
    }
    ASSERT_EQ(at, expected.end()) << from;
    ASSERT_FALSE(names.next());
    ASSERT_FALSE(names.damaged());
}

inline void expect_kind(const index::SealedIndex& index, index::KeyKind kind,
                        const SealedModel::Lists& expected) {
    ASSERT_EQ(index.names(kind), expected.size());
    for (const auto& [name, ordinals] : expected) {
        index::SealedList list;
        ASSERT_EQ(index.find(kind, name, list), index::Found::yes) << name;
        ASSERT_NO_FATAL_FAILURE(expect_list(index, list, ordinals)) << name;
        for (const char* const end : {"", "!", "zz"})
            ASSERT_NO_FATAL_FAILURE(expect_names(index, kind, expected, name + end));
        ASSERT_NO_FATAL_FAILURE(
            expect_names(index, kind, expected, name.substr(0, name.size() - 1)));
        ASSERT_EQ(index.find(kind, name + "?", list), index::Found::no) << name;
    }
    ASSERT_NO_FATAL_FAILURE(expect_names(index, kind, expected, ""));
    ASSERT_NO_FATAL_FAILURE(expect_names(index, kind, expected, "\xFF\xFF"));
}

/// Every event that has the id is among the candidates; strangers have the id's fingerprint.
inline void expect_ids(const index::SealedIndex& index, const SealedModel& model) {
    const auto print = [&](const std::string& id) {
        return index::fingerprint(index.hasher().key(index::KeyKind::id, id));
    };
    std::map<std::uint32_t, std::vector<std::uint32_t>> expected;
    std::uint32_t count = 0;
    for (const auto& [id, ordinals] : model.ids) {
        auto& all = expected[print(id)];
        all.insert(all.end(), ordinals.begin(), ordinals.end());
        count += static_cast<std::uint32_t>(ordinals.size());
    }
    ASSERT_EQ(index.names(index::KeyKind::id), count);
    for (const auto& [id, ordinals] : model.ids) {
        index::SealedIds candidates(index, index.hasher().key(index::KeyKind::id, id));
        std::vector<std::uint32_t> found;
        for (std::uint32_t ordinal = 0; candidates.next(ordinal);) found.push_back(ordinal);
        std::sort(found.begin(), found.end());
        auto& all = expected[print(id)];
        std::sort(all.begin(), all.end());
        ASSERT_EQ(found, all);
        ASSERT_FALSE(candidates.damaged());
    }
    const std::string missing = "an id nobody has";
    index::SealedIds candidates(index, index.hasher().key(index::KeyKind::id, missing));
    std::uint32_t ordinal = 0;
    ASSERT_EQ(candidates.next(ordinal), expected.count(print(missing)) != 0);
}

/// Bounds of the times of each group. Each segment has groups of its own; a group of the whole has
/// the bounds of all that it overlaps.
inline std::vector<index::SealedTimes> expected_times(const SealedModel& model) {
    std::vector<index::SealedTimes> wanted;
    const std::uint64_t first = model.segments.front().first_position;
    const auto widen = [](index::SealedTimes& times, const index::SealedTimes& by) {
        times.event_min = std::min(times.event_min, by.event_min);
        times.event_max = std::max(times.event_max, by.event_max);
        times.recorded_min = std::min(times.recorded_min, by.recorded_min);
        times.recorded_max = std::max(times.recorded_max, by.recorded_max);
    };
    for (const index::SealedSegment& segment : model.segments) {
        const std::uint64_t end = segment.last_position + 1 - first;
        for (std::uint64_t at = segment.first_position - first; at < end;) {
            const std::uint64_t next = std::min<std::uint64_t>(at + index::kTimeGroup, end);
            const auto of = [&](std::uint64_t n) {
                const SealedEvent& event = model.events[n];
                return index::SealedTimes{event.time_us, event.time_us, event.recorded_us,
                                          event.recorded_us};
            };
            index::SealedTimes bounds = of(at);
            for (std::uint64_t n = at; n < next; ++n) widen(bounds, of(n));
            for (std::uint64_t group = at / index::kTimeGroup;
                 group <= (next - 1) / index::kTimeGroup; ++group) {
                if (group < wanted.size())
                    widen(wanted[group], bounds);
                else
                    wanted.push_back(bounds);
            }
            at = next;
        }
    }
    return wanted;
}

inline void expect_columns(const index::SealedIndex& index, const SealedModel& model) {
    ASSERT_EQ(index.events(), model.events.size());
    std::map<std::string, std::uint32_t> types;
    for (const auto& [type, ordinals] : model.of(index::KeyKind::type))
        types.emplace(type, static_cast<std::uint32_t>(types.size()));
    std::uint16_t number = 0;
    std::uint32_t offset8 = 0;
    for (std::uint32_t n = 0; n < index.events(); ++n) {
        ASSERT_EQ(index.offset8(n, offset8), index::Found::yes);
        ASSERT_EQ(offset8, model.offsets[n]) << n;
        const SealedEvent& event = model.events[n];
        const bool typed = event.kind == log::RecordKind::event && !event.type.empty();
        const std::uint32_t of = typed ? types.at(event.type) : index::kNoType;
        ASSERT_EQ(index.type_number(n, number), index::Found::yes);
        ASSERT_EQ(number, typed ? std::min<std::uint32_t>(of, index::kManyTypes) : of) << n;
    }
    ASSERT_EQ(index.offset8(index.events(), offset8), index::Found::no);
    ASSERT_EQ(index.type_number(index.events(), number), index::Found::no);
    const auto wanted = expected_times(model);
    index::SealedTimes times;
    for (std::uint32_t group = 0; group < wanted.size(); ++group) {
        ASSERT_EQ(index.times(group, times), index::Found::yes);
        ASSERT_EQ(std::memcmp(&times, &wanted[group], sizeof times), 0) << group;
    }
    ASSERT_EQ(index.times(static_cast<std::uint32_t>(wanted.size()), times), index::Found::no);
}

inline void expect_model(const index::SealedIndex& index, const SealedModel& model) {
    ASSERT_EQ(index.first_position(), model.segments.front().first_position);
    ASSERT_EQ(index.last_position(), model.segments.back().last_position);
    ASSERT_EQ(index.segments().size(), model.segments.size());
    for (std::size_t n = 0; n < model.segments.size(); ++n)
        ASSERT_EQ(std::memcmp(&index.segments()[n], &model.segments[n], sizeof model.segments[n]),
                  0);
    for (const index::KeyKind kind : kAllNameKinds)
        ASSERT_NO_FATAL_FAILURE(expect_kind(index, kind, model.of(kind)));
    ASSERT_NO_FATAL_FAILURE(expect_ids(index, model));
    ASSERT_NO_FATAL_FAILURE(expect_columns(index, model));
    ASSERT_EQ(index.check_all(), index::Found::yes);
    ASSERT_FALSE(index.damaged());
}

}  // namespace varve::test
