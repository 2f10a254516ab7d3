// The segments of an open store: files, mappings and indexes, and the list of them that a snapshot
// pins.
//
// A Segment's fields are fixed before others see it; only the bytes in its mappings change. A
// SegmentList is immutable: a roll makes a new one. Invariant: segments are in order of their first
// positions, without gaps unless files are missing.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "file/manifest.hpp"
#include "index/active_index.hpp"
#include "index/sealed_index.hpp"
#include "log/recovery.hpp"
#include "log/scan.hpp"
#include "store/meta.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// The file of a segment and the map of it. Shared by all that is known of the segment, whatever
/// indexes it.
struct LogFile {
    std::unique_ptr<os::File> file;
    os::Mapping map;  ///< none if the file has no room for a header
};

/// A sealed index and the map of its file. Immutable; shared by the segments that it covers.
struct SealedFile {
    os::Mapping map;
    index::SealedIndex index;
    file::SealedRange range;
    os::FileIdentity identity;
};
using SealedPtr = std::shared_ptr<const SealedFile>;

struct Segment;

/// An active index in private memory that is filled from the log when somebody first needs it: the
/// others wait for that one. Any thread. `meta` and the segment outlive this.
class LateIndex {
public:
    /// Of the events up to `last`.
    LateIndex(const Meta& meta, Segment& segment, std::uint64_t last) noexcept
        : meta_(meta), segment_(segment), last_(last) {}

    /// Fills the index if it is not. False if that failed: `error` says why.
    [[nodiscard]] bool ready() noexcept { return is_filled() || fill(); }
    [[nodiscard]] bool is_filled() const noexcept {
        return filled_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    /// Why the last try failed. Absent if none did.
    [[nodiscard]] std::optional<Error> error() const noexcept;

private:
    [[nodiscard]] bool fill() noexcept;
    [[nodiscard]] Result<void> build() noexcept;

    const Meta& meta_;
    Segment& segment_;
    const std::uint64_t last_;
    mutable std::mutex mutex_;  // guards the segment's index while it is filled, and the next
    std::optional<Error> error_;
    std::atomic<bool> filled_{false};  ///< the segment's index does not change any more
};

/// A segment is indexed by one of the two: while it is young by an active index, later by a sealed
/// one. What changes its index makes a new Segment; those who have the old one keep it.
struct Segment {
    log::SegmentHeader header{};
    log::SegmentKeys keys{};
    std::shared_ptr<LogFile> log_file;
    os::Mapping act;                       ///< shared index, or
    std::unique_ptr<std::byte[]> own_act;  ///< a private one
    index::ActiveIndex index;              ///< not to be touched before `ready`
    SealedPtr sealed;
    std::unique_ptr<LateIndex> late;  ///< set if the active index is filled on demand
    /// Some of what cannot be read here is whole, but of a newer version.
    std::atomic<bool> holds_newer{false};
    bool header_damaged = false;  ///< read around: the header is what its neighbours say

    [[nodiscard]] std::uint64_t number() const noexcept { return header.number; }
    [[nodiscard]] std::uint64_t first() const noexcept { return header.first_position; }
    [[nodiscard]] const os::Mapping& log() const noexcept { return log_file->map; }
    [[nodiscard]] os::File& file() const noexcept { return *log_file->file; }
    [[nodiscard]] base::Bytes bytes() const noexcept { return log().bytes(); }
    /// Where event `ordinal` of the segment begins, in bytes; 0 if that is not known. `ordinal` may
    /// be anything.
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t ordinal) const noexcept {
        if (sealed != nullptr) return sealed_offset(ordinal);
        return ready() ? std::uint64_t{index.offset8(ordinal)} * 8 : 0;
    }
    /// True if the segment has an active index, filled or not.
    [[nodiscard]] bool is_active() const noexcept { return late != nullptr || index.valid(); }
    /// True if the active index can be asked; one that comes late is filled now. False is an error
    /// (`damaged_index`) unless there is none.
    [[nodiscard]] bool ready() const noexcept {
        return late == nullptr ? index.valid() : late->ready();
    }
    /// As `ready`, but nobody waits: false as well if the index is still to be filled.
    [[nodiscard]] bool is_ready() const noexcept {
        return late == nullptr ? index.valid() : late->is_filled();
    }
    /// The ordinal in its sealed index of the segment's first event.
    [[nodiscard]] std::uint64_t sealed_base() const noexcept {
        return first() - sealed->index.first_position();
    }
    [[nodiscard]] std::uint64_t sealed_offset(std::uint64_t ordinal) const noexcept {
        const std::uint64_t events = sealed->index.events();
        const std::uint64_t base = sealed_base();
        std::uint32_t offset8 = 0;
        if (ordinal >= events || base + ordinal >= events) return 0;
        const index::Found found =
            sealed->index.offset8(static_cast<std::uint32_t>(base + ordinal), offset8);
        return found == index::Found::yes ? std::uint64_t{offset8} * 8 : 0;
    }
};

using SegmentPtr = std::shared_ptr<Segment>;

struct SegmentList {
    std::vector<SegmentPtr> items;

    /// The segment that holds `position`, or null.
    [[nodiscard]] Segment* find(std::uint64_t position) const noexcept;
    [[nodiscard]] std::size_t index_of(std::uint64_t position) const noexcept;
    /// Last position of segment `n`, at most `published`.
    [[nodiscard]] std::uint64_t last_of(std::size_t n, std::uint64_t published) const noexcept;
};

using SegmentListPtr = std::shared_ptr<const SegmentList>;

/// Creates and allocates the file; its header stays zero. An unused one that is there already is
/// taken over.
[[nodiscard]] Result<void> prepare_segment(const Meta& meta, std::uint64_t number,
                                           std::uint64_t capacity) noexcept;

/// Opens and maps the file, however its header looks.
struct OpenedSegment {
    SegmentPtr segment;
    log::SegmentImage image;
};
[[nodiscard]] Result<OpenedSegment> open_segment(const Meta& meta, std::uint64_t number,
                                                 os::MapAccess access) noexcept;

/// Opens the shared index of a segment whose header is known. `not_found` if it is missing or not
/// of this boot and mount. Where the kernel does not tell the mount, the index is believed only if
/// its writer lives: it was made by it.
[[nodiscard]] Result<void> attach_index(const Meta& meta, Segment& segment, os::MapAccess access,
                                        bool writer_lives = false) noexcept;
/// Creates an empty shared index file of this capacity, replacing what is there.
[[nodiscard]] Result<void> create_index(const Meta& meta, Segment& segment,
                                        const index::ActCapacity& capacity) noexcept;
/// Lays an empty index out in private memory.
[[nodiscard]] Result<void> private_index(const Meta& meta, Segment& segment,
                                         const index::ActCapacity& capacity) noexcept;
/// Keys of all events up to `last` together.
[[nodiscard]] std::uint64_t count_keys(const Segment& segment, const log::LogPoint& start,
                                       std::uint64_t last) noexcept;
/// How much index the events up to `last` need.
[[nodiscard]] index::ActCapacity measure_index(const Segment& segment, const log::LogPoint& start,
                                               std::uint64_t last) noexcept;
/// Lists everything readable up to position `last`, around damage. False if the index has no room
/// for it.
[[nodiscard]] bool fill_index(const Meta& meta, Segment& segment, const log::LogPoint& start,
                              std::uint64_t last) noexcept;

/// Gives the segment, which nobody else sees yet and which no longer grows, an index of the events
/// up to `last` that is filled when it is first needed. Errors: `out_of_memory`.
[[nodiscard]] Result<void> index_late(const Meta& meta, Segment& segment,
                                      std::uint64_t last) noexcept;

/// The first commit of a segment.
[[nodiscard]] log::LogPoint first_point(const Segment& segment) noexcept;

/// What is answered where a list of the segment's index leads nowhere, or where it could not be
/// filled: never a shorter answer.
[[nodiscard]] Error damaged_index(const Meta& meta, const Segment& segment) noexcept;

/// What is answered about names while event `ordinal` of the segment cannot be read: whether it
/// carries the name is not known.
[[nodiscard]] Error hidden_by_damage(const Meta& meta, const Segment& segment,
                                     std::uint32_t ordinal) noexcept;

/// All segment numbers in the store's log directory, ascending.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_segments(const Meta& meta) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
