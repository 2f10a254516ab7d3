// Goal: an import can be cancelled and taken up at any append, ends with the store's errors, and
// works on a source of another environment. Method: storages written by the library in both
// layouts; the progress says when to cancel; stores that refuse.
#include <gtest/gtest.h>

#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"
#include "varve/nes_import.hpp"
#include "varve/testing.hpp"

namespace varve::nes {
namespace {

constexpr std::uint64_t kDocuments = 20'000;

class Imports : public testing::TestWithParam<Layout> {
protected:
    void write_source(std::uint64_t documents, os::Env* env = nullptr) {
        StorageOptions options = test::storage_options(GetParam(), env);
        test::fill(test::open_storage(data_, options), 1, documents);
    }
    [[nodiscard]] ImportOptions options() const {
        ImportOptions options;
        options.directory = data_;
        options.name = "es";
        return options;
    }
    [[nodiscard]] Store open_target(Access access = Access::read_write) const {
        OpenOptions options;
        options.durability = Durability::os;
        options.access = access;
        return std::move(*Store::open(directory_.store(), options));
    }

    test::TemporaryDirectory directory_;
    std::string data_ = directory_.path() + "/data";
};

INSTANTIATE_TEST_SUITE_P(Layouts, Imports, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

void expect_whole(Store& target, std::uint64_t documents) {
    auto snapshot = target.snapshot();
    ASSERT_TRUE(snapshot);
    std::uint64_t n = 0;
    auto done = snapshot->read(Source::all()).for_each([&](const EventView& event) {
        ++n;
        ASSERT_EQ(event.data, test::document(n)) << "documents without metadata are kept whole";
        ASSERT_EQ(event.stream, test::partition_of(n));
        ASSERT_EQ(event.position, Position{n});
    });
    ASSERT_TRUE(done);
    EXPECT_EQ(n, documents);
}

TEST_P(Imports, CancelledAndTakenUp) {
    write_source(kDocuments);
    Store target = open_target();
    std::uint64_t looks = 0;
    for (int round = 0; round < 3; ++round) {
        const std::uint64_t enough = static_cast<std::uint64_t>(round) + 1;
        looks = 0;
        auto report = import_storage(target, options(), [&](std::uint64_t done, std::uint64_t all) {
            EXPECT_LE(done, all);
            EXPECT_EQ(all, kDocuments);
            return ++looks < enough;
        });
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_FALSE(report->complete);
        EXPECT_FALSE(report->compared);
        EXPECT_EQ(looks, enough);
        EXPECT_LT(report->imported + report->present, kDocuments);
    }
    auto report = import_storage(target, options());
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->complete);
    EXPECT_GT(report->present, 4096U);
    EXPECT_EQ(report->imported + report->present, kDocuments);
    EXPECT_EQ(report->weight(), Weight::note);
    EXPECT_EQ(report->streams.size(), 3U);
    expect_whole(target, kDocuments);
}

TEST_P(Imports, OfAnotherEnvironment) {
    Simulation world(3);
    data_ = "/data";
    ASSERT_TRUE(world.env()->make_directory("/data", 0755));
    write_source(100, world.env());
    Store target = open_target();
    ImportOptions there = options();
    EXPECT_EQ(import_storage(target, there).error().code, ErrorCode::not_found);
    EXPECT_EQ(check_source(there).error().code, ErrorCode::not_found);
    there.env = world.env();
    EXPECT_TRUE(check_source(there));
    auto report = import_storage(target, there);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->imported, 100U);
    expect_whole(target, 100);
}

TEST_P(Imports, ErrorsOfTheStoreEndIt) {
    write_source(kDocuments);
    {
        Store target = open_target();
        ASSERT_TRUE(target.close());
        EXPECT_EQ(import_storage(target, options()).error().code, ErrorCode::closed);
    }
    Store reader = open_target(Access::read_only);
    EXPECT_EQ(import_storage(reader, options()).error().code, ErrorCode::permission);
}

TEST_P(Imports, FindingsAreToldAndCounted) {
    write_source(50);
    {
        StorageOptions writing = test::storage_options(GetParam());
        auto storage = test::open_storage(data_, writing);
        ASSERT_TRUE(storage.write("[1]", "d"));
        ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":"even"}})"));
    }
    Store target = open_target();
    ImportOptions telling = options();
    std::vector<Found> all;
    telling.tell = [&](const Found& found) { all.push_back(found); };
    auto report = import_storage(target, telling);
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].finding, Finding::not_json);
    EXPECT_EQ(all[0].number, 51U);
    EXPECT_EQ(all[0].file, data_ + "/es.d");
    EXPECT_EQ(report->count(Finding::not_json), 1U);
    EXPECT_EQ(report->weight(), Weight::refused);
    EXPECT_EQ(report->left_out, 1U);
    EXPECT_EQ(report->derived, 1U);
    auto snapshot = target.snapshot();
    ASSERT_TRUE(snapshot);
    EXPECT_EQ(*snapshot->count(Selector::derived("even")), 25U);
}

TEST(Findings, HaveNamesAndWeights) {
    std::vector<std::string_view> names;
    for (std::size_t n = 0; n < kFindings; ++n) {
        names.push_back(to_string(static_cast<Finding>(n)));
        static_cast<void>(weight_of(static_cast<Finding>(n)));
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
    EXPECT_EQ(static_cast<std::size_t>(Finding::differing_index) + 1, kFindings);
    EXPECT_EQ(weight_of(Finding::damaged_entry), Weight::damage);
    EXPECT_EQ(weight_of(Finding::function_matcher), Weight::note);
}

}  // namespace
}  // namespace varve::nes
