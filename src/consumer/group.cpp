// The public face of consumer groups, and how one joins.
#include "varve/group.hpp"

#include <new>

#include "base/error.hpp"
#include "consumer/inspect.hpp"
#include "consumer/member.hpp"
#include "store/inside.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

constexpr std::uint32_t kUsualLanes = 16;

Result<void> check_request(std::string_view name, const Selector* selector,
                           const GroupOptions& options) {
    if (const char* wrong = refuse_name(name)) return failure(ErrorCode::invalid_argument, wrong);
    if (selector != nullptr && selector->error() != nullptr)
        return failure(ErrorCode::invalid_argument, selector->error());
    if (options.lanes > kMaxLanes)
        return failure(ErrorCode::invalid_argument,
                       "a group has at most 256 lanes, not " + std::to_string(options.lanes));
    if (options.order_by_tag.size() > kMaxLaneTag)
        return failure(ErrorCode::invalid_argument,
                       "the beginning of the tag that orders a group has at most 128 bytes");
    return {};
}

}  // namespace

Result<std::unique_ptr<Member>> Member::join(std::shared_ptr<store::Engine> engine,
                                             std::string_view name, const Selector* selector,
                                             const GroupOptions& options) noexcept {
    try {
        VARVE_TRY(engine->open_here());
        VARVE_TRY(check_request(name, selector, options));
        std::unique_ptr<Member> member(new Member(std::move(engine), name, options.consumer));
        const std::uint32_t lanes = options.lanes != 0 ? options.lanes : kUsualLanes;
        VARVE_TRY(member->obtain(selector, {lanes, std::string(options.order_by_tag)}));
        VARVE_TRY(member->check(selector, options));
        member->lanes_ = consumer::lanes_of(member->membership_->header());
        member->dealer_.emplace(member->engine_, member->membership_->selector(), member->lanes_,
                                member->options_);
        VARVE_TRY(member->balance());
        return member;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to join a consumer group");
    }
}

/// Becomes a member, of a new group if there is none.
Result<void> Member::obtain(const Selector* selector, const Lanes& lanes) {
    const Place place = place_of(*engine_);
    auto joined = Membership::join(place, name_);
    const bool missing = !joined && joined.error().code == ErrorCode::not_found;
    if (!missing && options_.create == Create::must)
        return failure(ErrorCode::invalid_argument,
                       "there is a consumer named " + name_ + " already", place.file_of(name_));
    if (missing) {
        if (options_.create == Create::never || selector == nullptr)
            return failure(ErrorCode::not_found, "there is no consumer named " + name_,
                           place.file_of(name_));
        auto made = make_consumer(*engine_, place, name_, *selector, options_.after, lanes);
        // Somebody else may have made it at the same time.
        const bool taken = !made && made.error().code == ErrorCode::invalid_argument;
        if (!made && !(taken && options_.create == Create::if_missing)) return made;
        joined = Membership::join(place, name_);
    }
    if (!joined) return std::move(joined).error();
    membership_ = std::move(*joined);
    return {};
}

/// What the group has must be what was asked for.
Result<void> Member::check(const Selector* selector, const GroupOptions& options) const {
    const std::string path = place_of(*engine_).file_of(name_);
    if (selector != nullptr && !(*selector == membership_->selector()))
        return failure(ErrorCode::invalid_argument,
                       "consumer group " + name_ + " follows " + membership_->selector().text() +
                           ", not " + selector->text() + ": use another name, or remove it first",
                       path);
    const Lanes has = consumer::lanes_of(membership_->header());
    if (options.lanes != 0 && options.lanes != has.count)
        return failure(ErrorCode::invalid_argument,
                       "consumer group " + name_ + " has " + std::to_string(has.count) +
                           " lanes, not " + std::to_string(options.lanes),
                       path);
    const bool asked = selector != nullptr || !options.order_by_tag.empty();
    if (asked && options.order_by_tag != has.tag)
        return failure(ErrorCode::invalid_argument,
                       "consumer group " + name_ + " keeps the order by " +
                           (has.tag.empty() ? "stream" : "tags " + has.tag + "…") +
                           ": use another name, or remove it first",
                       path);
    return {};
}

}  // namespace consumer

GroupMember::GroupMember(std::unique_ptr<consumer::Member> member) noexcept
    : member_(std::move(member)) {}
GroupMember::GroupMember(GroupMember&&) noexcept = default;
GroupMember& GroupMember::operator=(GroupMember&& other) noexcept {
    if (this == &other) return *this;
    if (member_ != nullptr) static_cast<void>(member_->close());
    member_ = std::move(other.member_);
    return *this;
}
GroupMember::~GroupMember() {
    if (member_ != nullptr) static_cast<void>(member_->close());
}

Result<GroupMember> GroupMember::join(const Store& store, std::string_view name,
                                      const Selector& selector,
                                      const GroupOptions& options) noexcept {
    auto member = consumer::Member::join(store::Inside::engine(store), name, &selector, options);
    if (!member) return std::move(member).error();
    return GroupMember(std::move(*member));
}

Result<GroupMember> GroupMember::join(const Store& store, std::string_view name,
                                      const GroupOptions& options) noexcept {
    auto member = consumer::Member::join(store::Inside::engine(store), name, nullptr, options);
    if (!member) return std::move(member).error();
    return GroupMember(std::move(*member));
}

Result<Batch> GroupMember::next(std::size_t max_events, std::uint32_t timeout_ms) noexcept {
    return member_->next(max_events, timeout_ms);
}
Result<void> GroupMember::ack(Position position, std::optional<std::string_view> state) noexcept {
    return member_->ack(position, state);
}
Result<Failure> GroupMember::fail(Position position, std::string_view reason) noexcept {
    return member_->fail(position, reason);
}
Result<std::string> GroupMember::state(std::uint32_t lane) const noexcept {
    return member_->state(lane);
}
Result<Checkpoint> GroupMember::checkpoint(std::uint32_t lane) const noexcept {
    return member_->checkpoint(lane);
}
std::vector<std::uint32_t> GroupMember::lanes() const { return member_->lanes(); }
std::uint32_t GroupMember::lane_count() const noexcept { return member_->lane_count(); }
std::uint32_t GroupMember::members() const noexcept { return member_->members(); }
bool GroupMember::caught_up() const noexcept { return member_->caught_up(); }
std::size_t GroupMember::in_flight() const noexcept { return member_->in_flight(); }
const std::string& GroupMember::name() const noexcept { return member_->name(); }
Result<void> GroupMember::sync() noexcept { return member_->sync(); }
Result<std::uint64_t> GroupMember::replay() noexcept { return member_->replay(); }
Result<void> GroupMember::close() noexcept { return member_->close(); }

Result<std::vector<LaneInfo>> GroupMember::lanes_of(const Store& store,
                                                    std::string_view name) noexcept {
    try {
        const std::shared_ptr<store::Engine> engine = store::Inside::engine(store);
        VARVE_TRY(engine->open_here());
        return consumer::describe_lanes(*engine, name);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to look at a consumer group");
    }
}

}  // namespace v0
}  // namespace varve
