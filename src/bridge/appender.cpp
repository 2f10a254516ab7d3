// The thread that appends, and the queue before it.
#include "bridge/appender.hpp"

#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve::bridge {

namespace {

constexpr std::size_t kWaiting = 4;

}  // namespace

Appender::Appender(Store& target) : target_(target), thread_([this] { run(); }) {}

Appender::~Appender() {
    {
        const std::lock_guard lock(mutex_);
        dropping_ = true;
    }
    end();
}

void Appender::end() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

Result<std::unique_ptr<Load>> Appender::give(std::unique_ptr<Load> load) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() < kWaiting || error_; });
    if (error_) return Error(*error_);
    waiting_.push_back(std::move(load));
    changed_.notify_all();
    if (empty_.empty()) return std::make_unique<Load>();
    auto again = std::move(empty_.back());
    empty_.pop_back();
    return again;
}

Result<void> Appender::drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return (waiting_.empty() && !busy_) || error_; });
    if (error_) return Error(*error_);
    return {};
}

Result<Appender::Done> Appender::finish() {
    end();
    if (error_) return Error(*error_);
    return done_;
}

void Appender::run() noexcept {
    while (true) {
        std::unique_ptr<Load> load;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return !waiting_.empty() || ending_; });
            if (waiting_.empty() || dropping_ || error_) return;
            load = std::move(waiting_.front());
            waiting_.pop_front();
            busy_ = true;
            changed_.notify_all();
        }
        auto appended = append_or_fail(*load);
        load->count = 0;
        load->texts.clear();
        const std::lock_guard lock(mutex_);
        busy_ = false;
        if (!appended) error_ = std::move(appended).error();
        empty_.push_back(std::move(load));
        changed_.notify_all();
        if (error_) return;
    }
}

Result<void> Appender::append_or_fail(const Load& load) noexcept {
    try {
        return append(load);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "there is no memory for an append");
    }
}

Result<void> Appender::append(const Load& load) {
    const std::span<const NewEvent> events(load.events.data(), load.count);
    auto done = target_.append(events);
    if (done) {
        (done->duplicate ? done_.present : done_.imported) += events.size();
        return {};
    }
    if (done.error().code != ErrorCode::id_conflict) return std::move(done).error();
    return append_unknown(events);
}

/// Some of the events are there: the last append of an earlier run ended where the source did.
Result<void> Appender::append_unknown(std::span<const NewEvent> events) {
    auto snapshot = target_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    std::vector<NewEvent> unknown;
    for (const NewEvent& event : events) {
        const auto there = snapshot->find(*event.id, Verify::trusted);
        if (!there && there.error().code != ErrorCode::not_found) return Error(there.error());
        if (!there) unknown.push_back(event);
    }
    done_.present += events.size() - unknown.size();
    if (unknown.empty()) return {};
    auto done = target_.append(unknown);
    if (!done) return std::move(done).error();
    done_.imported += unknown.size();
    return {};
}

}  // namespace varve::bridge
