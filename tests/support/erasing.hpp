// A small simulated store one of whose events is erased, and the questions that must then be
// answered right.
//
// For tests; one thread.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/small_store.hpp"

namespace varve::test {

inline Result<Store> write(os::SimEnv& world) { return Store::open("store", options_for(world)); }
inline Result<Store> read(os::SimEnv& world) {
    return Store::open("store", options_for(world, Access::read_only));
}

inline std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    std::vector<std::byte> bytes(file ? *(*file)->size() : 0);
    if (file) static_cast<void>((*file)->read_at(0, bytes));
    return bytes;
}

/// True if the text stands in any file below the store.
inline bool is_found(os::SimEnv& world, std::string_view text) {
    for (const char* folder : {"store", "store/log", "store/index", "store/dropped"}) {
        auto names = world.list(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            const auto bytes = bytes_of(world, std::string(folder) + "/" + name);
            if (base::as_text(bytes).find(text) != std::string_view::npos) return true;
        }
    }
    return false;
}

inline const Position kSecond[] = {Position{2}};

/// Events 1 to 4 of streams "a" and "b" in turn; the second holds "secret".
inline void fill(Store& store) {
    ASSERT_TRUE(store.append({{.stream = "a", .type = "T", .tags = {"x"}, .data = "first"}}));
    ASSERT_TRUE(store.append({{.stream = "b",
                               .type = "T",
                               .tags = {"x"},
                               .data = "secret data",
                               .metadata = "secret meta"},
                              {.stream = "a", .data = "third"}}));
    ASSERT_TRUE(store.append({{.stream = "b", .data = "fourth"}}));
}

/// Every way of reading: event 2 is there without content, the others with it.
inline void expect_second_erased(const Store& store, std::uint64_t events = 4) {
    auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot);
    for (const Verify verify : {Verify::always, Verify::trusted}) {
        std::uint64_t seen_events = 0;
        const auto check = [&](const EventView& event) {
            ++seen_events;
            EXPECT_EQ(event.erased, event.position.value == 2) << event.position.value;
            EXPECT_EQ(event.data.empty(), event.erased);
            EXPECT_TRUE(event.metadata.empty());
            if (event.position.value != 2) return;
            EXPECT_EQ(event.stream, "b");
            EXPECT_EQ(event.type, "T");
            EXPECT_EQ(event.revision.value, 1U);
            EXPECT_TRUE(event.tags.contains("x"));
        };
        ASSERT_TRUE(snapshot->read(Source::all(), {.verify = verify}).for_each(check));
        EXPECT_EQ(seen_events, events);
        ASSERT_TRUE(snapshot->read(Source::stream("b"), {.verify = verify}).for_each(check));
        ASSERT_TRUE(snapshot->read(Source::tag("x"), {.verify = verify}).for_each(check));
        ASSERT_TRUE(snapshot->read(Source::type("T"), {.verify = verify}).for_each(check));
        EXPECT_EQ(seen_events, events + 6);
        auto one = snapshot->at(Position{2}, verify);
        ASSERT_TRUE(one) << one.error().message;
        check(*one);
    }
    auto version = snapshot->version("b");
    ASSERT_TRUE(version);
    EXPECT_EQ(*version, 2U);
}

/// No damage but that the file `without` is missing.
inline void expect_verified(os::SimEnv& world, std::uint64_t erased,
                            const std::string& without = "") {
    auto report = Store::verify("store", options_for(world));
    ASSERT_TRUE(report) << report.error().message;
    for (const Damage& one : report->damaged) {
        if (one.file != without) ADD_FAILURE() << one.file << ": " << one.what;
    }
    EXPECT_EQ(report->erased, erased);
}

}  // namespace varve::test
