// What the objects over files of node-event-storage take from JavaScript.
//
// Thread rule: the thread of the environment that the values belong to.
#pragma once

#include <napi.h>

#include <string>

#include "varve/nes_files.hpp"

namespace varve::node {

/// Options of a file: `readOnly`, `create`, `syncOnFlush`, `layout` (`classic`, `mapped`, or as the
/// file is), `writeAhead` in bytes. What is missing is as the file's class has it.
void take_file_options(const Napi::Object& given, nes::FileOptions& into);

/// A number with a sign; 0 for anything else.
[[nodiscard]] std::int64_t signed_of(napi_env env, napi_value value) noexcept;
/// A number of 32 bits; 0 for anything else.
[[nodiscard]] std::uint32_t word_of(napi_env env, napi_value value) noexcept;

/// `[appended, truncated]` as an array; null if nothing has changed.
[[nodiscard]] Napi::Value change_to(Napi::Env env, const nes::Change& change);

}  // namespace varve::node
