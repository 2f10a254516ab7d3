// Which events were erased: a fold of the log's erase records, found through the manifest or by
// reading the log.
//
// A set is plain data; an Erasures object may be used from any thread. Invariant: a position is in
// a set only if an erase record whose checksums hold names it. Whoever copies events (backup,
// salvage, export) asks a set and leaves the content of what it holds behind, also where the bytes
// are still whole.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "file/manifest.hpp"
#include "log/erase.hpp"

namespace varve {
inline namespace v0 {
namespace store {

struct Meta;
struct SegmentList;

struct ErasedSet {
    std::vector<log::PositionRange> ranges;  ///< ascending, without overlaps
    log::EraseMark newest{};                 ///< the newest erase record that was read

    [[nodiscard]] bool holds(std::uint64_t position) const noexcept {
        return log::holds(ranges, position);
    }
};

/// The newest erase record that the manifest knows of; position 0: none.
[[nodiscard]] log::EraseMark newest_erase(const file::ManifestContent& manifest) noexcept;

/// True if the manifest may have known of erase records and lost them: it is empty or damaged.
[[nodiscard]] bool forgets_erasures(const file::ManifestContent& manifest) noexcept;

/// Everything erased in the store of `meta`: follows the erase records from the newest one, which
/// takes as long as there are such; reads the whole log if the manifest is missing or damaged or
/// the records do not lead to their beginning. Errors: of opening the files; `out_of_memory`.
[[nodiscard]] Result<ErasedSet> load_erased(const Meta& meta) noexcept;

/// The same by reading the log: every erase record in `list` up to position `last`.
[[nodiscard]] Result<ErasedSet> scan_erased(const SegmentList& list, std::uint64_t last) noexcept;

/// A manifest that was lost or damaged learns again where the newest erase record up to position
/// `last` stands.
[[nodiscard]] Result<void> remember_erasures(const SegmentList& list, std::uint64_t last,
                                             std::uint32_t epoch, std::int64_t now_us,
                                             file::Manifest& manifest) noexcept;

/// What erase records name, from the newest one back to the one at position `until`, which is left
/// out. `corrupt` if a record on the way is not readable.
[[nodiscard]] Result<ErasedSet> follow_erased(const Meta& meta, const log::EraseMark& newest,
                                              std::uint64_t until) noexcept;

/// What an open store knows of erased events. Other processes' erasures are learned when a body
/// turns out to be gone.
class Erasures {
public:
    /// For a body that fails its checksum: looks again if `position` is not known to be erased.
    [[nodiscard]] Result<bool> explain(const Meta& meta, std::uint64_t position) noexcept;
    /// For a body of zeros that may well be what was appended.
    [[nodiscard]] Result<bool> holds(const Meta& meta, std::uint64_t position) noexcept;
    /// False if nothing was erased, as far as a view tells whose control page says `count`: looks
    /// again if that has changed. True also if that cannot be found out.
    [[nodiscard]] bool any(const Meta& meta, std::uint32_t count) noexcept;
    /// All of it now.
    [[nodiscard]] Result<ErasedSet> all(const Meta& meta) noexcept;
    /// What this process has erased.
    [[nodiscard]] Result<void> add(const Meta& meta, std::span<const log::PositionRange> ranges,
                                   const log::EraseMark& newest) noexcept;

private:
    [[nodiscard]] Result<void> look(const Meta& meta) noexcept;

    std::mutex mutex_;
    ErasedSet set_;
    bool loaded_ = false;
    bool scanned_ = false;  ///< by reading the log: not again while the manifest says nothing
    static constexpr std::uint64_t kNever = ~0ULL;
    std::atomic<std::uint64_t> seen_{kNever};  ///< `count` of the last look
    std::atomic<bool> any_{true};
};

}  // namespace store
}  // namespace v0
}  // namespace varve
