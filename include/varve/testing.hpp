// A world in memory for crash tests: give its `env()` to a store, cut the power, open what is left.
//
// One thread per world. Everything follows from the seed. Invariant: a world that came out of a cut
// knows nothing of the one before it: boot, mount and clock are others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "varve/export.hpp"
#include "varve/options.hpp"
#include "varve/result.hpp"

namespace varve {
inline namespace v0 {

namespace os {
class Env;
class SimEnv;
}  // namespace os

/// The machine we run on as it would look after its `n`-th restart from now: real files, another
/// boot id, so that a store believes no index and no page that an earlier boot has left in memory.
/// Files whose pages were never written back are still whole: the page cache is not ours to lose.
/// Stores opened on it must be closed before it goes away. Any thread.
class VARVE_EXPORT Restarted {
public:
    explicit Restarted(std::uint64_t n);
    Restarted(Restarted&&) noexcept;
    Restarted& operator=(Restarted&&) noexcept;
    ~Restarted();

    /// For `OpenOptions::env`. Lives as long as this object.
    [[nodiscard]] os::Env* env() noexcept;

private:
    std::unique_ptr<os::Env> env_;
};

/// A simulated machine with one disk. Stores opened on it must be closed before it goes away.
class VARVE_EXPORT Simulation {
public:
    explicit Simulation(std::uint64_t seed);
    Simulation(Simulation&&) noexcept;
    Simulation& operator=(Simulation&&) noexcept;
    ~Simulation();

    /// For `OpenOptions::env`. Lives as long as this object.
    [[nodiscard]] os::Env* env() noexcept;

    /// The machine after its power was cut now: of what was not synced, `seed` decides what reached
    /// the disk, sector by sector. May be called from inside a step, while the workload is in the
    /// middle of an append.
    [[nodiscard]] Simulation power_cut(std::uint64_t seed) const;
    /// The machine after all processes were killed now: only locks are gone.
    [[nodiscard]] Simulation kill(std::uint64_t seed) const;

    /// `hook` runs before and after everything that changes the world: each call and each store
    /// into a mapped file.
    void on_step(std::function<void()> hook);
    /// The `n`-th changing call from now (1: the next one) fails with `code`; with `for_ever` all
    /// that follow too.
    void fail_call(std::uint64_t n, ErrorCode code, bool for_ever) noexcept;
    void stop_failing() noexcept;
    /// Bytes that all files together may have; more answers `no_space`.
    void limit_space(std::uint64_t bytes) noexcept;
    /// Changing calls so far: the bound for `fail_call`.
    [[nodiscard]] std::uint64_t calls() const noexcept;

private:
    explicit Simulation(std::unique_ptr<os::SimEnv> world) noexcept;
    std::unique_ptr<os::SimEnv> world_;
};

}  // namespace v0
}  // namespace varve
