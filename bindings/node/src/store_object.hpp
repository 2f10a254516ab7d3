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
    /// new Store(path, readOnly, create, durability): opens it, or throws.
    explicit StoreObject(const Napi::CallbackInfo& info);

private:
    Napi::Value close(const Napi::CallbackInfo& info);
    /// Positions: published(), and durable().
    Napi::Value published(const Napi::CallbackInfo& info);
    Napi::Value durable(const Napi::CallbackInfo& info);
    Napi::Value epoch(const Napi::CallbackInfo& info);
    /// version(stream): number of its events.
    Napi::Value version(const Napi::CallbackInfo& info);
    /// count(selector, limit): number of its events, counted up to `limit`; 0: all of them.
    Napi::Value count(const Napi::CallbackInfo& info);
    /// names(kind, prefix, after, limit, since): [name, count, name, count, …]; kinds: 0 stream, 1
    /// category, 2 type, 3 tag.
    Napi::Value names(const Napi::CallbackInfo& info);
    /// commit(stream, data, types, tags, members, metadata, committedAt, expected, condition,
    /// durability): position of its first event. Of `data`, `types`, `tags` (arrays of strings) and
    /// `metadata` there is one per event; `types`, `tags` and `metadata` may be null. The version
    /// of the stream before it is then in `result[0]`.
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
    /// watch(callback): is called when another process has committed something, until `unwatch`.
    Napi::Value watch(const Napi::CallbackInfo& info);
    Napi::Value unwatch(const Napi::CallbackInfo& info);
    /// Makes everything durable, and returns when it is.
    Napi::Value sync(const Napi::CallbackInfo& info);

    /// False, with an exception, after close.
    bool is_open(Napi::Env env);
    std::optional<Snapshot> snapshot(Napi::Env env);
    bool read_events(const Napi::CallbackInfo& info, CommitRequest& request);
    bool read_tags(Napi::Env env, Napi::Value tags, std::size_t events);
    bool read_condition(Napi::Env env, Napi::Value condition, AppendOptions& options);

    Napi::Value begin_cursor(Napi::Env env, Snapshot now, Wanted wanted);

    std::shared_ptr<Handle> handle_;
    std::vector<std::weak_ptr<CursorState>> cursors_;
    std::vector<std::weak_ptr<ConsumerState>> consumers_;
    std::unique_ptr<Watcher> watcher_;
    Texts texts_;
    std::vector<std::size_t> tag_counts_;
    CommitRequest request_;
};

}  // namespace varve::node
