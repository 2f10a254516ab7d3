// Reads whatever is readable of one segment: record by record, around damage.
//
// One thread per scanner. Invariant: it ends, it never reads outside the bytes, and every position
// of the segment up to `last` comes out exactly once: as a record or inside a gap.
#pragma once

#include "log/commit.hpp"

namespace varve::log {

class SegmentScanner {
public:
    enum class Step : std::uint8_t {
        record,  ///< `record()` at `offset()`; its head verifies, its body if `body_intact()`
        damage,  ///< bytes [offset(), offset() + length()) fail; positions [first(), last()] are
                 ///< lost, none if first > last
        end,     ///< nothing more
    };

    /// Positions `first`… `last` are expected in `segment`, the first commit at byte `offset`.
    /// `chain`: value before it.
    SegmentScanner(base::Bytes segment, const SegmentKeys& keys, const LogPoint& start,
                   std::uint64_t last) noexcept
        : segment_(segment), keys_(keys), at_(start), last_(last) {}

    [[nodiscard]] Step next() noexcept;

    [[nodiscard]] const RecordView& record() const noexcept { return record_; }
    /// When the record's commit was placed, microseconds since 1970.
    [[nodiscard]] std::int64_t recorded_us() const noexcept { return header_.recorded_us; }
    [[nodiscard]] bool body_intact() const noexcept { return body_intact_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
    [[nodiscard]] std::uint64_t first() const noexcept { return first_; }
    [[nodiscard]] std::uint64_t last() const noexcept { return gap_last_; }
    [[nodiscard]] Fault fault() const noexcept { return fault_; }
    /// Where the scan stands: behind the last record or gap.
    [[nodiscard]] const LogPoint& at() const noexcept { return at_; }
    [[nodiscard]] std::uint64_t commits() const noexcept { return commits_; }
    /// Bytes whose checksum was computed in vain. At most `kBudget` times the segment, and once
    /// what a single check reads: a file made to look full of commits and records costs no more.
    [[nodiscard]] std::uint64_t spent() const noexcept { return spent_; }
    static constexpr std::uint64_t kBudget = 8;

private:
    [[nodiscard]] Step begin_commit() noexcept;
    [[nodiscard]] Step next_record() noexcept;
    [[nodiscard]] Step skip_damage(Fault fault, std::uint64_t step) noexcept;
    [[nodiscard]] bool resume_at(std::uint64_t offset) noexcept;
    [[nodiscard]] bool may_spend() const noexcept { return spent_ < kBudget * segment_.size(); }

    base::Bytes segment_;
    SegmentKeys keys_;
    LogPoint at_;  ///< next byte to look at, last position handed out
    std::uint64_t last_;
    std::uint64_t commit_end_ = 0;  ///< 0: between commits
    bool commit_trusted_ = false;   ///< the whole commit was checked
    bool chain_known_ = true;
    bool done_ = false;
    RecordView record_{};
    bool body_intact_ = true;
    std::uint64_t offset_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t first_ = 0;
    std::uint64_t gap_last_ = 0;
    Fault fault_ = nullptr;
    std::uint64_t commits_ = 0;
    std::uint64_t spent_ = 0;
    CommitHeader header_{};
};

}  // namespace varve::log
