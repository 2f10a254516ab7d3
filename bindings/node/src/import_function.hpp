// importStorage of the addon: carries a storage of node-event-storage over into a store.
//
// Thread rule: the thread of the environment, which waits until it is done.
#pragma once

#include <napi.h>

namespace varve::node {

/// importStorage(target, directory, name, indexDirectory, typePath, tagPath): all events of the
/// storage, into the store in directory `target`, which is made. {documents, leftOut, damaged,
/// told}: `told` are sentences for people, ten at most. May be called again after an error.
Napi::Value import_storage(const Napi::CallbackInfo& info);

}  // namespace varve::node
