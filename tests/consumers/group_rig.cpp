// The world of the group's rig: processes that come, die and go, and what they do.
#include "group_rig.hpp"

#include <algorithm>

#include "support/small_store.hpp"

namespace varve::consumers {

GroupRig::GroupRig(std::uint64_t seed)
    : random_(seed),
      seed_(seed),
      keeps_state_(seed % 2 == 0),
      world_(std::make_unique<os::SimEnv>(seed)) {
    options_.lanes = 1 + static_cast<std::uint32_t>(random_.below(6));
    if (random_.below(3) == 0) options_.order_by_tag = "k/";
    options_.consumer.retries = 1;
    options_.consumer.count_deaths = random_.below(4) == 0;
    if (options_.consumer.count_deaths) options_.consumer.retries = 1'000;
    options_.consumer.retry_ms = 50;
    lanes_ = {options_.lanes, std::string(options_.order_by_tag)};
}

GroupRig::~GroupRig() {
    world_->on_step({});
    for (Process& process : processes_) drop(process);
    writer_.reset();
}

void GroupRig::violated(const std::string& what) {
    if (tally_.violation.empty())
        tally_.violation = what + " (group, seed " + std::to_string(seed_) + ", operation " +
                           std::to_string(tally_.operations) + ")";
}

Tally GroupRig::run(std::uint64_t operations) {
    open_store();
    watch_steps();
    while (tally_.operations < operations && tally_.violation.empty()) {
        ++tally_.operations;
        if (countdown_ == 0 && random_.below(25) == 0) countdown_ = 1 + random_.below(80);
        operate();
        bury();
        if (image_) go_on_in_image();
    }
    world_->on_step({});
    image_.reset();
    if (tally_.violation.empty()) drain();
    return tally_;
}

// ---- Crashes

void GroupRig::watch_steps() {
    world_->on_step([this] {
        if (countdown_ > 0 && --countdown_ == 0) take_image();
        for (Process& process : processes_)
            if (process.steps_left > 0 && --process.steps_left == 0) process.env->die();
    });
}

void GroupRig::take_image() {
    using Style = os::SimCut::Style;
    constexpr Style kStyles[] = {Style::everything, Style::nothing, Style::mixed, Style::mixed};
    const std::uint64_t seed = random_.next();
    image_ = Image{};
    image_->cut = random_.below(2) != 0;
    image_->floors = floors_;
    image_->world =
        image_->cut ? world_->power_cut(seed, {kStyles[random_.below(4)], 0}) : world_->kill(seed);
}

void GroupRig::go_on_in_image() {
    ++tally_.crashes;
    world_->on_step({});
    countdown_ = 0;
    for (Process& process : processes_) drop(process);
    writer_.reset();
    Image image = std::move(*image_);
    image_.reset();
    world_ = std::move(image.world);
    floors_ = std::move(image.floors);
    if (image.cut)
        for (auto& [lane, floors] : floors_) floors.kill = floors.cut;
    open_store();
    read_log();
    check_whole();
    watch_steps();
}

void GroupRig::drop(Process& process) {
    process.steps_left = 0;
    process.member.reset();
    process.store.reset();
    process.env.reset();
    process.hands.clear();
    process.retried.clear();
    process.lanes.clear();
}

/// Whoever has died goes away; only its locks are given up.
void GroupRig::bury() {
    for (Process& process : processes_) {
        if (process.env == nullptr || !process.env->is_dead()) continue;
        ++tally_.crashes;
        drop(process);
    }
}

void GroupRig::open_store() {
    auto store =
        Store::open("store", test::options_for(*world_, Access::read_write, Durability::os));
    if (!good(nullptr, store, "the store cannot be opened")) return;
    writer_.emplace(std::move(*store));
}

// ---- Operations

GroupRig::Process* GroupRig::some() {
    const std::size_t begin = random_.below(kMembers);
    for (std::size_t n = 0; n < kMembers; ++n) {
        Process& process = processes_[(begin + n) % kMembers];
        if (process.member) return &process;
    }
    return nullptr;
}

void GroupRig::operate() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 22) return append();
    if (dice < 32) return join();
    Process* const process = some();
    if (process == nullptr) return;
    if (dice < 62) return next(*process, random_.below(4) == 0 ? 1'100 : 0);
    if (dice < 87) return handle(*process);
    if (dice < 90) return leave(*process);
    if (dice < 93) return sync(*process);
    if (dice < 95) {
        static_cast<void>(good(nullptr, writer_->sync(), "the store cannot be synced"));
        return;
    }
    if (dice < 97) process->steps_left = 1 + random_.below(20);
    if (dice >= 97) process->env->die();
}

void GroupRig::append() {
    std::vector<NewEvent> events(1 + random_.below(4));
    std::vector<std::string> names(events.size());
    std::vector<std::string> tags(events.size());
    std::vector<std::vector<std::string_view>> views(events.size());
    std::vector<Event> model(events.size());
    for (std::size_t n = 0; n < events.size(); ++n) {
        names[n] = "s-" + std::to_string(random_.below(5));
        tags[n] = "k/" + std::to_string(random_.below(3));
        const bool tagged = random_.below(4) != 0;
        if (tagged) views[n] = {"other", tags[n]};
        model[n] = {tagged && !lanes_.tag.empty() ? tags[n] : names[n], random_.below(3) != 0};
        events[n].stream = names[n];
        events[n].type = model[n].matches ? "A" : "B";
        events[n].tags = views[n];
    }
    AppendOptions options;
    options.durability = random_.below(3) == 0 ? Durability::disk : Durability::os;
    auto placed = writer_->append(events, options);
    if (!good(nullptr, placed, "append")) return;
    for (std::size_t n = 0; n < events.size(); ++n) events_[placed->first.value + n] = model[n];
}

void GroupRig::join() {
    Process* free = nullptr;
    for (Process& process : processes_)
        if (!process.member) free = &process;
    if (free == nullptr) return;
    free->env = std::make_unique<test::MortalEnv>(*world_);
    if (random_.below(6) == 0) free->steps_left = 1 + random_.below(60);
    OpenOptions options = test::options_for(*world_, Access::read_only);
    options.env = free->env.get();
    auto store = Store::open("store", options);
    if (!good(free, store, "the store cannot be read")) return;
    free->store.emplace(std::move(*store));
    GroupOptions how = options_;
    how.consumer.durable_only = random_.below(2) == 0;
    how.consumer.sync_acks = static_cast<std::uint32_t>(random_.below(4));
    auto member = GroupMember::join(*free->store, "team", Selector::type("A"), how);
    if (!good(free, member, "the group cannot be joined")) return;
    free->member.emplace(std::move(*member));
    look_at_lanes(*free);
}

void GroupRig::leave(Process& process) {
    if (good(&process, process.member->close(), "close")) drop(process);
}

void GroupRig::next(Process& process, std::uint32_t timeout_ms) {
    auto batch = process.member->next(1 + random_.below(4), timeout_ms);
    if (!good(&process, batch, "next")) return;
    look_at_lanes(process);
    if (batch->empty()) return;
    deliver(process, *batch);
}

/// Something that it has in hand: in order with a state, or up to some event of the batch.
void GroupRig::handle(Process& process) {
    if (process.hands.empty()) return;
    auto hand = process.hands.begin();
    std::advance(hand, static_cast<std::ptrdiff_t>(random_.below(process.hands.size())));
    const std::uint32_t lane = hand->first;
    std::deque<std::uint64_t>& positions = hand->second.positions;
    const std::size_t count = keeps_state_ ? 1 : 1 + random_.below(positions.size());
    const std::uint64_t position = positions[count - 1];
    if (!keeps_state_ && random_.below(6) == 0) return fail(process, lane, position);
    handled_.insert(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count));
    std::optional<std::string> state;
    if (keeps_state_) {
        auto before = process.member->state(lane);
        if (!good(&process, before, "the state of a lane that it holds")) return;
        state = *before + std::to_string(position) + ' ';
    }
    auto acknowledged = state ? process.member->ack(Position{position}, *state)
                              : process.member->ack(Position{position});
    if (!good(&process, acknowledged, "ack")) return;
    positions.erase(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count));
    note_progress(process, lane);
    if (positions.empty()) process.hands.erase(lane);
}

void GroupRig::fail(Process& process, std::uint32_t lane, std::uint64_t position) {
    const bool was_parked = parked_.contains(position);
    parked_.insert(position);  // it may turn out so
    auto failed = process.member->fail(Position{position}, "on purpose");
    if (!good(&process, failed, "fail")) return;
    std::deque<std::uint64_t>& positions = process.hands[lane].positions;
    std::erase(positions, position);
    if (positions.empty()) process.hands.erase(lane);
    if (*failed == Failure::retried) {
        if (!was_parked) parked_.erase(position);
        process.retried.insert(position);
    } else {
        ++tally_.parked;
    }
    note_progress(process, lane);
}

void GroupRig::sync(Process& process) {
    if (!good(&process, process.member->sync(), "the member cannot sync")) return;
    for (const std::uint32_t lane : process.member->lanes()) {
        auto at = process.member->checkpoint(lane);
        if (!good(&process, at, "the checkpoint of a lane that it holds")) return;
        Floors& floors = floors_[lane];
        floors.kill = std::max(floors.kill, at->position.value);
        floors.cut = std::max(floors.cut, at->position.value);
    }
}

/// Everything that is left is handled; then everything adds up, and the lanes are shared fairly.
void GroupRig::drain() {
    for (Process& process : processes_) process.steps_left = 0;
    bury();
    static_cast<void>(good(nullptr, writer_->sync(), "the store cannot be synced"));
    if (some() == nullptr) join();
    for (Process& process : processes_) process.steps_left = 0;
    constexpr int kMost = 10'000;
    int quiet = 0;
    for (int n = 0; n < kMost && quiet < 4 && tally_.violation.empty(); ++n) {
        const std::uint64_t before = tally_.delivered;
        for (Process& process : processes_) {
            if (!process.member) continue;
            next(process, 1'100);
            while (!process.hands.empty() && tally_.violation.empty()) handle(process);
        }
        quiet = tally_.delivered == before ? quiet + 1 : 0;
    }
    if (!tally_.violation.empty()) return;
    std::size_t members = 0;
    for (const Process& process : processes_) members += process.member ? 1U : 0U;
    for (const Process& process : processes_) {
        if (!process.member) continue;
        const std::size_t has = process.member->lanes().size();
        if (has < lanes_.count / members || has > (lanes_.count + members - 1) / members)
            violated("a member holds " + std::to_string(has) + " lanes of " +
                     std::to_string(lanes_.count) + ", and there are " + std::to_string(members) +
                     " members");
    }
    for (const auto& [position, event] : events_)
        if (event.matches && !done(position))
            violated("position " + std::to_string(position) + " was never handled");
    const std::uint64_t end = writer_->snapshot()->published().value;
    auto info = Consumer::find(*writer_, "team");
    if (!good(nullptr, info, "find")) return;
    if (info->checkpoint.position.value != end || info->behind != 0)
        violated("the group stands at position " + std::to_string(info->checkpoint.position.value) +
                 " of " + std::to_string(end));
    if (info->members != members) violated("the members are counted wrongly");
    auto waited = Consumer::wait(*writer_, "team", Position{end}, 0);
    if (!waited || !*waited) violated("who waits for the group is not told");
    check_whole();
}

}  // namespace varve::consumers
