// From files to the end of the log: what both kinds of opening have in common.
//
// Opening thread only. In: the directory and its manifest. Out: the segments that belong to the log
// and where it ends. Nothing here writes.
#pragma once

#include "file/manifest.hpp"
#include "store/segments.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// The segment files as they are, ascending by number.
struct Files {
    std::vector<OpenedSegment> opened;
    std::vector<log::SegmentImage> images;  ///< of those, without files that a cut has excluded

    [[nodiscard]] SegmentPtr find(std::uint64_t number) const noexcept;
    [[nodiscard]] std::uint64_t highest_used(bool closed) const noexcept;
};
/// True for a segment that a cut has taken out of the log.
[[nodiscard]] bool is_cut_off(const file::ManifestContent& manifest, std::uint64_t number) noexcept;

[[nodiscard]] Result<Files> open_files(const Meta& meta, const file::ManifestContent& manifest,
                                       os::MapAccess access) noexcept;

/// An entry of the manifest that says something of a place in the log. `time_us`: now.
[[nodiscard]] file::ManifestEntry manifest_entry(file::EntryKind kind, const log::LogPoint& place,
                                                 std::uint32_t epoch,
                                                 std::int64_t time_us) noexcept;

/// The last place in the log that the manifest vouches for.
[[nodiscard]] log::Start start_of(const file::ManifestContent& manifest) noexcept;

/// Asks of segments from number `from` on how much of them was ever written: reserved blocks are
/// not read to find out that they hold zeros.
void learn_zeros(Files& files, std::uint64_t from) noexcept;

/// Segments from number `from` on are about to be read from front to back.
void expect_reading(os::Env& env, const Files& files, std::uint64_t from) noexcept;

/// `log::recover`, also where the manifest has forgotten points (`forgotten`) and so the log is
/// read over events that were erased: then the erase records are looked for before bodies of zeros
/// are judged.
[[nodiscard]] log::Recovery recover_log(const Files& files, const log::Start& start,
                                        bool forgotten) noexcept;

/// `unsupported_version` if there are commits that this version does not understand: they are
/// whole, so nothing may be cut.
[[nodiscard]] Result<void> refuse_newer(const Meta& meta, const log::Recovery& found) noexcept;

/// False if no log could have that point: the segment that it names cannot hold its position.
[[nodiscard]] bool is_possible(const Files& files, const log::LogPoint& point) noexcept;

/// True if the last writer closed the store here and nothing was stored since.
[[nodiscard]] bool closed_cleanly(const file::ManifestContent& manifest,
                                  const Files& files) noexcept;

/// The segments from the first to `last_number`, each continuing the one before. `corrupt` names
/// what is missing.
[[nodiscard]] Result<SegmentListPtr> chain_of(const Meta& meta, const Files& files,
                                              std::uint64_t last_number) noexcept;

/// Whatever can be read, for readers around damage: headers are inferred from first commits where
/// they fail.
[[nodiscard]] SegmentListPtr readable_chain(const Files& files, std::uint64_t last_number) noexcept;

/// The commit that ends with `position`, and the point behind it. False if the index or the bytes
/// do not lead there.
[[nodiscard]] bool commit_ending_at(const SegmentList& segments, std::uint64_t position,
                                    log::CommitHeader& header, log::LogPoint& point) noexcept;

/// The point behind the commit that ends with `position`. False if the index or the bytes do not
/// lead there.
[[nodiscard]] bool point_behind(const SegmentList& segments, std::uint64_t position,
                                log::LogPoint& point) noexcept;

/// Position of the last event that can be read in a segment whose end is not known.
[[nodiscard]] std::uint64_t plausible_end(const Segment& segment) noexcept;

/// No more events can be in a segment than fit.
[[nodiscard]] std::uint64_t plausible_last(const Segment& segment) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
