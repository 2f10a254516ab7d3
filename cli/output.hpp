// Everything the command line writes: results to standard output, complaints to the error stream.
//
// Main thread only. Invariant: a result that could not be written is an error, never silence; what
// comes from data, names or arguments reaches a terminal with its control characters escaped.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <varve/result.hpp>

namespace varve::cli {

enum ExitCode { kOk = 0, kRefused = 1, kUsage = 2, kDamaged = 3 };

/// Standard output cannot be written: `error` is the errno. EPIPE means that the reader went away.
struct OutputFailed {
    int error = 0;
};

/// Buffers `text` for standard output. Throws OutputFailed if a full buffer cannot be written.
void put(std::string_view text);
/// Writes what `put` has buffered, or throws OutputFailed.
void flush_output();
/// True once nobody reads standard output any more (a pipe whose other end is closed).
bool output_abandoned();

template <class... Arguments>
void print(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    put(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Writes one complaint to the error stream, escaped; an object {"error":{…}} after
/// `errors_as_json`.
void complain_text(std::string_view message);
template <class... Arguments>
void complain(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    complain_text(fmt::format(format, std::forward<Arguments>(arguments)...));
}
void errors_as_json();

/// Complains of an error with its place; returns the exit code it stands for.
int report(const Error& error);

/// `text` so that it cannot steer a terminal: control characters (C0, C1, DEL), characters that
/// change the direction of writing, and bytes that are not UTF-8 as escapes. At most about `limit`
/// bytes, then "…".
std::string printable(std::string_view text, std::size_t limit = ~std::size_t{0});

/// True if colours are wanted on standard output: a terminal, and NO_COLOR unset or empty.
bool colours();

/// "1.2 MB" and the like.
std::string human_bytes(std::uint64_t bytes);

}  // namespace varve::cli
