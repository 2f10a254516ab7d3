// The background threads. The helper wakes readers and makes pages present ahead of the writer; the
// keeper prepares the next segment and makes rolled ones durable; the sealer is in `sealer.cpp`.
//
// Nothing here is needed for correctness; without threads the same steps run inside `append`.
#include <algorithm>

#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::uint64_t kNapUs =
    25;  // between two rounds while appends come: wakes are at most so frequent
constexpr std::uint32_t kRoundsBeforeSleep = 40;
constexpr std::uint64_t kSleepUs = 1'000'000;  // then a heartbeat
constexpr std::uint64_t kWindowMax = 4 << 20;  // bytes of pages present ahead of the writer
constexpr std::uint64_t kPage = 4096;

/// What the seeded bug takes the heads of streams from: the writer before in this process.
index::HeadCache& heads_left_behind() noexcept {
    static index::HeadCache left;
    return left;
}

}  // namespace

Writer::Writer(std::shared_ptr<const Meta> meta, WriterStart start) noexcept
    : meta_(std::move(meta)),
      env_(*meta_->env),
      observer_(env_.observer()),
      lock_(std::move(start.lock)),
      control_map_(std::move(start.control)),
      epoch_(start.epoch),
      epochs_(std::move(start.epochs)),
      end_(start.end),
      active_(start.segments->items.empty() ? nullptr : start.segments->items.back()),
      new_segment_(start.new_segment),
      recorded_us_(start.recorded_us),
      next_number_(start.next_number),
      list_(std::move(start.segments)),
      manifest_(std::move(start.manifest)),
      durable_(start.durable),
      session_begin_(start.end),
      late_indexes_(start.rebuild) {
    placed_offset_.store(end_.offset, std::memory_order_relaxed);
    last_woken_.store(control().wake.load(std::memory_order_relaxed), std::memory_order_relaxed);
    if (base::seeded(base::SeededBug::stale_heads_after_handoff))
        heads_ = std::move(heads_left_behind());
}

Writer::~Writer() {
    if (state_.load(std::memory_order_acquire) != State::closed) static_cast<void>(close());
    if (base::seeded(base::SeededBug::stale_heads_after_handoff))
        heads_left_behind() = std::move(heads_);
}

/// Begins the background threads, where there are threads. Called under the place lock by the first
/// append of a session, so that a store that is only opened and closed stays cheap. Without them
/// everything still works, only slower.
void Writer::start_threads() noexcept {
    if (!env_.has_threads() || helper_.joinable()) return;
    try {
        helper_ = std::thread([this] { help(); });
        sealer_ = std::thread([this] { seal_all(); });
    } catch (const std::exception&) {
        return;
    }
    start_keeper();
}

/// Under the place lock. It may have begun before the session, to go on erasing.
void Writer::start_keeper() noexcept {
    if (keeper_.joinable()) return;
    try {
        keeper_ = std::thread([this] { keep(); });
    } catch (const std::exception&) {
        return;
    }
}

void Writer::stop_threads() noexcept {
    stop_.store(true, std::memory_order_seq_cst);
    helper_word_.fetch_add(1, std::memory_order_release);
    env_.wake_all(helper_word_);
    signal_keeper();
    signal_sealer();
    if (helper_.joinable()) helper_.join();
    if (keeper_.joinable()) keeper_.join();
    if (sealer_.joinable()) sealer_.join();
}

SegmentListPtr Writer::segments() const noexcept {
    const std::lock_guard lock(list_mutex_);
    return list_;
}

void Writer::signal_helper() noexcept {
    // Pairs with the store in `help`: either it sees the new wake word, or we see that it sleeps.
    if (!helper_asleep_.load(std::memory_order_seq_cst)) return;
    helper_asleep_.store(false, std::memory_order_relaxed);
    helper_word_.fetch_add(1, std::memory_order_release);
    env_.wake_all(helper_word_);
}

void Writer::signal_keeper() noexcept {
    keeper_word_.fetch_add(1, std::memory_order_release);
    if (env_.has_threads()) env_.wake_all(keeper_word_);
}

/// The slow work: it may wait for the disk, and nobody waits for it.
void Writer::keep() noexcept {
    env_.begin_background_thread();
    while (!stop_.load(std::memory_order_acquire)) {
        const std::uint32_t word = keeper_word_.load(std::memory_order_acquire);
        prepare_next();
        sync_rolled();
        sync_by_interval();
        erase_in_background();
        if (stop_.load(std::memory_order_seq_cst)) break;
        env_.wait_on(keeper_word_, word, std::min(until_interval_us() + 1, kSleepUs));
    }
}

void Writer::help() noexcept {
    env_.begin_background_thread();
    std::uint32_t quiet = 0;
    while (!stop_.load(std::memory_order_acquire)) {
        const bool busy = help_once();
        quiet = busy ? 0 : quiet + 1;
        const std::uint32_t word = helper_word_.load(std::memory_order_acquire);
        if (quiet < kRoundsBeforeSleep) {
            env_.wait_on(helper_word_, word, kNapUs);
            continue;
        }
        helper_asleep_.store(true, std::memory_order_seq_cst);
        const bool missed = control().wake.load(std::memory_order_seq_cst) != last_woken_.load() ||
                            stop_.load(std::memory_order_seq_cst);
        if (!missed) {
            env_.wait_on(helper_word_, word, kSleepUs);
            control().heartbeat_us.store(env_.monotonic_us(), std::memory_order_relaxed);
        }
        helper_asleep_.store(false, std::memory_order_relaxed);
        quiet = 0;
    }
}

/// One round. True if something was going on.
bool Writer::help_once() noexcept {
    const bool appended = control().wake.load(std::memory_order_relaxed) !=
                          last_woken_.load(std::memory_order_relaxed);
    if (appended) flush_wakes();
    populate_ahead();
    return appended;
}

void Writer::populate_ahead() noexcept {
    const SegmentListPtr list = segments();
    if (list->items.empty()) return;
    Segment& active = *list->items.back();
    if (active.sealed != nullptr) return;  // nothing is added to it
    if (active.number() != populated_segment_) {
        populated_segment_ = active.number();
        populated_until_.store(log::kSegmentHeaderSize, std::memory_order_relaxed);
        populated_offsets_ = active.index.capacity().offsets_at();
        populated_cells_ = active.index.capacity().cells_at();
    }
    const std::uint64_t placed = placed_offset_.load(std::memory_order_relaxed);
    const std::uint64_t until = populated_until_.load(std::memory_order_relaxed);
    if (until >= active.log().size() || placed + window_ / 2 < until) return;
    const std::uint64_t from = std::max(until, base::align_down(placed, kPage));
    const std::uint64_t to =
        std::min<std::uint64_t>(active.log().size(), base::align_up(placed + window_, kPage));
    if (from < to) env_.populate(active.log(), from, to - from);
    populated_until_.store(to, std::memory_order_relaxed);
    window_ = std::min(window_ * 2, kWindowMax);
    // The index grows with the log: about a third of its bytes in cells and offsets.
    const auto ahead = [&](std::uint64_t& present, std::uint64_t used, std::uint64_t end) {
        const std::uint64_t goal = std::min(end, base::align_up(used + window_ / 4, kPage));
        const std::uint64_t begin = std::max(present, base::align_down(used, kPage));
        if (begin < goal) env_.populate(active.act, begin, goal - begin);
        present = std::max(present, goal);
    };
    ahead(populated_offsets_, active.index.offsets_end(), active.index.capacity().cells_at());
    ahead(populated_cells_, active.index.cells_end(), active.act.size());
}

/// Makes the next segment ready: at once where segments are large, because then the log grows fast
/// and the disk will soon be busy with sealing; else when the active one is half full, so that a
/// small store stays small.
void Writer::prepare_next() noexcept {
    constexpr std::uint64_t kAtOnce = 16 << 20;
    SegmentPtr active;
    index::KeyDensity density;
    std::uint64_t number = 0;
    std::uint64_t capacity = 0;
    {
        const std::lock_guard lock(place_mutex_);
        if (active_ == nullptr || new_segment_ || !session_begun_) return;
        if (active_->log().size() < kAtOnce && end_.offset < active_->log().size() / 2) return;
        number = next_number_;
        capacity = std::clamp(active_->header.capacity * kSegmentGrowth,
                              meta_->file.segment_size_first, meta_->file.segment_size_max);
        active = active_;
        density = density_;
        if (end_.offset >= active_->log().size() / 2)
            density = {active_->index.keys(), end_.offset};
    }
    SegmentPtr made;
    {
        const std::lock_guard lock(prepare_mutex_);
        if (prepared_ != nullptr || number != active->number() + 1) return;
        if (segments()->items.back() != active) return;
        auto built = build_segment(number, capacity, index::capacity_for(capacity, 0, 0, density));
        if (!built) return;  // the roll tries again and reports
        prepared_ = *built;
        made = std::move(*built);
    }
    if (!env_.has_threads()) return;
    // Outside the lock: a roll need not wait for it.
    env_.populate(made->log(), 0, 64 << 10);
    env_.populate(made->act, 0, made->index.capacity().offsets_at());
}

void Writer::sync_rolled() noexcept {
    log::LogPoint until;
    {
        const std::unique_lock lock(place_mutex_, std::try_to_lock);
        if (!lock.owns_lock() || rolled_.empty()) return;
        until = rolled_.back();
    }
    const std::uint64_t durable = control().durable.load(std::memory_order_relaxed);
    if (durable < until.position) {
        {
            // Whoever leads a sync now covers this too, or we look again.
            const std::lock_guard lock(sync_mutex_);
            if (syncing_) return;
            syncing_ = true;
        }
        const SegmentListPtr list = segments();
        for (std::size_t n = 0; n < list->items.size(); ++n) {
            Segment& segment = *list->items[n];
            if (segment.number() <= until.segment && list->last_of(n, until.position) > durable)
                env_.let_go(segment.log(), 0, segment.log().size());
        }
        lead_syncs(&until);
    }
    {
        const std::lock_guard lock(place_mutex_);
        std::erase_if(rolled_,
                      [&](const log::LogPoint& end) { return end.position <= until.position; });
    }
    signal_sealer();
}

/// Microseconds until a sync is due by the interval; 0: now.
std::uint64_t Writer::until_interval_us() noexcept {
    if (sync_failed_.load(std::memory_order_relaxed)) return kSleepUs;
    if (interval_until_.load(std::memory_order_acquire) <=
        control().durable.load(std::memory_order_relaxed))
        return kSleepUs;
    const std::uint64_t due =
        interval_begun_us_.load(std::memory_order_relaxed) + meta_->options.interval_ms * 1000ULL;
    const std::uint64_t now = env_.monotonic_us();
    return now >= due ? 0 : due - now;
}

void Writer::sync_by_interval() noexcept {
    if (until_interval_us() > 0) return;
    static_cast<void>(wait_durable(interval_until_.load(std::memory_order_acquire)));
}

}  // namespace store
}  // namespace v0
}  // namespace varve
