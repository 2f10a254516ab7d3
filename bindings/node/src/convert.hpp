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

/// Of a text of JSON. Absent and an exception, if it cannot be compiled.
[[nodiscard]] std::optional<Matcher> matcher_of(napi_env env, napi_value json);

/// Texts of many strings, one behind the other, copied once each.
class Texts {
public:
    /// Number of the text, for `view`.
    [[nodiscard]] std::size_t add(napi_env env, napi_value string);
    /// Adds the `count` texts that a string has with a line feed between them; false if it has
    /// another number of them, and then nothing may be made of them.
    [[nodiscard]] bool add_lines(napi_env env, napi_value string, std::size_t count);
    /// Valid until the next `add` or `clear`.
    [[nodiscard]] std::string_view view(std::size_t number) const noexcept {
        const Text& text = texts_[number];
        return {bytes_.data() + text.begin, text.end - text.begin};
    }
    /// From one text up to before another one, as one.
    [[nodiscard]] std::string_view views(std::size_t from, std::size_t until) const noexcept {
        return from == until ? std::string_view{}
                             : std::string_view(bytes_.data() + texts_[from].begin,
                                                texts_[until - 1].end - texts_[from].begin);
    }
    [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }
    void clear();

    /// Some text could not be read, because the worker is being ended: nothing may be made of them.
    [[nodiscard]] bool incomplete() const noexcept { return incomplete_; }

private:
    struct Text {
        std::size_t begin = 0;
        std::size_t end = 0;
    };

    /// Copies it behind everything else.
    void copy(napi_env env, napi_value string);

    bool incomplete_ = false;
    std::vector<char> bytes_ = std::vector<char>(kFirst);
    std::size_t used_ = 0;
    std::vector<Text> texts_;
    static constexpr std::size_t kFirst = 4096;
    static constexpr std::size_t kKept = 4 << 20;
};

}  // namespace varve::node
