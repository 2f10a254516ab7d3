#include "index/active_select.hpp"

#include <algorithm>
#include <functional>

namespace varve::index {

namespace {

// Walking an entry of a list takes about a nanosecond, looking at a record about ten: a list that
// is so many times longer than the candidates it could thin out is left to their records.
constexpr std::uint64_t kWorthWalking = 8;

}  // namespace

std::uint64_t ActiveSelect::most(std::uint32_t set) const noexcept {
    const Selection::Set& own = selection_.sets[set];
    std::uint64_t events = 0;
    switch (own.op) {
        case Op::nothing: return 0;
        case Op::all:
        case Op::upto:
        case Op::none_of: return ~0ULL;
        case Op::past:
            return own.past->exact(first_ + low_, first_ + high_)
                       ? own.past->count(first_ + low_, first_ + high_)
                       : ~0ULL;
        case Op::any_of:
            for (std::uint32_t n = set + 1; n < own.end; n = selection_.sets[n].end) {
                const std::uint64_t more = most(n);
                if (more == ~0ULL) return more;
                events += more;
            }
            return events;
        case Op::all_of:
            events = ~0ULL;
            for (std::uint32_t n = set + 1; n < own.end; n = selection_.sets[n].end)
                events = std::min(events, most(n));
            return events;
        default: return index_.find(own.key).count;
    }
}

/// False if the newest events of its lists say that it has none from `low_` on.
bool ActiveSelect::may_have(std::uint32_t set) noexcept {
    const Selection::Set& own = selection_.sets[set];
    switch (own.op) {
        case Op::nothing: return false;
        case Op::all:
        case Op::none_of: return true;
        case Op::upto: return own.until >= first_ + low_;
        case Op::past: return own.past->before > first_ + low_;
        case Op::any_of:
            for (std::uint32_t n = set + 1; n < own.end; n = selection_.sets[n].end)
                if (may_have(n)) return true;
            return false;
        case Op::all_of:
            for (std::uint32_t n = set + 1; n < own.end; n = selection_.sets[n].end)
                if (!may_have(n)) return false;
            return true;
        default: break;
    }
    Postings postings = index_.postings(own.key);
    std::uint32_t newest = 0;
    ++looked_at_;
    const bool any = postings.next(newest);
    damaged_ = damaged_ || postings.damaged();
    return any && newest >= low_;
}

void ActiveSelect::collect(std::uint32_t low, std::uint32_t high,
                           std::vector<std::uint32_t>& candidates) {
    low_ = low;
    high_ = high;
    for (const Selection::Set& set : selection_.sets)
        if (is_name(set.op)) index_.prefetch(set.key);
    if (may_have(0)) collect_set(0, candidates);
}

void ActiveSelect::collect_set(std::uint32_t set, std::vector<std::uint32_t>& to) {
    const Selection::Set& own = selection_.sets[set];
    if (own.op == Op::any_of) return collect_any(set, to);
    if (own.op == Op::all_of) return collect_all(set, to);
    if (own.op == Op::past) return collect_past(*own.past, to);
    if (is_name(own.op)) collect_name(own, to);
}

void ActiveSelect::collect_past(const Past& past, std::vector<std::uint32_t>& to) const {
    std::uint64_t at = first_ + high_;
    while (past.last(at, at) && at >= first_ + low_) {
        to.push_back(static_cast<std::uint32_t>(at - first_));
        if (at-- == 0) return;
    }
}

void ActiveSelect::collect_name(const Selection::Set& name, std::vector<std::uint32_t>& to) {
    const std::size_t begin = to.size();
    Postings postings = index_.postings(name.key);
    for (std::uint32_t ordinal = 0; postings.next(ordinal) && ordinal >= low_;) {
        ++looked_at_;
        if (ordinal > high_) continue;
        // Two names of one event may share a key: it is listed once all the same.
        if (to.size() > begin && to.back() == ordinal) continue;
        to.push_back(ordinal);
    }
    damaged_ = damaged_ || postings.damaged();
}

void ActiveSelect::collect_any(std::uint32_t set, std::vector<std::uint32_t>& to) {
    const auto begin = static_cast<std::ptrdiff_t>(to.size());
    const std::uint32_t end = selection_.sets[set].end;
    for (std::uint32_t n = set + 1; n < end; n = selection_.sets[n].end) {
        if (!may_have(n)) continue;
        const auto middle = static_cast<std::ptrdiff_t>(to.size());
        collect_set(n, to);
        std::inplace_merge(to.begin() + begin, to.begin() + middle, to.end(), std::greater<>());
    }
    to.erase(std::unique(to.begin() + begin, to.end()), to.end());
}

/// The rarest member gives the candidates; others thin them out where that is cheaper than looking
/// at the records.
void ActiveSelect::collect_all(std::uint32_t set, std::vector<std::uint32_t>& to) {
    const std::uint32_t end = selection_.sets[set].end;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> members;
    for (std::uint32_t n = set + 1; n < end; n = selection_.sets[n].end) {
        const std::uint64_t events = most(n);
        if (events != ~0ULL) members.emplace_back(events, n);
    }
    std::sort(members.begin(), members.end());
    std::vector<std::uint32_t> candidates;
    collect_set(members.front().second, candidates);
    std::vector<std::uint32_t> other;
    for (std::size_t n = 1; n < members.size() && !candidates.empty(); ++n) {
        if (members[n].first / kWorthWalking > candidates.size()) break;
        const std::uint32_t low = low_;
        const std::uint32_t high = high_;
        low_ = candidates.back();
        high_ = candidates.front();
        other.clear();
        collect_set(members[n].second, other);
        low_ = low;
        high_ = high;
        const auto kept = std::set_intersection(candidates.begin(), candidates.end(), other.begin(),
                                                other.end(), candidates.begin(), std::greater<>());
        candidates.erase(kept, candidates.end());
    }
    to.insert(to.end(), candidates.begin(), candidates.end());
}

}  // namespace varve::index
