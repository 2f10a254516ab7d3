#include <array>
#include <cstring>

#include "os/sim_env.hpp"
#include "varve/testing.hpp"

namespace varve {
inline namespace v0 {

namespace {

/// The boot id of this machine with `n` worked in: another one for every `n`, the same in every
/// process of this boot.
std::unique_ptr<os::Env> env_after(std::uint64_t n) {
    std::array<std::byte, 16> boot{};
    os::posix_env().boot_id(boot);
    std::uint64_t word = 0;
    std::memcpy(&word, boot.data(), sizeof word);
    word ^= n;
    std::memcpy(boot.data(), &word, sizeof word);
    return os::posix_env_of_boot(boot);
}

}  // namespace

Restarted::Restarted(std::uint64_t n) : env_(env_after(n)) {}
Restarted::Restarted(Restarted&&) noexcept = default;
Restarted& Restarted::operator=(Restarted&&) noexcept = default;
Restarted::~Restarted() = default;
os::Env* Restarted::env() noexcept { return env_.get(); }

Simulation::Simulation(std::uint64_t seed) : world_(std::make_unique<os::SimEnv>(seed)) {}
Simulation::Simulation(std::unique_ptr<os::SimEnv> world) noexcept : world_(std::move(world)) {}
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;
Simulation::~Simulation() = default;

os::Env* Simulation::env() noexcept { return world_.get(); }
Simulation Simulation::power_cut(std::uint64_t seed) const {
    return Simulation(world_->power_cut(seed, {}));
}
Simulation Simulation::kill(std::uint64_t seed) const { return Simulation(world_->kill(seed)); }
void Simulation::on_step(std::function<void()> hook) { world_->on_step(std::move(hook)); }
void Simulation::fail_call(std::uint64_t n, ErrorCode code, bool for_ever) noexcept {
    world_->fail_call(n, code, for_ever);
}
void Simulation::stop_failing() noexcept { world_->stop_failing(); }
void Simulation::limit_space(std::uint64_t bytes) noexcept { world_->limit_space(bytes); }
std::uint64_t Simulation::calls() const noexcept { return world_->calls(); }

}  // namespace v0
}  // namespace varve
