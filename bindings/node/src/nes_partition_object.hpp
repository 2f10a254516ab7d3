// Class NesPartition of the addon: a partition file of node-event-storage. lib/lowPartition.js is
// made of it.
//
// Thread rule: that of its environment. Invariant: documents are copied to JavaScript, so nothing
// there points into the mapping. Positions are bytes behind the header.
#pragma once

#include <napi.h>

#include <optional>

#include "varve/nes_files.hpp"

namespace varve::node {

class NesPartitionObject : public Napi::ObjectWrap<NesPartitionObject> {
public:
    static Napi::Function define(Napi::Env env);
    /// `(path, options)`: those of a file, and for a new partition `metadata`, JSON without
    /// `epoch`, and `epoch` in milliseconds since 1970.
    explicit NesPartitionObject(const Napi::CallbackInfo& info);

private:
    /// `(string or Uint8Array, sequence, time)`: the position. The time, microseconds since 1970,
    /// may be missing.
    Napi::Value write(const Napi::CallbackInfo& info);
    /// `(position, header, asText)`: the document as a Buffer, or as a string. The header is a
    /// Float64Array that gets position, size, sequence and time, microseconds since 1970.
    Napi::Value read(const Napi::CallbackInfo& info);
    /// `(position, header)`: the header of the document that ends at `position`; false if none.
    Napi::Value before(const Napi::CallbackInfo& info);
    /// `(sequence, atLeast, header)`: the header of a document by its number; false if none.
    Napi::Value find(const Napi::CallbackInfo& info);
    /// `(position)`: the path of the file that holds what was cut off, or an empty one.
    Napi::Value truncate(const Napi::CallbackInfo& info);
    Napi::Value truncate_after(const Napi::CallbackInfo& info);
    /// Where a document that was not written to its end begins, and its bytes; null if none.
    Napi::Value torn(const Napi::CallbackInfo& info);
    Napi::Value flush(const Napi::CallbackInfo& info);
    Napi::Value refresh(const Napi::CallbackInfo& info);
    /// Bytes of whole documents.
    Napi::Value size(const Napi::CallbackInfo& info);
    Napi::Value header_bytes(const Napi::CallbackInfo& info);
    Napi::Value metadata(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    [[nodiscard]] bool is_open(Napi::Env env);
    [[nodiscard]] bool put(Napi::Env env, Napi::Value header, const nes::Document& document);

    std::optional<nes::Partition> partition_;
    std::string text_;  ///< of the document that is written
};

}  // namespace varve::node
