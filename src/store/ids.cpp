#include "store/ids.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "index/sealed_cursor.hpp"
#include "store/pinned.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

Result<std::optional<std::uint32_t>> find_id(const Meta& meta, const Segment& segment,
                                             index::Key key, std::string_view id, std::uint64_t low,
                                             std::uint64_t high) noexcept {
    using Found = std::optional<std::uint32_t>;
    if (!segment.is_active()) return Found{};
    if (!segment.ready()) return damaged_index(meta, segment);
    index::Postings postings = segment.index.postings(key);
    for (std::uint32_t ordinal = 0; postings.next(ordinal) && ordinal >= low;) {
        if (ordinal > high) continue;
        log::RecordView record;
        std::optional<Error> error;
        if (!read_record(meta, segment, ordinal, log::Check::head, record, error))
            return std::move(*error);
        if (index::carries(record, index::KeyKind::id, id)) return Found{ordinal};
    }
    if (postings.damaged()) return damaged_index(meta, segment);
    const std::uint32_t gap = segment.index.next_gap(low);
    if (gap != index::ActiveIndex::kNoGap && gap <= high)
        return hidden_by_damage(meta, segment, gap);
    return Found{};
}

namespace {

/// The newest position from `low` to `high` that a sealed index has under the id; 0 if there is
/// none.
Result<std::uint64_t> find_sealed_id(const Meta& meta, const SegmentList& list,
                                     const SealedFile& sealed, const PlannedId& id,
                                     std::uint64_t low, std::uint64_t high) noexcept {
    std::uint64_t newest = 0;
    index::SealedIds candidates(sealed.index, id.key);
    for (std::uint32_t ordinal = 0; candidates.next(ordinal);) {
        const std::uint64_t position = sealed.index.first_position() + ordinal;
        const Segment* const segment = list.find(position);
        if (position < low || position > high || position < newest || segment == nullptr) continue;
        log::RecordView record;
        std::optional<Error> error;
        if (!read_record(meta, *segment, position - segment->first(), log::Check::head, record,
                         error))
            return std::move(*error);
        if (index::carries(record, index::KeyKind::id, id.bytes)) newest = position;
    }
    if (candidates.damaged()) return damaged_sealed(meta, sealed);
    return newest;
}

/// Calls for what a look-up of these ids touches first in one segment's index.
void fetch(const Segment& segment, std::span<const PlannedId> ids) noexcept {
    for (const PlannedId& id : ids) {
        if (segment.sealed != nullptr) segment.sealed->index.prefetch(id.key);
        if (segment.is_ready()) segment.index.prefetch(id.key);
    }
}

/// As `find_any`, for so few ids that their slots in several segments can be on their way at once.
Result<FoundId> find_few(const Meta& meta, const SegmentList& list, std::span<const PlannedId> ids,
                         std::uint64_t low, std::uint64_t high) noexcept {
    const std::size_t newest = list.index_of(high);
    if (newest >= list.items.size()) return FoundId{};
    constexpr std::size_t kOnTheWay = 32;
    const std::size_t ahead = std::max<std::size_t>(kOnTheWay / ids.size(), 1);
    const std::size_t oldest = std::min(list.index_of(low), newest);
    for (std::size_t n = 0; n < ahead && n <= newest - oldest; ++n)
        fetch(*list.items[newest - n], ids);
    for (std::size_t n = newest + 1; n-- > oldest;) {
        if (n >= oldest + ahead) fetch(*list.items[n - ahead], ids);
        const Segment& segment = *list.items[n];
        const std::uint64_t last = list.last_of(n, high);
        if (last < segment.first() || last < low) continue;
        if (segment.sealed != nullptr) {
            // One index of several segments is asked once.
            n = unit_of(list, n).begin;
            for (std::size_t i = 0; i < ids.size(); ++i) {
                auto found = find_sealed_id(meta, list, *segment.sealed, ids[i], low, last);
                if (!found) return std::move(found).error();
                if (*found != 0) return FoundId{i, *found};
            }
            continue;
        }
        const std::uint64_t from = std::max(low, segment.first()) - segment.first();
        for (std::size_t i = 0; i < ids.size(); ++i) {
            auto found =
                find_id(meta, segment, ids[i].key, ids[i].bytes, from, last - segment.first());
            if (!found) return std::move(found).error();
            if (*found) return FoundId{i, segment.first() + **found};
        }
    }
    return FoundId{};
}

/// The first events of one commit, in order: where the append that it may be a repetition of lies.
class CommitBegin {
public:
    CommitBegin(const Meta& meta, const SegmentList& list, std::uint64_t first,
                std::uint64_t last) noexcept
        : meta_(meta), first_(first) {
        const std::size_t n = first == 0 ? list.items.size() : list.index_of(first);
        // A commit never goes on in the next segment.
        if (n < list.items.size() && list.index_of(last) == n) segment_ = list.items[n].get();
    }
    [[nodiscard]] bool possible() const noexcept { return segment_ != nullptr; }

    /// Reads event `n`. False if it is none of that commit.
    [[nodiscard]] Result<bool> read(std::uint64_t n, log::RecordView& record) noexcept {
        const std::uint64_t ordinal = first_ + n - segment_->first();
        std::optional<Error> error;
        if (!read_record(meta_, *segment_, ordinal, log::Check::head, record, error))
            return std::move(*error);
        const std::uint64_t distance = std::uint64_t{record.header.commit_distance8} * 8;
        const std::uint64_t commit = segment_->offset_of(ordinal) - distance;
        if (n == 0) commit_ = commit;
        return commit == commit_ && (n > 0 || distance == sizeof(log::CommitHeader));
    }

private:
    const Meta& meta_;
    const Segment* segment_ = nullptr;
    std::uint64_t first_;
    std::uint64_t commit_ = 0;  ///< byte offset
};

/// True if event `n` of the plan has the record's id, or neither has one.
bool same_id(const log::RecordInput& input, const log::RecordView& record) noexcept {
    if (input.id == nullptr || !record.has_id()) return input.id == nullptr && !record.has_id();
    return record.id() == std::string_view(reinterpret_cast<const char*>(input.id), log::kIdBytes);
}

/// True if the events from position `first` on are the plan's, and a commit begins there. The
/// plan's heads become what the streams were at behind them.
Result<bool> repeats(const Meta& meta, const SegmentList& list, Plan& plan, std::uint64_t first,
                     std::uint64_t high) noexcept {
    const std::uint64_t last = first + plan.events.size() - 1;
    if (last > high) return false;
    CommitBegin commit(meta, list, first, last);
    if (!commit.possible()) return false;
    for (std::size_t n = 0; n < plan.events.size(); ++n) {
        const PlannedEvent& event = plan.events[n];
        log::RecordView record;
        auto inside = commit.read(n, record);
        if (!inside) return std::move(inside).error();
        if (!*inside || !index::is_listed(record) || !same_id(event.input, record)) return false;
        if (event.stream == kNoStream || record.stream() != event.input.stream) continue;
        plan.streams[event.stream].head = {record.header.revision, first + n};
    }
    return true;
}

Error conflict(const Meta& meta, const SegmentList& list, const PlannedId& id,
               std::uint64_t position) {
    Error error = failure(
        ErrorCode::id_conflict,
        "event " + std::to_string(id.event) +
            " of the append has the id of the event at position " + std::to_string(position) +
            ", and the append is no repetition of the one that stored that: repeat all "
            "its events in their order, or give new events new ids",
        meta.path);
    error.position = Position{position};
    const Segment* const segment = list.find(position);
    log::RecordView record;
    std::optional<Error> unreadable;
    if (segment == nullptr || !read_record(meta, *segment, position - segment->first(),
                                           log::Check::head, record, unreadable)) {
        return error;
    }
    describe_event(record, error);
    return error;
}

}  // namespace

Result<FoundId> find_any(const Meta& meta, const SegmentList& list, std::span<const PlannedId> ids,
                         std::uint64_t low, std::uint64_t high) noexcept {
    constexpr std::size_t kAtOnce = 16;
    for (std::size_t at = 0; at < ids.size() && low <= high; at += kAtOnce) {
        const auto few = ids.subspan(at, std::min(kAtOnce, ids.size() - at));
        auto found = find_few(meta, list, few, low, high);
        if (!found) return found;
        if (found->position != 0) return FoundId{at + found->number, found->position};
    }
    return FoundId{};
}

Result<bool> is_repetition(const Meta& meta, const SegmentList& list, Plan& plan, std::uint64_t low,
                           std::uint64_t high, Appended& done) noexcept {
    auto found = find_any(meta, list, plan.ids, low, high);
    if (!found) return std::move(found).error();
    if (found->position == 0) return false;
    const PlannedId& id = plan.ids[found->number];
    for (PlannedStream& stream : plan.streams) stream.head = {};
    const std::uint64_t first = found->position > id.event ? found->position - id.event : 0;
    auto same = first == 0 ? Result<bool>(false) : repeats(meta, list, plan, first, high);
    if (!same) return std::move(same).error();
    if (!*same) {
        try {
            return conflict(meta, list, id, found->position);
        } catch (const std::bad_alloc&) {
            return failure(ErrorCode::out_of_memory, "no memory to say what is in conflict");
        }
    }
    done.duplicate = true;
    done.first = Position{first};
    done.last = Position{first + plan.events.size() - 1};
    tell_versions(plan, done);
    return true;
}

void tell_versions(const Plan& plan, Appended& done) noexcept {
    const std::uint32_t last_stream = plan.events.back().stream;
    if (last_stream != kNoStream) done.version = plan.streams[last_stream].head.version;
    if (plan.streams.size() <= 1) return;
    for (const PlannedStream& stream : plan.streams) {
        if (stream.events > 0) done.versions.push_back({stream.name, stream.head.version});
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
