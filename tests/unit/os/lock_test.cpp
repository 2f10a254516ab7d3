// Goal: the locks of bytes and of whole files exclude each other between open files, whatever the
// process, and end with their holder; a wait for several words ends with any of them. Method: the
// same questions to the operating system and to the simulation.
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "os/sim_env.hpp"
#include "support/temporary_directory.hpp"

namespace varve::test {
namespace {

void check_locks(os::Env& env, const std::string& path) {
    const auto open = [&](os::OpenMode mode) {
        auto file = env.open(path, mode, 0600);
        EXPECT_TRUE(file) << file.error().message;
        return std::move(*file);
    };
    auto one = open(os::OpenMode::create);
    auto two = open(os::OpenMode::read_write);
    auto looks = open(os::OpenMode::read);
    EXPECT_FALSE(*looks->is_locked());
    EXPECT_TRUE(*one->try_lock_byte(2048));
    EXPECT_TRUE(*one->try_lock_byte(2048)) << "its own";
    EXPECT_FALSE(*two->try_lock_byte(2048));
    EXPECT_TRUE(*two->try_lock_byte(2049));
    EXPECT_TRUE(*looks->is_byte_locked(2048));
    EXPECT_TRUE(*looks->is_byte_locked(2049));
    EXPECT_FALSE(*looks->is_byte_locked(2050));
    EXPECT_FALSE(*one->is_byte_locked(2048)) << "by another one";
    EXPECT_TRUE(*one->is_byte_locked(2049));
    EXPECT_TRUE(*looks->is_locked());
    EXPECT_FALSE(*one->try_lock()) << "a byte is in its way";
    two->unlock();
    EXPECT_FALSE(*looks->is_byte_locked(2049));
    EXPECT_TRUE(*one->try_lock()) << "only its own byte";
    EXPECT_FALSE(*two->try_lock_byte(7));
    EXPECT_TRUE(*looks->is_byte_locked(7));
    one.reset();
    EXPECT_TRUE(*two->try_lock_byte(2048));
    two.reset();
    EXPECT_FALSE(*looks->is_locked());
}

TEST(Locks, OfBytesInTheOperatingSystem) {
    const TemporaryDirectory directory;
    check_locks(os::posix_env(), directory.path() + "/file");
}

TEST(Locks, OfBytesInTheSimulation) {
    os::SimEnv world(1);
    check_locks(world, "file");
}

TEST(Wait, ForSeveralWordsEndsWithAnyOfThem) {
    constexpr std::uint64_t kLongUs = 60'000'000;
    os::Env& env = os::posix_env();
    std::array<std::atomic<std::uint32_t>, 3> words{};
    const std::array<os::Watched, 3> watched{{{&words[0], 0}, {&words[1], 0}, {&words[2], 0}}};
    EXPECT_FALSE(env.wait_on_any(watched, 2'000)) << "nothing happens";
    const std::uint64_t begin_us = env.monotonic_us();
    for (std::size_t n = 0; n < words.size(); ++n) {
        std::thread later([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            words[n].store(1);
            env.wake_all(words[n]);
        });
        while (words[n].load() == 0) static_cast<void>(env.wait_on_any(watched, kLongUs));
        later.join();
        EXPECT_TRUE(env.wait_on_any(watched, kLongUs)) << "it has changed already";
        words[n].store(0);
    }
    EXPECT_LT(env.monotonic_us() - begin_us, kLongUs / 2);
    os::SimEnv world(1);
    EXPECT_FALSE(world.wait_on_any(watched, 1'000));
    words[2].store(1);
    EXPECT_TRUE(world.wait_on_any(watched, 1'000));
}

}  // namespace
}  // namespace varve::test
