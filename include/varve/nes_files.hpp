// The files of node-event-storage: append-only file, index, partition, read, written and followed
// through memory mappings.
//
// A library of its own, libvarve_nes; the store of varve does not use it. Two layouts hold the same
// content. *classic* is what the package writes: the file ends where the content ends. *mapped* is
// what its mapped classes write: zeros follow the content up to a page boundary, and the last four
// bytes of the file say how far before its end the content ends. docs/format/nes.md has every byte.
//
// Thread rule: an object belongs to one thread at a time. Any number of objects, in any number of
// processes, may read the same file; one may write it, and a second writer of this library is
// refused with `locked`.
//
// Lifetimes: spans and views point into the file's mapping and stay valid until the object they
// come from is closed, however much the file grows; content that is truncated later reads as
// zeros or, in the classic layout, must not be touched any more.
//
// Errors: `not_found`, `not_a_store` (another kind of file), `unsupported_version`, `corrupt` with
// file and offset, `no_space` (try again once there is room: nothing was written), `locked`,
// `poisoned` after a failed sync. Nothing on disk is ever believed unchecked; the format has no
// checksums, so changed bytes inside a payload cannot be noticed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "varve/export.hpp"
#include "varve/options.hpp"
#include "varve/result.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

enum class Layout : std::uint8_t {
    detect,   ///< as the file is; a new one becomes classic
    classic,  ///< ends where its content ends
    mapped,   ///< zeros and a size marker behind the content
};

/// How to open one file.
struct FileOptions {
    Access access = Access::read_write;
    Layout layout = Layout::detect;
    bool create = true;  ///< when writing: make the file if it is missing
    /// mapped: least bytes of room behind the content of a file that grows; classic: bytes that are
    /// collected before they are written. At least a page is used.
    std::uint64_t write_ahead_bytes = 64 << 10;
    bool sync_on_flush = false;  ///< a flush returns when the content is durable
    /// mapped: every flush sets the file's times, so that watchers of the directory wake as well.
    bool touch_on_flush = true;
    /// reading: keep the file open. Without it the file is only mapped and opened again for each
    /// look, so that many thousands can be mapped at once.
    bool hold_open = true;
    os::Env* env = nullptr;  ///< null: the operating system; else lives longer than the object
};

/// What happened to a file since it was last looked at, in bytes or in entries.
struct Change {
    std::uint64_t appended = 0;
    std::uint64_t truncated = 0;
    [[nodiscard]] explicit operator bool() const noexcept {
        return appended != 0 || truncated != 0;
    }
};

/// Bytes that only grow, in the mapped layout: written by stores into the mapping and published to
/// readers in other processes by one store of the marker.
class VARVE_EXPORT AppendOnlyFile {
public:
    /// `layout` is mapped, whatever the options say. A file that is not in that layout is `corrupt`
    /// and left alone. A marker that cannot be is replaced by the content's end as its zeros tell.
    [[nodiscard]] static Result<AppendOnlyFile> open(const std::string& path,
                                                     const FileOptions& options = {}) noexcept;
    AppendOnlyFile(AppendOnlyFile&&) noexcept;
    AppendOnlyFile& operator=(AppendOnlyFile&&) noexcept;
    /// Flushes; whoever wants to know whether that worked calls `close`.
    ~AppendOnlyFile();

    /// Appends; returns the position of the first byte. Not visible elsewhere before `flush`.
    [[nodiscard]] Result<std::uint64_t> write(std::string_view bytes) noexcept;
    /// Appends `size` bytes that the caller stores into the span, before the next flush. Until then
    /// they are zeros.
    [[nodiscard]] Result<std::span<std::byte>> reserve(std::size_t size) noexcept;
    /// Publishes everything written, by one store of the marker, and wakes who waits. False if
    /// there was nothing to publish.
    [[nodiscard]] Result<bool> flush() noexcept;
    /// Cuts the content to `size` bytes, published at once. False if it is not longer than that.
    [[nodiscard]] Result<bool> truncate(std::uint64_t size) noexcept;
    /// Flushes and lets go of the file. Calling it again does nothing.
    [[nodiscard]] Result<void> close() noexcept;

    /// Reading: takes notice of what the writer has published since the last look.
    [[nodiscard]] Result<Change> refresh() noexcept;
    /// The same, but sleeps up to `timeout_us` until there is something. A writer of this library
    /// wakes the sleeper; another program's changes are noticed within 20 ms.
    [[nodiscard]] Result<Change> wait(std::uint64_t timeout_us) noexcept;

    /// Bytes of content: when writing, unflushed ones included.
    [[nodiscard]] std::uint64_t size() const noexcept;
    [[nodiscard]] std::uint64_t physical_size() const noexcept;
    /// All content, `size()` bytes.
    [[nodiscard]] std::span<const std::byte> content() const noexcept;
    /// True if the marker was invalid when the file was opened.
    [[nodiscard]] bool was_recovered() const noexcept;

private:
    struct State;
    explicit AppendOnlyFile(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

/// One entry of an index, as it lies in the file.
struct IndexEntry {
    std::uint32_t number = 0;     ///< of the document in the whole store, 1-based
    std::uint32_t position = 0;   ///< of the document in its partition
    std::uint32_t size = 0;       ///< payload bytes of the document
    std::uint32_t partition = 0;  ///< id of the partition, see `partition_id`
    friend bool operator==(const IndexEntry&, const IndexEntry&) noexcept = default;
};

/// Which of two neighbours a search answers.
enum class Find : std::uint8_t {
    at_most,   ///< the last one that is not greater
    at_least,  ///< the first one that is not smaller
};

struct IndexOptions : FileOptions {
    /// JSON text that the header must hold, byte for byte; a new index gets it. Empty: any is
    /// right, and a new index gets that of a primary index.
    std::string metadata;
};

/// File `nesidx01`: which documents, in ascending order of their numbers. Places in it are 1-based;
/// negative ones count from the end, -1 is the last.
class VARVE_EXPORT Index {
public:
    /// `invalid_argument` if the metadata are not those of the options: the message holds both.
    /// Writing, an incomplete last entry and entries of zeros at the end, which a power cut leaves,
    /// are cut off; reading, they are passed over. See `dropped`.
    [[nodiscard]] static Result<Index> open(const std::string& path,
                                            const IndexOptions& options = {}) noexcept;
    Index(Index&&) noexcept;
    Index& operator=(Index&&) noexcept;
    ~Index();

    /// Appends; returns the new length. `invalid_argument` if the number is not greater than the
    /// last one's. Visible elsewhere after `flush`.
    [[nodiscard]] Result<std::uint64_t> add(const IndexEntry& entry) noexcept;
    [[nodiscard]] std::uint64_t length() const noexcept;
    /// Nothing if there is no such place.
    [[nodiscard]] std::optional<IndexEntry> get(std::int64_t place) const noexcept;
    [[nodiscard]] std::optional<IndexEntry> last() const noexcept;
    /// Places `from` to `until`, both included. `invalid_argument` if the range is not valid. In
    /// the classic layout this flushes first, since the span lies in the file.
    [[nodiscard]] Result<std::span<const IndexEntry>> range(std::int64_t from,
                                                            std::int64_t until = -1) noexcept;
    [[nodiscard]] Result<std::span<const IndexEntry>> all() noexcept;
    /// True if both places exist and `from` is not behind `until`.
    [[nodiscard]] bool valid_range(std::int64_t from, std::int64_t until = -1) const noexcept;
    /// The place of the last entry whose number is at most `number`, or of the first whose number
    /// is at least that; 0 if there is none.
    [[nodiscard]] std::uint64_t find(std::uint64_t number,
                                     Find which = Find::at_most) const noexcept;

    /// Keeps the first `length` entries. False if there are not more.
    [[nodiscard]] Result<bool> truncate(std::uint64_t length) noexcept;
    [[nodiscard]] Result<bool> flush() noexcept;
    [[nodiscard]] Result<void> close() noexcept;
    /// In entries. A reader that finds another entry where it has seen its last one reports all as
    /// truncated and all there is as appended.
    [[nodiscard]] Result<Change> refresh() noexcept;
    [[nodiscard]] Result<Change> wait(std::uint64_t timeout_us) noexcept;

    /// JSON text of the header.
    [[nodiscard]] std::string_view metadata() const noexcept;
    [[nodiscard]] Layout layout() const noexcept;
    /// Where in the file the entry at 1-based `place` begins, in bytes.
    [[nodiscard]] std::uint64_t offset(std::uint64_t place) const noexcept;
    /// Bytes at the end that were no entries when the index was opened.
    [[nodiscard]] std::uint64_t dropped() const noexcept;

private:
    struct State;
    explicit Index(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

/// The id that index entries carry for the partition of this file name, relative to the data
/// directory: a hash over its UTF-16 units.
[[nodiscard]] VARVE_EXPORT std::uint32_t partition_id(std::string_view file_name);

/// A document where it lies.
struct Document {
    std::string_view data;
    std::uint64_t position = 0;  ///< bytes behind the header, a multiple of 4
    std::uint32_t sequence = 0;  ///< 0-based number in the whole store
    std::uint64_t time_us = 0;   ///< since the partition's epoch
};

struct PartitionOptions : FileOptions {
    /// JSON object with further metadata for a new partition; its fields follow `epoch`.
    std::string metadata;
    /// Of a new partition, milliseconds since 1970. Nothing: now.
    std::optional<std::uint64_t> epoch_ms;
};

/// File `nesprt03`: documents one behind the other. Positions are counted from the end of the
/// header.
class VARVE_EXPORT Partition {
public:
    [[nodiscard]] static Result<Partition> open(const std::string& path,
                                                const PartitionOptions& options = {}) noexcept;
    Partition(Partition&&) noexcept;
    Partition& operator=(Partition&&) noexcept;
    ~Partition();

    /// Appends 1 byte to 64 MiB; returns the position. The time is the clock's, but later than the
    /// last document's. `too_large` if the document is, or if the partition would exceed 4 GiB,
    /// which index entries cannot address: nothing is written then. `corrupt` while there is a torn
    /// document at the end: see `drop_torn`. Visible elsewhere after `flush`.
    [[nodiscard]] Result<std::uint64_t> write(std::string_view data,
                                              std::uint32_t sequence) noexcept;
    /// The document at `position`. With an expected size, another one is `corrupt`. `not_found` at
    /// the end and behind it.
    [[nodiscard]] Result<Document> read(std::uint64_t position,
                                        std::uint32_t expected_size = 0) noexcept;
    [[nodiscard]] Result<std::optional<Document>> last() noexcept;
    /// By sequence numbers, which must ascend in the partition. Takes time logarithmic in its size.
    [[nodiscard]] Result<std::optional<Document>> find(std::uint32_t sequence,
                                                       Find which = Find::at_least) noexcept;

    /// Goes over documents in one direction. Belongs to its partition and must not outlive it;
    /// stops where the content ended when it was made.
    class VARVE_EXPORT Cursor {
    public:
        /// False at the end and after an error.
        [[nodiscard]] bool next(Document& into) noexcept;
        /// The error at which it stopped, if it did.
        [[nodiscard]] Result<void> status() const noexcept;
        /// Where it stands: the next document forwards begins here, or the next backwards ends.
        [[nodiscard]] std::uint64_t position() const noexcept { return at_; }

    private:
        friend class Partition;
        std::span<const std::byte> documents_;
        std::uint64_t at_ = 0;
        std::uint64_t header_ = 0;
        bool forwards_ = true;
        std::shared_ptr<const Error> error_;
        std::shared_ptr<const std::string> path_;
    };
    /// From the document at `position` on.
    [[nodiscard]] Result<Cursor> forwards(std::uint64_t position = 0) noexcept;
    /// Backwards from the document that ends at `position`; nothing: from the last one.
    [[nodiscard]] Result<Cursor> backwards(
        std::optional<std::uint64_t> position = std::nullopt) noexcept;

    /// Cuts off everything from `position` on, which must be where a document begins or where the
    /// last one ends. What is cut off is kept in a file of its own beside this one, a partition in
    /// the classic layout, whose path is returned; empty if there was nothing to cut.
    [[nodiscard]] Result<std::string> truncate(std::uint64_t position) noexcept;
    /// Keeps the documents whose sequence number is at most `sequence`.
    [[nodiscard]] Result<std::string> truncate_after(std::uint32_t sequence) noexcept;

    /// A document at the end that was not written to its end.
    struct Torn {
        std::uint64_t position = 0;
        std::uint64_t bytes = 0;
        std::optional<std::uint32_t> sequence;  ///< if its header is there
    };
    [[nodiscard]] std::optional<Torn> torn() const noexcept;
    /// Cuts the torn document off, as `truncate` does.
    [[nodiscard]] Result<std::string> drop_torn() noexcept;

    [[nodiscard]] Result<bool> flush() noexcept;
    [[nodiscard]] Result<void> close() noexcept;
    /// In bytes of whole documents.
    [[nodiscard]] Result<Change> refresh() noexcept;
    [[nodiscard]] Result<Change> wait(std::uint64_t timeout_us) noexcept;

    /// Where the last whole document ends: bytes of documents.
    [[nodiscard]] std::uint64_t size() const noexcept;
    /// Bytes before the documents: position 0 is this offset in the file.
    [[nodiscard]] std::uint64_t header_bytes() const noexcept;
    [[nodiscard]] std::uint64_t epoch_ms() const noexcept;
    /// JSON text of the header.
    [[nodiscard]] std::string_view metadata() const noexcept;
    [[nodiscard]] Layout layout() const noexcept;

private:
    struct State;
    explicit Partition(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
