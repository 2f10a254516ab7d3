// Goal: the simulated world behaves like one, from its first file to the end of the process.
// Method: calls on a SimEnv; what happens at the end of a process is looked at in a child.
#include "os/sim_env.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace varve::os {
namespace {

std::string_view text_of(SimEnv& world, const std::string& path, std::string& into) {
    auto file = world.open(path, OpenMode::read, 0600);
    if (!file) return "(no file)";
    into.resize(*(*file)->size());
    static_cast<void>(
        (*file)->read_at(0, {reinterpret_cast<std::byte*>(into.data()), into.size()}));
    return into;
}

/// Makes a file and writes `text` to it.
std::unique_ptr<File> made(SimEnv& world, const std::string& path, std::string_view text) {
    auto file = world.open(path, OpenMode::create, 0600);
    EXPECT_TRUE(file) << file.error().message;
    EXPECT_TRUE((*file)->write_at(0, base::as_bytes(text)));
    return std::move(*file);
}

/// A world that is a static object is destroyed after everything that belongs to the thread.
[[noreturn]] void end_with_a_static_world() {
    static std::vector<std::unique_ptr<SimEnv>> worlds;
    worlds.push_back(std::make_unique<SimEnv>(1));
    for (int n = 0; n < 6; ++n) made(*worlds.front(), "file" + std::to_string(n), "content");
    for (std::uint64_t n = 0; n < 20; ++n) worlds.push_back(worlds.front()->kill(n));
    worlds.resize(16);  // the memory of the others waits to be used again
    std::exit(0);
}

TEST(SimEnv, AStaticWorldOutlivesTheThreadThatMadeIt) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_EXIT(end_with_a_static_world(), testing::ExitedWithCode(0), "");
}

TEST(SimEnv, APowerCutKeepsWhatWasSynced) {
    SimEnv world(1);
    auto file = made(world, "kept", "synced");
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(world.sync_directory("."));
    made(world, "lost", "not synced");
    const auto after = world.power_cut(2, {SimCut::Style::nothing, 0});
    std::string into;
    EXPECT_EQ(text_of(*after, "kept", into), "synced");
    EXPECT_FALSE(*after->exists("lost"));
    EXPECT_TRUE(*world.power_cut(2, {SimCut::Style::everything, 0})->exists("lost"));
}

TEST(SimEnv, AKillKeepsEverythingButLocks) {
    SimEnv world(1);
    auto file = made(world, "file", "not synced");
    ASSERT_TRUE(*file->try_lock());
    auto second = world.open("file", OpenMode::read_write, 0600);
    EXPECT_FALSE(*(*second)->try_lock());
    const auto after = world.kill(2);
    std::string into;
    EXPECT_EQ(text_of(*after, "file", into), "not synced");
    auto freed = after->open("file", OpenMode::read_write, 0600);
    EXPECT_TRUE(*(*freed)->try_lock());
}

TEST(SimEnv, AFullDiskRefusesAllocationsAndKeepsTheRest) {
    SimEnv world(1);
    auto file = made(world, "file", "here");
    world.limit_space(4096);
    auto refused = file->allocate(8192);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::no_space);
    EXPECT_TRUE(file->allocate(4096));
    world.limit_space(~0ULL);
    EXPECT_TRUE(file->allocate(8192));
}

TEST(SimEnv, AFileThatWasMappedGrowsWhenNobodyMapsItAnyMore) {
    SimEnv world(1);
    auto file = made(world, "file", "here");
    ASSERT_TRUE(file->allocate(64 << 10));
    { ASSERT_TRUE(file->map(64 << 10, MapAccess::read_write)); }
    ASSERT_TRUE(file->allocate(256 << 10));
    auto mapping = file->map(256 << 10, MapAccess::read_write);
    ASSERT_TRUE(mapping);
    EXPECT_EQ(mapping->data()[0], std::byte{'h'});
    EXPECT_EQ(mapping->data()[(256 << 10) - 1], std::byte{0});
}

TEST(SimEnv, TheCallAskedForFailsOnceOrForEver) {
    SimEnv world(1);
    auto file = made(world, "file", "here");
    const auto write = [&] { return file->write_at(0, base::as_bytes("more")).has_value(); };
    world.fail_call(2, ErrorCode::io, false);
    EXPECT_TRUE(write());
    EXPECT_FALSE(write());
    EXPECT_TRUE(write());
    world.fail_call(1, ErrorCode::io, true);
    EXPECT_FALSE(write());
    EXPECT_FALSE(write());
    world.stop_failing();
    EXPECT_TRUE(write());
}

TEST(SimEnv, EqualSeedsGiveEqualWorlds) {
    const auto image = [] {
        SimEnv world(7);
        auto file = made(world, "file", std::string(5000, 'a'));
        EXPECT_TRUE(file->sync());
        EXPECT_TRUE(world.sync_directory("."));
        EXPECT_TRUE(file->write_at(100, base::as_bytes(std::string(4000, 'b'))));
        std::string into;
        text_of(*world.power_cut(9, {}), "file", into);
        return into;
    };
    EXPECT_EQ(image(), image());
}

}  // namespace
}  // namespace varve::os
