// Fresh child processes to measure in, and what the kernel tells about them and their files.
//
// Main thread, with no other thread running and no store open: the child is a fork. Invariant: a
// child's failure ends the program, with the child's own words on standard error.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace varve::bench {

/// Runs `work` in a child process and returns the numbers it came to. Those after the child's own
/// memory was freed do not count: it leaves without tidying up, unless `work` did.
[[nodiscard]] std::vector<double> in_child(const std::function<std::vector<double>()>& work);

/// Runs `work` in a child process, lets it say that it is ready, and kills it (SIGKILL) somewhat
/// later, in the middle of what it does then. `work` must not return.
void kill_in_child(const std::function<void(const std::function<void()>& ready)>& work);

/// Writes the files below `directory` to the disk and takes them out of the page cache. Pages that
/// some process has mapped stay, so nobody may have them open.
void drop_cache(const std::string& directory);

/// Anonymous memory of this process, in MB (RssAnon).
[[nodiscard]] double anonymous_mb();

/// What was read from the disk for this process since this object was made.
class DiskReads {
public:
    DiskReads();
    [[nodiscard]] double bytes() const;         ///< caused to be read (read_bytes)
    [[nodiscard]] double major_faults() const;  ///< page faults that waited for the disk

private:
    double bytes_before_, faults_before_;
};

/// Bytes of all files below `directory`, as allocated on the disk.
[[nodiscard]] double bytes_on_disk(const std::string& directory);

/// The files of a store's index directory, by their names.
struct IndexFiles {
    std::set<std::uint64_t> sealed;  ///< numbers of the segments that some sealed index covers
    std::uint64_t sealed_files = 0;  ///< of them, files of one segment each
    std::uint64_t merged_files = 0;  ///< and of several
    double sealed_bytes = 0;         ///< of both
};
[[nodiscard]] IndexFiles index_files(const std::string& store);

/// Bytes of log, as allocated on the disk, in the segments that `before` covers and `after` does
/// not.
[[nodiscard]] double bytes_without_index(const std::string& store, const IndexFiles& before,
                                         const IndexFiles& after);
/// So much of a log may stay without sealed indexes when a store is closed, and is allocated.
inline constexpr double kMayStayUnsealed = (4 << 20) + (64 << 10);

/// A line on standard error that is written over, on a terminal only: "what 43 %".
void show_progress(const char* what, std::uint64_t done, std::uint64_t total);

}  // namespace varve::bench
