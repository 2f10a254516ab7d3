// Goal: a record comes back as it was given, and no damaged byte of it goes unnoticed.
// Method: encode events of many shapes, decode them at three depths, flip every bit, hand in every
// truncated span.
#include "log/record.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/forge.hpp"

namespace varve::log {
namespace {

struct Sample {
    std::string stream, type, metadata, data;
    std::vector<std::string> tags;
    bool has_id = false;
};

constexpr std::uint32_t kSeed = 0x12345678;

/// Encodes `sample` at position 7 into its own bytes.
std::vector<std::byte> encode(const Sample& sample, std::uint64_t position = 7) {
    std::vector<std::string_view> tags(sample.tags.begin(), sample.tags.end());
    std::vector<std::uint64_t> hashes(2 + tags.size(), 0xABCD);
    std::size_t names = sample.stream.size() + sample.type.size();
    for (const auto tag : tags) names += tag.size();
    std::array<std::byte, 16> id{};
    id.fill(std::byte{0x5A});
    RecordInput input;
    input.stream = sample.stream;
    input.type = sample.type;
    input.tags = tags;
    input.metadata = sample.metadata;
    input.data = sample.data;
    input.id = sample.has_id ? id.data() : nullptr;
    input.hashes = hashes.data();
    input.head_size = static_cast<std::uint32_t>(head_size(names, tags.size(), sample.has_id));
    input.body_size = body_size(sample.metadata.size(), sample.data.size());
    std::vector<std::byte> bytes(input.head_size + input.body_size, std::byte{0xEE});
    RecordPlace place;
    place.position = position;
    place.revision = 3;
    place.stream_previous = 5;
    place.time_us = -42;
    place.commit_distance8 = 8;
    encode_record(bytes.data(), input, place, kSeed);
    return bytes;
}

std::vector<Sample> samples() {
    return {{"", "", "", "", {}, false},
            {"order-1", "Placed", "", "{}", {"customer/7"}, false},
            {"s", "t", "meta", std::string(1000, 'x'), {"a", "bb", "ccc"}, true},
            {std::string(1024, 's'), std::string(1024, 't'), "m", "",
             std::vector<std::string>(64, "tag"), true}};
}

TEST(Record, ComesBackAsItWasGiven) {
    for (const Sample& sample : samples()) {
        const auto bytes = encode(sample);
        RecordView view;
        ASSERT_EQ(decode_record(bytes, 0, 7, kSeed, Check::body, view), nullptr);
        const EventView event = to_event(view);
        EXPECT_EQ(event.position.value, 7U);
        EXPECT_EQ(event.revision.value, 3U);
        EXPECT_EQ(event.time_us, -42);
        EXPECT_EQ(event.stream, sample.stream);
        EXPECT_EQ(event.type, sample.type);
        EXPECT_EQ(event.metadata, sample.metadata);
        EXPECT_EQ(event.data, sample.data);
        EXPECT_EQ(event.id().has_value(), sample.has_id);
        std::vector<std::string> tags(event.tags.begin(), event.tags.end());
        EXPECT_EQ(tags, sample.tags);
    }
}

TEST(Record, EveryFlippedBitIsSeen) {
    for (const Sample& sample : samples()) {
        auto bytes = encode(sample);
        if (bytes.size() > 2048)
            continue;  // the long one would only repeat what the short ones show
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            bytes[bit / 8] ^= std::byte{1} << (bit % 8);
            RecordView view;
            EXPECT_NE(decode_record(bytes, 0, 7, kSeed, Check::body, view), nullptr)
                << "bit " << bit;
            bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        }
    }
}

TEST(Record, TruncatedBytesAreRefusedAtEveryLength) {
    const auto bytes = encode(samples()[2]);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        // A copy of exactly this length, so that a read beyond it is one beyond its allocation.
        const std::vector<std::byte> cut(bytes.begin(),
                                         bytes.begin() + static_cast<std::ptrdiff_t>(length));
        RecordView view;
        EXPECT_NE(decode_record(cut, 0, 7, kSeed, Check::structure, view), nullptr) << length;
    }
}

/// The sample with `length` at `offset` of its header, checksums made right again.
Fault fault_with(const Sample& sample, std::size_t offset, std::uint32_t length,
                 std::size_t bytes_of_field) {
    auto bytes = encode(sample);
    bytes.resize(256);
    std::memcpy(bytes.data() + offset, &length, bytes_of_field);
    RecordView view;
    return decode_record(bytes, 0, 7, kSeed, Check::structure, view);
}

TEST(Record, LimitsComeBeforeEverythingElse) {
    const Sample sample = samples()[1];
    const auto refused = [&](std::size_t offset, std::uint32_t length, std::size_t size) {
        return std::string_view(fault_with(sample, offset, length, size)).find("than it can be") !=
               std::string_view::npos;
    };
    EXPECT_TRUE(refused(offsetof(RecordHeader, stream_length), kMaxNameBytes + 1, 2));
    EXPECT_TRUE(refused(offsetof(RecordHeader, type_length), kMaxNameBytes + 1, 2));
    EXPECT_TRUE(refused(offsetof(RecordHeader, metadata_length), kMaxMetadataBytes + 1, 4));
    EXPECT_TRUE(refused(offsetof(RecordHeader, data_length), kMaxDataBytes + 1, 4));
    const std::size_t tag_length = sizeof(RecordHeader) + 3 * 8;
    EXPECT_TRUE(refused(tag_length, kMaxNameBytes + 1, 2));
    // At the limit it is something else that is wrong: the bytes end.
    EXPECT_FALSE(refused(offsetof(RecordHeader, stream_length), kMaxNameBytes, 2));
    EXPECT_FALSE(refused(offsetof(RecordHeader, data_length), kMaxDataBytes, 4));
    EXPECT_FALSE(refused(tag_length, kMaxNameBytes, 2));
}

TEST(Record, UnknownKindsAndFlagsAreOfANewerVersionAtEveryDepth) {
    const Sample sample = samples()[1];
    for (const auto& [offset, value] : {std::pair{offsetof(RecordHeader, kind), 0},
                                        {offsetof(RecordHeader, kind), 4},
                                        {offsetof(RecordHeader, flags), 4}}) {
        auto bytes = encode(sample);
        RecordView view;
        ASSERT_EQ(decode_record(bytes, 0, 7, kSeed, Check::body, view), nullptr);
        bytes[offset] = static_cast<std::byte>(value);
        for (const Check check : {Check::structure, Check::head, Check::body}) {
            const Fault damaged = decode_record(bytes, 0, 7, kSeed, check, view);
            ASSERT_NE(damaged, nullptr);
            EXPECT_FALSE(is_newer(damaged));
        }
        test::sign_head(bytes.data(), view.head_bytes, kSeed);
        for (const Check check : {Check::structure, Check::head, Check::body})
            EXPECT_TRUE(is_newer(decode_record(bytes, 0, 7, kSeed, check, view)));
    }
}

TEST(Record, TagsStayInsideWhateverTheirLengthsBecome) {
    const Sample sample{"s", "t", "", "", {"a", "bb", "ccc"}, false};
    auto bytes = encode(sample);
    RecordView view;
    ASSERT_EQ(decode_record(bytes, 0, 7, kSeed, Check::body, view), nullptr);
    const TagsView tags = to_event(view).tags;
    // Another process writes into the mapping after the check.
    std::memset(bytes.data() + sizeof(RecordHeader) + 5 * 8, 0xFF, 6);
    std::string seen;
    for (const std::string_view tag : tags) {
        const auto* const end = reinterpret_cast<const char*>(bytes.data() + bytes.size());
        ASSERT_LE(tag.data() + tag.size(), end);
        seen += tag;
    }
    EXPECT_EQ(seen, "abbccc");
    EXPECT_FALSE(tags.contains("bb"));
}

TEST(Record, AnotherPositionOrSeedIsNotThisRecord) {
    const auto bytes = encode(samples()[1]);
    RecordView view;
    EXPECT_NE(decode_record(bytes, 0, 8, kSeed, Check::structure, view), nullptr);
    EXPECT_NE(decode_record(bytes, 0, 7, kSeed + 1, Check::head, view), nullptr);
    EXPECT_NE(decode_record(bytes, 4, 7, kSeed, Check::structure, view), nullptr);
}

}  // namespace
}  // namespace varve::log
