// What the group's rig knows: keys and their order, who has what in hand, and what must be left.
#include <algorithm>

#include "group_rig.hpp"

namespace varve::consumers {

std::uint32_t GroupRig::lane_of(std::uint64_t position) const {
    return lanes_.of_key(events_.at(position).key);
}

/// The log may have lost its end in a power cut; that it may is checked elsewhere.
void GroupRig::read_log() {
    if (!writer_) return;
    const std::uint64_t end = writer_->snapshot()->published().value;
    events_.erase(events_.upper_bound(end), events_.end());
    // What comes again in those places is something else.
    handled_.erase(handled_.upper_bound(end), handled_.end());
    parked_.erase(parked_.upper_bound(end), parked_.end());
    std::uint64_t matching = 0;
    auto seen = writer_->snapshot()->read(Source::type("A")).for_each([&](const EventView& event) {
        ++matching;
        const auto known = events_.find(event.position.value);
        // An append that the crash cut short may have got through.
        const bool tagged = !lanes_.tag.empty() && !event.tags.empty();
        const std::string key(tagged ? *std::next(event.tags.begin()) : event.stream);
        if (known != events_.end() && known->second.key != key)
            violated("another event than before");
        events_[event.position.value] = {key, true};
    });
    if (!seen) violated("the log cannot be read: " + seen.error().message);
}

void GroupRig::deliver(Process& process, const Batch& batch) {
    tally_.delivered += batch.size();
    const std::uint64_t first = batch.events().front().position.value;
    const bool again = batch.size() == 1 && process.retried.erase(first) > 0;
    for (const EventView& event : batch) {
        const auto known = events_.find(event.position.value);
        if (known == events_.end() || !known->second.matches)
            return violated("an event came that there is not, or that does not match");
        if (lane_of(event.position.value) != batch.lane())
            return violated("an event came in another lane than its own");
        if (event.position.value <= floors_[batch.lane()].kill)
            return violated("position " + std::to_string(event.position.value) +
                            " came again, though its acknowledgement was stored for good");
    }
    if (process.hands.contains(batch.lane()))
        return violated("a second batch of a lane came, and the first is still in hand");
    check_alone(process, batch);
    if (!again) check_order(process, batch);
    Hand& hand = process.hands[batch.lane()];
    for (const EventView& event : batch) hand.positions.push_back(event.position.value);
}

/// Whatever has the same key and comes before it has been handled or parked, or lies before it in
/// the same batch.
void GroupRig::check_order(const Process& process, const Batch& batch) {
    std::set<std::uint64_t> here;
    for (const EventView& event : batch) {
        const std::uint64_t position = event.position.value;
        const std::string& key = events_.at(position).key;
        for (auto before = events_.begin(); before->first < position; ++before) {
            const bool counts = before->second.matches && before->second.key == key;
            if (!counts || done(before->first) || here.contains(before->first)) continue;
            return violated("order broken: position " + std::to_string(position) + " of " + key +
                            " came, and position " + std::to_string(before->first) +
                            " was neither handled nor parked");
        }
        here.insert(position);
        if (process.retried.contains(position)) return violated("a failed event came with others");
    }
}

/// Nobody else who lives has anything of the lane in hand.
void GroupRig::check_alone(const Process& process, const Batch& batch) {
    for (const Process& other : processes_) {
        if (&other == &process || !other.member || other.env->is_dead()) continue;
        if (other.hands.contains(batch.lane()))
            violated("two living members have events of one lane in hand");
    }
}

/// A lane that is held now and was not: what the new holder finds must be what was left.
void GroupRig::look_at_lanes(Process& process) {
    if (process.env->is_dead()) return;
    std::set<std::uint32_t> now;
    for (const std::uint32_t lane : process.member->lanes()) now.insert(lane);
    const std::set<std::uint32_t> before = std::exchange(process.lanes, now);
    for (const auto& [lane, hand] : process.hands)
        if (!now.contains(lane)) violated("a lane was given back with events in hand");
    for (const std::uint32_t lane : now) {
        for (const Process& other : processes_) {
            if (&other == &process || !other.member || other.env->is_dead()) continue;
            const std::vector<std::uint32_t> theirs = other.member->lanes();
            if (std::find(theirs.begin(), theirs.end(), lane) != theirs.end())
                violated("two living members hold one lane");
        }
        if (!before.contains(lane)) check_taken(process, lane);
    }
}

void GroupRig::check_taken(Process& process, std::uint32_t lane) {
    auto at = process.member->checkpoint(lane);
    if (!good(&process, at, "the checkpoint of a lane that it holds")) return;
    const std::uint64_t position = at->position.value;
    Floors& floors = floors_[lane];
    if (position < floors.kill)
        return violated("lane " + std::to_string(lane) + " stands at position " +
                        std::to_string(position) + ", but " + std::to_string(floors.kill) +
                        " had been reached for good");
    floors.kill = position;
    for (const auto& [one, event] : events_) {
        if (one > position) break;
        if (event.matches && lane_of(one) == lane && !done(one))
            return violated("position " + std::to_string(one) + " was passed, never handled");
    }
    auto state = process.member->state(lane);
    if (!good(&process, state, "the state of a lane that it holds")) return;
    if (keeps_state_ && *state != fold_until(lane, position))
        violated("the state of lane " + std::to_string(lane) +
                 " is not the fold of its events up to the checkpoint");
}

std::string GroupRig::fold_until(std::uint32_t lane, std::uint64_t position) const {
    std::string state;
    for (const auto& [one, event] : events_) {
        if (one > position) break;
        if (event.matches && lane_of(one) == lane) state += std::to_string(one) + ' ';
    }
    return state;
}

/// What has been handled completely, and is durable, survives from now on.
void GroupRig::note_progress(Process& process, std::uint32_t lane) {
    auto at = process.member->checkpoint(lane);
    if (!good(&process, at, "the checkpoint of a lane that it holds")) return;
    const std::uint64_t durable = writer_->snapshot()->durable().value;
    Floors& floors = floors_[lane];
    const std::uint64_t stored = at->position.value;
    if (stored > std::max(durable, floors.kill)) violated("a checkpoint beyond what is durable");
    for (const auto& [one, event] : events_) {
        if (one > stored) break;
        if (event.matches && lane_of(one) == lane && !done(one))
            return violated("the checkpoint passed position " + std::to_string(one) +
                            ", which nobody has handled");
    }
    floors.kill = std::max(floors.kill, stored);
}

/// Seen from outside, without being in it.
void GroupRig::check_whole() {
    if (!writer_ || !tally_.violation.empty()) return;
    auto info = Consumer::find(*writer_, "team");
    if (!info && info.error().code == ErrorCode::not_found) {
        for (const auto& [lane, floors] : floors_)
            if (floors.kill > 0) violated("the group is gone");
        return;
    }
    if (!good(nullptr, info, "find")) return;
    if (info->health != ConsumerInfo::Health::good) return violated(info->error);
    std::uint64_t passed = 0;
    auto lanes = GroupMember::lanes_of(*writer_, "team");
    if (!good(nullptr, lanes, "lanes_of")) return;
    for (const LaneInfo& lane : *lanes) {
        const std::uint64_t position = lane.checkpoint.position.value;
        if (position < floors_[lane.number].kill) violated("a lane has gone back");
        for (const auto& [one, event] : events_)
            if (event.matches && one <= position && lane_of(one) == lane.number) ++passed;
    }
    if (info->checkpoint.acknowledged + info->checkpoint.parked != passed)
        violated("counted " + std::to_string(info->checkpoint.acknowledged) + " acknowledged, " +
                 std::to_string(info->checkpoint.parked) + " parked of " + std::to_string(passed));
    auto report = Consumer::verify(*writer_, "team");
    if (!good(nullptr, report, "verify")) return;
    if (!report->good) violated("verify finds a skip that there is not");
}

}  // namespace varve::consumers
