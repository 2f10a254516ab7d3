// Goal: what a store's users attach to it goes where the store goes, and a line that was damaged is
// named before anybody trusts it. Method: stores in the simulated world.
#include <gtest/gtest.h>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

Result<Store> written(os::SimEnv& world) {
    auto store = Store::open("store", options_for(world, Access::read_write, Durability::disk));
    for (int n = 0; store && n < 3; ++n) EXPECT_TRUE(store->append({{.stream = "s", .data = "x"}}));
    return store;
}

void expect_clean(os::SimEnv& world, const char* path) {
    auto report = Store::verify(path, options_for(world));
    ASSERT_TRUE(report) << report.error().message;
    for (const Damage& one : report->damaged) ADD_FAILURE() << one.file << ": " << one.what;
}

std::vector<std::byte> bytes_of(os::SimEnv& world, const std::string& path) {
    auto file = world.open(path, os::OpenMode::read, 0600);
    EXPECT_TRUE(file) << path;
    std::vector<std::byte> bytes(*(*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes));
    return bytes;
}

/// Makes `store/attached/NAME` with this content.
void attach(os::SimEnv& world, const std::string& name, std::string_view content) {
    if (!*world.exists("store/attached")) {
        ASSERT_TRUE(world.make_directory("store/attached", 0700));
    }
    auto file = world.open("store/attached/" + name, os::OpenMode::create, 0600);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(content)));
}

void attach_again(os::SimEnv& world, const std::string& name, std::string_view content) {
    ASSERT_TRUE(world.remove("store/attached/" + name));
    attach(world, name, content);
}

TEST(Attached, IsInBackupsAsItWasLast) {
    os::SimEnv world(1);
    auto store = written(world);
    attach(world, "streams.jsonl", "{\"a\":1}\n");
    attach(world, "picture", std::string_view("\0\n\xFF", 3));
    ASSERT_TRUE(store->backup("backup"));
    attach_again(world, "streams.jsonl", "{\"a\":1}\n{\"b\":2}\n{\"unfin");
    ASSERT_TRUE(store->backup("backup", {.verify = true}));
    expect_clean(world, "backup");
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    expect_clean(world, "restored");
    EXPECT_EQ(base::as_text(bytes_of(world, "restored/attached/streams.jsonl")),
              "{\"a\":1}\n{\"b\":2}\n{\"unfin");
    EXPECT_EQ(base::as_text(bytes_of(world, "restored/attached/picture")),
              std::string_view("\0\n\xFF", 3));
    auto diagnosis = Store::doctor("restored", options_for(world));
    ASSERT_TRUE(diagnosis);
    EXPECT_EQ(diagnosis->foreign, std::vector<std::string>{});
    auto restored = Store::open("restored", options_for(world, Access::read_only));
    EXPECT_GE(restored->stats()->other_bytes, 27U + 3U);
}

TEST(Attached, ADamagedLineIsNamedAndNotCopied) {
    os::SimEnv world(1);
    auto store = written(world);
    attach(world, "streams.jsonl", "{\"a\":1}\n");
    ASSERT_TRUE(store->backup("backup"));
    for (const char* line : {"{\"b\":2", "", "{}{}", "\x01{}", "{\"b\":\"\xFF\"}", "nul"}) {
        attach_again(world, "streams.jsonl", "{\"a\":1}\n" + std::string(line) + "\n{}\n");
        auto report = Store::verify("store", options_for(world));
        ASSERT_TRUE(report) << report.error().message;
        ASSERT_EQ(report->damaged.size(), 1U) << line;
        EXPECT_EQ(report->damaged[0].file, "store/attached/streams.jsonl");
        EXPECT_EQ(report->damaged[0].offset, 8U);
        EXPECT_EQ(report->damaged[0].length, std::string_view(line).size());
        auto again = store->backup("backup");
        ASSERT_FALSE(again) << line;
        EXPECT_EQ(again.error().code, ErrorCode::corrupt);
        EXPECT_EQ(again.error().offset, 8U);
    }
    // What the first run has copied is there still.
    EXPECT_EQ(base::as_text(bytes_of(world, "backup/attached/streams.jsonl")), "{\"a\":1}\n");
    ASSERT_TRUE(Store::restore("backup", "restored", options_for(world)));
    expect_clean(world, "restored");
    auto file = world.open("backup/attached/streams.jsonl", os::OpenMode::read_write, 0600);
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(std::string_view("!"))));
    auto refused = Store::restore("backup", "second", options_for(world));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
    EXPECT_FALSE(*world.exists("second"));
}

}  // namespace
}  // namespace varve::test
