// The command about consumers: list, show, verify, parked, replay, drop, pause, resume, reset,
// replace.
#include <algorithm>

#include "commands.hpp"
#include "json_events.hpp"
#include "moment.hpp"
#include "print_event.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

const char* spelt(ConsumerInfo::Health health) {
    switch (health) {
        case ConsumerInfo::Health::good: return "good";
        case ConsumerInfo::Health::damaged: return "damaged";
        case ConsumerInfo::Health::stale: return "stale";
    }
    return "?";
}

const char* spelt(ParkedEvent::Status status) {
    switch (status) {
        case ParkedEvent::Status::waiting: return "waiting";
        case ParkedEvent::Status::replayed: return "replayed";
        case ParkedEvent::Status::dropped: return "dropped";
    }
    return "?";
}

std::string json_text(std::string_view text) {
    std::string out;
    write_string(text, out);
    return out;
}

std::string json_of(const LaneInfo& lane) {
    const Checkpoint& at = lane.checkpoint;
    std::string out =
        fmt::format("{{\"lane\":{},\"health\":\"{}\"", lane.number, spelt(lane.health));
    if (!lane.error.empty()) out += fmt::format(",\"error\":{}", json_text(lane.error));
    out += fmt::format(
        ",\"position\":{},\"acknowledged\":{},\"parked\":{},\"waiting\":{},\"state_bytes\":{},"
        "\"active\":{}",
        at.position.value, at.acknowledged, at.parked, lane.waiting, lane.state_bytes, lane.active);
    if (lane.active) out += fmt::format(",\"holder\":{}", json_text(lane.holder));
    return out + "}";
}

void print_as_json(const ConsumerInfo& info, const std::vector<LaneInfo>& lanes = {}) {
    const Checkpoint& at = info.checkpoint;
    std::string out =
        fmt::format("{{\"name\":{},\"health\":\"{}\"", json_text(info.name), spelt(info.health));
    if (!info.error.empty()) out += fmt::format(",\"error\":{}", json_text(info.error));
    if (!info.selector.empty()) out += fmt::format(",\"selector\":{}", json_text(info.selector));
    out += fmt::format(
        ",\"position\":{},\"acknowledged\":{},\"parked\":{},\"waiting\":{},\"behind\":{},"
        "\"counted_after\":{},\"epoch\":{},\"written_us\":{},\"state_bytes\":{},\"active\":{},"
        "\"paused\":{}",
        at.position.value, at.acknowledged, at.parked, info.waiting, info.behind,
        at.counted_after.value, at.epoch, at.time_us, info.state_bytes, info.active, info.paused);
    if (info.active && info.lanes == 0)
        out += fmt::format(",\"holder\":{}", json_text(info.holder));
    if (info.lanes != 0)
        out += fmt::format(",\"lanes\":{},\"members\":{}", info.lanes, info.members);
    if (!lanes.empty()) {
        std::string each;
        for (const LaneInfo& lane : lanes) each += (each.empty() ? "" : ",") + json_of(lane);
        out += fmt::format(",\"each_lane\":[{}]", each);
    }
    print("{}}}\n", out);
}

void print_row(const ConsumerInfo& info) {
    std::string state = spelt(info.health);
    if (info.health == ConsumerInfo::Health::good)
        state = info.paused ? "paused" : info.active ? "active" : "idle";
    print("{:>12} {:>12} {:>9} {:>9}  {:<8}  {}\n", info.checkpoint.position.value,
          info.checkpoint.acknowledged, info.behind, info.waiting, state, printable(info.name));
}

int list_all(const Store& store, bool json) {
    auto listed = Consumer::list(store);
    if (!listed) throw Failed(listed.error());
    if (!json && !listed->empty())
        print("{:>12} {:>12} {:>9} {:>9}  {:<8}  {}\n", "position", "acknowledged", "behind",
              "parked", "state", "name");
    for (const ConsumerInfo& info : *listed) json ? print_as_json(info) : print_row(info);
    for (const ConsumerInfo& info : *listed) {
        if (!json && !info.error.empty()) print("{}\n", printable(info.error));
    }
    return kOk;
}

std::vector<LaneInfo> lanes_of(const Store& store, const ConsumerInfo& info) {
    if (info.lanes == 0) return {};
    auto lanes = GroupMember::lanes_of(store, info.name);
    if (!lanes) throw Failed(lanes.error());
    return std::move(*lanes);
}

void print_lanes(const ConsumerInfo& info, const std::vector<LaneInfo>& lanes) {
    if (lanes.empty()) return;
    print("group         {} members, {} lanes\n\n", info.members, info.lanes);
    print("{:>4} {:>12} {:>12} {:>9}  {:<8}  {}\n", "lane", "position", "acknowledged", "parked",
          "health", "held by");
    for (const LaneInfo& lane : lanes) {
        print("{:>4} {:>12} {:>12} {:>9}  {:<8}  {}\n", lane.number, lane.checkpoint.position.value,
              lane.checkpoint.acknowledged, lane.waiting, spelt(lane.health),
              lane.active ? printable(lane.holder) : "nobody");
    }
}

int show(const Store& store, const ConsumersArguments& arguments) {
    auto info = Consumer::find(store, arguments.name);
    if (!info) throw Failed(info.error());
    const std::vector<LaneInfo> lanes = lanes_of(store, *info);
    if (arguments.json) return print_as_json(*info, lanes), kOk;
    const Checkpoint& at = info->checkpoint;
    print("consumer      {}\n", printable(info->name));
    print("health        {}\n", spelt(info->health));
    if (!info->error.empty()) print("              {}\n", printable(info->error));
    print("follows       {}\n", printable(info->selector));
    print("checkpoint    position {}, epoch {}\n", at.position.value, at.epoch);
    print("acknowledged  {} events behind position {}\n", at.acknowledged, at.counted_after.value);
    print("parked        {} events, {} of them still wait\n", at.parked, info->waiting);
    print("behind        {} events\n", info->behind);
    print("state         {}\n", human_bytes(info->state_bytes));
    const std::string holder = info->holder.empty() ? "" : ", " + printable(info->holder);
    print("active        {}{}\n", info->active ? "yes" + holder : "no",
          info->paused ? ", paused" : "");
    print_lanes(*info, lanes);
    return kOk;
}

int verify(const Store& store, const ConsumersArguments& arguments) {
    auto report = Consumer::verify(store, arguments.name);
    if (!report) throw Failed(report.error());
    const Checkpoint& at = report->checkpoint;
    if (arguments.json) {
        print(
            "{{\"good\":{},\"position\":{},\"acknowledged\":{},\"parked\":{},\"expected\":{},"
            "\"skipped\":{},\"surplus\":{},\"first_skipped\":{},\"after\":{},\"until\":{}}}\n",
            report->good, at.position.value, at.acknowledged, at.parked, report->expected,
            report->skipped, report->surplus, report->first_skipped.value, report->after.value,
            report->until.value);
        return report->good ? kOk : kDamaged;
    }
    print("counted {} events up to position {}: {} acknowledged, {} parked\n", report->expected,
          at.position.value, at.acknowledged, at.parked);
    if (report->good) {
        print("every one of them was acknowledged or parked\n");
        return kOk;
    }
    flush_output();
    std::string what = report->skipped > 0 ? fmt::format("{} events were skipped", report->skipped)
                       : report->surplus > 0
                           ? fmt::format("{} events too many were counted", report->surplus)
                           : "other events were counted than there are";
    if (report->first_skipped.value != 0)
        what += fmt::format(", the first one at position {}", report->first_skipped.value);
    complain("{}; what is wrong lies behind position {}, up to position {}", what,
             report->after.value, report->until.value);
    return kDamaged;
}

int list_parked(const Store& store, const ConsumersArguments& arguments) {
    auto parked = Consumer::parked(store, arguments.name);
    if (!parked) throw Failed(parked.error());
    if (!arguments.json && !parked->empty())
        print("{:>12} {:>8}  {:<8}  {}\n", "position", "attempts", "status", "reason");
    for (const ParkedEvent& event : *parked) {
        if (arguments.json) {
            print(
                "{{\"position\":{},\"status\":\"{}\",\"attempts\":{},\"time_us\":{},"
                "\"reason\":{}}}\n",
                event.position.value, spelt(event.status), event.attempts, event.time_us,
                json_text(event.reason));
        } else {
            print("{:>12} {:>8}  {:<8}  {}\n", event.position.value, event.attempts,
                  spelt(event.status), printable(event.reason));
        }
    }
    return kOk;
}

template <class Taker>
int replay_all(Taker& taker, const ConsumersArguments& arguments) {
    auto left = taker.replay();
    if (!left) throw Failed(left.error());
    std::string buffer;
    for (; *left > 0; --*left) {
        auto batch = taker.next(1, 0);
        if (!batch) throw Failed(batch.error());
        if (batch->empty()) {
            complain("consumer {} is paused; see `varve consumers STORE resume NAME`",
                     arguments.name);
            return kRefused;
        }
        print_event(batch->events().front(), arguments.json, buffer);
        flush_events(buffer);
        auto taken = taker.ack(batch->last());
        if (!taken) throw Failed(taken.error());
    }
    auto closed = taker.close();
    if (!closed) throw Failed(closed.error());
    return kOk;
}

/// Of a group only who has all its lanes can replay what was parked in any of them.
int replay(const Store& store, const ConsumersArguments& arguments) {
    auto info = Consumer::find(store, arguments.name);
    if (!info) throw Failed(info.error());
    if (info->lanes == 0) {
        auto consumer = Consumer::open(store, arguments.name);
        if (!consumer) throw Failed(consumer.error());
        return replay_all(*consumer, arguments);
    }
    auto member = GroupMember::join(store, arguments.name);
    if (!member) throw Failed(member.error());
    if (member->lanes().size() < member->lane_count()) {
        complain(
            "consumer group {} has {} other members: its parked events are replayed when "
            "nobody is in it",
            arguments.name, member->members() - 1);
        return kRefused;
    }
    return replay_all(*member, arguments);
}

int say_done(const char* what, const ConsumersArguments& arguments) {
    if (arguments.json)
        print("{{\"name\":{},\"done\":\"{}\"}}\n", json_text(arguments.name), what);
    else
        print("{} {}\n", what, printable(arguments.name));
    return kOk;
}

int pause(const Store& store, const ConsumersArguments& arguments, bool paused) {
    auto done = Consumer::pause(store, arguments.name, paused);
    if (!done) throw Failed(done.error());
    return say_done(paused ? "paused" : "resumed", arguments);
}

int drop(const Store& store, const ConsumersArguments& arguments) {
    std::vector<Position> positions;
    for (const std::uint64_t position : arguments.positions) positions.emplace_back(position);
    if (positions.empty()) {
        complain("drop needs --position; see varve consumers --help");
        return kUsage;
    }
    if (!arguments.yes) {
        complain(
            "this would give up {} parked events of {}; nothing was changed; repeat with --yes",
            positions.size(), arguments.name);
        return kRefused;
    }
    auto dropped = Consumer::drop(store, arguments.name, positions);
    if (!dropped) throw Failed(dropped.error());
    return say_done("dropped", arguments);
}

int reset(const Store& store, const ConsumersArguments& arguments) {
    auto info = Consumer::find(store, arguments.name);
    if (!info) throw Failed(info.error());
    if (!arguments.yes) {
        const bool good = info->health == ConsumerInfo::Health::good;
        complain(
            "this would let {} begin anew behind position {}: {} are lost{}; nothing was changed; "
            "repeat with --yes",
            arguments.name, arguments.after,
            good ? fmt::format("its checkpoint at position {} and {} bytes of state",
                               info->checkpoint.position.value, info->state_bytes)
                 : "checkpoint and state, which cannot be read,",
            good ? "" : " but its file is kept beside it");
        return kRefused;
    }
    ResetOptions options;
    options.position = Position{arguments.after};
    const Selector selector = arguments.asked.asked();
    if (!selector.is_all()) options.selector = selector;
    auto done = Consumer::reset(store, arguments.name, options);
    if (!done) throw Failed(done.error());
    return say_done("reset", arguments);
}

int replace(const Store& store, const ConsumersArguments& arguments) {
    if (arguments.by.empty()) {
        complain("replace needs --by; see varve consumers --help");
        return kUsage;
    }
    auto done = Consumer::replace(store, arguments.name, arguments.by);
    if (!done) throw Failed(done.error());
    return say_done("replaced", arguments);
}

}  // namespace

int run_consumers(const ConsumersArguments& arguments) {
    const std::string& action = arguments.action;
    if ((action == "list") != arguments.name.empty()) {
        complain("{}; see varve consumers --help", action == "list"
                                                       ? "list takes no NAME"
                                                       : action + " needs the NAME of a consumer");
        return kUsage;
    }
    const Store store = open_to_read(arguments.store);
    const auto run = [&] {
        if (action == "list") return list_all(store, arguments.json);
        if (action == "show") return show(store, arguments);
        if (action == "verify") return verify(store, arguments);
        if (action == "parked") return list_parked(store, arguments);
        if (action == "replay") return replay(store, arguments);
        if (action == "drop") return drop(store, arguments);
        if (action == "reset") return reset(store, arguments);
        if (action == "replace") return replace(store, arguments);
        return pause(store, arguments, action == "pause");
    };
    const int code = run();
    flush_output();
    return code;
}

}  // namespace varve::cli
