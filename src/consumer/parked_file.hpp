// The events that a consumer has put aside, and what became of them: a file beside the checkpoint
// to which entries are only added.
//
// One thread at a time; reading needs no lock. Invariants: an entry is durable before the
// checkpoint passes its event; what is written is never changed; entries of another generation than
// the checkpoint's mean nothing.
#pragma once

#include <map>

#include "consumer/checkpoint_file.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

inline constexpr std::uint64_t kParkedMagic = 0x314B5250'45565256ULL;  // "VRVEPRK1"
inline constexpr std::size_t kParkedHeaderSize = 64;
inline constexpr std::size_t kMaxReason = 1024;

struct ParkedHeader {
    std::uint64_t magic = kParkedMagic;
    std::uint32_t format = kFormat;
    std::uint32_t crc = 0;  ///< of all bytes behind it
    Uuid uuid{};            ///< of the store
    std::array<std::byte, 32> zero{};
};
static_assert(sizeof(ParkedHeader) == kParkedHeaderSize);

enum class ParkedKind : std::uint16_t {
    parked = 1,
    replayed = 2,
    dropped = 3,
    taken_back = 4,  ///< the checkpoint had not passed it: it is delivered again
};

struct ParkedEntry {
    std::uint32_t crc = 0;   ///< of all bytes behind it and the reason, seeded with store and place
    std::uint16_t kind = 0;  ///< ParkedKind
    std::uint16_t reason_length = 0;  ///< bytes that follow, then zeros up to a multiple of 8
    std::uint64_t position = 0;
    std::int64_t time_us = 0;
    std::uint32_t generation = 0;  ///< of the checkpoint
    std::uint32_t attempts = 0;
};
static_assert(sizeof(ParkedEntry) == 32);

// clang-format off
inline constexpr base::Field kParkedHeaderFields[] = {
    VARVE_FIELD(ParkedHeader, magic), VARVE_FIELD(ParkedHeader, format),
    VARVE_FIELD(ParkedHeader, crc), VARVE_FIELD(ParkedHeader, uuid),
    VARVE_FIELD(ParkedHeader, zero)};
inline constexpr base::Field kParkedEntryFields[] = {
    VARVE_FIELD(ParkedEntry, crc), VARVE_FIELD(ParkedEntry, kind),
    VARVE_FIELD(ParkedEntry, reason_length), VARVE_FIELD(ParkedEntry, position),
    VARVE_FIELD(ParkedEntry, time_us), VARVE_FIELD(ParkedEntry, generation),
    VARVE_FIELD(ParkedEntry, attempts)};
// clang-format on

using ParkedEvents = std::map<std::uint64_t, ParkedEvent>;

class ParkedFile {
public:
    /// Reads the entries of this generation, of the consumer with this id. No file is no entry.
    [[nodiscard]] static Result<ParkedFile> load(const Place& place, std::uint64_t id,
                                                 std::uint32_t generation) noexcept;

    [[nodiscard]] static std::string path_of(const Place& place, std::uint64_t id) {
        return place.directory + "/parked" + kBeside + std::to_string(id);
    }

    /// Those that were parked and not taken back, by position.
    [[nodiscard]] const ParkedEvents& events() const noexcept { return events_; }
    /// `corrupt` unless exactly so many of them lie at or before `position`.
    [[nodiscard]] Result<void> check(const Slot& slot) const noexcept;

    /// Adds an entry; durable when it returns.
    [[nodiscard]] Result<void> add(ParkedKind kind, std::uint64_t position, std::uint32_t attempts,
                                   std::string_view reason) noexcept;

private:
    [[nodiscard]] Result<void> make() noexcept;
    [[nodiscard]] Result<void> open() noexcept;
    void apply(const ParkedEntry& entry, std::string_view reason);
    void read_entries(Bytes bytes);

    Place place_;
    std::string path_;
    std::uint32_t generation_ = 0;
    std::unique_ptr<os::File> file_;
    std::uint64_t end_ = 0;   ///< where the next entry goes; 0: there is no file yet
    std::uint64_t size_ = 0;  ///< allocated
    bool failed_ = false;
    ParkedEvents events_;
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
