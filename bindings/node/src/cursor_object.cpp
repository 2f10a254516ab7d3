#include "cursor_object.hpp"

#include "convert.hpp"
#include "error.hpp"

namespace varve::node {

Napi::Function CursorObject::define(Napi::Env env) {
    return DefineClass(env, "Cursor",
                       {InstanceMethod<&CursorObject::fill>("fill"),
                        InstanceMethod<&CursorObject::close>("close")});
}

CursorObject::CursorObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CursorObject>(info) {}

Napi::Value CursorObject::fill(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!state_ || !state_->cursor) {
        const bool store = state_ && state_->store_closed;
        raise(env, error_of(ErrorCode::closed,
                            store ? "The store is closed." : "The cursor is closed."));
        return {};
    }
    const auto room = room_of(env, info[0]);
    const auto rows = static_cast<std::size_t>(number_of(env, info[1]));
    const auto want = static_cast<std::uint32_t>(number_of(env, info[2]));
    if (!room || rows == 0) {
        raise_argument(
            env,
            "fill needs a Uint8Array that begins at a multiple of eight, and at least one row.");
        return {};
    }
    auto filled = state_->cursor->fill(*room, rows, want);
    if (!filled) {
        raise(env, filled.error());
        return {};
    }
    const double answer = filled->needed > 0 ? -static_cast<double>(filled->needed)
                                             : static_cast<double>(filled->rows);
    return Napi::Number::New(env, answer);
}

Napi::Value CursorObject::close(const Napi::CallbackInfo& info) {
    if (state_) state_->cursor.reset();
    return info.Env().Undefined();
}

}  // namespace varve::node
