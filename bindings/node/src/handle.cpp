#include "handle.hpp"

#include <charconv>
#include <new>

#include "error.hpp"

namespace varve::node {

namespace {

constexpr std::size_t kNumbers =
    192;  // bytes of the keys and numbers in the metadata of one event, at most

void put_number(std::string& text, std::string_view key, std::uint64_t number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text.append(key).append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

Result<std::uint64_t> Handle::next_version(std::string_view stream, const Snapshot& now) {
    for (StreamVersion& one : versions_)
        if (one.stream == stream) return one.version++;
    auto version = now.version(stream);
    if (!version) return std::move(version).error();
    versions_.push_back({stream, *version + 1});
    return *version;
}

Result<void> Handle::give_metadata(CommitRequest& request, const Snapshot& now) {
    const std::uint64_t commit_id = now.published().value;
    std::vector<NewEvent>& events = request.events;
    text_.clear();
    text_.reserve(events.size() *
                  (kNumbers + request.members.size()));  // nothing moves from here on
    for (std::size_t n = 0; n < events.size(); ++n) {
        auto version = next_version(events[n].stream, now);
        if (!version) return std::move(version).error();
        if (request.whole_metadata) continue;
        const std::size_t begin = text_.size();
        put_number(text_, R"({"commitId":)", commit_id);
        put_number(text_, R"(,"committedAt":)", static_cast<std::uint64_t>(request.committed_ms));
        put_number(text_, R"(,"commitVersion":)", n);
        put_number(text_, R"(,"commitSize":)", events.size());
        if (!request.members.empty()) text_.append(",").append(request.members);
        put_number(text_, R"(,"streamVersion":)", *version);
        text_.push_back('}');
        events[n].metadata = std::string_view(text_).substr(begin);
    }
    return {};
}

Result<CommitDone> Handle::commit(CommitRequest& request) noexcept try {
    const std::lock_guard lock(commits_);
    auto now = store_.snapshot();
    if (!now) return std::move(now).error();
    versions_.clear();
    CommitDone done;
    auto version = now->version(request.events.front().stream);
    if (!version) return std::move(version).error();
    done.version = *version;
    versions_.push_back({request.events.front().stream, *version});
    if (auto given = give_metadata(request, *now); !given) return std::move(given).error();
    auto appended = store_.append(request.events, request.options);
    if (!appended) return std::move(appended).error();
    done.first = appended->first.value;
    return done;
} catch (const std::bad_alloc&) {
    return error_of(ErrorCode::out_of_memory, "There is no memory for a commit. Make it smaller.");
}

}  // namespace varve::node
