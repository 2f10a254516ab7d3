// Opening for writing: clean, roll forward, or recover; then fence, index, control page.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/engine.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

/// The steps of one opening share this. Lives only inside `open_for_writing`.
class WriterOpening {
public:
    WriterOpening(const Meta& meta, Opening& opening) noexcept
        : meta_(meta), env_(*meta.env), opening_(opening) {}

    Result<WriterStart> run(std::unique_ptr<os::ForkGuard> lock) noexcept;

private:
    [[nodiscard]] Result<void> load() noexcept;
    [[nodiscard]] Result<void> look_at_control() noexcept;
    [[nodiscard]] Result<void> find_end() noexcept;
    [[nodiscard]] Result<bool> roll_forward() noexcept;
    void name_lost(std::uint64_t published) noexcept;
    [[nodiscard]] Result<void> recover() noexcept;
    void number_next() noexcept;
    [[nodiscard]] Result<void> check_end() const noexcept;
    [[nodiscard]] Result<void> fence() noexcept;
    void give_back() noexcept;
    [[nodiscard]] Result<void> drop_again() noexcept;
    [[nodiscard]] Result<void> drop_later_segments() noexcept;
    [[nodiscard]] Result<void> drop(const std::vector<std::uint64_t>& numbers) noexcept;
    void give_sealed(SegmentList& list, std::uint64_t end) noexcept;
    [[nodiscard]] Result<void> build_index(Segment& segment, std::uint64_t last) noexcept;
    [[nodiscard]] Result<void> leave_to_sealer(Segment& segment, std::uint64_t last) noexcept;
    [[nodiscard]] Result<void> ready_indexes() noexcept;
    [[nodiscard]] Result<void> ready_control() noexcept;
    [[nodiscard]] Result<void> new_control() noexcept;

    const Meta& meta_;
    os::Env& env_;
    Opening& opening_;
    file::Manifest manifest_;
    Files files_;
    SegmentListPtr list_ = std::make_shared<SegmentList>();
    OpenedSealed sealed_;
    os::Mapping control_;                          ///< the page found, believed or not
    std::unique_ptr<os::ForkGuard> control_lock_;  ///< where the kernel tells no mount
    bool believed_ = false;
    bool same_boot_ = false;  ///< indexes of this boot may be taken over
    bool in_place_ = true;    ///< the next commit may go right behind the end
    bool cut_ = false;
    bool new_indexes_ = false;  ///< readers of the page found may map others that nobody fills
    bool rebuild_ = false;      ///< segments before the last one have no index yet
    bool forgotten_ = false;    ///< the manifest may have lost what it knew of erasures
    bool sync_now_ =
        false;  ///< after a failed sync: what is still here is made durable before anything else
    log::LogPoint end_{};
    log::LogPoint durable_{};
    std::uint64_t adopted_from_ = 0;  ///< position behind which the shared index may be incomplete
    std::int64_t recorded_us_ = 0;
    std::uint32_t newest_epoch_ = 0;
    std::uint64_t next_number_ = 1;
};

Result<void> WriterOpening::load() noexcept {
    // A power cut right after creation may have taken names. The first append makes them durable
    // before it is placed, and leaves an entry in the manifest: without one, what is missing was
    // never used.
    auto there = env_.exists(meta_.in("manifest"));
    if (!there) return std::move(there).error();
    if (!*there) VARVE_TRY(file::Manifest::create(env_, meta_.path, meta_.options.file_mode, true));
    auto manifest =
        file::Manifest::open(env_, meta_.path, meta_.manifest_seed(), meta_.options.file_mode);
    if (!manifest) return std::move(manifest).error();
    manifest_ = std::move(*manifest);
    if (manifest_.content().newer) {
        return failure(ErrorCode::unsupported_version,
                       "the manifest holds entries of a newer version; use a newer varve to write",
                       meta_.in("manifest"));
    }
    forgotten_ = forgets_erasures(manifest_.content());
    for (const std::string& directory : {meta_.log_directory(), meta_.index_directory()}) {
        there = env_.exists(directory);
        if (!there) return std::move(there).error();
        if (*there) continue;
        if (directory == meta_.log_directory() && !manifest_.content().entries.empty()) {
            return failure(ErrorCode::corrupt, "the directory of the segments is missing",
                           directory);
        }
        VARVE_TRY(env_.make_directory(directory, meta_.directory_mode()));
    }
    auto files = open_files(meta_, manifest_.content(), os::MapAccess::read_write);
    if (!files) return std::move(files).error();
    files_ = std::move(*files);
    const log::LogPoint point = start_of(manifest_.content()).point;
    if (!is_possible(files_, point)) {
        return failure(ErrorCode::corrupt,
                       "the manifest names position " + std::to_string(point.position) +
                           ", which its segment cannot hold; nothing was changed",
                       meta_.in("manifest"));
    }
    newest_epoch_ = manifest_.content().highest_epoch();
    for (const log::SegmentImage& image : files_.images) {
        if (image.state == log::HeaderState::valid)
            newest_epoch_ = std::max(newest_epoch_, image.header.epoch);
    }
    return {};
}

Result<void> WriterOpening::look_at_control() noexcept {
    auto file = env_.open(meta_.in("control"), os::OpenMode::read_write);
    if (!file)
        return file.error().code == ErrorCode::not_found ? Result<void>{} : std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    if (*size < file::kControlSize) return {};
    auto mapping = (*file)->map(file::kControlSize, os::MapAccess::read_write);
    if (!mapping) return std::move(mapping).error();
    control_ = std::move(*mapping);
    auto expected = file::expected_identity(env_, **file, meta_.file.uuid);
    if (!expected) return std::move(expected).error();
    const file::Control& page = file::control_of(control_);
    const auto state = static_cast<file::WriterState>(page.state.load());
    believed_ = expected->known && page.identity == expected->identity &&
                state != file::WriterState::none && state != file::WriterState::superseded;
    if (believed_) newest_epoch_ = std::max(newest_epoch_, page.epoch.load());
    return {};
}

Result<void> WriterOpening::find_end() noexcept {
    const file::ManifestContent& manifest = manifest_.content();
    if (closed_cleanly(manifest, files_)) {
        const file::ManifestEntry& last = manifest.entries.back();
        end_ = {last.segment, last.offset, last.position, last.chain, last.epoch};
        durable_ = end_;
        in_place_ = last.next_segment == 0;
        adopted_from_ = end_.position;
        recorded_us_ = last.time_us;
        same_boot_ = believed_ && file::control_of(control_).published.load() == end_.position;
        opening_.how = Opening::How::clean;
        auto chain = chain_of(meta_, files_, end_.segment);
        if (!chain) return std::move(chain).error();
        list_ = std::move(*chain);
        return {};
    }
    if (believed_) {
        auto rolled = roll_forward();
        if (!rolled) return std::move(rolled).error();
        if (*rolled) return {};
    }
    const bool shown = believed_;
    VARVE_TRY(recover());
    if (!shown) return {};
    // The page of this boot leads nowhere: what it showed beyond the end is lost, and what is still
    // here may be so in memory only.
    const file::Control& page = file::control_of(control_);
    sync_now_ = static_cast<file::WriterState>(page.state.load()) == file::WriterState::failed;
    name_lost(page.published.load());
    return {};
}

/// Says which of the positions up to `published`, which readers have seen, are not there any more.
void WriterOpening::name_lost(std::uint64_t published) noexcept {
    if (published <= end_.position) return;
    opening_.lost_first = Position{end_.position + 1};
    opening_.lost_last = Position{published};
    opening_.dropped_events = std::max(opening_.dropped_events, published - end_.position);
}

/// Starts at what was published and adopts what the dead writer had placed. False if the pages do
/// not lead there.
Result<bool> WriterOpening::roll_forward() noexcept {
    const file::Control& page = file::control_of(control_);
    const std::uint64_t published = page.published.load(std::memory_order_acquire);
    const std::uint64_t durable = std::min(published, page.durable.load(std::memory_order_acquire));
    const bool failed =
        static_cast<file::WriterState>(page.state.load()) == file::WriterState::failed;
    log::Start start = start_of(manifest_.content());
    log::Recovery found;
    // A cut that is newer than the page has taken back some of what it shows: only the manifest
    // knows the end.
    const file::ManifestEntry* last = manifest_.content().last_point();
    if (last != nullptr && last->kind == static_cast<std::uint32_t>(file::EntryKind::cut) &&
        last->position < published && last->epoch > page.epoch.load())
        return false;
    if (published > 0) {
        auto chain = chain_of(meta_, files_, page.active.load());
        if (!chain) return false;
        SegmentList indexed = **chain;
        give_sealed(indexed, published);
        for (const SegmentPtr& segment : indexed.items) {
            if (segment->sealed != nullptr) continue;
            if (!attach_index(meta_, *segment, os::MapAccess::read_write)) return false;
        }
        log::LogPoint from;
        if (!point_behind(indexed, failed ? durable : published, from)) return false;
        if (durable == 0 || !point_behind(indexed, durable, durable_)) {
            durable_ = start.point.position <= published ? start.point : log::LogPoint{};
        }
        const bool at_cut = start.next_segment != 0 && start.point.position == from.position;
        // Where it was cut may be the begin of a segment that the cut has emptied: what continues
        // the log names that one, not the segment of the last event.
        start = {at_cut ? start.point : from, at_cut ? start.next_segment : 0, start.newest_epoch};
        adopted_from_ = published;
    }
    // After a failed sync pages may have been lost; else nothing behind the end is of interest, and
    // looking at all of it would take long.
    found = failed ? log::recover(files_.images, start) : log::follow(files_.images, start);
    VARVE_TRY(refuse_newer(meta_, found));
    end_ =
        base::seeded(SeededBug::drop_beyond_published) && published > 0 ? start.point : found.end;
    in_place_ = start.next_segment == 0 || end_.segment != start.point.segment;
    recorded_us_ = found.recorded_us;
    same_boot_ = true;
    opening_.how = Opening::How::rolled_forward;
    if (failed) {
        sync_now_ = true;
        if (end_.position < published) {
            // Pages that were never written back are gone from memory too: what was shown is lost.
            name_lost(published);
            opening_.dropped_bytes = found.dropped_bytes;
            cut_ = true;
            same_boot_ = false;
        }
    }
    auto chain = chain_of(meta_, files_, end_.segment);
    if (!chain) return std::move(chain).error();
    list_ = std::move(*chain);
    return true;
}

Result<void> WriterOpening::recover() noexcept {
    const log::Start start = start_of(manifest_.content());
    expect_reading(env_, files_, start.point.segment);
    learn_zeros(files_, start.point.segment);
    const log::Recovery found = recover_log(files_, start, forgotten_);
    VARVE_TRY(refuse_newer(meta_, found));
    if (found.damaged) {
        return failure(ErrorCode::corrupt,
                       std::string("data that were synced are damaged behind position ") +
                           std::to_string(found.end.position) + " (" +
                           (found.fault != nullptr ? found.fault : "?") +
                           "); nothing was changed; open the store read-only to read around it",
                       meta_.segment_path(found.end.segment != 0 ? found.end.segment : 1),
                       found.end.offset);
    }
    auto chain = chain_of(meta_, files_, found.end.segment);
    if (!chain) return std::move(chain).error();
    list_ = std::move(*chain);
    end_ = found.end;
    durable_ = start.point;
    recorded_us_ = found.recorded_us;
    opening_.how = Opening::How::recovered;
    opening_.dropped_bytes = found.dropped_bytes;
    opening_.dropped_events = found.dropped_events;
    const bool was_cut_here = start.next_segment != 0 && found.end == start.point;
    cut_ = !found.tail_is_zero;
    in_place_ = !was_cut_here;
    believed_ = false;
    return {};
}

/// An end that cannot lie in its segment comes from a manifest that somebody has changed.
Result<void> WriterOpening::check_end() const noexcept {
    if (end_.segment == 0 && end_.position == 0) return {};
    const Segment* last = list_->items.empty() ? nullptr : list_->items.back().get();
    const bool possible =
        last != nullptr && last->number() == end_.segment && end_.position + 1 >= last->first() &&
        end_.position <= plausible_last(*last) && durable_.position <= end_.position;
    if (possible) return {};
    return failure(ErrorCode::corrupt,
                   "the manifest names an end at position " + std::to_string(end_.position) +
                       " that cannot lie in segment " + std::to_string(end_.segment) +
                       "; nothing was changed",
                   meta_.in("manifest"));
}

/// After the end is known: what the next segment is called.
void WriterOpening::number_next() noexcept {
    const bool whole = opening_.how == Opening::How::clean ||
                       (opening_.how == Opening::How::rolled_forward && !sync_now_);
    next_number_ = files_.highest_used(whole) + 1;
    for (const file::ManifestEntry& entry : manifest_.content().entries) {
        next_number_ = std::max(next_number_, entry.next_segment);
    }
}

/// Makes what lies behind the end unreachable before anything new is placed.
Result<void> WriterOpening::fence() noexcept {
    if (!cut_) return {};
    file::ManifestEntry entry =
        manifest_entry(file::EntryKind::cut, end_, newest_epoch_ + 1, env_.now_us());
    entry.next_segment = next_number_;
    VARVE_TRY(manifest_.add(entry, true));
    in_place_ = false;
    give_back();
    return drop_later_segments();
}

/// Whole pages behind a cut go back to the file system, unless a reader of this boot may have seen
/// what is in them.
void WriterOpening::give_back() noexcept {
    if (control_.data() != nullptr) {
        const file::Control& page = file::control_of(control_);
        std::array<std::byte, 16> boot{};
        env_.boot_id(boot);
        const bool other_boot = !base::all_zero(base::Bytes{boot}) && page.identity.boot != boot;
        if (!other_boot && page.published.load() > end_.position) return;
    }
    const SegmentPtr segment = files_.find(end_.segment);
    if (segment == nullptr || end_.offset >= segment->log().size()) return;
    // Best effort: what stays is only space.
    static_cast<void>(
        segment->file().punch(end_.offset, segment->log().size() - end_.offset).has_value());
}

Result<void> WriterOpening::drop_later_segments() noexcept {
    std::vector<std::uint64_t> numbers;
    for (const OpenedSegment& one : files_.opened) {
        const std::uint64_t number = one.segment->number();
        if (number > end_.segment && number < next_number_) numbers.push_back(number);
    }
    return drop(numbers);
}

/// An earlier opening may have died between the entry of its cut and the moves.
Result<void> WriterOpening::drop_again() noexcept {
    std::vector<std::uint64_t> numbers;
    std::erase_if(files_.opened, [&](const OpenedSegment& one) {
        const bool dead = is_cut_off(manifest_.content(), one.segment->number());
        if (dead) numbers.push_back(one.segment->number());
        return dead;
    });
    return drop(numbers);
}

Result<void> WriterOpening::drop(const std::vector<std::uint64_t>& numbers) noexcept {
    for (const std::uint64_t number : numbers) {
        const std::string from = meta_.segment_path(number);
        const std::string to = meta_.in("dropped") + from.substr(from.rfind('/'));
        auto there = env_.exists(meta_.in("dropped"));
        if (!there) return std::move(there).error();
        if (!*there) VARVE_TRY(env_.make_directory(meta_.in("dropped"), meta_.directory_mode()));
        VARVE_TRY(env_.rename(from, to));
    }
    if (numbers.empty()) return {};
    VARVE_TRY(sync_names(env_, meta_.in("dropped")));
    VARVE_TRY(sync_names(env_, meta_.log_directory()));
    return sync_names(env_, meta_.path);
}

/// Gives segments the sealed indexes that the manifest names. One that is missing or damaged is
/// made again later; until then its segments have active indexes.
void WriterOpening::give_sealed(SegmentList& list, std::uint64_t end) noexcept {
    static_cast<void>(attach_sealed(meta_, manifest_.content().sealed(), end, list, sealed_));
}

/// A new shared index of the segment's events up to `last`.
Result<void> WriterOpening::build_index(Segment& segment, std::uint64_t last) noexcept {
    env_.expect(segment.log(), os::Env::Pattern::sequential);
    const log::LogPoint from = first_point(segment);
    const std::uint64_t plausible = std::min(last, plausible_last(segment));
    VARVE_TRY(create_index(meta_, segment, measure_index(segment, from, plausible)));
    if (fill_index(meta_, segment, from, plausible)) return {};
    return failure(ErrorCode::corrupt, "more events than there can be in a segment of this size",
                   meta_.segment_path(segment.number()));
}

/// A segment that no longer grows need not be read now: whoever needs its index first fills one,
/// and the sealer makes the one that lasts.
Result<void> WriterOpening::leave_to_sealer(Segment& segment, std::uint64_t last) noexcept {
    const std::string path = meta_.active_index_path(segment.number());
    auto stale = env_.exists(path);
    if (!stale) return std::move(stale).error();
    // Readers would believe one of this boot that opening has not.
    if (*stale) VARVE_TRY(env_.remove(path));
    rebuild_ = true;
    return index_late(meta_, segment, last);
}

Result<void> WriterOpening::ready_indexes() noexcept {
    auto list = std::make_shared<SegmentList>(*list_);
    give_sealed(*list, end_.position);
    list_ = std::move(list);
    // What is sealed does not grow: the log goes on in a new segment.
    if (!list_->items.empty() && list_->items.back()->sealed != nullptr) in_place_ = false;
    for (std::size_t n = 0; n < list_->items.size(); ++n) {
        Segment& segment = *list_->items[n];
        if (segment.sealed != nullptr) continue;
        const std::uint64_t last = list_->last_of(n, end_.position);
        const bool own = same_boot_ && (segment.index.valid() ||
                                        attach_index(meta_, segment, os::MapAccess::read_write));
        if (!own) {
            const bool grows = n + 1 == list_->items.size();
            VARVE_TRY(grows ? build_index(segment, last) : leave_to_sealer(segment, last));
            new_indexes_ = true;
            continue;
        }
        if (last <= adopted_from_) continue;
        // Some of it was listed before the writer died: the rest is added, what is there is left
        // alone.
        log::LogPoint from = first_point(segment);
        const SegmentList only{{list_->items[n]}};
        if (adopted_from_ >= segment.first() && !point_behind(only, adopted_from_, from))
            from = first_point(segment);
        if (!fill_index(meta_, segment, from, last)) VARVE_TRY(build_index(segment, last));
    }
    return {};
}

Result<void> WriterOpening::new_control() noexcept {
    const std::string fresh = meta_.in("control.new");
    auto stale = env_.exists(fresh);
    if (!stale) return std::move(stale).error();
    if (*stale) VARVE_TRY(env_.remove(fresh));
    auto file = env_.open(fresh, os::OpenMode::create, meta_.options.file_mode);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->allocate(file::kControlSize));
    auto mapping = (*file)->map(file::kControlSize, os::MapAccess::read_write);
    if (!mapping) return std::move(mapping).error();
    auto expected = file::expected_identity(env_, **file, meta_.file.uuid);
    if (!expected) return std::move(expected).error();
    base::store(mapping->data(), expected->identity);
    if (expected->known_while_locked) {
        // Tells readers that the mount is still the one the page was made in: whoever only holds
        // the store's lock may not have replaced an older page yet.
        auto locked = (*file)->try_lock();
        if (!locked) return std::move(locked).error();
        control_lock_ = std::make_unique<os::ForkGuard>(std::move(*file));
    }
    const os::Mapping old = std::move(control_);
    control_ = std::move(*mapping);
    file::Control& page = file::control_of(control_);
    page.published.store(end_.position, std::memory_order_relaxed);
    page.durable.store(durable_.position, std::memory_order_relaxed);
    page.active.store(end_.segment, std::memory_order_relaxed);
    page.lost_from.store(opening_.lost_first.value, std::memory_order_relaxed);
    page.epoch.store(newest_epoch_ + 1, std::memory_order_relaxed);
    // Another number than any in the page before: who looked at that looks again.
    page.erasures.store((newest_epoch_ + 1) << 12, std::memory_order_relaxed);
    page.definitions.store((newest_epoch_ + 1) << 12, std::memory_order_relaxed);
    page.state.store(static_cast<std::uint32_t>(file::WriterState::running),
                     std::memory_order_release);
    VARVE_TRY(env_.rename(fresh, meta_.in("control")));
    if (old.data() != nullptr) {
        // Whoever still maps the old page learns that another one has taken its place.
        file::Control& before = file::control_of(old);
        before.state.store(static_cast<std::uint32_t>(file::WriterState::superseded),
                           std::memory_order_release);
        before.wake.fetch_add(1, std::memory_order_release);
        env_.wake_all(before.wake);
    }
    return {};
}

Result<void> WriterOpening::ready_control() noexcept {
    const bool lossy = opening_.lost_first.value != 0;
    if (!believed_ || lossy || new_indexes_) return new_control();
    file::Control& page = file::control_of(control_);
    page.epoch.store(newest_epoch_ + 1, std::memory_order_relaxed);
    page.active.store(end_.segment, std::memory_order_relaxed);
    // In a page that others have read from it never falls, even where its place was not found
    // again.
    const std::uint64_t shown =
        std::min(page.durable.load(std::memory_order_relaxed), end_.position);
    page.durable.store(std::max(durable_.position, shown), std::memory_order_relaxed);
    page.state.store(static_cast<std::uint32_t>(file::WriterState::running),
                     std::memory_order_release);
    // Adopted commits appear to everybody at once. Partner: the acquire load of every view.
    page.published.store(end_.position, std::memory_order_release);
    // They may define something: their writer died before it could tell. Even again, and another.
    page.definitions.store((page.definitions.load(std::memory_order_relaxed) | 1U) + 1,
                           std::memory_order_release);
    page.wake.fetch_add(1, std::memory_order_release);
    env_.wake_all(page.wake);
    return {};
}

Result<WriterStart> WriterOpening::run(std::unique_ptr<os::ForkGuard> lock) noexcept {
    VARVE_TRY(load());
    VARVE_TRY(look_at_control());
    VARVE_TRY(find_end());
    // Commits say which writer made them; the next one must be above all of them, or what it
    // appends would one day count as older than what it stands behind.
    newest_epoch_ = std::max(newest_epoch_, end_.epoch);
    VARVE_TRY(check_end());
    VARVE_ASSERT(durable_.position <= end_.position);
    number_next();
    VARVE_TRY(drop_again());
    VARVE_TRY(fence());
    VARVE_TRY(ready_indexes());
    if (forgotten_ && end_.position > 0)
        VARVE_TRY(
            remember_erasures(*list_, end_.position, newest_epoch_, env_.now_us(), manifest_));
    log::CommitHeader last;
    log::LogPoint behind;
    if (commit_ending_at(*list_, end_.position, last, behind))
        recorded_us_ = std::max(recorded_us_, last.recorded_us);
    VARVE_TRY(ready_control());
    WriterStart start;
    if (control_lock_ != nullptr) lock->keep(std::move(control_lock_));
    start.lock = std::move(lock);
    start.control = std::move(control_);
    try {
        start.epochs = EpochBegins(manifest_.content(), newest_epoch_ + 1, end_.position);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to open the store");
    }
    start.manifest = std::move(manifest_);
    start.segments = std::move(list_);
    start.end = end_;
    start.durable = durable_;
    start.recorded_us = recorded_us_;
    start.epoch = newest_epoch_ + 1;
    start.next_number = next_number_;
    start.new_segment = !in_place_;
    start.rebuild = rebuild_;
    start.sync_now = sync_now_;
    return start;
}

Result<WriterStart> open_for_writing(const Meta& meta, std::unique_ptr<os::ForkGuard> lock,
                                     Opening& opening) noexcept {
    return WriterOpening(meta, opening).run(std::move(lock));
}

}  // namespace store
}  // namespace v0
}  // namespace varve
