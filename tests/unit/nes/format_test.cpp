// Goal: bytes are exactly those that node-event-storage writes, and its bytes are understood.
// Method: golden vectors taken from files that the package has written; headers that are wrong in
// one place each.
#include "nes/format.hpp"

#include <gtest/gtest.h>

#include "nes/documents.hpp"
#include "nes/names.hpp"
#include "support/nes_files.hpp"
#include "support/temporary_directory.hpp"

namespace varve::nes {
namespace {

using test::be32;
using test::from_hex;

TEST(NesFormat, PartitionIdsAreThoseOfTheOriginal) {
    EXPECT_EQ(partition_id(""), 0U);
    EXPECT_EQ(partition_id("a"), 177604U);
    EXPECT_EQ(partition_id("storage"), 4003659708U);
    EXPECT_EQ(partition_id("storage.part-0"), 705898200U);
    EXPECT_EQ(partition_id("eventstore"), 2990396470U);
    EXPECT_EQ(partition_id("eventstore.foo"), 2899847454U);
    EXPECT_EQ(partition_id("eventstore.user/1"), 1701368663U);
    EXPECT_EQ(partition_id("eventstore.日本"), 119987153U);
    EXPECT_EQ(partition_id("é"), 177484U);
    EXPECT_EQ(partition_id("\xF0\x9F\x98\x80"), 5191800U) << "two UTF-16 units";
    EXPECT_EQ(partition_id("es.dvqaocvh"), partition_id("es.apnkxeax")) << "a known collision";
}

TEST(NesFormat, TheHeaderOfAPartitionIsGolden) {
    const auto header = encode_header(FileKind::partition, R"({"epoch":1700000000000})", "p");
    ASSERT_TRUE(header);
    EXPECT_EQ(*header, from_hex("6e65737072743033 00000024 "
                                "7b2265706f6368223a313730303030303030303030307d 202020202020202020"
                                "202020 0a"));
    const auto parsed = parse_header(base::as_bytes(*header), FileKind::partition, "p");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->metadata, R"({"epoch":1700000000000})");
    EXPECT_EQ(parsed->size, 48U);
}

TEST(NesFormat, TheHeadersOfIndexesHaveTheRightSizes) {
    const auto primary =
        encode_header(FileKind::index, R"({"entryClass":"Entry","entrySize":16})", "i");
    ASSERT_TRUE(primary);
    EXPECT_EQ(primary->size(), 64U);
    EXPECT_EQ(primary->substr(8, 4), be32(52));
    const auto secondary =
        encode_header(FileKind::index,
                      R"({"entryClass":"Entry","entrySize":16,"matcher":{"stream":"foo"}})", "i");
    ASSERT_TRUE(secondary);
    EXPECT_EQ(secondary->size(), 80U);
    EXPECT_EQ(secondary->substr(8, 4), be32(68));
}

TEST(NesFormat, EveryHeaderIsAMultipleOfSixteen) {
    for (std::size_t length = 0; length < 40; ++length) {
        const std::string metadata = R"({"a":")" + std::string(length, 'x') + R"("})";
        const auto header = encode_header(FileKind::index, metadata, "i");
        ASSERT_TRUE(header);
        EXPECT_EQ(header->size() % 16, 0U);
        EXPECT_LT(header->size(), 12 + metadata.size() + 1 + 16);
        EXPECT_EQ(header->back(), '\n');
        const auto parsed = parse_header(base::as_bytes(*header), FileKind::index, "i");
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->metadata, metadata);
    }
}

TEST(NesFormat, ADocumentIsGolden) {
    const std::string data = "{\"a\":1}";
    std::string bytes(document_bytes(data.size()), '?');
    ASSERT_EQ(bytes.size(), 32U);
    store_document(reinterpret_cast<std::byte*>(bytes.data()), data, 5, 3160);
    EXPECT_EQ(bytes, from_hex("00000007 00000005 40a8b00000000000 7b2261223a317d 20 00000007 "
                              "00001e0a"));
    Document read;
    EXPECT_EQ(read_document(base::as_bytes(bytes), 0, read), nullptr);
    EXPECT_EQ(read.data, data);
    EXPECT_EQ(read.sequence, 5U);
    EXPECT_EQ(read.time_us, 3160U);
    EXPECT_EQ(document_bytes(182), 208U);
    EXPECT_EQ(document_bytes(163), 188U);
}

std::string header_with(std::size_t at, std::string_view bytes) {
    auto header = encode_header(FileKind::partition, R"({"epoch":1})", "p");
    return header->replace(at, bytes.size(), bytes);
}

Error refused(std::string_view bytes) {
    auto parsed = parse_header(base::as_bytes(bytes), FileKind::partition, "file");
    EXPECT_FALSE(parsed);
    return parsed ? Error{} : parsed.error();
}

TEST(NesFormat, AnotherKindAndAnotherVersionAreDifferentErrors) {
    const Error kind = refused(header_with(0, "nesidx03"));
    EXPECT_EQ(kind.code, ErrorCode::not_a_store);
    EXPECT_EQ(kind.file, "file");
    const Error version = refused(header_with(0, "nesprt02"));
    EXPECT_EQ(version.code, ErrorCode::unsupported_version);
    EXPECT_EQ(version.offset, 6U);
    EXPECT_NE(version.message.find("02"), std::string::npos);
}

TEST(NesFormat, MetadataThatCannotBeAreRefusedWithTheirPlace) {
    for (const std::uint32_t size : {0U, 2U, 4097U, 0xFFFFFFFFU, 4084U, 35U}) {
        const Error error = refused(header_with(8, be32(size)));
        EXPECT_EQ(error.code, ErrorCode::corrupt) << size;
        EXPECT_EQ(error.offset, 8U) << size;
    }
    const Error json = refused(header_with(12, "[]         "));
    EXPECT_EQ(json.code, ErrorCode::corrupt);
    EXPECT_EQ(json.offset, 12U);
    EXPECT_EQ(refused("nesprt03").code, ErrorCode::corrupt);
}

/// W-39: the original writes such a partition and can never open it again.
TEST(NesFormat, W39MetadataThatTheOriginalCouldNotReadAreRefusedWhenWritten) {
    const std::string fits = R"({"a":")" + std::string(4000, 'x') + R"("})";
    EXPECT_TRUE(encode_header(FileKind::partition, fits, "p"));
    const std::string larger = R"({"a":")" + std::string(4090, 'x') + R"("})";
    auto header = encode_header(FileKind::partition, larger, "p");
    ASSERT_FALSE(header);
    EXPECT_EQ(header.error().code, ErrorCode::too_large);
    EXPECT_TRUE(encode_header(FileKind::index, larger, "i")) << "indexes have no such limit";
}

/// W-11: names of streams become names of files.
TEST(NesFormat, W11NamesNeverLeaveTheirDirectory) {
    for (const char* good : {"a", "a/b/c", "eventstore.user/1", "..a", "a..", "a b", "日本"})
        EXPECT_TRUE(check_name(good)) << good;
    for (const char* bad :
         {"", ".", "..", "/a", "a/", "a//b", "../a", "a/../../b", "a/.", "a/.."}) {
        auto checked = check_name(bad);
        ASSERT_FALSE(checked) << bad;
        EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument) << bad;
    }
    EXPECT_FALSE(check_name(std::string_view("a\0b", 3)));
    EXPECT_FALSE(check_name(std::string(256, 'x')));
}

TEST(NesFormat, WhatIsNoUtf8IsReplacedByteByByte) {
    std::size_t at = 0;
    EXPECT_EQ(next_code_point("\xC3\xA9", at), 0xE9U);
    EXPECT_EQ(at, 2U);
    for (const char* wrong : {"\xC3", "\x80", "\xED\xA0\x80", "\xC0\x80", "\xF5\x80\x80\x80"}) {
        at = 0;
        EXPECT_EQ(next_code_point(wrong, at), 0xFFFDU);
        EXPECT_EQ(at, 1U);
    }
}

}  // namespace
}  // namespace varve::nes
