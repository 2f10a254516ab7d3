// An open store as the JavaScript side sees it: it gives events the metadata that
// node-event-storage gives them.
//
// Thread rule: commits by one thread, the one of the environment; `store` may be used by any.
// Invariant: nothing else appends through this store, so that the positions and versions written
// into metadata are those that the events get.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "varve/store.hpp"

namespace varve::node {

/// Events of one stream to commit. Views are borrowed for the duration of the call only.
struct CommitRequest {
    std::string_view stream{};
    std::vector<NewEvent> events{};
    /// Members of the metadata of every event, without braces: `"user":"ann"`.
    std::string_view members{};
    bool whole_metadata = false;  ///< the events carry their metadata as it is to be
    std::int64_t committed_ms = 0;
    AppendOptions options{};
};

struct CommitDone {
    std::uint64_t first = 0;    ///< position of its first event
    std::uint64_t version = 0;  ///< of the stream, before the commit
};

class Handle {
public:
    explicit Handle(Store store) noexcept : store_(std::move(store)) {}

    [[nodiscard]] Store& store() noexcept { return store_; }
    [[nodiscard]] Result<CommitDone> commit(CommitRequest& request) noexcept;

private:
    /// What a commit follows.
    struct Before {
        std::uint64_t published = 0;  ///< position
        std::uint64_t version = 0;    ///< of the stream
    };

    [[nodiscard]] Result<Before> before(std::string_view stream);
    void give_metadata(CommitRequest& request, const Before& now);

    Store store_;
    // The state behind the last commit and the stream that it was to; absent if that is not known.
    std::optional<Before> last_;
    std::string last_stream_;
    std::string text_;  // metadata of this commit
};

}  // namespace varve::node
