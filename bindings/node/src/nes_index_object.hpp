// Class NesIndex of the addon: an index file of node-event-storage. lib/lowIndex.js is made of it.
//
// Thread rule: that of its environment. Invariant: entries are copied to JavaScript, so nothing
// there points into the mapping.
#pragma once

#include <napi.h>

#include <optional>

#include "varve/nes_files.hpp"

namespace varve::node {

class NesIndexObject : public Napi::ObjectWrap<NesIndexObject> {
public:
    static Napi::Function define(Napi::Env env);
    /// `(path, options)`: those of a file, and `metadata`, the text of the header.
    explicit NesIndexObject(const Napi::CallbackInfo& info);

private:
    /// `(number, position, size, partition)`: the new length.
    Napi::Value add(const Napi::CallbackInfo& info);
    /// `(place, Uint32Array of 4)`: whether there is such a place; its entry is in the array then.
    Napi::Value get(const Napi::CallbackInfo& info);
    /// `(from, until)`: a Uint32Array with four words per entry.
    Napi::Value range(const Napi::CallbackInfo& info);
    /// `(number, atLeast)`: a place, or 0.
    Napi::Value find(const Napi::CallbackInfo& info);
    Napi::Value truncate(const Napi::CallbackInfo& info);
    Napi::Value flush(const Napi::CallbackInfo& info);
    Napi::Value refresh(const Napi::CallbackInfo& info);
    Napi::Value length(const Napi::CallbackInfo& info);
    Napi::Value metadata(const Napi::CallbackInfo& info);
    Napi::Value close(const Napi::CallbackInfo& info);

    [[nodiscard]] bool is_open(Napi::Env env);

    std::optional<nes::Index> index_;
};

}  // namespace varve::node
