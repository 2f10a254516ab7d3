// Goal: an export carries over whatever an import brought, byte for byte; it can be cancelled, ends
// with errors of either side, and works on another environment. Method: storages written by the
// library in both layouts, imported, exported and read; a progress that says no; a directory that
// is there; documents made of events one by one.
#include <gtest/gtest.h>

#include "bridge/export_document.hpp"
#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"
#include "varve/nes_export.hpp"
#include "varve/testing.hpp"

namespace varve::nes {
namespace {

constexpr std::uint64_t kDocuments = 10'000;

class Exports : public testing::TestWithParam<Layout> {
protected:
    Exports() {
        options_.directory = directory_.path() + "/out";
        options_.name = "es";
        options_.layout = GetParam();
    }
    /// A store that has the documents of a storage.
    Store imported(std::uint64_t documents) {
        ImportOptions options;
        options.directory = directory_.path() + "/data";
        options.name = "es";
        test::fill(test::open_storage(options.directory, test::storage_options(GetParam())), 1,
                   documents);
        Store store = opened();
        auto report = import_storage(store, options);
        EXPECT_TRUE(report) << report.error().message;
        return store;
    }
    [[nodiscard]] Store opened() const {
        OpenOptions options;
        options.durability = Durability::os;
        return std::move(*Store::open(directory_.store(), options));
    }
    /// The documents of the storage that was written, each with its time.
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> documents(
        const std::string& directory, const std::string& indexes, os::Env* env = nullptr) const {
        StorageOptions reading;
        reading.name = "es";
        reading.index_directory = indexes;
        reading.env = env;
        Storage storage = test::open_storage(directory, reading);
        const std::vector<PartitionInfo> partitions = std::move(*storage.partitions());
        for (const PartitionInfo& one : partitions) EXPECT_EQ(one.layout, GetParam());
        std::vector<std::pair<std::string, std::uint64_t>> all;
        if (storage.length() == 0) return all;
        auto cursor = storage.range();
        for (StoredDocument one; cursor->next(one);) all.emplace_back(one.data, one.time_us);
        EXPECT_TRUE(cursor->status());
        return all;
    }

    test::TemporaryDirectory directory_;
    ExportOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, Exports, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(Exports, BringsBackWhatWasImported) {
    const Store store = imported(kDocuments);
    std::uint64_t last = 0;
    auto report = export_storage(store, options_, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, all);
        last = done;
        return true;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_GT(last, 0U);
    EXPECT_EQ(report->as_imported, kDocuments);
    EXPECT_EQ(report->documents, kDocuments);
    EXPECT_EQ(report->weight(), Weight::note);
    EXPECT_EQ(report->lost, (std::array<std::uint64_t, kLosses>{}));
    const auto before = documents(directory_.path() + "/data", "");
    const auto after = documents(options_.directory, options_.directory + "/streams");
    EXPECT_EQ(before.size(), kDocuments);
    EXPECT_TRUE(after == before) << "documents, their order and their times";
}

TEST_P(Exports, Cancelled) {
    const Store store = imported(kDocuments);
    int looks = 0;
    auto report =
        export_storage(store, options_, [&](std::uint64_t, std::uint64_t) { return ++looks < 2; });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_FALSE(report->complete);
    EXPECT_LT(report->documents, kDocuments);
    // What is there is a whole storage, without a lock.
    test::open_storage(options_.directory, [&] {
        StorageOptions writing = test::storage_options(GetParam());
        writing.index_directory = options_.directory + "/streams";
        return writing;
    }());
}

TEST_P(Exports, OverwritesNothing) {
    const Store store = imported(10);
    ASSERT_TRUE(export_storage(store, options_));
    EXPECT_EQ(export_storage(store, options_).error().code, ErrorCode::invalid_argument);
    options_.index_directory = options_.directory + "/streams";
    options_.directory += "2";
    EXPECT_EQ(export_storage(store, options_).error().code, ErrorCode::invalid_argument);
    options_.index_directory.clear();
    options_.directory = directory_.path() + "/out3";
    options_.name = "a/b";
    EXPECT_EQ(export_storage(store, options_).error().code, ErrorCode::invalid_argument);
}

TEST_P(Exports, ToAnotherEnvironment) {
    Simulation world(3);
    const Store store = imported(100);
    options_.env = world.env();
    options_.directory = "/out";
    auto report = export_storage(store, options_);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(documents("/out", "/out/streams", world.env()).size(), 100U);
}

/// More streams than files may be open, in turns.
TEST_P(Exports, ManyStreamsInTurns) {
    constexpr std::uint64_t kStreams = 1500;
    Store store = opened();
    std::vector<std::string> names;
    for (std::uint64_t n = 0; n < kStreams; ++n) names.push_back("s" + std::to_string(n));
    for (int round = 0; round < 3; ++round) {
        std::vector<NewEvent> events(kStreams);
        for (std::uint64_t n = 0; n < kStreams; ++n) {
            events[n].stream = names[n];
            events[n].data = R"({"n":1})";
        }
        ASSERT_TRUE(store.append(events));
    }
    auto report = export_storage(store, options_);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->documents, 3 * kStreams);
    EXPECT_EQ(report->streams, kStreams);
    EXPECT_EQ(documents(options_.directory, options_.directory + "/streams").size(), 3 * kStreams);
    for (std::uint64_t n = 0; n < kStreams; n += 100)
        EXPECT_EQ(
            test::entries_of(options_.directory + "/streams/es.stream-" + names[n] + ".index"), 3U);
}

TEST_P(Exports, ClosedStreamsEndWhereTheyWereClosed) {
    Store store = opened();
    NewEvent event;
    event.stream = "s";
    event.data = R"({"n":1})";
    ASSERT_TRUE(store.append({event, event}));
    ASSERT_TRUE(store.define(NewDefinition::stream("ones", Selector::all())));
    ASSERT_TRUE(store.append({event}));
    ASSERT_TRUE(store.close_definition("ones"));
    ASSERT_TRUE(store.append({event, event}));
    auto report = export_storage(store, options_);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->closed, 1U);
    EXPECT_EQ(test::entries_of(options_.directory + "/streams/es.stream-ones.closed.index"), 3U);
    EXPECT_EQ(test::entries_of(options_.directory + "/streams/es.stream-s.index"), 5U);
}

std::string made(const EventView& event, const bridge::CommitPlace& place) {
    bridge::Paths paths;
    paths.type = {"type"};
    paths.tags = {"tags"};
    bridge::MadeDocument document;
    bridge::make_document(event, place, paths, document);
    return document.text;
}
std::string made(const EventView& event) { return made(event, {0, 0, 1}); }

TEST(ExportedDocuments, HaveTheFieldsOfTheOriginal) {
    EventView event;
    event.stream = "a\tb";
    event.data = R"({"n":1})";
    event.metadata = R"({"user":"ann","commitId":7})";
    event.time_us = 1'700'000'000'000'007;
    event.revision = Revision{3};
    EXPECT_EQ(made(event, {8, 1, 2}),
              R"({"stream":"a\tb","payload":{"n":1},"metadata":{"commitId":8,"committedAt":)"
              R"(1700000000000.007,"commitVersion":1,"commitSize":2,"user":"ann",)"
              R"("streamVersion":2}})");
    event.time_us = -1'500;
    event.metadata = {};
    EXPECT_NE(made(event).find(R"("committedAt":-1.500,)"), std::string::npos);
}

TEST(ExportedDocuments, NamesThatThePayloadDoesNotSay) {
    EventView event;
    event.stream = "s";
    event.type = "T";
    event.data = R"({"type":"T"})";
    EXPECT_EQ(made(event).find("varve"), std::string::npos);
    event.type = {};
    EXPECT_NE(made(event).find(R"("varve":{}}})"), std::string::npos) << "it has none";
    event.type = "O\n";
    EXPECT_TRUE(made(event).ends_with(R"("varve":{"type":"O\n"}}})"));
    event.metadata = R"({"commitId":0,"committedAt":1,"commitVersion":0,"commitSize":1,)"
                     R"("streamVersion":0 } )";
    EXPECT_TRUE(made(event).ends_with(R"("streamVersion":0 ,"varve":{"type":"O\n"}}})"));
}

TEST(ExportedDocuments, DataThatAreNoJson) {
    EventView event;
    event.stream = "s";
    for (const auto& [data, base64] : std::vector<std::pair<std::string, std::string>>{
             {"a", "YQ=="},
             {"ab", "YWI="},
             {"abc", "YWJj"},
             {" ", "IA=="},
             {R"(1,"payload":2)", "MSwicGF5bG9hZCI6Mg=="},
             {"{", "ew=="},
             {R"(1}})", "MX19"}}) {
        event.data = data;
        EXPECT_TRUE(made(event).starts_with(R"({"stream":"s","payload":{"$base64":")" + base64 +
                                            R"("},"metadata":{)"))
            << made(event);
    }
    for (const std::string_view data : {" [1, 2 ]\n", "null", "-1.5e3", R"("x")"}) {
        event.data = data;
        EXPECT_EQ(made(event).find("$base64"), std::string::npos) << data;
    }
}

TEST(Losses, HaveNamesAndWeights) {
    std::vector<std::string_view> names;
    for (std::size_t n = 0; n < kLosses; ++n) names.push_back(to_string(static_cast<Loss>(n)));
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
    EXPECT_EQ(static_cast<std::size_t>(Loss::changed_consumer) + 1, kLosses);
    EXPECT_EQ(weight_of(Loss::not_json), Weight::refused);
    EXPECT_EQ(weight_of(Loss::stream_without_index), Weight::refused);
    EXPECT_EQ(weight_of(Loss::erased_event), Weight::note);
}

}  // namespace
}  // namespace varve::nes
