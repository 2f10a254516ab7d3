// Goal: documents come back as they were written, in both directions and by sequence number, in
// both layouts; a torn end is found, cutting keeps what it cuts. Method: partitions of a few
// documents against vectors of them; files cut and forged byte by byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "nes/documents.hpp"
#include "os/sim_env.hpp"
#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::be32;
using test::bytes_of;
using test::make_file;
using test::payloads;
using test::TemporaryDirectory;
using test::with;

PartitionOptions reading(os::Env* env = nullptr) {
    return with<PartitionOptions>(test::reading(env));
}
PartitionOptions writing(Layout layout, os::Env* env = nullptr) {
    auto options = with<PartitionOptions>(test::writing(layout, env));
    options.epoch_ms = 1'700'000'000'000;
    return options;
}

Partition opened(const std::string& path, const PartitionOptions& options) {
    auto partition = Partition::open(path, options);
    EXPECT_TRUE(partition) << partition.error().message;
    return std::move(*partition);
}

std::string payload(std::uint32_t n) {
    return std::to_string(n) + ":" + std::string(n * 7 % 50, 'x');
}

/// Appends documents `from` to `until`, with even sequence numbers.
std::vector<std::string> fill(Partition& partition, std::uint32_t from, std::uint32_t until) {
    std::vector<std::string> all;
    for (std::uint32_t n = from; n <= until; ++n) {
        all.push_back(payload(n));
        auto position = partition.write(all.back(), 2 * n);
        EXPECT_TRUE(position) << position.error().message;
    }
    return all;
}

class NesPartition : public testing::TestWithParam<Layout> {
protected:
    TemporaryDirectory directory_;
    std::string path_ = directory_.path() + "/store.partition";
};

INSTANTIATE_TEST_SUITE_P(Layouts, NesPartition, testing::Values(Layout::classic, Layout::mapped),
                         [](const auto& layout) {
                             return layout.param == Layout::classic ? "Classic" : "Mapped";
                         });

TEST_P(NesPartition, TwoDocumentsLieWhereTheOriginalPutsThem) {
    auto partition = opened(path_, writing(GetParam()));
    EXPECT_EQ(*partition.write(std::string(182, 'a'), 0), 0U);
    EXPECT_EQ(*partition.write(std::string(163, 'b'), 1), 208U);
    EXPECT_EQ(partition.size(), 396U);
    ASSERT_TRUE(partition.close());
    const std::string bytes = bytes_of(os::posix_env(), path_);
    EXPECT_EQ(bytes.substr(0, 48),
              test::from_hex("6e65737072743033 00000024 "
                             "7b2265706f6368223a313730303030303030303030307d 202020202020202020"
                             "202020 0a"));
    if (GetParam() == Layout::classic) {
        EXPECT_EQ(bytes.size(), 444U);
    }
    EXPECT_EQ(bytes.substr(48, 8), be32(182) + be32(0));
    EXPECT_EQ(bytes.substr(48 + 208 - 10, 10), "  " + be32(182) + be32(0x1E0A));
    EXPECT_EQ(bytes.substr(48 + 208, 8), be32(163) + be32(1));
    EXPECT_EQ(bytes.substr(444 - 9, 9), " " + be32(163) + be32(0x1E0A));
}

TEST_P(NesPartition, DocumentsAreReadAtTheirPositions) {
    auto partition = opened(path_, writing(GetParam()));
    std::vector<std::uint64_t> positions;
    for (std::uint32_t n = 0; n < 100; ++n) positions.push_back(*partition.write(payload(n), n));
    for (std::uint32_t n = 0; n < 100; ++n) {
        const auto size = static_cast<std::uint32_t>(payload(n).size());
        const auto document = partition.read(positions[n], size);
        ASSERT_TRUE(document) << document.error().message;
        EXPECT_EQ(document->data, payload(n));
        EXPECT_EQ(document->sequence, n);
        EXPECT_EQ(document->position, positions[n]);
        EXPECT_EQ(partition.read(positions[n])->data, payload(n)) << "without an expected size";
        EXPECT_EQ(partition.read(positions[n], size + 1).error().code, ErrorCode::corrupt);
        EXPECT_EQ(partition.read(positions[n] + 1).error().code, ErrorCode::corrupt);
    }
    EXPECT_EQ(partition.read(partition.size()).error().code, ErrorCode::not_found);
    EXPECT_EQ(partition.read(~0ULL).error().code, ErrorCode::not_found);
    EXPECT_EQ(partition.read(positions[1] + 4).error().offset, 48 + positions[1] + 4);
}

TEST_P(NesPartition, CursorsGoBothWaysFromAnywhere) {
    auto partition = opened(path_, writing(GetParam()));
    EXPECT_FALSE(*partition.last());
    EXPECT_TRUE(payloads(partition).empty());
    const auto wanted = fill(partition, 1, 50);
    EXPECT_EQ(payloads(partition), wanted);
    std::vector<std::string> back;
    std::vector<std::uint64_t> positions;
    auto cursor = *partition.backwards();
    for (Document one; cursor.next(one);) {
        back.emplace_back(one.data);
        positions.push_back(one.position);
    }
    EXPECT_TRUE(cursor.status());
    std::reverse(back.begin(), back.end());
    EXPECT_EQ(back, wanted);
    EXPECT_EQ((*partition.last())->data, wanted.back());
    auto middle = *partition.forwards(positions[9]);
    Document one;
    ASSERT_TRUE(middle.next(one));
    EXPECT_EQ(one.data, wanted[40]);
    auto before = *partition.backwards(positions[9]);
    ASSERT_TRUE(before.next(one));
    EXPECT_EQ(one.data, wanted[39]);
    EXPECT_FALSE(partition.forwards(2));
    EXPECT_FALSE(partition.forwards(partition.size() + 4));
    auto wrong = *partition.backwards(positions[9] + 4);
    EXPECT_FALSE(wrong.next(one));
    EXPECT_EQ(wrong.status().error().code, ErrorCode::corrupt);
}

TEST_P(NesPartition, FindsBySequenceNumber) {
    auto partition = opened(path_, writing(GetParam()));
    EXPECT_FALSE(*partition.find(0));
    EXPECT_FALSE(*partition.find(0, Find::at_most));
    fill(partition, 1, 200);
    for (std::uint32_t sequence = 0; sequence <= 404; ++sequence) {
        const auto at_least = *partition.find(sequence);
        const std::uint32_t next = std::max(2U, sequence + sequence % 2);
        ASSERT_EQ(at_least.has_value(), next <= 400) << sequence;
        if (at_least) {
            EXPECT_EQ(at_least->sequence, next);
        }
        const auto at_most = *partition.find(sequence, Find::at_most);
        ASSERT_EQ(at_most.has_value(), sequence >= 2) << sequence;
        if (at_most) {
            EXPECT_EQ(at_most->sequence, std::min(400U, sequence - sequence % 2));
        }
    }
    EXPECT_EQ((*partition.find(~0U, Find::at_most))->sequence, 400U);
}

/// W-41: the original trusts any bytes in a payload that look like a separator.
TEST_P(NesPartition, W41SeparatorsInsidePayloadsMisleadNobody) {
    auto partition = opened(path_, writing(GetParam()));
    std::string separators;
    for (int n = 0; n < 300; ++n) separators += be32(static_cast<std::uint32_t>(n)) + be32(0x1E0A);
    std::vector<std::string> wanted;
    for (std::uint32_t n = 0; n < 30; ++n) {
        wanted.push_back(separators.substr(0, n * 70 + 1));
        ASSERT_TRUE(partition.write(wanted.back(), n));
    }
    EXPECT_EQ(payloads(partition), wanted);
    for (std::uint32_t n = 0; n < 30; ++n) EXPECT_EQ((*partition.find(n))->data, wanted[n]);
    ASSERT_TRUE(partition.close());
    EXPECT_FALSE(opened(path_, reading()).torn());
}

TEST_P(NesPartition, LimitsOfADocument) {
    auto partition = opened(path_, writing(GetParam()));
    EXPECT_EQ(partition.write("", 0).error().code, ErrorCode::invalid_argument);
    const std::string largest(kDocumentLimit, 'x');
    EXPECT_EQ(partition.write(largest + "x", 0).error().code, ErrorCode::too_large);
    EXPECT_EQ(partition.size(), 0U);
    EXPECT_EQ(*partition.write(largest, 0), 0U);
    EXPECT_EQ(*partition.write("y", 1), document_bytes(kDocumentLimit));
    EXPECT_EQ(partition.read(0)->data, largest);
    EXPECT_EQ((*partition.last())->data, "y");
}

TEST_P(NesPartition, W42TimesAscendAlsoAcrossReopening) {
    std::uint64_t last = 0;
    os::SimEnv world(1);
    for (int round = 0; round < 3; ++round) {
        // W-42: the clock has gone back since the last writer.
        world.set_clock(1'700'000'060'000'000ULL - static_cast<std::uint64_t>(round) * 30'000'000);
        auto partition = opened("partition", writing(GetParam(), &world));
        for (std::uint32_t n = 0; n < 20; ++n) {
            const std::uint64_t position = *partition.write("document", n);
            const std::uint64_t time = partition.read(position)->time_us;
            EXPECT_GT(time, last);
            last = time;
        }
        EXPECT_GE(last, 60'000'000U);
        EXPECT_LT(last, 61'000'000U);
    }
}

TEST_P(NesPartition, MetadataFollowTheEpoch) {
    PartitionOptions options = writing(GetParam());
    options.metadata = R"({"owner":"é","n":[1]})";
    auto partition = opened(path_, options);
    EXPECT_EQ(partition.metadata(), R"({"epoch":1700000000000,"owner":"é","n":[1]})");
    EXPECT_EQ(partition.epoch_ms(), 1'700'000'000'000U);
    ASSERT_TRUE(partition.close());
    EXPECT_EQ(opened(path_, reading()).metadata(),
              R"({"epoch":1700000000000,"owner":"é","n":[1]})");
    const std::string other = directory_.path() + "/other";
    for (const char* wrong : {"[]", "{", R"({"epoch":1})", "1"}) {
        options.metadata = wrong;
        EXPECT_EQ(Partition::open(other, options).error().code, ErrorCode::invalid_argument);
        static_cast<void>(os::posix_env().remove(other));
    }
    options.metadata = "{ }";
    EXPECT_EQ(opened(other, options).metadata(), R"({"epoch":1700000000000})");
}

TEST(NesPartitionFile, AnEpochThatIsMissingIs2020AndOneThatCannotBeIsRefused) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/p";
    for (const char* none : {R"({"a":1})", R"({"epoch":0})", R"({"epoch":"x"})"}) {
        make_file(os::posix_env(), path, *encode_header(FileKind::partition, none, path));
        EXPECT_EQ(opened(path, reading()).epoch_ms(), 1'577'836'800'000U);
    }
    for (const char* wrong : {R"({"epoch":-1})", R"({"epoch":1e300})"}) {
        make_file(os::posix_env(), path, *encode_header(FileKind::partition, wrong, path));
        EXPECT_EQ(Partition::open(path, reading()).error().code, ErrorCode::corrupt);
    }
}

TEST_P(NesPartition, W4TruncatingKeepsExactlyWhatItCutsOff) {
    auto partition = opened(path_, writing(GetParam()));
    const auto wanted = fill(partition, 1, 2000);
    const std::uint64_t position = (*partition.find(2 * 101))->position;
    for (const std::uint64_t wrong : {position + 4, position + 1, partition.size() + 4})
        EXPECT_EQ(partition.truncate(wrong).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(*partition.truncate(partition.size()), "");
    const auto branch = partition.truncate(position);
    ASSERT_TRUE(branch) << branch.error().message;
    EXPECT_EQ(payloads(partition), std::vector<std::string>(wanted.begin(), wanted.begin() + 100));
    EXPECT_TRUE(branch->starts_with(path_ + "-truncated-")) << *branch;
    EXPECT_TRUE(branch->ends_with("-" + std::to_string(position) + ".branch")) << *branch;
    // W-4: in the original this holds garbage, or the attempt ends the process.
    auto kept = opened(*branch, reading());
    EXPECT_EQ(kept.metadata(), R"({"epoch":1700000000000})");
    EXPECT_EQ(payloads(kept), std::vector<std::string>(wanted.begin() + 100, wanted.end()));
    EXPECT_EQ(*partition.write("next", 5000), position);
    EXPECT_EQ(*partition.truncate_after(~0U), "");
    ASSERT_TRUE(partition.truncate_after(2 * 50));
    EXPECT_EQ(payloads(partition).size(), 50U);
    ASSERT_TRUE(partition.truncate_after(0));
    EXPECT_EQ(partition.size(), 0U);
    ASSERT_TRUE(partition.close());
    EXPECT_EQ(opened(path_, reading()).size(), 0U);
}

/// M-8: the original's mapped partition keeps no copy of what it cuts off.
TEST(NesPartitionMapped, M8TruncatingKeepsABranchAndClassicReadersReadIt) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/p";
    auto partition = opened(path, writing(Layout::mapped));
    const auto wanted = fill(partition, 1, 10);
    const auto branch = partition.truncate(0);
    ASSERT_TRUE(branch);
    auto kept = opened(*branch, reading());
    EXPECT_EQ(kept.layout(), Layout::classic);
    EXPECT_EQ(payloads(kept), wanted);
}

TEST_P(NesPartition, AFollowerSeesWholeDocuments) {
    auto partition = opened(path_, writing(GetParam()));
    auto follower = opened(path_, reading());
    std::uint64_t flushed = 0;
    for (std::uint32_t n = 1; n <= 5000; ++n) {
        ASSERT_TRUE(partition.write(payload(n), n));
        if (n % 501 != 0) continue;
        ASSERT_TRUE(partition.flush());
        EXPECT_EQ(follower.wait(1'000'000)->appended, partition.size() - flushed);
        flushed = partition.size();
        EXPECT_EQ((*follower.last())->sequence, n);
    }
    ASSERT_TRUE(partition.truncate_after(100));
    EXPECT_EQ(follower.refresh()->truncated, flushed - partition.size());
    EXPECT_EQ(payloads(follower).size(), 100U);
}

/// W-3 and W-23: the original misses tears of less than a header and dies of zeros; it then writes
/// on behind them.
TEST_P(NesPartition, W3W23ATornEndIsFoundWhateverItsLength) {
    std::vector<std::string> wanted;
    std::uint64_t whole = 0;
    {
        auto partition = opened(path_, writing(GetParam()));
        wanted = fill(partition, 1, 40);
        whole = partition.size();
        ASSERT_TRUE(partition.write(std::string(100, 't'), 999));
    }
    const std::string content = bytes_of(os::posix_env(), path_).substr(0, 48 + whole + 124);
    for (std::uint64_t cut = 1; cut <= 124; ++cut) {
        for (const bool zeros : {false, true}) {
            if (!zeros && cut == 124) continue;
            const std::string tail =
                zeros ? std::string(cut, '\0') : content.substr(48 + whole, cut);
            std::string bytes = content.substr(0, 48 + whole) + tail;
            if (GetParam() == Layout::mapped) {
                bytes.resize((bytes.size() + 3) / 4 * 4);
                const auto end = bytes.size();
                bytes.resize(8188);
                bytes += be32(static_cast<std::uint32_t>(8192 - end));
            }
            make_file(os::posix_env(), path_, bytes);
            auto reader = opened(path_, reading());
            EXPECT_EQ(payloads(reader), wanted) << cut;
            ASSERT_TRUE(reader.torn()) << cut;
            EXPECT_EQ(reader.torn()->position, whole);
            EXPECT_EQ(reader.torn()->sequence.has_value(), !zeros && reader.torn()->bytes >= 16);
            if (reader.torn()->sequence) {
                EXPECT_EQ(*reader.torn()->sequence, 999U);
            }
            auto partition = opened(path_, writing(GetParam()));
            EXPECT_EQ(partition.write("x", 1).error().code, ErrorCode::corrupt);
            const auto branch = partition.drop_torn();
            ASSERT_TRUE(branch) << branch.error().message;
            EXPECT_TRUE(bytes_of(os::posix_env(), *branch).ends_with(tail) || cut % 4 != 0);
            ASSERT_TRUE(os::posix_env().remove(*branch));
            EXPECT_EQ(*partition.write("x", 1000), whole);
            EXPECT_EQ(payloads(partition).size(), 41U);
        }
    }
}

/// W-26: in the original the read after one of a half-written document shows memory that was never
/// written.
TEST_P(NesPartition, W26NothingBehindTheLastWholeDocumentIsEverRead) {
    std::vector<std::string> wanted;
    std::uint64_t whole = 0;
    {
        auto partition = opened(path_, writing(GetParam()));
        wanted = fill(partition, 1, 10);
        whole = partition.size();
        ASSERT_TRUE(partition.write(std::string(100, 't'), 999));
    }
    const std::string bytes = bytes_of(os::posix_env(), path_);
    const std::uint64_t begin = 48 + whole;
    for (std::uint64_t there = 0; there < 124; there += 4) {
        // What another program has written so far of the last document.
        std::string half = bytes.substr(0, begin + there);
        if (GetParam() == Layout::mapped) {
            half.resize(8188);
            half += be32(static_cast<std::uint32_t>(8192 - begin - there));
        }
        make_file(os::posix_env(), path_, half);
        auto reader = opened(path_, reading());
        for (int again = 0; again < 2; ++again) {
            EXPECT_EQ(reader.size(), whole) << there;
            EXPECT_EQ(reader.read(whole).error().code, ErrorCode::not_found);
            EXPECT_EQ(reader.read(whole, 100).error().code, ErrorCode::not_found);
            EXPECT_EQ((*reader.last())->data, wanted.back());
            EXPECT_EQ(payloads(reader), wanted);
            EXPECT_FALSE(*reader.refresh());
        }
        // Its rest comes.
        auto file = os::posix_env().open(path_, os::OpenMode::read_write);
        ASSERT_TRUE(file);
        ASSERT_TRUE((*file)->write_at(begin, base::as_bytes(bytes).subspan(begin, 124)));
        if (GetParam() == Layout::mapped) {
            const std::string marker = be32(static_cast<std::uint32_t>(8192 - begin - 124));
            ASSERT_TRUE((*file)->write_at(8188, base::as_bytes(marker)));
        }
        EXPECT_EQ(reader.refresh()->appended, 124U) << there;
        EXPECT_EQ(reader.read(whole)->data, std::string(100, 't'));
    }
}

std::size_t mappings() {
    std::ifstream maps("/proc/self/maps");
    std::size_t lines = 0;
    for (std::string line; std::getline(maps, line);) ++lines;
    return lines;
}

/// The original dies of mappings that only a garbage collection would take away.
TEST_P(NesPartition, OpeningAndClosingThousandsOfTimesLeavesNoMapping) {
    ASSERT_TRUE(opened(path_, writing(GetParam())).write("document", 1));
    const std::size_t before = mappings();
    for (int n = 0; n < 5000; ++n) {
        auto partition = opened(path_, n % 2 == 0 ? writing(Layout::detect) : reading());
        ASSERT_EQ(partition.size(), 32U);
        ASSERT_TRUE(partition.close());
    }
    EXPECT_LE(mappings(), before + 2);
}

/// W-15: the original finds out after it has written.
TEST(NesPartitionFile, W15APartitionEndsBeforeItsPositionsDo) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/p";
    make_file(os::posix_env(), path, *encode_header(FileKind::partition, R"({"epoch":1})", path));
    // A hole of nearly 4 GiB that ends with a document of the largest size.
    const std::uint64_t size = (std::uint64_t{1} << 32) - 100;
    const std::uint64_t total = document_bytes(kDocumentLimit);
    {
        auto file = os::posix_env().open(path, os::OpenMode::read_write);
        ASSERT_TRUE(file);
        ASSERT_TRUE((*file)->write_at(
            32 + size - total - 4,
            base::as_bytes(be32(0x1E0A) + be32(kDocumentLimit) + be32(7) + std::string(8, '\0'))));
        ASSERT_TRUE(
            (*file)->write_at(32 + size - 8, base::as_bytes(be32(kDocumentLimit) + be32(0x1E0A))));
    }
    auto partition = opened(path, writing(Layout::classic));
    ASSERT_EQ(partition.size(), size);
    const std::string data(77, 'x');
    EXPECT_EQ(partition.write(data, 8).error().code, ErrorCode::too_large);
    EXPECT_EQ(partition.size(), size);
    EXPECT_EQ(*partition.write("fits", 8), size);
}

TEST(NesPartitionFile, AFullDiskIsAnErrorInBothLayouts) {
    for (const Layout layout : {Layout::classic, Layout::mapped}) {
        os::SimEnv world(1);
        PartitionOptions options = writing(layout, &world);
        options.write_ahead_bytes = 4096;
        auto partition = opened("p", options);
        ASSERT_TRUE(partition.write("first", 0));
        ASSERT_TRUE(partition.flush());
        world.fail_call(1, ErrorCode::no_space, true);
        std::uint32_t written = 1;
        Result<std::uint64_t> done = std::uint64_t{0};
        while (written < 10'000 && done) {
            done = partition.write(payload(written), written);
            if (done) ++written;
        }
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::no_space);
        world.stop_failing();
        EXPECT_TRUE(partition.write(payload(written), written));
        ASSERT_TRUE(partition.flush());
        EXPECT_EQ(payloads(partition).size(), written + 1);
        EXPECT_EQ(opened("p", reading(&world)).size(), partition.size());
    }
}

}  // namespace
}  // namespace varve::nes
