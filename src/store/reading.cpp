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

// Events that are handed out at once: their views stay in the nearest cache.
constexpr std::size_t kRun = 64;

Error damaged(const Meta& meta, const Segment& segment, std::uint64_t position,
              std::uint64_t offset, const char* why) noexcept {
    return failure(log::is_newer(why) ? ErrorCode::unsupported_version : ErrorCode::corrupt,
                   "the event at position " + std::to_string(position) + " cannot be read: " + why,
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

/// What is said where it is not known where a record lies.
[[gnu::noinline]] Error unknown_place(const Meta& meta, const Segment& segment,
                                      std::uint64_t position) noexcept {
    if (segment.sealed != nullptr) return damaged_sealed(meta, *segment.sealed);
    if (segment.late != nullptr && !segment.ready()) return damaged_index(meta, segment);
    return damaged(
        meta, segment, position, 0,
        segment.holds_newer ? log::kWrittenByNewer : "its place in the segment is damaged");
}

/// True if the fault is none, because the event was erased; else `error` says what it is.
[[gnu::noinline]] bool excuse(const Meta& meta, const Segment& segment, std::uint64_t position,
                              std::uint64_t offset, log::Fault fault, log::RecordView& record,
                              std::optional<Error>& error) noexcept {
    if (fault == log::kBodyFault && is_erased(meta, record, error)) return true;
    if (!error) error = damaged(meta, segment, position, offset, fault);
    return false;
}

/// As `read_record`, where it is known where the record lies: at `offset`, if that is not 0.
inline bool read_record_at(const Meta& meta, const Segment& segment, std::uint64_t position,
                           std::uint64_t offset, log::Check check, log::RecordView& record,
                           std::optional<Error>& error) noexcept {
    if (offset == 0) [[unlikely]] {
        error = unknown_place(meta, segment, position);
        return false;
    }
    const log::Fault fault =
        log::decode_record(segment.bytes(), offset, position, segment.keys.seed, check, record);
    if (fault == nullptr) [[likely]]
        return true;
    return excuse(meta, segment, position, offset, fault, record, error);
}

}  // namespace

bool read_record(const Meta& meta, const Segment& segment, std::uint64_t ordinal, log::Check check,
                 log::RecordView& record, std::optional<Error>& error) noexcept {
    return read_record_at(meta, segment, segment.first() + ordinal, segment.offset_of(ordinal),
                          check, record, error);
}

bool admits(const Matcher& matcher, const log::RecordView& record) noexcept {
    return !record.erased && matcher.matches(record.data(), record.metadata());
}

void describe_event(const log::RecordView& record, Error& error) {
    error.position = Position{record.header.position};
    error.stream = std::string(record.stream());
    error.type = std::string(record.type());
    error.tags.clear();
    for (const std::string_view tag : record.shown_tags()) error.tags.emplace_back(tag);
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

Reading::Reading(std::shared_ptr<Pinned> pinned, Wanted wanted, const ReadOptions& options)
    : pinned_(std::move(pinned)),
      wanted_(std::move(wanted)),
      bounds_(bounds_of(pinned_->view(), options)),
      planning_(*pinned_, wanted_, bounds_, options),
      left_(options.limit),
      from_(options.from.value),
      until_(options.until.value),
      looked_until_(end_of(pinned_->view(), options)),
      check_(options.verify == Verify::always ? log::Check::body : log::Check::structure),
      times_(options),
      matcher_(options.matcher) {
    if (auto unseen = pinned_->take_unseen()) refuse(std::move(*unseen));
    if (wanted_.error) refuse(std::move(*wanted_.error));
    if (wanted_.nothing || times_.nothing()) bounds_.high = 0;
    const bool revisions = bounds_.low_revision > 0 || bounds_.high_revision != ~0ULL;
    plain_ = !pinned_->may_be_erased() && !times_.asks() && !matcher_ && !revisions;
    planning_.start();
    if (planning_.error()) refuse(*planning_.error());
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
    run_.clear();
    if (status_ == Events::Status::complete) return std::span<const EventView>{};
    try {
        if (!error_) fill();
    } catch (const std::bad_alloc&) {
        refuse(failure(ErrorCode::out_of_memory, "no memory to read"));
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

/// Takes the next events, until the run is full or the reading ends.
void Reading::fill() {
    if (bounds_.low > bounds_.high || left_ == 0) return;
    run_.reserve(kRun);
    while (run_.size() < kRun && left_ > 0) {
        if (batch_.empty()) batch_ = planning_.next(left_);
        if (batch_.empty() && planning_.error()) refuse(std::move(*planning_.error()));
        if (batch_.empty() || !take(batch_.front())) return;
        batch_ = batch_.subspan(1);
    }
}

/// True if the event lies within the bounds of time. An error if that cannot be known.
bool Reading::timely(const Segment& segment, const log::RecordView& record) noexcept {
    auto admitted = times_.admits(pinned_->meta(), segment, record, recorded_us_);
    if (!admitted) error_ = std::move(admitted).error();
    return admitted && *admitted;
}

bool Reading::belongs(const log::RecordView& record, bool found) const {
    // What a sealed index finds are exactly the events of the selection, whatever keys they share;
    // their keys are compared all the same unless the index is trusted as the records are.
    if (wanted_.selects()) {
        if (!found) return index::matches(wanted_.selection, record);
        return check_ == log::Check::structure ? index::is_listed(record)
                                               : index::may_match(wanted_.selection, record);
    }
    return wanted_.everything() || index::carries(record, key_kind(wanted_.kind), wanted_.name);
}

/// Decodes one event and adds it if it belongs to what is asked for. False if the reading ends
/// here.
bool Reading::take(const Planned& planned) {
    const Segment& segment = *planned.segment;
    log::RecordView& record = record_;
    if (!read_record_at(pinned_->meta(), segment, planned.position, planned.offset, check_, record,
                        error_))
        return false;
    if (record.header.kind != static_cast<std::uint8_t>(log::RecordKind::event)) return true;
    if (!plain_ && pinned_->may_be_erased() && !mark_erased(pinned_->meta(), record, error_))
        return false;
    if (!belongs(record, planned.found)) return true;
    if (!plain_ && !passes(segment, record)) return !error_;
    run_.emplace_back(AsEvent{record});
    if (!plain_ && times_.asks())
        run_.back().recorded_or_never_us = recorded_us_.value_or(EventView::kNever);
    --left_;
    return true;
}

/// True if an event that belongs to what is asked for is wanted for its time, its content and its
/// revision. An error if that cannot be known.
bool Reading::passes(const Segment& segment, const log::RecordView& record) noexcept {
    // Before the revision: a read that passes whole groups over must end where any other ends.
    if (times_.asks() && !timely(segment, record)) return false;
    if (matcher_ && !admits(*matcher_, record)) return false;
    if (wanted_.kind != Source::Kind::stream) return true;
    const std::uint64_t revision = record.header.revision;
    const bool beyond = revision > bounds_.high_revision;
    if (beyond && !bounds_.backwards)
        looked_until_ = std::min(looked_until_, record.header.position - 1);
    return revision >= bounds_.low_revision && !beyond;
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
