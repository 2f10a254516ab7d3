// Copying a piece of the log from one directory into another: every commit is checked before it is
// written.
//
// One thread. Reads by `pread`, so a page that cannot be read is an error and no signal. Invariant:
// what arrives is a contiguous chain of whole commits; what does not verify is not written.
#pragma once

#include "log/recovery.hpp"
#include "store/segments.hpp"
#include "varve/maintenance.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// How far a long task has come, in bytes. Remembers that somebody has cancelled it.
class Meter {
public:
    explicit Meter(const Progress& progress) noexcept : progress_(progress) {}
    void expect(std::uint64_t bytes) noexcept { total_ += bytes; }
    /// False if the task is to end.
    bool add(std::uint64_t bytes) {
        done_ += bytes;
        cancelled_ = cancelled_ || (progress_ && !progress_(std::min(done_, total_), total_));
        return !cancelled_;
    }
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

private:
    const Progress& progress_;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
    bool cancelled_ = false;
};

/// Where the commits of one segment come from.
struct CopySource {
    os::File& file;
    const log::SegmentKeys& keys;
    const std::string& path;
    std::span<const log::PositionRange> erased{};  ///< whose bodies may be zeros
};

/// Checks the commits behind `at` until the one that ends with position `until`, and writes them at
/// the same offsets of `to`, unless that is null. Returns the point behind the last one; earlier
/// than `until` only if `meter` was cancelled. `corrupt` names the first commit that does not
/// verify.
[[nodiscard]] Result<log::LogPoint> copy_commits(const CopySource& from, log::LogPoint at,
                                                 std::uint64_t until, os::File* to, Meter& meter);

/// A list of segments and the point where the log in them ends. Segment `n` ends where the next one
/// begins.
struct LogEnds {
    const Meta& meta;
    const SegmentList& list;
    log::LogPoint end;
    std::span<const log::PositionRange> erased{};  ///< whose bodies may be zeros

    [[nodiscard]] std::size_t count() const noexcept;  ///< segments that hold events up to `end`
    [[nodiscard]] std::uint64_t last_position(std::size_t n) const noexcept;
    /// `corrupt` if the log of segment `n`, which ends at `found`, is not continued there.
    [[nodiscard]] Result<void> check_end(std::size_t n, const log::LogPoint& found) const noexcept;
    /// About how many bytes there are to read in segment `n`.
    [[nodiscard]] std::uint64_t size_of(std::size_t n) const noexcept;
};

/// Reads all of it and writes nothing. `corrupt` names the first place that does not verify.
[[nodiscard]] Result<void> check_log(const LogEnds& log, Meter& meter);

/// Makes the file `path` with the header and all commits of segment `n`, synced, under its name at
/// last. `allocate`: bytes to reserve.
[[nodiscard]] Result<void> copy_segment(const LogEnds& log, std::size_t n, const std::string& path,
                                        std::uint64_t allocate, std::uint32_t permissions,
                                        Meter& meter);

/// The files in directory `name` of `from`, whole; empty if there is no such directory.
struct SmallFile {
    std::string name;
    std::vector<std::byte> bytes;
};
/// `too_large` if one has more than `largest` bytes.
[[nodiscard]] Result<std::vector<SmallFile>> read_small_files(const Meta& from, const char* name,
                                                              std::uint64_t largest = 64 << 20);
/// Puts them into directory `name` of `to`, durable when it returns.
[[nodiscard]] Result<void> put_small_files(const Meta& to, const char* name,
                                           std::span<const SmallFile> files);

[[nodiscard]] Result<void> make_directory_if_missing(const Meta& meta,
                                                     const std::string& path) noexcept;

/// Removes a store that was being made here and failed: only names that we give, then the
/// directories that are empty. Best effort.
void remove_unfinished(const Meta& meta) noexcept;

/// `invalid_argument` unless there is nothing at `path`, or an empty directory.
[[nodiscard]] Result<void> check_vacant(os::Env& env, const std::string& path) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
