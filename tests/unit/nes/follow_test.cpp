// Goal: processes follow a file that another one grows through many pages: each sees every byte,
// in order, once, and nothing that was not published; followers are woken. Method: forked readers
// with a bounded time; the parent writes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "os/sim_env.hpp"
#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::TemporaryDirectory;
using test::with;

constexpr std::uint32_t kDocuments = 60'000;
constexpr std::uint64_t kPatienceUs = 60'000'000;

std::string payload(std::uint32_t n) { return std::to_string(n) + std::string(n % 131, 'p'); }

/// Follows until all documents were seen; 0 if each was right.
int follow_partition(const std::string& path) {
    auto partition = Partition::open(path, with<PartitionOptions>(test::reading()));
    if (!partition) return 1;
    std::uint32_t seen = 0;
    std::uint64_t position = 0;
    while (seen < kDocuments) {
        auto cursor = partition->forwards(position);
        if (!cursor) return 2;
        for (Document one; cursor->next(one); ++seen)
            if (one.sequence != seen || one.data != payload(seen)) return 3;
        if (!cursor->status()) return 4;
        position = cursor->position();
        if (seen == kDocuments) break;
        auto change = partition->wait(kPatienceUs);
        if (!change || change->truncated != 0) return 5;
        if (!*change) return 6;
    }
    return 0;
}

int follow_index(const std::string& path) {
    auto index = Index::open(path, with<IndexOptions>(test::reading()));
    if (!index) return 1;
    std::uint32_t seen = 0;
    while (seen < kDocuments) {
        while (seen < index->length()) {
            const auto entry = index->get(seen + 1);
            ++seen;
            if (!entry || *entry != IndexEntry{seen, seen * 2, seen * 3, 0}) return 3;
        }
        if (seen == kDocuments) break;
        auto change = index->wait(kPatienceUs);
        if (!change || change->truncated != 0) return 5;
        if (!*change) return 6;
    }
    return 0;
}

class NesFollow : public testing::TestWithParam<Layout> {
protected:
    /// Runs `body` in a child process.
    template <class Body>
    void fork_reader(Body&& body) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(body());
        children_.push_back(child);
    }
    void expect_all_right() {
        for (const pid_t child : children_) {
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
            EXPECT_EQ(WEXITSTATUS(status), 0);
        }
    }
    FileOptions small() {
        FileOptions options = test::writing(GetParam());
        options.write_ahead_bytes = 4096;
        return options;
    }

    TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/file";
    std::vector<pid_t> children_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesFollow, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesFollow, TwoProcessesFollowAPartitionThroughManyPages) {
    { ASSERT_TRUE(Partition::open(path_, with<PartitionOptions>(small()))); }
    for (int n = 0; n < 2; ++n) fork_reader([this] { return follow_partition(path_); });
    auto partition = Partition::open(path_, with<PartitionOptions>(small()));
    ASSERT_TRUE(partition);
    for (std::uint32_t n = 0; n < kDocuments; ++n) {
        ASSERT_TRUE(partition->write(payload(n), n));
        if (n % 7 == 0) {
            ASSERT_TRUE(partition->flush());
        }
        if (n % 9973 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ASSERT_TRUE(partition->flush());
    expect_all_right();
}

TEST_P(NesFollow, TwoProcessesFollowAnIndexThroughManyPages) {
    { ASSERT_TRUE(Index::open(path_, with<IndexOptions>(small()))); }
    for (int n = 0; n < 2; ++n) fork_reader([this] { return follow_index(path_); });
    auto index = Index::open(path_, with<IndexOptions>(small()));
    ASSERT_TRUE(index);
    for (std::uint32_t n = 1; n <= kDocuments; ++n) {
        ASSERT_TRUE(index->add({n, n * 2, n * 3, 0}));
        if (n % 3 == 0) {
            ASSERT_TRUE(index->flush());
        }
        if (n % 9973 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ASSERT_TRUE(index->flush());
    expect_all_right();
}

TEST(NesFollowMapped, AWriterOfThisLibraryWakesItsFollowers) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    auto file = AppendOnlyFile::open(path, test::writing(Layout::mapped));
    ASSERT_TRUE(file);
    auto reader = AppendOnlyFile::open(path, test::reading());
    ASSERT_TRUE(reader);
    using Clock = std::chrono::steady_clock;
    std::vector<Clock::duration> delays;
    for (int n = 0; n < 20; ++n) {
        Clock::time_point flushed;
        std::thread writer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
            EXPECT_TRUE(file->write("x"));
            flushed = Clock::now();
            EXPECT_TRUE(file->flush());
        });
        const auto change = reader->wait(kPatienceUs);
        const auto woken = Clock::now();
        writer.join();
        ASSERT_TRUE(change);
        EXPECT_EQ(change->appended, 1U);
        delays.push_back(woken - flushed);
    }
    std::sort(delays.begin(), delays.end());
    // The nap for writers that wake nobody is 20 ms, of which half would be left on average.
    EXPECT_LT(delays[5], std::chrono::milliseconds(5));
}

/// Followers that look again and again would let time pass.
TEST(NesFollowClassic, TheSystemWakesFollowers) {
    os::SimEnv world(1);
    auto index = Index::open("index", with<IndexOptions>(test::writing(Layout::classic, &world)));
    ASSERT_TRUE(index);
    auto reader = Index::open("index", with<IndexOptions>(test::reading(&world)));
    ASSERT_TRUE(reader);
    for (std::uint32_t n = 1; n <= 3; ++n) {
        const std::uint64_t before = world.monotonic_us();
        bool written = false;
        world.on_wait([&](bool asleep) {
            if (!asleep || written) return;
            written = true;
            ASSERT_TRUE(index->add({n, 0, 1, 0}));
            ASSERT_TRUE(index->flush());
        });
        const auto change = reader->wait(kPatienceUs);
        ASSERT_TRUE(change);
        EXPECT_EQ(change->appended, 1U);
        EXPECT_TRUE(written);
        EXPECT_LT(world.monotonic_us() - before, 100U);
    }
    world.on_wait({});
    const std::uint64_t before = world.monotonic_us();
    EXPECT_FALSE(*reader->wait(1'000'000));
    EXPECT_GE(world.monotonic_us() - before, 1'000'000U);
}

}  // namespace
}  // namespace varve::nes
