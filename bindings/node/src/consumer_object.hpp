// The class Consumer of the addon: a durable consumer of the store, read in batches.
//
// Thread rule: the thread of its environment; `sync` works on another one meanwhile. Invariant:
// what `fill` has handed out is what `ack` may acknowledge.
#pragma once

#include <napi.h>

#include <memory>

#include "handle.hpp"
#include "varve/consumer.hpp"

namespace varve::node {

/// What a Consumer object shares with the Store that made it and with a sync that is under way.
struct ConsumerState {
    std::shared_ptr<Handle> handle;
    Consumer consumer;
    bool open = true;
};

class ConsumerObject : public Napi::ObjectWrap<ConsumerObject> {
public:
    static Napi::Function define(Napi::Env env);
    explicit ConsumerObject(const Napi::CallbackInfo& info);

    void begin(std::shared_ptr<ConsumerState> state) noexcept { state_ = std::move(state); }

private:
    /// fill(room: Uint8Array, rows, want): how many events came, without waiting; -BYTES if the
    /// room must have so many.
    Napi::Value fill(const Napi::CallbackInfo& info);
    /// ack(position, state): everything up to there is handled; state null: as before.
    Napi::Value ack(const Napi::CallbackInfo& info);
    /// seek(position, state): goes on behind `position`; durable when it returns.
    Napi::Value seek(const Napi::CallbackInfo& info);
    /// sync(callback, position, state): acknowledges, if `position` is given, and makes log and
    /// checkpoint durable, on another thread; then calls callback(error).
    Napi::Value sync(const Napi::CallbackInfo& info);
    Napi::Value state(const Napi::CallbackInfo& info);
    /// stored(): position of the stored checkpoint.
    Napi::Value stored(const Napi::CallbackInfo& info);
    Napi::Value caught_up(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    bool is_open(Napi::Env env);

    std::shared_ptr<ConsumerState> state_;
    Batch batch_;
    std::size_t at_ = 0;  // in the batch: what was not handed out yet begins here
};

}  // namespace varve::node
