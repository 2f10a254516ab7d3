// Goal: no damaged bit goes unnoticed, no damaged or truncated file makes the library crash or
// hang, and damage stays local. Method: a small store with several segments, made once in memory;
// then every bit of its files flipped, every length of every file tried, files removed and
// exchanged. Checked by verify, by a reader, and by opening for writing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "index/active_index.hpp"
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
            EventId id;
            id.bytes = {static_cast<std::byte>(session), static_cast<std::byte>(n)};
            const std::string data(data_size + static_cast<std::size_t>(n) % 5,
                                   static_cast<char>('a' + n % 26));
            EXPECT_TRUE(
                store->append({{.stream = "order-" + std::string(1, static_cast<char>('0' + n % 3)),
                                .type = "Placed",
                                .tags = {"customer/7", "x"},
                                .data = data,
                                .metadata = "{}",
                                .id = id},
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

/// Answers by name: each is an error, or exactly what the undamaged store answers. Empty, or what
/// is wrong.
std::string answers_by_name(os::SimEnv& world, Access access) {
    auto store = Store::open(kPath, options_for(world, access));
    if (!store) return "";
    auto snapshot = store->snapshot();
    if (!snapshot) return "";
    const std::pair<Source, std::size_t> expected[] = {
        {Source::stream("order-0"), 4}, {Source::stream("order-1"), 4},
        {Source::stream("order-2"), 4}, {Source::category("order"), 12},
        {Source::type("Placed"), 12},   {Source::tag("customer/7"), 12},
        {Source::tag("x"), 12},         {Source::all(), 24},
        {Source::stream("order-9"), 0}};
    for (const auto& [source, count] : expected) {
        std::size_t found = 0;
        auto seen = snapshot->read(source).for_each([&](const EventView&) { ++found; });
        if (seen && found != count) return std::string(source.name) + " is short, without a word";
        if (source.kind != Source::Kind::stream) continue;
        auto version = snapshot->version(source.name);
        if (version && *version != count) return "a wrong version of " + std::string(source.name);
        if (access == Access::read_only || count == 0) continue;
        auto taken =
            store->append({{.stream = source.name}}, {.expected = Expected::version(count - 1)});
        if (taken) return "a revision of " + std::string(source.name) + " was given twice";
    }
    return "";
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

TEST(Damage, NoAnswerByNameIsShortWithoutAWord) {
    const Image image = make_store(50, 6);
    std::size_t flips = 0;
    for (const auto& [path, bytes] : image) {
        if (path == "store/varve") continue;
        for (std::size_t bit = 0; bit < used(bytes) * 8; bit += 5) {
            Image damaged = image;
            damaged[path][bit / 8] ^= std::byte{1} << (bit % 8);
            const auto access = flips % 2 == 0 ? Access::read_only : Access::read_write;
            auto world = world_of(damaged);
            ASSERT_EQ(answers_by_name(*world, access), "")
                << path << " byte " << bit / 8 << " bit " << bit % 8;
            ++flips;
        }
    }
    auto whole = world_of(image);
    ASSERT_EQ(answers_by_name(*whole, Access::read_only), "");
    EXPECT_GT(flips, 6'000U);
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

/// A world whose writer was killed: the control page and the indexes are memory of this boot.
std::unique_ptr<os::SimEnv> killed_world() {
    os::SimEnv world(1);
    auto store = Store::open(kPath, options_for(world));
    EXPECT_TRUE(store);
    const std::string data(9'000, 'd');
    for (int n = 0; n < 9; ++n) {
        const std::string stream = "s-" + std::to_string(n % 2);
        EXPECT_TRUE(store->append({{.stream = stream, .type = "T", .tags = {"a"}, .data = data}}));
    }
    return world.kill(2);
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    std::vector<std::byte> bytes(file ? *(*file)->size() : 0);
    if (file) static_cast<void>((*file)->read_at(0, bytes));
    return bytes;
}

/// Reads everything by every source. Whatever comes must be what was appended under that name.
void read_all(const Store& store) {
    auto snapshot = store.snapshot();
    if (!snapshot) return;
    std::size_t sum = 0;
    static_cast<void>(snapshot->read(Source::all()).for_each([&](const EventView& event) {
        EXPECT_TRUE(event.data.size() == 9'000 || event.data == "more");
        for (const std::string_view tag : event.tags) sum += tag.size();
    }));
    static_cast<void>(snapshot->read("s-1").for_each(
        [&](const EventView& event) { EXPECT_EQ(event.stream, "s-1"); }));
    static_cast<void>(snapshot->read(Source::tag("a")).for_each([&](const EventView& event) {
        EXPECT_TRUE(event.tags.contains("a"));
    }));
    static_cast<void>(snapshot->version("s-0"));
    static_cast<void>(snapshot->streams());
}

/// Flips one bit in the memory of this boot; everybody must get data or an error. Returns how many
/// events the writer found, or -1.
int with_flipped_bit(const os::SimEnv& world, const std::string& path, std::size_t bit) {
    const auto damaged = world.kill(3);
    {
        auto file = damaged->open(path, os::OpenMode::read_write, 0600);
        std::byte byte{};
        EXPECT_TRUE((*file)->read_at(bit / 8, {&byte, 1}));
        byte ^= std::byte{1} << (bit % 8);
        EXPECT_TRUE((*file)->write_at(bit / 8, {&byte, 1}));
    }
    if (auto reader = Store::open(kPath, options_for(*damaged, Access::read_only))) {
        read_all(*reader);
    }
    auto writer = Store::open(kPath, options_for(*damaged));
    if (!writer) return -1;
    const auto events = static_cast<int>(writer->snapshot()->published().value);
    read_all(*writer);
    static_cast<void>(writer->append({{.stream = "s-1", .data = "more"}}));
    return events;
}

TEST(Damage, NoFlippedBitOfTheControlPageTakesEventsAway) {
    const auto world = killed_world();
    const std::size_t bits = used(bytes_of(*world, "store/control")) * 8;
    ASSERT_GT(bits, 500U);
    for (std::size_t bit = 0; bit < bits; ++bit)
        EXPECT_EQ(with_flipped_bit(*world, "store/control", bit), 9) << "bit " << bit;
}

TEST(Damage, NoFlippedBitOfAnIndexDoesHarm) {
    const auto world = killed_world();
    std::size_t flips = 0;
    for (const char* path : {"store/index/0000000001.act", "store/index/0000000002.act"}) {
        const std::vector<std::byte> bytes = bytes_of(*world, path);
        for (std::size_t at = 0; at < bytes.size(); ++at) {
            // All of what is used, and a bit now and then of what is not.
            if (bytes[at] == std::byte{0} && at % 8 != 7 && at % 61 != 0) continue;
            if (bytes[at] == std::byte{0} && at > 256 && at % 61 != 0) continue;
            for (std::size_t bit = 0; bit < 8; ++bit, ++flips)
                with_flipped_bit(*world, path, at * 8 + bit);
        }
    }
    EXPECT_GT(flips, 5'000U);
}

TEST(Damage, AnIndexWithoutAnyFreeSlotHangsNobody) {
    const auto world = killed_world();
    for (const char* path : {"store/index/0000000001.act", "store/index/0000000002.act"}) {
        const auto header = base::load<index::ActHeader>(bytes_of(*world, path).data());
        auto file = world->open(path, os::OpenMode::read_write, 0600);
        for (std::uint64_t slot = 0; slot < header.slots; ++slot) {
            std::array<std::byte, 8> key{};
            base::store(key.data(), 0xABCDEF00'00000000ULL + slot * 8);
            ASSERT_TRUE((*file)->write_at(index::kActSlotsOffset + 16 * slot, key));
        }
    }
    with_flipped_bit(*world, "store/lock", 0);  // opens either way, reads, appends
}

TEST(Damage, BytesBehindTheEndDoNoHarm) {
    const Image image = make_store(50, 6);
    for (const auto& [path, bytes] : image) {
        if (!path.ends_with(".seg")) continue;
        for (std::size_t at = used(bytes) + 8; at < bytes.size(); at += 331) {
            Image damaged = image;
            damaged[path][at] ^= std::byte{1} << (at % 8);
            auto world = world_of(damaged);
            ASSERT_EQ(readable_events(*world), 24) << path << " byte " << at;
            auto store = Store::open(kPath, options_for(*world));
            ASSERT_TRUE(store) << path << " byte " << at;
            auto more = store->append({{.stream = "order-1", .data = "more"}});
            ASSERT_TRUE(more) << path << " byte " << at << ": " << more.error().message;
            EXPECT_EQ(more->first.value, 25U);
        }
    }
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
