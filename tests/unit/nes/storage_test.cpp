// Goal: a storage is read whole and in order, whoever wrote it; only its own files count; the lock
// is honoured both ways; what is written is found by all indexes that match. Method: storages made
// here in both layouts, foreign files beside them, files forged where the original would.
#include <gtest/gtest.h>

#include <filesystem>

#include "os/sim_env.hpp"
#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::be32;
using test::document;
using test::entries_of;
using test::fill;
using test::make_file;
using test::numbers_of;
using test::open_storage;
using test::storage_options;
using test::TemporaryDirectory;

class NesStorage : public testing::TestWithParam<Layout> {
protected:
    [[nodiscard]] StorageOptions writing() const {
        StorageOptions options = storage_options(GetParam());
        options.index_directory = data_ + "/streams";
        return options;
    }
    [[nodiscard]] StorageOptions reading() const {
        StorageOptions options = writing();
        options.access = Access::read_only;
        return options;
    }

    TemporaryDirectory directory_;
    std::string data_ = directory_.path() + "/data";
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesStorage, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesStorage, DocumentsComeBackInTheOrderOfTheWhole) {
    {
        auto storage = open_storage(data_, writing());
        fill(storage, 1, 100);
        EXPECT_EQ(storage.length(), 100U);
        EXPECT_EQ(storage.read(50)->data, document(50)) << "not flushed";
        EXPECT_EQ(storage.read(101).error().code, ErrorCode::not_found);
        EXPECT_EQ(storage.read(0).error().code, ErrorCode::not_found);
        ASSERT_TRUE(storage.close());
        EXPECT_EQ(storage.read(1).error().code, ErrorCode::closed);
    }
    auto storage = open_storage(data_, reading());
    EXPECT_EQ(storage.length(), 100U);
    EXPECT_EQ(storage.write("{}").error().code, ErrorCode::invalid_argument);
    std::uint64_t n = 0;
    auto all = std::move(*storage.range());
    for (StoredDocument one; all.next(one);) {
        EXPECT_EQ(one.number, ++n);
        EXPECT_EQ(one.data, document(n));
        EXPECT_EQ(one.partition, test::partition_of(n));
    }
    EXPECT_EQ(n, 100U);
    EXPECT_TRUE(all.status());
    EXPECT_EQ(numbers_of(storage.range(-1, 1)).front(), 100U);
    EXPECT_EQ(numbers_of(storage.range(10, 12)), (std::vector<std::uint64_t>{10, 11, 12}));
    EXPECT_EQ(numbers_of(storage.by_sequence(97)), (std::vector<std::uint64_t>{98, 99, 100}));
    EXPECT_EQ(numbers_of(storage.by_sequence()).size(), 100U);
    EXPECT_FALSE(storage.range(1, 101));
    const auto partitions = storage.partitions();
    ASSERT_TRUE(partitions);
    ASSERT_EQ(partitions->size(), 3U);
    for (const PartitionInfo& one : *partitions) EXPECT_EQ(one.layout, GetParam());
    EXPECT_TRUE(storage.problems().empty());
}

TEST_P(NesStorage, AnEmptyStorageIsOne) {
    { ASSERT_TRUE(open_storage(data_, writing()).close()); }
    auto storage = open_storage(data_, reading());
    EXPECT_EQ(storage.length(), 0U);
    EXPECT_TRUE(numbers_of(storage.range()).empty());
    EXPECT_TRUE(numbers_of(storage.by_sequence()).empty());
    EXPECT_EQ(Storage::open(directory_.path() + "/none", reading()).error().code,
              ErrorCode::not_found);
}

/// W-16, W-17: the original adopts files of a storage whose name begins alike, and directories.
TEST_P(NesStorage, W16W17OnlyItsOwnFilesBelongToAStorage) {
    auto options = writing();
    options.index_directory.clear();
    {
        auto storage = open_storage(data_, options);
        fill(storage, 1, 20);
        options.name = "es2";
        auto other = open_storage(data_, options);
        fill(other, 1, 5);
        options.name = "es";
        ASSERT_TRUE(std::filesystem::create_directory(data_ + "/es.directory"));
        std::filesystem::create_symlink(data_ + "/es2.a", data_ + "/es.link");
        std::filesystem::create_directory_symlink(directory_.path(), data_ + "/es.loop");
        make_file(os::posix_env(), data_ + "/es.a-truncated-1-2.branch", "x");
        make_file(os::posix_env(), data_ + "/es.notes", "this is no partition");
    }
    options.access = Access::read_only;
    auto storage = open_storage(data_, options);
    EXPECT_EQ(numbers_of(storage.range()).size(), 20U);
    const auto partitions = storage.partitions();
    ASSERT_TRUE(partitions);
    EXPECT_EQ(partitions->size(), 3U);
    ASSERT_EQ(storage.problems().size(), 1U);
    EXPECT_EQ(storage.problems()[0].code, ErrorCode::not_a_store);
    EXPECT_EQ(storage.problems()[0].file, data_ + "/es.notes");
    options.access = Access::read_write;
    auto writer = open_storage(data_, options);
    ASSERT_TRUE(writer.truncate(0));
    ASSERT_TRUE(writer.close());
    options.name = "es2";
    EXPECT_EQ(open_storage(data_, options).length(), 5U);
}

TEST_P(NesStorage, W29TheLockIsHonouredBothWays) {
    const std::string lock = data_ + "/es.lock";
    {
        auto storage = open_storage(data_, writing());
        EXPECT_TRUE(std::filesystem::is_directory(lock));
        EXPECT_EQ(Storage::open(data_, writing()).error().code, ErrorCode::locked);
        EXPECT_TRUE(Storage::open(data_, reading())) << "readers do not ask";
        // W-29: the original takes the lock from a living writer.
        auto taking = writing();
        taking.lock = Lock::take_over;
        EXPECT_EQ(Storage::open(data_, taking).error().code, ErrorCode::locked);
        EXPECT_TRUE(std::filesystem::is_directory(lock));
        fill(storage, 1, 3);
        ASSERT_TRUE(storage.close());
        EXPECT_FALSE(std::filesystem::exists(lock));
    }
    ASSERT_TRUE(std::filesystem::create_directory(lock));
    auto refused = Storage::open(data_, writing());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::locked);
    EXPECT_EQ(refused.error().file, lock);
    EXPECT_TRUE(std::filesystem::is_directory(lock)) << "a refusal leaves it";
    auto taking = writing();
    taking.lock = Lock::take_over;
    auto storage = open_storage(data_, taking);
    EXPECT_EQ(storage.length(), 3U);
    ASSERT_TRUE(storage.close());
    EXPECT_FALSE(std::filesystem::exists(lock));
}

TEST_P(NesStorage, IndexesTakeWhatTheirMatchersMatch) {
    auto storage = open_storage(data_, writing());
    fill(storage, 1, 30);
    ASSERT_TRUE(storage.ensure_index("stream-a", R"({"stream":"a"})"));
    ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":["even","none"]}})"));
    ASSERT_TRUE(storage.ensure_index("large", R"({"payload":{"n":{"$gt":25}}})"));
    ASSERT_TRUE(storage.ensure_index("all", "{}"));
    ASSERT_TRUE(storage.ensure_index("all", "{}"));
    EXPECT_EQ(storage.ensure_index("all", R"({"a":1})").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(storage.ensure_index("x", "[]").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(storage.ensure_index("x", R"({"a":{"$foo":1}})").error().code,
              ErrorCode::invalid_argument);
    fill(storage, 31, 60);
    const auto expect = [](Storage& asked) {
        test::expect_index(asked, "stream-a",
                           [](std::uint64_t n) { return test::partition_of(n) == "a"; });
        test::expect_index(asked, "even", [](std::uint64_t n) { return n % 2 == 0; });
        test::expect_index(asked, "large", [](std::uint64_t n) { return n > 25; });
        test::expect_index(asked, "all", [](std::uint64_t) { return true; });
    };
    expect(storage);
    ASSERT_TRUE(storage.close());
    auto again = open_storage(data_, writing());
    fill(again, 61, 90);
    expect(again);
    ASSERT_TRUE(again.close());
    auto reader = open_storage(data_, reading());
    expect(reader);
    const auto indexes = reader.indexes();
    ASSERT_TRUE(indexes);
    ASSERT_EQ(indexes->size(), 4U);
    for (const IndexInfo& one : *indexes) EXPECT_EQ(one.kind, MatcherKind::object);
    EXPECT_EQ(reader.range(1, -1, "none").error().code, ErrorCode::not_found);
}

/// W-5, W-37: the original runs stored functions, and deletes the index if the secret is wrong.
TEST_P(NesStorage, W5W37FunctionsAreReportedAndNeverRun) {
    { fill(open_storage(data_, writing()), 1, 4); }
    const std::string path = data_ + "/streams/es.by-function.index";
    IndexOptions options;
    options.metadata =
        R"({"entryClass":"Entry","entrySize":16,"matcher":"(e) => true","hmac":"9f96"})";
    options.layout = GetParam();
    { ASSERT_TRUE(Index::open(path, options)); }
    auto reader = open_storage(data_, reading());
    const auto indexes = reader.indexes();
    ASSERT_TRUE(indexes);
    ASSERT_EQ(indexes->size(), 1U);
    EXPECT_EQ((*indexes)[0].kind, MatcherKind::function);
    EXPECT_EQ((*indexes)[0].matcher, "(e) => true");
    EXPECT_EQ((*indexes)[0].hmac, "9f96");
    auto refused = Storage::open(data_, writing());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().file, path);
    EXPECT_FALSE(std::filesystem::exists(data_ + "/es.lock")) << "a refusal leaves no lock";
    auto leaving = writing();
    leaving.leave_unknown_indexes = true;
    auto storage = open_storage(data_, leaving);
    fill(storage, 5, 8);
    ASSERT_TRUE(storage.close());
    EXPECT_EQ(entries_of(path), 0U);
}

TEST_P(NesStorage, ReadersFollowAlsoIntoNewPartitions) {
    auto storage = open_storage(data_, writing());
    ASSERT_TRUE(storage.ensure_index("even", R"({"payload":{"kind":"even"}})"));
    auto reader = open_storage(data_, reading());
    EXPECT_FALSE(*reader.refresh());
    std::uint64_t read = 0;
    for (std::uint64_t until = 7; until <= 700; until += 77) {
        fill(storage, storage.length() + 1, until);
        EXPECT_FALSE(*reader.refresh()) << "not flushed";
        ASSERT_TRUE(storage.flush());
        EXPECT_EQ(reader.wait(1'000'000)->appended, until - read);
        for (; read < until; ++read) EXPECT_EQ(reader.read(read + 1)->data, document(read + 1));
        test::expect_index(reader, "even", [](std::uint64_t n) { return n % 2 == 0; });
    }
    ASSERT_TRUE(storage.truncate(10));
    EXPECT_EQ(reader.refresh()->truncated, read - 10);
    EXPECT_EQ(numbers_of(reader.range()).size(), 10U);
    ASSERT_TRUE(storage.close_index("even"));
    const auto indexes = reader.indexes();
    ASSERT_TRUE(indexes);
    EXPECT_TRUE((*indexes)[0].closed);
    test::expect_index(reader, "even", [](std::uint64_t n) { return n % 2 == 0; });
}

TEST_P(NesStorage, W32ClosedIndexesTakeNothingMoreAndAreCut) {
    auto storage = open_storage(data_, writing());
    ASSERT_TRUE(storage.ensure_index("all", "{}"));
    fill(storage, 1, 5);
    ASSERT_TRUE(storage.close_index("all"));
    EXPECT_EQ(storage.close_index("all").error().code, ErrorCode::not_found);
    fill(storage, 6, 9);
    ASSERT_TRUE(storage.close());
    EXPECT_EQ(entries_of(data_ + "/streams/es.all.closed.index"), 5U);
    auto again = open_storage(data_, writing());
    fill(again, 10, 12);
    // W-32: the original leaves entries without documents in closed indexes.
    ASSERT_TRUE(again.truncate(3));
    ASSERT_TRUE(again.close());
    EXPECT_EQ(entries_of(data_ + "/streams/es.all.closed.index"), 3U);
}

TEST_P(NesStorage, W11W38NamesThatLeadAstrayAreRefused) {
    auto storage = open_storage(data_, writing());
    for (const char* bad : {"x/../../../evil", "a//b", "a/", "/a", "a/.."})
        EXPECT_EQ(storage.write("{}", bad).error().code, ErrorCode::invalid_argument) << bad;
    for (const char* bad : {"a.index", "a.branch", "a.lock", "lock"})
        EXPECT_EQ(storage.write("{}", bad).error().code, ErrorCode::invalid_argument) << bad;
    EXPECT_EQ(storage.ensure_index("../x", "{}").error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(*storage.write("{}", "a/b/c"), 1U);
    EXPECT_EQ(*storage.write("{}", ""), 2U);
    EXPECT_EQ(*storage.write("{}", "dvqaocvh"), 3U);
    auto same = storage.write("{}", "apnkxeax");
    ASSERT_FALSE(same) << "both have the same id";
    EXPECT_EQ(same.error().code, ErrorCode::invalid_argument);
    ASSERT_TRUE(storage.close());
    EXPECT_TRUE(std::filesystem::exists(data_ + "/es.a/b/c"));
    EXPECT_TRUE(std::filesystem::exists(data_ + "/es"));
    auto reader = open_storage(data_, reading());
    EXPECT_EQ(reader.read(1)->partition, "a/b/c");
    EXPECT_EQ(reader.read(2)->partition, "");
    auto options = writing();
    for (const char* bad : {"", "a/b", "..", "."}) {
        options.name = bad;
        EXPECT_EQ(Storage::open(data_, options).error().code, ErrorCode::invalid_argument) << bad;
    }
}

/// W-13, W-14, W-47: in the original a stream simply ends where an entry is wrong.
TEST_P(NesStorage, W13W14W47EntriesThatDisagreeAreReportedAndCanBePassed) {
    { fill(open_storage(data_, writing()), 1, 10); }
    const std::string path = data_ + "/streams/es.index";
    std::string bytes = test::bytes_of(os::posix_env(), path);
    bytes.replace(64 + 16 * 3 + 4, 4, std::string("\x04\0\0\0", 4));   // the position of the 4th
    bytes.replace(64 + 16 * 5 + 8, 4, std::string("\x01\0\0\0", 4));   // the size of the 6th
    bytes.replace(64 + 16 * 7 + 12, 4, std::string("\x01\0\0\0", 4));  // the partition of the 8th
    bytes.replace(64 + 16 * 8 + 4, 4, std::string("\0\0\0\0", 4));     // another one's position
    make_file(os::posix_env(), path, bytes);
    auto storage = open_storage(data_, reading());
    auto cursor = std::move(*storage.range());
    std::vector<std::uint64_t> seen;
    std::vector<std::string> errors;
    StoredDocument one;
    for (int n = 0; n < 20; ++n) {
        if (cursor.next(one)) {
            seen.push_back(one.number);
            continue;
        }
        auto status = cursor.status();
        if (status) break;
        EXPECT_FALSE(status.error().file.empty());
        errors.push_back(status.error().message);
        EXPECT_FALSE(cursor.next(one)) << "it does not go on by itself";
        cursor.pass();
    }
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 2, 3, 5, 7, 10}));
    EXPECT_EQ(errors.size(), 4U);
    EXPECT_EQ(numbers_of(storage.by_sequence()).size(), 10U) << "documents need no index";
}

TEST_P(NesStorage, W6ConsumersAreRead) {
    {
        auto storage = open_storage(data_, writing());
        ASSERT_TRUE(storage.ensure_index("stream-a.b", R"({"stream":"a.b"})"));
    }
    const std::string folder = data_ + "/streams/consumers";
    std::filesystem::create_directory(folder);
    const std::string five("\x05\0\0\0", 4);
    make_file(os::posix_env(), folder + "/es._all.counter", five + R"({"é":1})");
    make_file(os::posix_env(), folder + "/es.stream-a.b.sum", five + "{}");
    make_file(os::posix_env(), folder + "/es.stream-a.b.sum.7", five + "{}");  // half of an update
    make_file(os::posix_env(), folder + "/es2._all.other", five + "{}");
    make_file(os::posix_env(), folder + "/es._all.short", "abc");
    make_file(os::posix_env(), folder + "/es._all.cut", five + R"({"é":)");  // W-6
    auto storage = open_storage(data_, reading());
    const auto consumers = storage.consumers();
    ASSERT_TRUE(consumers);
    ASSERT_EQ(consumers->size(), 3U);
    EXPECT_EQ((*consumers)[0].name, "counter");
    EXPECT_EQ((*consumers)[0].index, "_all");
    EXPECT_EQ((*consumers)[0].position, 5U);
    EXPECT_EQ((*consumers)[0].state, R"({"é":1})");
    EXPECT_EQ((*consumers)[2].index, "stream-a.b");
    EXPECT_EQ((*consumers)[2].name, "sum");
    EXPECT_EQ(storage.problems().size(), 2U);
}

/// W-1: where the original has more files than handles, closing loses entries.
TEST_P(NesStorage, W1ManyPartitionsAndIndexesNeedFewOpenFilesAndLoseNothing) {
    constexpr std::uint64_t kMany = 1100;
    {
        auto storage = open_storage(data_, writing());
        for (std::uint64_t n = 1; n <= 2 * kMany; ++n) {
            const std::string name = "p" + std::to_string(n % kMany);
            ASSERT_TRUE(storage.write(document(n), name)) << n;
        }
        for (std::uint64_t n = 0; n < 200; ++n)
            ASSERT_TRUE(storage.ensure_index("i" + std::to_string(n),
                                             R"({"payload":{"n":)" + std::to_string(n + 1) + "}}"));
        ASSERT_TRUE(storage.close());
    }
    {
        auto storage = open_storage(data_, writing());
        EXPECT_FALSE(storage.repaired().anything());
        for (std::uint64_t n = 2 * kMany + 1; n <= 2 * kMany + 5; ++n)
            EXPECT_EQ(*storage.write(document(n), "p" + std::to_string(n % kMany)), n);
        ASSERT_TRUE(storage.close());
    }
    auto storage = open_storage(data_, reading());
    EXPECT_EQ(numbers_of(storage.range()).size(), 2 * kMany + 5);
    EXPECT_EQ(numbers_of(storage.by_sequence()).size(), 2 * kMany + 5);
    EXPECT_EQ(storage.indexes()->size(), 200U);
    EXPECT_EQ(numbers_of(storage.range(1, -1, "i199")), std::vector<std::uint64_t>{200});
}

/// W-18: in the original large documents are confirmed without a sync, and names of files never
/// are.
TEST_P(NesStorage, W18WhatASyncedFlushConfirmsSurvivesAPowerCut) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        os::SimEnv world(seed);
        auto options = test::storage_options(GetParam(), &world);
        options.index_directory = "data/streams/deeper";
        options.sync_on_flush = true;
        const auto large = [](std::uint64_t n) {
            return R"({"stream":"a","n":")" + std::string(n * 9'000, 'x') + R"("})";
        };
        auto storage = open_storage("data", options);
        ASSERT_TRUE(storage.ensure_index("stream-a", R"({"stream":"a"})"));
        for (std::uint64_t n = 1; n <= 4; ++n)
            ASSERT_TRUE(storage.write(large(n), n % 2 == 0 ? "a/b" : "c"));
        ASSERT_TRUE(storage.flush());
        const auto style = seed % 2 == 0 ? os::SimCut::Style::nothing : os::SimCut::Style::mixed;
        const auto after = world.power_cut(seed, {style, 0});
        options.env = after.get();
        options.access = Access::read_only;
        auto found = open_storage("data", options);
        ASSERT_EQ(found.length(), 4U) << seed;
        for (std::uint64_t n = 1; n <= 4; ++n) {
            const auto document = found.read(n);
            ASSERT_TRUE(document) << seed << ": " << document.error().message;
            EXPECT_EQ(document->data, large(n));
        }
        EXPECT_EQ(numbers_of(found.range(1, -1, "stream-a")).size(), 4U);
    }
}

/// W-20: the original adds milliseconds to microseconds.
TEST_P(NesStorage, W20TimesOfAllPartitionsAreMicrosecondsSince1970) {
    os::SimEnv world(1);
    std::uint64_t last = 0;
    auto storage = open_storage("data", test::storage_options(GetParam(), &world));
    for (std::uint64_t n = 1; n <= 9; ++n) {
        world.set_clock(1'700'000'000'000'000 + n * 1'234'567);
        ASSERT_TRUE(storage.write(document(n), test::partition_of(n)));
        const std::uint64_t time = storage.read(n)->time_us;
        EXPECT_GT(time, last) << "across partitions too";
        EXPECT_NEAR(static_cast<double>(time), 1.7e15 + static_cast<double>(n) * 1'234'567, 2'000);
        last = time;
    }
}

/// W-33: in the original such a stream is another, closed one after a restart.
TEST_P(NesStorage, W33NamesThatWouldBeTakenForClosedStreamsAreRefused) {
    auto storage = open_storage(data_, writing());
    EXPECT_EQ(storage.ensure_index("stream-a.closed", "{}").error().code,
              ErrorCode::invalid_argument);
    ASSERT_TRUE(storage.ensure_index("stream-a.closed.x", "{}"));
    ASSERT_TRUE(storage.close());
    auto again = open_storage(data_, writing());
    ASSERT_EQ(again.indexes()->size(), 1U);
    EXPECT_EQ((*again.indexes())[0].name, "stream-a.closed.x");
    EXPECT_FALSE((*again.indexes())[0].closed);
}

TEST(NesStorageDocuments, EnvelopesAreTakenApartAsTheyStand) {
    const auto envelope = envelope_of(
        R"({"stream":"a\u00e9","payload":{"x": 1},"metadata":{"commitId":3,"streamVersion":0}})");
    ASSERT_TRUE(envelope);
    EXPECT_EQ(envelope->stream, "aé");
    EXPECT_EQ(envelope->payload, R"({"x": 1})");
    EXPECT_EQ(envelope->metadata, R"({"commitId":3,"streamVersion":0})");
    EXPECT_EQ(envelope_of(R"({"stream":"a"})")->payload, "");
    for (const char* bad : {"", "{}", "[]", R"({"stream":1})", R"({"stream":"a")"})
        EXPECT_FALSE(envelope_of(bad)) << bad;
}

}  // namespace
}  // namespace varve::nes
