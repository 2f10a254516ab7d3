// Erasing, the writer's part: the record that says so, then zeros over what it names.
//
// Order, and why: (1) the record is placed and durable; (2) the manifest gets a point behind the
// record, so that no recovery reads what lies before it, and the place of the record, both synced;
// (3) only then bodies become zeros; (4) they are synced and the manifest says that they are gone.
// Whoever dies in between leaves (3) to be done again from the beginning: storing zeros twice
// changes nothing.
#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/erased.hpp"
#include "store/recover.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

namespace {

constexpr std::uint64_t kPage = 4096;

Error no_memory() noexcept {
    return failure(ErrorCode::out_of_memory, "no memory to erase; what was asked for stays whole");
}

/// The commit of one control record.
Plan plan_of(const Meta& meta, std::string_view data) {
    Plan plan;
    plan.hashes = {0, meta.hasher.key(index::KeyKind::type, log::kEraseType)};
    PlannedEvent record;
    record.stream = kNoStream;
    record.input.kind = log::RecordKind::control;
    record.input.type = log::kEraseType;
    record.input.data = data;
    record.input.hashes = plan.hashes.data();
    record.input.head_size =
        static_cast<std::uint32_t>(log::head_size(log::kEraseType.size(), 0, false));
    record.input.body_size = log::body_size(0, data.size());
    plan.bytes = sizeof(log::CommitHeader) + record.input.head_size + record.input.body_size;
    plan.events.push_back(record);
    return plan;
}

/// Stores zeros over the bodies of one segment, through a file of its own: an error of its sync is
/// then reported to the log's file as well.
class Eraser {
public:
    Eraser(const Segment& segment, std::unique_ptr<os::File> file) noexcept
        : segment_(segment), file_(std::move(file)) {}

    [[nodiscard]] Result<void> erase(std::uint64_t position) noexcept {
        const std::uint64_t offset = segment_.offset_of(position - segment_.first());
        log::RecordView record;
        // What cannot be read stays as it is: nobody knows where its body is.
        if (offset == 0 || log::decode_record(segment_.bytes(), offset, position,
                                              segment_.keys.seed, log::Check::head, record)) {
            return {};
        }
        if (!index::is_listed(record)) return {};
        const std::uint64_t begin = offset + record.head_bytes;
        const std::uint64_t end = offset + record.size();
        const std::uint64_t first_page = base::align_up(begin, kPage);
        const std::uint64_t last_page = base::align_down(end, kPage);
        if (first_page >= last_page) return zeros(begin, end);
        VARVE_TRY(zeros(begin, first_page));
        // Whole pages are given back. Where the file system cannot, they are stored to.
        VARVE_TRY(file_->punch(first_page, last_page - first_page));
        if (!base::all_zero(segment_.bytes().subspan(first_page, last_page - first_page)))
            VARVE_TRY(zeros(first_page, last_page));
        return zeros(last_page, end);
    }
    [[nodiscard]] Result<void> sync() noexcept { return file_->sync(); }

private:
    [[nodiscard]] Result<void> zeros(std::uint64_t begin, std::uint64_t end) noexcept {
        static const std::array<std::byte, 64 << 10> kZeros{};
        for (std::uint64_t at = begin; at < end;) {
            const std::uint64_t length = std::min<std::uint64_t>(kZeros.size(), end - at);
            VARVE_TRY(file_->write_at(at, base::Bytes{kZeros}.first(length)));
            at += length;
        }
        return {};
    }

    const Segment& segment_;
    std::unique_ptr<os::File> file_;
};

}  // namespace

/// After opening: goes on with what an earlier writer has not finished.
void Writer::resume_erasure() noexcept {
    const file::ManifestContent& manifest = manifest_.content();
    const file::ManifestEntry* erased = manifest.furthest(file::EntryKind::erased);
    newest_erase_ = newest_erase(manifest);
    erased_until_ = erased != nullptr ? erased->position : 0;
    if (newest_erase_.position <= erased_until_) return;
    erase_unread_ = true;
    erase_pending_.store(true, std::memory_order_release);
    if (!env_.has_threads()) {
        erase_in_background();
        return;
    }
    const std::lock_guard lock(place_mutex_);
    start_keeper();
}

/// Under the place lock: places and publishes one control record.
Result<void> Writer::place_control(Plan& plan, log::EraseMark& mark,
                                   file::ManifestEntry& point) noexcept {
    const std::lock_guard lock(place_mutex_);
    VARVE_TRY(usable());
    if (!session_begun_) VARVE_TRY(begin_session());
    VARVE_TRY(make_room(plan));
    const log::EraseMark here{end_.position + 1, active_->number(),
                              end_.offset + sizeof(log::CommitHeader)};
    Appended done;
    VARVE_TRY(place(plan, Durability::disk, done));
    publish();
    mark = here;
    point = entry_at(file::EntryKind::synced);
    return {};
}

/// Under the place lock: an entry for the end of the log.
file::ManifestEntry Writer::entry_at(file::EntryKind kind) const noexcept {
    file::ManifestEntry entry = manifest_entry(kind, end_, epoch_, env_.now_us());
    entry.next_segment = new_segment_ ? next_number_ : 0;
    return entry;
}

/// Adds `point`, which is durable, to the manifest unless that vouches for more already, then where
/// the newest erase record stands; both are synced.
Result<void> Writer::mark_erasing(const file::ManifestEntry& point, file::EntryKind kind,
                                  const log::EraseMark& mark) noexcept {
    const std::lock_guard lock(manifest_mutex_);
    const file::ManifestEntry* last = manifest_.content().last_point();
    const bool vouched =
        point.position == 0 || (last != nullptr && last->position > point.position);
    if (!vouched && !base::seeded(SeededBug::erased_body_breaks_recovery))
        VARVE_TRY(manifest_.add(point, false));
    file::ManifestEntry entry;
    entry.kind = static_cast<std::uint32_t>(kind);
    entry.epoch = epoch_;
    entry.segment = mark.segment;
    entry.offset = mark.offset;
    entry.position = mark.position;
    entry.time_us = env_.now_us();
    return manifest_.add(entry, true);
}

Result<log::EraseMark> Writer::erase(std::span<const log::PositionRange> ranges) noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    log::EraseMark mark;
    Result<void> written;
    try {
        written = write_erase(ranges, mark);
    } catch (const std::bad_alloc&) {
        written = no_memory();
    }
    after_publish(Durability::disk);
    signal_keeper();
    if (!written) return std::move(written).error();
    return mark;
}

/// Records for all ranges, durable, known to the manifest and to readers. Where it ends halfway,
/// later records lead to those that were placed: what they name is then erased together with what
/// the later ones name.
Result<void> Writer::write_erase(std::span<const log::PositionRange> ranges, log::EraseMark& mark) {
    for (std::size_t at = 0; at < ranges.size(); at += log::kMaxEraseRanges) {
        // Outside the erase lock: the keeper, whom this may wait for, takes it as well.
        VARVE_TRY(wait_for_the_helper());
        const std::lock_guard lock(erase_mutex_);
        VARVE_TRY(check_newest());
        const auto part = ranges.subspan(at, std::min(log::kMaxEraseRanges, ranges.size() - at));
        const std::vector<std::byte> data = log::encode_erase(newest_erase_, part);
        Plan plan = plan_of(*meta_, base::as_text(data));
        unmarked_.reserve(unmarked_.size() + part.size());
        VARVE_TRY(place_control(plan, mark, behind_erase_));
        newest_erase_ = mark;
        unmarked_.insert(unmarked_.end(), part.begin(), part.end());
    }
    const std::lock_guard lock(erase_mutex_);
    return tell_erased(ranges);
}

/// Under the erase lock: all records that were placed, those of other calls included, become
/// durable and known.
Result<void> Writer::tell_erased(std::span<const log::PositionRange> ranges) {
    to_zero_.reserve(to_zero_.size() + unmarked_.size());
    if (base::seeded(SeededBug::erased_body_breaks_recovery)) VARVE_TRY(zero(ranges, nullptr));
    VARVE_TRY(wait_durable(behind_erase_.position));
    VARVE_TRY(mark_erasing(behind_erase_, file::EntryKind::erasing, newest_erase_));
    marked_erase_ = newest_erase_;
    // Partner: the acquire load of every view; who sees it finds the record through the manifest.
    control().erasures.fetch_add(1, std::memory_order_release);
    to_zero_.insert(to_zero_.end(), unmarked_.begin(), unmarked_.end());
    erase_pending_.store(true, std::memory_order_release);
    const std::vector<log::PositionRange> marked = std::exchange(unmarked_, {});
    return meta_->erasures->add(*meta_, marked, newest_erase_);
}

/// Under the erase lock: what is said to be the newest erase record is one; a manifest that
/// somebody has changed must not lead later records astray.
Result<void> Writer::check_newest() {
    if (erase_checked_ || newest_erase_.position == 0) return {};
    const bool leads = newest_erase_.position <= control().published.load() &&
                       follow_erased(*meta_, newest_erase_, newest_erase_.position - 1);
    if (!leads) {
        auto set = scan_erased(*segments(), control().published.load(std::memory_order_acquire));
        if (!set) return std::move(set).error();
        newest_erase_ = set->newest;
    }
    erase_checked_ = true;
    return {};
}

/// Under the erase lock: what an earlier writer has left to do. What it told the manifest is told
/// again: it may have died before that was synced, or a sync may have failed.
Result<void> Writer::read_unfinished() {
    file::ManifestEntry point;
    {
        const std::lock_guard lock(place_mutex_);
        point = entry_at(file::EntryKind::synced);
    }
    VARVE_TRY(check_newest());
    if (newest_erase_.position == 0) {
        erase_unread_ = false;
        return {};
    }
    VARVE_TRY(wait_durable(point.position));
    VARVE_TRY(mark_erasing(point, file::EntryKind::erasing, newest_erase_));
    marked_erase_ = newest_erase_;
    auto set = follow_erased(*meta_, newest_erase_, erased_until_);
    if (!set) set = scan_erased(*segments(), control().published.load(std::memory_order_acquire));
    if (!set) return std::move(set).error();
    to_zero_.insert(to_zero_.end(), set->ranges.begin(), set->ranges.end());
    // Those in `unmarked_` are among them; whoever placed their records may still have to tell
    // them.
    erase_unread_ = false;
    return {};
}

Result<void> Writer::finish_erasure(const Progress* progress) noexcept {
    const AppendGuard guard(in_flight_);
    return zero_pending(progress);
}

Result<void> Writer::zero_pending(const Progress* progress) noexcept {
    const std::lock_guard one_at_a_time(zero_mutex_);
    if (!erase_pending_.load(std::memory_order_acquire)) return {};
    try {
        std::vector<log::PositionRange> ranges;
        log::EraseMark mark;
        std::size_t taken = 0;
        {
            const std::lock_guard lock(erase_mutex_);
            if (erase_unread_) VARVE_TRY(read_unfinished());
            ranges = to_zero_;
            taken = to_zero_.size();
            mark = marked_erase_;
        }
        log::normalise(ranges);
        VARVE_TRY(zero(ranges, progress));
        VARVE_TRY(usable_to_erase());
        if (!ranges.empty()) VARVE_TRY(mark_erasing({}, file::EntryKind::erased, mark));
        const std::lock_guard lock(erase_mutex_);
        to_zero_.erase(to_zero_.begin(), to_zero_.begin() + static_cast<std::ptrdiff_t>(taken));
        erase_pending_.store(!to_zero_.empty(), std::memory_order_release);
        return {};
    } catch (const std::bad_alloc&) {
        return no_memory();
    }
}

Result<void> Writer::usable_to_erase() const noexcept {
    if (sync_failed_.load(std::memory_order_acquire)) {
        return failure(ErrorCode::poisoned,
                       "a sync failed: what is to be erased is erased after the store is reopened",
                       meta_->path);
    }
    if (!stop_.load(std::memory_order_acquire)) return {};
    return failure(ErrorCode::closed, "the store is being closed: the next writer goes on erasing",
                   meta_->path);
}

/// Zeros over the bodies of all events in `ranges`, synced.
Result<void> Writer::zero(std::span<const log::PositionRange> ranges,
                          const Progress* progress) noexcept {
    const SegmentListPtr list = segments();
    const std::uint64_t published = control().published.load(std::memory_order_acquire);
    std::uint64_t total = 0;
    for (const log::PositionRange& range : ranges)
        total += std::min(range.last, published) + 1 - std::min(range.first, published + 1);
    std::uint64_t done = 0;
    for (std::size_t n = 0; n < list->items.size(); ++n) {
        const Segment& segment = *list->items[n];
        const log::PositionRange own{segment.first(), list->last_of(n, published)};
        auto range = std::lower_bound(
            ranges.begin(), ranges.end(), own.first,
            [](const log::PositionRange& one, std::uint64_t first) { return one.last < first; });
        if (range == ranges.end() || range->first > own.last) continue;
        auto file = env_.open(meta_->segment_path(segment.number()), os::OpenMode::read_write);
        if (!file) return std::move(file).error();
        Eraser eraser(segment, std::move(*file));
        for (; range != ranges.end() && range->first <= own.last; ++range) {
            const std::uint64_t last = std::min(range->last, own.last);
            for (std::uint64_t p = std::max(range->first, own.first); p <= last; ++p) {
                VARVE_TRY(usable_to_erase());
                VARVE_TRY(eraser.erase(p));
                const bool wanted = progress == nullptr || !*progress || (*progress)(++done, total);
                if (!wanted) return failure(ErrorCode::busy, "erasing goes on in the background");
            }
        }
        auto synced = eraser.sync();
        // Pages of the log may have been among those that were lost.
        if (!synced) fail();
        VARVE_TRY(std::move(synced));
    }
    return {};
}

/// What fails here is tried again in the next round, and by the next writer.
void Writer::erase_in_background() noexcept {
    if (!erase_pending_.load(std::memory_order_acquire)) return;
    // The other work of this thread does not wait until all is done.
    const Progress chores = [this](std::uint64_t done, std::uint64_t) {
        constexpr std::uint64_t kEvery = 64;
        if (done % kEvery != 0) return true;
        prepare_next();
        sync_rolled();
        sync_by_interval();
        return true;
    };
    static_cast<void>(zero_pending(env_.has_threads() ? &chores : nullptr).has_value());
}

}  // namespace store
}  // namespace v0
}  // namespace varve
