// The part of the class Store that follows what is committed: consumers, and the watcher of a
// store that another process writes.
#include "addon.hpp"
#include "error.hpp"
#include "store_object.hpp"

namespace varve::node {

Napi::Value StoreObject::consumer(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const std::string name = text_of(env, info[0]);
    ConsumerOptions options;
    options.after = Position{number_of(env, info[2])};
    options.sync_ms = std::numeric_limits<std::uint32_t>::max();  // `sync` does it, elsewhere
    options.create = is_given(env, info[1]) ? Create::if_missing : Create::never;
    const auto selector = selector_of(env, info[1]);
    if (is_given(env, info[1]) && !selector) {
        raise_argument(env, "consumer needs a selector.");
        return {};
    }
    auto opened = selector ? Consumer::open(handle_->store(), name, *selector, options)
                           : Consumer::open(handle_->store(), name, options);
    if (!opened) {
        raise(env, opened.error());
        return {};
    }
    // What an earlier holder has left is synced now, so that acknowledging need not do it.
    if (auto settled = opened->sync(); !settled) {
        raise(env, settled.error());
        return {};
    }
    auto state = std::make_shared<ConsumerState>(ConsumerState{handle_, std::move(*opened)});
    std::erase_if(consumers_, [](const auto& one) { return one.expired(); });
    consumers_.push_back(state);
    return wrapped<ConsumerObject>(env.GetInstanceData<Addon>()->consumer, std::move(state));
}

Napi::Value StoreObject::consumers(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto all = Consumer::list(handle_->store());
    if (!all) {
        raise(env, all.error());
        return {};
    }
    Napi::Array names = Napi::Array::New(env, all->size());
    std::uint32_t n = 0;
    for (const ConsumerInfo& one : *all) names.Set(n++, one.name);
    return names;
}

Napi::Value StoreObject::watch(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    if (!info[0].IsFunction()) {
        raise_argument(env, "watch needs a function.");
        return {};
    }
    watcher_ = std::make_unique<Watcher>(env, info[0].As<Napi::Function>(), handle_);
    return env.Undefined();
}

}  // namespace varve::node
