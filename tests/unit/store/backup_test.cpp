// Goal: a backup of a store in use holds exactly a durable beginning of it, and a restored store
// is that; whatever is interrupted, cut or in the way, nothing is lost and nothing is overwritten.
// Method: stores in the simulated world, small segments, power cuts at every step.
#include <gtest/gtest.h>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

Result<Store> write(os::SimEnv& world, Durability level = Durability::disk) {
    return Store::open("store", options_for(world, Access::read_write, level));
}
Result<Store> read(os::SimEnv& world, const char* path = "store") {
    return Store::open(path, options_for(world, Access::read_only));
}

std::string text(std::uint64_t n) { return std::to_string(n) + std::string(3000, 'x'); }

/// Appends events `from`… `to`, numbered in their data.
void append(Store& store, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t n = from; n <= to; ++n) {
        const std::string data = text(n);
        auto done = store.append({{.stream = "s", .type = "t", .tags = {"g"}, .data = data}});
        ASSERT_TRUE(done) << done.error().message;
    }
}

/// Expects events 1… `count` and nothing else, however it is asked.
void expect_events(const Store& store, std::uint64_t count) {
    auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().message;
    EXPECT_EQ(snapshot->published().value, count);
    std::uint64_t n = 0;
    auto seen = snapshot->read("s").for_each([&](const EventView& event) {
        ++n;
        EXPECT_EQ(event.data, text(n));
        EXPECT_EQ(event.revision.value, n);
    });
    EXPECT_TRUE(seen) << seen.error().message;
    EXPECT_EQ(n, count);
}

void expect_clean(os::SimEnv& world, const char* path) {
    auto report = Store::verify(path, options_for(world));
    ASSERT_TRUE(report) << report.error().message;
    for (const Damage& one : report->damaged) ADD_FAILURE() << one.file << ": " << one.what;
}

void expect_restores(os::SimEnv& world, std::uint64_t count, const char* target = "restored") {
    auto report = Store::restore("backup", target, options_for(world));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->end.value, count);
    expect_clean(world, target);
    auto store = Store::open(target, options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    expect_events(*store, count);
    append(*store, count + 1, count + 25);  // rolls
    expect_events(*store, count + 25);
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

constexpr os::SimCut kOnlySynced{os::SimCut::Style::nothing, 0};

TEST(Backup, OfAStoreThatIsWrittenToFromItsOwnProcess) {
    os::SimEnv world(1);
    auto store = write(world, Durability::os);
    append(*store, 1, 50);
    auto report = store->backup("backup", {.verify = true});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->complete);
    EXPECT_EQ(report->end.value, 50U);
    EXPECT_EQ(report->left_out, 0U);
    EXPECT_GE(report->segments, 2U);
    append(*store, 51, 60);
    expect_restores(world, 50);
}

TEST(Backup, FromAnotherProcessHoldsWhatIsDurable) {
    os::SimEnv world(1);
    auto store = write(world, Durability::os);
    append(*store, 1, 30);
    ASSERT_TRUE(store->sync());
    append(*store, 31, 33);
    auto reader = read(world);
    auto report = reader->backup("backup");
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->end.value, 30U);
    EXPECT_EQ(report->left_out, 3U);
    expect_restores(world, 30);
}

TEST(Backup, WhereNobodyWritesEverythingIsMadeDurable) {
    os::SimEnv world(1);
    auto store = write(world, Durability::os);
    append(*store, 1, 30);
    const auto killed = world.kill(2);
    auto reader = read(*killed);
    auto report = reader->backup("backup");
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->end.value, 30U);
    // What the backup holds is not lost by the store.
    const auto cut = killed->power_cut(3, kOnlySynced);
    expect_restores(*cut, 30);
    auto again = write(*cut);
    ASSERT_TRUE(again) << again.error().message;
    expect_events(*again, 30);
}

TEST(Backup, OfAnEmptyStore) {
    os::SimEnv world(1);
    auto store = write(world);
    auto report = store->backup("backup");
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->end.value, 0U);
    append(*store, 1, 3);
    expect_restores(world, 0);
    ASSERT_TRUE(store->backup("backup"));
    expect_restores(world, 3, "again");
}

TEST(Backup, TheSecondRunCopiesOnlyWhatIsNew) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 50);
    auto first = store->backup("backup");
    ASSERT_TRUE(first);
    const auto before = bytes_of(world, "backup/log/0000000001.seg");
    append(*store, 51, 52);
    auto second = store->backup("backup");
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(second->first.value, 51U);
    EXPECT_LT(second->copied_bytes, 10'000U);
    EXPECT_GT(second->copied_bytes, 6'000U);
    append(*store, 53, 120);
    auto third = store->backup("backup", {.verify = true});
    ASSERT_TRUE(third) << third.error().message;
    EXPECT_EQ(third->end.value, 120U);
    auto fourth = store->backup("backup");
    EXPECT_EQ(fourth->copied_bytes, 0U);
    EXPECT_EQ(fourth->first.value, 0U);
    EXPECT_EQ(bytes_of(world, "backup/log/0000000001.seg"), before);
    expect_restores(world, 120);
}

TEST(Backup, LinksFinishedSegments) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 70);
    auto report = store->backup("backup", {.link = true});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->linked, report->segments - 1);
    EXPECT_EQ(world.identity_of("backup/log/0000000001.seg")->inode,
              world.identity_of("store/log/0000000001.seg")->inode);
    append(*store, 71, 100);
    ASSERT_TRUE(store->backup("backup", {.link = true}));
    expect_restores(*world.power_cut(2, kOnlySynced), 100);
}

TEST(Backup, CanBeReadButNotWrittenTo) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 30);
    ASSERT_TRUE(store->backup("backup"));
    auto reader = read(world, "backup");
    ASSERT_TRUE(reader) << reader.error().message;
    expect_events(*reader, 30);
    expect_clean(world, "backup");
    auto writer = Store::open("backup", options_for(world));
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().code, ErrorCode::invalid_argument);
}

TEST(Backup, RefusesADirectoryOfSomebodyElse) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 3);
    ASSERT_TRUE(world.make_directory("backup", 0700));
    ASSERT_TRUE(world.open("backup/letter", os::OpenMode::create, 0600));
    auto report = store->backup("backup");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(world.list("backup")->size(), 1U);
    report = store->backup("store");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
    // Another store's backup.
    auto other = Store::open("other", options_for(world));
    ASSERT_TRUE(other->backup("theirs"));
    report = store->backup("theirs");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
}

TEST(Backup, ARestoredStoreIsAnotherHistory) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 30);
    ASSERT_TRUE(store->backup("backup"));
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    auto restored = Store::open("restored", options_for(world));
    ASSERT_TRUE(restored);
    EXPECT_GT(restored->snapshot()->epoch(), store->snapshot()->epoch() + 1);
    append(*store, 31, 31);
    append(*restored, 31, 31);
    // Its continuation goes into the backup of either, but not of both.
    ASSERT_TRUE(store->backup("backup"));
    auto report = restored->backup("backup");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::stale);
    expect_restores(world, 31, "again");
}

TEST(Backup, ACancelledRunIsTakenUp) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 100);
    for (int allowed = 0; allowed < 3; ++allowed) {
        int calls = 0;
        auto report = store->backup("backup", {}, [&](std::uint64_t done, std::uint64_t total) {
            EXPECT_LE(done, total);
            return calls++ < allowed;
        });
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_FALSE(report->complete);
        auto restored = Store::restore("backup", "restored", options_for(world));
        ASSERT_FALSE(restored);
        EXPECT_EQ(restored.error().code, ErrorCode::corrupt);
        EXPECT_NE(restored.error().message.find("incomplete"), std::string::npos);
        EXPECT_FALSE(*world.exists("restored"));
        EXPECT_FALSE(read(world, "backup"));
        EXPECT_FALSE(Store::open("backup", options_for(world)));
    }
    ASSERT_TRUE(store->backup("backup"));
    expect_restores(world, 100);
}

TEST(Backup, ADamagedStoreIsNotBackedUp) {
    os::SimEnv world(1);
    {
        auto store = write(world);
        append(*store, 1, 30);
        ASSERT_TRUE(store->backup("backup"));
        append(*store, 31, 70);
        ASSERT_TRUE(store->close());
    }
    const auto bytes = bytes_of(world, "store/log/0000000003.seg");
    const std::size_t at = base::as_text(bytes).find("xxx");
    const std::byte other{'y'};
    ASSERT_TRUE((*world.open("store/log/0000000003.seg", os::OpenMode::read_write, 0600))
                    ->write_at(at, {&other, 1}));
    auto reader = read(world);
    auto report = reader->backup("backup");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::corrupt);
    expect_restores(world, 30);  // the earlier one is as good as it was
}

TEST(Restore, OverwritesNothing) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 30);
    ASSERT_TRUE(store->backup("backup"));
    append(*store, 31, 31);
    auto report = Store::restore("backup", "store", options_for(world));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::invalid_argument);
    expect_events(*store, 31);
    report = Store::restore("store", "restored", options_for(world));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::not_found);
    EXPECT_FALSE(*world.exists("restored"));
    ASSERT_TRUE(world.make_directory("restored", 0700));
    expect_restores(world, 30);  // an empty directory is in nobody's way
}

TEST(Restore, RefusesADamagedOrTruncatedBackup) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 60);
    ASSERT_TRUE(store->backup("backup"));
    const char* const kFiles[] = {"backup/varve",
                                  "backup/manifest",
                                  "backup/backup",
                                  "backup/log/0000000001.seg",
                                  "backup/log/0000000002.seg",
                                  "backup/log/0000000003.seg"};
    for (const char* path : kFiles) {
        const auto whole = bytes_of(world, path);
        const auto put = [&](std::size_t size) {
            ASSERT_TRUE(world.remove(path));
            auto file = world.open(path, os::OpenMode::create, 0600);
            ASSERT_TRUE((*file)->write_at(0, base::Bytes{whole}.first(size)));
        };
        const auto refused = [&](const char* what) {
            auto report = Store::restore("backup", "restored", options_for(world));
            EXPECT_FALSE(report) << path << " " << what;
            EXPECT_FALSE(*world.exists("restored")) << path << " " << what;
        };
        for (const std::size_t size : {std::size_t{0}, std::size_t{40}, whole.size() / 3}) {
            // Of a manifest the first entries are enough.
            if (size > 256 && std::string(path) == "backup/manifest") continue;
            put(size);
            refused("cut");
        }
        for (const std::size_t at : {std::size_t{10}, std::size_t{40}, std::size_t{5000}}) {
            put(whole.size());
            if (at >= whole.size() || (at == 5000 && std::string(path) == "backup/manifest"))
                continue;
            const std::byte other = whole[at] ^ std::byte{4};
            ASSERT_TRUE(
                (*world.open(path, os::OpenMode::read_write, 0600))->write_at(at, {&other, 1}));
            refused("changed");
        }
        ASSERT_TRUE(world.remove(path));
        refused("missing");
        auto file = world.open(path, os::OpenMode::create, 0600);
        ASSERT_TRUE((*file)->write_at(0, whole));
    }
    expect_restores(world, 60);
}

TEST(Restore, LeavesNothingWhereItFails) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 60);
    ASSERT_TRUE(store->backup("backup"));
    for (std::uint64_t n = 1; n < 200; ++n) {
        world.fail_call(n, ErrorCode::no_space, false);
        const std::uint64_t failed = world.failed_calls();
        auto report = Store::restore("backup", "restored", options_for(world));
        world.stop_failing();
        if (world.failed_calls() == failed) break;
        if (report) {
            // What failed was a convenience.
            ASSERT_TRUE(world.rename("restored", "moved"));
            FAIL() << "call " << n << " failed and nobody noticed";
        }
        EXPECT_EQ(report.error().code, ErrorCode::no_space) << report.error().message;
        EXPECT_FALSE(*world.exists("restored")) << "call " << n;
        ASSERT_LT(n, 199U);
    }
    world.stop_failing();
    auto names = world.list("restored");
    EXPECT_TRUE(names);
}

TEST(Backup, GoesOnAfterAFullDisk) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 60);
    std::uint64_t refused = 0;
    bool done = false;
    for (std::uint64_t n = 1; n < 300 && !done; ++n) {
        world.fail_call(n, ErrorCode::no_space, true);
        auto report = store->backup("backup");
        world.stop_failing();
        done = report.has_value();
        if (done) break;
        ++refused;
        EXPECT_EQ(report.error().code, ErrorCode::no_space) << report.error().message;
        EXPECT_TRUE(report.error().retry);
    }
    EXPECT_TRUE(done);
    EXPECT_GT(refused, 10U);
    append(*store, 61, 61);  // the source is as it was
    expect_restores(world, 60);
}

/// Cuts the power at every step of a backup that follows an earlier one; the earlier one can be
/// restored until the later one can, and the next run takes it up.
TEST(Backup, SurvivesAPowerCutAtEveryStep) {
    for (const std::uint64_t earlier : {0ULL, 25ULL}) {
        os::SimEnv world(7);
        auto store = write(world);
        append(*store, 1, earlier);
        if (earlier > 0) {
            ASSERT_TRUE(store->backup("backup"));
        }
        append(*store, earlier + 1, 60);
        std::vector<std::unique_ptr<os::SimEnv>> cuts;
        std::uint64_t seed = 1;
        world.on_step([&] {
            for (const auto style : {os::SimCut::Style::mixed, os::SimCut::Style::nothing})
                cuts.push_back(world.power_cut(++seed, {style, 0}));
        });
        auto report = store->backup("backup");
        world.on_step({});
        ASSERT_TRUE(report) << report.error().message;
        ASSERT_GT(cuts.size(), 40U);
        for (const auto& cut : cuts) {
            auto restored = Store::restore("backup", "restored", options_for(*cut));
            if (restored) {
                EXPECT_TRUE(restored->end.value == earlier || restored->end.value == 60U);
                auto reopened = Store::open("restored", options_for(*cut));
                ASSERT_TRUE(reopened) << reopened.error().message;
                expect_events(*reopened, restored->end.value);
            } else {
                EXPECT_EQ(earlier, 0U) << restored.error().message;
                EXPECT_FALSE(*cut->exists("restored"));
            }
            auto source = write(*cut);
            ASSERT_TRUE(source) << source.error().message;
            auto again = source->backup("backup");
            ASSERT_TRUE(again) << again.error().message;
            EXPECT_EQ(again->end.value, 60U);
            auto whole = Store::restore("backup", "whole", options_for(*cut));
            ASSERT_TRUE(whole) << whole.error().message;
            EXPECT_EQ(whole->end.value, 60U);
            auto reopened = Store::open("whole", options_for(*cut));
            ASSERT_TRUE(reopened);
            expect_events(*reopened, 60);
        }
        const auto after = world.power_cut(++seed, kOnlySynced);
        expect_restores(*after, 60);  // complete means durable
    }
}

/// Whoever appends and rolls meanwhile is not in the way.
TEST(Backup, WhileSomebodyAppendsAndRolls) {
    os::SimEnv world(3);
    auto store = write(world);
    append(*store, 1, 40);
    auto reader = read(world);
    std::uint64_t next = 41;
    auto report = reader->backup("backup", {}, [&](std::uint64_t, std::uint64_t) {
        append(*store, next, next + 29);
        next += 30;
        return true;
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->end.value, 40U);
    ASSERT_GT(next, 60U);
    auto again = reader->backup("backup");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->end.value, next - 1);
    expect_restores(world, next - 1);
}

TEST(Backup, BehindACut) {
    os::SimEnv world(1);
    auto lazy = write(world, Durability::os);
    append(*lazy, 1, 10);
    ASSERT_TRUE(lazy->sync());
    append(*lazy, 11, 15);
    // Of the tail only some sectors reached the disk.
    const auto cut = world.power_cut(5, {os::SimCut::Style::mixed, 0});
    auto store = write(*cut);
    ASSERT_TRUE(store) << store.error().message;
    const std::uint64_t kept = store->snapshot()->published().value;
    ASSERT_GE(kept, 10U);
    ASSERT_TRUE(store->backup("backup"));
    append(*store, kept + 1, kept + 40);
    ASSERT_TRUE(store->backup("backup"));
    expect_restores(*cut, kept + 40);
}

TEST(Backup, HoldsCheckpoints) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 3);
    ASSERT_TRUE(world.make_directory("store/consumers", 0700));
    auto file = world.open("store/consumers/mail", os::OpenMode::create, 0600);
    const std::string content = "a checkpoint";
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(content)));
    ASSERT_TRUE(store->backup("backup"));
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    EXPECT_EQ(base::as_text(bytes_of(world, "restored/consumers/mail")), content);
}

TEST(Backup, WhatWasErasedIsErasedInTheCopies) {
    os::SimEnv world(1);
    auto store = write(world);
    append(*store, 1, 40);
    ASSERT_TRUE(store->backup("early"));
    const Position erased[] = {Position{3}, Position{30}};
    auto done = store->erase(erased);
    ASSERT_TRUE(done) << done.error().message;
    append(*store, 42, 50);
    // An incremental run learns of it as a fresh one does.
    for (const char* backup : {"early", "late"}) {
        const std::string target = std::string(backup) + "-restored";
        auto report = store->backup(backup, {.verify = true});
        ASSERT_TRUE(report) << report.error().message;
        auto restored = Store::restore(backup, target, options_for(world));
        ASSERT_TRUE(restored) << restored.error().message;
        expect_clean(world, target.c_str());
        auto copy = Store::open(target, options_for(world));
        ASSERT_TRUE(copy) << copy.error().message;
        auto snapshot = copy->snapshot();
        for (const Position position : erased) {
            auto event = snapshot->at(position);
            EXPECT_TRUE((event && event->data.find('x') == std::string_view::npos) ||
                        (!event && event.error().code == ErrorCode::erased))
                << backup << " " << position.value;
        }
        EXPECT_EQ(snapshot->published().value, 50U);
    }
    ASSERT_TRUE(store->close());
    auto salvaged = Store::salvage("store", "target", options_for(world));
    ASSERT_TRUE(salvaged) << salvaged.error().message;
    EXPECT_EQ(salvaged->copied, 47U);
    ASSERT_EQ(salvaged->skipped.size(), 2U);
    EXPECT_NE(salvaged->skipped[0].what.find("erased"), std::string::npos);
}

TEST(Backup, OnRealFiles) {
    const TemporaryDirectory folder;
    OpenOptions options;
    options.segment_size_first = options.segment_size_max = 64 << 10;
    auto store = Store::open(folder.store(), options);
    ASSERT_TRUE(store);
    append(*store, 1, 60);
    const std::string backup = folder.path() + "/backup";
    auto report = store->backup(backup, {.link = true, .verify = true});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_GT(report->linked, 0U);
    append(*store, 61, 90);
    ASSERT_TRUE(store->backup(backup));
    const std::string restored = folder.path() + "/restored/";
    ASSERT_TRUE(Store::restore(backup, restored, options));
    auto again = Store::open(restored, options);
    ASSERT_TRUE(again) << again.error().message;
    expect_events(*again, 90);
    append(*again, 91, 130);
    expect_events(*again, 130);
}

}  // namespace
}  // namespace varve::test
