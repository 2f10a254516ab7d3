// An open store as the JavaScript side sees it: it gives events the metadata that
// node-event-storage gives them.
//
// Thread rule: any thread; commits are made one after the other. Invariant: nothing else appends
// through this store, so that the positions and versions written into metadata are those that the
// events get.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "varve/store.hpp"

namespace varve::node {

/// Events to commit. Views are borrowed for the duration of the call only.
struct CommitRequest {
    std::vector<NewEvent> events{};
    /// Members of the metadata of every event, without braces: `"user":"ann"`.
    std::string_view members{};
    bool whole_metadata = false;  ///< the events carry their metadata as it is to be
    std::int64_t committed_ms = 0;
    AppendOptions options{};
};

struct CommitDone {
    std::uint64_t first = 0;    ///< position of its first event
    std::uint64_t version = 0;  ///< of the first event's stream, before the commit
};

class Handle {
public:
    explicit Handle(Store store) noexcept : store_(std::move(store)) {}

    [[nodiscard]] Store& store() noexcept { return store_; }
    [[nodiscard]] Result<CommitDone> commit(CommitRequest& request) noexcept;

private:
    [[nodiscard]] Result<void> give_metadata(CommitRequest& request, const Snapshot& now);
    /// The version of `stream`, counted up with every call.
    [[nodiscard]] Result<std::uint64_t> next_version(std::string_view stream, const Snapshot& now);

    Store store_;
    std::mutex commits_;
    std::vector<StreamVersion> versions_;  // of the streams of this commit
    std::string text_;                     // metadata of this commit
};

}  // namespace varve::node
