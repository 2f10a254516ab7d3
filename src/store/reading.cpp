#include "store/reading.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

constexpr std::size_t kRun =
    64;  // events handed out at once: their views stay in the nearest cache
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
    const std::uint64_t offset = segment.offset_of(ordinal);
    if (offset == 0) [[unlikely]] {
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
      until_(options.until.value),
      looked_until_(end_of(pinned_->view(), options)),
      check_(options.verify == Verify::always ? log::Check::body : log::Check::structure) {
    if (kind_ != Source::Kind::all) key_ = pinned_->meta().hasher.key(key_kind(kind_), name_);
    if (kind_ != Source::Kind::all && name_.empty())
        bounds_.high = 0;  // nothing carries the empty name
    const auto unseen = pinned_->take_unseen();
    if (unseen) error_ = *unseen;
    const std::vector<SegmentPtr>& items = pinned_->view().segments->items;
    if (bounds_.low > bounds_.high) return;
    const std::size_t first =
        pinned_->view().segments->index_of(bounds_.backwards ? bounds_.high : bounds_.low);
    segment_ = first;
    // The key is looked up in one segment after the other: all of its slots are fetched at once.
    constexpr std::size_t kTogether = 16;
    for (std::size_t n = 0; n < kTogether && kind_ != Source::Kind::all; ++n) {
        const std::size_t at = bounds_.backwards ? first - n : first + n;
        if (at >= items.size()) break;
        if (items[at]->index.valid()) items[at]->index.prefetch(key_);
    }
    if (first >= items.size() && !error_) {
        error_ = failure(ErrorCode::corrupt, "the first segments of the store are missing",
                         pinned_->meta().log_directory());
    }
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

Result<std::span<const EventView>> Reading::fill() noexcept {
    run_.clear();
    if (status_ == Events::Status::complete) return std::span<const EventView>{};
    if (!error_ && bounds_.low <= bounds_.high && left_ > 0) {
        run_.reserve(kRun);
        while (run_.size() < kRun && left_ > 0 && !error_) {
            const std::size_t count = plan_batch();
            if (count == 0) break;
            for (std::size_t n = 0; n < count; ++n) {
                if (!take(*batch_[n].segment, batch_[n].ordinal)) break;
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

/// Prepares the next segment with events within the bounds. False if there is none.
bool Reading::enter_segment() noexcept {
    const SegmentList& list = *pinned_->view().segments;
    if (segment_ >= list.items.size()) return false;
    const Segment& segment = *list.items[segment_];
    const std::uint64_t last = list.last_of(segment_, pinned_->view().published);
    if (bounds_.backwards ? last < bounds_.low : segment.first() > bounds_.high) return false;
    entered_ = true;
    const std::uint64_t low = std::max(bounds_.low, segment.first()) - segment.first();
    const std::uint64_t high = std::min(bounds_.high, last);
    ordinals_.clear();
    listed_ = 0;
    ordinals_left_ = 0;
    if (high < segment.first() + low) return true;
    if (kind_ == Source::Kind::all) {
        ordinals_left_ = high - segment.first() - low + 1;
        next_ordinal_ = bounds_.backwards ? high - segment.first() : low;
        return true;
    }
    list_ordinals(segment, low, high - segment.first());
    return true;
}

/// Collects the key's events newest first and turns them round if they are wanted the other way.
void Reading::list_ordinals(const Segment& segment, std::uint64_t low, std::uint64_t high) {
    index::Postings postings = segment.index.postings(key_);
    for (std::uint32_t ordinal = 0; postings.next(ordinal) && ordinal >= low;) {
        if (ordinal > high) continue;
        // Two names of one event may share a key: it is listed once all the same.
        if (!ordinals_.empty() && ordinals_.back() == ordinal) continue;
        ordinals_.push_back(ordinal);
        segment.index.prefetch_offset(ordinal);
    }
    if (postings.damaged()) error_ = damaged_index(pinned_->meta(), segment);
    // An event that cannot be read may carry the name: it is listed, and the read stops at it.
    const std::size_t listed = ordinals_.size();
    for (std::uint32_t gap = segment.index.next_gap(low); gap <= high;
         gap = segment.index.next_gap(gap + 1ULL)) {
        if (gap == index::ActiveIndex::kNoGap) break;
        ordinals_.push_back(gap);
    }
    if (ordinals_.size() > listed) std::sort(ordinals_.rbegin(), ordinals_.rend());
    if (!bounds_.backwards) std::reverse(ordinals_.begin(), ordinals_.end());
}

/// The next few events, over as many segments as it takes: their bytes are on their way while the
/// ones before them are decoded. None at the end, or where a list is damaged.
std::size_t Reading::plan_batch() noexcept {
    std::size_t count = 0;
    const std::size_t room = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::min(kAhead, kRun - run_.size()), left_));
    while (count < room && !error_) {
        if (!entered_ && !enter_segment()) break;
        const Segment& segment = *pinned_->view().segments->items[segment_];
        for (; count < room && ordinals_left_ > 0; --ordinals_left_) {
            batch_[count++] = {&segment, static_cast<std::uint32_t>(next_ordinal_)};
            bounds_.backwards ? --next_ordinal_ : ++next_ordinal_;
        }
        for (; count < room && listed_ < ordinals_.size(); ++listed_) {
            const std::uint32_t ordinal = ordinals_[listed_];
            batch_[count++] = {&segment, ordinal};
            const std::byte* record = segment.bytes().data() + segment.offset_of(ordinal);
            for (std::size_t line = 0; line < 4; ++line) __builtin_prefetch(record + 64 * line);
        }
        if (ordinals_left_ > 0 || listed_ < ordinals_.size()) continue;
        entered_ = false;
        bounds_.backwards ? --segment_ : ++segment_;
    }
    return count;
}

/// Decodes one event and adds it if it belongs to the source. False if the reading ends here.
bool Reading::take(const Segment& segment, std::uint32_t ordinal) noexcept {
    log::RecordView record;
    if (!read_record(pinned_->meta(), segment, ordinal, check_, record, error_)) return false;
    if (record.header.kind != static_cast<std::uint8_t>(log::RecordKind::event)) return true;
    if (pinned_->may_be_erased() && !mark_erased(pinned_->meta(), record, error_)) return false;
    if (kind_ != Source::Kind::all) {
        if (!index::carries(record, key_kind(kind_), name_)) return true;
        if (kind_ == Source::Kind::stream) {
            const std::uint64_t revision = record.header.revision;
            const bool beyond = revision > bounds_.high_revision;
            if (beyond && !bounds_.backwards)
                looked_until_ = std::min(looked_until_, record.header.position - 1);
            if (revision < bounds_.low_revision || beyond) return true;
        }
    }
    run_.push_back(log::to_event(record));
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
    if (bounds_.backwards) return Seen{Position{looked_until_}, view.epoch};
    // With a limit of 0 that is position 0: nothing was looked at.
    if (left_ == 0) return Seen{Position{last_returned_}, view.epoch};
    const std::uint64_t end = until_ != 0 ? std::min(until_, looked_until_) : looked_until_;
    return Seen{Position{end}, view.epoch};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
