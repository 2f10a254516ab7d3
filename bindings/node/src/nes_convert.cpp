#include "nes_convert.hpp"

#include "convert.hpp"

namespace varve::node {

void take_file_options(const Napi::Object& given, nes::FileOptions& into) {
    const Napi::Env env = given.Env();
    into.access =
        given.Get("readOnly").ToBoolean().Value() ? Access::read_only : Access::read_write;
    into.hold_open = into.access == Access::read_write;
    into.create = given.Get("create").ToBoolean().Value();
    into.sync_on_flush = given.Get("syncOnFlush").ToBoolean().Value();
    const std::string layout = text_of(env, given.Get("layout"));
    if (layout == "classic") into.layout = nes::Layout::classic;
    if (layout == "mapped") into.layout = nes::Layout::mapped;
    const std::uint64_t ahead = number_of(env, given.Get("writeAhead"));
    if (ahead > 0) into.write_ahead_bytes = ahead;
}

std::int64_t signed_of(napi_env env, napi_value value) noexcept {
    std::int64_t number = 0;
    return napi_get_value_int64(env, value, &number) == napi_ok ? number : 0;
}

std::uint32_t word_of(napi_env env, napi_value value) noexcept {
    std::uint32_t number = 0;
    return napi_get_value_uint32(env, value, &number) == napi_ok ? number : 0;
}

Napi::Value change_to(Napi::Env env, const nes::Change& change) {
    if (!change) return env.Null();
    Napi::Array both = Napi::Array::New(env, 2);
    both.Set(0U, static_cast<double>(change.appended));
    both.Set(1U, static_cast<double>(change.truncated));
    return both;
}

}  // namespace varve::node
