#include "handle.hpp"

#include <charconv>
#include <new>

#include "error.hpp"

namespace varve::node {

namespace {

void put_number(std::string& text, std::uint64_t number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

Result<Handle::Before> Handle::before(std::string_view stream) {
    if (last_ && last_stream_ == stream) return *last_;
    auto now = store_.snapshot();
    if (!now) return std::move(now).error();
    auto version = now->version(stream);
    if (!version) return std::move(version).error();
    return Before{now->published().value, *version};
}

/// What differs between the events stands between what all of them have.
void Handle::give_metadata(CommitRequest& request, const Before& now) {
    std::string head = R"({"commitId":)";
    put_number(head, now.published);
    head += R"(,"committedAt":)";
    put_number(head, static_cast<std::uint64_t>(request.committed_ms));
    head += R"(,"commitVersion":)";
    std::string middle = R"(,"commitSize":)";
    put_number(middle, request.events.size());
    if (!request.members.empty()) middle.append(",").append(request.members);
    middle += R"(,"streamVersion":)";
    constexpr std::size_t kNumbers = 48;  // bytes of two numbers and the brace, at most
    text_.clear();
    text_.reserve(request.events.size() *
                  (head.size() + middle.size() + kNumbers));  // nothing moves from here on
    for (std::size_t n = 0; n < request.events.size(); ++n) {
        const std::size_t begin = text_.size();
        text_ += head;
        put_number(text_, n);
        text_ += middle;
        put_number(text_, now.version + n);
        text_.push_back('}');
        request.events[n].metadata = std::string_view(text_).substr(begin);
    }
}

Result<CommitDone> Handle::commit(CommitRequest& request) noexcept try {
    auto now = before(request.stream);
    last_.reset();
    if (!now) return std::move(now).error();
    if (!request.whole_metadata) give_metadata(request, *now);
    auto appended = store_.append(request.events, request.options);
    if (!appended) return std::move(appended).error();
    last_stream_ = request.stream;
    last_ = Before{appended->last.value, now->version + request.events.size()};
    return CommitDone{appended->first.value, now->version};
} catch (const std::bad_alloc&) {
    return error_of(ErrorCode::out_of_memory, "There is no memory for a commit. Make it smaller.");
}

}  // namespace varve::node
