// Goal: where a file says that only zeros follow, only zeros follow, also while what was stored
// through a mapping is in memory alone; and of a file that was only allocated it says so.
// Method: files in a temporary directory and in the simulated world, compared byte by byte.
#include <gtest/gtest.h>

#include "os/env.hpp"
#include "os/sim_env.hpp"
#include "support/temporary_directory.hpp"

namespace varve::os {
namespace {

constexpr std::uint64_t kSize = 1 << 20;

void compare(Env& env, const std::string& path, bool exact) {
    auto file = env.open(path, OpenMode::create);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->allocate(kSize));
    auto map = (*file)->map(kSize, MapAccess::read_write);
    ASSERT_TRUE(map) << map.error().message;
    const auto zeros = [&] {
        auto from = (*file)->zeros_from();
        EXPECT_TRUE(from);
        return from ? *from : 0;
    };
    // A file system that cannot tell says the size, which is always right.
    if (exact) {
        EXPECT_EQ(zeros(), 0U);
    }
    for (const std::uint64_t at : {std::uint64_t{5}, kSize / 3, kSize - 1}) {
        map->data()[at] = std::byte{1};
        EXPECT_GT(zeros(), at);
        // The system counts pages that it has read ahead as written.
        if (exact && at < kSize / 2) {
            EXPECT_LT(zeros(), kSize / 2);
        }
    }
    map->data()[kSize - 1] = std::byte{0};
    ASSERT_TRUE((*file)->punch(kSize / 2, kSize / 2));
    const std::uint64_t from = zeros();
    for (std::uint64_t at = from; at < kSize; ++at) ASSERT_EQ(map->data()[at], std::byte{0});
    EXPECT_GT(from, kSize / 3);
}

TEST(Zeros, FollowWhereAFileSaysSo) {
    const test::TemporaryDirectory directory;
    compare(posix_env(), directory.path() + "/file", false);
    SimEnv world(1);
    ASSERT_TRUE(world.make_directory("/d", 0700));
    compare(world, "/d/file", true);
}

}  // namespace
}  // namespace varve::os
