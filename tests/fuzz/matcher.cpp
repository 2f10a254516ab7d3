// Fuzz target: the first line is the definition of a matcher, the rest is data. Compiling and
// matching read nothing outside them and end; a canonical text means the same and is its own; what
// cannot be read has no value at any path.
#include "varve/matcher.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "match/json_path.hpp"

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace varve;
    const void* const line = size == 0 ? nullptr : std::memchr(data, '\n', size);
    const std::size_t end =
        line == nullptr ? size
                        : static_cast<std::size_t>(static_cast<const unsigned char*>(line) - data);
    // Copies of exactly these sizes, so that the sanitizer sees a read behind them.
    const std::vector<char> first(data, data + end);
    const std::vector<char> rest(data + (end == size ? size : end + 1), data + size);
    const std::string_view definition(first.data(), first.size());
    const std::string_view json(rest.data(), rest.size());
    const std::vector<std::string> path{"a", "b"};
    for (const match::Scalar& value : match::values_at(json, path)) must(!to_json(value).empty());
    const Result<Matcher> matcher = Matcher::compile(definition);
    if (!matcher) {
        must(!matcher.error().message.empty());
        return 0;
    }
    const Result<Matcher> again = Matcher::compile(matcher->text());
    // Escapes may be spelt longer in the canonical text, so that it alone exceeds a limit.
    if (!again) {
        must(matcher->text().size() > 65536);
        return 0;
    }
    must(again->text() == matcher->text());
    must(again->matches(json, json) == matcher->matches(json, json));
    must(again->matches(json, {}) == matcher->matches(json, {}));
    return 0;
}
