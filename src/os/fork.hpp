// What a child process must know: that it is one, and that the lock is its parent's.
//
// Any thread. Invariant: after fork() the child holds no descriptor of a guarded lock, so the lock
// dies with the parent.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "os/env.hpp"

namespace varve {
inline namespace v0 {
namespace os {

/// Rises in every child of a fork. A handle remembers it when it is made and answers `closed` when
/// it has changed.
[[nodiscard]] std::uint32_t fork_generation() noexcept;

/// Owns a locked file, and others that go with it. In a child of fork() the file is closed at once.
class ForkGuard {
public:
    explicit ForkGuard(std::unique_ptr<File> file) noexcept;
    ForkGuard(const ForkGuard&) = delete;
    ForkGuard& operator=(const ForkGuard&) = delete;
    ~ForkGuard();

    /// Null in a child.
    [[nodiscard]] File* file() noexcept { return file_.get(); }
    /// Keeps another one exactly as long as this one.
    void keep(std::unique_ptr<ForkGuard> other) noexcept { kept_ = std::move(other); }

private:
    friend struct ForkRegistry;
    std::unique_ptr<File> file_;
    std::unique_ptr<ForkGuard> kept_;
    ForkGuard* next_ = nullptr;
    ForkGuard* previous_ = nullptr;
};

}  // namespace os
}  // namespace v0
}  // namespace varve
