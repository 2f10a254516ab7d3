// Goal: the doctor names the state of a store, whatever happened to it, and changes nothing.
// Method: simulated worlds brought into each state; their files are compared afterwards.
#include <gtest/gtest.h>

#include <map>

#include "base/crc32c.hpp"
#include "file/control.hpp"
#include "file/store_file.hpp"
#include "index/active_index.hpp"
#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

OpenOptions options_for(os::SimEnv& world, Durability level = Durability::disk) {
    OpenOptions options;
    options.env = &world;
    options.durability = level;
    options.segment_size_first = options.segment_size_max = 64 << 10;
    return options;
}

Result<Store> write(os::SimEnv& world, int events, Durability level = Durability::disk) {
    auto store = Store::open("store", options_for(world, level));
    const std::string data(3000, 'x');
    for (int n = 0; store && n < events; ++n)
        EXPECT_TRUE(store->append({{.stream = "s", .data = data}}));
    return store;
}

void fill(os::SimEnv& world, int events) {
    auto store = write(world, events);
    ASSERT_TRUE(store->close());
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

void put(os::SimEnv& world, const std::string& path, base::Bytes bytes) {
    if (*world.exists(path)) {
        ASSERT_TRUE(world.remove(path));
    }
    auto file = world.open(path, os::OpenMode::create, 0600);
    ASSERT_TRUE(file) << path;
    ASSERT_TRUE((*file)->write_at(0, bytes));
}

void change(os::SimEnv& world, const std::string& path, std::uint64_t at) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file) << path;
    std::byte byte{};
    ASSERT_TRUE((*file)->read_at(at, {&byte, 1}));
    byte ^= std::byte{0x10};
    ASSERT_TRUE((*file)->write_at(at, {&byte, 1}));
}

std::map<std::string, std::vector<std::byte>> all_files(os::SimEnv& world) {
    std::map<std::string, std::vector<std::byte>> files;
    for (const char* folder : {"store", "store/log", "store/index", "store/dropped"}) {
        auto names = world.list(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            const std::string path = std::string(folder) + "/" + name;
            if (world.open(path, os::OpenMode::read, 0600)) files[path] = bytes_of(world, path);
        }
    }
    return files;
}

Diagnosis examine(os::SimEnv& world) {
    const auto before = all_files(world);
    auto found = Store::doctor("store", options_for(world));
    EXPECT_TRUE(found) << found.error().message;
    EXPECT_EQ(all_files(world), before);
    if (!found) return {};
    EXPECT_FALSE(found->cause.empty());
    EXPECT_FALSE(found->safe.empty());
    return std::move(*found);
}

constexpr const char* kFirst = "store/log/0000000001.seg";

TEST(Doctor, ACleanStore) {
    os::SimEnv world(1);
    EXPECT_EQ(Store::doctor("store", options_for(world)).error().code, ErrorCode::not_found);
    fill(world, 30);
    Diagnosis found = examine(world);
    EXPECT_EQ(found.state, "clean");
    EXPECT_FALSE(found.damaged);
    EXPECT_TRUE(found.foreign.empty());
    put(world, "store/letter", base::as_bytes(std::string("mine")));
    put(world, "store/log/note.txt", base::as_bytes(std::string("mine")));
    found = examine(world);
    EXPECT_EQ(found.state, "clean");
    EXPECT_EQ(found.foreign, (std::vector<std::string>{"letter", "log/note.txt"}));
}

TEST(Doctor, AStoreThatNobodyUsed) {
    os::SimEnv world(1);
    fill(world, 0);
    EXPECT_EQ(examine(world).state, "clean");
}

TEST(Doctor, RunningAndCrashed) {
    os::SimEnv world(1);
    auto store = write(world, 5);
    const Diagnosis found = examine(world);
    EXPECT_EQ(found.state, "running");
    EXPECT_NE(found.cause.find("a simulated process"), std::string::npos);
    EXPECT_EQ(examine(*world.kill(2)).state, "crashed");
}

TEST(Doctor, PowerCut) {
    os::SimEnv world(1);
    auto store = write(world, 5);
    const Diagnosis found = examine(*world.power_cut(2, {os::SimCut::Style::nothing, 0}));
    EXPECT_EQ(found.state, "power cut");
    EXPECT_FALSE(found.damaged);
}

TEST(Doctor, CutTail) {
    os::SimEnv world(1);
    fill(world, 5);
    const auto bytes = bytes_of(world, kFirst);
    put(world, kFirst, base::Bytes{bytes}.first(10'000));
    const Diagnosis found = examine(world);
    EXPECT_EQ(found.state, "cut tail");
    EXPECT_TRUE(found.damaged);
    EXPECT_FALSE(found.unsafe.empty());
}

TEST(Doctor, DamagedMiddle) {
    os::SimEnv world(1);
    fill(world, 60);
    change(world, kFirst, 9'000);
    const Diagnosis found = examine(world);
    EXPECT_EQ(found.state, "damaged middle");
    EXPECT_TRUE(found.damaged);
    EXPECT_NE(found.cause.find("0000000001.seg"), std::string::npos);
}

TEST(Doctor, DamagedIndex) {
    os::SimEnv world(1);
    fill(world, 5);
    for (const std::uint64_t at : {std::uint64_t{2}, std::uint64_t{0}}) {
        const auto whole = bytes_of(world, "store/index/0000000001.act");
        if (at == 2) change(world, "store/index/0000000001.act", at);
        const auto header = base::load<index::ActHeader>(whole.data());
        const index::ActCapacity capacity{header.slots, header.events, header.cells};
        if (at == 0) change(world, "store/index/0000000001.act", capacity.offsets_at() + 4);
        const Diagnosis found = examine(world);
        EXPECT_EQ(found.state, "damaged index") << at;
        EXPECT_EQ(found.indexes, std::vector<std::string>{"index/0000000001.act"});
        EXPECT_FALSE(found.damaged);
        auto file = world.open("store/index/0000000001.act", os::OpenMode::read_write, 0600);
        ASSERT_TRUE((*file)->write_at(0, whole));
    }
    EXPECT_EQ(examine(world).state, "clean");
}

TEST(Doctor, DamagedSealedIndex) {
    os::SimEnv world(21);
    fill(world, 90);
    std::vector<std::string> sealed;
    auto names = world.list("store/index");
    ASSERT_TRUE(names);
    for (const std::string& name : *names) {
        if (name.ends_with(".idx")) sealed.push_back("index/" + name);
    }
    ASSERT_GE(sealed.size(), 2U);
    auto whole = Store::verify("store", options_for(world));
    ASSERT_TRUE(whole);
    EXPECT_TRUE(whole->indexes_damaged.empty());
    EXPECT_TRUE(whole->indexes_missing.empty());
    const std::string path = "store/" + sealed[0];
    const std::uint64_t size = bytes_of(world, path).size();
    for (const std::uint64_t at : {std::uint64_t{0}, size / 2, size - 1}) {
        change(world, path, at);
        auto report = Store::verify("store", options_for(world));
        ASSERT_TRUE(report);
        EXPECT_TRUE(report->damaged.empty());
        ASSERT_EQ(report->indexes_damaged.size(), 1U) << at;
        EXPECT_EQ(report->indexes_damaged[0].file, path);
        auto found = Store::doctor("store", options_for(world));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->state, "damaged index") << at;
        EXPECT_EQ(found->indexes, std::vector<std::string>{sealed[0]});
        EXPECT_FALSE(found->damaged);
        change(world, path, at);
    }
    // One that is whole, of other segments.
    put(world, path, bytes_of(world, "store/" + sealed[1]));
    auto swapped = Store::verify("store", options_for(world));
    ASSERT_TRUE(swapped);
    EXPECT_EQ(swapped->indexes_damaged.size(), 1U);
    ASSERT_TRUE(world.remove(path));
    auto gone = Store::doctor("store", options_for(world));
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->state, "clean");
    EXPECT_EQ(gone->missing, std::vector<std::string>{sealed[0]});
    EXPECT_TRUE(gone->indexes.empty());
}

/// Changes the slot of a list of one event: `key` to another one, else its count to nothing.
void forge_slot(os::SimEnv& world, const std::string& path, bool key) {
    const auto bytes = bytes_of(world, path);
    const auto header = base::load<index::ActHeader>(bytes.data());
    for (std::uint64_t at = index::kActSlotsOffset; at < index::kActSlotsOffset + 16 * header.slots;
         at += 16) {
        if (base::load<std::uint32_t>(&bytes[at + 12]) != 1) continue;
        return change(world, path, key ? at + 7 : at + 14);
    }
    FAIL() << "no list of one event";
}

/// What appending has listed is compared with the log when the segment is sealed.
TEST(Doctor, AnActiveIndexThatListedSomethingElse) {
    for (const char* forged : {"nothing", "count", "key"}) {
        SCOPED_TRACE(forged);
        os::SimEnv world(1);
        {
            auto store = write(world, 3);
            ASSERT_TRUE(store->append({{.stream = "once", .tags = {"a"}, .data = "d"}}));
            if (*forged != 'n') forge_slot(world, "store/index/0000000001.act", *forged == 'k');
            const std::string data(3000, 'x');
            for (int n = 0; n < 60; ++n)
                ASSERT_TRUE(store->append({{.stream = "s", .data = data}}));
            // Sealed from the log by now: everything is found.
            EXPECT_EQ(*store->snapshot()->version("once"), 1U);
            EXPECT_EQ(store->snapshot()->tags("a")->size(), 1U);
            ASSERT_TRUE(store->close());
        }
        auto found = Store::doctor("store", options_for(world));
        auto verified = Store::verify("store", options_for(world));
        ASSERT_TRUE(found);
        ASSERT_TRUE(verified);
        EXPECT_TRUE(found->foreign.empty());
        EXPECT_FALSE(found->damaged);
        if (*forged == 'n') {
            EXPECT_EQ(found->state, "clean");
            EXPECT_TRUE(verified->indexes_damaged.empty());
            continue;
        }
        EXPECT_EQ(found->state, "damaged index");
        EXPECT_EQ(found->indexes, std::vector<std::string>{"index/0000000001.act.differs"});
        ASSERT_EQ(verified->indexes_damaged.size(), 1U);
        EXPECT_EQ(verified->indexes_damaged[0].file, "store/index/0000000001.act.differs");
        // Remembered by the next session, too, until a repair takes it away.
        ASSERT_TRUE(write(world, 1)->close());
        EXPECT_EQ(examine(world).state, "damaged index");
        ASSERT_TRUE(Store::repair("store", {.confirmed = true}, options_for(world)));
        EXPECT_EQ(examine(world).state, "clean");
    }
}

TEST(Doctor, HalfMade) {
    os::SimEnv world(1);
    fill(world, 0);
    ASSERT_TRUE(world.remove("store/varve"));
    EXPECT_EQ(examine(world).state, "half-made");
    os::SimEnv other(1);
    fill(other, 5);
    const auto file = bytes_of(other, "store/varve");
    ASSERT_TRUE(other.remove("store/varve"));
    const Diagnosis lost = examine(other);
    EXPECT_EQ(lost.state, "damaged store file");
    EXPECT_TRUE(lost.damaged);
    put(other, "store/varve.new", file);
    EXPECT_EQ(examine(other).state, "half-made");
    put(other, "store/varve", base::Bytes{file}.first(50));
    EXPECT_EQ(examine(other).state, "damaged store file");
}

TEST(Doctor, FailedSync) {
    os::SimEnv world(1);
    auto store = write(world, 3);
    world.fail_syncs_only(true);
    world.fail_call(1, ErrorCode::io, false);
    EXPECT_FALSE(store->append({{.data = "lost"}}));
    world.stop_failing();
    EXPECT_EQ(examine(world).state, "failed sync");
    EXPECT_EQ(examine(*world.kill(2)).state, "failed sync");
}

TEST(Doctor, NewerFormat) {
    os::SimEnv world(1);
    fill(world, 3);
    file::StoreFile content = base::load<file::StoreFile>(bytes_of(world, "store/varve").data());
    content.must_understand = 1;
    std::array<std::byte, file::kStoreFileSize> bytes;
    file::encode_store_file(bytes, content);
    put(world, "store/varve", bytes);
    EXPECT_EQ(examine(world).state, "newer format");
}

TEST(Doctor, CopiedWhileLive) {
    os::SimEnv world(1);
    auto store = write(world, 30);
    // File by file, as `cp` does it; the log is copied before the manifest and the page.
    os::SimEnv copy(2);
    for (const char* folder : {"store", "store/log", "store/index"})
        ASSERT_TRUE(copy.make_directory(folder, 0700));
    for (const auto& [path, bytes] : all_files(world)) put(copy, path, bytes);
    const Diagnosis found = examine(copy);
    EXPECT_EQ(found.state, "copied while live");
    EXPECT_FALSE(found.damaged);
    change(copy, kFirst, 9'000);
    EXPECT_EQ(examine(copy).state, "copied while live");
    EXPECT_TRUE(examine(copy).damaged);
}

TEST(Doctor, ForeignDirectory) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    EXPECT_EQ(examine(world).state, "empty");
    put(world, "store/letter", base::as_bytes(std::string("mine")));
    const Diagnosis found = examine(world);
    EXPECT_EQ(found.state, "foreign directory");
    EXPECT_EQ(found.foreign, std::vector<std::string>{"letter"});
}

TEST(Doctor, Backups) {
    os::SimEnv world(1);
    auto store = write(world, 30);
    ASSERT_TRUE(store->backup("backup", {}, [](auto, auto) { return false; }));
    auto found = Store::doctor("backup", options_for(world));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->state, "half-made");
    ASSERT_TRUE(store->backup("backup"));
    found = Store::doctor("backup", options_for(world));
    EXPECT_EQ(found->state, "clean");
    EXPECT_TRUE(found->foreign.empty());
}

}  // namespace
}  // namespace varve::test
