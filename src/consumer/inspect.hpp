// Consumers seen from outside: what their files say, waiting for them, and making them begin anew.
//
// Any thread. Only `reset_consumer`, `replace_consumer` and `drop_parked` take locks of consumers;
// `pause_consumer` stores one shared word; nothing else writes.
#pragma once

#include "consumer/active.hpp"
#include "consumer/parts.hpp"
#include "varve/group.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// `stale` if the checkpoint does not belong to the history that the view shows.
[[nodiscard]] Result<void> check_checkpoint(const Slot& slot, const store::View& view,
                                            const std::string& path);

/// Opens the file of an existing consumer. `not_found`, `invalid_argument` for a name that cannot
/// be.
[[nodiscard]] Result<std::unique_ptr<os::File>> open_named(const Place& place,
                                                           std::string_view name,
                                                           os::OpenMode mode);

[[nodiscard]] Result<std::vector<ConsumerInfo>> list_consumers(store::Engine& engine);
[[nodiscard]] Result<ConsumerInfo> describe_consumer(store::Engine& engine, std::string_view name);
[[nodiscard]] Result<ConsumerContent> consumer_content(store::Engine& engine,
                                                       std::string_view name);
[[nodiscard]] Result<std::vector<LaneInfo>> describe_lanes(store::Engine& engine,
                                                           std::string_view name);
[[nodiscard]] Result<bool> wait_for_consumer(store::Engine& engine, std::string_view name,
                                             std::uint64_t position, std::uint32_t timeout_ms);
[[nodiscard]] Result<void> pause_consumer(store::Engine& engine, std::string_view name,
                                          bool paused);
[[nodiscard]] Result<void> reset_consumer(store::Engine& engine, std::string_view name,
                                          const ResetOptions& options);
[[nodiscard]] Result<void> replace_consumer(store::Engine& engine, std::string_view name,
                                            std::string_view by);
[[nodiscard]] Result<std::vector<ParkedEvent>> list_parked(store::Engine& engine,
                                                           std::string_view name);
[[nodiscard]] Result<void> drop_parked(store::Engine& engine, std::string_view name,
                                       std::span<const Position> positions);
[[nodiscard]] Result<ConsumerReport> verify_consumer(store::Engine& engine, std::string_view name);

}  // namespace consumer
}  // namespace v0
}  // namespace varve
