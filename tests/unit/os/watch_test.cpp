// Goal: whoever watches a file is told of every change that was made through the system, by
// whatever open file, and sleeps otherwise. Method: changes before, between and after waiting, on
// files in a temporary directory and in the simulated world.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/bytes.hpp"
#include "os/env.hpp"
#include "os/sim_env.hpp"
#include "support/temporary_directory.hpp"

namespace varve::os {
namespace {

constexpr std::uint64_t kPatienceUs = 60'000'000;
constexpr std::uint64_t kShortUs = 2'000;

void tells_of_changes(Env& env, const std::string& path) {
    auto file = env.open(path, OpenMode::create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->allocate(8192));
    auto reader = env.open(path, OpenMode::read);
    ASSERT_TRUE(reader);
    auto watch = (*reader)->watch();
    ASSERT_TRUE(watch) << watch.error().message;
    EXPECT_FALSE((*watch)->wait(kShortUs)) << "what was before does not count";
    const auto bytes = base::as_bytes(std::string_view("abc"));
    ASSERT_TRUE((*file)->write_at(0, bytes));
    EXPECT_TRUE((*watch)->wait(kPatienceUs));
    EXPECT_FALSE((*watch)->wait(kShortUs)) << "each change once";
    ASSERT_TRUE((*file)->write_at(5, bytes));
    ASSERT_TRUE((*file)->write_at(9, bytes));
    EXPECT_TRUE((*watch)->wait(kPatienceUs));
    EXPECT_FALSE((*watch)->wait(kShortUs)) << "also if there were two";
    ASSERT_TRUE((*file)->touch());
    EXPECT_TRUE((*watch)->wait(kPatienceUs));
    ASSERT_TRUE((*file)->shorten(10));
    EXPECT_TRUE((*watch)->wait(kPatienceUs));
    reader->reset();
    ASSERT_TRUE((*file)->write_at(0, bytes));
    EXPECT_TRUE((*watch)->wait(kPatienceUs)) << "it outlives the file it comes from";
    EXPECT_FALSE((*watch)->wait(kShortUs));
}

TEST(Watch, TellsOfChanges) {
    const test::TemporaryDirectory directory;
    tells_of_changes(posix_env(), directory.path() + "/file");
    SimEnv world(1);
    ASSERT_TRUE(world.make_directory("/d", 0700));
    tells_of_changes(world, "/d/file");
}

TEST(Watch, WakesASleeper) {
    const test::TemporaryDirectory directory;
    auto file = posix_env().open(directory.path() + "/file", OpenMode::create);
    ASSERT_TRUE(file);
    auto watch = (*file)->watch();
    ASSERT_TRUE(watch);
    std::thread writer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_TRUE((*file)->write_at(0, base::as_bytes(std::string_view("abc"))));
    });
    EXPECT_TRUE((*watch)->wait(kPatienceUs));
    writer.join();
}

}  // namespace
}  // namespace varve::os
