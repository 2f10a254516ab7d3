// A read that continues: catch-up and live in one loop, pulled by the caller.
//
// One thread at a time; `close` of the store from another thread ends a wait. Invariant: positions
// handed out rise; what lies at or below `position()` was handed out or does not match.
#pragma once

#include "store/engine.hpp"
#include "store/reading.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Following {
public:
    Following(std::shared_ptr<Engine> engine, Source source, const FollowOptions& options);

    [[nodiscard]] Result<std::span<const EventView>> next(std::uint32_t timeout_ms) noexcept;
    [[nodiscard]] bool caught_up() const noexcept { return caught_up_; }
    [[nodiscard]] Position position() const noexcept { return Position{after_}; }

private:
    /// Begins to read what has come; false if nothing has.
    [[nodiscard]] Result<bool> look() noexcept;

    std::shared_ptr<Engine> engine_;
    Source::Kind kind_;
    std::string name_;
    FollowOptions options_;
    std::uint64_t after_;
    std::uint64_t reading_until_ = 0;
    bool caught_up_ = false;
    std::unique_ptr<Reading> reading_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
