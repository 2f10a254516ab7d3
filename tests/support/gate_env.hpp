// The system, with a gate that the background threads of stores wait at: what they would do is not
// done before a test says so.
//
// Any thread; everything else is passed on. A gate that was opened stays open.
#pragma once

#include <atomic>

#include "support/patient_env.hpp"

namespace varve::test {

class GateEnv : public PatientEnv {
public:
    void begin_background_thread() noexcept override {
        gate_.wait(false);
        PatientEnv::begin_background_thread();
    }
    void let_pass() noexcept {
        gate_.store(true);
        gate_.notify_all();
    }

private:
    std::atomic<bool> gate_{false};
};

/// Whoever goes away before the store opens the gate: closing waits for the threads.
class PassAtEnd {
public:
    explicit PassAtEnd(GateEnv& env) noexcept : env_(env) {}
    PassAtEnd(const PassAtEnd&) = delete;
    PassAtEnd& operator=(const PassAtEnd&) = delete;
    ~PassAtEnd() { env_.let_pass(); }

private:
    GateEnv& env_;
};

}  // namespace varve::test
