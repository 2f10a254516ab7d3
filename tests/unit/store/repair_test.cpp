// Goal: a repair says what it would drop and then drops exactly that, keeps a copy, loses no event
// before the damage, and can be cut short and repeated anywhere. Method: simulated worlds, one byte
// changed, files removed, the power cut and the disk full at each call.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr const char* kSecond = "store/log/0000000002.seg";
constexpr std::uint64_t kEvents = 60;
constexpr std::uint64_t kDamaged = 30;

std::string data_of(std::uint64_t n) {
    return "#" + std::to_string(n) + "#" + std::string(3000, 'x');
}

void fill(os::SimEnv& world, std::uint64_t from = 1, std::uint64_t to = kEvents) {
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    for (std::uint64_t n = from; n <= to; ++n) {
        const std::string data = data_of(n);
        ASSERT_TRUE(store->append({{.stream = "s", .type = "t", .data = data}}));
    }
    ASSERT_TRUE(store->close());
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    if (!file) return {};
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

void flip(os::SimEnv& world, const std::string& path, std::uint64_t at) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file) << path;
    std::byte byte{};
    ASSERT_TRUE((*file)->read_at(at, {&byte, 1}));
    byte ^= std::byte{0x10};
    ASSERT_TRUE((*file)->write_at(at, {&byte, 1}));
    ASSERT_TRUE((*file)->sync());
}

/// Changes one byte of the body of event `n`.
void damage(os::SimEnv& world, std::uint64_t n = kDamaged) {
    auto names = world.list("store/log");
    ASSERT_TRUE(names);
    for (const std::string& name : *names) {
        const std::string path = "store/log/" + name;
        const auto bytes = bytes_of(world, path);
        const std::size_t at = base::as_text(bytes).find("#" + std::to_string(n) + "#");
        if (at == std::string_view::npos) continue;
        flip(world, path, at + 20);
        return;
    }
    FAIL() << n;
}

using Files = std::map<std::string, std::vector<std::byte>>;

Files all_files(os::SimEnv& world) {
    Files files;
    for (const char* folder : {"store", "store/log", "store/index", "store/dropped"}) {
        auto names = world.list(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            const std::string path = std::string(folder) + "/" + name;
            if (world.open(path, os::OpenMode::read, 0600)) files[path] = bytes_of(world, path);
        }
    }
    return files;
}

Result<RepairReport> repair(os::SimEnv& world, bool confirmed) {
    return Store::repair("store", {.confirmed = confirmed}, options_for(world));
}

/// The store holds events 1 … `last`, whole, and nothing else.
void expect_events(os::SimEnv& world, std::uint64_t last) {
    auto store = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(store) << store.error().message;
    std::uint64_t n = 0;
    auto read = store->snapshot()->read(Source::all()).for_each([&](const EventView& event) {
        ++n;
        EXPECT_EQ(event.position.value, n);
        EXPECT_TRUE(event.data == data_of(n)) << n;
    });
    EXPECT_TRUE(read) << read.error().message;
    EXPECT_EQ(n, last);
}

/// Opens for writing, is whole, and goes on behind `last`.
void expect_usable(os::SimEnv& world, std::uint64_t last) {
    expect_events(world, last);
    fill(world, last + 1, last + 40);
    expect_events(world, last + 40);
    auto verified = Store::verify("store", options_for(world));
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_TRUE(verified->damaged.empty())
        << verified->damaged[0].file << " " << verified->damaged[0].what;
    EXPECT_TRUE(verified->indexes_damaged.empty());
    auto again = repair(world, false);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_FALSE(again->needed);
}

TEST(Repair, OfAWholeStoreIsNothing) {
    os::SimEnv world(1);
    fill(world);
    const Files before = all_files(world);
    auto report = repair(world, false);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_FALSE(report->needed);
    EXPECT_EQ(all_files(world), before);
    ASSERT_TRUE(repair(world, true));
    expect_usable(world, kEvents);
}

TEST(Repair, SaysWhatItWouldDropAndThenDropsThat) {
    os::SimEnv world(1);
    fill(world);
    damage(world);
    const Files before = all_files(world);
    auto told = repair(world, false);
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(all_files(world), before);
    EXPECT_TRUE(told->needed);
    EXPECT_FALSE(told->done);
    EXPECT_EQ(told->first.value, kDamaged);
    EXPECT_EQ(told->last.value, kEvents);
    EXPECT_EQ(told->events, kEvents + 1 - kDamaged);
    EXPECT_EQ(told->readable, kEvents - kDamaged);
    EXPECT_GT(told->bytes, told->readable * 3000);
    EXPECT_FALSE(told->cause.empty());
    auto done = repair(world, true);
    ASSERT_TRUE(done) << done.error().message << done.error().file;
    EXPECT_TRUE(done->done);
    EXPECT_EQ(done->first, told->first);
    EXPECT_EQ(done->bytes, told->bytes);
    EXPECT_EQ(done->copies, told->copies);
    // Every byte of the dropped events is in the copies.
    std::string kept;
    for (const std::string& copy : done->copies)
        kept += base::as_text(bytes_of(world, "store/" + copy));
    for (std::uint64_t n = kDamaged + 1; n <= kEvents; ++n)
        EXPECT_NE(kept.find(data_of(n)), std::string::npos) << n;
    auto found = Store::doctor("store", options_for(world));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->state, "clean");
    EXPECT_TRUE(found->foreign.empty());
    expect_usable(world, kDamaged - 1);
    expect_usable(*world.power_cut(3, {os::SimCut::Style::nothing, 0}), kDamaged + 39);
}

TEST(Repair, WhereverTheDamageIs) {
    for (const std::uint64_t n : {1U, 2U, 20U, 21U, 22U, 23U, 40U, 59U, 60U}) {
        SCOPED_TRACE(n);
        os::SimEnv made(1);
        fill(made);
        damage(made, n);
        // In this boot and in the next one.
        for (const auto& world :
             {made.kill(2), made.power_cut(2, {os::SimCut::Style::nothing, 0})}) {
            auto report = repair(*world, true);
            ASSERT_TRUE(report) << report.error().message << report.error().file;
            EXPECT_EQ(report->first.value, n);
            expect_usable(*world, n - 1);
        }
    }
}

TEST(Repair, AMissingSegment) {
    for (const char* gone : {"store/log/0000000001.seg", kSecond}) {
        SCOPED_TRACE(gone);
        os::SimEnv world(1);
        fill(world);
        ASSERT_TRUE(world.remove(gone));
        EXPECT_TRUE(Store::doctor("store", options_for(world))->damaged);
        auto report = repair(world, true);
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_EQ(report->first.value == 1, gone != kSecond);
        EXPECT_EQ(report->last.value, kEvents);
        EXPECT_LT(report->readable, report->events);
        EXPECT_GT(report->readable, 0U);
        expect_usable(world, report->first.value - 1);
    }
}

TEST(Repair, AReaderOfWhatIsDroppedIsTold) {
    os::SimEnv world(1);
    fill(world);
    auto reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader);
    ASSERT_TRUE(reader->snapshot());
    damage(world);
    auto report = repair(world, true);
    ASSERT_TRUE(report) << report.error().message;
    fill(world, kDamaged, kEvents);
    auto snapshot = reader->snapshot();
    ASSERT_FALSE(snapshot);
    EXPECT_EQ(snapshot.error().code, ErrorCode::durability_lost) << snapshot.error().message;
}

TEST(Repair, ALostOrDamagedManifest) {
    for (const bool lost : {true, false}) {
        SCOPED_TRACE(lost);
        os::SimEnv world(1);
        fill(world);
        if (lost) {
            ASSERT_TRUE(world.remove("store/manifest"));
        } else {
            flip(world, "store/manifest", 30);
        }
        const Files before = all_files(world);
        auto told = repair(world, false);
        ASSERT_TRUE(told) << told.error().message;
        EXPECT_TRUE(told->manifest);
        EXPECT_EQ(told->events, 0U);
        EXPECT_EQ(all_files(world), before);
        auto done = repair(world, true);
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_TRUE(done->done);
        expect_usable(world, kEvents);
    }
}

TEST(Repair, WithoutAManifestSegmentsMustConnect) {
    os::SimEnv world(1);
    fill(world);
    ASSERT_TRUE(world.remove("store/manifest"));
    ASSERT_TRUE(world.remove(kSecond));
    const Files before = all_files(world);
    auto report = repair(world, true);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::corrupt);
    EXPECT_NE(report.error().message.find("varve salvage"), std::string::npos);
    Files after = all_files(world);
    after["store/lock"] = before.at("store/lock");
    EXPECT_EQ(after, before);
}

TEST(Repair, AControlPageOfNobody) {
    os::SimEnv world(1);
    fill(world);
    flip(world, "store/control", 0);
    auto told = repair(world, false);
    ASSERT_TRUE(told);
    EXPECT_TRUE(told->control);
    ASSERT_TRUE(repair(world, true));
    expect_usable(world, kEvents);
}

TEST(Repair, DamagedIndexes) {
    os::SimEnv world(1);
    fill(world);
    std::vector<std::string> spoilt;
    auto names = world.list("store/index");
    ASSERT_TRUE(names);
    for (const std::string& name : *names) {
        if (!name.ends_with(".act") && !name.ends_with(".idx")) continue;
        const auto bytes = bytes_of(world, "store/index/" + name);
        if (base::all_zero(bytes)) continue;  // prepared
        flip(world, "store/index/" + name, 2);
        spoilt.push_back("index/" + name);
    }
    ASSERT_FALSE(spoilt.empty());
    auto told = repair(world, false);
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_TRUE(told->needed);
    EXPECT_EQ(told->events, 0U);
    EXPECT_FALSE(told->indexes.empty());
    for (const std::string& one : told->indexes)
        EXPECT_NE(std::find(spoilt.begin(), spoilt.end(), one), spoilt.end()) << one;
    auto done = repair(world, true);
    ASSERT_TRUE(done) << done.error().message;
    expect_usable(world, kEvents);
}

TEST(Repair, AnEndThatIsMissing) {
    os::SimEnv world(1);
    fill(world, 1, 5);
    const std::string path = "store/log/0000000001.seg";
    const auto bytes = bytes_of(world, path);
    ASSERT_TRUE(world.remove(path));
    ASSERT_TRUE((*world.open(path, os::OpenMode::create, 0600))
                    ->write_at(0, base::Bytes{bytes}.first(10'000)));
    EXPECT_EQ(Store::doctor("store", options_for(world))->state, "cut tail");
    auto report = repair(world, true);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->last.value, 5U);
    EXPECT_GT(report->first.value, 1U);
    expect_usable(world, report->first.value - 1);
}

TEST(Repair, RecordsOfErasureAreNotDropped) {
    for (const bool before : {true, false}) {
        SCOPED_TRACE(before);
        os::SimEnv world(1);
        fill(world, 1, 10);
        {
            auto store = Store::open("store", options_for(world));
            ASSERT_TRUE(store);
            const Position third[] = {Position{3}};
            ASSERT_TRUE(store->erase(third));
            const std::string data = data_of(50);
            ASSERT_TRUE(store->append({{.stream = "s", .data = data}}));
            ASSERT_TRUE(store->close());
        }
        damage(world, before ? 50 : 8);
        auto report = repair(world, true);
        if (!before) {
            ASSERT_FALSE(report);
            EXPECT_EQ(report.error().code, ErrorCode::corrupt);
            continue;
        }
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_EQ(report->first.value, 12U);
        auto verified = Store::verify("store", options_for(world));
        ASSERT_TRUE(verified);
        EXPECT_TRUE(verified->damaged.empty());
        EXPECT_EQ(verified->erased, 1U);
    }
}

TEST(Repair, Refusals) {
    os::SimEnv world(1);
    EXPECT_EQ(repair(world, true).error().code, ErrorCode::not_found);
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store->append({{.stream = "s", .data = "d"}}));
        EXPECT_EQ(repair(world, true).error().code, ErrorCode::locked);
        ASSERT_TRUE(store->backup("copy"));
    }
    EXPECT_EQ(Store::repair("copy", {.confirmed = true}, options_for(world)).error().code,
              ErrorCode::not_a_store);
    flip(world, "store/varve", 20);
    EXPECT_EQ(repair(world, true).error().code, ErrorCode::not_a_store);
    ASSERT_TRUE(world.remove("store/varve"));
    EXPECT_EQ(repair(world, true).error().code, ErrorCode::not_a_store);
}

/// Repairs with the power cut or every process killed at each call, repairs what is left, and asks
/// for every event before the damaged one. Returns how many images there were.
std::uint64_t cut_at_every_step(std::uint64_t damaged) {
    os::SimEnv made(1);
    fill(made);
    damage(made, damaged);
    using Style = os::SimCut::Style;
    std::uint64_t steps = 0;
    // Killed, or cut with all, nothing or some of what was not synced.
    const Style styles[] = {Style::everything, Style::nothing, Style::mixed, Style::mixed};
    for (std::size_t round = 0; round <= std::size(styles); ++round) {
        const bool same_boot = round == std::size(styles);
        std::uint64_t n = 1;
        for (; n < 400; ++n) {
            SCOPED_TRACE(n);
            const auto world = made.kill(n);
            std::unique_ptr<os::SimEnv> cut;
            std::uint64_t at = 0;
            world->on_step([&] {
                if (++at != n) return;
                cut = same_boot ? world->kill(n)
                                : world->power_cut(n + 1000 * round, {styles[round], 0});
            });
            EXPECT_TRUE(repair(*world, true));
            world->on_step({});
            if (cut == nullptr) break;
            ++steps;
            // Whatever was reached: it opens and is repaired, or it is as damaged as before.
            const auto opened = cut->kill(n);
            auto store = Store::open("store", options_for(*opened));
            if (store) {
                EXPECT_TRUE(store->close());
                EXPECT_TRUE(Store::verify("store", options_for(*opened)));
            } else {
                EXPECT_EQ(store.error().code, ErrorCode::corrupt) << store.error().message;
            }
            auto again = repair(*cut, true);
            EXPECT_TRUE(again) << again.error().message << again.error().file;
            expect_usable(*cut, damaged - 1);
            if (testing::Test::HasFailure()) return steps;
        }
        EXPECT_LT(n, 400U);
    }
    return steps;
}

TEST(Repair, APowerCutAtEveryStep) {
    // With whole segments behind it, and in the last one.
    EXPECT_GT(cut_at_every_step(kDamaged), 40U);
    EXPECT_GT(cut_at_every_step(kEvents - 1), 40U);
}

TEST(Repair, AFullDiskAtEveryStep) {
    os::SimEnv made(1);
    fill(made);
    damage(made);
    std::uint64_t refused = 0;
    for (std::uint64_t n = 1; n < 400; ++n) {
        SCOPED_TRACE(n);
        const auto world = made.kill(n);
        world->fail_only(os::SimEnv::FailFor::others);
        world->fail_call(n, ErrorCode::no_space, true);
        auto report = repair(*world, true);
        if (world->failed_calls() == 0) break;
        world->stop_failing();
        if (!report) {
            ++refused;
            EXPECT_EQ(report.error().code, ErrorCode::no_space) << report.error().message;
        }
        auto again = repair(*world, true);
        ASSERT_TRUE(again) << again.error().message << again.error().file;
        expect_usable(*world, kDamaged - 1);
        if (HasFailure()) return;
    }
    EXPECT_GT(refused, 5U);
}

TEST(Repair, ACancelledOneDropsNothing) {
    os::SimEnv made(1);
    fill(made);
    damage(made);
    // At each of its questions in turn: while it looks, and while it copies.
    std::uint64_t cancelled = 0;
    for (std::uint64_t n = 1; n < 100; ++n) {
        const auto world = made.kill(n);
        std::uint64_t asked = 0;
        auto report = Store::repair("store", {.confirmed = true}, options_for(*world),
                                    [&](auto, auto) { return ++asked != n; });
        ASSERT_TRUE(report) << report.error().message;
        if (asked < n) break;
        ++cancelled;
        EXPECT_FALSE(report->complete);
        EXPECT_FALSE(report->done);
        auto told = repair(*world, false);
        ASSERT_TRUE(told);
        EXPECT_EQ(told->first.value, kDamaged);
    }
    EXPECT_GT(cancelled, 1U);
}

}  // namespace
}  // namespace varve::test
