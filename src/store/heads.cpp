#include "store/heads.hpp"

#include <algorithm>

#include "index/sealed_cursor.hpp"
#include "store/pinned.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// What one index says: a head, no head, or an error.
struct Answer {
    index::Head head{};
    std::optional<Error> error;
};

/// Damage from `ordinal` up to `last` hides what is asked for.
bool hidden_from(const Meta& meta, const Segment& segment, std::uint64_t ordinal,
                 std::uint64_t last, Answer& answer) noexcept {
    const std::uint32_t gap = segment.index.next_gap(ordinal);
    if (gap == index::ActiveIndex::kNoGap || segment.first() + gap > last) return false;
    answer.error = hidden_by_damage(meta, segment, gap);
    return true;
}

Answer in_active(const Meta& meta, const Segment& segment, std::uint64_t last, index::Key key,
                 std::string_view stream) noexcept {
    Answer answer;
    if (!segment.ready()) {
        answer.error = damaged_index(meta, segment);
        return answer;
    }
    index::Postings postings = segment.index.postings(key);
    for (std::uint32_t ordinal = 0; postings.next(ordinal);) {
        if (segment.first() + ordinal > last) continue;
        log::RecordView record;
        if (!read_record(meta, segment, ordinal, log::Check::head, record, answer.error))
            return answer;
        if (record.stream() != stream) continue;
        if (!hidden_from(meta, segment, ordinal, last, answer))
            answer.head = {record.header.revision, record.header.position};
        return answer;
    }
    if (postings.damaged())
        answer.error = damaged_index(meta, segment);
    else
        static_cast<void>(hidden_from(meta, segment, 0, last, answer));
    return answer;
}

/// The last event of the list that lies at or before `last`.
bool newest_before(const SealedFile& sealed, const index::SealedList& list, std::uint64_t last,
                   std::uint32_t& ordinal, bool& damaged) noexcept {
    ordinal = list.last;
    const std::uint64_t first = sealed.index.first_position();
    if (first + list.last <= last) return true;
    index::SealedCursor cursor(sealed.index, list, true);
    const bool found =
        cursor.seek(static_cast<std::uint32_t>(last - first)) && cursor.next(ordinal);
    damaged = cursor.damaged();
    return found;
}

Answer in_sealed(const Meta& meta, const SegmentList& list, const SealedFile& sealed,
                 std::uint64_t last, index::Key key, std::string_view stream) noexcept {
    Answer answer;
    index::SealedList events;
    const index::Found found = sealed.index.find(index::KeyKind::stream, stream, key, events);
    if (found == index::Found::no) return answer;
    std::uint32_t ordinal = 0;
    bool damaged = found == index::Found::damaged;
    if (damaged || !newest_before(sealed, events, last, ordinal, damaged)) {
        if (damaged) answer.error = damaged_sealed(meta, sealed);
        return answer;
    }
    const std::uint64_t position = sealed.index.first_position() + ordinal;
    const Segment* segment = list.find(position);
    log::RecordView record;
    if (segment == nullptr || !read_record(meta, *segment, position - segment->first(),
                                           log::Check::head, record, answer.error))
        return answer;
    answer.head = {record.header.revision, position};
    return answer;
}

}  // namespace

Result<index::Head> find_head(const Meta& meta, const SegmentList& list, std::uint64_t published,
                              index::Key key, std::string_view stream) noexcept {
    if (stream.empty()) return index::Head{};
    prefetch_key(list, key);
    for (std::size_t n = list.items.size(); n-- > 0;) {
        const Segment& segment = *list.items[n];
        const std::uint64_t last = list.last_of(n, published);
        if (last < segment.first()) continue;
        Answer answer;
        if (segment.sealed != nullptr) {
            n = unit_of(list, n).begin;
            answer = in_sealed(meta, list, *segment.sealed, last, key, stream);
        } else if (segment.is_active()) {
            answer = in_active(meta, segment, last, key, stream);
        }
        if (answer.error) return std::move(*answer.error);
        if (answer.head.version > 0) return answer.head;
    }
    return index::Head{};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
