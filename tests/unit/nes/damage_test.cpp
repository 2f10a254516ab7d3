// Goal: whatever a file holds, opening and reading it ends with an error or with a beginning of
// what was written, never with a crash and never with an invented document. Method: a small
// partition and a small index, in both layouts, cut at every length and with every bit flipped.
#include <gtest/gtest.h>

#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::bytes_of;
using test::make_file;
using test::payloads;
using test::TemporaryDirectory;
using test::with;

constexpr std::uint32_t kCount = 6;

FileOptions small(Layout layout) {
    FileOptions options = test::writing(layout);
    options.write_ahead_bytes = 4096;
    return options;
}

std::string payload(std::uint32_t n) { return R"({"n":)" + std::to_string(n) + "}"; }

class NesDamage : public testing::TestWithParam<Layout> {
protected:
    void SetUp() override {
        auto options = with<PartitionOptions>(small(GetParam()));
        options.epoch_ms = 1'700'000'000'000;
        auto partition = Partition::open(path_, options);
        ASSERT_TRUE(partition);
        auto index = Index::open(path_ + ".index", with<IndexOptions>(small(GetParam())));
        ASSERT_TRUE(index);
        for (std::uint32_t n = 0; n < kCount; ++n) {
            const auto position = partition->write(payload(n), n);
            ASSERT_TRUE(position);
            const IndexEntry entry{n + 1, static_cast<std::uint32_t>(*position),
                                   static_cast<std::uint32_t>(payload(n).size()), 7};
            ASSERT_TRUE(index->add(entry));
            entries_.push_back(entry);
        }
        content_ = 48 + partition->size();
        ASSERT_TRUE(partition->close());
        ASSERT_TRUE(index->close());
        partition_ = bytes_of(os::posix_env(), path_);
        index_ = bytes_of(os::posix_env(), path_ + ".index");
    }

    /// How many documents of the partition are as they were written; each other one is a failure
    /// unless `changed` says that one may be.
    void expect_documents(const std::string& bytes, int changed, const std::string& what) {
        make_file(os::posix_env(), path_, bytes);
        auto partition = Partition::open(path_, with<PartitionOptions>(test::reading()));
        if (!partition) {
            EXPECT_FALSE(partition.error().message.empty());
            EXPECT_EQ(partition.error().file, path_) << what;
            return;
        }
        const auto found = payloads(*partition);
        ASSERT_LE(found.size(), kCount) << what;
        int different = 0;
        for (std::uint32_t n = 0; n < found.size(); ++n) different += found[n] != payload(n);
        EXPECT_LE(different, changed) << what;
        // Everything else must end too, whatever it answers.
        auto back = partition->backwards();
        std::uint32_t steps = 0;
        if (back) {
            for (Document one; back->next(one);) ASSERT_LE(++steps, kCount) << what;
        }
        for (std::uint32_t n = 0; n < kCount; ++n)
            static_cast<void>(partition->read(entries_[n].position, entries_[n].size));
        static_cast<void>(partition->find(3));
        static_cast<void>(partition->last());
    }

    void expect_entries(const std::string& bytes, int changed, const std::string& what) {
        const std::string path = path_ + ".index";
        make_file(os::posix_env(), path, bytes);
        auto index = Index::open(path, with<IndexOptions>(test::reading()));
        if (!index) {
            EXPECT_FALSE(index.error().message.empty());
            EXPECT_EQ(index.error().file, path) << what;
            return;
        }
        const auto found = index->all();
        ASSERT_TRUE(found);
        ASSERT_LE(found->size(), kCount) << what;
        int different = 0;
        for (std::size_t n = 0; n < found->size(); ++n) different += (*found)[n] != entries_[n];
        EXPECT_LE(different, changed) << what;
        for (std::uint64_t n = 0; n < 8; ++n) {
            EXPECT_LE(index->find(n), kCount);
            EXPECT_LE(index->find(n, Find::at_least), kCount);
        }
    }

    /// Opens for writing, drops a torn end, writes on: what was there before must still be.
    void expect_goes_on(const std::string& bytes, const std::string& what) {
        make_file(os::posix_env(), path_, bytes);
        auto partition = Partition::open(path_, with<PartitionOptions>(small(Layout::detect)));
        if (!partition) return;
        auto before = payloads(*partition);
        auto branch = partition->drop_torn();
        ASSERT_TRUE(branch) << what << ": " << branch.error().message;
        if (!branch->empty()) {
            ASSERT_TRUE(os::posix_env().remove(*branch));
        }
        ASSERT_TRUE(partition->write("more", 99)) << what;
        before.emplace_back("more");
        EXPECT_EQ(payloads(*partition), before) << what;
    }

    TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/file";
    std::string partition_;
    std::string index_;
    std::uint64_t content_ = 0;
    std::vector<IndexEntry> entries_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesDamage, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesDamage, EveryLength) {
    for (std::size_t length = 0; length <= partition_.size(); ++length) {
        const std::string what = "length " + std::to_string(length);
        expect_documents(partition_.substr(0, length), 0, what);
        if (length <= content_ + 8 || length % 512 == 0)
            expect_goes_on(partition_.substr(0, length), what);
    }
    for (std::size_t length = 0; length <= index_.size(); ++length)
        expect_entries(index_.substr(0, length), 0, "length " + std::to_string(length));
}

TEST_P(NesDamage, EveryBitOfAPartition) {
    for (std::size_t bit = 0; bit < partition_.size() * 8; ++bit) {
        const std::size_t byte = bit / 8;
        if (byte >= content_ + 64 && byte + 64 < partition_.size() && byte % 256 != 0) continue;
        std::string bytes = partition_;
        bytes[byte] = static_cast<char>(bytes[byte] ^ 1 << bit % 8);
        // Without checksums a changed payload cannot be noticed; it is that document's alone.
        expect_documents(bytes, 1, "bit " + std::to_string(bit));
    }
}

TEST_P(NesDamage, EveryBitOfAnIndex) {
    const std::size_t content = 64 + 16 * kCount;
    for (std::size_t bit = 0; bit < index_.size() * 8; ++bit) {
        const std::size_t byte = bit / 8;
        if (byte >= content + 64 && byte + 64 < index_.size() && byte % 256 != 0) continue;
        std::string bytes = index_;
        bytes[byte] = static_cast<char>(bytes[byte] ^ 1 << bit % 8);
        expect_entries(bytes, 1, "bit " + std::to_string(bit));
    }
}

TEST_P(NesDamage, TheUndamagedFilesAreWhole) {
    // Proves that the checks above look at something.
    make_file(os::posix_env(), path_, partition_);
    auto partition = Partition::open(path_, with<PartitionOptions>(test::reading()));
    ASSERT_TRUE(partition);
    EXPECT_EQ(payloads(*partition).size(), kCount);
    std::string other = partition_;
    other[48 + 16 + 5] = '9';
    make_file(os::posix_env(), path_, other);
    auto changed = Partition::open(path_, with<PartitionOptions>(test::reading()));
    ASSERT_TRUE(changed);
    EXPECT_NE(payloads(*changed)[0], payload(0));
}

}  // namespace
}  // namespace varve::nes
