// The public matcher: a shared pointer to a program that never changes.
//
// Any thread.
#include "varve/matcher.hpp"

#include "match/program.hpp"

namespace varve {
inline namespace v0 {

Matcher::Matcher(std::shared_ptr<const match::Program> program) noexcept
    : program_(std::move(program)) {}

Result<Matcher> Matcher::compile(std::string_view json) noexcept {
    auto definition = match::parse_definition(json);
    if (!definition) return std::move(definition).error();
    return Matcher(std::make_shared<const match::Program>(*definition));
}

bool Matcher::matches(std::string_view data, std::string_view metadata) const noexcept {
    return program_->matches(data, metadata);
}

std::string_view Matcher::text() const noexcept { return program_->text(); }

}  // namespace v0
}  // namespace varve
