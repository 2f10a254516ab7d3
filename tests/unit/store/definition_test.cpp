// Goal: what was there before a definition is never passed over: an event whose content is damaged
// is an error, one whose content was erased belongs nowhere, and the rest is listed.
// Method: a simulated store of a few events; one body is flipped in the file, or erased, before
// something is defined.
#include <gtest/gtest.h>

#include <algorithm>

#include "file/control.hpp"
#include "support/erasing.hpp"
#include "support/small_store.hpp"

namespace varve::test {
namespace {

constexpr const char* kSegment = "store/log/0000000001.seg";

NewDefinition ones() {
    auto matcher = Matcher::compile(R"({"data":{"n":1}})");
    EXPECT_TRUE(matcher);
    return NewDefinition::stream("ones", Selector::all(), *matcher);
}

Store with_events(os::SimEnv& world) {
    auto store = Store::open("store", options_for(world));
    EXPECT_TRUE(store) << store.error().message;
    EXPECT_TRUE(store->append({{.data = R"({"n":1,"a":"first"})"},
                               {.data = R"({"n":1,"a":"second"})"},
                               {.data = R"({"n":2})"},
                               {.data = R"({"n":1,"a":"fourth"})"}}));
    return std::move(*store);
}

/// Changes a byte of the text in the log.
void spoil(os::SimEnv& world, std::string_view text) {
    const std::vector<std::byte> bytes = bytes_of(world, kSegment);
    const base::Bytes wanted = base::as_bytes(text);
    const auto found = std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
    ASSERT_NE(found, bytes.end());
    const std::byte other[] = {*found ^ std::byte{1}};
    auto file = world.open(kSegment, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(static_cast<std::uint64_t>(found - bytes.begin()), other));
}

TEST(Definitions, DamagedContentIsAnErrorAndNeverPassedOver) {
    os::SimEnv world(1);
    Store store = with_events(world);
    spoil(world, "second");
    ASSERT_TRUE(store.define(ones()));
    auto listed = store.list_past();
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, ErrorCode::corrupt);
    // Appends go on, and what they add is there; steps in the background change nothing.
    for (int n = 0; n < 5; ++n) ASSERT_TRUE(store.append({{.data = R"({"n":1})"}}));
    auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot);
    auto count = snapshot->count(Selector::derived("ones"));
    ASSERT_FALSE(count) << *count;
    EXPECT_EQ(count.error().code, ErrorCode::corrupt);
    std::vector<std::uint64_t> found;
    auto seen = snapshot->query(Selector::derived("ones")).for_each([&](const EventView& event) {
        found.push_back(event.position.value);
    });
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().code, ErrorCode::corrupt);
    EXPECT_EQ(found, std::vector<std::uint64_t>{1});
    auto behind = snapshot->count(Selector::derived("ones"), {.after = Position{2}});
    ASSERT_TRUE(behind) << behind.error().message;
    EXPECT_EQ(*behind, 6U);
    EXPECT_FALSE(snapshot->definitions()->front().complete);
}

TEST(Definitions, WhatWasErasedBeforeBelongsNowhere) {
    os::SimEnv world(1);
    Store store = with_events(world);
    const Position second[] = {Position{2}};
    ASSERT_TRUE(store.erase(second));
    ASSERT_TRUE(store.define(ones()));
    for (int n = 0; n < 2; ++n) {
        auto count = store.snapshot()->count(Selector::derived("ones"));
        ASSERT_TRUE(count) << count.error().message;
        EXPECT_EQ(*count, 2U);
        ASSERT_TRUE(store.list_past());
    }
    EXPECT_TRUE(store.snapshot()->definitions()->front().complete);
}

TEST(Definitions, AReaderKnowsThemFromTheirPositionOn) {
    os::SimEnv world(1);
    Store writer = with_events(world);
    auto reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader) << reader.error().message;
    auto page = world.open("store/control", os::OpenMode::read_write, 0600);
    ASSERT_TRUE(page);
    auto mapping = (*page)->map(file::kControlSize, os::MapAccess::read_write);
    ASSERT_TRUE(mapping);
    std::atomic<std::uint32_t>& word = file::control_of(*mapping).definitions;
    const auto names = [&] {
        auto all = reader->snapshot()->definitions();
        EXPECT_TRUE(all);
        std::vector<std::string> found;
        for (const Definition& one : *all) found.push_back(one.name);
        return found;
    };
    EXPECT_TRUE(names().empty());
    const std::uint32_t before = word.load();
    EXPECT_EQ(before % 2, 0U);
    // What a reader sees in between: the definition is published, the word not yet even again.
    ASSERT_TRUE(writer.define(ones()));
    EXPECT_EQ(word.load(), before + 2);
    word.store(before + 1);
    EXPECT_EQ(names(), (std::vector<std::string>{"ones"}));
    ASSERT_TRUE(writer.define(NewDefinition::stream("twos", Selector::type("two"))));
    word.store(before + 1);
    EXPECT_EQ(names(), (std::vector<std::string>{"ones", "twos"})) << "by the same odd word";
    word.store(before + 4);
    EXPECT_EQ(names(), (std::vector<std::string>{"ones", "twos"}));
}

}  // namespace
}  // namespace varve::test
