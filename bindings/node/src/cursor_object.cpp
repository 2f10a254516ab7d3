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
    void* data = nullptr;
    std::size_t size = 0;
    if (info.Length() < 3 || napi_get_typedarray_info(env, info[0], nullptr, &size, &data, nullptr,
                                                      nullptr) != napi_ok) {
        raise_argument(env, "fill needs a Uint8Array, a number of rows, and what is wanted.");
        return {};
    }
    const auto rows = static_cast<std::size_t>(number_of(env, info[1]));
    const auto want = static_cast<std::uint32_t>(number_of(env, info[2]));
    if (rows == 0 || reinterpret_cast<std::uintptr_t>(data) % alignof(Row) != 0) {
        raise_argument(
            env, "fill needs at least one row, and a room that begins at a multiple of eight.");
        return {};
    }
    auto filled = state_->cursor->fill({static_cast<char*>(data), size}, rows, want);
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
