#include "base/assert.hpp"

namespace varve::base {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    // Kept in registers and on the stack so that a core dump or debugger shows them; the library
    // never prints.
    [[maybe_unused]] const char* volatile what = expression;
    [[maybe_unused]] const char* volatile where = file;
    [[maybe_unused]] const volatile int at = line;
    __builtin_trap();
}

}  // namespace varve::base
