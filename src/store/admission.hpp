// Admission: checks an append against the limits, measures it, hashes its names. Outside every
// lock.
//
// One Plan per thread, reused. In: the caller's events, borrowed. Out: a Plan that holds views into
// them. Invariant: an admitted plan can be placed without any further allocation and without any
// further check of its contents.
#pragma once

#include <span>
#include <vector>

#include "index/head_cache.hpp"
#include "store/condition.hpp"
#include "store/meta.hpp"
#include "store/routing.hpp"
#include "store/rule_book.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

// Limits. Lengths are chosen so that every field of the format holds them with room to spare.
using log::kMaxDataBytes;
using log::kMaxMetadataBytes;
using log::kMaxNameBytes;
inline constexpr std::size_t kMaxCommitEvents = 65'536;
inline constexpr std::uint64_t kMaxCommitBytes = 256ULL << 20;

/// A stream that the append writes, or only makes a demand of.
struct PlannedStream {
    index::Key key = 0;
    std::string_view name{};
    index::Head head{};  ///< filled in under the writer's lock
    std::uint32_t events = 0;
    Expected expected{};
};

struct PlannedEvent {
    log::RecordInput input{};
    const std::int64_t* time_us = nullptr;  ///< null: the time of the append
    std::uint32_t stream = 0;               ///< index into `streams`, or kNoStream
    std::uint32_t first_key = 0;            ///< index into `keys`
    std::uint32_t key_count = 0;
    std::uint32_t tag_count = 0;
};
inline constexpr std::uint32_t kNoStream = ~0U;

/// The id of one event of the append.
struct PlannedId {
    index::Key key = 0;
    std::string_view bytes{};  ///< 16, the caller's
    std::uint32_t event = 0;   ///< index into `events`
};

struct Routing;
using RoutingPtr = std::shared_ptr<const Routing>;

struct Plan {
    std::vector<PlannedEvent> events;
    std::vector<PlannedStream> streams;
    std::vector<std::uint64_t> hashes;  ///< per event: stream, type, tags; what the record stores
    std::vector<index::Key>
        keys;  ///< per event: stream, category, type, tags, id; where the index lists it
    std::vector<std::string_view> tags;  ///< per event, without repetitions
    std::vector<PlannedId> ids;          ///< of the events that have one, in order
    std::vector<std::uint32_t>
        table;  ///< open addressing over `streams` for commits of many events
    std::vector<std::uint32_t> id_table;  ///< the same over `ids`
    std::uint64_t ids_looked_until = 0;   ///< position up to which none of `ids` was found
    std::uint64_t bytes = 0;              ///< of the whole commit
    bool has_demands = false;
    bool dry_run = false;
    bool defines = false;   ///< it adds to the stream of definitions
    bool outdated = false;  ///< something was defined since it was admitted: admit it again
    Condition condition;
    RoutingPtr routing;             ///< the definitions that it was admitted under; null: none
    Routed routed;                  ///< of the event that is being admitted
    std::deque<std::string> texts;  ///< names that the store adds

    void clear() noexcept;
};

/// What is defined, ready for appends.
struct Routing {
    RuleBookPtr book;
    Router router;

    [[nodiscard]] std::uint64_t version() const noexcept { return book->rules->version(); }
};

/// Fills `plan`. `routing`: what is defined; null: nothing. Errors: `invalid_argument` and
/// `too_large`, naming the event and the limit; `invalid_argument` also if two events have the same
/// id; `out_of_memory`.
[[nodiscard]] Result<void> admit(const Meta& meta, std::span<const NewEvent> events,
                                 const AppendOptions& options, const RoutingPtr& routing,
                                 Plan& plan) noexcept;

/// Null if `name` is valid UTF-8 without control characters and does not begin with '$'; else what
/// is wrong with it.
[[nodiscard]] const char* fault_of_name(std::string_view name) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
