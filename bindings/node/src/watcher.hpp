// Tells JavaScript that another process has committed something: one thread, which sleeps on the
// store's word for it.
//
// Thread rule: made and stopped by the thread of its environment. Invariants: at most one call is
// under way to JavaScript; the thread has ended before its environment has.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <thread>

#include "handle.hpp"

namespace varve::node {

class Watcher {
public:
    /// Calls `callback()` on the thread of `env` whenever more is published than before; keeps the
    /// process alive meanwhile.
    Watcher(Napi::Env env, const Napi::Function& callback, std::shared_ptr<Handle> handle);
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() { shared_->stopping = true; }

private:
    /// What the thread needs, also when this is gone.
    struct Shared {
        std::shared_ptr<Handle> handle;
        Napi::ThreadSafeFunction function{};
        std::thread thread{};
        std::atomic<bool> stopping{false};
        std::atomic<bool> called{false};  // JavaScript was told and has not heard it yet
    };

    static void run(const std::shared_ptr<Shared>& shared) noexcept;
    static void watch(const std::shared_ptr<Shared>& shared) noexcept;
    static bool tell(const std::shared_ptr<Shared>& shared) noexcept;
    static void on_environment_end(void* shared) noexcept;

    std::shared_ptr<Shared> shared_;
};

}  // namespace varve::node
