// Goal: a repair that cannot be made says why, with the code that fits, and changes not one byte
// and not one name. Method: simulated directories of each such kind; names and bytes of everything
// are compared before and after, asked for the plan and told to go on.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/crc32c.hpp"
#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "log/recovery.hpp"
#include "os/sim_env.hpp"
#include "support/forge.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr const char* kSegment = "store/log/0000000001.seg";
constexpr const char* kDirectory = "a directory";

using Content = std::map<std::string, std::string>;

void add_content(os::SimEnv& world, const std::string& directory, Content& content) {
    auto names = world.list(directory);
    if (!names) return;
    for (const std::string& name : *names) {
        const std::string path = directory + "/" + name;
        auto file = world.open(path, os::OpenMode::read, 0600);
        if (!file) {
            content[path] = kDirectory;
            add_content(world, path, content);
            continue;
        }
        std::string bytes(*(*file)->size(), '\0');
        EXPECT_TRUE((*file)->read_at(0, std::as_writable_bytes(std::span<char>(bytes))));
        content[path] = std::move(bytes);
    }
}

/// Every name below the directory, with the bytes of each file.
Content content_of(os::SimEnv& world) {
    Content content;
    add_content(world, "store", content);
    return content;
}

/// Refused as long as nothing changes, and nothing has changed. `what`: words of the message.
void expect_refused(os::SimEnv& world, ErrorCode code, std::string_view what) {
    const Content before = content_of(world);
    for (const bool confirmed : {false, true}) {
        SCOPED_TRACE(confirmed);
        auto report = Store::repair("store", {.confirmed = confirmed}, options_for(world));
        ASSERT_FALSE(report);
        const Error& error = report.error();
        EXPECT_EQ(error.code, code) << error.message;
        EXPECT_NE(error.message.find(what), std::string::npos) << error.message;
        EXPECT_NE(error.message.find("nothing was changed"), std::string::npos) << error.message;
        EXPECT_EQ(error.file.substr(0, 5), "store");
        const Content after = content_of(world);
        ASSERT_EQ(after.size(), before.size());
        for (const auto& [path, bytes] : before) {
            // Who takes the lock leaves a note in it that says who has it.
            if (path == "store/lock") continue;
            ASSERT_TRUE(after.contains(path)) << path;
            EXPECT_TRUE(after.at(path) == bytes) << path;
        }
    }
}

void put(os::SimEnv& world, const std::string& path, base::Bytes bytes) {
    if (*world.exists(path)) {
        ASSERT_TRUE(world.remove(path));
    }
    auto file = world.open(path, os::OpenMode::create, 0600);
    ASSERT_TRUE(file) << path;
    ASSERT_TRUE((*file)->write_at(0, bytes));
    ASSERT_TRUE((*file)->sync());
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    std::vector<std::byte> bytes(file ? *(*file)->size() : 0);
    if (file) static_cast<void>((*file)->read_at(0, bytes));
    return bytes;
}

void fill(os::SimEnv& world, int events) {
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    const std::string data(3'000, 'x');
    for (int n = 0; n < events; ++n) ASSERT_TRUE(store->append({{.stream = "s", .data = data}}));
    ASSERT_TRUE(store->close());
}

TEST(RepairRefusal, AnEmptyDirectory) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    expect_refused(world, ErrorCode::not_a_store, "the directory is empty");
}

TEST(RepairRefusal, ADirectoryOfSomebodyElse) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    put(world, "store/letter", base::as_bytes(std::string("mine")));
    expect_refused(world, ErrorCode::not_a_store, "foreign directory");
    // Of names that we give as well.
    for (const char* name : {"manifest", "control", "lock"})
        put(world, std::string("store/") + name, base::as_bytes(std::string("mine too")));
    expect_refused(world, ErrorCode::not_a_store, "");
}

TEST(RepairRefusal, AForeignFileOfTheStoresName) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    put(world, "store/varve", base::as_bytes(std::string("#!/bin/sh\n")));
    put(world, "store/letter", base::as_bytes(std::string("mine")));
    expect_refused(world, ErrorCode::not_a_store, "");
}

TEST(RepairRefusal, AStoreThatIsHalfMade) {
    os::SimEnv world(1);
    fill(world, 0);
    ASSERT_TRUE(world.remove("store/varve"));
    expect_refused(world, ErrorCode::not_a_store, "half-made");
}

/// Whatever an interrupted making, restore or salvage leaves.
TEST(RepairRefusal, WhateverAnInterruptedMakingLeaves) {
    std::uint64_t refused = 0;
    for (const bool salvage : {false, true}) {
        os::SimEnv made(1);
        if (salvage) {
            auto store = Store::open("source", options_for(made));
            ASSERT_TRUE(store);
            for (int n = 0; n < 3; ++n) ASSERT_TRUE(store->append({{.data = "d"}}));
            ASSERT_TRUE(store->close());
        }
        std::vector<std::unique_ptr<os::SimEnv>> images;
        made.on_step([&] { images.push_back(made.kill(images.size())); });
        if (salvage) {
            ASSERT_TRUE(Store::salvage("source", "store", options_for(made)));
        } else {
            ASSERT_TRUE(Store::open("store", options_for(made)));
        }
        made.on_step({});
        for (const auto& image : images) {
            auto found = Store::doctor("store", options_for(*image));
            if (!found || (found->state != "half-made" && found->state != "empty")) continue;
            ++refused;
            expect_refused(*image, ErrorCode::not_a_store, found->state);
        }
    }
    EXPECT_GT(refused, 20U);
}

TEST(RepairRefusal, AStoreFileThatIsLostOrDamaged) {
    os::SimEnv world(1);
    fill(world, 5);
    const auto whole = bytes_of(world, "store/varve");
    put(world, "store/varve", base::Bytes{whole}.first(50));
    expect_refused(world, ErrorCode::not_a_store, "damaged store file");
    ASSERT_TRUE(world.remove("store/varve"));
    expect_refused(world, ErrorCode::not_a_store, "damaged store file");
    put(world, "store/varve.new", whole);
    expect_refused(world, ErrorCode::not_a_store, "half-made");
}

TEST(RepairRefusal, ABackup) {
    os::SimEnv world(1);
    {
        auto store = Store::open("source", options_for(world));
        ASSERT_TRUE(store);
        ASSERT_TRUE(store->append({{.data = "d"}}));
        ASSERT_TRUE(store->backup("store"));
        ASSERT_TRUE(store->close());
    }
    expect_refused(world, ErrorCode::not_a_store, "backup");
}

/// A writer that works, and one whose sync has failed and that is still there.
TEST(RepairRefusal, AWriterThatHasItOpen) {
    for (const bool failed : {false, true}) {
        SCOPED_TRACE(failed);
        os::SimEnv world(1);
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        ASSERT_TRUE(store->append({{.data = "d"}}));
        world.fail_syncs_only(true);
        if (failed) {
            world.fail_call(1, ErrorCode::io, false);
            ASSERT_FALSE(store->append({{.data = "lost"}}));
            world.stop_failing();
        }
        auto found = Store::doctor("store", options_for(world));
        ASSERT_TRUE(found);
        EXPECT_TRUE(found->open);
        EXPECT_EQ(found->state, failed ? "failed sync" : "running");
        expect_refused(world, ErrorCode::locked, "a simulated process");
        // When the writer has gone the state may be the same, and the store is free.
        const auto left = world.kill(2);
        found = Store::doctor("store", options_for(*left));
        ASSERT_TRUE(found);
        EXPECT_FALSE(found->open);
        EXPECT_EQ(found->state, failed ? "failed sync" : "crashed");
        auto report = Store::repair("store", {.confirmed = true}, options_for(*left));
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_TRUE(report->done);
        EXPECT_EQ(report->events, 0U);
    }
}

file::StoreFile store_file(os::SimEnv& world) {
    return base::load<file::StoreFile>(bytes_of(world, "store/varve").data());
}

TEST(RepairRefusal, AStoreOfANewerVersion) {
    using Change = std::function<void(file::StoreFile&)>;
    const Change changes[] = {[](auto& file) { file.must_understand = 1; },
                              [](auto& file) { ++file.major; }};
    for (const Change& change : changes) {
        os::SimEnv world(1);
        fill(world, 3);
        file::StoreFile content = store_file(world);
        change(content);
        std::array<std::byte, file::kStoreFileSize> bytes;
        file::encode_store_file(bytes, content);
        put(world, "store/varve", bytes);
        expect_refused(world, ErrorCode::unsupported_version, "newer format");
    }
}

TEST(RepairRefusal, ASegmentOfANewerVersion) {
    os::SimEnv world(1);
    fill(world, 60);
    auto bytes = bytes_of(world, kSegment);
    log::SegmentHeader header;
    ASSERT_EQ(log::decode_segment_header(bytes.data(), header), log::HeaderState::valid);
    header.must_understand = 1;
    log::encode_segment_header(bytes.data(), header);
    put(world, kSegment, bytes);
    expect_refused(world, ErrorCode::unsupported_version, "newer");
}

TEST(RepairRefusal, AManifestEntryOfANewerVersion) {
    os::SimEnv world(1);
    fill(world, 3);
    auto bytes = bytes_of(world, "store/manifest");
    const std::uint32_t seed = base::crc32c(0x4D414E49, base::Bytes{store_file(world).uuid});
    const file::ManifestContent content = file::decode_manifest(bytes, seed);
    ASSERT_FALSE(content.entries.empty());
    file::ManifestEntry entry = content.entries.back();
    ++entry.number;
    entry.kind = file::kMustUnderstand | 7U;
    file::encode_entry(std::span<std::byte, file::kManifestEntrySize>(bytes.data() + content.offset,
                                                                      file::kManifestEntrySize),
                       entry, seed);
    put(world, "store/manifest", bytes);
    expect_refused(world, ErrorCode::unsupported_version, "newer");
}

/// It stands behind the end, or with damage before it.
TEST(RepairRefusal, ACommitOfANewerVersion) {
    for (const bool damaged : {false, true}) {
        SCOPED_TRACE(damaged);
        os::SimEnv world(1);
        fill(world, 3);
        const file::StoreFile store = store_file(world);
        auto bytes = bytes_of(world, kSegment);
        const log::SegmentImage image = log::look_at(1, bytes, store.uuid, store.secret);
        log::LogPoint end =
            log::walk_commits(bytes, image.keys, {1, log::kSegmentHeaderSize, 0, 0, 0}).end;
        const index::Hasher hasher(store.secret, static_cast<std::uint8_t>(store.hash_bits));
        forge(bytes.data(), end, image.keys, {.records = {{.kind = 9}}}, hasher);
        if (damaged) bytes[log::kSegmentHeaderSize + 1'000] ^= std::byte{0x10};
        put(world, kSegment, bytes);
        expect_refused(world, ErrorCode::unsupported_version, "newer");
    }
}

/// Erased bodies are told from damaged ones by the records of their erasure alone.
TEST(RepairRefusal, RecordsOfErasureBehindTheDamage) {
    os::SimEnv world(1);
    fill(world, 10);
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        const Position third[] = {Position{3}};
        ASSERT_TRUE(store->erase(third));
        ASSERT_TRUE(store->close());
    }
    auto bytes = bytes_of(world, kSegment);
    const std::string_view text = base::as_text(bytes);
    // The last of the ten.
    bytes[text.rfind(std::string(3'000, 'x')) + 20] ^= std::byte{0x10};
    put(world, kSegment, bytes);
    expect_refused(world, ErrorCode::corrupt, "records of erasure lie behind the damage");
    auto report = Store::repair("store", {}, options_for(world));
    EXPECT_NE(report.error().message.find("varve salvage"), std::string::npos);
    // What is to be done instead works: all but the damaged event and the erased one.
    auto salvaged = Store::salvage("store", "saved", options_for(world));
    ASSERT_TRUE(salvaged) << salvaged.error().message;
    EXPECT_EQ(salvaged->copied, 8U);
}

}  // namespace
}  // namespace varve::test
