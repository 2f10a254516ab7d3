// Sealed indexes of a store: opening them by name, giving segments to them, making them from the
// log, merging them.
//
// Free functions; any thread, but only the writer's sealer makes files. Invariants: an index is
// used only if its segments are exactly the ones of the log; what is missing or damaged is left
// out, never answered from; a name appears only after its content was synced.
#pragma once

#include <functional>

#include "file/manifest.hpp"
#include "index/sealed_writer.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Asked every few milliseconds while an index is made: false ends it.
using GoOn = std::function<bool()>;

/// Opens the file of that name. Errors: `not_found`, `corrupt`, `io`.
[[nodiscard]] Result<SealedPtr> open_sealed(const Meta& meta,
                                            const file::SealedRange& range) noexcept;

/// The sealed indexes that somebody has opened, so that none is opened twice. One thread at a time.
class OpenedSealed {
public:
    /// The index of that range, opened if it is not. False if it is missing, or damaged as far as
    /// is known.
    [[nodiscard]] bool get(const Meta& meta, const file::SealedRange& range, SealedPtr& sealed);
    /// Forgets those of other ranges.
    void keep_only(const std::vector<file::SealedRange>& ranges);

private:
    std::vector<SealedPtr> files_;
};

/// Gives segments of `list`, whose log ends at `end`, the sealed indexes in `ranges`. False if one
/// of them is missing, damaged or of other segments: its segments are left as they are.
[[nodiscard]] bool attach_sealed(const Meta& meta, const std::vector<file::SealedRange>& ranges,
                                 std::uint64_t end, SegmentList& list, OpenedSealed& opened);

/// Replaces in `list` the segments of `sealed` by ones that it indexes. False if it is not exactly
/// of these segments.
[[nodiscard]] bool cover(SegmentList& list, const SealedPtr& sealed, std::uint64_t end);

/// The same segment with another index, or with none.
[[nodiscard]] SegmentPtr indexed_by(const Segment& segment, const SealedPtr& sealed);

/// How the names of files begin that lose them at once.
inline constexpr std::string_view kScratchName = "scratch-";

/// Memory for making indexes that is kept from one to the next. What is taken lasts until `reset`.
class KeptScratch final : public index::Scratch {
public:
    [[nodiscard]] std::span<std::byte> take(std::uint64_t bytes) noexcept override;
    void reset() noexcept { at_ = used_ = 0; }

private:
    static constexpr std::uint64_t kBlock = 1 << 20;
    struct Block {
        std::unique_ptr<std::byte[]> memory;
        std::uint64_t size;
    };
    std::vector<Block> blocks_;
    std::size_t at_ = 0;  ///< block that is taken from, and how much of it is gone
    std::size_t used_ = 0;
};

/// Writes a file of the index directory with `write` and gives it its name once its content is
/// durable.
[[nodiscard]] Result<void> make_index_file(
    const Meta& meta, const std::string& path,
    const std::function<Result<void>(index::Sink&)>& write) noexcept;

/// What was made of a segment.
struct SealedPart {
    log::LogPoint end{};  ///< the point behind it
    index::Listed listed{};
};

/// Makes the sealed index of one segment whose last position is `last`, from the log. Errors:
/// `corrupt` if something of it cannot be read; `busy` if `go_on` said no; `no_space`, `io`.
[[nodiscard]] Result<SealedPart> build_sealed(const Meta& meta, const Segment& segment,
                                              std::uint64_t last, KeptScratch& scratch,
                                              const GoOn& go_on) noexcept;

/// Makes one index of several neighbouring ones, in order. Returns the range it covers.
[[nodiscard]] Result<file::SealedRange> merge_sealed(const Meta& meta,
                                                     std::span<const SealedPtr> inputs,
                                                     const GoOn& go_on) noexcept;

/// Neighbouring segments of a list that one index covers: [begin, end).
struct IndexUnit {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::uint64_t first = 0;  ///< position of ordinal 0 of the index
};
/// The unit that segment `n` belongs to.
[[nodiscard]] IndexUnit unit_of(const SegmentList& list, std::size_t n) noexcept;

/// Sends for what a look-up of `key` touches first, in all of the newest indexes at once.
void prefetch_key(const SegmentList& list, index::Key key) noexcept;

/// What is answered where a sealed index turns out to be damaged. Sees to it that it is made again:
/// by the writer for all, by a reader for itself.
[[nodiscard]] Error damaged_sealed(const Meta& meta, const SealedFile& sealed) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
