#include "nes_repair_function.hpp"

#include "convert.hpp"
#include "varve/nes.hpp"

namespace varve::node {

Napi::Value repair_storage(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    nes::StorageOptions options;
    options.name = text_of(env, info[1]);
    options.index_directory = text_of(env, info[2]);
    options.access = Access::read_write;
    options.lock = info[3].ToBoolean().Value() ? nes::Lock::take_over : nes::Lock::refuse;
    options.leave_unknown_indexes = true;  // JavaScript fills those of functions
    auto storage = nes::Storage::open(text_of(env, info[0]), options);
    if (!storage) {
        raise(env, storage.error());
        return {};
    }
    const nes::RepairReport report = storage->repaired();
    const std::uint64_t length = storage->length();
    if (auto closed = storage->close(); !closed) {
        raise(env, closed.error());
        return {};
    }
    Napi::Object answer = Napi::Object::New(env);
    answer.Set("anything", report.anything());
    answer.Set("torn", static_cast<double>(report.torn));
    answer.Set("dropped", static_cast<double>(report.dropped));
    answer.Set("unindexed", static_cast<double>(report.unindexed));
    answer.Set("length", static_cast<double>(length));
    return answer;
}

}  // namespace varve::node
