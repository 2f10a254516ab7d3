// The control page: the few words through which the writer tells everybody how far the log goes.
// Mapped shared.
//
// Who may store which word: the writer's appending thread `published`, `active`; its syncing thread
// `durable`; an erasing thread `erasures`; the appending thread and the sealer `definitions`; all
// of them and the helper `wake`; the opening thread everything, before `state` becomes running.
// Readers map the page read-only. Invariants: `published` and `durable` never fall while an inode
// is in use; a lossy reopening makes a new file instead and marks the old one superseded. All of it
// is memory of one boot: `identity` says whether it may be believed.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/field.hpp"
#include "os/env.hpp"

namespace varve::file {

inline constexpr std::uint64_t kControlMagic = 0x314C5443'45565256ULL;  // "VRVECTL1"
inline constexpr std::size_t kControlSize = 4096;

enum class WriterState : std::uint32_t {
    none = 0,
    running = 1,
    failed = 2,
    superseded = 3,
    closed = 4
};

/// Everything that must be equal before a word of the page is believed.
struct ControlIdentity {
    std::uint64_t magic = kControlMagic;
    std::uint32_t format = 1;
    std::uint32_t reserved = 0;
    std::array<std::byte, 16> uuid{};
    std::array<std::byte, 16> boot{};
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t birth_ns = 0;
    std::uint64_t mount = 0;
    friend bool operator==(const ControlIdentity&, const ControlIdentity&) noexcept = default;
};
static_assert(sizeof(ControlIdentity) == 80);

/// The page. Cache lines keep apart what different threads store.
struct Control {
    ControlIdentity identity;
    std::byte zero1[48];
    alignas(64) std::atomic<std::uint64_t> published;  ///< the linearization point of every append
    std::atomic<std::uint64_t> active;  ///< number of the newest segment, 0: none yet
    alignas(64) std::atomic<std::uint64_t> durable;
    std::atomic<std::uint64_t> lost_from;  ///< first position a lossy reopening gave up, 0: none
    alignas(64) std::atomic<std::uint32_t> wake;  ///< bumped after each change; the futex word
    std::atomic<std::uint32_t> state;             ///< WriterState
    std::atomic<std::uint32_t> epoch;
    std::atomic<std::uint32_t> generation;    ///< of the manifest
    std::atomic<std::uint64_t> heartbeat_us;  ///< of the writer, monotonic clock
    std::atomic<std::uint32_t> erasures;     ///< changes when the manifest names a new erase record
    std::atomic<std::uint32_t> definitions;  ///< odd while a definition is published
};
static_assert(offsetof(Control, published) == 128 && offsetof(Control, durable) == 192 &&
              offsetof(Control, wake) == 256);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// clang-format off
inline constexpr base::Field kControlFields[] = {
    VARVE_FIELD(ControlIdentity, magic), VARVE_FIELD(ControlIdentity, format),
    VARVE_FIELD(ControlIdentity, reserved),
    VARVE_FIELD(ControlIdentity, uuid), VARVE_FIELD(ControlIdentity, boot),
    VARVE_FIELD(ControlIdentity, device), VARVE_FIELD(ControlIdentity, inode),
    VARVE_FIELD(ControlIdentity, birth_ns), VARVE_FIELD(ControlIdentity, mount),
    VARVE_FIELD(Control, zero1),
    VARVE_FIELD(Control, published), VARVE_FIELD(Control, active),
    {"zero2", 144, 48},
    VARVE_FIELD(Control, durable), VARVE_FIELD(Control, lost_from),
    {"zero3", 208, 48},
    VARVE_FIELD(Control, wake), VARVE_FIELD(Control, state), VARVE_FIELD(Control, epoch),
    VARVE_FIELD(Control, generation), VARVE_FIELD(Control, heartbeat_us),
    VARVE_FIELD(Control, erasures), VARVE_FIELD(Control, definitions),
    {"zero4", 288, kControlSize - 288}};
// clang-format on

/// What the control page of `file` must say to be believed now.
struct ExpectedIdentity {
    ControlIdentity identity;
    bool known = false;  ///< boot and mount are known: a page that says the same can be believed
    /// Only the mount is not known. A page that says the same can be believed while its writer
    /// lives: the file system cannot have been unmounted since it began.
    bool known_while_locked = false;
};
[[nodiscard]] Result<ExpectedIdentity> expected_identity(
    os::Env& env, os::File& file, const std::array<std::byte, 16>& uuid) noexcept;

/// The page seen through a mapping of it. The mapping has kControlSize bytes.
[[nodiscard]] inline Control& control_of(const os::Mapping& mapping) noexcept {
    return *std::launder(reinterpret_cast<Control*>(mapping.data()));
}

}  // namespace varve::file
