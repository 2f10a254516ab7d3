// Goal: what is not ours, or was used and has lost its first file, is never removed or made again.
// Method: directories of a simulated world are filled by hand; afterwards names and bytes are
// compared.
#include <gtest/gtest.h>

#include "file/store_file.hpp"
#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

using Content = std::map<std::string, std::string>;

void put(os::SimEnv& world, const std::string& path, std::string_view text) {
    auto file = world.open(path, os::OpenMode::create, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(text)));
}

Content content_of(os::SimEnv& world, const std::string& directory) {
    Content content;
    const auto names = world.list(directory);
    if (!names) return content;
    for (const std::string& name : *names) {
        auto file = world.open(directory + "/" + name, os::OpenMode::read, 0600);
        if (!file) {
            content[name] = "a directory";
            continue;
        }
        std::string bytes(*(*file)->size(), '\0');
        EXPECT_TRUE((*file)->read_at(0, std::as_writable_bytes(std::span<char>(bytes))));
        content[name] = bytes;
    }
    return content;
}

/// Opens in both ways and expects that nothing came of it.
void expect_refused(os::SimEnv& world, ErrorCode code) {
    const Content before = content_of(world, "store");
    for (const Access access : {Access::read_write, Access::read_only}) {
        auto opened = Store::open("store", options_for(world, access));
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, code) << opened.error().message;
        EXPECT_EQ(content_of(world, "store"), before);
    }
}

TEST(Ground, AForeignFileOfTheNameIsLeftAlone) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    put(world, "store/varve", "#!/bin/sh\necho ours\n");
    put(world, "store/thesis.txt", "years of work");
    expect_refused(world, ErrorCode::not_a_store);
}

TEST(Ground, AForeignFileOfTheNameIsLeftAloneWhereItStandsAlone) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    put(world, "store/varve", "#!/bin/sh\n");
    expect_refused(world, ErrorCode::not_a_store);
}

TEST(Ground, ATornFileBesideForeignOnesIsLeftAlone) {
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    put(world, "store/varve", std::string(128, '\0'));
    put(world, "store/thesis.txt", "years of work");
    expect_refused(world, ErrorCode::not_a_store);
}

TEST(Ground, ForeignFilesOfOurOtherNamesAreLeftAlone) {
    for (const char* name : {"control", "control.new", "varve.new"}) {
        os::SimEnv world(1);
        ASSERT_TRUE(world.make_directory("store", 0700));
        put(world, std::string("store/") + name, "somebody's own notes");
        expect_refused(world, ErrorCode::not_a_store);
    }
    os::SimEnv world(1);
    ASSERT_TRUE(world.make_directory("store", 0700));
    ASSERT_TRUE(world.make_directory("store/log", 0700));
    put(world, "store/log/daily.log", "GET /");
    expect_refused(world, ErrorCode::not_a_store);
}

TEST(Ground, AnUnusedStoreWithATornFileIsMadeAgain) {
    os::SimEnv world(1);
    ASSERT_TRUE(Store::open("store", options_for(world))->close());
    auto file = world.open("store/varve", os::OpenMode::read_write, 0600);
    const std::string zeros(96, '\0');
    ASSERT_TRUE((*file)->write_at(32, base::as_bytes(zeros)));
    auto again = Store::open("store", options_for(world));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->append({{.data = "one"}}));
}

TEST(Ground, AStoreThatLostItsFirstFileIsNotMadeAgain) {
    os::SimEnv world(1);
    {
        auto writer = Store::open("store", options_for(world));
        ASSERT_TRUE(writer->append({{.data = "one"}}));
        ASSERT_TRUE(writer->close());
    }
    ASSERT_TRUE(world.remove("store/varve"));
    expect_refused(world, ErrorCode::corrupt);
    // Neither when the manifest is lost as well.
    ASSERT_TRUE(world.remove("store/manifest"));
    expect_refused(world, ErrorCode::corrupt);
}

TEST(Ground, ADamagedFirstFileOfAUsedStoreIsCorruptAlsoBesideForeignFiles) {
    os::SimEnv world(1);
    {
        auto writer = Store::open("store", options_for(world));
        ASSERT_TRUE(writer->append({{.data = "one"}}));
    }
    put(world, "store/README", "ours");
    ASSERT_TRUE(Store::open("store", options_for(world)));
    auto file = world.open("store/varve", os::OpenMode::read_write, 0600);
    ASSERT_TRUE((*file)->write_at(0, base::as_bytes(std::string_view("#!"))));
    expect_refused(world, ErrorCode::corrupt);
}

}  // namespace
}  // namespace varve::test
