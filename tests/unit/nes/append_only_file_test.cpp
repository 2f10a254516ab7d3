// Goal: a mapped append-only file is exact in its sizes, shows readers only what was published, is
// never without a marker, and survives full disks, kills and power cuts. The defects M-1 to M-7 of
// the original's mapped classes are each absent. Method: files on disk with forged markers; a
// simulated machine that is looked at between all steps of every growth.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "os/sim_env.hpp"
#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::be32;
using test::bytes_of;
using test::make_file;
using test::reading;
using test::TemporaryDirectory;

FileOptions writing(std::uint64_t ahead = 16 << 10, os::Env* env = nullptr) {
    FileOptions options = test::writing(Layout::mapped, env);
    options.write_ahead_bytes = ahead;
    return options;
}

AppendOnlyFile opened(const std::string& path, const FileOptions& options) {
    auto file = AppendOnlyFile::open(path, options);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
}

std::string text_of(const AppendOnlyFile& file) {
    return std::string(base::as_text(file.content()));
}

std::string letters(std::size_t size, std::size_t from = 0) {
    std::string text(size, ' ');
    for (std::size_t n = 0; n < size; ++n) text[n] = static_cast<char>('a' + (from + n) % 23);
    return text;
}

TEST(NesAppendOnlyFile, HasTheSizesOfTheOriginal) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    {
        auto file = opened(path, writing());
        EXPECT_EQ(*file.write("abcd"), 0U);
        ASSERT_TRUE(file.close());
    }
    const std::string bytes = bytes_of(os::posix_env(), path);
    EXPECT_EQ(bytes.size(), 20480U);
    EXPECT_EQ(bytes.substr(20476), be32(20476));
    EXPECT_EQ(bytes, "abcd" + std::string(20472, '\0') + be32(20476));
    const std::string other = directory.path() + "/other";
    EXPECT_EQ(opened(other, writing(64 << 10)).physical_size(), 69632U);
}

TEST(NesAppendOnlyFile, WritesReservesAndReopens) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    std::string all;
    for (int round = 0; round < 5; ++round) {
        auto file = opened(path, writing());
        EXPECT_EQ(text_of(file), all);
        EXPECT_FALSE(file.was_recovered());
        for (int n = 0; n < 200; ++n) {
            const std::string text = letters(static_cast<std::size_t>(n) * 7 % 1000, all.size());
            EXPECT_EQ(*file.write(text), all.size());
            all += text;
            auto span = file.reserve(8);
            ASSERT_TRUE(span);
            EXPECT_TRUE(base::all_zero(*span));
            std::memcpy(span->data(), "reserved", 8);
            all += "reserved";
        }
        EXPECT_TRUE(*file.flush());
        EXPECT_FALSE(*file.flush()) << "nothing to publish";
        ASSERT_TRUE(file.close());
        ASSERT_TRUE(file.close());
        EXPECT_EQ(file.write("x").error().code, ErrorCode::closed);
    }
    EXPECT_EQ(text_of(opened(path, reading())), all);
}

TEST(NesAppendOnlyFile, AReaderWritesNothingAndASecondWriterIsRefused) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    EXPECT_EQ(AppendOnlyFile::open(path, reading()).error().code, ErrorCode::not_found);
    FileOptions never = writing();
    never.create = false;
    EXPECT_EQ(AppendOnlyFile::open(path, never).error().code, ErrorCode::not_found);
    auto file = opened(path, writing());
    auto second = AppendOnlyFile::open(path, writing());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::locked);
    auto reader = opened(path, reading());
    EXPECT_EQ(reader.write("x").error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(reader.flush());
    EXPECT_FALSE(reader.truncate(0));
}

TEST(NesAppendOnlyFile, TruncatesToAnySizeAndLeavesZeros) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    auto file = opened(path, writing());
    auto reader = opened(path, reading());
    ASSERT_TRUE(file.write(letters(30'000)));
    ASSERT_TRUE(file.flush());
    EXPECT_EQ(reader.refresh()->appended, 30'000U);
    EXPECT_FALSE(*file.truncate(30'000));
    EXPECT_TRUE(*file.truncate(101));
    const Change change = *reader.refresh();
    EXPECT_EQ(change.truncated, 29'899U);
    EXPECT_EQ(change.appended, 0U);
    EXPECT_EQ(text_of(reader), letters(101));
    const std::string bytes = bytes_of(os::posix_env(), path);
    EXPECT_TRUE(base::all_zero(base::as_bytes(bytes).subspan(101, bytes.size() - 105)));
    EXPECT_EQ(*file.write("next"), 101U);
    ASSERT_TRUE(file.close());
    EXPECT_EQ(text_of(opened(path, reading())), letters(101) + "next");
}

/// M-1: the original grows at opening, writes no marker and then finds 20,480 bytes.
TEST(NesAppendOnlyFile, M1OpeningAndClosingChangesNothing) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    {
        auto file = opened(path, writing());
        ASSERT_TRUE(file.write(letters(5000)));
    }
    const std::string before = bytes_of(os::posix_env(), path);
    for (int n = 0; n < 3; ++n) ASSERT_TRUE(opened(path, writing(256 << 10)).close());
    EXPECT_EQ(bytes_of(os::posix_env(), path), before);
    EXPECT_EQ(text_of(opened(path, reading())), letters(5000));
}

TEST(NesAppendOnlyFile, M1WhatTheOriginalHasSpoiltIsFoundAgain) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    std::string bytes = letters(5000) + std::string(20480 - 5004, '\0') + be32(20480 - 5000);
    bytes += std::string(36864 - 20480, '\0');
    make_file(os::posix_env(), path, bytes);
    auto reader = opened(path, reading());
    EXPECT_TRUE(reader.was_recovered());
    EXPECT_EQ(text_of(reader), letters(5000));
    auto file = opened(path, writing());
    EXPECT_TRUE(file.was_recovered());
    EXPECT_EQ(text_of(file), letters(5000));
    ASSERT_TRUE(file.close());
    const std::string after = bytes_of(os::posix_env(), path);
    EXPECT_EQ(after.substr(36860), be32(36864 - 5000));
    EXPECT_TRUE(base::all_zero(base::as_bytes(after).subspan(5000, 36860 - 5000)));
    EXPECT_FALSE(opened(path, reading()).was_recovered());
}

/// What stands in the way of every look from outside in `Observed`.
struct Published {
    std::set<std::uint64_t> sizes{0};
    std::uint64_t newest = 0;
};

/// Looks at the file from outside at every step of the world.
class Observed {
public:
    Observed(os::SimEnv& world, const Published& published) : world_(world), published_(published) {
        world_.on_step([this] { look(); });
    }
    ~Observed() { world_.on_step({}); }
    [[nodiscard]] int looks() const { return looks_; }

private:
    void look() {
        if (looking_ || !*world_.exists("file")) return;
        looking_ = true;
        ++looks_;
        if (!follower_) follower_.emplace(opened("file", reading(&world_)));
        auto change = follower_->refresh();
        ASSERT_TRUE(change) << change.error().message;
        check(*follower_, "a follower");
        if (looks_ % 3 == 0) {
            check(opened("file", reading(&world_)), "a new reader");
            const auto later = world_.kill(1);
            check(opened("file", writing(4096, later.get())), "the next writer");
        }
        looking_ = false;
    }
    void check(const AppendOnlyFile& file, const char* who) {
        EXPECT_FALSE(file.was_recovered()) << who << " found no marker";
        EXPECT_TRUE(published_.sizes.contains(file.size())) << who << ": " << file.size();
        EXPECT_EQ(text_of(file), letters(file.size())) << who;
    }

    os::SimEnv& world_;
    const Published& published_;
    std::optional<AppendOnlyFile> follower_;
    bool looking_ = false;
    int looks_ = 0;
};

/// M-2: the original is without a marker from each growth to the next flush.
TEST(NesAppendOnlyFile, M2NobodyEverSeesAFileWithoutMarkerOrAnythingUnpublished) {
    os::SimEnv world(1);
    Published published;
    const Observed observed(world, published);
    auto file = opened("file", writing(4096, &world));
    for (std::size_t n = 0; n < 501; ++n) {
        ASSERT_TRUE(file.write(letters(n * 13 % 900 + 1, file.size())));
        if (n % 5 != 0) continue;
        published.sizes.insert(file.size());
        ASSERT_TRUE(file.flush());
        if (n % 60 == 0) {
            const std::uint64_t shorter = file.size() / 2 + 1;
            published.sizes.insert(shorter);
            ASSERT_TRUE(file.truncate(shorter));
        }
    }
    EXPECT_GT(file.physical_size(), 10U * 4096);
    EXPECT_GT(observed.looks(), 300);
}

TEST(NesAppendOnlyFile, M2AReaderKeepsWhatItKnowsWhileAnotherProgramGrowsWithoutMarker) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    { ASSERT_TRUE(opened(path, writing()).write(letters(20'000))); }
    auto reader = opened(path, reading());
    EXPECT_EQ(reader.size(), 20'000U);
    auto raw = os::posix_env().open(path, os::OpenMode::read_write);
    const std::uint64_t grown = reader.physical_size() + 16384;
    ASSERT_TRUE((*raw)->allocate(grown));
    ASSERT_TRUE((*raw)->write_at(20'000, base::as_bytes(letters(5000, 20'000))));
    EXPECT_FALSE(*reader.refresh());
    EXPECT_EQ(reader.size(), 20'000U);
    ASSERT_TRUE((*raw)->write_at(grown - 4,
                                 base::as_bytes(be32(static_cast<std::uint32_t>(grown - 25'000)))));
    EXPECT_EQ(reader.refresh()->appended, 5000U);
    EXPECT_EQ(text_of(reader), letters(25'000));
}

/// M-4: the original makes holes, and a full disk kills the process that stores into one.
TEST(NesAppendOnlyFile, M4AFullDiskIsAnError) {
    os::SimEnv world(1);
    auto file = opened("file", writing(4096, &world));
    world.limit_space(40'000);
    std::string all;
    Result<std::uint64_t> done = std::uint64_t{0};
    for (int n = 0; n < 100 && done; ++n) {
        done = file.write(letters(1000, all.size()));
        if (done) all += letters(1000, all.size());
    }
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::no_space);
    EXPECT_TRUE(done.error().retry);
    EXPECT_GT(all.size(), 20'000U);
    ASSERT_TRUE(file.flush());
    EXPECT_EQ(text_of(opened("file", reading(&world))), all);
    world.limit_space(1 << 20);
    EXPECT_EQ(*file.write("more"), all.size());
    ASSERT_TRUE(file.flush());
    EXPECT_EQ(text_of(opened("file", reading(&world))), all + "more");
}

TEST(NesAppendOnlyFile, M4SpaceIsReservedBeforeItIsStoredTo) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    auto file = opened(path, writing(1 << 20));
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_GE(static_cast<std::uint64_t>(status.st_blocks) * 512, file.physical_size());
}

/// M-5: what is flushed is announced, what is not is neither announced nor counted.
TEST(NesAppendOnlyFile, M5AFlushTouchesTheFileAndWakesAFollower) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    auto file = opened(path, writing());
    auto reader = opened(path, reading());
    timespec old[2] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), old, 0), 0);
    ASSERT_TRUE(file.write("unflushed"));
    EXPECT_FALSE(*reader.wait(1000));
    EXPECT_EQ(reader.size(), 0U);
    ASSERT_TRUE(file.flush());
    EXPECT_EQ(reader.wait(1000)->appended, 9U);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_GT(status.st_mtime, 1000);
}

/// M-6: the original never syncs the content before the marker that names it.
TEST(NesAppendOnlyFile, M6APowerCutLosesNothingThatASyncedFlushConfirmed) {
    using Style = os::SimCut::Style;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        os::SimEnv world(seed);
        FileOptions options = writing(4096, &world);
        options.sync_on_flush = true;
        auto file = opened("file", options);
        ASSERT_TRUE(world.sync_directory("."));
        std::uint64_t confirmed = 0;
        std::uint64_t until_cut = seed * 7 % 120 + 1;
        std::unique_ptr<os::SimEnv> after;
        std::uint64_t promised = 0;
        world.on_step([&] {
            if (until_cut > 0 && --until_cut == 0) {
                promised = confirmed;
                const Style style = seed % 3 == 0 ? Style::nothing : Style::mixed;
                after = world.power_cut(seed, {style, 0});
            }
        });
        for (std::size_t n = 0; n < 60; ++n) {
            ASSERT_TRUE(file.write(letters(n * 37 % 700 + 1, file.size())));
            if (n % 4 != 3) continue;
            ASSERT_TRUE(file.flush());
            confirmed = file.size();
        }
        world.on_step({});
        ASSERT_NE(after, nullptr);
        auto found = opened("file", writing(4096, after.get()));
        ASSERT_GE(found.size(), promised) << "seed " << seed;
        EXPECT_EQ(text_of(found).substr(0, promised), letters(promised)) << "seed " << seed;
    }
}

TEST(NesAppendOnlyFile, M6AFailedSyncIsFinal) {
    os::SimEnv world(1);
    FileOptions options = writing(4096, &world);
    options.sync_on_flush = true;
    auto file = opened("file", options);
    ASSERT_TRUE(file.write("kept"));
    ASSERT_TRUE(file.flush());
    ASSERT_TRUE(file.write("lost"));
    world.fail_only(os::SimEnv::FailFor::syncs);
    world.fail_call(1, ErrorCode::io, false);
    EXPECT_EQ(file.flush().error().code, ErrorCode::io);
    EXPECT_EQ(file.flush().error().code, ErrorCode::poisoned);
    EXPECT_EQ(file.write("x").error().code, ErrorCode::poisoned);
    EXPECT_EQ(text_of(opened("file", reading(&world))), "kept");
}

/// M-7: views of a file that grows stay where they are; mappings grow with the logarithm of it.
TEST(NesAppendOnlyFile, M7ViewsOutliveGrowthOnBothSides) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    auto file = opened(path, writing());
    ASSERT_TRUE(file.write(letters(4000)));
    ASSERT_TRUE(file.flush());
    auto reader = opened(path, reading());
    const std::string_view written = base::as_text(file.content());
    const std::string_view read = base::as_text(reader.content());
    for (int n = 0; n < 100; ++n) {
        ASSERT_TRUE(file.write(letters(100'000, file.size())));
        ASSERT_TRUE(file.flush());
        EXPECT_EQ(reader.refresh()->appended, 100'000U);
    }
    EXPECT_EQ(written, letters(4000));
    EXPECT_EQ(read, letters(4000));
    EXPECT_EQ(text_of(reader), letters(file.size()));
}

TEST(NesAppendOnlyFile, WhatAKilledWriterHasNotPublishedIsGone) {
    os::SimEnv world(1);
    auto file = opened("file", writing(4096, &world));
    ASSERT_TRUE(file.write(letters(100)));
    ASSERT_TRUE(file.flush());
    ASSERT_TRUE(file.write(letters(3000, 100)));
    const auto after = world.kill(2);
    auto next = opened("file", writing(4096, after.get()));
    EXPECT_EQ(text_of(next), letters(100));
    auto span = next.reserve(3000);
    ASSERT_TRUE(span);
    EXPECT_TRUE(base::all_zero(*span));
}

TEST(NesAppendOnlyFile, MarkersThatCannotBeAreReplaced) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    for (const std::uint32_t marker : {0U, 1U, 3U, 8193U, 0xFFFFFFFFU}) {
        make_file(os::posix_env(), path, letters(100) + std::string(8088, '\0') + be32(marker));
        auto file = opened(path, writing());
        EXPECT_TRUE(file.was_recovered()) << marker;
        EXPECT_EQ(text_of(file), letters(100)) << marker;
        ASSERT_TRUE(file.close());
        EXPECT_EQ(bytes_of(os::posix_env(), path).substr(8188), be32(8192 - 100));
    }
    make_file(os::posix_env(), path, std::string(8192, '\0'));
    EXPECT_EQ(opened(path, reading()).size(), 0U);
    make_file(os::posix_env(), path, std::string(8188, '\0') + be32(8192));
    EXPECT_EQ(opened(path, reading()).size(), 0U);
    make_file(os::posix_env(), path, letters(8188) + be32(4));
    EXPECT_EQ(text_of(opened(path, reading())), letters(8188));
}

TEST(NesAppendOnlyFile, AFileOfAnotherLayoutIsLeftAlone) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    for (const std::size_t size : {1U, 3U, 100U, 4095U, 5000U}) {
        make_file(os::posix_env(), path, letters(size));
        auto file = AppendOnlyFile::open(path, writing());
        ASSERT_FALSE(file) << size;
        EXPECT_EQ(file.error().code, ErrorCode::corrupt);
        EXPECT_EQ(file.error().file, path);
        EXPECT_EQ(bytes_of(os::posix_env(), path), letters(size));
    }
}

}  // namespace
}  // namespace varve::nes
