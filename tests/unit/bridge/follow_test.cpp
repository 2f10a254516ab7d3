// Goal: an import that follows takes what a writer adds, commit by commit and in order, ends when
// it is told to, waits for documents whose entries come first, and tells what a truncation has
// taken away. Method: a writer in another thread, or in the progress itself, in both layouts.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"
#include "varve/nes_import.hpp"

namespace varve::nes {
namespace {

class Follows : public testing::TestWithParam<Layout> {
protected:
    [[nodiscard]] Storage writer() const {
        return test::open_storage(data_, test::storage_options(GetParam()));
    }
    [[nodiscard]] ImportOptions options() {
        ImportOptions options;
        options.directory = data_;
        options.name = "es";
        options.follow = true;
        options.tell = [this](const Found& found) { told_.push_back(found); };
        return options;
    }
    [[nodiscard]] std::uint64_t count(Store& target) const {
        auto snapshot = target.snapshot();
        return snapshot ? *snapshot->count(Selector::all()) : 0;
    }
    /// Imports until `end` says so; gives up after half a minute.
    [[nodiscard]] Result<ImportReport> follow(Store& target, const std::function<bool()>& end) {
        const auto begin = std::chrono::steady_clock::now();
        return import_storage(target, options(), [&](std::uint64_t done, std::uint64_t all) {
            EXPECT_LE(done, all);
            if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(30)) {
                ADD_FAILURE() << "this takes too long";
                return false;
            }
            return !end();
        });
    }
    void expect_documents(Store& target, std::uint64_t documents) const {
        auto snapshot = target.snapshot();
        ASSERT_TRUE(snapshot);
        std::uint64_t n = 0;
        auto done = snapshot->read(Source::all()).for_each([&](const EventView& event) {
            ++n;
            ASSERT_EQ(event.data, test::document(n));
            ASSERT_EQ(event.position, Position{n});
        });
        ASSERT_TRUE(done);
        EXPECT_EQ(n, documents);
    }
    static std::string event(std::uint64_t commit, int version, int size, std::uint64_t n) {
        return R"({"stream":"s","payload":)" + std::to_string(n) + R"(,"metadata":{"commitId":)" +
               std::to_string(commit) + R"(,"committedAt":)" + std::to_string(1000 + n) +
               R"(,"commitVersion":)" + std::to_string(version) + R"(,"commitSize":)" +
               std::to_string(size) + R"(,"streamVersion":)" + std::to_string(n) + "}}";
    }

    test::TemporaryDirectory directory_;
    std::string data_ = directory_.path() + "/data";
    std::vector<Found> told_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, Follows, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(Follows, AWriterOfAnotherThread) {
    constexpr std::uint64_t kFirst = 500;
    constexpr std::uint64_t kDocuments = 30'000;
    test::fill(writer(), 1, kFirst);
    Store target = std::move(*Store::open(directory_.store()));
    std::atomic<bool> following{false};
    std::thread writing([&] {
        Storage storage = writer();
        while (!following) std::this_thread::yield();
        for (std::uint64_t n = kFirst + 1; n <= kDocuments; n += 100) {
            test::fill(storage, n, n + 99);
            ASSERT_TRUE(storage.flush());
        }
        ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":"even"}})"));
        ASSERT_TRUE(storage.close());
    });
    bool seen_between = false;
    auto report = follow(target, [&] {
        following = true;
        const std::uint64_t here = count(target);
        seen_between = seen_between || (here > kFirst && here < kDocuments);
        return here == kDocuments;
    });
    writing.join();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->complete);
    EXPECT_TRUE(report->compared);
    EXPECT_TRUE(seen_between) << "events come while the writer goes on";
    EXPECT_EQ(report->imported, kDocuments);
    EXPECT_EQ(report->weight(), Weight::note) << told_.front().what;
    EXPECT_EQ(report->derived, 1U) << "an index that was made meanwhile is defined at the end";
    auto again = import_storage(target, options(), [](auto, auto) { return false; });
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->complete) << "ended before it had caught up";
    ImportOptions once = options();
    once.follow = false;
    again = import_storage(target, once);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->present, kDocuments) << "however the appends were cut";
    EXPECT_EQ(again->imported, 0U);
    EXPECT_EQ(again->weight(), Weight::note);
}

TEST_P(Follows, FromAnEmptyStorageOn) {
    Storage storage = writer();
    ASSERT_TRUE(storage.flush());
    Store target = std::move(*Store::open(directory_.store()));
    std::uint64_t written = 0;
    auto report = follow(target, [&] {
        if (count(target) < written) return false;
        if (written == 60) return true;
        test::fill(storage, written + 1, written + 3);
        written += 3;
        EXPECT_TRUE(storage.flush());
        return false;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->weight(), Weight::note);
    expect_documents(target, 60);
}

TEST_P(Follows, CommitsAreAppendedWhenTheyAreWhole) {
    Storage storage = writer();
    ASSERT_TRUE(storage.write(event(0, 0, 1, 0), "s"));
    ASSERT_TRUE(storage.write(event(1, 0, 3, 1), "s"));
    ASSERT_TRUE(storage.flush());
    Store target = std::move(*Store::open(directory_.store()));
    int step = 0;
    auto report = follow(target, [&] {
        const std::uint64_t here = count(target);
        switch (step++) {
            case 0: EXPECT_EQ(here, 0U); break;  // still catching up
            case 1: EXPECT_EQ(here, 1U) << "the commit that is whole"; break;
            case 2:
                EXPECT_EQ(here, 1U);
                EXPECT_TRUE(storage.write(event(1, 1, 3, 2), "s"));
                break;
            case 3: EXPECT_EQ(here, 1U) << "one event is still missing"; break;
            case 4: EXPECT_TRUE(storage.write(event(1, 2, 3, 3), "s")); break;
            default: return here == 4;
        }
        EXPECT_TRUE(storage.flush());
        return false;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->commits, 2U);
    EXPECT_EQ(report->imported, 4U);
    EXPECT_EQ(report->weight(), Weight::note);
    EXPECT_EQ(report->count(Finding::differing_stream), 0U);
}

TEST_P(Follows, EntriesThatComeBeforeTheirDocuments) {
    test::fill(writer(), 1, 9);
    const std::string partition = data_ + "/es.a";
    const std::string hidden = data_ + "/hidden";
    ASSERT_EQ(std::rename(partition.c_str(), hidden.c_str()), 0);
    Store target = std::move(*Store::open(directory_.store()));
    std::thread writing([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        ASSERT_EQ(std::rename(hidden.c_str(), partition.c_str()), 0);
    });
    auto report = follow(target, [&] { return count(target) == 9; });
    writing.join();
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->left_out, 0U);
    EXPECT_EQ(report->weight(), Weight::note);
    expect_documents(target, 9);
}

TEST_P(Follows, DocumentsThatNeverComeAreToldInTheEnd) {
    test::fill(writer(), 1, 9);
    ASSERT_EQ(std::remove((data_ + "/es.a").c_str()), 0);
    Store target = std::move(*Store::open(directory_.store()));
    auto report = follow(target, [&] { return count(target) == 6; });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->count(Finding::damaged_entry), 3U);
    EXPECT_EQ(report->left_out, 3U);
    EXPECT_EQ(report->weight(), Weight::damage);
}

TEST_P(Follows, ATruncationIsToldAndTheSourceReadAgain) {
    Storage storage = writer();
    test::fill(storage, 1, 300);
    ASSERT_TRUE(storage.flush());
    Store target = std::move(*Store::open(directory_.store()));
    bool cut = false;
    auto report = follow(target, [&] {
        const std::uint64_t here = count(target);
        if (here == 300 && !cut) {
            EXPECT_TRUE(storage.truncate(200));
            EXPECT_TRUE(storage.write(R"({"stream":"a","payload":"other"})", "a"));
            EXPECT_TRUE(storage.flush());
            cut = true;
        }
        return here == 301;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->complete);
    ASSERT_EQ(report->count(Finding::truncated_source), 1U);
    EXPECT_EQ(told_.front().finding, Finding::truncated_source);
    EXPECT_EQ(told_.front().number, 201U);
    EXPECT_EQ(told_.front().file, data_ + "/es.index");
    EXPECT_EQ(report->imported, 301U);
    EXPECT_EQ(report->documents, 201U) << "what the source has now";
    EXPECT_GT(report->count(Finding::differing_stream), 0U);
    EXPECT_EQ(report->weight(), Weight::damage);
}

TEST_P(Follows, ATruncationOfWhatWasNotImportedIsNobodysLoss) {
    Storage storage = writer();
    ASSERT_TRUE(storage.write(event(0, 0, 1, 0), "s"));
    ASSERT_TRUE(storage.write(event(1, 0, 3, 1), "s"));
    ASSERT_TRUE(storage.flush());
    Store target = std::move(*Store::open(directory_.store()));
    bool cut = false;
    auto report = follow(target, [&] {
        if (count(target) == 1 && !cut) {
            EXPECT_TRUE(storage.truncate(1));
            // Tried again: the first entry behind the cut is the same as before.
            for (int n = 0; n < 3; ++n)
                EXPECT_TRUE(storage.write(event(1, n, 3, 7 + static_cast<std::uint64_t>(n)), "s"));
            EXPECT_TRUE(storage.flush());
            cut = true;
        }
        return count(target) == 4;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->count(Finding::truncated_source), 0U);
    EXPECT_EQ(report->imported, 4U);
    EXPECT_EQ(report->weight(), Weight::note);
    auto snapshot = target.snapshot();
    ASSERT_TRUE(snapshot);
    std::string data;
    ASSERT_TRUE(snapshot->read(Source::all()).for_each([&](const EventView& event) {
        data += event.data;
    }));
    EXPECT_EQ(data, "0789");
}

TEST(FollowOptions, NeedSomebodyWhoSaysWhenItEnds) {
    const test::TemporaryDirectory directory;
    test::fill(
        test::open_storage(directory.path() + "/data", test::storage_options(Layout::classic)), 1,
        1);
    Store target = std::move(*Store::open(directory.store()));
    ImportOptions options;
    options.directory = directory.path() + "/data";
    options.name = "es";
    options.follow = true;
    EXPECT_EQ(import_storage(target, options).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace varve::nes
