// Goal: what a newer version has written is refused by its name and left as it is, never cut and
// never called damage; control records are hidden. Method: a simulated store whose segment or
// manifest is continued by hand, with every checksum right.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "log/recovery.hpp"
#include "os/sim_env.hpp"
#include "support/forge.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

const char* const kSegment = "store/log/0000000001.seg";

Result<Store> write(os::SimEnv& world) { return Store::open("store", options_for(world)); }
Result<Store> read(os::SimEnv& world) {
    return Store::open("store", options_for(world, Access::read_only));
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    std::vector<std::byte> bytes(file ? *(*file)->size() : 0);
    if (file) static_cast<void>((*file)->read_at(0, bytes));
    return bytes;
}

void put(os::SimEnv& world, const std::string& path, base::Bytes bytes) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, bytes));
    ASSERT_TRUE((*file)->sync());
}

/// Two events of stream "s"; then the writer dies, and with `power_cut` the machine too.
std::unique_ptr<os::SimEnv> two_events(bool power_cut) {
    os::SimEnv world(1);
    auto writer = write(world);
    EXPECT_TRUE(writer->append({{.stream = "s", .data = "one"}, {.stream = "s", .data = "two"}}));
    return power_cut ? world.power_cut(2, {os::SimCut::Style::nothing, 0}) : world.kill(2);
}

file::StoreFile store_file(os::SimEnv& world) {
    return *file::decode_store_file(bytes_of(world, "store/varve"), "varve");
}

/// Adds commits behind the end of the first segment.
void forge_in(os::SimEnv& world, const std::vector<ForgedCommit>& commits) {
    const file::StoreFile store = store_file(world);
    std::vector<std::byte> bytes = bytes_of(world, kSegment);
    const log::SegmentImage image = log::look_at(1, bytes, store.uuid, store.secret);
    log::LogPoint end =
        log::walk_commits(bytes, image.keys, {1, log::kSegmentHeaderSize, 0, 0, 0}).end;
    ASSERT_GT(end.position, 0U);
    const index::Hasher hasher(store.secret, static_cast<std::uint8_t>(store.hash_bits));
    for (const ForgedCommit& commit : commits) forge(bytes.data(), end, image.keys, commit, hasher);
    put(world, kSegment, bytes);
}

template <class T>
void expect_refused(const Result<T>& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::unsupported_version) << result.error().message;
}

/// Opening for writing is refused and changes neither log nor manifest.
void expect_untouched(os::SimEnv& world) {
    const auto segment = bytes_of(world, kSegment);
    const auto manifest = bytes_of(world, "store/manifest");
    expect_refused(write(world));
    EXPECT_EQ(bytes_of(world, kSegment), segment);
    EXPECT_EQ(bytes_of(world, "store/manifest"), manifest);
}

std::vector<ForgedCommit> newer_commits() {
    return {
        {.records = {{}}, .flags = 4}, {.records = {{}, {.kind = 9}}}, {.records = {{.flags = 4}}}};
}

TEST(Newer, ACommitIsNeverCutByAWriter) {
    for (const bool power_cut : {false, true}) {
        for (const ForgedCommit& commit : newer_commits()) {
            const auto world = two_events(power_cut);
            forge_in(*world, {commit});
            expect_untouched(*world);
        }
    }
}

TEST(Newer, ACommitBehindACleanCloseIsNeverWrittenOver) {
    for (const ForgedCommit& commit : newer_commits()) {
        os::SimEnv world(1);
        {
            auto writer = write(world);
            ASSERT_TRUE(writer->append({{.stream = "s", .data = "one"}}));
            ASSERT_TRUE(writer->close());
        }
        forge_in(world, {commit});
        expect_untouched(world);
    }
}

TEST(Newer, AReaderThatStandsAloneIsToldAndVerifyNamesIt) {
    for (const ForgedCommit& commit : newer_commits()) {
        const auto world = two_events(true);
        forge_in(*world, {commit});
        expect_refused(read(*world));
        auto report = Store::verify("store", options_for(*world, Access::read_only));
        ASSERT_TRUE(report);
        EXPECT_EQ(report->events, 2U);
        ASSERT_EQ(report->damaged.size(), 1U);
        EXPECT_EQ(report->damaged[0].what, "written by a newer version");
        EXPECT_EQ(report->damaged[0].first.value, 3U);
    }
}

TEST(Newer, AReaderThatMeetsItInTheMiddleStopsThereByItsName) {
    for (const ForgedCommit& commit : newer_commits()) {
        const auto world = two_events(false);
        forge_in(*world, {commit, {.records = {{}}}});
        // As if their writer had published them; the index is built anew from the log.
        auto page = bytes_of(*world, "store/control");
        const std::uint64_t published = 2 + commit.records.size() + 1;
        base::store(page.data() + 128, published);
        put(*world, "store/control", page);
        ASSERT_TRUE(world->remove("store/index/0000000001.act"));
        auto reader = read(*world);
        ASSERT_TRUE(reader) << reader.error().message;
        auto snapshot = reader->snapshot();
        ASSERT_TRUE(snapshot);
        std::uint64_t last = 0;
        auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
            last = event.position.value;
        });
        expect_refused(seen);
        EXPECT_GE(last, 2U);
        EXPECT_LT(last, 2 + commit.records.size());
        EXPECT_TRUE(snapshot->at(Position{published}));
        auto report = Store::verify("store", options_for(*world, Access::read_only));
        ASSERT_TRUE(report);
        ASSERT_EQ(report->damaged.size(), 1U);
        EXPECT_EQ(report->damaged[0].what, "written by a newer version");
    }
}

TEST(Newer, ASegmentWithAFeatureThatMustBeUnderstoodIsRefusedByEverybody) {
    const auto world = two_events(true);
    auto bytes = bytes_of(*world, kSegment);
    log::SegmentHeader header;
    ASSERT_EQ(log::decode_segment_header(bytes.data(), header), log::HeaderState::valid);
    header.must_understand = 1;
    log::encode_segment_header(bytes.data(), header);
    put(*world, kSegment, bytes);
    expect_untouched(*world);
    expect_refused(read(*world));
    expect_refused(Store::verify("store", options_for(*world, Access::read_only)));
    header.must_understand = 0;
    header.may_ignore = 1;
    log::encode_segment_header(bytes.data(), header);
    put(*world, kSegment, bytes);
    EXPECT_TRUE(read(*world));
    auto writer = write(*world);
    ASSERT_TRUE(writer);
    EXPECT_EQ(writer->append({{.data = "three"}})->first.value, 3U);
}

TEST(Newer, AManifestEntryThatMustBeUnderstoodRefusesTheWriterOnly) {
    for (const std::uint32_t kind : {file::kMustUnderstand | 7U, 7U}) {
        const auto world = two_events(true);
        const file::StoreFile store = store_file(*world);
        auto bytes = bytes_of(*world, "store/manifest");
        const std::uint32_t seed = base::crc32c(0x4D414E49, base::Bytes{store.uuid});
        const file::ManifestContent content = file::decode_manifest(bytes, seed);
        ASSERT_FALSE(content.entries.empty());
        file::ManifestEntry entry = content.entries.back();
        ++entry.number;
        entry.kind = kind;
        file::encode_entry(std::span<std::byte, file::kManifestEntrySize>(
                               bytes.data() + content.offset, file::kManifestEntrySize),
                           entry, seed);
        put(*world, "store/manifest", bytes);
        EXPECT_TRUE(read(*world));
        auto report = Store::verify("store", options_for(*world, Access::read_only));
        ASSERT_TRUE(report);
        EXPECT_TRUE(report->damaged.empty());
        if ((kind & file::kMustUnderstand) != 0)
            expect_untouched(*world);
        else
            EXPECT_TRUE(write(*world));
    }
}

/// A control record between two events of one stream. It even bears the stream's name.
ForgedCommit with_control() {
    return {.records = {{.stream = "s", .data = "three", .revision = 3, .stream_previous = 2},
                        {.kind = 3, .stream = "s", .data = "control"},
                        {.stream = "s", .data = "four", .revision = 4, .stream_previous = 3}}};
}

void expect_hidden(const Snapshot& snapshot) {
    EXPECT_EQ(snapshot.published().value, 5U);
    EXPECT_EQ(*snapshot.version("s"), 4U);
    for (const Source source : {Source::all(), Source::stream("s")}) {
        std::vector<std::uint64_t> positions;
        auto seen = snapshot.read(source).for_each(
            [&](const EventView& event) { positions.push_back(event.position.value); });
        ASSERT_TRUE(seen) << seen.error().message;
        EXPECT_EQ(positions, (std::vector<std::uint64_t>{1, 2, 3, 5}));
        EXPECT_EQ(seen->position.value, 5U);
    }
    const auto streams = snapshot.streams();
    ASSERT_TRUE(streams);
    ASSERT_EQ(streams->size(), 1U);
    EXPECT_EQ(streams->front().count, 4U);
    EXPECT_EQ(snapshot.at(Position{4}).error().code, ErrorCode::not_found);
}

TEST(ControlRecord, TakesAPositionAndBelongsToNoName) {
    for (const bool power_cut : {false, true}) {
        const auto world = two_events(power_cut);
        forge_in(*world, {with_control()});
        if (power_cut) {
            auto reader = read(*world);
            ASSERT_TRUE(reader) << reader.error().message;
            expect_hidden(*reader->snapshot());
        }
        auto writer = write(*world);
        ASSERT_TRUE(writer) << writer.error().message;
        expect_hidden(*writer->snapshot());
        auto more =
            writer->append({{.stream = "s", .data = "five"}}, {.expected = Expected::version(4)});
        ASSERT_TRUE(more) << more.error().message;
        EXPECT_EQ(more->first.value, 6U);
        EXPECT_EQ(more->version, 5U);
        auto report = Store::verify("store", options_for(*world, Access::read_only));
        ASSERT_TRUE(report);
        EXPECT_TRUE(report->damaged.empty());
        EXPECT_EQ(report->events, 5U);
    }
}

TEST(ControlRecord, AtTheEndASubscriptionPassesIt) {
    const auto world = two_events(true);
    forge_in(*world, {{.records = {{.kind = 3, .stream = "s"}}}});
    auto writer = write(*world);
    ASSERT_TRUE(writer) << writer.error().message;
    EXPECT_EQ(*writer->snapshot()->version("s"), 2U);
    auto live = writer->follow();
    EXPECT_EQ(live->next(0)->size(), 2U);
    EXPECT_TRUE(live->next(0)->empty());
    EXPECT_EQ(live->position().value, 3U);
    EXPECT_TRUE(live->caught_up());
}

}  // namespace
}  // namespace varve::test
