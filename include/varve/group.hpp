// Consumer groups: one durable consumer whose events are shared out among several processes and
// threads, in order for each stream.
//
// Thread rule: of one GroupMember, `next` and `close` by one thread at a time; everything else from
// any thread, also while `next` waits. Invariants: each lane belongs to at most one living member;
// the events of a lane are delivered in order, a batch only when the one before it was handled;
// what a dead member had not acknowledged is delivered again before anything behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/consumer.hpp"
#include "varve/export.hpp"
#include "varve/result.hpp"
#include "varve/selector.hpp"
#include "varve/store.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

namespace consumer {
class Member;
}  // namespace consumer

/// How to join a group.
struct GroupOptions {
    /// Of a group that is made now: into how many lanes its events are divided, 1 to 256, for ever.
    /// So many members can work at the same time. 0: 16. Of one that exists: 0, or its number.
    std::uint32_t lanes = 0;
    /// Empty: events of one stream stay in order, and so do all events without a stream. Else, for
    /// example "customer/": events whose first tag that begins so is the same, whatever their
    /// streams; those without such a tag by stream. At most 128 bytes; belongs to the group.
    std::string_view order_by_tag{};
    /// As for a consumer, for each lane; `wait_ms` means nothing here.
    ConsumerOptions consumer{};
};

/// A lane of a group as its file says.
struct LaneInfo {
    std::uint32_t number = 0;
    ConsumerInfo::Health health = ConsumerInfo::Health::good;
    std::string error;  ///< of one that is not good
    Checkpoint checkpoint{};
    std::size_t state_bytes = 0;
    std::uint64_t waiting = 0;  ///< parked events that were neither replayed nor dropped
    bool active = false;        ///< some member has it
    std::string holder;         ///< which, for people
};

/// A member of a consumer group. Move-only; destroying it leaves the group. A process may have
/// several, for its threads.
///
/// The events of a group are divided into a fixed number of lanes by their streams. A lane is what
/// a Consumer is: a checkpoint, a count and a state of its own, one holder at a time by a lock of
/// the kernel, everything that is promised there. Members take lanes that nobody has, up to their
/// fair share, and give lanes back between two batches when others come. When a member dies the
/// kernel drops its locks and the others take its lanes within a second; a member that lives keeps
/// what it holds, however slow it is. There is nobody who assigns anything.
class VARVE_EXPORT GroupMember {
public:
    static constexpr std::uint32_t kMaxLanes = 256;
    static constexpr std::uint32_t kMaxMembers = 256;

    /// Joins the group `name` of this store, making it if asked to; takes lanes that are free. A
    /// group is a consumer: the same names, listed, waited for, paused, verified, reset and
    /// replaced as one (`Consumer::list` and those behind it). `selector` belongs to it. Errors:
    /// those of `Consumer::open`; `invalid_argument` also for a consumer that is no group, another
    /// number of lanes or another tag; `locked` while it is reset or replaced, and for the 257th
    /// member.
    [[nodiscard]] static Result<GroupMember> join(const Store& store, std::string_view name,
                                                  const Selector& selector,
                                                  const GroupOptions& options = {}) noexcept;
    /// The same for one that exists, with the selector and, if nothing is said, the tag it has.
    [[nodiscard]] static Result<GroupMember> join(const Store& store, std::string_view name,
                                                  const GroupOptions& options = {}) noexcept;

    GroupMember(GroupMember&&) noexcept;
    GroupMember& operator=(GroupMember&&) noexcept;
    ~GroupMember();

    /// The next events of one of its lanes (`Batch::lane`), at most `max_events`, waiting up to
    /// `timeout_ms` for the first; empty when nothing came in time or the group is paused. Nothing
    /// more of that lane comes until all of them were acknowledged or have failed, so several
    /// threads may handle batches of several lanes. Here lanes are taken and given back: a lane is
    /// only given back when none of its events is in flight. Errors: as `Consumer::next`, without
    /// `busy`; those of a lane name it, and `corrupt` stays until somebody calls `Consumer::reset`.
    [[nodiscard]] Result<Batch> next(std::size_t max_events, std::uint32_t timeout_ms) noexcept;
    /// As `Consumer::ack`; `state` is that of the lane. `invalid_argument` for an event in front of
    /// all or behind all that this member was given; one in between that is not in flight changes
    /// nothing.
    [[nodiscard]] Result<void> ack(Position position,
                                   std::optional<std::string_view> state = {}) noexcept;
    /// As `Consumer::fail`. With `keep_order` nothing new of its lane comes before it was handled
    /// or parked; other lanes go on.
    [[nodiscard]] Result<Failure> fail(Position position, std::string_view reason) noexcept;

    /// The stored state of a lane that it holds. Another member may have had the lane before: what
    /// a batch is added to is the state of `Batch::lane`, asked for after `next`. `not_found` for
    /// one that it does not hold.
    [[nodiscard]] Result<std::string> state(std::uint32_t lane) const noexcept;
    /// As stored, of a lane that it holds; `not_found` for another one.
    [[nodiscard]] Result<Checkpoint> checkpoint(std::uint32_t lane) const noexcept;
    /// Numbers of the lanes it holds, ascending. May throw bad_alloc.
    [[nodiscard]] std::vector<std::uint32_t> lanes() const;
    /// Into how many the group is divided.
    [[nodiscard]] std::uint32_t lane_count() const noexcept;
    /// How many members the group had when this one looked last.
    [[nodiscard]] std::uint32_t members() const noexcept;
    /// Everything published (or durable) when `next` last read was delivered, of its lanes. A call
    /// that hands out what was read before does not read.
    [[nodiscard]] bool caught_up() const noexcept;
    /// Delivered to it and neither acknowledged nor parked.
    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept;

    /// Makes the checkpoints of its lanes durable, as `Consumer::sync`.
    [[nodiscard]] Result<void> sync() noexcept;
    /// Delivers the parked events of its lanes once more, as `Consumer::replay`.
    [[nodiscard]] Result<std::uint64_t> replay() noexcept;
    /// Syncs, gives its lanes up and leaves; later calls answer `closed`.
    [[nodiscard]] Result<void> close() noexcept;

    // ---- Of any group, whoever is in it

    /// Its lanes, by number. A damaged one is listed with its error. `invalid_argument` for a
    /// consumer that is no group.
    [[nodiscard]] static Result<std::vector<LaneInfo>> lanes_of(const Store& store,
                                                                std::string_view name) noexcept;

private:
    explicit GroupMember(std::unique_ptr<consumer::Member> member) noexcept;
    std::unique_ptr<consumer::Member> member_;
};

}  // namespace v0
}  // namespace varve
