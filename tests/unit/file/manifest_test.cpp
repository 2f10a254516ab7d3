// Goal: the manifest gives back its entries in order, survives a torn or damaged one, and never
// grows without bound. Method: a real file in a temporary directory; entries damaged by hand; more
// entries than fit.
#include "file/manifest.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "file/store_file.hpp"

namespace varve::file {
namespace {

class ManifestTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "varve-manifest-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        ASSERT_TRUE(Manifest::create(env_, directory_, 0600, true));
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    Manifest open() {
        auto manifest = Manifest::open(env_, directory_, 5, 0600);
        EXPECT_TRUE(manifest);
        return std::move(*manifest);
    }
    static ManifestEntry entry(EntryKind kind, std::uint64_t position) {
        ManifestEntry entry;
        entry.kind = static_cast<std::uint32_t>(kind);
        entry.epoch = 3;
        entry.segment = 1;
        entry.position = position;
        return entry;
    }
    void damage(std::uint64_t offset) {
        auto file = env_.open(directory_ + "/manifest", os::OpenMode::read_write);
        ASSERT_TRUE(file);
        std::byte one{};
        ASSERT_TRUE((*file)->read_at(offset, {&one, 1}));
        one ^= std::byte{4};
        ASSERT_TRUE((*file)->write_at(offset, {&one, 1}));
    }

    os::Env& env_ = os::posix_env();
    std::string directory_;
};

TEST_F(ManifestTest, GivesBackWhatWasAdded) {
    {
        Manifest manifest = open();
        ASSERT_TRUE(manifest.add(entry(EntryKind::opened, 0), true));
        ASSERT_TRUE(manifest.add(entry(EntryKind::synced, 10), false));
        ASSERT_TRUE(manifest.add(entry(EntryKind::opened, 10), true));
    }
    const Manifest manifest = open();
    ASSERT_EQ(manifest.content().entries.size(), 3U);
    EXPECT_EQ(manifest.content().last_point()->position, 10U);
    EXPECT_EQ(manifest.content().entries[2].number, 3U);
    EXPECT_EQ(manifest.content().highest_epoch(), 3U);
    EXPECT_FALSE(manifest.content().damaged);
}

TEST_F(ManifestTest, ADamagedEntryCostsOnlyItself) {
    {
        Manifest manifest = open();
        for (std::uint64_t n = 1; n <= 5; ++n)
            ASSERT_TRUE(manifest.add(entry(EntryKind::synced, n * 10), true));
    }
    damage(2 * kManifestEntrySize + 40);
    Manifest manifest = open();
    EXPECT_TRUE(manifest.content().damaged);
    ASSERT_EQ(manifest.content().entries.size(), 4U);
    EXPECT_EQ(manifest.content().last_point()->position, 50U);
    ASSERT_TRUE(manifest.add(entry(EntryKind::synced, 60), true));
    EXPECT_FALSE(open().content().damaged);
    EXPECT_EQ(open().content().last_point()->position, 60U);
}

TEST_F(ManifestTest, AFullFileIsReplacedByACompactOne) {
    Manifest manifest = open();
    for (std::uint64_t n = 1; n <= 2000; ++n) {
        ASSERT_TRUE(
            manifest.add(entry(n % 2 == 0 ? EntryKind::synced : EntryKind::opened, n), false));
    }
    ASSERT_TRUE(manifest.sync());
    EXPECT_EQ(std::filesystem::file_size(directory_ + "/manifest"), kManifestSize);
    const Manifest again = open();
    EXPECT_EQ(again.content().entries.back().number, 2000U);
    EXPECT_EQ(again.content().last_point()->position, 2000U);
}

TEST_F(ManifestTest, EntriesOfALaterVersionAreKept) {
    const auto put = [&](std::uint64_t number, std::uint32_t kind) {
        ManifestEntry later = entry(EntryKind::opened, 7);
        later.kind = kind;
        later.number = number;
        later.zero.fill(std::byte{0x77});
        std::array<std::byte, kManifestEntrySize> raw;
        encode_entry(raw, later, 5);
        auto file = env_.open(directory_ + "/manifest", os::OpenMode::read_write);
        ASSERT_TRUE(file);
        ASSERT_TRUE((*file)->write_at((number - 1) * kManifestEntrySize, raw));
    };
    {
        Manifest manifest = open();
        ASSERT_TRUE(manifest.add(entry(EntryKind::synced, 5), true));
    }
    put(2, 77);
    {
        Manifest manifest = open();
        EXPECT_FALSE(manifest.content().damaged);
        EXPECT_FALSE(manifest.content().newer);
        EXPECT_EQ(manifest.content().last_point()->position, 5U);
        for (std::uint64_t n = 1; n <= 1500; ++n)
            ASSERT_TRUE(manifest.add(entry(EntryKind::synced, 5 + n), false));
    }
    const auto entries = open().content().entries;
    EXPECT_EQ(std::count_if(entries.begin(), entries.end(),
                            [](const ManifestEntry& one) { return one.kind == 77; }),
              1);
    const auto kept = std::find_if(entries.begin(), entries.end(),
                                   [](const ManifestEntry& one) { return one.kind == 77; });
    ASSERT_NE(kept, entries.end());
    EXPECT_EQ(kept->position, 7U);
    EXPECT_EQ(kept->zero.front(), std::byte{0x77});
    EXPECT_EQ(kept->zero.back(), std::byte{0x77});
    const std::uint64_t number = entries.back().number + 1;
    EXPECT_FALSE(open().content().newer);
    ManifestEntry demanding = entry(EntryKind::opened, 7);
    demanding.kind = kMustUnderstand | 5;
    demanding.number = number;
    std::array<std::byte, kManifestEntrySize> raw;
    encode_entry(raw, demanding, 5);
    auto file = env_.open(directory_ + "/manifest", os::OpenMode::read_write);
    ASSERT_TRUE((*file)->write_at(open().content().offset, raw));
    EXPECT_TRUE(open().content().newer);
}

TEST(StoreFile, EveryFlippedBitIsRefused) {
    StoreFile content;
    content.segment_size_first = 1 << 20;
    content.segment_size_max = 256 << 20;
    std::array<std::byte, kStoreFileSize> bytes;
    encode_store_file(bytes, content);
    ASSERT_TRUE(decode_store_file(bytes, "varve"));
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(decode_store_file(bytes, "varve")) << bit;
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
}

TEST(StoreFile, ANewerFormatIsNamedAsSuch) {
    StoreFile content;
    content.major = kFormatMajor + 1;
    std::array<std::byte, kStoreFileSize> bytes;
    encode_store_file(bytes, content);
    auto refused = decode_store_file(bytes, "varve");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported_version);
}

}  // namespace
}  // namespace varve::file
