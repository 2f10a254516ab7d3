// The part of the class Store that commits: reads what JavaScript hands over, with as few calls
// as possible.
#include <array>
#include <cstring>

#include "addon.hpp"
#include "error.hpp"
#include "store_object.hpp"

namespace varve::node {

namespace {

/// Where JavaScript and `commit` tell each other numbers; lib/options.js has the same.
enum Slot : std::size_t { kCount, kCommittedAt, kExpected, kLookedForNull, kVersion, kSlots };

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

/// Eight at a time, without a branch in between: what is looked for is seldom there.
bool has_null(std::string_view text) noexcept {
    constexpr std::size_t kBlock = 64;
    const char* at = text.data();
    std::size_t left = text.size();
    while (left >= kBlock + 3) {
        unsigned found = 0;
        for (std::size_t n = 0; n < kBlock; ++n) {
            found |= static_cast<unsigned>(at[n] == 'n') & static_cast<unsigned>(at[n + 1] == 'u') &
                     static_cast<unsigned>(at[n + 2] == 'l') &
                     static_cast<unsigned>(at[n + 3] == 'l');
        }
        if (found != 0) return true;
        at += kBlock;
        left -= kBlock;
    }
    return std::string_view(at, left).find("null") != std::string_view::npos;
}

}  // namespace

bool StoreObject::read_tags(Napi::Env env, napi_value tags, std::size_t events) {
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

/// Texts that an array has, or that a string has with a line feed between them.
bool StoreObject::read_data(Napi::Env env, napi_value texts, std::size_t events) {
    bool array = false;
    if (napi_is_array(env, texts, &array) != napi_ok) return false;
    if (!array) return texts_.add_lines(env, texts, events);
    for (std::uint32_t n = 0; n < events; ++n) (void)texts_.add(env, element(env, texts, n));
    return true;
}

/// [types, tags, metadata, condition]; each may be null.
bool StoreObject::read_more(Napi::Env env, napi_value more, std::uint32_t events) {
    const auto parts = elements<4>(env, more);
    if (!parts) return false;
    const auto& [types, tags, metadata, condition] = *parts;
    std::size_t next = texts_.size();
    const bool typed = is_given(env, types);
    request_.whole_metadata = is_given(env, metadata);
    for (std::uint32_t n = 0; typed && n < events; ++n)
        (void)texts_.add(env, element(env, types, n));
    for (std::uint32_t n = 0; request_.whole_metadata && n < events; ++n)
        (void)texts_.add(env, element(env, metadata, n));
    if (!read_tags(env, tags, events) || texts_.incomplete()) return false;
    for (NewEvent& event : request_.events)
        if (typed) event.type = texts_.view(next++);
    for (NewEvent& event : request_.events)
        if (request_.whole_metadata) event.metadata = texts_.view(next++);
    for (std::size_t n = 0; n < events; ++n)
        for (std::size_t k = 0; k < tag_counts_[n]; ++k)
            request_.events[n].tags.push_back(texts_.view(next++));
    return !is_given(env, condition) || read_condition(env, condition);
}

/// [selector, after, matcher or null]
bool StoreObject::read_condition(Napi::Env env, napi_value condition) {
    AppendOptions& options = request_.options;
    const auto parts = elements<3>(env, condition);
    if (!parts) return false;
    auto selector = selector_of(env, (*parts)[0]);
    if (!selector) {
        raise_argument(env, "The condition needs a selector.");
        return false;
    }
    options.condition.fail_if_match = *selector;
    options.condition.after.position = Position{number_of(env, (*parts)[1])};
    if (!is_given(env, (*parts)[2])) return true;
    options.condition.matcher = matcher_of(env, (*parts)[2]);
    return options.condition.matcher.has_value();
}

/// Everything but what `more` says; views are made when all texts are there, for they move.
bool StoreObject::read_events(const Napi::CallbackInfo& info, std::uint32_t events) {
    const Napi::Env env = info.Env();
    texts_.clear();
    (void)texts_.add(env, info[0]);
    (void)texts_.add(env, info[2]);
    if (!read_data(env, info[1], events) || texts_.incomplete()) return false;
    request_.events.resize(events);
    request_.whole_metadata = false;
    request_.options.condition = {};
    for (NewEvent& event : request_.events) {
        event.type = event.metadata = {};
        event.tags.clear();
    }
    const bool more = is_given(env, info[3]);
    // Before the views of what is already there: more texts may move it.
    if (more && !read_more(env, info[3], events)) return false;
    request_.stream = texts_.view(0);
    request_.members = texts_.view(1);
    for (std::size_t n = 0; n < events; ++n) {
        NewEvent& event = request_.events[n];
        event.stream = request_.stream;
        event.data = texts_.view(2 + n);
    }
    return true;
}

Napi::Value StoreObject::commit(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const auto events = numbers_ == nullptr || !(numbers_[kCount] >= 1)
                            ? 0
                            : static_cast<std::uint32_t>(numbers_[kCount]);
    if (events == 0) {
        raise_argument(env, "commit needs at least one event.");
        return {};
    }
    if (!read_events(info, events)) return {};
    if (numbers_[kLookedForNull] == 0 && has_null(texts_.views(2, 2 + events)))
        return Napi::Number::New(env, -1);
    request_.options.expected = {};
    if (numbers_[kExpected] >= 0)
        request_.options.expected =
            Expected::version(static_cast<std::uint64_t>(numbers_[kExpected]));
    request_.committed_ms = static_cast<std::int64_t>(numbers_[kCommittedAt]);
    for (NewEvent& event : request_.events) event.time_us = request_.committed_ms * 1000;
    auto done = handle_->commit(request_);
    if (!done) {
        raise(env, done.error());
        return {};
    }
    numbers_[kVersion] = static_cast<double>(done->version);
    return Napi::Number::New(env, static_cast<double>(done->first));
}

bool StoreObject::take_numbers(Napi::Value given) {
    void* data = nullptr;
    std::size_t length = 0;
    napi_typedarray_type type = napi_int8_array;
    const napi_status got =
        napi_get_typedarray_info(given.Env(), given, &type, &length, &data, nullptr, nullptr);
    if (got != napi_ok || type != napi_float64_array || length < kSlots) return false;
    numbers_kept_ = Napi::Persistent(given.As<Napi::Object>());
    numbers_ = static_cast<double*>(data);
    return true;
}

}  // namespace varve::node
