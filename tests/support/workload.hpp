// Events of a few names in a known order, and whether a store answers about them exactly.
//
// One thread appends; any may compare while nobody does. Whatever is compared fails the test that
// runs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "varve/varve.hpp"

namespace varve::test {

/// Appends events of some streams, types and tags, and knows which position carries which name.
class Workload {
public:
    explicit Workload(std::uint64_t seed, bool with_ids = false)
        : random_(seed), with_ids_(with_ids) {}

    void append(Store& store, std::size_t count) {
        for (std::size_t n = 0; n < count; ++n) {
            const std::string stream = "s" + std::to_string(random_() % 7) + "-x";
            const std::string type = "t" + std::to_string(random_() % 3);
            const std::string tag = "g" + std::to_string(random_() % 50);
            const std::string data(2000 + random_() % 4000, 'd');
            NewEvent event{.stream = stream, .type = type, .tags = {tag}, .data = data};
            if (with_ids_) event.id = id_of(last_ + 1);
            auto done = store.append({event}, {.durability = Durability::os});
            ASSERT_TRUE(done) << done.error().message;
            const std::uint64_t at = done->first.value;
            expected_[{Source::Kind::stream, stream}].push_back(at);
            expected_[{Source::Kind::category, stream.substr(0, 2)}].push_back(at);
            expected_[{Source::Kind::type, type}].push_back(at);
            expected_[{Source::Kind::tag, tag}].push_back(at);
            last_ = at;
        }
    }
    [[nodiscard]] std::uint64_t last() const { return last_; }

    /// Every name, both directions, and a range in the middle.
    void compare(const Store& store) const {
        auto now = store.snapshot();
        ASSERT_TRUE(now) << now.error().message;
        ASSERT_EQ(now->published().value, last_);
        for (const auto& [source, positions] : expected_) {
            const Source from{source.first, source.second};
            expect(*now, from, {}, positions);
            std::vector<std::uint64_t> back(positions.rbegin(), positions.rend());
            expect(*now, from, {.direction = Direction::backwards}, back);
            std::vector<std::uint64_t> middle;
            for (const std::uint64_t at : positions) {
                if (at >= last_ / 3 && at <= last_ / 2) middle.push_back(at);
            }
            expect(*now, from,
                   {.from = Position{std::max<std::uint64_t>(last_ / 3, 1)},
                    .until = Position{std::max<std::uint64_t>(last_ / 2, 1)}},
                   last_ < 6 ? positions : middle);
            if (source.first == Source::Kind::stream) {
                EXPECT_EQ(*now->version(source.second), positions.size());
            }
        }
        compare_names(now->streams(), Source::Kind::stream);
        compare_names(now->categories(), Source::Kind::category);
        compare_names(now->types(), Source::Kind::type);
        compare_names(now->tags(), Source::Kind::tag);
        for (std::uint64_t at = 1; with_ids_ && at <= last_; ++at) {
            auto found = now->find(id_of(at));
            ASSERT_TRUE(found) << found.error().message;
            EXPECT_EQ(found->position.value, at);
        }
    }
    /// The positions that carry the name.
    [[nodiscard]] const std::vector<std::uint64_t>& of(Source::Kind kind,
                                                       const std::string& name) const {
        return expected_.at({kind, name});
    }
    [[nodiscard]] static EventId id_of(std::uint64_t position) {
        EventId id;
        for (std::size_t n = 0; n < 8; ++n) id.bytes[n] = static_cast<std::byte>(position >> 8 * n);
        return id;
    }

private:
    static void expect(const Snapshot& now, const Source& from, const ReadOptions& options,
                       const std::vector<std::uint64_t>& positions) {
        std::vector<std::uint64_t> found;
        auto seen = now.read(from, options).for_each([&](const EventView& event) {
            found.push_back(event.position.value);
        });
        ASSERT_TRUE(seen) << seen.error().message;
        ASSERT_EQ(found, positions) << from.name;
    }

    void compare_names(const Result<std::vector<CatalogueEntry>>& names, Source::Kind kind) const {
        ASSERT_TRUE(names) << names.error().message;
        for (const CatalogueEntry& entry : *names) {
            const auto& positions = expected_.at({kind, entry.name});
            EXPECT_EQ(entry.count, positions.size()) << entry.name;
            EXPECT_EQ(entry.first.value, positions.front());
            EXPECT_EQ(entry.last.value, positions.back());
        }
        const auto of_kind = [&](const auto& one) { return one.first.first == kind; };
        EXPECT_EQ(names->size(), static_cast<std::size_t>(
                                     std::count_if(expected_.begin(), expected_.end(), of_kind)));
    }

    std::mt19937_64 random_;
    bool with_ids_;
    std::map<std::pair<Source::Kind, std::string>, std::vector<std::uint64_t>> expected_;
    std::uint64_t last_ = 0;
};

}  // namespace varve::test
