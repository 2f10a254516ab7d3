// Goal: the state of a consumer is replaced as a whole, found again, and never mistaken for that of
// another. Method: states stored by writers and readers, names that could collide, processes that
// die at every step, power cuts.
#include <gtest/gtest.h>

#include <filesystem>

#include "os/sim_env.hpp"
#include "support/nes_storage.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::bytes_of;
using test::open_storage;

StorageOptions options_in(const std::string& data, Access access, os::Env* env = nullptr) {
    StorageOptions options = test::storage_options(Layout::classic, env);
    options.access = access;
    options.index_directory = data + "/streams";
    return options;
}

void make_storage(const std::string& data, os::Env* env = nullptr) {
    auto options = options_in(data, Access::read_write, env);
    options.sync_on_flush = true;
    auto storage = open_storage(data, options);
    ASSERT_TRUE(storage.ensure_index("stream-a.b", R"({"stream":"a.b"})"));
    ASSERT_TRUE(storage.ensure_index("deep/stream", R"({"stream":"deep"})"));
    ASSERT_TRUE(storage.close());
}

std::vector<ConsumerInfo> consumers_of(Storage& storage) {
    auto consumers = storage.consumers();
    EXPECT_TRUE(consumers);
    EXPECT_TRUE(storage.problems().empty());
    return consumers ? *consumers : std::vector<ConsumerInfo>();
}

TEST(NesConsumers, StatesOfReadersAndWritersAreFoundAgain) {
    const test::TemporaryDirectory directory;
    const std::string data = directory.path() + "/data";
    make_storage(data);
    for (const Access access : {Access::read_write, Access::read_only}) {
        auto storage = open_storage(data, options_in(data, access));
        for (std::uint32_t n = 1; n <= 3; ++n)
            ASSERT_TRUE(
                storage.store_consumer({"_all", "sum", n, R"({"é":)" + std::to_string(n) + "}"}));
        ASSERT_TRUE(storage.store_consumer({"stream-a.b", "sum", 0x7FFFFFFF, "{}"}));
        ASSERT_TRUE(storage.store_consumer({"deep/stream", "sum", 4, "{}"}));
        const auto all = consumers_of(storage);
        ASSERT_EQ(all.size(), 3U);
        EXPECT_EQ(all[0].index, "_all");
        EXPECT_EQ(all[0].position, 3U);
        EXPECT_EQ(all[0].state, R"({"é":3})");
        EXPECT_EQ(all[1].index, "deep/stream");
        EXPECT_EQ(all[2].index, "stream-a.b");
        EXPECT_EQ(all[2].position, 0x7FFFFFFFU);
    }
    EXPECT_EQ(bytes_of(os::posix_env(), data + "/streams/consumers/es._all.sum"),
              std::string("\x03\0\0\0", 4) + R"({"é":3})");
}

/// W-21: in the original making the consumer `sum` removes the state of `sum.total`.
TEST(NesConsumers, W21NamesThatCouldCollideAreRefused) {
    const test::TemporaryDirectory directory;
    const std::string data = directory.path() + "/data";
    make_storage(data);
    auto storage = open_storage(data, options_in(data, Access::read_write));
    for (const char* name : {"", "a.b", "a/b", "..", "a.7"})
        EXPECT_EQ(storage.store_consumer({"_all", name, 1, "{}"}).error().code,
                  ErrorCode::invalid_argument)
            << name;
    for (const char* state : {"", "1", "[]", "{", "{}x"})
        EXPECT_EQ(storage.store_consumer({"_all", "a", 1, state}).error().code,
                  ErrorCode::invalid_argument)
            << state;
    EXPECT_EQ(storage.store_consumer({"none", "a", 1, "{}"}).error().code, ErrorCode::not_found);
    EXPECT_EQ(storage.store_consumer({"_all", "a", 0x80000000, "{}"}).error().code,
              ErrorCode::too_large);
    EXPECT_TRUE(consumers_of(storage).empty());
    ASSERT_TRUE(storage.close());
    EXPECT_EQ(storage.store_consumer({"_all", "a", 1, "{}"}).error().code, ErrorCode::closed);
}

TEST(NesConsumers, AReaderMayUseAnIndexThatIsNewerThanItself) {
    const test::TemporaryDirectory directory;
    const std::string data = directory.path() + "/data";
    make_storage(data);
    auto reader = open_storage(data, options_in(data, Access::read_only));
    auto writer = open_storage(data, options_in(data, Access::read_write));
    ASSERT_TRUE(writer.ensure_index("new", R"({"stream":"new"})"));
    EXPECT_TRUE(reader.store_consumer({"new", "sum", 1, "{}"}));
}

/// What a consumer finds that was updated to position 1, and perhaps to 2.
void expect_one_or_two(os::Env& env, bool may_be_two, bool must_be_two) {
    auto storage = open_storage("data", options_in("data", Access::read_only, &env));
    const auto all = consumers_of(storage);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].state, all[0].position == 1 ? R"({"n":1})" : R"({"n":"zwei"})");
    EXPECT_GE(all[0].position, must_be_two ? 2U : 1U);
    EXPECT_LE(all[0].position, may_be_two ? 2U : 1U);
    // What is left of an update does not hinder the next.
    ASSERT_TRUE(storage.store_consumer({"_all", "sum", 2, R"({"n":"zwei"})"}));
    EXPECT_EQ(consumers_of(storage)[0].position, 2U);
}

TEST(NesConsumers, AnInterruptedUpdateLeavesTheOldStateOrTheNewOne) {
    int steps = 0;
    for (const bool power_cut : {false, true}) {
        for (int at = 1;; ++at) {
            os::SimEnv world(static_cast<std::uint64_t>(at));
            make_storage("data", &world);
            auto options = options_in("data", Access::read_only, &world);
            options.sync_on_flush = true;
            auto storage = open_storage("data", options);
            ASSERT_TRUE(storage.store_consumer({"_all", "sum", 1, R"({"n":1})"}));
            std::unique_ptr<os::SimEnv> after;
            int until = at;
            world.on_step([&] {
                if (--until != 0) return;
                after =
                    power_cut ? world.power_cut(7, {os::SimCut::Style::mixed, 0}) : world.kill(7);
            });
            ASSERT_TRUE(storage.store_consumer({"_all", "sum", 2, R"({"n":"zwei"})"}));
            world.on_step({});
            if (after == nullptr) {
                after =
                    power_cut ? world.power_cut(7, {os::SimCut::Style::nothing, 0}) : world.kill(7);
                expect_one_or_two(*after, true, true);
                break;
            }
            expect_one_or_two(*after, true, false);
            ++steps;
        }
    }
    EXPECT_GT(steps, 10);
}

}  // namespace
}  // namespace varve::nes
