#include "store_object.hpp"

#include <algorithm>
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

/// So many events are passed over one by one; beyond, counting finds the place sooner.
constexpr std::uint64_t kPassedOver = 512;

/// The position of event number `nth` of a selector, of which there are that many: by halves, in
/// each of which the indexes count only what the one before has left.
Result<Position> position_of(const Snapshot& now, const Selector& selector, std::uint64_t nth) {
    std::uint64_t low = 1;
    std::uint64_t high = now.published().value;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        ReadOptions half;
        half.from = Position{low};
        half.until = Position{middle};
        auto count = now.count(selector, half);
        if (!count) return std::move(count).error();
        if (*count >= nth) {
            high = middle;
        } else {
            nth -= *count;
            low = middle + 1;
        }
    }
    return Position{low};
}

/// Makes a read begin with event number `first` of its selector, counted from 1 in the order of
/// the store whatever its direction.
Result<void> begin_with(const Snapshot& now, std::uint64_t first, Wanted& wanted) {
    const bool forwards = wanted.options.direction == Direction::forwards;
    if (forwards && first <= kPassedOver) {
        wanted.skip = first - 1;
        return {};
    }
    auto count = now.count(wanted.selector);
    if (!count) return std::move(count).error();
    if (forwards && *count < first) {
        wanted.limit = 0;
        return {};
    }
    if (*count <= first && !forwards) return {};
    if (!forwards && *count - first <= kPassedOver) {
        wanted.skip = *count - first;
        return {};
    }
    auto position = position_of(now, wanted.selector, first);
    if (!position) return std::move(position).error();
    wanted.options.from = *position;
    return {};
}

}  // namespace

Napi::Function StoreObject::define(Napi::Env env) {
    return DefineClass(
        env, "Store",
        {InstanceMethod<&StoreObject::close>("close"),
         InstanceMethod<&StoreObject::published>("published"),
         InstanceMethod<&StoreObject::durable>("durable"),
         InstanceMethod<&StoreObject::version>("version"),
         InstanceMethod<&StoreObject::count>("count"), InstanceMethod<&StoreObject::names>("names"),
         InstanceMethod<&StoreObject::commit>("commit"),
         InstanceMethod<&StoreObject::cursor>("cursor"),
         InstanceMethod<&StoreObject::cursor_at>("cursorAt"),
         InstanceMethod<&StoreObject::positions>("positions"),
         InstanceMethod<&StoreObject::consumer>("consumer"),
         InstanceMethod<&StoreObject::consumers>("consumers"),
         InstanceMethod<&StoreObject::watch>("watch"), InstanceMethod<&StoreObject::sync>("sync"),
         InstanceMethod<&StoreObject::sync_later>("syncLater"),
         InstanceMethod<&StoreObject::verify>("verify"),
         InstanceMethod<&StoreObject::backup>("backup"),
         InstanceMethod<&StoreObject::stats>("stats")});
}

StoreObject::StoreObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StoreObject>(info) {
    OpenOptions options;
    options.access = bool_of(info.Env(), info[1]) ? Access::read_only : Access::read_write;
    options.create = bool_of(info.Env(), info[2]) ? Create::if_missing : Create::never;
    options.durability = durability_of(text_of(info.Env(), info[3]));
    if (is_given(info.Env(), info[4]) && !take_numbers(info[4])) {
        raise_argument(info.Env(),
                       "Store needs its numbers as a Float64Array that is long enough.");
        return;
    }
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
        if (auto begun = begin_with(*now, first, wanted); !begun) {
            raise(env, begun.error());
            return {};
        }
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
