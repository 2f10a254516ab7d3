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
    Fault fault = nullptr;
    if (!decode_commit_header(segment_, at_.offset, keys_, header)) {
        fault = "no commit header that verifies";
    } else if (header.first_position != at_.position + 1) {
        fault = "a commit carries another position";
    } else if (chain_known_ && header.prev_chain != at_.chain) {
        fault = "a commit does not continue the chain";
    }
    if (fault != nullptr) return skip_damage(fault);
    CommitHeader again;
    commit_trusted_ = check_commit(segment_, at_.offset, keys_, again) == nullptr;
    header_ = header;
    chain_known_ = true;
    commit_end_ = at_.offset + std::uint64_t{header.length8} * 8;
    at_.chain = header.chain;
    at_.epoch = header.epoch;
    at_.offset += sizeof(CommitHeader);
    ++commits_;
    return next_record();
}

SegmentScanner::Step SegmentScanner::next_record() noexcept {
    const std::uint64_t limit = commit_end_ < segment_.size() ? commit_end_ : segment_.size();
    const Check check = commit_trusted_ ? Check::structure : Check::head;
    const Fault fault = decode_record(segment_.first(limit), at_.offset, at_.position + 1,
                                      keys_.seed, check, record_);
    if (fault != nullptr) return skip_damage(fault);
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
    if (decode_commit_header(segment_, offset, keys_, header)) {
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
    if (decode_record(segment_, offset, position, keys_.seed, Check::head, view) != nullptr)
        return false;
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

SegmentScanner::Step SegmentScanner::skip_damage(Fault fault) noexcept {
    const std::uint64_t begin = at_.offset;
    first_ = at_.position + 1;
    fault_ = fault;
    // Behind the records of an unreadable commit the next commit follows directly: nothing is lost
    // there.
    const bool loose = commit_end_ != 0 && header_.count == 0;
    if (loose && resume_at(begin) && commit_end_ == 0 && at_.position + 1 == first_)
        return begin_commit();
    for (std::uint64_t at = begin + kAlignment; base::fits(at, kAlignment, segment_.size());
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
