// The operating system, but whoever waits does so a hundred times as long before looking again: a
// wake-up that is lost shows as a hang and not as a delay, so that a busy machine raises no alarm.
//
// Any thread; everything else is passed on.
#pragma once

#include "support/passing_env.hpp"

namespace varve::test {

class PatientEnv : public PassingEnv {
public:
    PatientEnv() noexcept : PassingEnv(os::posix_env()) {}
    bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::uint64_t timeout_us) noexcept override {
        return PassingEnv::wait_on(word, expected, patient(timeout_us));
    }
    bool wait_on_any(std::span<const os::Watched> words,
                     std::uint64_t timeout_us) noexcept override {
        return PassingEnv::wait_on_any(words, patient(timeout_us));
    }

private:
    /// Shorter ones are naps between two rounds of work and not a fallback.
    static std::uint64_t patient(std::uint64_t timeout_us) noexcept {
        constexpr std::uint64_t kFallbackUs = 500'000;
        constexpr std::uint64_t kPatience = 100;
        return timeout_us < kFallbackUs ? timeout_us : timeout_us * kPatience;
    }
};

}  // namespace varve::test
