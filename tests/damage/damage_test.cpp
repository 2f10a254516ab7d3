// Goal: no damaged bit goes unnoticed, no damaged or truncated file makes the library crash or
// hang, and damage stays local. Method: a small store with several segments, made once in memory;
// then every bit of its files flipped, every length of every file tried, files removed and
// exchanged. Checked by verify, by a reader, and by opening for writing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

const char* const kPath = "store";
using Image = std::map<std::string, std::vector<std::byte>>;

OpenOptions options_for(os::SimEnv& world, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

/// The durable files of a small store, without what is memory of one boot. Two sessions; the last
/// one closed.
Image make_store(std::size_t data_size, int commits) {
    os::SimEnv world(1);
    for (int session = 0; session < 2; ++session) {
        auto store = Store::open(kPath, options_for(world));
        EXPECT_TRUE(store);
        for (int n = 0; n < commits; ++n) {
            const std::string data(data_size + static_cast<std::size_t>(n) % 5,
                                   static_cast<char>('a' + n % 26));
            EXPECT_TRUE(
                store->append({{.stream = "order-" + std::string(1, static_cast<char>('0' + n % 3)),
                                .type = "Placed",
                                .tags = {"customer/7", "x"},
                                .data = data,
                                .metadata = "{}",
                                .id = EventId{}},
                               {.data = "second"}}));
        }
        EXPECT_TRUE(store->close());
    }
    Image image;
    for (const char* directory : {"store", "store/log"}) {
        const auto names = world.list(directory);
        for (const std::string& name : *names) {
            const std::string path = std::string(directory) + "/" + name;
            if (name == "control" || name == "lock") continue;
            auto file = world.open(path, os::OpenMode::read, 0600);
            if (!file) continue;
            std::vector<std::byte> bytes(*(*file)->size());
            EXPECT_TRUE((*file)->read_at(0, bytes));
            // A segment that was prepared and never used says nothing.
            if (std::any_of(bytes.begin(), bytes.end(),
                            [](std::byte b) { return b != std::byte{0}; }))
                image[path] = bytes;
        }
    }
    return image;
}

std::unique_ptr<os::SimEnv> world_of(const Image& image) {
    auto world = std::make_unique<os::SimEnv>(2);
    for (const char* directory : {"store", "store/log", "store/index"})
        EXPECT_TRUE(world->make_directory(directory, 0700));
    for (const auto& [path, bytes] : image) {
        auto file = world->open(path, os::OpenMode::create, 0600);
        EXPECT_TRUE(file);
        EXPECT_TRUE((*file)->write_at(0, bytes));
    }
    return world;
}

/// Events that a reader can see and that are as they were appended; -1 if it cannot open.
int readable_events(os::SimEnv& world) {
    auto store = Store::open(kPath, options_for(world, Access::read_only));
    if (!store) return -1;
    auto snapshot = store->snapshot();
    if (!snapshot) return -1;
    int events = 0;
    for (std::uint64_t p = 1; p <= snapshot->published().value; ++p)
        events += snapshot->at(Position{p}) ? 1 : 0;
    return events;
}

bool is_noticed(os::SimEnv& world) {
    auto report = Store::verify(kPath, options_for(world));
    return !report || !report->damaged.empty();
}

std::size_t used(const std::vector<std::byte>& bytes) {
    std::size_t end = bytes.size();
    while (end > 0 && bytes[end - 1] == std::byte{0}) --end;
    return end;
}

TEST(Damage, TheUndamagedStoreIsWhole) {
    auto world = world_of(make_store(50, 6));
    EXPECT_FALSE(is_noticed(*world));
    EXPECT_EQ(readable_events(*world), 24);
}

TEST(Damage, EveryFlippedBitIsNoticedAndStaysLocal) {
    const Image image = make_store(50, 6);
    std::size_t flips = 0;
    for (const auto& [path, bytes] : image) {
        for (std::size_t bit = 0; bit < used(bytes) * 8; ++bit) {
            Image damaged = image;
            damaged[path][bit / 8] ^= std::byte{1} << (bit % 8);
            auto world = world_of(damaged);
            ASSERT_TRUE(is_noticed(*world)) << path << " byte " << bit / 8 << " bit " << bit % 8;
            ++flips;
            if (path == "store/varve" || bit % 16 != 0) continue;
            // A commit has two events; a damaged record takes at most itself, a damaged segment
            // header nothing.
            ASSERT_GE(readable_events(*world), 23)
                << path << " byte " << bit / 8 << " bit " << bit % 8;
        }
    }
    EXPECT_GT(flips, 30'000U);
    std::printf("%zu flipped bits: all noticed\n", flips);
}

TEST(Damage, EveryTruncationIsAnErrorOrAPrefix) {
    const Image image = make_store(50, 6);
    std::size_t lengths = 0;
    for (const auto& [path, bytes] : image) {
        const std::size_t interesting = used(bytes) + 64;
        for (std::size_t length = 0; length < bytes.size();
             length += length < interesting ? 1 : 997) {
            Image cut = image;
            cut[path].resize(length);
            auto world = world_of(cut);
            const int events = readable_events(*world);
            EXPECT_LE(events, 24) << path << " cut to " << length;
            auto store = Store::open(kPath, options_for(*world));
            if (store) {
                // The store was closed: nothing may be missing from one that opens for writing.
                auto snapshot = store->snapshot();
                ASSERT_TRUE(snapshot);
                EXPECT_EQ(snapshot->published().value, 24U) << path << " cut to " << length;
            }
            ++lengths;
        }
    }
    std::printf("%zu lengths: errors or everything\n", lengths);
}

TEST(Damage, MissingAndForeignFilesAreNoticed) {
    const Image image = make_store(9'000, 10);  // several segments
    std::vector<std::string> segments;
    for (const auto& [path, bytes] : image) {
        if (path.ends_with(".seg")) segments.push_back(path);
    }
    ASSERT_GE(segments.size(), 3U);
    for (const std::string& path : segments) {
        Image missing = image;
        missing.erase(path);
        auto world = world_of(missing);
        EXPECT_TRUE(is_noticed(*world)) << path;
        EXPECT_GT(readable_events(*world), 10) << path;
        auto store = Store::open(kPath, options_for(*world));
        EXPECT_FALSE(store) << path;
    }
    Image exchanged = image;
    std::swap(exchanged[segments[0]], exchanged[segments[1]]);
    auto world = world_of(exchanged);
    EXPECT_TRUE(is_noticed(*world));
    EXPECT_FALSE(Store::open(kPath, options_for(*world)));
    Image zeroed = image;
    std::fill(zeroed[segments[1]].begin(), zeroed[segments[1]].end(), std::byte{0});
    world = world_of(zeroed);
    EXPECT_TRUE(is_noticed(*world));
    EXPECT_FALSE(Store::open(kPath, options_for(*world)));
}

TEST(Damage, ANewerFormatIsRefusedUntouched) {
    Image image = make_store(50, 2);
    image["store/varve"][8] = std::byte{2};
    const Image before = image;
    auto world = world_of(image);
    auto refused = Store::open(kPath, options_for(*world));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported_version);
    auto names = world->list("store");
    EXPECT_FALSE(std::find(names->begin(), names->end(), "lock") != names->end());
}

TEST(Damage, AnIterationThatMetDamageDoesNotLookComplete) {
    Image image = make_store(50, 6);
    auto& segment = image["store/log/0000000001.seg"];
    segment[4096 + 300] ^= std::byte{1};
    auto world = world_of(image);
    auto store = Store::open(kPath, options_for(*world, Access::read_only));
    ASSERT_TRUE(store);
    auto snapshot = store->snapshot();
    auto events = snapshot->read(Source::all());
    auto run = events.next();
    while (run && !run->empty()) run = events.next();
    ASSERT_FALSE(run);
    EXPECT_EQ(run.error().code, ErrorCode::corrupt);
    EXPECT_EQ(events.status(), Events::Status::stopped);
    EXPECT_FALSE(events.seen());
    EXPECT_FALSE(run.error().file.empty());
}

}  // namespace
}  // namespace varve::test
