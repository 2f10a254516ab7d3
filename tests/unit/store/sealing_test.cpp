// Goal: segments that no longer grow get sealed indexes, these are merged, and whatever happens to
// the files no answer is ever short.
// Method: a simulated world with small segments; what is read by every name is compared with what
// was appended, while files are removed, damaged, replaced, or the power is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

/// Appends events of some streams, types and tags, and knows which position carries which name.
class Workload {
public:
    explicit Workload(std::uint64_t seed) : random_(seed) {}

    void append(Store& store, std::size_t count) {
        for (std::size_t n = 0; n < count; ++n) {
            const std::string stream = "s" + std::to_string(random_() % 7) + "-x";
            const std::string type = "t" + std::to_string(random_() % 3);
            const std::string tag = "g" + std::to_string(random_() % 50);
            const std::string data(2000 + random_() % 4000, 'd');
            auto done =
                store.append({{.stream = stream, .type = type, .tags = {tag}, .data = data}},
                             {.durability = Durability::os});
            ASSERT_TRUE(done) << done.error().message;
            const std::uint64_t at = done->first.value;
            expected_[{Source::Kind::stream, stream}].push_back(at);
            expected_[{Source::Kind::category, stream.substr(0, 2)}].push_back(at);
            expected_[{Source::Kind::type, type}].push_back(at);
            expected_[{Source::Kind::tag, tag}].push_back(at);
            last_ = at;
        }
    }
    [[nodiscard]] std::uint64_t last() const { return last_; }

    /// Every name, both directions, and a range in the middle.
    void compare(const Store& store) const {
        auto now = store.snapshot();
        ASSERT_TRUE(now) << now.error().message;
        ASSERT_EQ(now->published().value, last_);
        for (const auto& [source, positions] : expected_) {
            const Source from{source.first, source.second};
            expect(*now, from, {}, positions);
            std::vector<std::uint64_t> back(positions.rbegin(), positions.rend());
            expect(*now, from, {.direction = Direction::backwards}, back);
            std::vector<std::uint64_t> middle;
            for (const std::uint64_t at : positions) {
                if (at >= last_ / 3 && at <= last_ / 2) middle.push_back(at);
            }
            expect(*now, from,
                   {.from = Position{std::max<std::uint64_t>(last_ / 3, 1)},
                    .until = Position{std::max<std::uint64_t>(last_ / 2, 1)}},
                   last_ < 6 ? positions : middle);
            if (source.first == Source::Kind::stream) {
                EXPECT_EQ(*now->version(source.second), positions.size());
            }
        }
        auto streams = now->streams();
        ASSERT_TRUE(streams) << streams.error().message;
        std::size_t known = 0;
        for (const CatalogueEntry& entry : *streams) {
            const auto& positions = expected_.at({Source::Kind::stream, entry.name});
            EXPECT_EQ(entry.count, positions.size()) << entry.name;
            EXPECT_EQ(entry.first.value, positions.front());
            EXPECT_EQ(entry.last.value, positions.back());
            ++known;
        }
        EXPECT_EQ(known, static_cast<std::size_t>(
                             std::count_if(expected_.begin(), expected_.end(), [](const auto& one) {
                                 return one.first.first == Source::Kind::stream;
                             })));
    }

private:
    static void expect(const Snapshot& now, const Source& from, const ReadOptions& options,
                       const std::vector<std::uint64_t>& positions) {
        std::vector<std::uint64_t> found;
        auto seen = now.read(from, options).for_each([&](const EventView& event) {
            found.push_back(event.position.value);
        });
        ASSERT_TRUE(seen) << seen.error().message;
        ASSERT_EQ(found, positions) << from.name;
    }

    std::mt19937_64 random_;
    std::map<std::pair<Source::Kind, std::string>, std::vector<std::uint64_t>> expected_;
    std::uint64_t last_ = 0;
};

std::set<std::string> indexes(os::SimEnv& world, std::string_view ending) {
    std::set<std::string> found;
    auto names = world.list("store/index");
    for (const std::string& name : *names) {
        if (name.ends_with(ending)) found.insert(name);
    }
    return found;
}

TEST(Sealing, RolledSegmentsAreSealedAndReadAsBefore) {
    os::SimEnv world(1);
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store);
    Workload work(1);
    work.append(*store, 120);
    ASSERT_GE(indexes(world, ".idx").size(), 4U);
    work.compare(*store);
    auto reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader);
    work.compare(*reader);
    work.append(*store, 60);
    work.compare(*store);
    work.compare(*reader);
}

TEST(Sealing, SixteenAreMergedAndTheirFilesGoLater) {
    os::SimEnv world(2);
    auto store = Store::open("store", options_for(world));
    auto reader = Store::open("store", options_for(world, Access::read_only));
    Workload work(2);
    ASSERT_TRUE(store);
    work.append(*store, 40);
    reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader);
    for (int n = 0; n < 12; ++n) {
        work.append(*store, 40);
        work.compare(*reader);
    }
    const auto files = indexes(world, ".idx");
    EXPECT_TRUE(files.contains("0000000001-0000000016.idx"));
    world.set_clock(world.monotonic_us() + 20'000'000);
    work.append(*store, 40);
    EXPECT_FALSE(indexes(world, ".idx").contains("0000000003-0000000003.idx"));
    EXPECT_FALSE(indexes(world, ".act").contains("0000000003.act"));
    work.compare(*store);
    work.compare(*reader);
}

TEST(Sealing, AfterARestartOnlyTheTailIsReadAgain) {
    os::SimEnv world(3);
    Workload work(3);
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        work.append(*store, 400);
        ASSERT_TRUE(store->close());
    }
    const auto after = world.power_cut(4, {os::SimCut::Style::nothing, 0});
    auto reader = Store::open("store", options_for(*after, Access::read_only));
    ASSERT_TRUE(reader) << reader.error().message;
    work.compare(*reader);
    for (const std::string& name : indexes(*after, ".act"))
        ASSERT_TRUE(after->remove("store/index/" + name));
    auto store = Store::open("store", options_for(*after));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_LE(indexes(*after, ".act").size(), 1U);
    work.compare(*store);
    work.append(*store, 50);
    work.compare(*store);
    work.compare(*reader);
}

TEST(Sealing, NoFileIsNeededAndEachIsMadeAgain) {
    os::SimEnv world(5);
    Workload work(5);
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        work.append(*store, 300);
        ASSERT_TRUE(store->close());
    }
    for (const std::string& name : indexes(world, "")) {
        if (!world.remove("store/index/" + name)) continue;  // replaced meanwhile
        auto reader = Store::open("store", options_for(world, Access::read_only));
        ASSERT_TRUE(reader) << name << ": " << reader.error().message;
        work.compare(*reader);
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store) << name << ": " << store.error().message;
        work.compare(*store);
        work.append(*store, 30);
        work.compare(*store);
        work.compare(*reader);
        ASSERT_TRUE(store->close());
    }
    EXPECT_GE(indexes(world, ".idx").size(), 4U);
}

TEST(Sealing, ADamagedIndexIsAnErrorOnceAndThenMadeAgain) {
    int met = 0;
    for (std::uint64_t at = 4096; at < 24'000; at += 397) {
        os::SimEnv world(at);
        Workload work(7);
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store);
        work.append(*store, 60);
        ASSERT_TRUE(store->close());
        const std::string path = "store/index/" + *indexes(world, ".idx").begin();
        auto file = world.open(path, os::OpenMode::read_write, 0600);
        ASSERT_TRUE(file);
        if (at >= *(*file)->size()) break;
        std::array<std::byte, 1> byte{};
        ASSERT_TRUE((*file)->read_at(at, byte));
        byte[0] ^= std::byte{0x10};
        ASSERT_TRUE((*file)->write_at(at, byte));
        for (const Access access : {Access::read_only, Access::read_write}) {
            auto opened = Store::open("store", options_for(world, access));
            ASSERT_TRUE(opened) << opened.error().message;
            bool damaged = false;
            for (int stream = 0; stream < 7 && !damaged; ++stream) {
                auto now = opened->snapshot();
                ASSERT_TRUE(now) << now.error().message;
                const auto seen =
                    now->read("s" + std::to_string(stream) + "-x").for_each([](const auto&) {});
                damaged = !seen;
                met += damaged ? 1 : 0;
                if (damaged) {
                    EXPECT_EQ(seen.error().code, ErrorCode::corrupt);
                }
            }
            if (access == Access::read_write)
                work.append(*opened, 3);  // without threads the work is done inside appends
            work.compare(*opened);
        }
    }
    EXPECT_GT(met, 4);
}

TEST(Sealing, AnIndexOfAnotherStoreIsNotUsed) {
    os::SimEnv world(8);
    Workload work(8);
    auto store = Store::open("store", options_for(world));
    work.append(*store, 80);
    ASSERT_TRUE(store->close());
    auto other = Store::open("other", options_for(world));
    Workload more(9);
    more.append(*other, 80);
    ASSERT_TRUE(other->close());
    const std::string name = *indexes(world, ".idx").begin();
    ASSERT_TRUE(world.rename("other/index/" + name, "store/index/" + name));
    auto reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader) << reader.error().message;
    work.compare(*reader);
    store = Store::open("store", options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    work.compare(*store);
}

}  // namespace
}  // namespace varve::test
