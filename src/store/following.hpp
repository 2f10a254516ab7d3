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
    /// The caller has checked that the selector carries no error.
    Following(std::shared_ptr<Engine> engine, const Selector& selector,
              const FollowOptions& options) noexcept;

    /// What ends a wait besides time.
    enum class Until : std::uint8_t {
        events,
        moved,  ///< events, or the position has moved over what does not match
    };
    [[nodiscard]] Result<std::span<const EventView>> next(std::uint32_t timeout_ms,
                                                          Until until = Until::events) noexcept;
    [[nodiscard]] bool caught_up() const noexcept { return caught_up_; }
    [[nodiscard]] Position position() const noexcept { return Position{after_}; }
    /// Keeps alive what the views handed out last point into.
    [[nodiscard]] const std::shared_ptr<Pinned>& pinned() const noexcept { return pinned_; }

private:
    /// Begins to read what has come; false if nothing has.
    [[nodiscard]] Result<bool> look() noexcept;
    void note_keys(const View& view) noexcept;
    [[nodiscard]] Result<void> sleep(std::uint32_t word, std::uint64_t timeout_us,
                                     Until until) noexcept;

    std::shared_ptr<Engine> engine_;
    Selector selector_;
    ReadOptions options_;
    std::uint64_t after_;
    std::uint64_t reading_until_ = 0;
    std::uint64_t end_ = 0;  ///< of what there was at the last look
    bool caught_up_ = false;
    Looked looked_;  ///< at the last look, if it found nothing
    /// See `keys_wanted`; of the definitions of `keys_of_`.
    std::optional<std::vector<index::Key>> keys_;
    std::optional<std::uint32_t> keys_of_;
    std::shared_ptr<Pinned> pinned_;
    std::unique_ptr<Reading> reading_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
