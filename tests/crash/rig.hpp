// The crash rig: runs a workload in a simulated world and opens what every kind of crash would
// leave of it.
//
// One thread, one seed. A violation ends the run and is reported with what replays it.
#pragma once

#include <functional>
#include <memory>

#include "history.hpp"
#include "os/sim_env.hpp"

namespace varve::crash {

/// What was found, over a whole run.
struct Tally {
    std::uint64_t images = 0;
    std::uint64_t cut_points = 0;
    std::uint64_t double_crashes = 0;
    std::string violation;  ///< empty: none

    [[nodiscard]] bool held() const noexcept { return violation.empty(); }
};

/// Runs scenarios until `images` were opened or a promise was broken.
class Rig {
public:
    Rig(std::uint64_t seed, std::uint64_t images) : random_(seed), goal_(images) {}

    /// Random appends, syncs, closings and reopenings; images at random steps.
    void run_workloads();
    /// Every combination of pages at every step of a small workload.
    void run_exhaustive();
    /// Syncs that fail, reopenings, and power cuts after that.
    void run_failed_syncs();
    /// The n-th changing call of a whole life fails, once or for ever.
    void run_failing_calls();
    /// Synced data are damaged after a power cut: nobody may write, nothing may be dropped.
    void run_damage();
    /// Erasing, most of the time.
    void run_erasures();
    /// Bytes of another history of the same store behind ours.
    void run_splices();
    /// Backups while appends go on, cut at random steps; what can be restored is compared.
    void run_backups();

    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

private:
    using World = std::unique_ptr<os::SimEnv>;
    enum class Kind : std::uint8_t { power, kill };

    [[nodiscard]] bool done() const noexcept { return !tally_.held() || tally_.images >= goal_; }
    void life(os::SimEnv& world, History& history, std::uint64_t steps);
    bool session(os::SimEnv& world, History& history);
    void append_one(Store& store, History& history);
    void erase_some(Store& store, History& history);
    [[nodiscard]] Commit new_commit();
    void take_images(const os::SimEnv& world, const History& history);
    void check(World world, Kind kind, const History& history, const char* what);
    [[nodiscard]] std::optional<std::string> repeat_last(Store& store, const History& history,
                                                         std::size_t& kept);
    void second_life(os::SimEnv& world, const History& history, std::size_t kept);
    [[nodiscard]] static std::string describe(os::SimEnv& world);
    bool back_up(os::SimEnv& world, Store& store, const History& history, std::size_t& held);
    void restore_and_compare(os::SimEnv& world, const History& history, std::size_t least,
                             bool must, const char* what);
    void violate(const std::string& what);
    [[nodiscard]] static OpenOptions options(os::SimEnv& world, Durability level);

    os::SimRandom random_;
    std::uint64_t goal_;
    Tally tally_;
    std::uint64_t image_every_ = 4;  ///< on average, in steps
    bool exhaustive_ = false;
    bool in_second_life_ = false;
    std::uint64_t erase_every_ = 12;  ///< on average, in appends
};

}  // namespace varve::crash
