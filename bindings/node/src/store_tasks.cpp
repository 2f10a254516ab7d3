// Calls of the class Store that take long, each on a thread of its own: syncs and what looks after
// a store.
#include "store_object.hpp"
#include "task.hpp"

namespace varve::node {

namespace {

Napi::Value number(Napi::Env env, std::uint64_t value) {
    return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Value position_value(Napi::Env env, const Position& position) {
    return number(env, position.value);
}

Napi::Value damages(Napi::Env env, const std::vector<Damage>& places) {
    Napi::Array array = Napi::Array::New(env, places.size());
    for (std::uint32_t n = 0; n < places.size(); ++n) {
        const Damage& place = places[n];
        Napi::Object one = Napi::Object::New(env);
        one.Set("file", place.file);
        one.Set("offset", number(env, place.offset));
        one.Set("length", number(env, place.length));
        one.Set("first", number(env, place.first.value));
        one.Set("last", number(env, place.last.value));
        one.Set("what", place.what);
        array.Set(n, one);
    }
    return array;
}

Napi::Value verified(Napi::Env env, const VerifyReport& report) {
    Napi::Object answer = Napi::Object::New(env);
    answer.Set("complete", report.complete);
    answer.Set("events", number(env, report.events));
    answer.Set("commits", number(env, report.commits));
    answer.Set("segments", number(env, report.segments));
    answer.Set("bytes", number(env, report.bytes));
    answer.Set("erased", number(env, report.erased));
    answer.Set("damaged", damages(env, report.damaged));
    answer.Set("indexesDamaged", damages(env, report.indexes_damaged));
    Napi::Array missing = Napi::Array::New(env, report.indexes_missing.size());
    for (std::uint32_t n = 0; n < report.indexes_missing.size(); ++n)
        missing.Set(n, report.indexes_missing[n]);
    answer.Set("indexesMissing", missing);
    return answer;
}

Napi::Value backed_up(Napi::Env env, const BackupReport& report) {
    Napi::Object answer = Napi::Object::New(env);
    answer.Set("complete", report.complete);
    answer.Set("first", number(env, report.first.value));
    answer.Set("end", number(env, report.end.value));
    answer.Set("leftOut", number(env, report.left_out));
    answer.Set("segments", number(env, report.segments));
    answer.Set("linked", number(env, report.linked));
    answer.Set("copiedBytes", number(env, report.copied_bytes));
    return answer;
}

Napi::Value measured(Napi::Env env, const Stats& stats) {
    Napi::Object answer = Napi::Object::New(env);
    answer.Set("events", number(env, stats.events));
    answer.Set("segments", number(env, stats.segments));
    answer.Set("segmentBytes", number(env, stats.segment_bytes));
    answer.Set("logBytes", number(env, stats.log_bytes));
    answer.Set("indexBytes", number(env, stats.index_bytes));
    answer.Set("consumerBytes", number(env, stats.consumer_bytes));
    answer.Set("droppedBytes", number(env, stats.dropped_bytes));
    answer.Set("otherBytes", number(env, stats.other_bytes));
    answer.Set("files", number(env, stats.files));
    answer.Set("diskBytes", number(env, stats.disk_bytes.all()));
    return answer;
}

/// The last argument is the callback; false, with an exception, if it is none.
bool has_callback(const Napi::CallbackInfo& info, std::size_t place) {
    if (info[place].IsFunction()) return true;
    raise_argument(info.Env(), "A call that goes on in the background needs a callback.");
    return false;
}

std::optional<Progress> progress_of(const Napi::CallbackInfo& info, std::size_t place) {
    const auto cells = Cells::of(info.Env(), info[place]);
    if (cells)
        return [cells = *cells](std::uint64_t done, std::uint64_t total) {
            return cells.tell(done, total);
        };
    raise_argument(info.Env(), "Progress needs a BigUint64Array of three words.");
    return std::nullopt;
}

}  // namespace

Napi::Value StoreObject::sync_later(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env()) || !has_callback(info, 0)) return {};
    Task<Position>::start(
        info[0].As<Napi::Function>(), {}, [handle = handle_] { return handle->store().sync(); },
        position_value);
    return info.Env().Undefined();
}

Napi::Value StoreObject::verify(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env()) || !has_callback(info, 1)) return {};
    auto progress = progress_of(info, 0);
    if (!progress) return {};
    Task<VerifyReport>::start(
        info[1].As<Napi::Function>(), info[0],
        [path = handle_->store().path(), progress = std::move(*progress)] {
            return Store::verify(path, {}, progress);
        },
        verified);
    return info.Env().Undefined();
}

Napi::Value StoreObject::backup(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env) || !has_callback(info, 4)) return {};
    BackupOptions options;
    options.link = bool_of(env, info[1]);
    options.verify = bool_of(env, info[2]);
    auto progress = progress_of(info, 3);
    if (!progress) return {};
    Task<BackupReport>::start(
        info[4].As<Napi::Function>(), info[3],
        [handle = handle_, target = text_of(env, info[0]), options,
         progress = std::move(*progress)] {
            return handle->store().backup(target, options, progress);
        },
        backed_up);
    return env.Undefined();
}

Napi::Value StoreObject::stats(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env()) || !has_callback(info, 0)) return {};
    Task<Stats>::start(
        info[0].As<Napi::Function>(), {}, [handle = handle_] { return handle->store().stats(); },
        measured);
    return info.Env().Undefined();
}

}  // namespace varve::node
