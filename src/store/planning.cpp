#include "store/planning.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::uint64_t kManyEvents = 4096;  // of a segment in a row: worth reading far ahead
constexpr std::size_t kLine = 64;
constexpr std::size_t kLinesAhead = 4;  // of a record

/// Where the first of these events begin that are of one segment, in bytes; 0 where that is not
/// known. How many they are.
std::size_t look_up(std::span<const Planned> events, std::uint64_t* offsets) noexcept {
    const Segment* const segment = events.front().segment;
    const bool sealed = segment->sealed != nullptr;
    const std::uint64_t first = sealed ? segment->sealed->index.first_position() : segment->first();
    std::uint32_t ordinals[Planning::kAhead];
    std::size_t count = 0;
    for (; count < events.size() && events[count].segment == segment; ++count)
        ordinals[count] = static_cast<std::uint32_t>(events[count].position - first);
    if (sealed) {
        std::uint32_t offsets8[Planning::kAhead];
        segment->sealed->index.offsets8({ordinals, count}, offsets8);
        for (std::size_t n = 0; n < count; ++n) offsets[n] = std::uint64_t{offsets8[n]} * 8;
    } else {
        for (std::size_t n = 0; n < count; ++n) offsets[n] = segment->offset_of(ordinals[n]);
    }
    return count;
}

}  // namespace

void Planning::start() {
    if (bounds_.low > bounds_.high) return;
    segment_ = pinned_.view().segments->index_of(bounds_.backwards ? bounds_.high : bounds_.low);
    if (segment_ >= segments().size()) {
        error_ = base::failure(ErrorCode::corrupt, "the first segments of the store are missing",
                               pinned_.meta().log_directory());
    }
    // Keys are looked up in one index after the other: what that touches is fetched at once.
    if (wanted_.selects()) {
        selecting_.emplace(wanted_.selection);
        for (const index::Selection::Set& set : wanted_.selection.sets)
            if (index::is_name(set.op)) prefetch_key(*pinned_.view().segments, set.key);
    } else if (!wanted_.everything()) {
        prefetch_key(*pinned_.view().segments, wanted_.key);
    }
}

std::span<const Planned> Planning::next(std::uint64_t left) {
    batches_[current_].size = 0;
    current_ = 1 - current_;
    Batch& current = batches_[current_];
    if (current.size == 0) plan(current, left);
    plan(batches_[1 - current_], left - current.size);
    return {current.events, current.size};
}

/// Plans for the next few events, over as many indexes as it takes, and sends for their records:
/// they come while those planned for before are decoded.
void Planning::plan(Batch& batch, std::uint64_t left) {
    const std::size_t room = static_cast<std::size_t>(std::min<std::uint64_t>(kAhead, left));
    while (batch.size < room && !ended_ && !error_) {
        std::uint32_t ordinals[kAhead];
        std::size_t count = 0;
        if (entered_ || enter_unit())
            count = error_ ? 0 : list({ordinals, room - batch.size});
        else
            ended_ = true;
        if (count == 0) leave_unit();
        place({ordinals, count}, batch.events + batch.size);
        batch.size += count;
    }
    send_for({batch.events, batch.size});
}

/// Plans for these events of the unit, and sends for what says where they lie.
void Planning::place(std::span<const std::uint32_t> ordinals, Planned* to) noexcept {
    const bool sealed = at_->sealed != nullptr && !wanted_.everything();
    const bool found = sealed && selecting_ && selecting_->exact();
    for (const std::uint32_t ordinal : ordinals) {
        while (ordinal >= segment_end_) stand_at(segment_ + 1);
        while (ordinal < segment_begin_) stand_at(segment_ - 1);
        *to++ = {at_, unit_.first + ordinal, 0, found};
        if (sealed) at_->sealed->index.prefetch_offset(ordinal);
    }
}

/// Looks up where the records lie, a stretch of one segment at a time, and sends for them.
void Planning::send_for(std::span<Planned> events) const noexcept {
    const std::size_t lines = wanted_.everything() ? 0 : kLinesAhead;  // it is on its way anyhow
    while (!events.empty()) {
        const Segment& segment = *events.front().segment;
        const std::byte* const log = segment.bytes().data();
        std::uint64_t offsets[kAhead];
        const std::size_t count = look_up(events, offsets);
        for (std::size_t n = 0; n < count; ++n) {
            events[n].offset = offsets[n];
            for (std::size_t line = 0; line < lines; ++line)
                __builtin_prefetch(log + offsets[n] + kLine * line);
        }
        events = events.subspan(count);
    }
}

void Planning::stand_at(std::size_t segment) noexcept {
    segment_ = segment;
    at_ = segments()[segment].get();
    segment_begin_ = at_->first() - unit_.first;
    segment_end_ = segment + 1 < unit_.end ? segments()[segment + 1]->first() - unit_.first : ~0ULL;
}

/// Prepares the next index with events within the bounds; for all events, the next segment. False
/// if there is none.
bool Planning::enter_unit() {
    const SegmentList& list = *pinned_.view().segments;
    if (segment_ >= list.items.size()) return false;
    const Segment& segment = *list.items[segment_];
    unit_ = wanted_.everything() ? IndexUnit{segment_, segment_ + 1, segment.first()}
                                 : unit_of(list, segment_);
    const std::uint64_t first = list.items[unit_.begin]->first();
    const std::uint64_t last = list.last_of(unit_.end - 1, pinned_.view().published);
    if (bounds_.backwards ? last < bounds_.low : first > bounds_.high) return false;
    entered_ = true;
    stand_at(segment_);
    const bool unclipped = base::seeded(base::SeededBug::list_not_clipped) && segment.sealed;
    const std::uint64_t low = std::max(bounds_.low, first);
    const std::uint64_t high =
        unclipped ? segment.sealed->index.last_position() : std::min(bounds_.high, last);
    if (low > high) return true;
    enter(segment, low - unit_.first, high - unit_.first);
    return true;
}

/// Stands before the first wanted event of the unit, whose ordinals `low` to `high` are within the
/// bounds.
void Planning::enter(const Segment& segment, std::uint64_t low, std::uint64_t high) {
    if (selecting_) return selecting_->enter(segment, low, high, bounds_.backwards);
    if (wanted_.everything()) {
        if (high - low > kManyEvents)
            pinned_.meta().env->expect(segment.log(), os::Env::Pattern::sequential);
        left_ = high - low + 1;
        next_ = bounds_.backwards ? high : low;
    } else if (segment.sealed != nullptr) {
        enter_sealed(*segment.sealed, low, high);
    } else {
        enter_active(segment, low, high);
    }
}

void Planning::leave_unit() noexcept {
    entered_ = false;
    segment_ = bounds_.backwards ? unit_.begin - 1 : unit_.end;
    names_.clear();
    listed_ = 0;
    cursor_.reset();
    left_ = 0;
}

/// Collects the name's events newest first and turns them round if they are wanted the other way.
void Planning::enter_active(const Segment& segment, std::uint64_t low, std::uint64_t high) {
    if (!segment.ready()) {
        error_ = damaged_index(pinned_.meta(), segment);
        return;
    }
    index::Postings postings = segment.index.postings(wanted_.key);
    for (std::uint32_t ordinal = 0; postings.next(ordinal) && ordinal >= low;) {
        if (ordinal > high) continue;
        // Two names of one event may share a key: it is listed once all the same.
        if (!names_.empty() && names_.back() == ordinal) continue;
        if (times_.bounded() && times_.outside_from(segment, ordinal, true) > 0) continue;
        names_.push_back(ordinal);
        segment.index.prefetch_offset(ordinal);
    }
    if (postings.damaged()) error_ = damaged_index(pinned_.meta(), segment);
    // An event that cannot be read may carry the name: it is listed, and the read stops at it.
    add_gaps(segment.index, low, high, names_);
    if (!bounds_.backwards) std::reverse(names_.begin(), names_.end());
}

/// Finds the name's list and stands at its first event that is wanted.
void Planning::enter_sealed(const SealedFile& sealed, std::uint64_t low,
                            std::uint64_t high) noexcept {
    index::SealedList list;
    const index::Found found =
        sealed.index.find(key_kind(wanted_.kind), wanted_.name, wanted_.key, list);
    if (found == index::Found::damaged) error_ = damaged_sealed(pinned_.meta(), sealed);
    if (found != index::Found::yes || list.last < low || list.first > high) return;
    cursor_.emplace(sealed.index, list, bounds_.backwards);
    cursor_end_ = bounds_.backwards ? low : high;
    const std::uint64_t begin = bounds_.backwards ? high : low;
    const bool within = bounds_.backwards ? list.last <= begin : list.first >= begin;
    if (within || cursor_->seek(static_cast<std::uint32_t>(begin))) return;
    if (cursor_->damaged()) error_ = damaged_sealed(pinned_.meta(), sealed);
    cursor_.reset();
}

/// The next few events of the unit. None if there are no more, or if its list is damaged.
std::size_t Planning::list(std::span<std::uint32_t> ordinals) {
    if (wanted_.everything()) return list_all(ordinals);
    if (listed_ < names_.size()) return list_active(ordinals);
    const Segment& segment = *segments()[unit_.begin];
    while (const std::size_t count =
               selecting_ ? selecting_->next(ordinals) : list_sealed(ordinals)) {
        const std::size_t kept = times_.bounded() ? timely(segment, ordinals.first(count)) : count;
        if (kept > 0) return kept;
    }
    const bool damaged = selecting_ ? selecting_->damaged() : cursor_ && cursor_->damaged();
    if (damaged) error_ = damaged_unit(pinned_.meta(), segment);
    return 0;
}

std::size_t Planning::list_all(std::span<std::uint32_t> ordinals) noexcept {
    if (times_.bounded()) pass_over();
    const std::size_t count = std::min<std::uint64_t>(left_, ordinals.size());
    for (std::size_t n = 0; n < count; ++n)
        ordinals[n] = static_cast<std::uint32_t>(bounds_.backwards ? next_-- : next_++);
    left_ -= count;
    return count;
}

std::size_t Planning::list_active(std::span<std::uint32_t> ordinals) noexcept {
    const std::size_t count = std::min(names_.size() - listed_, ordinals.size());
    std::copy_n(names_.begin() + static_cast<std::ptrdiff_t>(listed_), count, ordinals.begin());
    listed_ += count;
    return count;
}

std::size_t Planning::list_sealed(std::span<std::uint32_t> ordinals) noexcept {
    std::size_t count = cursor_ ? cursor_->next(ordinals) : 0;
    const auto beyond = [&](std::uint32_t ordinal) {
        return bounds_.backwards ? ordinal < cursor_end_ : ordinal > cursor_end_;
    };
    while (count > 0 && beyond(ordinals[count - 1])) --count;
    return count;
}

/// Those of `ordinals` whose group may lie within the bounds of time, moved to the front.
std::size_t Planning::timely(const Segment& segment, std::span<std::uint32_t> ordinals) noexcept {
    const auto outside = [&](std::uint32_t ordinal) {
        return times_.outside_from(segment, ordinal, true) > 0;
    };
    return static_cast<std::size_t>(std::remove_if(ordinals.begin(), ordinals.end(), outside) -
                                    ordinals.begin());
}

/// Of all events: whole groups that lie outside the bounds of time are not even looked at.
void Planning::pass_over() noexcept {
    const Segment& segment = *segments()[segment_];
    while (left_ > 0) {
        const std::uint64_t outside =
            std::min(times_.outside_from(segment, next_, bounds_.backwards), left_);
        if (outside == 0) return;
        left_ -= outside;
        bounds_.backwards ? next_ -= outside : next_ += outside;
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
