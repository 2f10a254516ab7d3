// Commits made by hand, with what this version never writes: other kinds, other flags, any lengths.
//
// For tests. Invariant: every checksum is right and the chain goes on, so that nothing but the
// forged field tells such a commit from a written one.
#pragma once

#include <string_view>
#include <vector>

#include "base/crc32c.hpp"
#include "index/key.hpp"
#include "log/commit.hpp"

namespace varve::test {

struct ForgedRecord {
    std::uint8_t kind = 1;
    std::uint8_t flags = 0;
    std::string_view stream{};
    std::string_view data = "forged";
    std::uint64_t revision = 0;
    std::uint64_t stream_previous = 0;
};

/// Computes the checksum of a head that was changed after it had been encoded.
inline void sign_head(std::byte* record, std::uint32_t head_bytes, std::uint32_t seed) {
    const auto position = base::load<std::uint64_t>(record + offsetof(log::RecordHeader, position));
    const std::uint32_t crc =
        base::crc32c(base::crc32c_u64(seed, position), base::Bytes{record + 8, head_bytes - 8U});
    base::store(record + offsetof(log::RecordHeader, head_crc), crc);
}

struct ForgedCommit {
    std::vector<ForgedRecord> records;
    std::uint32_t flags = 0;
    std::uint64_t durable_hint = 0;
    std::uint32_t epoch = 1;
};

/// Writes the commit at `end` of the segment and moves `end` behind it.
inline void forge(std::byte* segment, log::LogPoint& end, const log::SegmentKeys& keys,
                  const ForgedCommit& commit, const index::Hasher& hasher = {}) {
    log::CommitHeader header;
    std::uint64_t length = sizeof header;
    std::vector<log::RecordInput> inputs;
    std::vector<std::array<std::uint64_t, 2>> hashes;
    for (const ForgedRecord& record : commit.records) {
        log::RecordInput input;
        input.stream = record.stream;
        input.data = record.data;
        input.head_size =
            static_cast<std::uint32_t>(log::head_size(record.stream.size(), 0, false));
        input.body_size = log::body_size(0, record.data.size());
        input.kind = static_cast<log::RecordKind>(record.kind);
        length += input.head_size + input.body_size;
        inputs.push_back(input);
        hashes.push_back(
            {record.stream.empty() ? 0 : hasher.key(index::KeyKind::stream, record.stream), 0});
    }
    header.length8 = static_cast<std::uint32_t>(length / 8);
    header.count = static_cast<std::uint32_t>(inputs.size());
    header.first_position = end.position + 1;
    header.durable_hint = commit.durable_hint;
    header.epoch = commit.epoch;
    header.flags = commit.flags;
    header.prev_chain = end.chain;
    header.chain = log::begin_chain(header);
    std::uint64_t at = sizeof header;
    for (std::size_t n = 0; n < inputs.size(); ++n) {
        std::byte* const to = segment + end.offset + at;
        inputs[n].hashes = hashes[n].data();
        log::RecordPlace place;
        place.position = header.first_position + n;
        place.revision = commit.records[n].revision;
        place.stream_previous = commit.records[n].stream_previous;
        place.commit_distance8 = static_cast<std::uint32_t>(at / 8);
        log::encode_record(to, inputs[n], place, keys.seed);
        to[offsetof(log::RecordHeader, flags)] = std::byte{commit.records[n].flags};
        sign_head(to, inputs[n].head_size, keys.seed);
        header.chain = log::add_to_chain(
            header.chain, base::load<std::uint32_t>(to + offsetof(log::RecordHeader, head_crc)));
        at += inputs[n].head_size + inputs[n].body_size;
    }
    log::encode_commit_header(segment + end.offset, header, keys);
    end = log::after_commit(end, header);
}

}  // namespace varve::test
