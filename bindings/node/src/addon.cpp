// The addon of the npm package: classes Store, Cursor and Consumer, and NesIndex and NesPartition
// for files of node-event-storage. What they do is told in the headers of their objects.
#include "addon.hpp"

#include "consumer_object.hpp"
#include "cursor_object.hpp"
#include "import_function.hpp"
#include "nes_index_object.hpp"
#include "nes_partition_object.hpp"
#include "nes_repair_function.hpp"
#include "store_object.hpp"

namespace varve::node {

namespace {

Napi::Object begin(Napi::Env env, Napi::Object exports) {
    auto* addon = new Addon;
    const Napi::Function cursor = CursorObject::define(env);
    addon->cursor = Napi::Persistent(cursor);
    const Napi::Function consumer = ConsumerObject::define(env);
    addon->consumer = Napi::Persistent(consumer);
    env.SetInstanceData(addon);  // which deletes it with the environment
    exports.Set("Store", StoreObject::define(env));
    exports.Set("Cursor", cursor);
    exports.Set("importStorage", Napi::Function::New(env, import_storage, "importStorage"));
    exports.Set("Consumer", consumer);
    exports.Set("NesIndex", NesIndexObject::define(env));
    exports.Set("NesPartition", NesPartitionObject::define(env));
    exports.Set("repairStorage", Napi::Function::New(env, repair_storage, "repairStorage"));
    return exports;
}

}  // namespace

NODE_API_MODULE(varve, begin)

}  // namespace varve::node
