// Goal: processes see each other's appends, hand the pen over, and do no harm: visibility, lost
// wake-ups, a second writer, a reader without write permission, a forked child. Method: real
// processes over pipes; a time-out while there is something to see is a failure.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>

#include "support/child.hpp"
#include "support/patient_env.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

OpenOptions options_for(Access access, Durability level = Durability::os) {
    OpenOptions options;
    options.access = access;
    options.durability = level;
    options.segment_size_first = 64 << 10;
    return options;
}

void create(const std::string& path) {
    auto store = Store::open(path, options_for(Access::read_write));
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(store->append({{.data = "first"}}));
}

TEST(Processes, NoWakeUpIsLost) {
    TemporaryDirectory directory;
    create(directory.store());
    const Pipe ping;
    constexpr int kRounds = 3'000;
    PatientEnv env;
    Child reader([&] {
        OpenOptions options = options_for(Access::read_only);
        options.env = &env;
        auto store = Store::open(directory.store(), options);
        if (!store) return 2;
        auto live = store->follow(Source::all(), {.after = Position{1}});
        if (!live) return 3;
        ping.tell();
        std::uint64_t last = 1;
        while (last < 1 + kRounds) {
            // Without a wake-up a wait looks again only after 100 seconds: that is the failure.
            const auto begin = std::chrono::steady_clock::now();
            auto run = live->next(60'000);
            if (!run || run->empty()) return 4;
            if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(30)) return 5;
            for (const EventView& event : *run) {
                if (event.position.value != ++last) return 6;
            }
            ping.tell();
        }
        return 0;
    });
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    ping.listen();
    for (int n = 0; n < kRounds; ++n) {
        if (n % 7 == 0) ::usleep(static_cast<useconds_t>(n % 200));
        ASSERT_TRUE(store->append({{.data = "ping"}}));
        ping.listen();
    }
    EXPECT_EQ(reader.wait(), 0);
}

TEST(Processes, ReadersFollowFromOneWriterToTheNext) {
    TemporaryDirectory directory;
    create(directory.store());
    const Pipe ready;
    constexpr std::uint64_t kWriters = 6;
    constexpr std::uint64_t kEach = 40;
    Child reader([&] {
        auto store = Store::open(directory.store(), options_for(Access::read_only));
        if (!store) return 2;
        auto live = store->follow();
        if (!live) return 3;
        ready.tell();
        std::uint64_t last = 0;
        while (last < 1 + kWriters * kEach) {
            auto run = live->next(20'000);
            if (!run || run->empty()) return 4;
            for (const EventView& event : *run) {
                if (event.position.value != ++last) return 5;
            }
        }
        return 0;
    });
    ready.listen();
    for (std::uint64_t n = 0; n < kWriters; ++n) {
        // Every other writer dies without closing.
        Child writer([&] {
            auto store = Store::open(directory.store(), options_for(Access::read_write));
            if (!store) return 2;
            const std::string data(500, 'd');
            for (std::uint64_t e = 0; e < kEach; ++e) {
                if (!store->append({{.stream = "s", .data = data}})) return 3;
            }
            if (n % 2 == 0) ::kill(::getpid(), SIGKILL);
            return store->close() ? 0 : 4;
        });
        EXPECT_EQ(writer.wait(), n % 2 == 0 ? 128 + SIGKILL : 0);
    }
    EXPECT_EQ(reader.wait(), 0);
}

TEST(Processes, ASecondWriterIsToldWhoHoldsTheLock) {
    TemporaryDirectory directory;
    create(directory.store());
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    const std::string own = std::to_string(::getpid());
    Child other([&] {
        auto refused = Store::open(directory.store(), options_for(Access::read_write));
        if (refused || refused.error().code != ErrorCode::locked) return 1;
        return refused.error().message.find(own) != std::string::npos ? 0 : 2;
    });
    EXPECT_EQ(other.wait(), 0);
}

TEST(Processes, AForkedChildHoldsNothing) {
    TemporaryDirectory directory;
    create(directory.store());
    auto store = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->append({{.data = "x"}}));
    const Pipe hold;
    Child child([&] {
        const auto refused = store->append({{.data = "from the child"}});
        if (refused || refused.error().code != ErrorCode::closed) return 1;
        if (store->snapshot()) return 2;
        hold.listen();
        return 0;
    });
    // The parent writes on, closes, and another can open although the child still lives.
    ASSERT_TRUE(store->append({{.data = "y"}}));
    ASSERT_TRUE(store->close());
    auto next = Store::open(directory.store(), options_for(Access::read_write));
    EXPECT_TRUE(next) << next.error().message;
    hold.tell();
    EXPECT_EQ(child.wait(), 0);
}

TEST(Processes, AReaderNeedsNoWritePermissionAndWritesNothing) {
    if (::geteuid() != 0) {
        std::puts("SKIPPED (needs root to become another user)");
        GTEST_SKIP() << "needs root to become another user";
    }
    TemporaryDirectory directory;
    ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
    OpenOptions options = options_for(Access::read_write);
    options.file_mode = 0644;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(store->append({{.stream = "s", .data = "for everybody"}}));
    Child other([&] {
        if (::setuid(65534) != 0) return 1;
        auto reader = Store::open(directory.store(), options_for(Access::read_only));
        if (!reader) return 2;
        auto snapshot = reader->snapshot();
        if (!snapshot || snapshot->published().value != 1) return 3;
        std::uint64_t seen = 0;
        auto read = snapshot->read("s").for_each(
            [&](const EventView& event) { seen += event.data == "for everybody" ? 1U : 0U; });
        if (!read || seen != 1) return 4;
        auto refused = Store::open(directory.store(), options_for(Access::read_write));
        return !refused && refused.error().code == ErrorCode::permission ? 0 : 5;
    });
    EXPECT_EQ(other.wait(), 0);
}

TEST(Processes, AForeignDirectoryIsLeftAlone) {
    TemporaryDirectory directory;
    ASSERT_EQ(::mkdir(directory.store().c_str(), 0755), 0);
    const std::string file = directory.store() + "/diary.txt";
    std::FILE* diary = std::fopen(file.c_str(), "w");
    ASSERT_NE(diary, nullptr);
    std::fclose(diary);
    auto refused = Store::open(directory.store(), options_for(Access::read_write));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_a_store);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.store()), {}), 1);
}

}  // namespace
}  // namespace varve::test
