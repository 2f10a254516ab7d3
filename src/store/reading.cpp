#include "store/reading.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

constexpr std::size_t kRun =
    64;  // events handed out at once: their views stay in the nearest cache
constexpr std::uint64_t kManyEvents = 4096;  // of a segment in a row: worth reading far ahead
constexpr std::size_t kAhead = 16;  // records on their way into the cache while others are decoded

index::KeyKind key_kind(Source::Kind kind) noexcept {
    switch (kind) {
        case Source::Kind::stream: return index::KeyKind::stream;
        case Source::Kind::category: return index::KeyKind::category;
        case Source::Kind::type: return index::KeyKind::type;
        default: return index::KeyKind::tag;
    }
}

Error damaged(const Meta& meta, const Segment& segment, std::uint64_t ordinal, std::uint64_t offset,
              const char* why) noexcept {
    return failure(log::is_newer(why) ? ErrorCode::unsupported_version : ErrorCode::corrupt,
                   "the event at position " + std::to_string(segment.first() + ordinal) +
                       " cannot be read: " + why,
                   meta.segment_path(segment.number()), offset);
}

/// Becomes an event where the event is to stay: a copy of what has just been written field by field
/// would wait for the processor to have stored it.
struct AsEvent {
    const log::RecordView& record;
    operator EventView() const noexcept { return log::to_event(record); }
};

/// Asks for the reason why a body fails its checksum. `error` says if that cannot be found out.
bool is_erased(const Meta& meta, log::RecordView& record, std::optional<Error>& error) noexcept {
    auto erased = meta.erasures->explain(meta, record.header.position);
    record.erased = erased && *erased;
    if (!erased) error = std::move(erased).error();
    return record.erased;
}

}  // namespace

bool read_record(const Meta& meta, const Segment& segment, std::uint64_t ordinal, log::Check check,
                 log::RecordView& record, std::optional<Error>& error) noexcept {
    return read_record_at(meta, segment, ordinal, segment.offset_of(ordinal), check, record, error);
}

bool read_record_at(const Meta& meta, const Segment& segment, std::uint64_t ordinal,
                    std::uint64_t offset, log::Check check, log::RecordView& record,
                    std::optional<Error>& error) noexcept {
    if (offset == 0) [[unlikely]] {
        if (segment.sealed != nullptr) {
            error = damaged_sealed(meta, *segment.sealed);
            return false;
        }
        if (segment.late != nullptr && !segment.ready()) {
            error = damaged_index(meta, segment);
            return false;
        }
        error = damaged(
            meta, segment, ordinal, 0,
            segment.holds_newer ? log::kWrittenByNewer : "its place in the segment is damaged");
        return false;
    }
    const log::Fault fault = log::decode_record(segment.bytes(), offset, segment.first() + ordinal,
                                                segment.keys.seed, check, record);
    if (fault == nullptr) [[likely]]
        return true;
    if (fault == log::kBodyFault && is_erased(meta, record, error)) return true;
    if (!error) error = damaged(meta, segment, ordinal, offset, fault);
    return false;
}

bool admits(const Matcher& matcher, const log::RecordView& record) noexcept {
    return !record.erased && matcher.matches(record.data(), record.metadata());
}

void describe_event(const log::RecordView& record, Error& error) {
    error.position = Position{record.header.position};
    error.stream = std::string(record.stream());
    error.type = std::string(record.type());
    error.tags.clear();
    for (const std::string_view tag : record.tags()) error.tags.emplace_back(tag);
}

bool mark_erased(const Meta& meta, log::RecordView& record, std::optional<Error>& error) noexcept {
    if (record.erased || !log::body_is_zero(record)) return true;
    auto erased = meta.erasures->holds(meta, record.header.position);
    if (erased) record.erased = *erased;
    if (!erased) error = std::move(erased).error();
    return erased.has_value();
}

Result<log::RecordView> Pinned::record(std::uint64_t position, log::Check check) const noexcept {
    if (position == 0 || position > view_.published) {
        return failure(ErrorCode::not_found,
                       "there is no event at position " + std::to_string(position), meta_->path);
    }
    const std::size_t n = view_.segments->index_of(position);
    if (n >= view_.segments->items.size()) {
        return failure(ErrorCode::corrupt,
                       "the segment of position " + std::to_string(position) + " is missing",
                       meta_->log_directory());
    }
    const Segment& segment = *view_.segments->items[n];
    log::RecordView record;
    std::optional<Error> error;
    if (!read_record(*meta_, segment, position - segment.first(), check, record, error))
        return std::move(*error);
    if (may_be_erased_ && check != log::Check::head && !mark_erased(*meta_, record, error))
        return std::move(*error);
    return record;
}

std::uint64_t end_of(const View& view, const ReadOptions& options) noexcept {
    return options.durable_only ? std::min(view.durable, view.published) : view.published;
}

Bounds bounds_of(const View& view, const ReadOptions& options) noexcept {
    const std::uint64_t end = end_of(view, options);
    const std::uint64_t from = options.from.value;
    const std::uint64_t until = options.until.value;
    const std::uint64_t from_revision = options.from_revision.value;
    const std::uint64_t until_revision = options.until_revision.value;
    Bounds bounds;
    bounds.backwards =
        options.direction == Direction::backwards || (from != 0 && until != 0 && from > until) ||
        (from_revision != 0 && until_revision != 0 && from_revision > until_revision);
    const auto limit = [](std::uint64_t value, std::uint64_t otherwise) {
        return value != 0 ? value : otherwise;
    };
    if (bounds.backwards) {
        bounds.high = std::min(limit(from, end), end);
        bounds.low = std::max(limit(until, 1), options.after.value + 1);
        bounds.high_revision = limit(from_revision, ~0ULL);
        bounds.low_revision = until_revision;
    } else {
        bounds.low = std::max(limit(from, 1), options.after.value + 1);
        bounds.high = std::min(limit(until, end), end);
        bounds.low_revision = from_revision;
        bounds.high_revision = limit(until_revision, ~0ULL);
    }
    if (options.after.value == ~0ULL) bounds.low = ~0ULL;
    return bounds;
}

Reading::Reading(std::shared_ptr<Pinned> pinned, Source source, const ReadOptions& options) noexcept
    : pinned_(std::move(pinned)),
      kind_(source.kind),
      name_(source.name),
      bounds_(bounds_of(pinned_->view(), options)),
      left_(options.limit),
      from_(options.from.value),
      until_(options.until.value),
      looked_until_(end_of(pinned_->view(), options)),
      check_(options.verify == Verify::always ? log::Check::body : log::Check::structure),
      times_(options),
      matcher_(options.matcher) {
    if (kind_ != Source::Kind::all) key_ = pinned_->meta().hasher.key(key_kind(kind_), name_);
    if (kind_ != Source::Kind::all && name_.empty())
        bounds_.high = 0;  // nothing carries the empty name
    if (times_.nothing()) bounds_.high = 0;
    const auto unseen = pinned_->take_unseen();
    if (unseen) error_ = *unseen;
    const std::vector<SegmentPtr>& items = pinned_->view().segments->items;
    if (bounds_.low > bounds_.high) return;
    const std::size_t first =
        pinned_->view().segments->index_of(bounds_.backwards ? bounds_.high : bounds_.low);
    segment_ = first;
    // The key is looked up in one index after the other: what that touches is fetched at once.
    if (kind_ != Source::Kind::all) prefetch_key(*pinned_->view().segments, key_);
    if (first >= items.size() && !error_) {
        error_ = failure(ErrorCode::corrupt, "the first segments of the store are missing",
                         pinned_->meta().log_directory());
    }
}

namespace {

/// The read that a selector of one name, or of all events, comes down to.
Source simple_source(const Selector& selector) noexcept {
    std::string_view code = selector.encoded();
    index::CodedSet set;
    if (!index::take_set(code, set) || !index::is_name(set.op)) return Source::all();
    switch (set.op) {
        case index::Op::stream: return Source::stream(set.inside);
        case index::Op::category: return Source::category(set.inside);
        case index::Op::type: return Source::type(set.inside);
        default: return Source::tag(set.inside);
    }
}

}  // namespace

Reading::Reading(std::shared_ptr<Pinned> pinned, const Selector& selector,
                 const ReadOptions& options)
    : Reading(std::move(pinned), simple_source(selector), options) {
    if (selector.error() != nullptr)
        refuse(failure(ErrorCode::invalid_argument, selector.error(), pinned_->meta().path));
    if (selector.is_nothing()) bounds_.high = 0;
    if (kind_ != Source::Kind::all || selector.is_all() || selector.is_nothing()) return;
    selector_ = selector;
    selection_.compile(selector_.encoded(), pinned_->meta().hasher);
    selecting_.emplace(selection_);
    for (const index::Selection::Set& set : selection_.sets)
        if (index::is_name(set.op)) prefetch_key(*pinned_->view().segments, set.key);
}

/// The read ends with this before it begins.
void Reading::refuse(Error error) noexcept {
    if (!error_) error_ = std::move(error);
}

Reading::~Reading() {
    if (status_ != Events::Status::reading || !error_ || told_) return;
    pinned_->leave(std::move(*error_));
}

Result<std::span<const EventView>> Reading::next() noexcept {
    try {
        return fill();
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to read");
    }
}

Result<std::span<const EventView>> Reading::fill() {
    run_.clear();
    if (status_ == Events::Status::complete) return std::span<const EventView>{};
    if (!error_ && bounds_.low <= bounds_.high && left_ > 0) {
        run_.reserve(kRun);
        while (run_.size() < kRun && left_ > 0 && !error_) {
            const std::size_t count = plan_batch();
            if (count == 0) break;
            for (std::size_t n = 0; n < count; ++n) {
                if (!take(batch_[n])) break;
            }
        }
    }
    if (!run_.empty()) {
        last_returned_ = run_.back().position.value;
        return std::span<const EventView>{run_};
    }
    if (error_) {
        status_ = Events::Status::stopped;
        told_ = true;
        return Error(*error_);
    }
    finish();
    return std::span<const EventView>{};
}

/// Prepares the next index with events within the bounds; for all events, the next segment. False
/// if there is none.
bool Reading::enter_unit() {
    const SegmentList& list = *pinned_->view().segments;
    if (segment_ >= list.items.size()) return false;
    const Segment& segment = *list.items[segment_];
    unit_ = scans() ? IndexUnit{segment_, segment_ + 1, segment.first()} : unit_of(list, segment_);
    const std::uint64_t first = list.items[unit_.begin]->first();
    const std::uint64_t last = list.last_of(unit_.end - 1, pinned_->view().published);
    if (bounds_.backwards ? last < bounds_.low : first > bounds_.high) return false;
    entered_ = true;
    const std::uint64_t low = std::max(bounds_.low, first);
    const bool unclipped = base::seeded(base::SeededBug::list_not_clipped) && segment.sealed;
    const std::uint64_t high =
        unclipped ? segment.sealed->index.last_position() : std::min(bounds_.high, last);
    ordinals_.clear();
    listed_ = 0;
    cursor_.reset();
    positions_left_ = 0;
    if (low > high) return true;
    if (selecting_) {
        selecting_->enter(segment, low - unit_.first, high - unit_.first, bounds_.backwards);
    } else if (scans()) {
        if (high - low > kManyEvents)
            pinned_->meta().env->expect(segment.log(), os::Env::Pattern::sequential);
        positions_left_ = high - low + 1;
        next_position_ = bounds_.backwards ? high : low;
    } else if (segment.sealed != nullptr) {
        list_sealed(*segment.sealed, low - unit_.first, high - unit_.first);
    } else {
        list_active(segment, low - unit_.first, high - unit_.first);
    }
    return true;
}

/// Collects the key's events newest first and turns them round if they are wanted the other way.
void Reading::list_active(const Segment& segment, std::uint64_t low, std::uint64_t high) {
    if (!segment.ready()) {
        error_ = damaged_index(pinned_->meta(), segment);
        return;
    }
    index::Postings postings = segment.index.postings(key_);
    for (std::uint32_t ordinal = 0; postings.next(ordinal) && ordinal >= low;) {
        if (ordinal > high) continue;
        // Two names of one event may share a key: it is listed once all the same.
        if (!ordinals_.empty() && ordinals_.back() == ordinal) continue;
        if (times_.bounded() && times_.outside_from(segment, ordinal, true) > 0) continue;
        ordinals_.push_back(ordinal);
        segment.index.prefetch_offset(ordinal);
    }
    if (postings.damaged()) error_ = damaged_index(pinned_->meta(), segment);
    // An event that cannot be read may carry the name: it is listed, and the read stops at it.
    add_gaps(segment.index, low, high, ordinals_);
    if (!bounds_.backwards) std::reverse(ordinals_.begin(), ordinals_.end());
}

/// Finds the name's list and stands at its first event that is wanted.
void Reading::list_sealed(const SealedFile& sealed, std::uint64_t low,
                          std::uint64_t high) noexcept {
    index::SealedList list;
    const index::Found found = sealed.index.find(key_kind(kind_), name_, key_, list);
    if (found == index::Found::damaged) error_ = damaged_sealed(pinned_->meta(), sealed);
    if (found != index::Found::yes || list.last < low || list.first > high) return;
    cursor_.emplace(sealed.index, list, bounds_.backwards);
    cursor_end_ = unit_.first + (bounds_.backwards ? low : high);
    const std::uint64_t begin = bounds_.backwards ? high : low;
    const bool within = bounds_.backwards ? list.last <= begin : list.first >= begin;
    if (within || cursor_->seek(static_cast<std::uint32_t>(begin))) return;
    if (cursor_->damaged()) error_ = damaged_sealed(pinned_->meta(), sealed);
    cursor_.reset();
}

/// The next position of the unit that is wanted. False if there is none, or its list is damaged.
bool Reading::next_listed(std::uint64_t& position) {
    if (positions_left_ > 0) {
        --positions_left_;
        position = next_position_;
        bounds_.backwards ? --next_position_ : ++next_position_;
        return true;
    }
    if (listed_ < ordinals_.size()) {
        position = unit_.first + ordinals_[listed_++];
        return true;
    }
    if (selecting_) return next_selected(position);
    std::uint32_t ordinal = 0;
    if (!cursor_) return false;
    const Segment& segment = *pinned_->view().segments->items[unit_.begin];
    while (cursor_->next(ordinal)) {
        position = unit_.first + ordinal;
        const bool beyond = bounds_.backwards ? position < cursor_end_ : position > cursor_end_;
        if (beyond) return cursor_.reset(), false;
        if (!outside(segment, position)) return true;
    }
    if (cursor_->damaged()) error_ = damaged_sealed(pinned_->meta(), *segment.sealed);
    cursor_.reset();
    return false;
}

/// True if the group of the event lies outside the bounds of time.
bool Reading::outside(const Segment& segment, std::uint64_t position) noexcept {
    return times_.bounded() && times_.outside_from(segment, position - segment.first(), true) > 0;
}

bool Reading::next_selected(std::uint64_t& position) {
    const Segment& segment = *pinned_->view().segments->items[unit_.begin];
    for (std::uint32_t ordinal = 0; selecting_->next(ordinal);) {
        position = unit_.first + ordinal;
        if (!outside(segment, position)) return true;
    }
    if (!selecting_->damaged()) return false;
    error_ = damaged_unit(pinned_->meta(), segment);
    return false;
}

/// Makes `position` the batch's event `n` and sends for its place in the index.
void Reading::plan(std::uint64_t position, std::size_t n) noexcept {
    const std::vector<SegmentPtr>& items = pinned_->view().segments->items;
    while (segment_ + 1 < unit_.end && position >= items[segment_ + 1]->first()) ++segment_;
    while (segment_ > unit_.begin && position < items[segment_]->first()) --segment_;
    const Segment& segment = *items[segment_];
    const auto ordinal = static_cast<std::uint32_t>(position - segment.first());
    batch_[n] = {&segment, ordinal, 0};
    if (segment.sealed != nullptr && !scans())
        segment.sealed->index.prefetch_offset(static_cast<std::uint32_t>(position - unit_.first));
}

/// The next few events, over as many indexes as it takes: their bytes are on their way while the
/// ones before them are decoded. None at the end, or where a list is damaged.
std::size_t Reading::plan_batch() {
    std::size_t count = 0;
    const std::size_t room = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::min(kAhead, kRun - run_.size()), left_));
    while (count < room && !error_) {
        if (!entered_ && !enter_unit()) break;
        if (times_.bounded()) pass_over();
        std::uint64_t position = 0;
        while (count < room && next_listed(position)) plan(position, count++);
        if (count == room) break;
        entered_ = false;
        segment_ = bounds_.backwards ? unit_.begin - 1 : unit_.end;
    }
    const std::size_t lines = scans() ? 0 : 4;  // what follows is on its way anyhow
    for (std::size_t n = 0; n < count; ++n) {
        const Segment& segment = *batch_[n].segment;
        batch_[n].offset = segment.offset_of(batch_[n].ordinal);
        const std::byte* record = segment.bytes().data() + batch_[n].offset;
        for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(record + 64 * line);
    }
    return count;
}

/// Of all events: whole groups that lie outside the bounds of time are not even looked at.
void Reading::pass_over() noexcept {
    while (positions_left_ > 0) {
        const Segment& segment = *pinned_->view().segments->items[segment_];
        const std::uint64_t outside = std::min(
            times_.outside_from(segment, next_position_ - segment.first(), bounds_.backwards),
            positions_left_);
        if (outside == 0) return;
        positions_left_ -= outside;
        bounds_.backwards ? next_position_ -= outside : next_position_ += outside;
    }
}

/// True if the event lies within the bounds of time. An error if that cannot be known.
bool Reading::timely(const Segment& segment, const log::RecordView& record) noexcept {
    auto admitted = times_.admits(pinned_->meta(), segment, record, recorded_us_);
    if (!admitted) error_ = std::move(admitted).error();
    return admitted && *admitted;
}

bool Reading::belongs(const log::RecordView& record, bool sealed) const noexcept {
    // What a sealed index finds are exactly the events of the selection; they are compared all the
    // same unless the index is trusted as the records are.
    if (selecting_ && sealed && check_ == log::Check::structure) return index::is_listed(record);
    if (selecting_) return index::matches(selection_, record);
    return kind_ == Source::Kind::all || index::carries(record, key_kind(kind_), name_);
}

/// Decodes one event and adds it if it belongs to the source. False if the reading ends here.
bool Reading::take(const Planned& planned) noexcept {
    const Segment& segment = *planned.segment;
    log::RecordView record;
    if (!read_record_at(pinned_->meta(), segment, planned.ordinal, planned.offset, check_, record,
                        error_))
        return false;
    if (record.header.kind != static_cast<std::uint8_t>(log::RecordKind::event)) return true;
    if (pinned_->may_be_erased() && !mark_erased(pinned_->meta(), record, error_)) return false;
    if (!belongs(record, segment.sealed != nullptr)) return true;
    // Before the revision: a read that passes whole groups over must end where any other ends.
    if (times_.asks() && !timely(segment, record)) return !error_;
    if (matcher_ && !admits(*matcher_, record)) return true;
    if (kind_ == Source::Kind::stream) {
        const std::uint64_t revision = record.header.revision;
        const bool beyond = revision > bounds_.high_revision;
        if (beyond && !bounds_.backwards)
            looked_until_ = std::min(looked_until_, record.header.position - 1);
        if (revision < bounds_.low_revision || beyond) return true;
    }
    run_.emplace_back(AsEvent{record});
    if (times_.asks()) run_.back().recorded_or_never_us = recorded_us_.value_or(EventView::kNever);
    --left_;
    return true;
}

Result<Seen> Reading::seen() const noexcept {
    if (status_ == Events::Status::stopped) return Error(*error_);
    if (status_ == Events::Status::reading) {
        return failure(ErrorCode::invalid_argument,
                       "the read is not at its end: what it has seen is not known yet");
    }
    const View& view = pinned_->view();
    if (bounds_.backwards) {
        const std::uint64_t begin = from_ != 0 ? std::min(from_, looked_until_) : looked_until_;
        return Seen{Position{begin}, view.epoch};
    }
    // With a limit of 0 that is position 0: nothing was looked at.
    const bool limited =
        left_ == 0 && !base::seeded(base::SeededBug::seen_of_limited_read_is_published);
    if (limited) return Seen{Position{last_returned_}, view.epoch};
    const std::uint64_t end = until_ != 0 ? std::min(until_, looked_until_) : looked_until_;
    return Seen{Position{end}, view.epoch};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
