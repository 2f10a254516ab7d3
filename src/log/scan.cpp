#include "log/scan.hpp"

#include "base/assert.hpp"

namespace varve::log {

SegmentScanner::Step SegmentScanner::next() noexcept {
    if (done_ || (at_.position >= last_ && commit_end_ == 0)) {
        done_ = true;
        return Step::end;
    }
    return commit_end_ == 0 ? begin_commit() : next_record();
}

SegmentScanner::Step SegmentScanner::begin_commit() noexcept {
    CommitHeader header;
    Fault fault = check_commit_header(segment_, at_.offset, keys_, header);
    if (fault != nullptr) {
        // Said below.
    } else if (header.first_position != at_.position + 1) {
        fault = "a commit carries another position";
    } else if (chain_known_ && header.prev_chain != at_.chain) {
        fault = "a commit does not continue the chain";
    }
    // Of a commit of a newer version only the length is believed: its records may mean anything.
    const std::uint64_t length = std::uint64_t{header.length8} * 8;
    const bool whole = is_newer(fault) && length >= sizeof header &&
                       base::fits(at_.offset, length, segment_.size());
    if (fault != nullptr) return skip_damage(fault, whole ? length : kAlignment);
    CommitHeader again;
    commit_trusted_ = may_spend() && check_commit(segment_, at_.offset, keys_, again) == nullptr;
    if (!commit_trusted_ && may_spend()) spent_ += length;
    header_ = header;
    chain_known_ = true;
    commit_end_ = at_.offset + length;
    at_.chain = header.chain;
    at_.epoch = header.epoch;
    at_.offset += sizeof(CommitHeader);
    ++commits_;
    return next_record();
}

SegmentScanner::Step SegmentScanner::next_record() noexcept {
    const std::uint64_t limit = commit_end_ < segment_.size() ? commit_end_ : segment_.size();
    const Check check = commit_trusted_ ? Check::structure : Check::head;
    if (!commit_trusted_ && !may_spend())
        return skip_damage("more damage than is searched for records", kAlignment);
    record_.head_bytes = 0;  // still 0 behind a fault: no checksum was computed
    const Fault fault = decode_record(segment_.first(limit), at_.offset, at_.position + 1,
                                      keys_.seed, check, record_);
    if (fault != nullptr) {
        spent_ += record_.head_bytes;
        return skip_damage(fault, kAlignment);
    }
    body_intact_ = commit_trusted_ || body_is_intact(record_, keys_.seed);
    offset_ = at_.offset;
    length_ = record_.size();
    at_.offset += record_.size();
    ++at_.position;
    const bool last_of_commit = header_.count > 0
                                    ? at_.position == header_.first_position + header_.count - 1
                                    : at_.offset >= commit_end_;
    if (last_of_commit || at_.offset >= commit_end_) commit_end_ = 0;
    return Step::record;
}

/// True if a commit or a record that verifies begins at `offset`; the scan then stands before it.
bool SegmentScanner::resume_at(std::uint64_t offset) noexcept {
    CommitHeader header;
    const Fault fault = check_commit_header(segment_, offset, keys_, header);
    if (fault == nullptr || is_newer(fault)) {
        const bool ahead = header.first_position > at_.position && header.first_position <= last_;
        if (!ahead) return false;
        chain_known_ = false;
        commit_end_ = 0;
        at_.position = header.first_position - 1;
        return true;
    }
    if (!base::fits(offset, sizeof(RecordHeader), segment_.size())) return false;
    const auto position =
        base::load<std::uint64_t>(segment_.data() + offset + offsetof(RecordHeader, position));
    if (position <= at_.position || position > last_) return false;
    RecordView view;
    if (!may_spend()) return false;
    if (decode_record(segment_, offset, position, keys_.seed, Check::head, view) != nullptr) {
        spent_ += view.head_bytes;
        return false;
    }
    // A record of a commit whose header cannot be read: go on record by record until one does not
    // follow.
    const bool same_commit = commit_end_ != 0 && header_.count > 0 && offset < commit_end_ &&
                             position < header_.first_position + header_.count;
    if (!same_commit) {
        header_ = CommitHeader{};
        commit_end_ = segment_.size();
    }
    commit_trusted_ = false;
    chain_known_ = false;
    at_.position = position - 1;
    return true;
}

/// Goes on at the first place that verifies, at least `step` bytes further.
SegmentScanner::Step SegmentScanner::skip_damage(Fault fault, std::uint64_t step) noexcept {
    const std::uint64_t begin = at_.offset;
    first_ = at_.position + 1;
    fault_ = fault;
    // Behind the records of an unreadable commit the next commit follows directly: nothing is lost
    // there.
    const bool loose = commit_end_ != 0 && header_.count == 0;
    if (loose && resume_at(begin) && commit_end_ == 0 && at_.position + 1 == first_)
        return begin_commit();
    for (std::uint64_t at = begin + step; base::fits(at, kAlignment, segment_.size());
         at += kAlignment) {
        if (!resume_at(at)) continue;
        at_.offset = at;
        offset_ = begin;
        length_ = at - begin;
        gap_last_ = at_.position;
        return Step::damage;
    }
    at_.offset = segment_.size();
    at_.position = last_;
    commit_end_ = 0;
    done_ = true;
    offset_ = begin;
    length_ = segment_.size() - begin;
    gap_last_ = last_;
    return first_ <= last_ ? Step::damage : Step::end;
}

}  // namespace varve::log
