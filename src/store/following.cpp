#include "store/following.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

Following::Following(std::shared_ptr<Engine> engine, Source source, const FollowOptions& options)
    : engine_(std::move(engine)),
      kind_(source.kind),
      name_(source.name),
      options_(options),
      after_(options.after.value) {}

Result<bool> Following::look() noexcept {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    const std::uint64_t end = options_.durable_only ? view->durable : view->published;
    if (view->published < after_ && reading_until_ > view->published) {
        return base::failure(ErrorCode::durability_lost,
                             "events that were delivered were lost in a failed sync",
                             engine_->meta().path);
    }
    if (end <= after_) {
        caught_up_ = true;
        return false;
    }
    ReadOptions options;
    options.after = Position{after_};
    options.until = Position{end};
    options.verify = options_.verify;
    options.since_us = options_.since_us;
    options.until_us = options_.until_us;
    options.clock = options_.clock;
    options.with_recorded = options_.with_recorded;
    try {
        auto pinned = std::make_shared<Pinned>(engine_->shared_meta(), std::move(*view));
        reading_ = std::make_unique<Reading>(std::move(pinned), Source{kind_, name_}, options);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to follow");
    }
    reading_until_ = end;
    return true;
}

Result<std::span<const EventView>> Following::next(std::uint32_t timeout_ms) noexcept {
    os::Env& env = *engine_->meta().env;
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
                caught_up_ = after_ >= reading_until_;
                return run;
            }
            after_ = std::max(after_, reading_until_);
            caught_up_ = true;
            reading_.reset();
            continue;
        }
        const std::uint64_t now_us = env.monotonic_us();
        if (now_us >= deadline_us) return std::span<const EventView>{};
        VARVE_TRY(engine_->wait_for_change(word, deadline_us - now_us));
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
