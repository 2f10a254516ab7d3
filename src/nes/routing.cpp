// Most indexes take the documents of one stream: those are found by its name, the others tried.
#include "nes/routing.hpp"

#include <algorithm>

#include "nes/json.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

/// The stream, if the matcher asks for one and nothing else.
std::optional<std::string> only_stream(std::string_view matcher) {
    const auto field = json_field(matcher, "stream");
    if (!field) return std::nullopt;
    if (matcher != "{\"stream\":" + std::string(*field) + "}") return std::nullopt;
    return json_string(*field);
}

}  // namespace

Result<void> Routing::add(std::size_t index, std::string_view matcher) noexcept {
    if (matcher == "{}") {
        everything_.push_back(index);
        return {};
    }
    if (auto stream = only_stream(matcher)) {
        streams_[*stream].push_back(index);
        return {};
    }
    auto compiled = Matcher::compile("{\"data\":" + std::string(matcher) + "}");
    if (!compiled) return std::move(compiled).error();
    others_.push_back({std::move(*compiled), index});
    return {};
}

void Routing::route(std::string_view document, std::vector<std::size_t>& into) const {
    into = everything_;
    if (!streams_.empty()) {
        const auto field = json_field(document, "stream");
        const auto stream = field ? json_string(*field) : std::nullopt;
        const auto found = stream ? streams_.find(*stream) : streams_.end();
        if (found != streams_.end())
            into.insert(into.end(), found->second.begin(), found->second.end());
    }
    for (const Other& other : others_)
        if (other.matcher.matches(document, {})) into.push_back(other.index);
    std::sort(into.begin(), into.end());
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
