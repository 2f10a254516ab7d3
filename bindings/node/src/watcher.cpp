#include "watcher.hpp"

#include <algorithm>

namespace varve::node {

namespace {

/// How long the thread may go on after it was stopped: nothing else wakes it when nothing comes.
constexpr std::uint32_t kSleepMs = 50;

}  // namespace

Watcher::Watcher(Napi::Env env, const Napi::Function& callback, std::shared_ptr<Handle> handle)
    : shared_(std::make_shared<Shared>()) {
    shared_->handle = std::move(handle);
    Shared* const raw = shared_.get();
    // The function is there as long as the thread is, and this with it.
    shared_->function = Napi::ThreadSafeFunction::New(
        env, callback, "varve watcher", 0, 1, [shared = shared_](Napi::Env gone) {
            if (shared->thread.joinable()) shared->thread.join();
            napi_remove_env_cleanup_hook(gone, &Watcher::on_environment_end, shared.get());
        });
    napi_add_env_cleanup_hook(env, &Watcher::on_environment_end, raw);
    shared_->thread = std::thread([shared = shared_] { run(shared); });
}

void Watcher::on_environment_end(void* shared) noexcept {
    auto* const watched = static_cast<Shared*>(shared);
    watched->stopping = true;
    if (watched->thread.joinable()) watched->thread.join();
}

void Watcher::run(const std::shared_ptr<Shared>& shared) noexcept {
    watch(shared);
    shared->function.Release();
}

void Watcher::watch(const std::shared_ptr<Shared>& shared) noexcept {
    const Store& store = shared->handle->store();
    // Also at once: something may have come since JavaScript has looked.
    while (!shared->stopping) {
        auto now = store.snapshot();
        if (!now || !tell(shared)) return;
        const std::uint64_t position = now->published().value;
        bool more = false;
        while (!more && !shared->stopping) {
            auto came = store.wait(Position{position + 1}, Durability::os, kSleepMs);
            if (!came) return;  // the store is closed, or reads say what is wrong
            more = *came;
        }
    }
}

bool Watcher::tell(const std::shared_ptr<Shared>& shared) noexcept {
    if (shared->called.exchange(true)) return true;
    const napi_status told =
        shared->function.NonBlockingCall([shared](Napi::Env env, Napi::Function callback) {
            shared->called = false;
            if (env != nullptr && !shared->stopping) callback.Call({});
        });
    return told == napi_ok;
}

}  // namespace varve::node
