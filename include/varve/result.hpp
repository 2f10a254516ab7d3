// Errors as values: an error code that never changes its spelling, and `Result<T>`, a value or an
// error.
//
// Thread rule: plain values. Invariant: a Result holds exactly one of value and error.
// Source of the idea: std::expected (C++23), whose spelling is kept so that it can take over one
// day.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "varve/export.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

/// What went wrong. The spelling of each name (see `to_string`) is part of the public contract.
enum class ErrorCode : std::uint8_t {
    wrong_expected_version,  ///< a stream is not at the version the append expected
    condition_failed,        ///< events match the append condition after its position
    id_conflict,             ///< an event id exists already, and not as a repetition of this append
    stale,                   ///< the position given belongs to a history that was lost
    no_space,                ///< the disk is full; goes away by itself once there is room
    corrupt,                 ///< bytes on disk fail their checksum or their format
    erased,                  ///< the event's content was erased on request
    locked,                  ///< another process has the store open for writing
    busy,                    ///< too much work is waiting; try again
    poisoned,                ///< refused because of an earlier I/O failure; reopen the store
    durability_lost,         ///< this append (or what was read) may not survive a power cut
    closed,                  ///< the handle is closed
    too_large,               ///< a limit is exceeded
    invalid_argument,        ///< the call itself is wrong
    not_found,               ///< what was asked for does not exist
    not_a_store,             ///< the directory holds something else
    unsupported_version,     ///< written by a newer format; left untouched
    unsupported_filesystem,  ///< the file system cannot keep the promises
    permission,              ///< the operating system refused access
    out_of_memory,           ///< an allocation failed
    io,                      ///< the operating system reported an I/O error
};

/// The stable spelling of `code`, the same in every language and protocol. Lives for ever.
[[nodiscard]] VARVE_EXPORT std::string_view to_string(ErrorCode code) noexcept;

/// One failure: what, in words, and where.
struct Error {
    ErrorCode code = ErrorCode::io;
    std::string message;       ///< one sentence for people: what happened and what to do
    std::string file;          ///< the file concerned, or empty
    std::uint64_t offset = 0;  ///< byte offset in `file`, 0 if it does not apply
    bool retry = false;        ///< the same call may succeed later without any other action
    std::string stream;  ///< the stream concerned, for `wrong_expected_version` and the next ones
    std::uint64_t version = 0;  ///< the version `stream` really has, for `wrong_expected_version`
    // Of the event that is in the way, for `id_conflict` and `condition_failed`.
    Position position{};
    std::string type;
    std::vector<std::string> tags;
};

/// A value of type T or an Error. Move-only values are fine. Look before you dereference.
template <class T>
class [[nodiscard]] Result {
public:
    // A Result is made from what a function returns, so both conversions are implicit on purpose.
    // NOLINTBEGIN(google-explicit-constructor)
    Result(T value) noexcept : value_(std::move(value)) {}
    Result(Error error) : error_(std::make_unique<Error>(std::move(error))) {}
    // NOLINTEND(google-explicit-constructor)

    [[nodiscard]] bool has_value() const noexcept { return error_ == nullptr; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] T& value() & noexcept { return *value_; }
    [[nodiscard]] const T& value() const& noexcept { return *value_; }
    [[nodiscard]] T&& value() && noexcept { return std::move(*value_); }
    [[nodiscard]] T& operator*() & noexcept { return *value_; }
    [[nodiscard]] const T& operator*() const& noexcept { return *value_; }
    [[nodiscard]] T&& operator*() && noexcept { return std::move(*value_); }
    [[nodiscard]] T* operator->() noexcept { return &*value_; }
    [[nodiscard]] const T* operator->() const noexcept { return &*value_; }

    [[nodiscard]] Error& error() & noexcept { return *error_; }
    [[nodiscard]] const Error& error() const& noexcept { return *error_; }
    [[nodiscard]] Error&& error() && noexcept { return std::move(*error_); }

private:
    std::optional<T> value_;
    std::unique_ptr<Error> error_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() noexcept = default;
    // NOLINTNEXTLINE(google-explicit-constructor): as above
    Result(Error error) : error_(std::make_unique<Error>(std::move(error))) {}

    [[nodiscard]] bool has_value() const noexcept { return error_ == nullptr; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] Error& error() & noexcept { return *error_; }
    [[nodiscard]] const Error& error() const& noexcept { return *error_; }
    [[nodiscard]] Error&& error() && noexcept { return std::move(*error_); }

private:
    std::unique_ptr<Error> error_;
};

}  // namespace v0
}  // namespace varve
