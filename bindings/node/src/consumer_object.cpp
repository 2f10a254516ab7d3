#include "consumer_object.hpp"

#include "convert.hpp"
#include "error.hpp"
#include "rows.hpp"

namespace varve::node {

namespace {

/// What is acknowledged on another thread.
struct Acknowledged {
    Position position{};
    std::string state{};
};

/// Acknowledges, if there is something to, and makes log and checkpoint durable; keeps both alive
/// until it is done.
class Syncing : public Napi::AsyncWorker {
public:
    Syncing(const Napi::Function& callback, std::shared_ptr<ConsumerState> state,
            std::optional<Acknowledged> acknowledged)
        : Napi::AsyncWorker(callback),
          state_(std::move(state)),
          acknowledged_(std::move(acknowledged)) {}

    void Execute() override {
        if (acknowledged_) {
            auto done = state_->consumer.ack(acknowledged_->position, acknowledged_->state);
            if (!done) {
                SetError(done.error().message);
                return;
            }
        }
        if (auto log = state_->handle->store().sync(); !log && !is_reader(log.error())) {
            SetError(log.error().message);
            return;
        }
        if (auto done = state_->consumer.sync(); !done) SetError(done.error().message);
    }

private:
    /// The log of a store that is open for reading is its writer's to sync.
    static bool is_reader(const Error& error) { return error.code == ErrorCode::permission; }

    std::shared_ptr<ConsumerState> state_;
    std::optional<Acknowledged> acknowledged_;
};

}  // namespace

Napi::Function ConsumerObject::define(Napi::Env env) {
    return DefineClass(
        env, "Consumer",
        {InstanceMethod<&ConsumerObject::fill>("fill"), InstanceMethod<&ConsumerObject::ack>("ack"),
         InstanceMethod<&ConsumerObject::seek>("seek"),
         InstanceMethod<&ConsumerObject::sync>("sync"),
         InstanceMethod<&ConsumerObject::state>("state"),
         InstanceMethod<&ConsumerObject::stored>("stored"),
         InstanceMethod<&ConsumerObject::caught_up>("caughtUp"),
         InstanceMethod<&ConsumerObject::close>("close")});
}

ConsumerObject::ConsumerObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ConsumerObject>(info) {}

bool ConsumerObject::is_open(Napi::Env env) {
    if (state_ && state_->open) return true;
    raise(env, error_of(ErrorCode::closed, "The consumer is closed."));
    return false;
}

Napi::Value ConsumerObject::fill(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const auto room = room_of(env, info[0]);
    const auto rows = static_cast<std::size_t>(number_of(env, info[1]));
    const auto want = static_cast<std::uint32_t>(number_of(env, info[2]));
    if (!room || rows == 0) {
        raise_argument(env, "fill needs a room that begins at a multiple of eight, and rows.");
        return {};
    }
    if (at_ == batch_.size()) {
        auto next = state_->consumer.next(rows, 0);
        if (!next) {
            raise(env, next.error());
            return {};
        }
        batch_ = std::move(*next);
        at_ = 0;
    }
    const auto rest = batch_.events().subspan(at_);
    std::size_t bytes = bytes_around(rows);
    std::size_t count = 0;
    while (count < rest.size() && count < rows) {
        const std::size_t more = bytes_of(rest[count], want);
        if (bytes + more > room->size()) break;
        bytes += more;
        ++count;
    }
    if (count == 0 && !rest.empty())
        return Napi::Number::New(env, -static_cast<double>(bytes + bytes_of(rest[0], want)));
    write_rows(rest.first(count), want, rows, *room);
    at_ += count;
    return Napi::Number::New(env, static_cast<double>(count));
}

Napi::Value ConsumerObject::ack(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    const Position position{number_of(env, info[0])};
    std::optional<std::string_view> state;
    std::string text;
    if (is_given(env, info[1])) state = text = text_of(env, info[1]);
    if (auto done = state_->consumer.ack(position, state); !done) raise(env, done.error());
    return env.Undefined();
}

Napi::Value ConsumerObject::seek(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    batch_ = Batch();
    at_ = 0;
    const std::string text = text_of(env, info[1]);
    auto done = state_->consumer.seek(Position{number_of(env, info[0])}, text);
    if (!done) raise(env, done.error());
    return env.Undefined();
}

Napi::Value ConsumerObject::sync(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!is_open(env)) return {};
    if (!info[0].IsFunction()) {
        raise_argument(env, "sync needs a function.");
        return {};
    }
    std::optional<Acknowledged> acknowledged;
    if (is_given(env, info[1]))
        acknowledged = Acknowledged{Position{number_of(env, info[1])}, text_of(env, info[2])};
    // It deletes itself.
    (new Syncing(info[0].As<Napi::Function>(), state_, std::move(acknowledged)))->Queue();
    return env.Undefined();
}

Napi::Value ConsumerObject::state(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::String::New(info.Env(), state_->consumer.state());
}

Napi::Value ConsumerObject::stored(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    const auto position = state_->consumer.checkpoint().position.value;
    return Napi::Number::New(info.Env(), static_cast<double>(position));
}

Napi::Value ConsumerObject::caught_up(const Napi::CallbackInfo& info) {
    if (!is_open(info.Env())) return {};
    return Napi::Boolean::New(info.Env(), at_ == batch_.size() && state_->consumer.caught_up());
}

Napi::Value ConsumerObject::close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!state_ || !state_->open) return env.Undefined();
    state_->open = false;
    batch_ = Batch();
    at_ = 0;
    if (auto done = state_->consumer.close(); !done) raise(env, done.error());
    return env.Undefined();
}

}  // namespace varve::node
