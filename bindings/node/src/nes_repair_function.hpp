// repairStorage of the addon: brings the files of a storage of node-event-storage to agree, as
// opening for writing does after a crash.
//
// Thread rule: that of its environment; it returns when it is done.
#pragma once

#include <napi.h>

namespace varve::node {

/// `repairStorage(directory, name, indexDirectory, takeLock)`: `{anything, torn, dropped,
/// unindexed, length}`. Nobody may have a file of it open for writing.
Napi::Value repair_storage(const Napi::CallbackInfo& info);

}  // namespace varve::node
