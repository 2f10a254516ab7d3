#include "store/watcher.hpp"

#include <algorithm>
#include <new>
#include <system_error>

#include "base/seeded_bug.hpp"
#include "store/engine.hpp"
#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;
constexpr std::uint64_t kAtOnce = 1024;  // events that are tested before others get the mutex

using Keys = std::optional<std::vector<index::Key>>;

/// Of one set of a selection.
Keys keys_of_set(const index::Selection& selection, std::uint32_t n) {
    const index::Selection::Set& set = selection.sets[n];
    if (index::is_name(set.op)) return std::vector<index::Key>{set.key};
    if (set.op == index::Op::nothing) return std::vector<index::Key>{};
    if (set.op != index::Op::any_of && set.op != index::Op::all_of) return std::nullopt;
    Keys all = set.op == index::Op::any_of ? Keys(std::in_place) : std::nullopt;
    for (std::uint32_t m = n + 1; m < set.end; m = selection.sets[m].end) {
        Keys own = keys_of_set(selection, m);
        if (set.op == index::Op::any_of) {
            if (!own) return std::nullopt;
            all->insert(all->end(), own->begin(), own->end());
        } else if (own && (!all || own->size() < all->size())) {
            all = std::move(own);
        }
    }
    return all;
}

}  // namespace

std::optional<std::vector<index::Key>> keys_wanted(const Wanted& wanted) {
    if (wanted.error) return std::nullopt;
    if (wanted.nothing) return std::vector<index::Key>{};
    if (!wanted.selects()) {
        if (wanted.everything()) return std::nullopt;
        return std::vector<index::Key>{wanted.key};
    }
    Keys keys = keys_of_set(wanted.selection, 0);
    if (!keys) return keys;
    std::sort(keys->begin(), keys->end());
    keys->erase(std::unique(keys->begin(), keys->end()), keys->end());
    return keys;
}

Watcher::Watcher(Engine& engine) noexcept : engine_(engine), env_(*engine.meta().env) {}

Watcher::~Watcher() {
    stop_.store(true, std::memory_order_release);
    asked_.fetch_add(1, std::memory_order_release);
    env_.wake_all(asked_);
    if (thread_.joinable()) thread_.join();
}

// ---- Those who wait

bool Watcher::wait(const Looked& looked, std::span<const index::Key> keys,
                   std::uint64_t timeout_us) noexcept {
    Waiter waiter;
    waiter.keys = keys;
    try {
        const std::lock_guard lock(mutex_);
        if (!admit(looked)) return false;
        add(waiter);
    } catch (const std::exception&) {  // no memory, or no thread
        const std::lock_guard lock(mutex_);
        remove(waiter);
        return false;
    }
    env_.wait_on(waiter.woken, 0, timeout_us);
    const std::lock_guard lock(mutex_);
    remove(waiter);
    return true;
}

/// True if what the thread will test begins where the caller has stopped looking.
bool Watcher::admit(const Looked& looked) {
    if (failed_) return false;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    if (idle_) {
        tested_ = looked.end;
        epoch_ = looked.epoch;
        definitions_ = looked.definitions;
        idle_ = false;
        asked_.fetch_add(1, std::memory_order_release);
        env_.wake_all(asked_);
    }
    return tested_ <= looked.end && epoch_ == looked.epoch && definitions_ == looked.definitions;
}

void Watcher::add(Waiter& waiter) {
    waiter.at = waiters_.size();
    waiters_.push_back(&waiter);
    waiter.registered = true;
    for (const index::Key key : waiter.keys) by_key_[key].push_back(&waiter);
}

void Watcher::remove(Waiter& waiter) noexcept {
    if (!waiter.registered) return;
    waiter.registered = false;
    waiters_[waiter.at] = waiters_.back();
    waiters_[waiter.at]->at = waiter.at;
    waiters_.pop_back();
    for (const index::Key key : waiter.keys) {
        const auto found = by_key_.find(key);
        if (found == by_key_.end()) continue;
        std::erase(found->second, &waiter);
        if (found->second.empty()) by_key_.erase(found);
    }
}

/// Afterwards the waiter may be gone: of its word only the address is used, which wakes nobody
/// then, or somebody who looks again.
void Watcher::wake(Waiter& waiter, Words& words) noexcept {
    words.push_back(&waiter.woken);
    remove(waiter);
    waiter.woken.store(1, std::memory_order_release);
}

void Watcher::wake_all(Words& words) noexcept {
    while (!waiters_.empty()) wake(*waiters_.back(), words);
}

void Watcher::wake_everybody() noexcept {
    // Whoever comes at this moment is told by the thread, which looks again.
    asked_.fetch_add(1, std::memory_order_release);
    env_.wake_all(asked_);
    try {
        Words words;
        {
            const std::lock_guard lock(mutex_);
            words.reserve(waiters_.size());
            wake_all(words);
        }
        for (const auto* word : words) env_.wake_all(*word);
    } catch (const std::bad_alloc&) {
        // Without a list of those to be woken: under the mutex nobody's word goes away.
        const std::lock_guard lock(mutex_);
        for (Waiter* const waiter : waiters_) {
            waiter->woken.store(1, std::memory_order_release);
            env_.wake_all(waiter->woken);
        }
    }
}

// ---- The thread

void Watcher::run() noexcept {
    env_.begin_background_thread();
    while (!stop_.load(std::memory_order_acquire)) {
        if (sleep_while_idle()) continue;
        if (look()) continue;
        {
            const std::lock_guard lock(mutex_);
            failed_ = true;
        }
        wake_everybody();
    }
}

/// True if nobody waits.
bool Watcher::sleep_while_idle() noexcept {
    // Read before looking, so that whoever comes then ends the sleep.
    const std::uint32_t asked = asked_.load(std::memory_order_acquire);
    {
        const std::lock_guard lock(mutex_);
        if (!waiters_.empty()) return false;
        idle_ = true;
    }
    if (!stop_.load(std::memory_order_acquire)) env_.wait_on(asked_, asked, 60 * kSecondUs);
    return true;
}

/// At what has come, then waits for more. False if all must look for themselves.
bool Watcher::look() noexcept {
    const std::uint32_t asked = asked_.load(std::memory_order_acquire);
    const std::uint32_t word = engine_.change_word();
    auto view = engine_.view();
    if (!view) return false;
    try {
        test_all(*view);
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (stop_.load(std::memory_order_acquire)) return true;
    const os::Watched others[] = {{&asked_, asked}};
    return engine_.wait_for_change(word, kSecondUs, others).has_value();
}

void Watcher::test_all(const View& view) {
    for (bool more = true; more;) {
        Words words;
        {
            const std::lock_guard lock(mutex_);
            words.reserve(waiters_.size());  // nobody is forgotten for want of memory
            more = test_some(view, words);
        }
        for (const auto* word : words) env_.wake_all(*word);
    }
}

/// Tests a piece of what is new in the view; false at its end. `words` has room.
bool Watcher::test_some(const View& view, Words& words) noexcept {
    if (view.epoch != epoch_ || view.definitions != definitions_) {
        wake_all(words);
        epoch_ = view.epoch;
        definitions_ = view.definitions;
        tested_ = view.published;
    }
    if (waiters_.empty()) tested_ = view.published;
    const std::uint64_t until = std::min(view.published, tested_ + kAtOnce);
    while (tested_ < until) {
        if (!test_event(view, tested_ + 1, words)) wake_all(words);
        ++tested_;
    }
    return tested_ < view.published;
}

/// False if it cannot be read.
bool Watcher::test_event(const View& view, std::uint64_t position, Words& words) noexcept {
    const SegmentListPtr& list = view.segments;
    const Segment& segment = *list->items[list->index_of(position)];
    log::RecordView record;
    std::optional<Error> error;
    if (!read_record(engine_.meta(), segment, position - segment.first(), log::Check::head, record,
                     error))
        return false;
    if (base::seeded(base::SeededBug::shared_wait_wake_lost) && position % 8 == 0) return true;
    index::EventKeys keys;
    index::keys_of(record, engine_.meta().hasher, keys);
    for (std::uint32_t n = 0; n < keys.count; ++n) {
        for (auto found = by_key_.find(keys.keys[n]); found != by_key_.end();
             found = by_key_.find(keys.keys[n]))
            wake(*found->second.back(), words);
    }
    return true;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
