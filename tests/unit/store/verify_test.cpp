// Goal: a verification that was interrupted goes on and reports what an uninterrupted one does.
// Method: simulated stores of many segments, whole and damaged; cancelled behind each segment,
// taken up; the state file damaged, of another store, or the store changed in between.
#include <gtest/gtest.h>

#include "file/verify_file.hpp"
#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr const char* kState = "store/verify.state";

OpenOptions options_for(os::SimEnv& world) {
    OpenOptions options;
    options.env = &world;
    options.segment_size_first = options.segment_size_max = 64 << 10;
    return options;
}

void fill(os::SimEnv& world, int events, const char* path = "store") {
    auto store = Store::open(path, options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    const std::string data(3000, 'x');
    for (int n = 0; n < events; ++n) ASSERT_TRUE(store->append({{.stream = "s", .data = data}}));
    ASSERT_TRUE(store->close());
}

void flip(os::SimEnv& world, const std::string& path, std::uint64_t at) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file) << path;
    std::byte byte{};
    ASSERT_TRUE((*file)->read_at(at, {&byte, 1}));
    byte ^= std::byte{0x10};
    ASSERT_TRUE((*file)->write_at(at, {&byte, 1}));
}

/// Verifies, resuming; cancelled behind `segments` segments of this run, 0: never.
VerifyReport verify(os::SimEnv& world, std::uint64_t segments = 0, bool resume = true,
                    const char* path = "store") {
    std::uint64_t calls = 0;
    auto report =
        Store::verify(path, options_for(world),
                      [&](std::uint64_t, std::uint64_t) { return ++calls != segments; }, {resume});
    EXPECT_TRUE(report) << report.error().message;
    return report ? std::move(*report) : VerifyReport{};
}

void expect_same(const VerifyReport& got, const VerifyReport& whole) {
    EXPECT_TRUE(got.complete);
    EXPECT_EQ(got.events, whole.events);
    EXPECT_EQ(got.commits, whole.commits);
    EXPECT_EQ(got.segments, whole.segments);
    EXPECT_EQ(got.bytes, whole.bytes);
    EXPECT_EQ(got.erased, whole.erased);
    ASSERT_EQ(got.damaged.size(), whole.damaged.size());
    for (std::size_t n = 0; n < whole.damaged.size(); ++n) {
        EXPECT_EQ(got.damaged[n].file, whole.damaged[n].file);
        EXPECT_EQ(got.damaged[n].offset, whole.damaged[n].offset);
        EXPECT_EQ(got.damaged[n].length, whole.damaged[n].length);
        EXPECT_EQ(got.damaged[n].first, whole.damaged[n].first);
        EXPECT_EQ(got.damaged[n].last, whole.damaged[n].last);
        EXPECT_EQ(got.damaged[n].what, whole.damaged[n].what);
    }
}

/// Interrupts behind each segment in turn, and compares.
void expect_resumes(os::SimEnv& world) {
    const VerifyReport whole = verify(world, 0, false);
    ASSERT_GE(whole.segments, 4U);
    for (std::uint64_t stop = 1; stop <= whole.segments; ++stop) {
        const VerifyReport part = verify(world, stop);
        EXPECT_FALSE(part.complete);
        EXPECT_EQ(part.segments, stop);
        EXPECT_GT(part.kept_bytes, 0U);
        EXPECT_TRUE(*world.exists(kState));
        const VerifyReport rest = verify(world);
        EXPECT_EQ(rest.note, "");
        EXPECT_EQ(rest.resumed_bytes, part.kept_bytes) << stop;
        expect_same(rest, whole);
        EXPECT_FALSE(*world.exists(kState)) << "a run that ends removes it";
    }
    // One segment per run, so that every run but the last is a resumed and an interrupted one.
    VerifyReport last;
    for (std::uint64_t run = 1; run < whole.segments; ++run) {
        last = verify(world, 1);
        EXPECT_FALSE(last.complete);
        EXPECT_EQ(last.segments, run);
    }
    expect_same(verify(world), whole);
}

TEST(Verify, ResumesBehindEachSegment) {
    os::SimEnv world(1);
    fill(world, 120);
    expect_resumes(world);
}

TEST(Verify, ReportsTheDamageThatAnEarlierRunFound) {
    os::SimEnv world(2);
    fill(world, 120);
    flip(world, "store/log/0000000001.seg", 9000);
    flip(world, "store/log/0000000003.seg", 20000);
    ASSERT_GE(verify(world, 0, false).damaged.size(), 2U);
    expect_resumes(world);
}

TEST(Verify, KeepsNothingUnlessAsked) {
    os::SimEnv world(3);
    fill(world, 120);
    const VerifyReport part = verify(world, 2, false);
    EXPECT_FALSE(part.complete);
    EXPECT_EQ(part.kept_bytes, 0U);
    EXPECT_FALSE(*world.exists(kState));
}

TEST(Verify, SaysThatItCannotKeepAnything) {
    os::SimEnv world(9);
    fill(world, 120);
    world.limit_space(1);
    const VerifyReport part = verify(world, 2);
    EXPECT_FALSE(part.complete);
    EXPECT_EQ(part.kept_bytes, 0U);
    EXPECT_NE(part.note.find("cannot keep"), std::string::npos) << part.note;
    expect_same(verify(world), verify(world, 0, false));
}

TEST(Verify, BeginsAgainOnADamagedState) {
    os::SimEnv world(4);
    fill(world, 120);
    flip(world, "store/log/0000000001.seg", 9000);
    const VerifyReport whole = verify(world, 0, false);
    static_cast<void>(verify(world, 2));
    auto file = world.open(kState, os::OpenMode::read, 0600);
    ASSERT_TRUE(file);
    const std::uint64_t size = *(*file)->size();
    ASSERT_GT(size, sizeof(file::VerifyHeader));
    for (std::uint64_t at = 0; at < size; ++at) {
        if (!*world.exists(kState)) static_cast<void>(verify(world, 2));
        flip(world, kState, at);
        const VerifyReport report = verify(world);
        EXPECT_EQ(report.resumed_bytes, 0U) << at;
        EXPECT_NE(report.note.find("began again"), std::string::npos) << at;
        expect_same(report, whole);
    }
}

TEST(Verify, BeginsAgainOnTheStateOfAnotherStore) {
    os::SimEnv world(5);
    fill(world, 120);
    fill(world, 120, "other");
    static_cast<void>(verify(world, 3, true, "other"));
    ASSERT_TRUE(world.rename("other/verify.state", kState));
    const VerifyReport report = verify(world);
    EXPECT_EQ(report.resumed_bytes, 0U);
    EXPECT_NE(report.note.find("began again"), std::string::npos);
    expect_same(report, verify(world, 0, false));
}

TEST(Verify, BeginsAgainIfASegmentWasReplaced) {
    os::SimEnv world(6);
    fill(world, 120);
    static_cast<void>(verify(world, 3));
    const std::string path = "store/log/0000000002.seg";
    auto old = world.open(path, os::OpenMode::read, 0600);
    ASSERT_TRUE(old);
    std::vector<std::byte> bytes(*(*old)->size() - 8192);  // cut short
    ASSERT_TRUE((*old)->read_at(0, bytes));
    ASSERT_TRUE(world.remove(path));
    auto fresh = world.open(path, os::OpenMode::create, 0600);
    ASSERT_TRUE(fresh);
    ASSERT_TRUE((*fresh)->write_at(0, bytes));
    const VerifyReport report = verify(world);
    EXPECT_EQ(report.resumed_bytes, 0U);
    EXPECT_NE(report.note.find("began again"), std::string::npos);
    expect_same(report, verify(world, 0, false));
}

TEST(Verify, BeginsAgainIfItWasWrittenToOrErasedFrom) {
    os::SimEnv world(7);
    fill(world, 120);
    static_cast<void>(verify(world, 3));
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        ASSERT_TRUE(store->erase(std::vector<Position>{Position{2}}, {.wait = true}));
        ASSERT_TRUE(store->close());
    }
    const VerifyReport report = verify(world);
    EXPECT_EQ(report.resumed_bytes, 0U);
    EXPECT_EQ(report.erased, 1U);
    expect_same(report, verify(world, 0, false));
}

TEST(Verify, TheStateIsNeitherForeignNorBackedUp) {
    os::SimEnv world(8);
    fill(world, 120);
    static_cast<void>(verify(world, 3));
    auto found = Store::doctor("store", options_for(world));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->foreign, std::vector<std::string>{});
    EXPECT_EQ(found->state, "clean");
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->backup("copy"));
    EXPECT_FALSE(*world.exists("copy/verify.state"));
}

}  // namespace
}  // namespace varve::test
