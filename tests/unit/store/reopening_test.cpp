// Goal: opening for writing keeps every promise about what is there, whatever files were lost.
// Method: a simulated world is brought into the state by hand; then it is opened, used, cut.
#include <gtest/gtest.h>

#include "base/crc32c.hpp"
#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

Result<Store> write(os::SimEnv& world) { return Store::open("store", options_for(world)); }

Result<Store> read(os::SimEnv& world) {
    return Store::open("store", options_for(world, Access::read_only));
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

void change(os::SimEnv& world, const std::string& path, std::uint64_t at, base::Bytes bytes) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file) << path;
    ASSERT_TRUE((*file)->write_at(at, bytes));
}

constexpr const char* kFirst = "store/log/0000000001.seg";
constexpr const char* kSecond = "store/log/0000000002.seg";
constexpr const char* kDropped = "store/dropped/0000000002.seg";

/// Zeroes the first byte of the last `text` in the first segment.
void lose(os::SimEnv& world, std::string_view text) {
    const auto bytes = bytes_of(world, kFirst);
    const std::size_t at = base::as_text(bytes).rfind(text);
    ASSERT_NE(at, std::string_view::npos);
    const std::byte zero{0};
    change(world, kFirst, at, {&zero, 1});
}

const AppendOptions kDisk{.durability = Durability::disk};

/// A writer whose appends are synced only where it is asked for.
Result<Store> write_lazily(os::SimEnv& world) {
    OpenOptions options = options_for(world);
    options.durability = Durability::os;
    return Store::open("store", options);
}

constexpr os::SimCut kOnlySynced{os::SimCut::Style::nothing, 0};

TEST(Reopening, EpochsDoNotFallWhenTheManifestIsLost) {
    os::SimEnv first(1);
    for (int session = 0; session < 4; ++session) {
        auto writer = write(first);
        ASSERT_TRUE(writer);
        ASSERT_TRUE(writer->append({{.data = "old"}}));
        ASSERT_TRUE(writer->close());
    }
    const auto second = first.power_cut(2, kOnlySynced);
    ASSERT_TRUE(second->remove("store/manifest"));
    auto writer = write(*second);
    ASSERT_TRUE(writer) << writer.error().message;
    ASSERT_EQ(writer->snapshot()->published().value, 4U);
    ASSERT_TRUE(writer->append({{.data = "acknowledged"}}));
    const auto third = second->power_cut(3, kOnlySynced);
    auto again = write(*third);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->snapshot()->published().value, 5U);
    EXPECT_GT(again->snapshot()->epoch(), writer->snapshot()->epoch());
}

TEST(Reopening, AReaderLeavesAPageWhoseSuccessorNobodyAnnounced) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    ASSERT_TRUE(writer->close());
    auto reader = read(world);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    // A writer made a new page and died before it could mark the old one.
    const auto page = bytes_of(world, "store/control");
    auto fresh = world.open("store/control.new", os::OpenMode::create, 0600);
    ASSERT_TRUE((*fresh)->write_at(0, page));
    ASSERT_TRUE(world.rename("store/control.new", "store/control"));
    auto next = write(world);
    ASSERT_TRUE(next->append({{.data = "two"}}));
    auto run = live->next(5'000);
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(run->size(), 1U);
    EXPECT_EQ(reader->snapshot()->published().value, 2U);
}

TEST(Reopening, AReaderGoesOnWhenIndexesWereMadeAgain) {
    os::SimEnv world(1);
    auto writer = write(world);
    ASSERT_TRUE(writer->append({{.data = "one"}}));
    ASSERT_TRUE(writer->close());
    auto reader = read(world);
    auto live = reader->follow();
    EXPECT_EQ(live->next(0)->size(), 1U);
    ASSERT_TRUE(world.remove("store/index/0000000001.act"));
    auto next = write(world);
    ASSERT_TRUE(next->append({{.data = "two"}}));
    ASSERT_TRUE(next->append({{.data = std::string(63'000, 'r')}}));  // rolls
    ASSERT_TRUE(next->append({{.data = "four"}}));
    auto run = live->next(5'000);
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(run->size(), 3U);
    EXPECT_EQ(reader->snapshot()->at(Position{2})->data, "two");
}

/// A world whose only durable event is the first one; the second is torn, and a segment has been
/// begun behind it.
std::unique_ptr<os::SimEnv> torn_before_a_second_segment() {
    os::SimEnv first(1);
    std::unique_ptr<os::SimEnv> world;
    auto writer = write_lazily(first);
    EXPECT_TRUE(writer->append({{.data = "one"}}, kDisk));
    EXPECT_TRUE(writer->append({{.data = "torn"}}));
    first.on_step([&] {
        if (world != nullptr || !*first.exists(kSecond)) return;
        const auto second = bytes_of(first, kSecond);
        if (second.size() > 4096 && !base::all_zero(base::Bytes{second}.first(4096)))
            world = first.kill(2);
    });
    EXPECT_TRUE(writer->append({{.data = std::string(63'000, 'd')}}));
    first.on_step({});
    lose(*world, "torn");
    EXPECT_TRUE(world->remove("store/control"));
    return world;
}

TEST(Reopening, WhatACutLeftBehindStaysDead) {
    const auto made = torn_before_a_second_segment();
    os::SimEnv& world = *made;
    {
        auto writer = write(world);
        ASSERT_TRUE(writer) << writer.error().message;
        ASSERT_EQ(writer->snapshot()->published().value, 1U);
        ASSERT_TRUE(*world.exists(kDropped));
        for (int n = 0; n < 5; ++n) ASSERT_TRUE(writer->append({{.data = "new"}}));
        // As if it had died between the entry in the manifest and the move.
        ASSERT_TRUE(world.rename(kDropped, kSecond));
        auto reader = read(world);
        ASSERT_TRUE(reader);
        EXPECT_EQ(reader->opening().how, Opening::How::following);
        EXPECT_EQ(reader->snapshot()->published().value, 6U);
        EXPECT_EQ(reader->snapshot()->at(Position{3})->data, "new");
    }
    auto again = write(world);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->snapshot()->published().value, 6U);
    EXPECT_FALSE(*world.exists(kSecond));
    EXPECT_TRUE(*world.exists(kDropped));
}

TEST(Reopening, DurableDoesNotFallWhenItsEventIsDamaged) {
    os::SimEnv first(1);
    auto before = write_lazily(first);
    ASSERT_TRUE(before->append({{.data = "one"}}, kDisk));
    ASSERT_TRUE(before->append({{.stream = "victim", .data = "two"}}, kDisk));
    ASSERT_TRUE(before->append({{.data = "three"}}));
    const auto world = first.kill(2);
    auto reader = read(*world);
    EXPECT_EQ(reader->snapshot()->durable().value, 2U);
    lose(*world, "victim");
    auto writer = write(*world);
    ASSERT_TRUE(writer) << writer.error().message;
    EXPECT_EQ(writer->opening().how, Opening::How::rolled_forward);
    EXPECT_GE(writer->snapshot()->durable().value, 2U);
    EXPECT_GE(reader->snapshot()->durable().value, 2U);
    ASSERT_TRUE(writer->append({{.data = "four"}}));
    EXPECT_EQ(reader->snapshot()->durable().value, 4U);
}

TEST(Reopening, RecordedTimesDoNotFallWhenTheClockIsSetBack) {
    enum class Stop : std::uint8_t { closed, killed, cut };
    for (const Stop stop : {Stop::closed, Stop::killed, Stop::cut}) {
        os::SimEnv first(1);
        auto before = write(first);
        ASSERT_TRUE(before->append({{.data = "one"}}));
        if (stop == Stop::closed) {
            ASSERT_TRUE(before->close());
        }
        const auto world = stop == Stop::cut ? first.power_cut(2, kOnlySynced) : first.kill(2);
        world->set_clock(1'600'000'000'000'000);
        auto writer = write(*world);
        ASSERT_TRUE(writer->append({{.data = "two"}}));
        auto snapshot = writer->snapshot();
        EXPECT_GE(snapshot->at(Position{2})->time_us, snapshot->at(Position{1})->time_us)
            << static_cast<int>(stop);
    }
}

TEST(Reopening, LostPositionsAreNamedAlsoWhenThePageLeadsNowhere) {
    os::SimEnv world(1);
    {
        auto writer = write(world);
        ASSERT_TRUE(writer->append({{.data = "durable"}}));
        world.fail_syncs_only(true);
        world.fail_call(1, ErrorCode::io, true);
        ASSERT_FALSE(writer->append({{.data = "shown only"}}));
        world.stop_failing();
    }
    lose(world, "shown only");
    ASSERT_TRUE(world.remove("store/index/0000000001.act"));
    auto again = write(world);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->opening().how, Opening::How::recovered);
    EXPECT_EQ(again->opening().lost_first.value, 2U);
    EXPECT_EQ(again->opening().lost_last.value, 2U);
}

/// Gives the last entry of the manifest another position, with a right checksum.
void forge_position(os::SimEnv& world, std::uint64_t position) {
    const auto store = file::decode_store_file(bytes_of(world, "store/varve"), "varve");
    ASSERT_TRUE(store);
    const std::uint32_t seed = base::crc32c(0x4D414E49, base::Bytes{store->uuid});
    const file::ManifestContent content =
        file::decode_manifest(bytes_of(world, "store/manifest"), seed);
    ASSERT_FALSE(content.entries.empty());
    file::ManifestEntry last = content.entries.back();
    last.position = position;
    std::array<std::byte, file::kManifestEntrySize> raw;
    file::encode_entry(raw, last, seed);
    change(world, "store/manifest", content.offset - raw.size(), raw);
}

void expect_refused_for_its_manifest(os::SimEnv& world, std::uint64_t position) {
    forge_position(world, position);
    auto opened = write(world);
    ASSERT_FALSE(opened) << position;
    EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
    const auto after = world.power_cut(2, {os::SimCut::Style::everything, 0});
    auto reader = read(*after);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->snapshot()->at(Position{1})->data, "one");
    EXPECT_LT(reader->snapshot()->published().value, 10U);
}

TEST(Reopening, ImpossiblePositionsOfACloseAreCorrupt) {
    for (const std::uint64_t position : {1ULL << 40, ~0ULL, ~0ULL - 1, 0ULL}) {
        os::SimEnv world(1);
        {
            auto writer = write(world);
            ASSERT_TRUE(writer->append({{.data = "one"}}));
            ASSERT_TRUE(writer->append({{.data = std::string(63'000, 'r')}}));  // rolls
            ASSERT_TRUE(writer->close());
        }
        expect_refused_for_its_manifest(world, position);
    }
}

TEST(Reopening, ImpossiblePositionsOfACutAreCorrupt) {
    for (const std::uint64_t position : {1ULL << 40, ~0ULL, ~0ULL - 1}) {
        const auto world = torn_before_a_second_segment();
        {
            auto writer = write(*world);
            ASSERT_TRUE(writer);
            world->fail_call(1, ErrorCode::io, true);  // dies: its last entry is the cut
        }
        world->stop_failing();
        expect_refused_for_its_manifest(*world, position);
    }
}

TEST(Reopening, PagesBehindACutAreGivenBackUnlessSomebodyMayStillSeeThem) {
    os::SimEnv first(1);
    auto before = write_lazily(first);
    ASSERT_TRUE(before->append({{.data = "one"}}, kDisk));
    ASSERT_TRUE(before->append({{.data = "torn"}}));
    ASSERT_TRUE(before->append({{.data = std::string(20'000, 'd')}}));
    const auto killed = first.kill(2);
    os::SimEnv& world = *killed;
    lose(world, "torn");
    const auto full = [](os::SimEnv& where) {
        return base::as_text(bytes_of(where, kFirst)).find(std::string(9'000, 'd')) !=
               std::string_view::npos;
    };
    const auto other_boot = world.power_cut(2, {os::SimCut::Style::everything, 0});
    ASSERT_TRUE(full(*other_boot));
    ASSERT_EQ(write(*other_boot)->snapshot()->published().value, 1U);
    EXPECT_FALSE(full(*other_boot));
    EXPECT_EQ(write(*other_boot)->snapshot()->at(Position{1})->data, "one");
    // In this boot a reader may hold a view of the last event.
    ASSERT_TRUE(world.remove("store/index/0000000001.act"));
    ASSERT_TRUE(full(world));
    ASSERT_TRUE(write(world));
    EXPECT_TRUE(full(world));
}

}  // namespace
}  // namespace varve::test
