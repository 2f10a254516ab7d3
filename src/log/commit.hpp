// Commits: the header that binds the records of one append, and the walk over a segment's commits.
//
// Pure functions over bytes; any thread. Invariant: an accepted commit continues the chain of the
// one before it, so what the walk accepts is exactly a prefix of what was placed.
#pragma once

#include <cstdint>

#include "log/erase.hpp"

namespace varve::log {

/// A place between two commits of the log: where the next one begins and what it must continue.
struct LogPoint {
    std::uint64_t segment = 0;
    std::uint64_t offset = kSegmentHeaderSize;  ///< byte offset of the next commit
    std::uint64_t position = 0;                 ///< of the last event before it
    std::uint32_t chain = 0;
    std::uint32_t epoch = 0;
    friend bool operator==(const LogPoint&, const LogPoint&) noexcept = default;
};

/// Starts a chain: the next value after `prev_chain` for this header, before the records' head CRCs
/// are added.
[[nodiscard]] std::uint32_t begin_chain(const CommitHeader& header) noexcept;
[[nodiscard]] std::uint32_t add_to_chain(std::uint32_t chain, std::uint32_t head_crc) noexcept;

/// Writes `header`, whose chain is complete, at `to`; fills in magic and checksum.
void encode_commit_header(std::byte* to, CommitHeader header, const SegmentKeys& keys) noexcept;

/// Null if a header begins at `offset` whose own checksum holds; `kWrittenByNewer` if it does but
/// flags or reserved bytes are set that this version does not know.
[[nodiscard]] Fault check_commit_header(base::Bytes segment, std::uint64_t offset,
                                        const SegmentKeys& keys, CommitHeader& header) noexcept;

/// A header whose own checksum holds and that is understood. False if there is none at `offset`.
[[nodiscard]] bool decode_commit_header(base::Bytes segment, std::uint64_t offset,
                                        const SegmentKeys& keys, CommitHeader& header) noexcept;

/// How the bodies of a commit's records are judged. Heads, and the chain through them, are always
/// checked.
struct Bodies {
    bool check = true;  ///< false: whatever they are; for places that are known to have been whole
    /// A body of zeros passes at these positions, ascending and without overlaps.
    std::span<const PositionRange> erased{};
};

/// Checks header, records, and that the commit's chain value follows from its own `prev_chain`. It
/// verifies alone.
[[nodiscard]] Fault check_commit(base::Bytes segment, std::uint64_t offset, const SegmentKeys& keys,
                                 CommitHeader& header, const Bodies& bodies = {}) noexcept;

/// As `check_commit`, and that it continues `from`.
[[nodiscard]] Fault check_next_commit(base::Bytes segment, const SegmentKeys& keys,
                                      const LogPoint& from, CommitHeader& header,
                                      const Bodies& bodies = {}) noexcept;

[[nodiscard]] LogPoint after_commit(const LogPoint& from, const CommitHeader& header) noexcept;

/// Where a walk ended and why.
struct Walk {
    LogPoint end;
    Fault fault = nullptr;  ///< why the next commit was not accepted
    std::uint64_t commits = 0;
    std::int64_t recorded_us = 0;  ///< of the last accepted commit
};

/// Accepts commits in order from `from` until the first that does not verify or lies beyond
/// position `until`.
[[nodiscard]] Walk walk_commits(base::Bytes segment, const SegmentKeys& keys, const LogPoint& from,
                                std::uint64_t until = ~0ULL, const Bodies& bodies = {}) noexcept;

/// What a search behind a failure found: proof that data beyond it were durable, or what an
/// unsynced tail still shows.
struct Evidence {
    bool newer = false;        ///< a commit header of a newer version
    bool synced = false;       ///< a later commit knew that the damaged place was durable
    std::uint64_t offset = 0;  ///< of that commit
    std::uint64_t events = 0;  ///< in headers that could still be read
};

/// Searches `segment` from byte `offset` in steps of 8 for commit headers beyond position `end`. A
/// header counts if its checksum holds (its seed cannot be known to the author of a payload), its
/// position is beyond `end`, its hint is before itself, and its epoch is not above `newest_epoch`.
[[nodiscard]] Evidence search_evidence(base::Bytes segment, std::uint64_t offset,
                                       const SegmentKeys& keys, std::uint64_t end,
                                       std::uint32_t newest_epoch) noexcept;

}  // namespace varve::log
