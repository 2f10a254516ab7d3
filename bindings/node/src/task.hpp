// One call of the store on a thread of Node's pool, so that the event loop goes on meanwhile.
//
// Thread rule: made on the thread of its environment, which also gets the answer; the work runs on
// another one. Invariants: the work owns what it uses; JavaScript's memory is touched by it only in
// `Cells`, word by word and atomically. An environment that ends waits for it.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "convert.hpp"

namespace varve::node {

/// Three words of a BigUint64Array on shared memory: what is done, what there is in all, and
/// whether JavaScript wants it to end.
class Cells {
public:
    /// Absent if `value` is no such array. The caller keeps the array alive.
    static std::optional<Cells> of(napi_env env, napi_value value) noexcept {
        void* data = nullptr;
        std::size_t length = 0;
        napi_typedarray_type type = napi_int8_array;
        if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) !=
                napi_ok ||
            type != napi_biguint64_array || length != 3)
            return std::nullopt;
        return Cells(static_cast<std::uint64_t*>(data));
    }

    /// False: end it.
    [[nodiscard]] bool tell(std::uint64_t done, std::uint64_t total) const noexcept {
        std::atomic_ref(words_[1]).store(total);
        std::atomic_ref(words_[0]).store(done);
        return std::atomic_ref(words_[2]).load() == 0;
    }

private:
    explicit Cells(std::uint64_t* words) noexcept : words_(words) {}
    std::uint64_t* words_;
};

/// Calls `callback(error)` or `callback(null, answer)` when it is done, and deletes itself.
template <typename Answer>
class Task : public Napi::AsyncWorker {
public:
    using Work = std::function<Result<Answer>()>;
    using Convert = Napi::Value (*)(Napi::Env, const Answer&);

    /// `kept` is JavaScript's object that the work uses, or empty.
    static void start(const Napi::Function& callback, Napi::Value kept, Work work,
                      Convert convert) {
        auto* const task = new Task(callback, std::move(work), convert);
        if (kept.IsObject()) task->kept_ = Napi::Persistent(kept.As<Napi::Object>());
        task->Queue();
    }

protected:
    void Execute() override { answer_.emplace(work_()); }

    void OnOK() override {
        const Napi::Env env = Env();
        work_ = {};  // what it owns may go before JavaScript goes on
        if (*answer_) {
            Callback().Call({env.Null(), convert_(env, **answer_)});
            return;
        }
        raise(env, answer_->error());
        Callback().Call({env.GetAndClearPendingException().Value()});
    }

private:
    Task(const Napi::Function& callback, Work work, Convert convert)
        : Napi::AsyncWorker(callback, "varve"), work_(std::move(work)), convert_(convert) {}

    Work work_;
    Convert convert_;
    std::optional<Result<Answer>> answer_{};
    Napi::ObjectReference kept_{};
};

}  // namespace varve::node
