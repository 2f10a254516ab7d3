// Between JavaScript values and those of the store.
//
// Thread rule: the thread of the environment that the values belong to.
#pragma once

#include <napi.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/store.hpp"

namespace varve::node {

/// Makes `error` the pending exception of `env`: an Error with `code`, and with `file`, `offset`,
/// `stream`, `version`, `position`, `type`, `tags` where they say something.
void raise(Napi::Env env, const Error& error);
/// The same for a call that is wrong.
void raise_argument(Napi::Env env, const char* message);

/// The text of a string; empty for anything else.
[[nodiscard]] std::string text_of(napi_env env, napi_value value);
[[nodiscard]] std::uint64_t number_of(napi_env env, napi_value value) noexcept;
/// False for what is no boolean.
[[nodiscard]] bool bool_of(napi_env env, napi_value value) noexcept;
/// Neither undefined nor null.
[[nodiscard]] bool is_given(napi_env env, napi_value value) noexcept;

/// The bytes of a Uint8Array that begins at a multiple of eight; absent for anything else.
[[nodiscard]] std::optional<std::span<char>> room_of(napi_env env, napi_value value) noexcept;

/// A selector in postfix order, as an array of strings: `*` all, `sNAME` stream, `cNAME` category,
/// `tNAME` type, `gNAME` tag, `dNAME` derived stream, `|N` union and `&N` intersection of the N
/// before it, `!` complement of the one before it. Absent if it is no such array.
[[nodiscard]] std::optional<Selector> selector_of(napi_env env, napi_value value);

/// Texts of many strings, one behind the other, copied once each.
class Texts {
public:
    /// Number of the text, for `view`.
    [[nodiscard]] std::size_t add(napi_env env, napi_value string);
    /// Valid until the next `add` or `clear`.
    [[nodiscard]] std::string_view view(std::size_t number) const noexcept {
        return {bytes_.data() + ends_[number], ends_[number + 1] - ends_[number]};
    }
    [[nodiscard]] std::size_t size() const noexcept { return ends_.size() - 1; }
    void clear();

    /// Some text could not be read, because the worker is being ended: nothing may be made of them.
    [[nodiscard]] bool incomplete() const noexcept { return incomplete_; }

private:
    bool incomplete_ = false;
    std::vector<char> bytes_ = std::vector<char>(kFirst);
    std::vector<std::size_t> ends_{0};
    static constexpr std::size_t kFirst = 4096;
    static constexpr std::size_t kKept = 4 << 20;
};

}  // namespace varve::node
