#include "store/selecting.hpp"

#include <algorithm>
#include <new>

#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/pinned.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

// Lists of active indexes are read newest first. Backwards, a stretch of this many events is
// collected, then ever larger ones: who wants the last few does not walk all of a long list.
constexpr std::uint64_t kFirstWindow = 4096;
constexpr std::uint64_t kWindowGrowth = 4;

}  // namespace

void add_gaps(const index::ActiveIndex& index, std::uint64_t low, std::uint64_t high,
              std::vector<std::uint32_t>& candidates) {
    const std::size_t listed = candidates.size();
    for (std::uint32_t gap = index.next_gap(low); gap <= high; gap = index.next_gap(gap + 1ULL)) {
        if (gap == index::ActiveIndex::kNoGap) break;
        candidates.push_back(gap);
    }
    if (candidates.size() > listed) std::sort(candidates.rbegin(), candidates.rend());
}

void Selecting::enter(const Segment& segment, std::uint64_t low, std::uint64_t high,
                      bool backwards) {
    if (sealed_) looked_at_ += sealed_->looked_at();
    sealed_.reset();
    ordinals_.clear();
    at_ = 0;
    segment_ = &segment;
    first_ = segment.sealed != nullptr ? segment.sealed->index.first_position() : segment.first();
    unbounded_ = !selection_.sets.empty() && selection_.unbounded(first_ + low, first_ + high);
    exact_ = selection_.sets.empty() || selection_.exact(first_ + low, first_ + high);
    backwards_ = backwards;
    low_ = low;
    left_ = high - low + 1;
    window_ = backwards ? kFirstWindow : left_;
    if (segment.sealed == nullptr) return;
    sealed_.emplace(segment.sealed->index, selection_, backwards);
    sealed_->seek(static_cast<std::uint32_t>(backwards ? high : low));
}

std::uint64_t Selecting::looked_at() const noexcept {
    return looked_at_ + (sealed_ ? sealed_->looked_at() : 0);
}

std::size_t Selecting::next(std::span<std::uint32_t> ordinals) {
    if (!sealed_) return next_active(ordinals);
    const std::size_t count = sealed_->next(ordinals);
    if (count == 0) damaged_ = damaged_ || sealed_->damaged();
    if (base::seeded(base::SeededBug::complement_not_clipped) && unbounded_) return count;
    const auto beyond = [&](std::uint32_t ordinal) {
        return backwards_ ? ordinal < low_ : ordinal >= low_ + left_;
    };
    std::size_t within = count;
    while (within > 0 && beyond(ordinals[within - 1])) --within;
    return within;
}

std::size_t Selecting::next_active(std::span<std::uint32_t> ordinals) {
    if (unbounded_) {
        const std::size_t count = std::min<std::uint64_t>(left_, ordinals.size());
        for (std::size_t n = 0; n < count; ++n) {
            --left_;
            ordinals[n] = static_cast<std::uint32_t>(backwards_ ? low_ + left_ : low_++);
        }
        return count;
    }
    while (at_ == ordinals_.size()) {
        if (left_ == 0 || damaged_) return 0;
        collect();
    }
    const std::size_t count = std::min(ordinals_.size() - at_, ordinals.size());
    std::copy_n(ordinals_.begin() + static_cast<std::ptrdiff_t>(at_), count, ordinals.begin());
    at_ += count;
    return count;
}

/// Of the next window.
void Selecting::collect() {
    if (!segment_->ready()) {
        damaged_ = true;
        return;
    }
    const std::uint64_t count = std::min(window_, left_);
    const std::uint64_t begin = low_ + left_ - count;
    const std::uint64_t end = begin + count - 1;
    window_ *= kWindowGrowth;
    left_ -= count;
    ordinals_.clear();
    at_ = 0;
    index::ActiveSelect select(segment_->index, selection_, first_);
    select.collect(static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), ordinals_);
    looked_at_ += select.looked_at();
    damaged_ = select.damaged();
    if (damaged_) ordinals_.clear();
    add_gaps(segment_->index, begin, end, ordinals_);
    if (!backwards_) std::reverse(ordinals_.begin(), ordinals_.end());
}

Error damaged_unit(const Meta& meta, const Segment& segment) noexcept {
    return segment.sealed != nullptr ? damaged_sealed(meta, *segment.sealed)
                                     : damaged_index(meta, segment);
}

namespace {

Result<Matched> find_in_unit(const Meta& meta, const SegmentList& list, const IndexUnit& unit,
                             const index::Selection& selection, Selecting& selecting,
                             log::Check check, const Admits& admits) {
    Matched matched;
    for (std::uint32_t ordinal = 0; selecting.next(ordinal);) {
        const std::uint64_t position = unit.first + ordinal;
        // An index covers exactly the segments that the list has for it.
        const Segment& segment = *list.items[list.index_of(position)];
        std::optional<Error> error;
        if (!read_record(meta, segment, position - segment.first(), check, matched.record, error))
            return std::move(*error);
        if (!index::matches(selection, matched.record)) continue;
        auto admitted = admits ? admits(segment, matched.record) : Result<bool>(true);
        if (!admitted) return std::move(admitted).error();
        if (!*admitted) continue;
        matched.position = position;
        return matched;
    }
    if (selecting.damaged()) return damaged_unit(meta, *list.items[unit.begin]);
    return Matched{};
}

Result<Matched> find_in_all(const Meta& meta, const SegmentList& list,
                            const index::Selection& selection, log::Check check,
                            const Admits& admits, std::uint64_t low, std::uint64_t high) {
    Selecting selecting(selection);
    for (std::size_t n = std::min(list.index_of(high) + 1, list.items.size()); n-- > 0;) {
        const IndexUnit unit = unit_of(list, n);
        n = unit.begin;
        const std::uint64_t last = list.last_of(unit.end - 1, high);
        if (last < low) break;
        if (last < unit.first) continue;
        selecting.enter(*list.items[n], std::max(low, unit.first) - unit.first, last - unit.first,
                        true);
        auto matched = find_in_unit(meta, list, unit, selection, selecting, check, admits);
        if (!matched || matched->position != 0) return matched;
    }
    return Matched{};
}

}  // namespace

Result<Matched> find_newest(const Meta& meta, const SegmentList& list,
                            const index::Selection& selection, log::Check check,
                            const Admits& admits, std::uint64_t low, std::uint64_t high) noexcept {
    if (low > high || selection.sets.empty()) return Matched{};
    if (selection.asks_content()) check = log::Check::body;
    try {
        return find_in_all(meta, list, selection, check, admits, low, high);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to look for matching events");
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
