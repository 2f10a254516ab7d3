#include "store/following.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

// Where each event has to be looked at, so many are looked at before the clock is: a wait ends in
// time, and the position moves, although nothing matches for long.
constexpr std::uint64_t kLook = 1 << 18;

ReadOptions read_options(const FollowOptions& options) noexcept {
    ReadOptions read;
    read.durable_only = options.durable_only;
    read.verify = options.verify;
    read.since_us = options.since_us;
    read.until_us = options.until_us;
    read.clock = options.clock;
    read.with_recorded = options.with_recorded;
    read.matcher = options.matcher;
    return read;
}

}  // namespace

Following::Following(std::shared_ptr<Engine> engine, const Selector& selector,
                     const FollowOptions& options) noexcept
    : engine_(std::move(engine)),
      selector_(selector),
      options_(read_options(options)),
      after_(options.after.value) {}

Result<bool> Following::look() noexcept {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    const std::uint64_t published = view->published;
    const std::uint64_t end = end_of(*view, options_);
    if (published < after_ && reading_until_ > published) {
        return base::failure(ErrorCode::durability_lost,
                             "events that were delivered were lost in a failed sync",
                             engine_->meta().path);
    }
    end_ = end;
    if (end <= after_) {
        caught_up_ = true;
        looked_ = {published, view->epoch, view->definitions};
        if (keys_of_ != view->definitions) note_keys(*view);
        return false;
    }
    const bool slow = options_.matcher || options_.since_us || options_.until_us;
    reading_until_ = slow ? after_ + std::min(end - after_, kLook) : end;
    options_.after = Position{after_};
    options_.until = Position{reading_until_};
    try {
        pinned_ = std::make_shared<Pinned>(engine_->shared_meta(), std::move(*view));
        reading_ = std::make_unique<Reading>(pinned_, selector_, options_);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to follow");
    }
    return true;
}

void Following::note_keys(const View& view) noexcept {
    try {
        keys_.reset();
        keys_of_ = view.definitions;
        const Pinned pinned(engine_->shared_meta(), view);
        keys_ = keys_wanted(wanted_of(pinned, selector_));
    } catch (const std::bad_alloc&) {
        keys_.reset();  // then every event wakes
    }
}

/// Until something may have to be looked at.
Result<void> Following::sleep(std::uint32_t word, std::uint64_t timeout_us, Until until) noexcept {
    // What becomes durable was published before: it wakes by any change.
    const bool by_keys = until == Until::events && !options_.durable_only && keys_;
    return by_keys ? engine_->wait_for_events(word, timeout_us, looked_, *keys_)
                   : engine_->wait_for_change(word, timeout_us);
}

Result<std::span<const EventView>> Following::next(std::uint32_t timeout_ms, Until until) noexcept {
    os::Env& env = *engine_->meta().env;
    const std::uint64_t before = after_;
    const std::uint64_t deadline_us = env.monotonic_us() + std::uint64_t{timeout_ms} * 1000;
    while (true) {
        VARVE_TRY(engine_->open_here());
        // Read before looking: whatever is published after the look has bumped the word, so the
        // wait does not sleep.
        const std::uint32_t word = engine_->change_word();
        if (reading_ == nullptr) {
            auto found = look();
            if (!found) return std::move(found).error();
        }
        if (reading_ != nullptr) {
            auto run = reading_->next();
            if (!run) {
                reading_.reset();  // the next call tries again from where this one came to
                return run;
            }
            if (!run->empty()) {
                after_ = run->back().position.value;
                caught_up_ = after_ >= end_;
                return run;
            }
            after_ = std::max(after_, reading_until_);
            caught_up_ = after_ >= end_;
            reading_.reset();
            if (caught_up_ || env.monotonic_us() < deadline_us) continue;
            return std::span<const EventView>{};
        }
        const std::uint64_t now_us = env.monotonic_us();
        const bool moved = until == Until::moved && after_ != before;
        if (now_us >= deadline_us || moved) return std::span<const EventView>{};
        VARVE_TRY(sleep(word, deadline_us - now_us, until));
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
