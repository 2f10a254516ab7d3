// A field of an on-disk format: what the pages under docs/format/ are compared with.
//
// Plain data, any thread. Invariant: a table of fields covers its bytes from the first to the last,
// padding included, so that no byte of a format is without a name.
#pragma once

#include <cstddef>
#include <string_view>

namespace varve::base {

struct Field {
    std::string_view name;
    std::size_t offset;
    std::size_t size;
};

}  // namespace varve::base

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): only a macro knows the name of a member.
#define VARVE_FIELD(type, name) \
    ::varve::base::Field { #name, offsetof(type, name), sizeof(type::name) }
