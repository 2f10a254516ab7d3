// Goal: segments that no longer grow get sealed indexes, these are merged, and whatever happens to
// the files no answer is ever short.
// Method: a simulated world with small segments; what is read by every name is compared with what
// was appended, while files are removed, damaged, replaced, or the power is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "support/workload.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

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
