// The sealer: makes sealed indexes of segments that no longer grow, merges them, and takes away the
// files that they replace.
//
// A thread of its own, or steps inside `append` where there are no threads; after the threads have
// ended, the one who closes. Nothing here is needed for correctness: a segment without a sealed
// index keeps its active one. Invariants: only what is durable and lies before a `synced` entry is
// sealed, so no recovery ever cuts into it; the manifest names an index after its file was synced;
// a file that was replaced stays until readers that know it by name had time to look again.
#include <algorithm>
#include <new>
#include <system_error>
#include <thread>

#include "base/assert.hpp"
#include "base/seeded_bug.hpp"
#include "store/sealed.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::uint64_t kSleepUs = 1'000'000;
/// As much log as may lack a sealed index when a store is closed: that much is read by the next
/// opening after a restart of the machine.
constexpr std::uint64_t kUnsealedMax = 4 << 20;
constexpr std::uint64_t kKeepReplacedUs = 10'000'000;
constexpr std::size_t kMergeWidth = 16;
constexpr std::size_t kIndexesMany = 64;
constexpr std::size_t kIndexesMax = file::kManifestSize / file::kManifestEntrySize / 2;
constexpr std::uint64_t kMergeEventsMax = 1ULL << 31;  // ordinals have 32 bits
constexpr std::uint64_t kMergeBurstUs = 4'000;
constexpr std::uint64_t kMergeRestUs = 1'000;

/// How often an index of so many segments has been merged.
std::size_t tier_of(std::size_t segments) noexcept {
    std::size_t tier = 0;
    for (; segments >= kMergeWidth; segments /= kMergeWidth) ++tier;
    return tier;
}

}  // namespace

void Writer::seal_all() noexcept {
    env_.begin_background_thread();
    while (!stop_.load(std::memory_order_acquire)) {
        const std::uint32_t word = sealer_word_.load(std::memory_order_acquire);
        if (index_work()) continue;
        if (stop_.load(std::memory_order_seq_cst)) break;
        env_.wait_on(sealer_word_, word, kSleepUs);
    }
}

void Writer::signal_sealer() noexcept {
    sealer_word_.fetch_add(1, std::memory_order_release);
    if (env_.has_threads()) env_.wake_all(sealer_word_);
}

/// One piece of work. False if there is none, or if it failed and is tried again later.
bool Writer::index_work() noexcept {
    remove_replaced();
    // Every index takes a place in the manifest: where segments are small, merging comes first.
    const std::size_t indexes = sealed_ranges().size();
    if (indexes >= kIndexesMany && merge_next()) return true;
    if (seal_damaged()) return true;
    // What was rolled in this session comes first: appends may have to wait for it.
    const bool room = indexes < kIndexesMax;
    return (room && (seal_next(false) || seal_missing())) || list_past() || merge_next();
}

std::uint64_t Writer::unsealed_max() const noexcept {
    return std::min(kUnsealedMax, meta_->file.segment_size_max);
}

/// Seals the oldest segment that can be sealed, once there are enough bytes of them. With `tail`
/// the newest one counts as well, and those that opening found without an index: their writer is
/// about to go. Two at once where somebody waits.
bool Writer::seal_next(bool tail) noexcept {
    const SegmentListPtr list = segments();
    const std::uint64_t durable = control().durable.load(std::memory_order_acquire);
    const std::size_t at_once = seals_at_once(tail || seal_behind_.load(std::memory_order_relaxed));
    std::uint64_t bytes = 0;
    std::vector<ToSeal> oldest;
    for (std::size_t n = 0; n < list->items.size(); ++n) {
        const SegmentPtr& segment = list->items[n];
        const bool newest = n + 1 == list->items.size();
        const std::uint64_t last = list->last_of(n, tail ? end_.position : ~0ULL);
        if (segment->sealed != nullptr || is_unsealable(*segment)) continue;
        if (segment->late != nullptr && !tail) continue;
        if ((newest && !tail) || last > durable || last < segment->first()) break;
        bytes += newest ? end_.offset : segment->log().size();
        if (oldest.size() < at_once) oldest.push_back({segment, last});
    }
    if (oldest.empty() || bytes < unsealed_max()) return false;
    return seal(oldest);
}

/// Seals the newest segments that opening found without an index, once there are enough bytes of
/// them, or if one of them had a sealed one.
bool Writer::seal_missing() noexcept {
    const SegmentListPtr list = segments();
    const std::vector<file::SealedRange> named = sealed_ranges();
    const std::uint64_t durable = control().durable.load(std::memory_order_acquire);
    std::uint64_t bytes = 0;
    bool lost = false;
    const std::size_t at_once = seals_at_once(true);
    std::vector<ToSeal> newest;
    for (std::size_t n = list->items.size(); n-- > 0;) {
        const Segment& segment = *list->items[n];
        if (segment.late == nullptr || segment.sealed != nullptr) continue;
        if (is_unsealable(segment) || list->last_of(n, ~0ULL) > durable) continue;
        bytes += segment.log().size();
        lost = lost || std::any_of(named.begin(), named.end(), [&](const file::SealedRange& range) {
                   return range.first <= segment.number() && segment.number() <= range.last;
               });
        if (newest.size() < at_once) newest.push_back({list->items[n], list->last_of(n, ~0ULL)});
    }
    if (newest.empty() || (!lost && bytes < unsealed_max())) return false;
    return seal(newest);
}

void Writer::begin_rebuild() noexcept {
    if (!env_.has_threads()) return;
    {
        const std::lock_guard lock(place_mutex_);
        start_threads();
    }
    signal_sealer();
}

bool Writer::is_unsealable(const Segment& segment) const noexcept {
    return std::find(unsealable_.begin(), unsealable_.end(), segment.number()) != unsealable_.end();
}

std::size_t Writer::seals_at_once(bool wanted) const noexcept {
    return wanted && env_.has_threads() && std::thread::hardware_concurrency() > 1 ? 2 : 1;
}

/// Seals one segment or two, the second one in a thread of its own with memory of its own. False if
/// one of them failed.
bool Writer::seal(std::span<const ToSeal> segments) noexcept {
    const auto go_on = [this] { return !stop_.load(std::memory_order_relaxed) || closing_; };
    if (base::seeded(base::SeededBug::index_named_before_sync)) {
        for (const ToSeal& one : segments) {
            const std::uint64_t number = one.segment->number();
            const file::SealedRange range{number, number};
            static_cast<void>(name_index(file::EntryKind::sealed, range, one.last, 0).has_value());
        }
    }
    std::optional<Result<SealedPart>> beside;
    std::thread thread;
    if (segments.size() > 1) {
        try {
            thread = std::thread([&] {
                if (!closing_) env_.begin_background_thread();
                KeptScratch scratch;
                beside =
                    build_sealed(*meta_, *segments[1].segment, segments[1].last, scratch, go_on);
            });
        } catch (const std::system_error&) {  // no thread: it comes next
        }
    }
    bool done = take_sealed(
        segments[0], build_sealed(*meta_, *segments[0].segment, segments[0].last, scratch_, go_on));
    if (thread.joinable()) thread.join();
    if (beside) done = take_sealed(segments[1], std::move(*beside)) && done;
    sealing_failed_.store(!done, std::memory_order_relaxed);
    if (!done) release_sealed_waiters();
    return done;
}

/// Takes what was made of a segment into use.
bool Writer::take_sealed(const ToSeal& one, Result<SealedPart> made) noexcept {
    const Segment& segment = *one.segment;
    const file::SealedRange range{segment.number(), segment.number()};
    if (!made && made.error().code == ErrorCode::corrupt) unsealable_.push_back(segment.number());
    const bool done = made && adopt(file::EntryKind::sealed, range, one.last, made->end.chain);
    if (done) {
        if (differs(segment, made->listed)) keep_for_doctor(segment);
        replaced_.push_back({meta_->active_index_path(range.first), env_.monotonic_us()});
        give_back_tail(segment, made->end.offset);
        release_sealed_waiters();
    }
    return done;
}

/// True if the shared index that was filled while appending does not list what the log says.
bool Writer::differs(const Segment& segment, const index::Listed& log) const noexcept {
    // Names that collide on purpose share a listing.
    const bool comparable = segment.act.data() != nullptr && meta_->file.hash_bits == 64;
    return comparable && !(segment.index.listed() == log);
}

/// A shared index that was wrong may have answered short: it stays under another name, so that
/// `doctor` and `verify` tell. Best effort.
void Writer::keep_for_doctor(const Segment& segment) noexcept {
    const std::string path = meta_->active_index_path(segment.number());
    static_cast<void>(env_.rename(path, path + kDiffering).has_value());
}

/// What a segment has behind its last commit is never used: its whole pages go back to the file
/// system. Best effort.
void Writer::give_back_tail(const Segment& segment, std::uint64_t end) noexcept {
    const std::uint64_t from = base::align_up(end, 4096);
    const std::uint64_t size = segment.log().size();
    if (from < size) static_cast<void>(segment.file().punch(from, size - from).has_value());
}

/// Somebody has met a damaged index: it is made again although nothing is appended.
void Writer::heal() noexcept {
    const AppendGuard guard(in_flight_);
    if (!env_.has_threads()) {
        static_cast<void>(index_work());
        return;
    }
    {
        const std::lock_guard lock(place_mutex_);
        if (usable()) start_threads();
    }
    signal_sealer();
}

/// Tells the manifest, and readers to look there.
Result<void> Writer::name_index(file::EntryKind kind, const file::SealedRange& range,
                                std::uint64_t last, std::uint32_t chain) noexcept {
    const std::lock_guard lock(manifest_mutex_);
    file::ManifestEntry entry;
    entry.kind = static_cast<std::uint32_t>(kind);
    entry.epoch = epoch_;
    entry.segment = range.first;
    entry.next_segment = range.last;
    entry.position = last;
    entry.chain = chain;
    entry.time_us = env_.now_us();
    VARVE_TRY(manifest_.add(entry, true));
    // Partner: the acquire load in ReaderSide; whoever sees it finds the entry in the file.
    control().generation.fetch_add(1, std::memory_order_release);
    return {};
}

/// Takes an index that was made into use.
bool Writer::adopt(file::EntryKind kind, const file::SealedRange& range, std::uint64_t last,
                   std::uint32_t chain) noexcept {
    auto sealed = open_sealed(*meta_, range);
    if (!sealed) return false;
    if (!name_index(kind, range, last, chain)) return false;
    const std::lock_guard change(list_change_);
    try {
        auto list = std::make_shared<SegmentList>(*segments());
        if (!cover(*list, *sealed, last)) return false;
        const std::lock_guard lock(list_mutex_);
        list_ = std::move(list);
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

/// An index that turned out to be damaged is made again, segment by segment.
bool Writer::seal_damaged() noexcept {
    const SegmentListPtr list = segments();
    for (std::size_t n = 0; n + 1 < list->items.size(); ++n) {
        const SegmentPtr& segment = list->items[n];
        if (segment->sealed == nullptr || !segment->sealed->index.damaged()) continue;
        if (is_unsealable(*segment)) continue;
        const ToSeal one{segment, list->last_of(n, ~0ULL)};
        return seal({&one, 1});
    }
    return false;
}

/// Merges the oldest sixteen neighbours that have been merged equally often.
bool Writer::merge_next() noexcept {
    const SegmentListPtr list = segments();
    std::vector<SealedPtr> run;
    std::uint64_t events = 0;
    std::size_t tier = 0;
    for (std::size_t n = 0; n < list->items.size() && run.size() < kMergeWidth;) {
        const IndexUnit unit = unit_of(*list, n);
        const SealedPtr& sealed = list->items[n]->sealed;
        n = unit.end;
        const std::size_t own = tier_of(unit.end - unit.begin);
        const std::uint64_t size = sealed == nullptr ? 0 : sealed->index.events();
        const bool usable = sealed != nullptr && !sealed->index.damaged();
        if (!usable || own != tier || events + size > kMergeEventsMax) {
            run.clear();
            events = 0;
        }
        if (!usable) continue;
        tier = own;
        events += size;
        run.push_back(sealed);
    }
    return run.size() == kMergeWidth && merge(run);
}

bool Writer::merge(const std::vector<SealedPtr>& inputs) noexcept {
    std::uint64_t begun = env_.monotonic_us();
    const auto go_on = [&] {
        // Appends and reads come first: the disk and the processor get rests.
        if (env_.has_threads() && env_.monotonic_us() - begun > kMergeBurstUs) {
            const std::uint32_t word = sealer_word_.load(std::memory_order_acquire);
            env_.wait_on(sealer_word_, word, kMergeRestUs);
            begun = env_.monotonic_us();
        }
        return !stop_.load(std::memory_order_relaxed);
    };
    auto range = merge_sealed(*meta_, inputs, go_on);
    if (!range) return false;
    const index::SealedIndex& newest = inputs.back()->index;
    if (!adopt(file::EntryKind::merged, *range, newest.last_position(), newest.end_chain()))
        return false;
    for (const SealedPtr& input : inputs)
        replaced_.push_back({meta_->sealed_index_path(input->range), env_.monotonic_us()});
    return true;
}

/// Removes files that have been replaced long enough ago, and at first those that an earlier writer
/// has left.
void Writer::remove_replaced() noexcept {
    if (!std::exchange(leftovers_seen_, true)) remove_leftovers();
    const std::uint64_t now = env_.monotonic_us();
    const bool at_once = base::seeded(base::SeededBug::merge_input_removed_at_once);
    std::erase_if(replaced_, [&](const Replaced& file) {
        if (!at_once && now - file.since_us < kKeepReplacedUs) return false;
        static_cast<void>(env_.remove(file.path).has_value());
        return true;
    });
}

void Writer::remove_leftovers() noexcept {
    auto names = env_.list(meta_->index_directory());
    if (!names) return;
    const std::vector<file::SealedRange> used = sealed_ranges();
    const SegmentListPtr list = segments();
    for (const std::string& name : *names) {
        const file::SealedRange range = sealed_index_range(name);
        const std::uint64_t active = active_index_number(name);
        const bool replaced_index =
            range.first != 0 && std::find(used.begin(), used.end(), range) == used.end();
        const bool replaced_active =
            std::any_of(list->items.begin(), list->items.end(), [&](const SegmentPtr& segment) {
                return segment->number() == active && segment->sealed != nullptr;
            });
        const bool half_listed = name.ends_with(".past.new");
        const bool half_made =
            name.ends_with(".idx.new") || half_listed || name.starts_with(kScratchName);
        // Whoever waits for a list of the past may be making it at this moment.
        std::unique_lock making(listing_mutex_, std::defer_lock);
        if (half_listed) making.lock();
        if (replaced_index || replaced_active || half_made)
            static_cast<void>(env_.remove(meta_->index_directory() + "/" + name).has_value());
    }
}

std::vector<file::SealedRange> Writer::sealed_ranges() noexcept {
    const std::lock_guard lock(manifest_mutex_);
    return manifest_.content().sealed();
}

/// The threads have ended: what is left is sealed, so that the next opening need not read it. False
/// if there was nothing to seal.
bool Writer::seal_at_close() noexcept {
    closing_ = true;
    bool any = false;
    while (sealed_ranges().size() < kIndexesMax && seal_next(true)) any = true;
    return any;
}

/// Where the end is sealed the next session begins a segment: a small one is left for it, made and
/// synced, so that its first append need not wait for that. Best effort: one that may not be
/// durable is taken away again.
void Writer::leave_next() noexcept {
    new_segment_ = true;
    next_number_ = std::max(next_number_, end_.segment + 1);
    const std::string path = meta_->segment_path(next_number_);
    if (prepared_ != nullptr && env_.remove(path)) prepared_.reset();
    if (prepared_ != nullptr) return;
    const std::uint64_t capacity = meta_->file.segment_size_first;
    if (!build_segment(next_number_, capacity, index::capacity_for(capacity)))
        static_cast<void>(env_.remove(path).has_value());
}

/// Bytes of whole segments that wait for their sealed index and have an active one until then.
std::uint64_t Writer::unsealed_bytes(const SegmentList& list, std::size_t& segments) noexcept {
    std::uint64_t bytes = 0;
    segments = 0;
    for (std::size_t n = 0; n + 1 < list.items.size(); ++n) {
        if (list.items[n]->sealed != nullptr || list.items[n]->late != nullptr) continue;
        bytes += list.items[n]->log().size();
        ++segments;
    }
    return bytes;
}

/// Appends wait while the sealer is far behind: active indexes take memory.
void Writer::wait_for_sealer() noexcept {
    while (seal_behind_.load(std::memory_order_acquire)) {
        const std::uint32_t word = sealed_word_.load(std::memory_order_acquire);
        const bool helpless = sealing_failed_.load(std::memory_order_relaxed) ||
                              stop_.load(std::memory_order_relaxed);
        if (helpless || !seal_behind_.load(std::memory_order_acquire)) return;
        env_.wait_on(sealed_word_, word, kSleepUs);
    }
}

void Writer::release_sealed_waiters() noexcept {
    std::size_t count = 0;
    const std::uint64_t bytes = unsealed_bytes(*segments(), count);
    if (is_behind(bytes, count)) return;
    seal_behind_.store(false, std::memory_order_release);
    sealed_word_.fetch_add(1, std::memory_order_release);
    if (env_.has_threads()) env_.wake_all(sealed_word_);
}

bool Writer::is_behind(std::uint64_t bytes, std::size_t segments) noexcept {
    constexpr std::uint64_t kBehindBytes = 64 << 20;
    constexpr std::size_t kBehindSegments = 2;
    return segments > kBehindSegments && bytes > kBehindBytes;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
