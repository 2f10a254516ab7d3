// A consumer's life in the simulated machine: random appends, deliveries, acknowledgements,
// failures, crashes and takeovers, each crash compared with what was promised.
//
// One thread; everything follows from the seed. The model knows which events match, which were
// handled, which were parked, and how far a checkpoint must have come at least.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "os/sim_env.hpp"
#include "varve/consumer.hpp"

namespace varve::consumers {

/// What one round has done, and the first broken promise.
struct Tally {
    std::uint64_t operations = 0;
    std::uint64_t crashes = 0;
    std::uint64_t delivered = 0;
    std::uint64_t parked = 0;
    std::uint64_t given_up = 0;  ///< events parked because processes died with them in hand
    std::string violation;
};

class Rig {
public:
    explicit Rig(std::uint64_t seed);
    ~Rig();
    [[nodiscard]] Tally run(std::uint64_t operations);

private:
    /// How far the checkpoint must have come at least.
    struct Floors {
        std::uint64_t kill = 0;  ///< if every process dies
        std::uint64_t cut = 0;   ///< if the power fails
    };
    struct Image {
        std::unique_ptr<os::SimEnv> world;
        Floors floors;
        bool cut = false;
    };

    // The world.
    void open_store();
    void open_consumer();
    void drop_handles();
    void blame();
    [[nodiscard]] bool may_be_given_up(std::uint64_t position) const;
    void plan_crash();
    void take_image();
    void go_on_in_image();

    // Operations.
    void operate();
    void append();
    void next();
    void handle();
    void handle_in_order();
    void handle_anywhere();
    void fail(std::uint64_t position);
    void acknowledge(std::uint64_t position, std::optional<std::string> state);
    void replay();
    void reopen();
    void sync_consumer();
    void drain();

    // The model.
    void deliver(const Batch& batch);
    void read_log();
    void check_opening();
    void check_parked(const Checkpoint& at);
    void check_caught_up();
    void note_progress();
    [[nodiscard]] std::string fold_until(std::uint64_t position,
                                         const std::set<std::uint64_t>& without) const;
    [[nodiscard]] std::uint64_t durable();
    [[nodiscard]] std::uint64_t published();
    void violated(const std::string& what);
    template <class T>
    bool good(const Result<T>& result, const char* what);

    os::SimRandom random_;
    std::uint64_t seed_;
    bool keeps_state_;  ///< one event after the other, with a state; else in any order, without
    std::uint32_t retries_;
    std::unique_ptr<os::SimEnv> world_;
    std::optional<Store> writer_;
    std::optional<Store> reader_;
    std::optional<Consumer> consumer_;
    std::optional<Image> image_;
    std::uint64_t countdown_ = 0;
    Floors floors_;
    Tally tally_;

    std::vector<std::uint64_t> matching_;    ///< positions, as the log has them
    std::set<std::uint64_t> handled_;        ///< acknowledged, or it was tried
    std::set<std::uint64_t> parked_;         ///< parked, or it was tried
    std::set<std::uint64_t> surely_parked_;  ///< and not acknowledged since
    std::set<std::uint64_t> surely_replayed_;
    std::map<std::uint64_t, std::uint32_t> tried_;  ///< failures, and deaths: at most so many

    // Of one opening.
    std::uint64_t delivered_ = 0;     ///< last position that was delivered for the first time
    std::deque<std::uint64_t> todo_;  ///< delivered, to be handled, in order
    std::set<std::uint64_t> open_;    ///< neither acknowledged nor parked, nor waiting for a retry
    std::vector<std::vector<std::uint64_t>> batches_;
    std::set<std::uint64_t> retried_;    ///< to be delivered again
    std::deque<std::uint64_t> replays_;  ///< to be delivered once more
    std::uint64_t replayed_ = 0;
    bool counts_deaths_ = false;
};

/// Somebody waits for a consumer, or for a lane of a group, and what it waits for happens before it
/// sleeps or while it does: it must not sleep on until it looks again.
[[nodiscard]] std::string slept_through(std::uint64_t seed);

/// A checkpoint that skips a run of events, forged: the verification must name the first of them.
[[nodiscard]] std::string forged_skip(std::uint64_t seed);

}  // namespace varve::consumers
