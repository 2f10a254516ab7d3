// Goal: the pages under docs/format/ say what the code does, byte for byte.
// Method: each page's field table against the constexpr table beside the struct; the tables
// themselves leave no byte out; doctored pages must be refused; the index's words are looked up at
// the offsets the table names.
#include <gtest/gtest.h>

#include <vector>

#include "consumer/parked_file.hpp"
#include "file/backup_file.hpp"
#include "file/control.hpp"
#include "file/manifest.hpp"
#include "file/store_file.hpp"
#include "file/verify_file.hpp"
#include "index/active_index.hpp"
#include "index/past_file.hpp"
#include "index/sealed_format.hpp"
#include "log/define.hpp"
#include "log/erase.hpp"
#include "nes/format.hpp"
#include "page.hpp"

namespace varve::docs {
namespace {

struct Table {
    const char* page;
    const char* title;
    std::span<const base::Field> fields;
    std::size_t bytes;  ///< that the fields must cover
};

const Table kTables[] = {
    {"format/store-file.md", "Fields", file::kStoreFileFields, file::kStoreFileSize},
    {"format/backup.md", "Fields", file::kBackupFileFields, file::kBackupFileSize},
    {"format/consumer.md", "Header", consumer::kFileHeaderFields, consumer::kHeaderSize},
    {"format/consumer.md", "Shared words", consumer::kSharedWordsFields,
     sizeof(consumer::SharedWords)},
    {"format/consumer.md", "Attempt", consumer::kAttemptFields, sizeof(consumer::Attempt)},
    {"format/consumer.md", "Slot", consumer::kSlotFields, consumer::kSlotHeadSize},
    {"format/consumer.md", "Milestone", consumer::kMilestoneFields, sizeof(consumer::Milestone)},
    {"format/consumer.md", "Header of parked events", consumer::kParkedHeaderFields,
     consumer::kParkedHeaderSize},
    {"format/consumer.md", "Entry of a parked event", consumer::kParkedEntryFields,
     sizeof(consumer::ParkedEntry)},
    {"format/verify-state.md", "Header", file::kVerifyHeaderFields, sizeof(file::VerifyHeader)},
    {"format/verify-state.md", "Damaged place", file::kVerifyDamageFields,
     sizeof(file::VerifyDamage)},
    {"format/manifest.md", "Fields of an entry", file::kManifestEntryFields,
     file::kManifestEntrySize},
    {"format/control.md", "Fields", file::kControlFields, file::kControlSize},
    {"format/log.md", "Segment header", log::kSegmentHeaderFields, log::kSegmentHeaderSize},
    {"format/log.md", "Commit header", log::kCommitHeaderFields, sizeof(log::CommitHeader)},
    {"format/log.md", "Record header", log::kRecordHeaderFields, sizeof(log::RecordHeader)},
    {"format/erasure.md", "Header", log::kEraseHeaderFields, sizeof(log::EraseHeader)},
    {"format/erasure.md", "Range", log::kEraseRangeFields, sizeof(log::PositionRange)},
    {"format/definitions.md", "Header", log::kDefineHeaderFields, sizeof(log::DefineHeader)},
    {"format/past.md", "Header", index::kPastHeaderFields, index::kPastHeaderSize},
    {"format/past.md", "Entry", index::kPastEntryFields, sizeof(index::PastEntry)},
    {"format/active-index.md", "Header page", index::kActHeaderFields, index::kActHeaderSize},
    {"format/active-index.md", "Counters page", index::kActCounterFields,
     index::kActSlotsOffset - index::kActCountersOffset},
    {"format/active-index.md", "Slot", index::kActSlotFields, 16},
    {"format/active-index.md", "Times", index::kActTimesFields, 32},
    {"format/active-index.md", "Offset", index::kActOffsetFields, 4},
    {"format/active-index.md", "Small block", index::kActSmallBlockFields, 8 * index::kSmallCells},
    {"format/active-index.md", "Block", index::kActBlockFields, 8 * index::kBlockCells},
    {"format/sealed-index.md", "Header page", index::kSealedHeaderFields, index::kSealedHeaderSize},
    {"format/sealed-index.md", "Segment", index::kSealedSegmentFields,
     sizeof(index::SealedSegment)},
    {"format/sealed-index.md", "Times", index::kSealedTimesFields, sizeof(index::SealedTimes)},
    {"format/nes.md", "File header", nes::kFileHeaderFields, sizeof(nes::FileHeader)},
    {"format/nes.md", "Document header", nes::kDocumentHeaderFields, sizeof(nes::DocumentHeader)},
    {"format/nes.md", "Document footer", nes::kDocumentFooterFields, sizeof(nes::DocumentFooter)},
    {"format/nes.md", "Index entry", nes::kIndexEntryFields, sizeof(nes::IndexEntry)},
    {"format/nes.md", "Size marker", nes::kSizeMarkerFields, sizeof(nes::SizeMarker)},
};

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

TEST(FormatPages, SayWhatTheCodeDoes) {
    for (const Table& table : kTables) {
        const std::string page = read_page(table.page);
        ASSERT_FALSE(page.empty()) << table.page;
        const auto found = differences(page, table.title, table.fields);
        EXPECT_TRUE(found.empty()) << table.page << ", " << table.title << ":\n" << joined(found);
    }
}

TEST(FormatPages, LeaveNoByteWithoutAName) {
    for (const Table& table : kTables) {
        std::size_t at = 0;
        for (const base::Field& field : table.fields) {
            EXPECT_EQ(field.offset, at) << table.page << ": " << field.name;
            at = field.offset + field.size;
        }
        EXPECT_EQ(at, table.bytes) << table.page << ", " << table.title;
    }
}

/// The page with `from` replaced by `to`, once.
std::string doctored(std::string page, std::string_view from, std::string_view to) {
    const std::size_t at = page.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return page.replace(at, from.size(), to);
}

TEST(FormatPagesCanary, ADoctoredPageIsRefused) {
    const std::string page = read_page("format/store-file.md");
    const auto refused = [](const std::string& text) {
        return !differences(text, "Fields", file::kStoreFileFields).empty();
    };
    ASSERT_FALSE(refused(page));
    const std::size_t row = page.find("| `uuid`");
    const std::string uuid = page.substr(row, page.find('\n', row) + 1 - row);
    EXPECT_TRUE(refused(doctored(page, uuid, ""))) << "a missing row";
    EXPECT_TRUE(refused(doctored(page, uuid, uuid + uuid))) << "a row too many";
    EXPECT_TRUE(refused(doctored(page, "| `uuid` | 32 |", "| `uuid` | 40 |"))) << "an offset";
    EXPECT_TRUE(refused(doctored(page, "| `uuid` | 32 | 16 |", "| `uuid` | 32 | 8 |"))) << "a size";
    EXPECT_TRUE(refused(doctored(page, "| `uuid` |", "| `guid` |"))) << "a name";
    EXPECT_TRUE(refused(doctored(page, "## Fields", "## Something"))) << "no table";
    const std::size_t last = page.find("| `crc`");
    const std::string crc = page.substr(last, page.find('\n', last) + 1 - last);
    EXPECT_TRUE(refused(doctored(page, crc, ""))) << "the last row missing";
    EXPECT_TRUE(refused(doctored(page, crc, crc + "| `more` | 128 | 4 | something |\n")))
        << "a row too many at the end";
}

template <class T>
T at(const std::vector<std::byte>& bytes, std::uint64_t base, const base::Field& field) {
    EXPECT_EQ(sizeof(T), field.size);
    return base::load<T>(bytes.data() + base + field.offset);
}

TEST(FormatPages, TheWordsOfTheIndexAreWhereTheTablesSay) {
    const index::ActCapacity capacity = index::capacity_for(64 << 10);
    std::vector<std::byte> bytes(capacity.bytes());
    index::ActHeader header;
    header.slots = capacity.slots;
    header.events = capacity.events;
    header.cells = capacity.cells;
    index::ActiveIndex active = index::ActiveIndex::format(bytes.data(), header);
    const index::Key keys[] = {0xAB0000000000000AULL};
    constexpr std::uint32_t kEvents = index::kSmallEntries + 2;
    for (std::uint32_t n = 0; n < kEvents; ++n) active.apply(n, 512 + n, keys, false);

    using Half = std::uint32_t;
    const std::uint64_t counters = index::kActCountersOffset;
    EXPECT_EQ(at<Half>(bytes, counters, index::kActCounterFields[0]), kEvents);
    EXPECT_EQ(at<Half>(bytes, counters, index::kActCounterFields[2]), 2 * index::kBlockCells);
    EXPECT_EQ(at<Half>(bytes, counters, index::kActCounterFields[4]), 1U);
    EXPECT_EQ(at<Half>(bytes, counters, index::kActCounterFields[6]), index::kSmallCells);
    std::uint64_t slot = index::kActSlotsOffset;
    while (at<std::uint64_t>(bytes, slot, index::kActSlotFields[0]) != keys[0]) {
        slot += 16;
        ASSERT_LT(slot, capacity.offsets_at());
    }
    const auto place = at<Half>(bytes, slot, index::kActSlotFields[1]);
    EXPECT_EQ(place, index::kBlockCells);
    EXPECT_EQ(at<Half>(bytes, slot, index::kActSlotFields[2]), kEvents);
    EXPECT_EQ(at<Half>(bytes, capacity.offsets_at() + 4, index::kActOffsetFields[0]), 513U);
    const std::uint64_t block = capacity.cells_at() + 8ULL * place;
    const auto before = at<Half>(bytes, block, index::kActBlockFields[0]);
    EXPECT_EQ(before, 0U);
    const std::uint64_t ordinals = block + index::kActBlockFields[1].offset;
    EXPECT_EQ(base::load<Half>(bytes.data() + ordinals), index::kSmallEntries);
    EXPECT_EQ(base::load<Half>(bytes.data() + ordinals + 4), index::kSmallEntries + 1);
    const std::uint64_t small = capacity.cells_at() + 8ULL * before;
    for (Half n = 0; n < index::kSmallEntries; ++n)
        EXPECT_EQ(base::load<Half>(bytes.data() + small + 4ULL * n), n);
}

}  // namespace
}  // namespace varve::docs
