// The life of a consumer group in the simulated machine: members join, leave and die alone or with
// the machine, while events are appended, delivered, acknowledged and fail.
//
// One thread; everything follows from the seed. The model knows the key of each event, which were
// handled or parked, who has which in hand, and how far the checkpoint of each lane must have come.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consumer/format.hpp"
#include "os/sim_env.hpp"
#include "rig.hpp"
#include "support/mortal_env.hpp"
#include "varve/group.hpp"

namespace varve::consumers {

class GroupRig {
public:
    explicit GroupRig(std::uint64_t seed);
    ~GroupRig();
    [[nodiscard]] Tally run(std::uint64_t operations);

private:
    static constexpr std::size_t kMembers = 4;

    /// A batch that was delivered and not handled completely.
    struct Hand {
        std::deque<std::uint64_t> positions;  ///< to be handled, in order
    };
    /// A process with a member.
    struct Process {
        std::unique_ptr<test::MortalEnv> env;
        std::optional<Store> store;
        std::optional<GroupMember> member;
        std::map<std::uint32_t, Hand> hands;  ///< by lane
        std::set<std::uint64_t> retried;      ///< failed, to be delivered again
        std::set<std::uint32_t> lanes;        ///< it was seen to hold
        std::uint64_t steps_left = 0;         ///< until it dies; 0: it is not going to
    };
    /// How far the checkpoint of a lane must have come at least.
    struct Floors {
        std::uint64_t kill = 0;  ///< if processes die
        std::uint64_t cut = 0;   ///< if the power fails
    };
    struct Event {
        std::string key;
        bool matches = false;
    };
    struct Image {
        std::unique_ptr<os::SimEnv> world;
        std::map<std::uint32_t, Floors> floors;
        bool cut = false;
    };

    // The world.
    void open_store();
    void watch_steps();
    void take_image();
    void go_on_in_image();
    void bury();
    void drop(Process& process);

    // Operations.
    void operate();
    void append();
    void join();
    void leave(Process& process);
    void next(Process& process, std::uint32_t timeout_ms);
    void handle(Process& process);
    void fail(Process& process, std::uint32_t lane, std::uint64_t position);
    void sync(Process& process);
    void drain();
    [[nodiscard]] Process* some();

    // The model.
    void deliver(Process& process, const Batch& batch);
    void check_order(const Process& process, const Batch& batch);
    void check_alone(const Process& process, const Batch& batch);
    void look_at_lanes(Process& process);
    void check_taken(Process& process, std::uint32_t lane);
    void note_progress(Process& process, std::uint32_t lane);
    void check_whole();
    void read_log();
    [[nodiscard]] std::uint32_t lane_of(std::uint64_t position) const;
    [[nodiscard]] bool done(std::uint64_t position) const {
        return handled_.contains(position) || parked_.contains(position);
    }
    [[nodiscard]] std::string fold_until(std::uint32_t lane, std::uint64_t position) const;
    void violated(const std::string& what);
    /// False after an error, which is none of ours if the process has died.
    template <class T>
    bool good(const Process* process, const Result<T>& result, const char* what);

    os::SimRandom random_;
    std::uint64_t seed_;
    bool keeps_state_;  ///< one event after the other, with a state; else whole batches, some fail
    GroupOptions options_;
    consumer::Lanes lanes_;
    std::unique_ptr<os::SimEnv> world_;
    std::optional<Store> writer_;
    Process processes_[kMembers];
    std::optional<Image> image_;
    std::uint64_t countdown_ = 0;  ///< steps until an image is taken
    bool made_ = false;            ///< the group is there for good
    std::map<std::uint32_t, Floors> floors_;
    Tally tally_;

    std::map<std::uint64_t, Event> events_;  ///< by position, as the log has them
    std::set<std::uint64_t> handled_;        ///< acknowledged, or it was tried
    std::set<std::uint64_t> parked_;         ///< parked, or it was tried
};

template <class T>
bool GroupRig::good(const Process* process, const Result<T>& result, const char* what) {
    if (result) return true;
    if (process == nullptr || process->env == nullptr || !process->env->is_dead())
        violated(std::string(what) + ": " + std::string(to_string(result.error().code)) + ", " +
                 result.error().message);
    return false;
}

}  // namespace varve::consumers
