// Goal: after any crash and any loss at the end, partitions and indexes agree again: every document
// that was flushed is there, nothing is invented, every index holds exactly what matches. Method:
// storages with files cut, zeroed, taken away; a writer killed at 500 different steps.
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
using test::make_file;
using test::numbers_of;
using test::open_storage;
using test::TemporaryDirectory;

constexpr std::uint64_t kCount = 60;

StorageOptions options_in(const std::string& data, Layout layout, os::Env* env = nullptr) {
    StorageOptions options = test::storage_options(layout, env);
    options.index_directory = data + "/streams";
    return options;
}

/// Everything must be whole and agree; returns how many documents there are.
std::uint64_t expect_whole(Storage& storage, const std::string& what) {
    const std::uint64_t length = storage.length();
    auto cursor = storage.range();
    EXPECT_TRUE(cursor) << what;
    std::uint64_t n = 0;
    for (StoredDocument one; cursor->next(one);) {
        ++n;
        EXPECT_EQ(one.number, n) << what;
        EXPECT_EQ(one.data, document(n)) << what;
    }
    EXPECT_EQ(n, length) << what;
    EXPECT_EQ(numbers_of(storage.by_sequence()).size(), length) << what;
    test::expect_index(storage, "stream-a",
                       [](std::uint64_t one) { return test::partition_of(one) == "a"; });
    test::expect_index(storage, "even", [](std::uint64_t one) { return one % 2 == 0; });
    return length;
}

void make_indexes(Storage& storage) {
    ASSERT_TRUE(storage.ensure_index("stream-a", R"({"stream":"a"})"));
    ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":"even"}})"));
}

class NesRepair : public testing::TestWithParam<Layout> {
protected:
    void SetUp() override {
        auto storage = open_storage(data_, writing());
        make_indexes(storage);
        fill(storage, 1, kCount);
        ASSERT_TRUE(storage.close());
    }
    [[nodiscard]] StorageOptions writing() const { return options_in(data_, GetParam()); }
    /// As a writer does that finds the lock of one that has died.
    [[nodiscard]] StorageOptions taking_over() {
        std::filesystem::create_directory(data_ + "/es.lock");
        StorageOptions options = writing();
        options.lock = Lock::take_over;
        return options;
    }
    /// Cuts the content of a file to `size` bytes plus `tail`, in either layout.
    void cut(const std::string& file, std::uint64_t size, std::string_view tail = {}) {
        std::string bytes = bytes_of(os::posix_env(), data_ + "/" + file).substr(0, size);
        bytes += tail;
        if (GetParam() == Layout::mapped) {
            const std::size_t end = (bytes.size() + 3) / 4 * 4;
            bytes.resize(65536 - 4);
            bytes += test::be32(static_cast<std::uint32_t>(65536 - end));
        }
        make_file(os::posix_env(), data_ + "/" + file, bytes);
    }
    [[nodiscard]] IndexEntry entry(std::int64_t number) const {
        auto index =
            Index::open(data_ + "/streams/es.index", test::with<IndexOptions>(test::reading()));
        return *index->get(number);
    }

    TemporaryDirectory directory_;
    std::string data_ = directory_.path() + "/data";
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesRepair, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesRepair, AWholeStorageNeedsNothing) {
    for (const bool take : {false, true}) {
        auto storage = open_storage(data_, take ? taking_over() : writing());
        EXPECT_FALSE(storage.repaired().anything());
        EXPECT_EQ(expect_whole(storage, "whole"), kCount);
        ASSERT_TRUE(storage.close());
    }
}

/// W-2…W-4, W-23, W-46 of recovery: the original's matrix of tails, most of which it never opens.
TEST_P(NesRepair, W3W4W23W46ATornLastDocumentOfAnyLength) {
    const IndexEntry last = entry(-1);  // of partition a
    const std::uint64_t begin = 48 + last.position;
    const std::string whole = bytes_of(os::posix_env(), data_ + "/es.a");
    for (const std::uint64_t k : {0U, 1U, 4U, 5U, 8U, 15U, 16U, 17U, 40U, 100U}) {
        for (const bool zeros : {false, true}) {
            const std::string tail = zeros ? std::string(k, '\0') : whole.substr(begin, k);
            for (const bool take : {true, false}) {
                cut("es.a", begin, tail);
                auto storage = open_storage(data_, take ? taking_over() : writing());
                EXPECT_EQ(expect_whole(storage, "tail"), kCount - 1);
                EXPECT_EQ(storage.repaired().torn, k == 0 ? 0U : 1U) << k;
                EXPECT_EQ(storage.repaired().entries_cut, 1U);
                EXPECT_EQ(storage.repaired().branches.size(), k == 0 ? 0U : 1U);
                fill(storage, kCount, kCount);
                EXPECT_EQ(expect_whole(storage, "written again"), kCount);
                ASSERT_TRUE(storage.close());
            }
        }
    }
}

/// W-8: without reclaiming the lock the original never repairs an index that lags.
TEST_P(NesRepair, W8AnIndexThatLagsIsFilled) {
    for (const std::uint64_t kept : {59U, 30U, 1U, 0U}) {
        cut("streams/es.index", 64 + 16 * kept);
        auto storage = open_storage(data_, writing());
        EXPECT_EQ(expect_whole(storage, "lagging"), kCount);
        EXPECT_EQ(storage.repaired().unindexed, kCount - kept);
        ASSERT_TRUE(storage.close());
    }
}

/// W-24: a secondary index that lags is never noticed by the original.
TEST_P(NesRepair, W24ASecondaryIndexThatLagsIsFilledAfterACrash) {
    for (const auto& [file, kept] : {std::pair("es.even.index", 7U), {"es.stream-a.index", 3U}}) {
        const std::string bytes = bytes_of(os::posix_env(), data_ + "/streams/" + file);
        const auto area = load_be32(base::as_bytes(bytes).data() + 8);
        cut(std::string("streams/") + file, 12 + area + 16 * kept);
    }
    {
        auto index = Index::open(data_ + "/streams/es.even.index",
                                 test::with<IndexOptions>(test::reading()));
        ASSERT_TRUE(index);
        ASSERT_EQ(index->length(), 7U);
    }
    auto storage = open_storage(data_, taking_over());
    EXPECT_EQ(expect_whole(storage, "lagging"), kCount);
    EXPECT_EQ(storage.repaired().secondary_added, 23U + 17U);
}

TEST_P(NesRepair, SecondaryIndexesAheadAreCut) {
    for (const char* file : {"es.a", "es.b/c", "es.d"}) {
        auto partition = Partition::open(
            data_ + "/" + file, test::with<PartitionOptions>(test::writing(Layout::detect)));
        ASSERT_TRUE(partition);
        ASSERT_TRUE(partition->truncate_after(39));
    }
    auto storage = open_storage(data_, writing());
    EXPECT_EQ(expect_whole(storage, "ahead"), 40U);
    EXPECT_EQ(storage.repaired().entries_cut, 20U);
    EXPECT_EQ(storage.repaired().secondary_cut, 10U + 7U);
    fill(storage, 41, 50);
    EXPECT_EQ(expect_whole(storage, "written again"), 50U);
}

/// W-25: the original renumbers what follows a lost document; numbers then disagree for ever.
TEST_P(NesRepair, W25WhatFollowsALostDocumentIsKeptAside) {
    auto partition = Partition::open(data_ + "/es.d",
                                     test::with<PartitionOptions>(test::writing(Layout::detect)));
    ASSERT_TRUE(partition);
    ASSERT_TRUE(partition->truncate_after(30));  // loses 32 and every third after it
    ASSERT_TRUE(partition->close());
    cut("streams/es.index", 64 + 16 * 20);
    auto storage = open_storage(data_, taking_over());
    EXPECT_EQ(expect_whole(storage, "gap"), 31U);
    EXPECT_EQ(storage.repaired().unindexed, 11U);
    EXPECT_EQ(storage.repaired().dropped, 19U);  // of 29 behind the gap ten were lost before
    EXPECT_EQ(storage.repaired().branches.size(), 2U);
    for (const std::string& branch : storage.repaired().branches) {
        auto kept = Partition::open(branch, test::with<PartitionOptions>(test::reading()));
        ASSERT_TRUE(kept);
        EXPECT_FALSE(test::payloads(*kept).empty());
    }
    fill(storage, 32, 40);
    EXPECT_EQ(expect_whole(storage, "written again"), 40U);
}

TEST_P(NesRepair, IndexesThatAreGoneAreMadeAgain) {
    ASSERT_TRUE(os::posix_env().remove(data_ + "/streams/es.index"));
    auto storage = open_storage(data_, writing());
    EXPECT_EQ(expect_whole(storage, "gone"), kCount);
    const auto report = storage.reindex();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->unindexed, kCount);
    EXPECT_EQ(report->branches.size(), 0U);
    EXPECT_EQ(expect_whole(storage, "again"), kCount);
    ASSERT_TRUE(storage.reindex(33));
    EXPECT_EQ(expect_whole(storage, "again from 33"), kCount);
}

TEST_P(NesRepair, TruncatingKeepsEverythingInAgreement) {
    auto storage = open_storage(data_, writing());
    for (const std::uint64_t length : {60U, 59U, 31U, 30U, 2U, 0U}) {
        const auto report = storage.truncate(length);
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_EQ(expect_whole(storage, "truncated"), length);
        fill(storage, length + 1, length + 5);
        EXPECT_EQ(expect_whole(storage, "written on"), length + 5);
    }
    ASSERT_TRUE(storage.close());
    auto again = open_storage(data_, writing());
    EXPECT_FALSE(again.repaired().anything());
    EXPECT_EQ(expect_whole(again, "again"), 5U);
}

/// Damage in the middle is no reason to cut anything.
TEST_P(NesRepair, AnEntryThatDisagreesIsRefusedAndNothingIsCut) {
    std::string bytes = bytes_of(os::posix_env(), data_ + "/streams/es.index");
    bytes.replace(64 + 16 * 59 + 4, 4, std::string(4, '\0'));
    make_file(os::posix_env(), data_ + "/streams/es.index", bytes);
    auto storage = Storage::open(data_, writing());
    ASSERT_FALSE(storage);
    EXPECT_EQ(storage.error().code, ErrorCode::corrupt);
    EXPECT_EQ(bytes_of(os::posix_env(), data_ + "/streams/es.index"), bytes);
    EXPECT_FALSE(std::filesystem::exists(data_ + "/es.lock"));
}

/// W-19, W-46: whatever the moment, what was flushed is there and everything agrees.
TEST_P(NesRepair, W19AWriterKilledAtAnyStepLosesNothingThatWasFlushed) {
    constexpr std::uint64_t kRounds = 500;
    std::uint64_t least = ~0ULL;
    std::uint64_t most = 0;
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
        os::SimEnv world(round);
        std::unique_ptr<os::SimEnv> after;
        std::uint64_t flushed = 0;
        std::uint64_t promised = 0;
        bool killing = false;
        bool truncated = false;
        std::uint64_t until_kill = round * 7 % 211 + 1;
        {
            auto storage = open_storage("data", options_in("data", GetParam(), &world));
            make_indexes(storage);
            killing = true;
            world.on_step([&] {
                if (!killing || --until_kill != 0) return;
                killing = false;
                promised = flushed;
                after = world.kill(round);
            });
            for (std::uint64_t n = 1; n <= 200 && after == nullptr; ++n) {
                fill(storage, n, n);
                if (n % (round % 5 + 1) != 0) continue;
                ASSERT_TRUE(storage.flush());
                flushed = n;
                if (n != 60 || truncated) continue;
                truncated = true;
                flushed = 40;
                ASSERT_TRUE(storage.truncate(40));
                n = 40;
            }
            killing = false;
        }
        world.on_step({});
        if (after == nullptr) continue;
        StorageOptions options = options_in("data", GetParam(), after.get());
        options.lock = Lock::take_over;
        auto storage = open_storage("data", options);
        const std::uint64_t found = expect_whole(storage, "round " + std::to_string(round));
        EXPECT_GE(found, promised) << "round " << round;
        least = std::min(least, found);
        most = std::max(most, found);
        fill(storage, found + 1, found + 3);
        EXPECT_EQ(expect_whole(storage, "written on"), found + 3);
    }
    EXPECT_LT(least, 5U);
    EXPECT_GT(most, 30U);
}

/// W-30, W-31: after a write that failed the original has half of it.
TEST_P(NesRepair, W30W31AWriteThatFailsLeavesNothing) {
    for (std::uint64_t fail_at = 1; fail_at <= 60; ++fail_at) {
        os::SimEnv world(fail_at);
        auto storage = open_storage("data", options_in("data", GetParam(), &world));
        make_indexes(storage);
        fill(storage, 1, 10);
        ASSERT_TRUE(storage.flush());
        world.fail_call(fail_at, ErrorCode::no_space, false);
        bool failed = false;
        std::uint64_t n = 11;
        // New partitions on the way, so that files are made too.
        for (std::uint64_t tries = 0; tries < 3000 && n <= 1100; ++tries) {
            auto number = storage.write(document(n), test::partition_of(n));
            if (!number) {
                failed = true;
                EXPECT_EQ(storage.length(), n - 1);
                continue;
            }
            EXPECT_EQ(*number, n);
            ++n;
        }
        if (auto flushed = storage.flush(); !flushed) {
            failed = true;
            ASSERT_TRUE(storage.flush());
        }
        EXPECT_EQ(n, 1101U);
        world.stop_failing();
        EXPECT_EQ(expect_whole(storage, "failed"), 1100U);
        if (!failed) break;
    }
}

}  // namespace
}  // namespace varve::nes
