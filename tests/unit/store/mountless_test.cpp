// Goal: where the kernel does not tell mounts apart, readers follow a living writer and nobody
// else. Method: the simulation forgets mounts; the same with real processes over an Env that does.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/sim_env.hpp"
#include "support/mountless_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

OpenOptions options_for(os::Env& world, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

Result<Store> write(os::SimEnv& world) { return Store::open("store", options_for(world)); }
Result<Store> read(os::SimEnv& world) {
    return Store::open("store", options_for(world, Access::read_only));
}

TEST(Mountless, AReaderFollowsALivingWriter) {
    os::SimEnv world(1);
    world.forget_mount();
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    auto reader = read(world);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->opening().how, Opening::How::following);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    ASSERT_TRUE(writer->append({{.data = "two"}}));
    ASSERT_TRUE(writer->append({{.data = std::string(63'000, 'r')}}));  // rolls
    EXPECT_EQ(live->next(0)->size(), 2U);
    // And its successor, which trusts nothing and makes a page of its own.
    ASSERT_TRUE(writer->close());
    auto next = write(world);
    ASSERT_TRUE(next->append({{.data = "three"}}));
    EXPECT_EQ(live->next(5'000)->size(), 1U);
    EXPECT_EQ(reader->snapshot()->published().value, 4U);
}

TEST(Mountless, AReaderThatCameFirstFollowsTheWriterThatComes) {
    os::SimEnv world(1);
    world.forget_mount();
    ASSERT_TRUE(write(world)->append({{.data = "one"}}));
    auto reader = read(world);
    EXPECT_EQ(reader->opening().how, Opening::How::recovered);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "two"}}));
    EXPECT_EQ(live->next(5'000)->size(), 1U);
}

TEST(Mountless, ThePageOfADeadWriterIsNotFollowed) {
    os::SimEnv first(1);
    first.forget_mount();
    auto writer = write(first);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    const auto world = first.kill(2);
    EXPECT_EQ(read(*world)->opening().how, Opening::How::recovered);
    // Nor while the next writer has the lock but has not yet judged the page.
    auto lock = world->open("store/lock", os::OpenMode::read_write, 0600);
    ASSERT_TRUE(*(*lock)->try_lock());
    EXPECT_EQ(read(*world)->opening().how, Opening::How::recovered);
}

TEST(Mountless, AReaderInAnotherProcessFollows) {
    const TemporaryDirectory directory;
    MountlessEnv env;
    auto writer = Store::open(directory.store(), options_for(env));
    ASSERT_TRUE(writer) << writer.error().message;
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    // In this process the lock is held by another open file.
    auto here = Store::open(directory.store(), options_for(env, Access::read_only));
    ASSERT_TRUE(here);
    EXPECT_EQ(here->opening().how, Opening::How::following);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto reader = Store::open(directory.store(), options_for(env, Access::read_only));
        if (!reader || reader->opening().how != Opening::How::following) ::_exit(1);
        auto live = reader->follow();
        std::uint64_t seen = 0;
        while (seen < 20) {
            auto run = live->next(10'000);
            if (!run || run->empty()) ::_exit(2);
            seen += run->size();
        }
        ::_exit(seen == 20 ? 0 : 3);
    }
    for (int n = 1; n < 20; ++n) ASSERT_TRUE(writer->append({{.data = std::string(8'000, 'x')}}));
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    ASSERT_TRUE(writer->close());
    auto after = Store::open(directory.store(), options_for(env, Access::read_only));
    EXPECT_EQ(after->opening().how, Opening::How::recovered);
    EXPECT_EQ(after->snapshot()->published().value, 20U);
}

}  // namespace
}  // namespace varve::test
