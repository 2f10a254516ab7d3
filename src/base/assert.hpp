// The three macros of the house: ASSERT for bugs, TRY for errors on their way up, UNREACHABLE for
// the impossible.
//
// ASSERT is for programmer errors only; bytes from disk are suspects and get a Result instead.
#pragma once

namespace varve::base {

/// Reports a broken invariant and stops the process: going on would risk the log.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace varve::base

// NOLINTBEGIN(cppcoreguidelines-macro-usage): file, line and early return need macros.
#if defined(VARVE_NO_ASSERT)
#define VARVE_ASSERT(expr) static_cast<void>(sizeof(expr))
#else
#define VARVE_ASSERT(expr)                        \
    (__builtin_expect(static_cast<bool>(expr), 1) \
         ? static_cast<void>(0)                   \
         : ::varve::base::assertion_failed(#expr, __FILE__, __LINE__))
#endif

#define VARVE_UNREACHABLE() ::varve::base::assertion_failed("unreachable", __FILE__, __LINE__)

/// Returns the error of `expr` (a Result) from the enclosing function, if it has one.
#define VARVE_TRY(expr)                                \
    do {                                               \
        if (auto try_result_ = (expr); !try_result_) { \
            return std::move(try_result_).error();     \
        }                                              \
    } while (false)
// NOLINTEND(cppcoreguidelines-macro-usage)
