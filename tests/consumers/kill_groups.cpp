// varve_groups_kill: members of a group in real processes, killed with SIGKILL at random
// microseconds.
//
//   varve_groups_kill [--rounds N] [--seed S]
//
// One process appends to many streams, three are members of one group, each with two threads that
// handle what one of them takes; in each round one of the four processes dies and is started again.
// No event may be handled before the one in front of it in its stream, none twice after its
// acknowledgement was stored, none by two members at a time; what the state of a lane says must be
// what its checkpoint has passed. At the end every event was handled.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "support/killing.hpp"
#include "support/small_segments.hpp"
#include "support/temporary_directory.hpp"
#include "varve/varve.hpp"

namespace varve::consumers {
namespace {

constexpr std::uint64_t kMost = 1 << 20;  // events of one store
constexpr std::uint64_t kStreams = 40;
constexpr std::uint32_t kLanes = 8;
constexpr int kMembers = 3;
constexpr int kProcesses = kMembers + 1;

struct Shared {
    test::Violation violation;
    std::atomic<std::uint64_t> taken{0};              ///< lanes that were taken over
    std::atomic<std::uint64_t> reached[kLanes] = {};  ///< checkpoints that were seen stored
    std::atomic<std::uint64_t> holder[kLanes] = {};   ///< process that handles a batch; 0: none
    std::atomic<std::uint64_t> last[kStreams] = {};   ///< revision handled last, of each stream
    std::atomic<std::uint8_t> handled[kMost] = {};
};

OpenOptions options_for(Access access) {
    return test::small_segments(access, {.first = 256 << 10, .max = 256 << 10});
}

std::uint64_t number_of(std::string_view stream) {
    std::uint64_t number = 0;
    std::from_chars(stream.data() + 2, stream.data() + stream.size(), number);
    return number;
}

[[noreturn]] void append_until_killed(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) {
        shared.violation.say("the writer cannot open: " + store.error().message);
        ::_exit(1);
    }
    std::uint64_t position = store->snapshot()->published().value;
    while (position + 1 < kMost) {
        ++position;
        const std::string stream = "s-" + std::to_string(position * 7 % kStreams);
        AppendOptions options;
        if (position % 8 == 0) options.durability = Durability::disk;
        if (!store->append({{.stream = stream, .type = "A"}}, options)) ::_exit(1);
    }
    ::pause();
    ::_exit(0);
}

/// Of a lane that was taken: what is stored must be what was left.
void check_taken(GroupMember& member, std::uint32_t lane, Shared& shared) {
    auto at = member.checkpoint(lane);
    auto state = member.state(lane);
    if (!at || !state) return shared.violation.say("a lane that was taken is not held");
    shared.taken.fetch_add(1);
    if (at->position.value < shared.reached[lane].load())
        return shared.violation.say("an acknowledgement was lost");
    const std::string count = at->acknowledged == 0 ? "" : std::to_string(at->acknowledged);
    if (*state != count)
        shared.violation.say("the state of a lane is '" + *state + "', its count " + count);
}

/// Checks the lanes that were not held before.
void look_at_lanes(GroupMember& member, std::vector<std::uint32_t>& held, Shared& shared) {
    std::vector<std::uint32_t> now = member.lanes();
    for (const std::uint32_t lane : now)
        if (std::find(held.begin(), held.end(), lane) == held.end())
            check_taken(member, lane, shared);
    held = std::move(now);
}

void note_reached(GroupMember& member, std::uint32_t lane, Shared& shared) {
    auto at = member.checkpoint(lane);
    if (!at) return;  // given back in the meantime: the next holder looks
    std::uint64_t before = shared.reached[lane].load();
    while (before < at->position.value &&
           !shared.reached[lane].compare_exchange_weak(before, at->position.value)) {
    }
}

/// Handles one batch. False if something is wrong.
bool handle(GroupMember& member, const Batch& batch, std::uint64_t self, Shared& shared) {
    const std::uint32_t lane = batch.lane();
    shared.holder[lane].store(self);
    auto state = member.state(lane);
    if (!state) return false;
    std::uint64_t count = 0;
    std::from_chars(state->data(), state->data() + state->size(), count);
    for (const EventView& event : batch) {
        std::atomic<std::uint64_t>& last = shared.last[number_of(event.stream)];
        const std::uint64_t before = last.load();
        if (event.revision.value > before + 1)
            shared.violation.say("the order of a stream is broken");
        if (event.position.value <= shared.reached[lane].load())
            shared.violation.say("an event came again, though its acknowledgement was stored");
        last.store(std::max(before, event.revision.value));
        shared.handled[event.position.value].fetch_add(1);
        ++count;
    }
    // A dead holder says nothing here; one that lives must still be the only one.
    if (shared.holder[lane].exchange(0) != self)
        shared.violation.say("two living members handle one lane");
    if (!member.ack(batch.last(), std::to_string(count))) return false;
    note_reached(member, lane, shared);
    return true;
}

/// Batches on their way from the thread that takes them to the one that handles them.
class Queue {
public:
    void put(Batch batch) {
        const std::lock_guard lock(mutex_);
        batches_.push_back(std::move(batch));
        came_.notify_one();
    }
    Batch take() {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [&] { return !batches_.empty(); });
        Batch batch = std::move(batches_.front());
        batches_.pop_front();
        return batch;
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<Batch> batches_;
};

GroupOptions group_options() {
    GroupOptions options;
    options.lanes = kLanes;
    options.consumer.sync_ms = 20;
    options.consumer.retries = 1'000'000;  // no event is at fault here
    return options;
}

[[noreturn]] void give_up(Shared& shared, const std::string& what) {
    shared.violation.say(what);
    ::_exit(1);
}

[[noreturn]] void work_until_killed(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_only));
    if (!store) give_up(shared, "a member cannot open the store: " + store.error().message);
    auto member = GroupMember::join(*store, "team", Selector::type("A"), group_options());
    if (!member) give_up(shared, "the group cannot be joined: " + member.error().message);
    const auto self = static_cast<std::uint64_t>(::getpid());
    Queue queue;
    const auto work = [&](const Batch& batch) {
        if (!handle(*member, batch, self, shared)) give_up(shared, "a batch cannot be handled");
    };
    std::thread helper([&] {
        while (true) work(queue.take());
    });
    std::vector<std::uint32_t> held;
    look_at_lanes(*member, held, shared);
    for (std::uint64_t n = 0; true; ++n) {
        auto batch = member->next(16, 100);
        if (!batch) give_up(shared, "next: " + batch.error().message);
        look_at_lanes(*member, held, shared);
        if (batch->empty()) continue;
        if (n % 2 == 0)
            work(*batch);
        else
            queue.put(std::move(*batch));
    }
}

/// Nobody is left: what remains is handled here, and everything adds up.
std::string finish(const std::string& path, Shared& shared) {
    auto store = Store::open(path, options_for(Access::read_write));
    if (!store) return "the store cannot be opened: " + store.error().message;
    if (!store->sync()) return "the store cannot be synced";
    const std::uint64_t end = store->snapshot()->published().value;
    auto member = GroupMember::join(*store, "team", Selector::type("A"), group_options());
    if (!member) return "the group cannot be joined: " + member.error().message;
    if (member->lanes().size() != kLanes) return "lanes of the dead are still held";
    std::vector<std::uint32_t> held;
    look_at_lanes(*member, held, shared);
    for (std::uint64_t n = 0; n < kMost; ++n) {
        auto batch = member->next(100, 0);
        if (!batch) return batch.error().message;
        if (batch->empty() && member->caught_up()) break;
        if (!batch->empty() && !handle(*member, *batch, 1, shared)) return "a wrong event";
    }
    if (!member->close()) return "close failed";
    for (std::uint64_t n = 1; n <= end; ++n)
        if (shared.handled[n].load() == 0)
            return "position " + std::to_string(n) + " was never handled";
    auto report = Consumer::verify(*store, "team");
    if (!report || !report->good) return "verify finds a skip";
    if (report->checkpoint.position.value != end) return "the end was not reached";
    if (report->checkpoint.acknowledged != end) return "the count is wrong";
    return shared.violation.text();
}

std::string run_store(std::uint64_t rounds, std::uint64_t& seed, std::uint64_t& taken) {
    const test::TemporaryDirectory directory;
    const test::SharedMemory<Shared> memory;
    Shared& shared = *memory;
    if (auto made = Store::open(directory.store(), options_for(Access::read_write)); !made)
        return "cannot create: " + made.error().message;
    const auto start = [&](std::size_t role) {
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (role == 0) append_until_killed(directory.store(), shared);
        work_until_killed(directory.store(), shared);
    };
    pid_t children[kProcesses];
    test::kill_in_turns(children, rounds, seed, shared.violation, start);
    std::string wrong = shared.violation.text();
    if (wrong.empty()) wrong = finish(directory.store(), shared);
    taken += shared.taken.load();
    return wrong;
}

}  // namespace
}  // namespace varve::consumers

int main(int count, char** values) {
    std::uint64_t taken = 0;
    const std::uint64_t done = varve::test::run_stores(
        "varve_groups_kill", varve::test::kill_arguments(count, values, 1'000),
        [&](std::uint64_t rounds, std::uint64_t& seed) {
            return varve::consumers::run_store(rounds, seed, taken);
        });
    if (done == 0) return 1;
    std::printf("%llu kills, lanes were taken %llu times: 0 violations\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(taken));
    // A rig in which nobody dies while holding a lane proves nothing.
    return taken >= done / 2 ? 0 : 1;
}
