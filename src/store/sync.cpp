// Making appends durable: one leader syncs for everybody who waits, while others go on placing.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/recover.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

namespace {
constexpr std::uint64_t kPage = 4096;
}

void Writer::note(const std::byte* at, std::uint64_t length) noexcept {
    if (observer_ != nullptr) observer_->note(at, length);
}

std::uint32_t Writer::await(const Request& request) noexcept {
    constexpr std::uint64_t kLongUs = 1'000'000;
    while (true) {
        // Partner: the store in `finish` or `lead_syncs`; whoever sees it sees the outcome.
        const std::uint32_t state = request.state.load(std::memory_order_acquire);
        if (state != Request::waiting) return state;
        env_.wait_on(request.state, Request::waiting, kLongUs);
    }
}

/// Wakes the owner of a request. Its memory may be gone right after the store: only its address is
/// used then.
void Writer::finish(Request& request) noexcept {
    const std::uint32_t before = request.state.exchange(Request::done, std::memory_order_acq_rel);
    if (before == Request::waiting) env_.wake_all(request.state);
}

/// What follows placing: those who asked for nothing more are done, the rest waits for a sync, and
/// somebody leads it.
void Writer::settle(Request* run, Request& own) noexcept {
    const auto waits = [&](const Request& one) {
        return !one.error && one.level == Durability::disk &&
               !base::seeded(SeededBug::acknowledge_before_sync);
    };
    if (run == &own && own.next == nullptr && !waits(own)) return;
    Request* ready = nullptr;
    bool own_waits = false;
    Request* leader = nullptr;
    {
        const std::lock_guard lock(sync_mutex_);
        const std::uint64_t durable = control().durable.load(std::memory_order_relaxed);
        for (Request *at = run, *next = nullptr; at != nullptr; at = next) {
            next = at->next;
            if (waits(*at) && durable < at->position) {
                sync_waiters_.add(*at);
                own_waits = own_waits || at == &own;
            } else if (at != &own) {
                at->next = ready;
                ready = at;
            }
        }
        if (!syncing_) leader = own_waits ? &own : sync_waiters_.first();
        syncing_ = syncing_ || leader != nullptr;
    }
    if (leader != nullptr && leader != &own) ask_to_lead(*leader);
    for (Request *at = ready, *next = nullptr; at != nullptr; at = next) {
        next = at->next;
        finish(*at);
    }
    if (!own_waits) return;
    if (leader == &own) own.state.store(Request::lead, std::memory_order_relaxed);
    if (leader == &own || await(own) == Request::lead) lead_syncs(nullptr);
}

void Writer::ask_to_lead(Request& request) noexcept {
    request.state.store(Request::lead, std::memory_order_release);
    env_.wake_all(request.state);
}

/// Leads one sync, releases whom it covers, and hands the lead on while others wait. `syncing_` is
/// set and ours.
void Writer::lead_syncs(const log::LogPoint* until) noexcept {
    const auto synced = lead_sync(until);
    Request* covered = nullptr;
    Request* next_leader = nullptr;
    {
        const std::lock_guard lock(sync_mutex_);
        const std::uint64_t durable = control().durable.load(std::memory_order_relaxed);
        covered = sync_waiters_.take_until(synced ? durable : ~0ULL);
        next_leader = sync_waiters_.first();
        syncing_ = next_leader != nullptr;
    }
    if (next_leader != nullptr) ask_to_lead(*next_leader);
    for (Request *at = covered, *next = nullptr; at != nullptr; at = next) {
        next = at->next;
        if (!synced) at->error = synced.error();
        finish(*at);
    }
}

Result<void> Writer::wait_durable(std::uint64_t position) noexcept {
    Request request;
    request.level = Durability::disk;
    request.position = position;
    settle(&request, request);
    if (request.error) return std::move(*request.error);
    return {};
}

/// Under the leader's flag. Syncs up to `until`, or to everything placed now. An error here is
/// final.
Result<void> Writer::lead_sync(const log::LogPoint* until) noexcept {
    const auto lost = [&](const std::string& why) {
        return failure(
            ErrorCode::durability_lost,
            "stored and visible, but the sync failed: it may not survive a power cut" + why,
            meta_->path);
    };
    if (sync_failed_.load(std::memory_order_acquire)) return lost("");
    log::LogPoint target;
    if (until != nullptr) {
        target = *until;
    } else {
        const std::lock_guard lock(place_mutex_);
        target = end_;
    }
    // By place, not by position: a segment that was begun and holds no commit yet has a header to
    // be synced.
    // Somebody else may have led past it since it was chosen: `durable` never falls.
    const bool ahead = target.segment > durable_.segment ||
                       (target.segment == durable_.segment && target.offset > durable_.offset);
    if (!ahead) return {};
    if (first_sync_) dirty_again(durable_, session_begin_);
    auto done = sync_log(durable_, target);
    if (!done && base::seeded(SeededBug::sync_retried)) done = sync_log(durable_, target);
    if (!done) {
        fail();
        return lost(" (" + done.error().message + ")");
    }
    first_sync_ = false;
    const bool sealed = target.segment != durable_.segment && durable_.segment != 0;
    durable_ = target;
    // Partner: the acquire loads of `durable` by readers and waiting appends.
    control().durable.store(target.position, std::memory_order_release);
    bump_wake();
    flush_wakes();
    if (!sealed) return {};
    const std::lock_guard lock(manifest_mutex_);
    file::ManifestEntry entry =
        manifest_entry(file::EntryKind::synced, target, epoch_, env_.now_us());
    // Only shortens a later recovery, so a failure here costs nothing but time.
    static_cast<void>(manifest_.add(entry, false).has_value());
    return {};
}

/// Syncs the bytes of the log between two points, segment by segment.
Result<void> Writer::sync_log(const log::LogPoint& from, const log::LogPoint& to) noexcept {
    const SegmentListPtr list = segments();
    for (const SegmentPtr& segment : list->items) {
        if (segment->number() < from.segment || segment->number() > to.segment) continue;
        // A segment that the log has just entered is synced from its header on.
        const bool entered =
            segment->number() != from.segment || from.offset <= log::kSegmentHeaderSize;
        const std::uint64_t begin = entered ? 0 : from.offset;
        const std::uint64_t end =
            segment->number() == to.segment ? to.offset : segment->log().size();
        if (begin < end) VARVE_TRY(segment->file().sync_range(segment->log(), begin, end - begin));
    }
    return {};
}

/// Stores the bytes between two points once more: pages that a failed write-back has left clean are
/// written again.
void Writer::dirty_again(const log::LogPoint& from, const log::LogPoint& to) noexcept {
    if (base::seeded(SeededBug::pages_not_dirtied_again)) return;
    const SegmentListPtr list = segments();
    for (const SegmentPtr& segment : list->items) {
        if (segment->number() < from.segment || segment->number() > to.segment) continue;
        const std::uint64_t begin =
            segment->number() == from.segment && from.offset > log::kSegmentHeaderSize
                ? base::align_down(from.offset, kPage)
                : 0;
        const std::uint64_t end =
            segment->number() == to.segment ? to.offset : segment->log().size();
        for (std::uint64_t at = begin; at < end; at += kPage) {
            auto* byte = reinterpret_cast<unsigned char*>(segment->log().data() + at);
            // In one step, because the byte may be erased at the same time: what was there must not
            // come back. If another value is there by now, the page is dirty anyway.
            unsigned char same = __atomic_load_n(byte, __ATOMIC_RELAXED);
            __atomic_compare_exchange_n(byte, &same, same, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
        }
        if (begin < end) note(segment->log().data() + begin, end - begin);
    }
}

void Writer::fail() noexcept {
    sync_failed_.store(true, std::memory_order_release);
    state_.store(State::failed, std::memory_order_release);
    control().state.store(static_cast<std::uint32_t>(file::WriterState::failed),
                          std::memory_order_release);
    bump_wake();
    flush_wakes();
}

Result<Position> Writer::sync() noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    const std::uint64_t published = control().published.load(std::memory_order_acquire);
    VARVE_TRY(wait_durable(published));
    return Position{control().durable.load(std::memory_order_acquire)};
}

Result<void> Writer::close() noexcept {
    State before = State::open;
    if (!state_.compare_exchange_strong(before, State::closing)) {
        if (before == State::failed) {
            // Nothing can be promised any more; the file says so to whoever opens it next.
            state_.store(State::closed, std::memory_order_release);
        }
        if (before != State::failed)
            return failure(ErrorCode::closed, "the store is closed already", meta_->path);
    }
    // Appends that are inside finish; later ones see the state.
    for (std::uint32_t inside = in_flight_.load(); inside != 0; inside = in_flight_.load())
        in_flight_.wait(inside);
    stop_threads();
    Result<void> done;
    if (before == State::open) done = write_closed();
    if (before == State::open && done) {
        control().state.store(static_cast<std::uint32_t>(file::WriterState::closed),
                              std::memory_order_release);
    }
    bump_wake();
    flush_wakes();
    state_.store(State::closed, std::memory_order_release);
    lock_.reset();
    return done;
}

/// Syncs what is not yet durable and leaves the entry that makes the next opening a short one.
Result<void> Writer::write_closed() noexcept {
    if (end_.position == 0) return {};
    const file::ManifestEntry* last =
        manifest_.content().entries.empty() ? nullptr : &manifest_.content().entries.back();
    const bool closed_here = last != nullptr &&
                             last->kind == static_cast<std::uint32_t>(file::EntryKind::closed) &&
                             last->segment == end_.segment && last->offset == end_.offset;
    if (!closed_here) VARVE_TRY(lead_sync(nullptr));  // nobody else is inside
    if (!seal_at_close() && closed_here) return {};
    if (segments()->items.back()->sealed != nullptr) leave_next();
    file::ManifestEntry entry =
        manifest_entry(file::EntryKind::closed, end_, epoch_, env_.now_us());
    entry.next_segment =
        new_segment_ ? next_number_ : 0;  // closed behind a cut: still not to be continued in place
    const std::lock_guard lock(manifest_mutex_);
    return manifest_.add(entry, true);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
