// Goal: everything that can be read of a damaged store arrives in a new one, in order and whole,
// the report says where it went and what is missing, and the source is not touched. Method:
// simulated worlds, one byte changed, files removed, calls that fail.
#include <gtest/gtest.h>

#include <algorithm>

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

OpenOptions options_for(os::SimEnv& world) {
    OpenOptions options;
    options.env = &world;
    options.segment_size_first = options.segment_size_max = 64 << 10;
    return options;
}

EventId id_of(std::uint64_t n) {
    EventId id;
    id.bytes[0] = static_cast<std::byte>(n);
    id.bytes[15] = std::byte{9};
    return id;
}

/// Forty commits of one event and of two, with everything an event can have.
void fill(os::SimEnv& world) {
    auto store = Store::open("store", options_for(world));
    std::uint64_t n = 0;
    const auto event = [&](const std::string& data) {
        ++n;
        return NewEvent{.stream = n % 2 == 0 ? "even" : "odd",
                        .type = "t",
                        .tags = {"a", "b"},
                        .data = data,
                        .metadata = "meta",
                        .id = id_of(n),
                        .time_us = static_cast<std::int64_t>(1000 - n)};
    };
    for (int commit = 0; commit < 40; ++commit) {
        const std::string one = std::to_string(n + 1) + std::string(2500, 'x');
        const std::string two = std::to_string(n + 2) + std::string(2500, 'x');
        if (commit % 4 == 0) {
            ASSERT_TRUE(store->append({event(one), event(two)}));
        } else {
            ASSERT_TRUE(store->append({event(one)}));
        }
    }
    ASSERT_EQ(n, 50U);
    ASSERT_TRUE(store->close());
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

/// The events of the target, by the number each has in its data, checked against the report.
std::vector<std::uint64_t> numbers(os::SimEnv& world, const SalvageReport& report) {
    std::vector<std::uint64_t> found;
    auto verified = Store::verify("target", options_for(world));
    EXPECT_TRUE(verified && verified->damaged.empty());
    auto store = Store::open("target", options_for(world));
    EXPECT_TRUE(store) << store.error().message;
    auto snapshot = store->snapshot();
    auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
        const std::uint64_t n = std::stoull(std::string(event.data.substr(0, 3)));
        found.push_back(n);
        EXPECT_EQ(event.stream, n % 2 == 0 ? "even" : "odd");
        EXPECT_EQ(event.metadata, "meta");
        EXPECT_EQ(event.id(), id_of(n));
        EXPECT_EQ(event.time_us, static_cast<std::int64_t>(1000 - n));
        EXPECT_EQ(event.tags.size(), 2U);
        bool told = false;
        for (const Moved& one : report.moved) {
            told = told || (n >= one.first.value && n <= one.last.value &&
                            one.to.value + (n - one.first.value) == event.position.value);
        }
        EXPECT_TRUE(told) << n;
    });
    EXPECT_TRUE(seen);
    EXPECT_EQ(report.copied, found.size());
    return found;
}

TEST(Salvage, OfAWholeStoreIsTheStore) {
    os::SimEnv world(1);
    fill(world);
    auto report = Store::salvage("store", "target", options_for(world));
    ASSERT_TRUE(report) << report.error().message << report.error().file;
    EXPECT_TRUE(report->skipped.empty());
    ASSERT_EQ(report->moved.size(), 1U);
    EXPECT_EQ(numbers(world, *report).size(), 50U);
    const auto cut = world.power_cut(2, {os::SimCut::Style::nothing, 0});
    EXPECT_EQ(numbers(*cut, *report).size(), 50U);  // finished means durable
}

TEST(Salvage, LeavesOutExactlyWhatIsDamaged) {
    os::SimEnv world(1);
    fill(world);
    const std::string path = "store/log/0000000001.seg";
    const auto whole = bytes_of(world, path);
    const std::size_t at = base::as_text(whole).find("7xxx");
    ASSERT_NE(at, std::string_view::npos);
    const std::byte other{'y'};
    ASSERT_TRUE((*world.open(path, os::OpenMode::read_write, 0600))->write_at(at + 9, {&other, 1}));
    const auto damaged = bytes_of(world, path);
    auto report = Store::salvage("store", "target", options_for(world));
    ASSERT_TRUE(report) << report.error().message << report.error().file;
    ASSERT_EQ(report->skipped.size(), 1U);
    EXPECT_EQ(report->skipped[0].first.value, 7U);
    EXPECT_EQ(report->skipped[0].last.value, 7U);
    const auto found = numbers(world, *report);
    EXPECT_EQ(found.size(), 49U);
    EXPECT_EQ(std::count(found.begin(), found.end(), 7U), 0);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    EXPECT_EQ(bytes_of(world, path), damaged);
}

TEST(Salvage, AroundMissingFiles) {
    for (const char* gone : {"store/log/0000000002.seg", "store/log/0000000001.seg",
                             "store/manifest", "store/control"}) {
        os::SimEnv world(1);
        fill(world);
        ASSERT_TRUE(world.remove(gone)) << gone;
        auto report = Store::salvage("store", "target", options_for(world));
        ASSERT_TRUE(report) << gone << report.error().message;
        std::uint64_t skipped = 0;
        for (const Skipped& one : report->skipped) skipped += one.last.value + 1 - one.first.value;
        EXPECT_EQ(numbers(world, *report).size() + skipped, 50U) << gone;
        const bool segment = std::string(gone).ends_with(".seg");
        EXPECT_EQ(skipped > 0, segment) << gone;
    }
}

TEST(Salvage, RefusesATargetThatHoldsSomething) {
    os::SimEnv world(1);
    fill(world);
    auto report = Store::salvage("store", "store", options_for(world));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(Store::salvage("nothing", "target", options_for(world)).error().code,
              ErrorCode::not_found);
    EXPECT_FALSE(*world.exists("target"));
}

TEST(Salvage, ACancelledOrFailedOneLeavesNothing) {
    os::SimEnv world(1);
    fill(world);
    auto report =
        Store::salvage("store", "target", options_for(world), [](auto, auto) { return false; });
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->complete);
    EXPECT_FALSE(*world.exists("target"));
    // Each call in turn, once: what was made is removed again, or the failure did not matter.
    std::uint64_t refused = 0;
    for (std::uint64_t n = 1; n < 300; ++n) {
        const auto fresh = world.kill(n);
        fresh->fail_only(os::SimEnv::FailFor::others);
        fresh->fail_call(n, ErrorCode::no_space, false);
        report = Store::salvage("store", "target", options_for(*fresh));
        if (fresh->failed_calls() == 0) break;
        if (report) continue;
        ++refused;
        EXPECT_EQ(report.error().code, ErrorCode::no_space) << report.error().message;
        EXPECT_FALSE(*fresh->exists("target")) << n;
    }
    EXPECT_GT(refused, 10U);
    // For ever, removing included: what is left says that it is unfinished.
    const auto full = world.kill(1);
    std::uint64_t calls = 0;
    full->on_step([&] {
        if (++calls == 90) full->fail_call(1, ErrorCode::no_space, true);
    });
    report = Store::salvage("store", "target", options_for(*full));
    full->on_step({});
    full->stop_failing();
    ASSERT_FALSE(report);
    EXPECT_FALSE(Store::open("target", options_for(*full)));
    auto found = Store::doctor("target", options_for(*full));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->state, "half-made");
    report = Store::salvage("store", "target", options_for(world));
    ASSERT_TRUE(report) << report.error().message << report.error().file;
    EXPECT_EQ(numbers(world, *report).size(), 50U);
}

}  // namespace
}  // namespace varve::test
