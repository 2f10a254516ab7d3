#include "os/fork.hpp"

#include <pthread.h>

#include <mutex>

namespace varve {
inline namespace v0 {
namespace os {

namespace {
std::atomic<std::uint32_t> generation{1};
}  // namespace

/// All guards of this process, in a list that needs no allocation.
struct ForkRegistry {
    std::mutex mutex;
    ForkGuard* first = nullptr;

    static ForkRegistry& get() noexcept {
        static ForkRegistry registry;
        return registry;
    }
    static void install() noexcept {
        static const int installed = pthread_atfork(&before, &in_parent, &in_child);
        static_cast<void>(installed);
    }
    static void before() { get().mutex.lock(); }
    static void in_parent() { get().mutex.unlock(); }
    static void in_child() {
        generation.fetch_add(1, std::memory_order_relaxed);
        for (ForkGuard* guard = get().first; guard != nullptr; guard = guard->next_)
            guard->file_.reset();
        get().mutex.unlock();
    }
    void add(ForkGuard& guard) noexcept {
        const std::lock_guard lock(mutex);
        guard.next_ = first;
        if (first != nullptr) first->previous_ = &guard;
        first = &guard;
    }
    void remove(ForkGuard& guard) noexcept {
        const std::lock_guard lock(mutex);
        (guard.previous_ != nullptr ? guard.previous_->next_ : first) = guard.next_;
        if (guard.next_ != nullptr) guard.next_->previous_ = guard.previous_;
    }
};

std::uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

ForkGuard::ForkGuard(std::unique_ptr<File> file) noexcept : file_(std::move(file)) {
    ForkRegistry::install();
    ForkRegistry::get().add(*this);
}

ForkGuard::~ForkGuard() {
    ForkRegistry::get().remove(*this);
    // Closing alone would leave the lock to a child that was forked but has not run yet.
    if (file_ != nullptr) file_->unlock();
}

}  // namespace os
}  // namespace v0
}  // namespace varve
