// Goal: a storage that holds documents in memory has, once it is flushed, the files that it would
// have without; nothing is seen before, all is read by its writer, and nothing is lost or there
// twice when a write fails or the writer dies. Method: the same documents written both ways in both
// layouts; a simulated file system that refuses one call after the other, and a writer that is
// killed at each of its steps.
#include <gtest/gtest.h>

#include <filesystem>

#include "nes/format.hpp"
#include "os/sim_env.hpp"
#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::bytes_of;
using test::document;
using test::fill;
using test::numbers_of;
using test::open_storage;

constexpr std::int64_t kBeginUs = 1'700'000'000'000'000;

class Holding : public testing::TestWithParam<Layout> {
protected:
    [[nodiscard]] static StorageOptions writing(std::uint64_t hold, os::Env* env = nullptr) {
        StorageOptions options = test::storage_options(GetParam(), env);
        options.hold_bytes = hold;
        return options;
    }
    [[nodiscard]] std::string data(const char* name) const { return directory_.path() + name; }

    test::TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, Holding, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

void make_indexes(Storage& storage) {
    ASSERT_TRUE(storage.ensure_index("stream-a", R"({"stream":"a"})"));
    ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":"even"}})"));
}

/// What a file holds: a mapped one may have grown in other steps, and ends with zeros and a marker.
std::string content_of(const std::string& path, Layout layout) {
    std::string bytes = bytes_of(os::posix_env(), path);
    if (layout == Layout::mapped) {
        bytes.resize(bytes.size() - kMarkerSize);
        bytes.resize(bytes.find_last_not_of('\0') + 1);
    }
    return bytes;
}

TEST_P(Holding, GivesTheSameFiles) {
    constexpr std::uint64_t kMany = 450;  // more than may be open
    for (const auto& [name, hold] :
         {std::pair("/plain", 0U), {"/little", 5'000U}, {"/all", 64U << 20}}) {
        for (const std::uint64_t from : {1U, 1501U}) {  // the second time the files are there
            auto storage = open_storage(data(name), writing(hold));
            make_indexes(storage);
            for (std::uint64_t n = from; n < from + 1500; ++n) {
                auto number = storage.write(document(n), "p" + std::to_string(n % kMany),
                                            kBeginUs + static_cast<std::int64_t>(n));
                ASSERT_TRUE(number) << number.error().message;
                ASSERT_EQ(*number, n);
                ASSERT_EQ(storage.length(), n);
            }
            ASSERT_TRUE(storage.close());
        }
    }
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data("/plain"))) {
        const std::string file = "/" + entry.path().filename().string();
        const std::string wanted = content_of(data("/plain") + file, GetParam());
        EXPECT_TRUE(content_of(data("/little") + file, GetParam()) == wanted) << file;
        EXPECT_TRUE(content_of(data("/all") + file, GetParam()) == wanted) << file;
        ++files;
    }
    EXPECT_EQ(files, kMany + 3);
}

TEST_P(Holding, OthersSeeNothingUntilAFlushAndTheWriterReadsAll) {
    auto storage = open_storage(data("/data"), writing(1 << 20));
    make_indexes(storage);
    fill(storage, 1, 2000);
    StorageOptions reading = writing(0);
    reading.access = Access::read_only;
    auto reader = open_storage(data("/data"), reading);
    EXPECT_EQ(reader.length(), 0U);
    EXPECT_TRUE(reader.partitions()->empty());
    EXPECT_EQ(storage.read(2000)->data, document(2000));
    EXPECT_EQ(reader.refresh()->appended, 2000U) << "reading has flushed";
    fill(storage, 2001, 2010);
    test::expect_index(storage, "even", [](std::uint64_t one) { return one % 2 == 0; });
    fill(storage, 2011, 2020);
    EXPECT_EQ(numbers_of(storage.by_sequence()).size(), 2020U);
    fill(storage, 2021, 2030);
    ASSERT_TRUE(storage.ensure_index("odd", R"({"payload":{"kind":"odd"}})"));
    test::expect_index(storage, "odd", [](std::uint64_t one) { return one % 2 == 1; });
    fill(storage, 2031, 2040);
    ASSERT_TRUE(storage.truncate(2025));
    fill(storage, 2026, 2050);
    EXPECT_EQ(numbers_of(storage.range()).size(), 2050U);
    fill(storage, 2051, 2060);
    ASSERT_TRUE(storage.close_index("odd"));
    ASSERT_TRUE(storage.reindex());
    EXPECT_EQ(numbers_of(storage.range()).size(), 2060U);
    ASSERT_TRUE(storage.close());
}

TEST_P(Holding, RefusesAtOnceWhatNoPartitionTakes) {
    auto storage = open_storage(data("/data"), writing(1 << 20));
    EXPECT_EQ(storage.write("", "a").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(storage.write(std::string((64 << 20) + 1, 'x'), "a").error().code,
              ErrorCode::too_large);
    EXPECT_EQ(storage.write("{}", "../a").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(storage.length(), 0U);
    fill(storage, 1, 3);
    ASSERT_TRUE(storage.close());
}

TEST_P(Holding, AFailedWriteLosesNothingAndRepeatsNothing) {
    bool failed = true;
    for (std::uint64_t fail_at = 1; failed && fail_at <= 200; ++fail_at) {
        os::SimEnv world(fail_at);
        auto storage = open_storage("data", writing(20'000, &world));
        make_indexes(storage);
        fill(storage, 1, 10);
        ASSERT_TRUE(storage.flush());
        world.fail_call(fail_at, ErrorCode::no_space, false);
        failed = false;
        for (std::uint64_t n = 11, tries = 0; n <= 600 && tries < 700; ++tries) {
            auto number = storage.write(document(n), n < 300 ? "a" : "new" + std::to_string(n % 9));
            failed |= !number;
            if (number)
                EXPECT_EQ(*number, n++);
            else
                EXPECT_EQ(storage.length(), n - 1);
        }
        for (int tries = 0; tries < 2 && !storage.flush(); ++tries) failed = true;
        world.stop_failing();
        ASSERT_TRUE(storage.flush());
        EXPECT_EQ(numbers_of(storage.range()).size(), 600U) << fail_at;
        EXPECT_EQ(numbers_of(storage.by_sequence()).size(), 600U) << fail_at;
        test::expect_index(storage, "even", [](std::uint64_t one) { return one % 2 == 0; });
    }
    EXPECT_FALSE(failed) << "every call has failed once";
}

TEST_P(Holding, AKilledWriterLosesNothingThatWasFlushed) {
    std::uint64_t most = 0;
    for (std::uint64_t kill_at = 1; kill_at <= 200; ++kill_at) {
        os::SimEnv world(kill_at);
        std::unique_ptr<os::SimEnv> after;
        std::uint64_t flushed = 0;
        std::uint64_t promised = 0;
        {
            auto storage = open_storage("data", writing(10'000, &world));
            make_indexes(storage);
            std::uint64_t until_kill = kill_at;
            world.on_step([&] {
                if (after != nullptr || --until_kill != 0) return;
                promised = flushed;
                after = world.kill(kill_at);
            });
            for (std::uint64_t n = 1; n <= 400 && after == nullptr; ++n) {
                fill(storage, n, n);
                if (n % 100 != 0) continue;
                ASSERT_TRUE(storage.flush());
                flushed = n;
            }
            until_kill = ~0ULL;
        }
        world.on_step({});
        if (after == nullptr) break;
        StorageOptions options = writing(0, after.get());
        options.lock = Lock::take_over;
        auto storage = open_storage("data", options);
        EXPECT_GE(storage.length(), promised) << kill_at;
        EXPECT_EQ(numbers_of(storage.by_sequence()).size(), storage.length());
        test::expect_index(storage, "even", [](std::uint64_t one) { return one % 2 == 0; });
        most = std::max(most, storage.length());
    }
    EXPECT_GT(most, 100U);
}

}  // namespace
}  // namespace varve::nes
