// The addon of the npm package: classes Store and Cursor. What they do is told in store_object.hpp
// and cursor_object.hpp.
#include "addon.hpp"

#include "cursor_object.hpp"
#include "store_object.hpp"

namespace varve::node {

namespace {

Napi::Object begin(Napi::Env env, Napi::Object exports) {
    auto* addon = new Addon;
    const Napi::Function cursor = CursorObject::define(env);
    addon->cursor = Napi::Persistent(cursor);
    env.SetInstanceData(addon);  // which deletes it with the environment
    exports.Set("Store", StoreObject::define(env));
    exports.Set("Cursor", cursor);
    return exports;
}

}  // namespace

NODE_API_MODULE(varve, begin)

}  // namespace varve::node
