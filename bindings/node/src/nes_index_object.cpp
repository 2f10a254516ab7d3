#include "nes_index_object.hpp"

#include <cstring>

#include "convert.hpp"
#include "error.hpp"
#include "nes_convert.hpp"

namespace varve::node {

namespace {

constexpr std::size_t kWords = sizeof(nes::IndexEntry) / sizeof(std::uint32_t);

}  // namespace

Napi::Function NesIndexObject::define(Napi::Env env) {
    return DefineClass(
        env, "NesIndex",
        {InstanceMethod<&NesIndexObject::add>("add"), InstanceMethod<&NesIndexObject::get>("get"),
         InstanceMethod<&NesIndexObject::range>("range"),
         InstanceMethod<&NesIndexObject::find>("find"),
         InstanceMethod<&NesIndexObject::truncate>("truncate"),
         InstanceMethod<&NesIndexObject::flush>("flush"),
         InstanceMethod<&NesIndexObject::refresh>("refresh"),
         InstanceMethod<&NesIndexObject::length>("length"),
         InstanceMethod<&NesIndexObject::metadata>("metadata"),
         InstanceMethod<&NesIndexObject::close>("close")});
}

NesIndexObject::NesIndexObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NesIndexObject>(info) {
    const Napi::Env env = info.Env();
    if (!info[1].IsObject()) {
        raise_argument(env, "NesIndex needs a path and options.");
        return;
    }
    const auto given = info[1].As<Napi::Object>();
    nes::IndexOptions options;
    take_file_options(given, options);
    options.metadata = text_of(env, given.Get("metadata"));
    auto opened = nes::Index::open(text_of(env, info[0]), options);
    if (!opened) {
        raise(env, opened.error());
        return;
    }
    index_.emplace(std::move(*opened));
}

bool NesIndexObject::is_open(Napi::Env env) {
    if (index_) return true;
    raise(env, error_of(ErrorCode::closed, "The index is closed."));
    return false;
}

Napi::Value NesIndexObject::add(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto added = index_->add({word_of(env, info[0]), word_of(env, info[1]), word_of(env, info[2]),
                              word_of(env, info[3])});
    if (!added) {
        raise(env, added.error());
        return {};
    }
    return Napi::Number::New(env, static_cast<double>(*added));
}

Napi::Value NesIndexObject::get(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    if (!info[1].IsTypedArray() ||
        info[1].As<Napi::TypedArray>().ByteLength() < sizeof(nes::IndexEntry)) {
        raise_argument(env, "get needs a place and a Uint32Array of four.");
        return {};
    }
    const auto entry = index_->get(signed_of(env, info[0]));
    if (!entry) return Napi::Boolean::New(env, false);
    std::memcpy(info[1].As<Napi::Uint32Array>().Data(), &*entry, sizeof *entry);
    return Napi::Boolean::New(env, true);
}

Napi::Value NesIndexObject::range(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto entries = index_->range(signed_of(env, info[0]), signed_of(env, info[1]));
    if (!entries) {
        raise(env, entries.error());
        return {};
    }
    auto words = Napi::Uint32Array::New(env, entries->size() * kWords);
    if (!entries->empty()) std::memcpy(words.Data(), entries->data(), entries->size_bytes());
    return words;
}

Napi::Value NesIndexObject::find(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const auto which = info[1].ToBoolean().Value() ? nes::Find::at_least : nes::Find::at_most;
    return Napi::Number::New(env,
                             static_cast<double>(index_->find(number_of(env, info[0]), which)));
}

Napi::Value NesIndexObject::truncate(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto cut = index_->truncate(number_of(env, info[0]));
    if (!cut) {
        raise(env, cut.error());
        return {};
    }
    return Napi::Boolean::New(env, *cut);
}

Napi::Value NesIndexObject::flush(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto flushed = index_->flush();
    if (!flushed) {
        raise(env, flushed.error());
        return {};
    }
    return Napi::Boolean::New(env, *flushed);
}

Napi::Value NesIndexObject::refresh(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto change = index_->refresh();
    if (!change) {
        raise(env, change.error());
        return {};
    }
    return change_to(env, *change);
}

Napi::Value NesIndexObject::length(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::Number::New(info.Env(), static_cast<double>(index_->length()));
}

Napi::Value NesIndexObject::metadata(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::String::New(info.Env(), std::string(index_->metadata()));
}

Napi::Value NesIndexObject::close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!index_) return env.Undefined();
    auto closed = index_->close();
    index_.reset();
    if (!closed) raise(env, closed.error());
    return env.Undefined();
}

}  // namespace varve::node
