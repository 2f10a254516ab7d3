#include "log/commit.hpp"

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/seeded_bug.hpp"

namespace varve::log {

using base::Bytes;
using base::SeededBug;

namespace {

constexpr std::size_t kCrcFrom = offsetof(CommitHeader, length8);
constexpr std::size_t kChainTo = offsetof(CommitHeader, prev_chain);

std::uint32_t header_crc(const CommitHeader& header, const SegmentKeys& keys) noexcept {
    const auto* bytes = reinterpret_cast<const std::byte*>(&header);
    return base::crc32c(keys.seed, Bytes{bytes + kCrcFrom, sizeof header - kCrcFrom});
}

Fault fault_of_body(const RecordView& view, std::uint32_t seed,
                    std::span<const PositionRange> erased) noexcept {
    if (body_is_intact(view, seed)) return nullptr;
    if (!body_is_zero(view)) return kBodyFault;
    return holds(erased, view.header.position) ? nullptr : kZeroBodyFault;
}

}  // namespace

std::uint32_t begin_chain(const CommitHeader& header) noexcept {
    const auto* bytes = reinterpret_cast<const std::byte*>(&header);
    return base::crc32c(header.prev_chain, Bytes{bytes + kCrcFrom, kChainTo - kCrcFrom});
}

std::uint32_t add_to_chain(std::uint32_t chain, std::uint32_t head_crc) noexcept {
    return base::crc32c(chain,
                        Bytes{reinterpret_cast<const std::byte*>(&head_crc), sizeof head_crc});
}

void encode_commit_header(std::byte* to, CommitHeader header, const SegmentKeys& keys) noexcept {
    VARVE_ASSERT(header.count > 0 && header.first_position > 0);
    VARVE_ASSERT(header.reserved == 0);
    header.magic = keys.magic;
    header.header_crc = header_crc(header, keys);
    base::store(to, header);
}

Fault check_commit_header(Bytes segment, std::uint64_t offset, const SegmentKeys& keys,
                          CommitHeader& header) noexcept {
    constexpr Fault kNone = "no commit header that verifies";
    if (!base::fits(offset, sizeof(CommitHeader), segment.size())) return kNone;
    if (base::load<std::uint32_t>(segment.data() + offset) != keys.magic) return kNone;
    header = base::load<CommitHeader>(segment.data() + offset);
    if (header_crc(header, keys) != header.header_crc) return kNone;
    if (header.flags != 0 || header.reserved != 0) return kWrittenByNewer;
    const bool sane = header.count > 0 && header.first_position > 0 &&
                      base::fits(offset, std::uint64_t{header.length8} * 8, segment.size());
    return sane ? nullptr : kNone;
}

bool decode_commit_header(Bytes segment, std::uint64_t offset, const SegmentKeys& keys,
                          CommitHeader& header) noexcept {
    return check_commit_header(segment, offset, keys, header) == nullptr;
}

Fault check_commit(Bytes segment, std::uint64_t offset, const SegmentKeys& keys,
                   CommitHeader& header, const Bodies& bodies) noexcept {
    if (const Fault fault = check_commit_header(segment, offset, keys, header)) return fault;
    const std::uint64_t end = offset + std::uint64_t{header.length8} * 8;
    std::uint64_t at = offset + sizeof(CommitHeader);
    std::uint32_t chain = begin_chain(header);
    RecordView view;
    for (std::uint32_t n = 0; n < header.count; ++n) {
        Fault fault = decode_record(segment.first(end), at, header.first_position + n, keys.seed,
                                    Check::head, view);
        if (fault == nullptr && bodies.check) fault = fault_of_body(view, keys.seed, bodies.erased);
        if (fault != nullptr) return fault;
        if (std::uint64_t{view.header.commit_distance8} * 8 != at - offset)
            return "a record names another commit";
        chain = add_to_chain(chain, view.header.head_crc);
        at += view.size();
    }
    if (at != end) return "a commit's length contradicts its records";
    if (chain != header.chain) return "a commit's chain value does not follow from its records";
    return nullptr;
}

Fault check_next_commit(Bytes segment, const SegmentKeys& keys, const LogPoint& from,
                        CommitHeader& header, const Bodies& bodies) noexcept {
    if (const Fault fault = check_commit_header(segment, from.offset, keys, header)) return fault;
    if (header.first_position != from.position + 1) return "a commit carries another position";
    if (header.prev_chain != from.chain && !base::seeded(SeededBug::chain_unchecked)) {
        return "a commit does not continue the chain";
    }
    if (header.epoch < from.epoch && !base::seeded(SeededBug::epoch_ignored))
        return "a commit of an earlier writer";
    return check_commit(segment, from.offset, keys, header, bodies);
}

LogPoint after_commit(const LogPoint& from, const CommitHeader& header) noexcept {
    LogPoint next = from;
    next.offset += std::uint64_t{header.length8} * 8;
    next.position += header.count;
    next.chain = header.chain;
    next.epoch = header.epoch;
    return next;
}

Walk walk_commits(Bytes segment, const SegmentKeys& keys, const LogPoint& from, std::uint64_t until,
                  const Bodies& bodies) noexcept {
    Walk walk{.end = from};
    while (walk.end.position < until) {
        CommitHeader header;
        walk.fault = check_next_commit(segment, keys, walk.end, header, bodies);
        if (walk.fault != nullptr) return walk;
        walk.end = after_commit(walk.end, header);
        walk.recorded_us = header.recorded_us;
        ++walk.commits;
    }
    return walk;
}

Evidence search_evidence(Bytes segment, std::uint64_t offset, const SegmentKeys& keys,
                         std::uint64_t end, std::uint32_t newest_epoch) noexcept {
    Evidence found;
    std::uint64_t highest = end;
    for (std::uint64_t at = base::align_up(offset, kAlignment);
         base::fits(at, sizeof(CommitHeader), segment.size()); at += kAlignment) {
        if (base::load<std::uint32_t>(segment.data() + at) != keys.magic) continue;
        CommitHeader header;
        const Fault fault = check_commit_header(segment, at, keys, header);
        if (fault != nullptr && !is_newer(fault)) continue;
        if (header.first_position <= end || header.durable_hint >= header.first_position) continue;
        if (header.epoch > newest_epoch) continue;
        found.newer = found.newer || is_newer(fault);
        if (header.durable_hint > end && !found.synced) {
            found.synced = true;
            found.offset = at;
        }
        const std::uint64_t last = header.first_position + header.count - 1;
        if (last > highest) {
            found.events += last - highest;
            highest = last;
        }
    }
    return found;
}

}  // namespace varve::log
