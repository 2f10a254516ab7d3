// Goal: opening destroys nothing that is not a store of ours, and nothing that was one; the epoch
// never falls; a hostile manifest is an error. Method: directories made by hand in a simulated
// world; the bytes of every file compared before and after.
#include <gtest/gtest.h>

#include <map>

#include "base/crc32c.hpp"
#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "log/recovery.hpp"
#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

const char* const kPath = "store";

OpenOptions options_for(os::SimEnv& world, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

void put(os::SimEnv& world, const std::string& name, std::string_view content) {
    auto file = world.open(std::string(kPath) + "/" + name, os::OpenMode::create, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(content)));
}

std::map<std::string, std::string> all_files(os::SimEnv& world) {
    std::map<std::string, std::string> found;
    for (const char* directory : {"", "/log", "/index", "/dropped"}) {
        const auto names = world.list(kPath + std::string(directory));
        if (!names) continue;
        for (const std::string& name : *names) {
            const std::string path = kPath + std::string(directory) + "/" + name;
            auto file = world.open(path, os::OpenMode::read, 0600);
            if (!file) {
                found[path] = "a directory";
                continue;
            }
            std::string content(*(*file)->size(), ' ');
            EXPECT_TRUE((*file)->read_at(
                0, {reinterpret_cast<std::byte*>(content.data()), content.size()}));
            found[path] = content;
        }
    }
    return found;
}

TEST(Opening, LeavesAForeignDirectoryWithAFileOfOurNameAlone) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory(kPath, 0700));
    put(world, "varve", "#!/bin/sh\necho a program that happens to have this name\n");
    put(world, "thesis.txt", "years of work");
    const auto before = all_files(world);
    auto store = Store::open(kPath, options_for(world));
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::not_a_store);
    EXPECT_EQ(all_files(world), before);
}

TEST(Opening, LeavesAnEmptyFileOfOurNameInAForeignDirectoryAlone) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory(kPath, 0700));
    put(world, "varve", "");
    put(world, "thesis.txt", "years of work");
    const auto before = all_files(world);
    ASSERT_FALSE(Store::open(kPath, options_for(world)));
    EXPECT_EQ(all_files(world), before);
}

TEST(Opening, DoesNotBeginAnewWhereTheStoresOwnFileWasLost) {
    os::SimEnv world(1);
    {
        auto store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store);
        for (int n = 0; n < 3; ++n) ASSERT_TRUE(store->append({{.data = "kept"}}));
        ASSERT_TRUE(store->close());
    }
    std::string own_file = all_files(world).at("store/varve");
    ASSERT_TRUE(world.remove("store/varve"));
    const auto before = all_files(world);
    auto store = Store::open(kPath, options_for(world));
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::corrupt);
    EXPECT_EQ(all_files(world), before);
    // With the file put back everything is there again.
    put(world, "varve", own_file);
    auto again = Store::open(kPath, options_for(world));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->snapshot()->published().value, 3U);
}

TEST(Opening, TheEpochNeverFalls) {
    auto world = std::make_unique<os::SimEnv>(1);
    std::uint32_t highest = 0;
    for (int session = 0; session < 6; ++session) {
        auto store = Store::open(kPath, options_for(*world));
        ASSERT_TRUE(store);
        ASSERT_TRUE(store->append({{.data = "one more"}}));
        highest = store->snapshot()->epoch();
        ASSERT_TRUE(store->close());
    }
    world = world->power_cut(1, {os::SimCut::Style::everything, 0});
    ASSERT_TRUE(world->remove("store/manifest"));
    {
        auto store = Store::open(kPath, options_for(*world));
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_GT(store->snapshot()->epoch(), highest);
        ASSERT_TRUE(store->append({{.data = "acknowledged at level disk"}}));
    }
    world = world->power_cut(2, {os::SimCut::Style::nothing, 0});
    auto store = Store::open(kPath, options_for(*world));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(store->snapshot()->published().value, 7U);
}

TEST(Opening, AManifestThatPromisesTheImpossibleIsAnError) {
    for (const auto kind :
         {file::EntryKind::synced, file::EntryKind::cut, file::EntryKind::closed}) {
        auto world = std::make_unique<os::SimEnv>(1);
        {
            auto store = Store::open(kPath, options_for(*world));
            ASSERT_TRUE(store);
            ASSERT_TRUE(store->append({{.stream = "s", .data = "one"}}));
            ASSERT_TRUE(store->close());
        }
        // The seed of the manifest's checksums follows from what stands in `varve`.
        const std::string own = all_files(*world).at("store/varve");
        const auto content = file::decode_store_file(base::as_bytes(own), "varve");
        ASSERT_TRUE(content);
        const std::uint32_t seed = base::crc32c(
            0x4D414E49, base::Bytes{content->uuid});  // as docs/format/manifest.md says
        auto file = world->open("store/manifest", os::OpenMode::read_write, 0600);
        ASSERT_TRUE(file);
        std::vector<std::byte> bytes(*(*file)->size());
        ASSERT_TRUE((*file)->read_at(0, bytes));
        const auto manifest = file::decode_manifest(bytes, seed);
        ASSERT_FALSE(manifest.entries.empty()) << "the seed is another one";
        file::ManifestEntry entry = manifest.entries.back();
        entry.number += 1;
        entry.kind = static_cast<std::uint32_t>(kind);
        entry.position = 1ULL << 40;
        std::array<std::byte, file::kManifestEntrySize> raw;
        file::encode_entry(raw, entry, seed);
        ASSERT_TRUE((*file)->write_at(manifest.offset, raw));
        file->reset();
        world = world->power_cut(1, {os::SimCut::Style::everything, 0});
        auto store = Store::open(kPath, options_for(*world));
        EXPECT_FALSE(store) << static_cast<int>(kind);
        auto reader = Store::open(kPath, options_for(*world, Access::read_only));
        if (!reader) continue;
        auto first = reader->snapshot()->at(Position{1});
        EXPECT_TRUE(first) << static_cast<int>(kind);
    }
}

/// The bytes of a file of the store, changed by `change`, with its checksum made right again.
template <class Change>
void change_segment_header(os::SimEnv& world, Change&& change) {
    auto file = world.open("store/log/0000000001.seg", os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    std::vector<std::byte> page(log::kSegmentHeaderSize);
    ASSERT_TRUE((*file)->read_at(0, page));
    auto header = base::load<log::SegmentHeader>(page.data());
    change(header);
    log::encode_segment_header(page.data(), header);
    ASSERT_TRUE((*file)->write_at(0, page));
}

TEST(Opening, ASegmentWithAFeatureThatMustBeUnderstoodIsRefusedUntouched) {
    os::SimEnv world(1);
    {
        auto store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store);
        ASSERT_TRUE(store->append({{.data = "one"}}));
        ASSERT_TRUE(store->close());
    }
    change_segment_header(world, [](log::SegmentHeader& header) { header.may_ignore = 6; });
    {
        auto store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_EQ(store->snapshot()->published().value, 1U);
        ASSERT_TRUE(store->close());
    }
    change_segment_header(world, [](log::SegmentHeader& header) { header.must_understand = 4; });
    auto before = all_files(world);
    auto store = Store::open(kPath, options_for(world));
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, ErrorCode::unsupported_version);
    auto after = all_files(world);
    before.erase("store/lock");  // says who looked last
    after.erase("store/lock");
    EXPECT_EQ(after, before);
    auto reader = Store::open(kPath, options_for(world, Access::read_only));
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().code, ErrorCode::unsupported_version);
}

TEST(Opening, RecordsOfTheStoreItselfAreUnderNoName) {
    os::SimEnv world(1);
    {
        auto store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store);
        for (int n = 0; n < 3; ++n)
            ASSERT_TRUE(store->append({{.stream = "s", .type = "T", .tags = {"t"}, .data = "x"}}));
        ASSERT_TRUE(store->close());
    }
    // The second event becomes a control record; everything that covers it is computed again.
    auto file = world.open("store/log/0000000001.seg", os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file);
    std::vector<std::byte> bytes(*(*file)->size());
    ASSERT_TRUE((*file)->read_at(0, bytes));
    const auto header = base::load<log::SegmentHeader>(bytes.data());
    const log::SegmentKeys keys = log::segment_keys(header.uuid, header.salt);
    std::uint64_t at = log::kSegmentHeaderSize;
    std::uint32_t chain = header.prev_chain;
    for (std::uint64_t position = 1; position <= 3; ++position) {
        auto commit = base::load<log::CommitHeader>(&bytes[at]);
        log::RecordView record;
        const std::uint64_t place = at + sizeof commit;
        ASSERT_EQ(log::decode_record(bytes, place, position, keys.seed, log::Check::body, record),
                  nullptr);
        if (position == 2) {
            bytes[place + offsetof(log::RecordHeader, kind)] =
                static_cast<std::byte>(log::RecordKind::control);
            const std::uint32_t crc =
                base::crc32c(base::crc32c_u64(keys.seed, position),
                             base::Bytes{&bytes[place + 8], record.head_bytes - 8U});
            base::store(&bytes[place + offsetof(log::RecordHeader, head_crc)], crc);
        }
        commit.prev_chain = chain;
        commit.chain = log::add_to_chain(
            log::begin_chain(commit),
            base::load<std::uint32_t>(&bytes[place + offsetof(log::RecordHeader, head_crc)]));
        chain = commit.chain;
        log::encode_commit_header(&bytes[at], commit, keys);
        at += std::uint64_t{commit.length8} * 8;
    }
    ASSERT_TRUE((*file)->write_at(0, bytes));
    file->reset();
    const auto world2 = world.power_cut(1, {os::SimCut::Style::everything, 0});
    ASSERT_TRUE(world2->remove("store/manifest"));
    auto store = Store::open(kPath, options_for(*world2));
    ASSERT_TRUE(store) << store.error().message;
    auto snapshot = store->snapshot();
    EXPECT_EQ(snapshot->published().value, 3U);
    for (const Source source :
         {Source::all(), Source::stream("s"), Source::type("T"), Source::tag("t")}) {
        std::vector<std::uint64_t> found;
        auto seen = snapshot->read(source).for_each(
            [&](const EventView& event) { found.push_back(event.position.value); });
        ASSERT_TRUE(seen) << seen.error().message;
        EXPECT_EQ(found, (std::vector<std::uint64_t>{1, 3}));
        EXPECT_EQ(seen->position.value, 3U);
    }
    EXPECT_EQ(snapshot->types()->front().count, 2U);
}

}  // namespace
}  // namespace varve::test
