// The class Store of the addon: few calls, each of which does much.
//
// Thread rule: the thread of its environment. After `close` every call throws an error with the
// code `closed`.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "consumer_object.hpp"
#include "convert.hpp"
#include "cursor_object.hpp"
#include "handle.hpp"
#include "watcher.hpp"

namespace varve::node {

class StoreObject : public Napi::ObjectWrap<StoreObject> {
public:
    static Napi::Function define(Napi::Env env);
    /// new Store(path, readOnly, create, durability, numbers): opens it, or throws. `numbers` is a
    /// Float64Array for `commit`, or absent.
    explicit StoreObject(const Napi::CallbackInfo& info);

private:
    Napi::Value close(const Napi::CallbackInfo& info);
    /// Positions: published(), and durable().
    Napi::Value published(const Napi::CallbackInfo& info);
    Napi::Value durable(const Napi::CallbackInfo& info);
    /// version(stream): number of its events.
    Napi::Value version(const Napi::CallbackInfo& info);
    /// count(selector, limit): number of its events, counted up to `limit`; 0: all of them.
    Napi::Value count(const Napi::CallbackInfo& info);
    /// names(kind, prefix, after, limit, since): [name, count, name, count, …]; kinds: 0 stream, 1
    /// category, 2 type, 3 tag.
    Napi::Value names(const Napi::CallbackInfo& info);
    /// commit(stream, texts, members, more): position of its first event. `texts` are those of the
    /// events, an array or one string with a line feed between them. `more` is null or [types,
    /// tags, metadata, condition], each null or, but for the last, an array with an element per
    /// event. Numbers come and go in the array that the constructor was given: how many events,
    /// when, the version that is expected (-1: any), whether the texts are known to be free of
    /// `null`; then, out, the version of the stream before. -1, and nothing is committed, if they
    /// are not known to be free of it and are not.
    Napi::Value commit(const Napi::CallbackInfo& info);
    /// cursor(stream, selector, from, until, fromRevision, untilRevision, backwards, first, limit,
    /// matcher): one of `stream` and `selector` is null. first: of a selector, number of the event
    /// that comes first, counted from 1 in the order of the store whatever the direction; 0: all
    /// come. limit 0: no limit.
    Napi::Value cursor(const Napi::CallbackInfo& info);
    /// cursorAt(positions: Float64Array, matcher): over the events at these positions, in that
    /// order.
    Napi::Value cursor_at(const Napi::CallbackInfo& info);
    /// positions(selector, from, until, matcher): of all its events, as a Float64Array.
    Napi::Value positions(const Napi::CallbackInfo& info);
    /// consumer(name, selector, after): a Consumer; selector null: that of one that exists.
    Napi::Value consumer(const Napi::CallbackInfo& info);
    /// consumers(): names of all consumers.
    Napi::Value consumers(const Napi::CallbackInfo& info);
    /// watch(callback): is called when another process has committed something.
    Napi::Value watch(const Napi::CallbackInfo& info);
    /// Makes everything durable, and returns when it is.
    Napi::Value sync(const Napi::CallbackInfo& info);

    // In the background: `callback(error)` or `callback(null, answer)` comes in a later turn, also
    // if the store is closed meanwhile. `cells` are those of task.hpp.

    /// syncLater(callback): as `sync`.
    Napi::Value sync_later(const Napi::CallbackInfo& info);
    /// verify(cells, callback)
    Napi::Value verify(const Napi::CallbackInfo& info);
    /// backup(target, link, verify, cells, callback)
    Napi::Value backup(const Napi::CallbackInfo& info);
    /// stats(callback)
    Napi::Value stats(const Napi::CallbackInfo& info);

    /// False, with an exception, after close.
    bool is_open(Napi::Env env);
    std::optional<Snapshot> snapshot(Napi::Env env);
    /// False: there is an exception, or the worker is being ended.
    bool read_events(const Napi::CallbackInfo& info, std::uint32_t events);
    bool read_data(Napi::Env env, napi_value texts, std::size_t events);
    bool read_more(Napi::Env env, napi_value more, std::uint32_t events);
    bool read_tags(Napi::Env env, napi_value tags, std::size_t events);
    bool read_condition(Napi::Env env, napi_value condition);
    bool take_numbers(Napi::Value given);

    Napi::Value begin_cursor(Napi::Env env, Snapshot now, Wanted wanted);

    std::shared_ptr<Handle> handle_;
    std::vector<std::weak_ptr<CursorState>> cursors_;
    std::vector<std::weak_ptr<ConsumerState>> consumers_;
    std::unique_ptr<Watcher> watcher_;
    Texts texts_;
    std::vector<std::size_t> tag_counts_;
    CommitRequest request_;
    Napi::ObjectReference numbers_kept_;
    double* numbers_ = nullptr;  // in `numbers_kept_`; null: none were given, it does not commit
};

}  // namespace varve::node
