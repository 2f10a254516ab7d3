// The bytes of a list of the past: which events of one segment some definitions apply to that were
// made after them.
//
// Layout (docs/format/past.md): header · entries, sorted by definition and name · ordinals · names.
// Made once, never changed; anybody may delete it, and it is made again. One checksum covers all
// of it and is checked when it is opened. Any thread may read. An ordinal is a position minus the
// header's first position.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "index/past.hpp"
#include "log/format.hpp"

namespace varve::index {

inline constexpr std::uint64_t kPastMagic = 0x31545350'45565256ULL;  // "VRVEPST1"
inline constexpr std::uint32_t kPastFormat = 1;
inline constexpr std::size_t kPastHeaderSize = 128;

struct PastHeader {
    std::uint64_t magic = kPastMagic;
    std::uint32_t format = kPastFormat;
    std::uint32_t reserved = 0;
    log::Uuid uuid{};
    std::uint64_t first_definition = 0;  ///< numbers
    std::uint64_t last_definition = 0;
    std::uint64_t segment = 0;  ///< number
    std::uint64_t salt = 0;     ///< of the segment
    std::uint64_t first_position = 0;
    std::uint64_t last_position = 0;
    std::uint64_t ordinals = 0;  ///< how many
    std::uint64_t names_bytes = 0;
    std::uint32_t entries = 0;  ///< how many
    std::uint32_t reserved2 = 0;
    std::uint64_t defined = 0;      ///< position of the last definition
    std::uint32_t defined_crc = 0;  ///< head CRC of its record: another one is another history
    std::uint32_t reserved3 = 0;
    std::uint32_t body_crc = 0;    ///< of what follows the header
    std::uint32_t header_crc = 0;  ///< of the bytes before
};
static_assert(sizeof(PastHeader) == kPastHeaderSize);

/// The events of one definition, or of one name that it gives.
struct PastEntry {
    std::uint64_t definition = 0;
    std::uint64_t first_ordinal = 0;  ///< number of its first one among all
    std::uint32_t count = 0;
    std::uint32_t name_length = 0;  ///< 0: of a derived stream
    std::uint64_t name_offset = 0;  ///< in the names
};
static_assert(sizeof(PastEntry) == 32);

// clang-format off
inline constexpr base::Field kPastHeaderFields[] = {
    VARVE_FIELD(PastHeader, magic), VARVE_FIELD(PastHeader, format),
    VARVE_FIELD(PastHeader, reserved), VARVE_FIELD(PastHeader, uuid),
    VARVE_FIELD(PastHeader, first_definition), VARVE_FIELD(PastHeader, last_definition),
    VARVE_FIELD(PastHeader, segment), VARVE_FIELD(PastHeader, salt),
    VARVE_FIELD(PastHeader, first_position), VARVE_FIELD(PastHeader, last_position),
    VARVE_FIELD(PastHeader, ordinals), VARVE_FIELD(PastHeader, names_bytes),
    VARVE_FIELD(PastHeader, entries), VARVE_FIELD(PastHeader, reserved2),
    VARVE_FIELD(PastHeader, defined), VARVE_FIELD(PastHeader, defined_crc),
    VARVE_FIELD(PastHeader, reserved3),
    VARVE_FIELD(PastHeader, body_crc), VARVE_FIELD(PastHeader, header_crc)};
inline constexpr base::Field kPastEntryFields[] = {
    VARVE_FIELD(PastEntry, definition), VARVE_FIELD(PastEntry, first_ordinal),
    VARVE_FIELD(PastEntry, count), VARVE_FIELD(PastEntry, name_length),
    VARVE_FIELD(PastEntry, name_offset)};
// clang-format on

/// A file as it is read. The bytes outlive it.
class PastFile {
public:
    /// Checks all of it. Null, or what is wrong.
    [[nodiscard]] static log::Fault open(base::Bytes file, const log::Uuid& uuid,
                                         PastFile& to) noexcept;

    [[nodiscard]] const PastHeader& header() const noexcept { return header_; }
    /// The events; empty if there are none.
    [[nodiscard]] Past::Part find(std::uint64_t definition, std::string_view name) const noexcept;
    /// Number of the first entry at or behind that name of the definition.
    [[nodiscard]] std::uint32_t lower_bound(std::uint64_t definition,
                                            std::string_view name) const noexcept;
    [[nodiscard]] std::uint32_t entries() const noexcept { return header_.entries; }
    [[nodiscard]] PastEntry entry(std::uint32_t n) const noexcept;
    [[nodiscard]] std::string_view name(const PastEntry& entry) const noexcept;
    [[nodiscard]] Past::Part events(const PastEntry& entry) const noexcept;

private:
    [[nodiscard]] log::Fault check_entries() const noexcept;
    [[nodiscard]] const std::byte* ordinals() const noexcept {
        return file_.data() + kPastHeaderSize + sizeof(PastEntry) * header_.entries;
    }

    base::Bytes file_{};
    PastHeader header_{};
};

/// Gathers the events of one segment, in order, and makes the file's bytes.
class PastBuilder {
public:
    /// `header`: definitions, segment and positions.
    explicit PastBuilder(const PastHeader& header) : header_(header) {}

    void add(std::uint64_t definition, std::string_view name, std::uint64_t position);
    [[nodiscard]] std::vector<std::byte> bytes() const;

private:
    PastHeader header_;
    std::map<std::pair<std::uint64_t, std::string>, std::vector<std::uint32_t>, std::less<>> lists_;
    std::uint64_t ordinals_ = 0;
    std::uint64_t names_bytes_ = 0;
};

}  // namespace varve::index
