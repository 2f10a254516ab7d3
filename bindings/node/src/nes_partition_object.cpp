#include "nes_partition_object.hpp"

#include "convert.hpp"
#include "error.hpp"
#include "nes_convert.hpp"

namespace varve::node {

namespace {

constexpr std::size_t kHeaderNumbers = 4;
constexpr std::uint64_t kUsPerMs = 1000;

}  // namespace

Napi::Function NesPartitionObject::define(Napi::Env env) {
    return DefineClass(env, "NesPartition",
                       {InstanceMethod<&NesPartitionObject::write>("write"),
                        InstanceMethod<&NesPartitionObject::read>("read"),
                        InstanceMethod<&NesPartitionObject::before>("before"),
                        InstanceMethod<&NesPartitionObject::find>("find"),
                        InstanceMethod<&NesPartitionObject::truncate>("truncate"),
                        InstanceMethod<&NesPartitionObject::truncate_after>("truncateAfter"),
                        InstanceMethod<&NesPartitionObject::torn>("torn"),
                        InstanceMethod<&NesPartitionObject::flush>("flush"),
                        InstanceMethod<&NesPartitionObject::refresh>("refresh"),
                        InstanceMethod<&NesPartitionObject::size>("size"),
                        InstanceMethod<&NesPartitionObject::header_bytes>("headerBytes"),
                        InstanceMethod<&NesPartitionObject::metadata>("metadata"),
                        InstanceMethod<&NesPartitionObject::close>("close")});
}

NesPartitionObject::NesPartitionObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NesPartitionObject>(info) {
    const Napi::Env env = info.Env();
    if (!info[1].IsObject()) {
        raise_argument(env, "NesPartition needs a path and options.");
        return;
    }
    const auto given = info[1].As<Napi::Object>();
    nes::PartitionOptions options;
    take_file_options(given, options);
    options.metadata = text_of(env, given.Get("metadata"));
    if (is_given(env, given.Get("epoch"))) options.epoch_ms = number_of(env, given.Get("epoch"));
    auto opened = nes::Partition::open(text_of(env, info[0]), options);
    if (!opened) {
        raise(env, opened.error());
        return;
    }
    partition_.emplace(std::move(*opened));
}

bool NesPartitionObject::is_open(Napi::Env env) {
    if (partition_) return true;
    raise(env, error_of(ErrorCode::closed, "The partition is closed."));
    return false;
}

bool NesPartitionObject::put(Napi::Env env, Napi::Value header, const nes::Document& document) {
    if (!header.IsTypedArray()) return true;
    const auto numbers = header.As<Napi::Float64Array>();
    if (numbers.TypedArrayType() != napi_float64_array ||
        numbers.ElementLength() < kHeaderNumbers) {
        raise_argument(env, "A header is a Float64Array of four.");
        return false;
    }
    double* const at = const_cast<Napi::Float64Array&>(numbers).Data();
    at[0] = static_cast<double>(document.position);
    at[1] = static_cast<double>(document.data.size());
    at[2] = document.sequence;
    at[3] = static_cast<double>(partition_->epoch_ms() * kUsPerMs + document.time_us);
    return true;
}

Napi::Value NesPartitionObject::write(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    std::string_view data;
    if (info[0].IsString()) {
        text_ = text_of(env, info[0]);
        data = text_;
    } else if (info[0].IsBuffer()) {
        const auto buffer = info[0].As<Napi::Buffer<char>>();
        data = {buffer.Data(), buffer.Length()};
    }
    std::optional<std::int64_t> time_us;
    if (is_given(env, info[2])) time_us = signed_of(env, info[2]);
    auto position = partition_->write(data, word_of(env, info[1]), time_us);
    if (!position) {
        raise(env, position.error());
        return {};
    }
    return Napi::Number::New(env, static_cast<double>(*position));
}

Napi::Value NesPartitionObject::read(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto document = partition_->read(number_of(env, info[0]));
    if (!document) {
        raise(env, document.error());
        return {};
    }
    if (!put(env, info[1], *document)) return {};
    const std::string_view data = document->data;
    if (info[2].ToBoolean().Value()) return Napi::String::New(env, data.data(), data.size());
    return Napi::Buffer<char>::Copy(env, data.data(), data.size());
}

Napi::Value NesPartitionObject::before(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto cursor = partition_->backwards(number_of(env, info[0]));
    if (!cursor) {
        raise(env, cursor.error());
        return {};
    }
    nes::Document document;
    if (cursor->next(document))
        return put(env, info[1], document) ? Napi::Boolean::New(env, true) : Napi::Value();
    if (auto status = cursor->status(); !status) {
        raise(env, status.error());
        return {};
    }
    return Napi::Boolean::New(env, false);
}

Napi::Value NesPartitionObject::find(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const auto which = info[1].ToBoolean().Value() ? nes::Find::at_least : nes::Find::at_most;
    auto found = partition_->find(word_of(env, info[0]), which);
    if (!found) {
        raise(env, found.error());
        return {};
    }
    if (!*found) return Napi::Boolean::New(env, false);
    return put(env, info[2], **found) ? Napi::Boolean::New(env, true) : Napi::Value();
}

Napi::Value NesPartitionObject::truncate(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto branch = partition_->truncate(number_of(env, info[0]));
    if (!branch) {
        raise(env, branch.error());
        return {};
    }
    return Napi::String::New(env, *branch);
}

Napi::Value NesPartitionObject::truncate_after(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto branch = partition_->truncate_after(word_of(env, info[0]));
    if (!branch) {
        raise(env, branch.error());
        return {};
    }
    return Napi::String::New(env, *branch);
}

Napi::Value NesPartitionObject::torn(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const auto torn = partition_->torn();
    if (!torn) return env.Null();
    Napi::Object object = Napi::Object::New(env);
    object.Set("position", static_cast<double>(torn->position));
    object.Set("bytes", static_cast<double>(torn->bytes));
    return object;
}

Napi::Value NesPartitionObject::flush(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto flushed = partition_->flush();
    if (!flushed) {
        raise(env, flushed.error());
        return {};
    }
    return Napi::Boolean::New(env, *flushed);
}

Napi::Value NesPartitionObject::refresh(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto change = partition_->refresh();
    if (!change) {
        raise(env, change.error());
        return {};
    }
    return change_to(env, *change);
}

Napi::Value NesPartitionObject::size(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::Number::New(info.Env(), static_cast<double>(partition_->size()));
}

Napi::Value NesPartitionObject::header_bytes(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::Number::New(info.Env(), static_cast<double>(partition_->header_bytes()));
}

Napi::Value NesPartitionObject::metadata(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::String::New(info.Env(), std::string(partition_->metadata()));
}

Napi::Value NesPartitionObject::close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!partition_) return env.Undefined();
    auto closed = partition_->close();
    partition_.reset();
    if (!closed) raise(env, closed.error());
    return env.Undefined();
}

}  // namespace varve::node
