// Matcher: a predicate over the JSON in an event's data and metadata.
//
// Thread rule: a matcher never changes; copies share it and every call may come from any thread.
//
// A definition is a JSON object with the fields `data` and `metadata`, one of them or both; all
// that it demands must hold:
//
//   {"data": {"customer": {"city": "Ulm"}, "state": ["paid", "sent"], "amount": {"$gte": 10.5},
//             "labels": {"$has": "urgent"}}, "metadata": {"user": "ann"}}
//
// A scalar demands that the field equals it, a list of scalars that it equals one of them, an
// object that the field is an object whose fields satisfy it. Keys that begin with `$` are
// operators: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$has` (the field is an array that has the
// value), `$hasAny` (… one of the values). A field that is missing satisfies nothing, also not
// `$ne`. Numbers compare as exact decimals and strings by code points, however both are spelt;
// values of different kinds are different and neither is greater. Of a key that comes twice the
// last one counts.
//
// Limits: 64 KiB, nested 64 deep, 1,024 fields and values. docs/matchers.md tells the rest.
#pragma once

#include <memory>
#include <string_view>

#include "varve/export.hpp"
#include "varve/result.hpp"

namespace varve {

namespace match {
class Program;
}

inline namespace v0 {

class VARVE_EXPORT Matcher {
public:
    /// Reads a definition. `invalid_argument` says at which byte of it something is wrong and what
    /// to do: it is not JSON or not such an object, an operator is unknown, an object or list is
    /// empty, a limit is exceeded.
    [[nodiscard]] static Result<Matcher> compile(std::string_view json) noexcept;

    /// Whether an event with these bytes satisfies the definition. Each of the two that the
    /// definition speaks of must be one whole JSON text (RFC 8259, UTF-8, at most 1,024 deep);
    /// otherwise the answer is no. The other one is not looked at. Takes time proportional to the
    /// bytes, however they are made, allocates nothing and keeps nothing.
    [[nodiscard]] bool matches(std::string_view data, std::string_view metadata) const noexcept;

    /// The definition in its canonical form: keys sorted, values sorted and each once, one
    /// spelling of every number and string. Definitions that differ only in such things have equal
    /// texts. Valid as long as this matcher or a copy of it lives.
    [[nodiscard]] std::string_view text() const noexcept;

    /// What it was made into: for the store, which asks what events can be sorted by.
    [[nodiscard]] const match::Program& program() const noexcept { return *program_; }

private:
    explicit Matcher(std::shared_ptr<const match::Program> program) noexcept;

    std::shared_ptr<const match::Program> program_;
};

}  // namespace v0
}  // namespace varve
