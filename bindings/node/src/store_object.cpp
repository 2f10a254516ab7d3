#include "store_object.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "addon.hpp"
#include "error.hpp"

namespace varve::node {

namespace {

Error closed_error() { return error_of(ErrorCode::closed, "The store is closed."); }

Durability durability_of(const std::string& text) {
    if (text == "disk") return Durability::disk;
    return text == "interval" ? Durability::interval : Durability::os;
}

/// Null if it cannot be read, because the worker is being ended: nothing may be made of it.
napi_value element(napi_env env, napi_value array, std::uint32_t n) {
    napi_value value = nullptr;
    return napi_get_element(env, array, n, &value) == napi_ok ? value : nullptr;
}

/// 0 for what is no array.
std::uint32_t length_of(napi_env env, napi_value array) {
    std::uint32_t length = 0;
    return napi_get_array_length(env, array, &length) == napi_ok ? length : 0;
}

/// The first `count` elements of an array; absent if one of them cannot be read.
template <std::size_t count>
std::optional<std::array<napi_value, count>> elements(napi_env env, napi_value array) {
    std::array<napi_value, count> values{};
    for (std::uint32_t n = 0; n < count; ++n)
        if ((values[n] = element(env, array, n)) == nullptr) return std::nullopt;
    return values;
}

/// How many events of its selector a read passes over before event number `first`, in the state
/// that it will see.
Result<std::uint64_t> events_before(const Snapshot& now, const Wanted& wanted,
                                    std::uint64_t first) {
    if (wanted.options.direction == Direction::forwards) return first - 1;
    auto count = now.count(wanted.selector);
    if (!count) return std::move(count).error();
    return *count > first ? *count - first : 0;
}

/// Absent and an exception, if it cannot be compiled.
std::optional<Matcher> matcher_of(Napi::Env env, Napi::Value json) {
    auto matcher = Matcher::compile(text_of(env, json));
    if (matcher) return *matcher;
    raise(env, matcher.error());
    return std::nullopt;
}

}  // namespace

Napi::Function StoreObject::define(Napi::Env env) {
    return DefineClass(
        env, "Store",
        {InstanceMethod<&StoreObject::close>("close"),
         InstanceMethod<&StoreObject::published>("published"),
         InstanceMethod<&StoreObject::durable>("durable"),
         InstanceMethod<&StoreObject::epoch>("epoch"),
         InstanceMethod<&StoreObject::version>("version"),
         InstanceMethod<&StoreObject::count>("count"), InstanceMethod<&StoreObject::names>("names"),
         InstanceMethod<&StoreObject::commit>("commit"),
         InstanceMethod<&StoreObject::cursor>("cursor"),
         InstanceMethod<&StoreObject::cursor_at>("cursorAt"),
         InstanceMethod<&StoreObject::positions>("positions"),
         InstanceMethod<&StoreObject::consumer>("consumer"),
         InstanceMethod<&StoreObject::consumers>("consumers"),
         InstanceMethod<&StoreObject::watch>("watch"),
         InstanceMethod<&StoreObject::unwatch>("unwatch"),
         InstanceMethod<&StoreObject::sync>("sync")});
}

StoreObject::StoreObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StoreObject>(info) {
    OpenOptions options;
    options.access = bool_of(info.Env(), info[1]) ? Access::read_only : Access::read_write;
    options.create = bool_of(info.Env(), info[2]) ? Create::if_missing : Create::never;
    options.durability = durability_of(text_of(info.Env(), info[3]));
    auto store = Store::open(text_of(info.Env(), info[0]), options);
    if (store)
        handle_ = std::make_shared<Handle>(std::move(*store));
    else
        raise(info.Env(), store.error());
}

bool StoreObject::is_open(Napi::Env env) {
    if (handle_) return true;
    raise(env, closed_error());
    return false;
}

std::optional<Snapshot> StoreObject::snapshot(Napi::Env env) {
    if (!is_open(env)) return std::nullopt;
    auto now = handle_->store().snapshot();
    if (now) return *now;
    raise(env, now.error());
    return std::nullopt;
}

Napi::Value StoreObject::close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    for (const auto& one : cursors_) {
        if (auto state = one.lock()) {
            state->cursor.reset();
            state->store_closed = true;
        }
    }
    cursors_.clear();
    watcher_.reset();
    for (const auto& one : consumers_) {
        auto state = one.lock();
        if (!state || !state->open) continue;
        state->open = false;
        (void)state->consumer.close();  // what it could not store comes again
    }
    consumers_.clear();
    auto handle = std::move(handle_);
    if (auto done = handle->store().close(); !done) {
        raise(env, done.error());
        return {};
    }
    return env.Undefined();
}

Napi::Value StoreObject::published(const Napi::CallbackInfo& info) {
    auto now = snapshot(info.Env());
    if (!now) return {};
    return Napi::Number::New(info.Env(), static_cast<double>(now->published().value));
}

Napi::Value StoreObject::durable(const Napi::CallbackInfo& info) {
    auto now = snapshot(info.Env());
    if (!now) return {};
    return Napi::Number::New(info.Env(), static_cast<double>(now->durable().value));
}

Napi::Value StoreObject::epoch(const Napi::CallbackInfo& info) {
    auto now = snapshot(info.Env());
    if (!now) return {};
    return Napi::Number::New(info.Env(), now->epoch());
}

Napi::Value StoreObject::version(const Napi::CallbackInfo& info) {
    auto now = snapshot(info.Env());
    if (!now) return {};
    auto version = now->version(text_of(info.Env(), info[0]));
    if (!version) {
        raise(info.Env(), version.error());
        return {};
    }
    return Napi::Number::New(info.Env(), static_cast<double>(*version));
}

Napi::Value StoreObject::count(const Napi::CallbackInfo& info) {
    auto now = snapshot(info.Env());
    if (!now) return {};
    auto selector = selector_of(info.Env(), info[0]);
    if (!selector) {
        raise_argument(info.Env(), "count needs a selector.");
        return {};
    }
    ReadOptions options;
    if (const std::uint64_t limit = number_of(info.Env(), info[1]); limit > 0)
        options.limit = limit;
    auto count = now->count(*selector, options);
    if (!count) {
        raise(info.Env(), count.error());
        return {};
    }
    return Napi::Number::New(info.Env(), static_cast<double>(*count));
}

Napi::Value StoreObject::names(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto now = snapshot(env);
    if (!now) return {};
    const std::string prefix = text_of(env, info[1]);
    const std::string after = text_of(env, info[2]);
    NamesOptions options;
    options.prefix = prefix;
    options.after = after;
    if (const std::uint64_t limit = number_of(env, info[3]); limit > 0) options.limit = limit;
    options.since = Position{number_of(env, info[4])};
    const auto kind = static_cast<NameKind>(std::min<std::uint64_t>(number_of(env, info[0]), 3));
    auto entries = now->names(kind, options);
    if (!entries) {
        raise(env, entries.error());
        return {};
    }
    Napi::Array names = Napi::Array::New(env, 2 * entries->size());
    std::uint32_t n = 0;
    for (const CatalogueEntry& entry : *entries) {
        names.Set(n++, entry.name);
        names.Set(n++, static_cast<double>(entry.count));
    }
    return names;
}

bool StoreObject::read_tags(Napi::Env env, Napi::Value tags, std::size_t events) {
    tag_counts_.assign(events, 0);
    if (!is_given(env, tags)) return true;
    for (std::uint32_t n = 0; n < events; ++n) {
        const napi_value own = element(env, tags, n);
        if (own == nullptr) return false;
        if (!is_given(env, own)) continue;
        tag_counts_[n] = length_of(env, own);
        for (std::uint32_t k = 0; k < tag_counts_[n]; ++k)
            (void)texts_.add(env, element(env, own, k));
    }
    return true;
}

/// Texts in this order: streams, data, types, metadata, members, tags; what is not given is not
/// there.
bool StoreObject::read_events(const Napi::CallbackInfo& info, CommitRequest& request) {
    const Napi::Env env = info.Env();
    const std::uint32_t events = length_of(env, info[1]);
    if (events == 0) {
        raise_argument(env, "commit needs at least one event.");
        return false;
    }
    const bool many = info[0].IsArray();
    const bool types = is_given(env, info[2]);
    request.whole_metadata = is_given(env, info[5]);
    texts_.clear();
    for (std::uint32_t n = 0; n < (many ? events : 1); ++n)
        (void)texts_.add(env, many ? element(env, info[0], n) : info[0]);
    for (std::uint32_t n = 0; n < events; ++n) (void)texts_.add(env, element(env, info[1], n));
    for (std::uint32_t n = 0; types && n < events; ++n)
        (void)texts_.add(env, element(env, info[2], n));
    for (std::uint32_t n = 0; request.whole_metadata && n < events; ++n)
        (void)texts_.add(env, element(env, info[5], n));
    std::size_t next = texts_.add(env, info[4]);
    if (!read_tags(env, info[3], events) || texts_.incomplete()) return false;

    std::size_t at = 0;
    request.events.resize(events);
    for (std::uint32_t n = 0; n < events; ++n)
        request.events[n].stream = texts_.view(many ? at++ : at);
    if (!many) ++at;
    for (NewEvent& event : request.events) event.data = texts_.view(at++);
    for (NewEvent& event : request.events)
        event.type = types ? texts_.view(at++) : std::string_view{};
    for (NewEvent& event : request.events)
        event.metadata = request.whole_metadata ? texts_.view(at++) : std::string_view{};
    request.members = texts_.view(next++);
    for (std::size_t n = 0; n < events; ++n) {
        request.events[n].tags.clear();
        for (std::size_t k = 0; k < tag_counts_[n]; ++k)
            request.events[n].tags.push_back(texts_.view(next++));
    }
    return true;
}

/// [selector, after, epoch, matcher or null]
bool StoreObject::read_condition(Napi::Env env, Napi::Value condition, AppendOptions& options) {
    options.condition = {};
    if (!is_given(env, condition)) return true;
    const auto parts = elements<4>(env, condition);
    if (!parts) return false;
    auto selector = selector_of(env, (*parts)[0]);
    if (!selector) {
        raise_argument(env, "The condition needs a selector.");
        return false;
    }
    options.condition.fail_if_match = *selector;
    options.condition.after.position = Position{number_of(env, (*parts)[1])};
    options.condition.after.epoch = static_cast<std::uint32_t>(number_of(env, (*parts)[2]));
    const Napi::Value matcher(env, (*parts)[3]);
    if (!is_given(env, matcher)) return true;
    options.condition.matcher = matcher_of(env, matcher);
    return options.condition.matcher.has_value();
}

Napi::Value StoreObject::commit(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    CommitRequest& request = request_;
    if (!read_events(info, request) || !read_condition(env, info[8], request.options)) return {};
    double expected = -1;
    napi_get_value_double(env, info[7], &expected);
    request.options.expected = {};
    if (expected >= 0) {
        const Expected version = Expected::version(static_cast<std::uint64_t>(expected));
        request.options.expected = Expectations({{request.events[0].stream, version}});
    }
    request.options.durability =
        is_given(env, info[9]) ? durability_of(text_of(env, info[9])) : Durability::os;
    request.committed_ms = static_cast<std::int64_t>(number_of(env, info[6]));
    for (NewEvent& event : request.events) event.time_us = request.committed_ms * 1000;
    auto done = handle_->commit(request);
    if (!done) {
        raise(env, done.error());
        return {};
    }
    void* result = nullptr;
    std::size_t length = 0;
    if (napi_get_typedarray_info(env, info[10], nullptr, &length, &result, nullptr, nullptr) ==
            napi_ok &&
        length > 0)
        *static_cast<double*>(result) = static_cast<double>(done->version);
    return Napi::Number::New(env, static_cast<double>(done->first));
}

Napi::Value StoreObject::cursor(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto now = snapshot(env);
    if (!now) return {};
    Wanted wanted;
    if (is_given(env, info[0])) {
        wanted.stream = text_of(env, info[0]);
    } else {
        auto selector = selector_of(env, info[1]);
        if (!selector) {
            raise_argument(env, "cursor needs a stream or a selector.");
            return {};
        }
        wanted.selector = *selector;
    }
    wanted.options.from = Position{number_of(env, info[2])};
    wanted.options.until = Position{number_of(env, info[3])};
    wanted.options.from_revision = Revision{number_of(env, info[4])};
    wanted.options.until_revision = Revision{number_of(env, info[5])};
    wanted.options.direction = bool_of(env, info[6]) ? Direction::backwards : Direction::forwards;
    const std::uint64_t first = number_of(env, info[7]);
    if (const std::uint64_t limit = number_of(env, info[8]); limit > 0) wanted.limit = limit;
    if (is_given(env, info[9])) {
        wanted.matcher = matcher_of(env, info[9]);
        if (!wanted.matcher) return {};
    }
    if (first > 0) {
        auto skip = events_before(*now, wanted, first);
        if (!skip) {
            raise(env, skip.error());
            return {};
        }
        wanted.skip = *skip;
    }
    return begin_cursor(env, std::move(*now), std::move(wanted));
}

Napi::Value StoreObject::cursor_at(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto now = snapshot(env);
    if (!now) return {};
    void* data = nullptr;
    std::size_t length = 0;
    napi_typedarray_type type = napi_int8_array;
    if (napi_get_typedarray_info(env, info[0], &type, &length, &data, nullptr, nullptr) !=
            napi_ok ||
        type != napi_float64_array) {
        raise_argument(env, "cursorAt needs positions as a Float64Array.");
        return {};
    }
    Wanted wanted;
    const std::span<const double> given(static_cast<const double*>(data), length);
    wanted.positions.emplace(given.begin(), given.end());
    if (is_given(env, info[1])) {
        wanted.matcher = matcher_of(env, info[1]);
        if (!wanted.matcher) return {};
    }
    return begin_cursor(env, std::move(*now), std::move(wanted));
}

Napi::Value StoreObject::positions(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto now = snapshot(env);
    if (!now) return {};
    auto selector = selector_of(env, info[0]);
    if (!selector) {
        raise_argument(env, "positions needs a selector.");
        return {};
    }
    ReadOptions options;
    options.from = Position{number_of(env, info[1])};
    options.until = Position{number_of(env, info[2])};
    if (is_given(env, info[3])) {
        options.matcher = matcher_of(env, info[3]);
        if (!options.matcher) return {};
    }
    std::vector<double> found;
    Events events = now->query(*selector, options);
    while (true) {
        auto run = events.next();
        if (!run) {
            raise(env, run.error());
            return {};
        }
        if (run->empty()) break;
        for (const EventView& event : *run)
            found.push_back(static_cast<double>(event.position.value));
    }
    Napi::Float64Array array = Napi::Float64Array::New(env, found.size());
    if (array.IsEmpty()) return {};
    if (!found.empty()) std::memcpy(array.Data(), found.data(), found.size() * sizeof(double));
    return array;
}

Napi::Value StoreObject::begin_cursor(Napi::Env env, Snapshot now, Wanted wanted) {
    auto state = std::make_shared<CursorState>();
    state->cursor = std::make_unique<Cursor>(std::move(now), std::move(wanted));
    if (cursors_.size() >= 64 && (cursors_.size() & (cursors_.size() - 1)) == 0)
        std::erase_if(cursors_, [](const auto& one) { return one.expired(); });
    cursors_.push_back(state);
    return wrapped<CursorObject>(env.GetInstanceData<Addon>()->cursor, std::move(state));
}

Napi::Value StoreObject::sync(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    auto done = handle_->store().sync();
    if (!done) {
        raise(env, done.error());
        return {};
    }
    return Napi::Number::New(env, static_cast<double>(done->value));
}

}  // namespace varve::node
