// The class Cursor of the addon: one read in progress.
//
// Thread rule: the thread of its environment.
#pragma once

#include <napi.h>

#include <memory>

#include "cursor.hpp"

namespace varve::node {

/// What a Cursor shares with the Store that made it, which ends it when it is closed.
struct CursorState {
    std::unique_ptr<Cursor> cursor;  ///< null: closed
    bool store_closed = false;
};

class CursorObject : public Napi::ObjectWrap<CursorObject> {
public:
    static Napi::Function define(Napi::Env env);
    explicit CursorObject(const Napi::CallbackInfo& info);

    void begin(std::shared_ptr<CursorState> state) noexcept { state_ = std::move(state); }

private:
    /// fill(room: Uint8Array, rows, want): how many rows; -BYTES if the room must have so many.
    Napi::Value fill(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    std::shared_ptr<CursorState> state_;
};

}  // namespace varve::node
