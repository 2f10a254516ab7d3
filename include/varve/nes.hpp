// A storage of node-event-storage: all partitions and indexes of one name, read in the order of
// the whole, followed, written so that the original goes on with it, and repaired.
//
// Thread rule: an object belongs to one thread at a time. One writer per storage, the original
// included: it holds the directory `<name>.lock`. Any number of readers, which write nothing but
// the states of their consumers.
//
// Lifetimes: views of documents stay valid until the storage is closed.
//
// Errors: as those of the files (`varve/nes_files.hpp`). An index entry that disagrees with the
// document it names is `corrupt`, with file and offset, and never passed over in silence. Files
// that cannot be read are listed in `problems`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/nes_files.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// What to do about a lock that is there.
enum class Lock : std::uint8_t {
    refuse,  ///< `locked`
    /// Take it over: only when it is certain that its holder is dead. A living writer of this
    /// library is refused all the same. Everything is checked as after a crash.
    take_over,
};

struct StorageOptions {
    std::string name = "storage";  ///< an event store's default is `eventstore`
    /// Empty: the data directory. An event store's default is `streams` in the data directory.
    std::string index_directory;
    Access access = Access::read_only;
    Layout layout = Layout::detect;  ///< of files that are made; existing ones stay as they are
    Lock lock = Lock::refuse;
    bool sync_on_flush = false;
    /// JSON object for new partitions, see `PartitionOptions`.
    std::string partition_metadata;
    /// Which partition a document goes to that is written without one. Empty: the one without name.
    std::function<std::string(std::string_view document, std::uint64_t number)> partitioner;
    /// Write although there are indexes that only a function could fill, or whose matcher is not
    /// known: they do not grow then. Without it opening such a storage for writing is refused.
    bool leave_unknown_indexes = false;
    /// Not 0: documents and entries are held in memory until they have about this many bytes, and
    /// are written file by file then, which makes storages of many partitions or indexes in little
    /// time. Others see documents only then, or after `flush`, and that a file cannot be made or
    /// written is only said then. 0: at most 1,024 documents are held.
    std::uint64_t hold_bytes = 0;
    os::Env* env = nullptr;  ///< null: the operating system; else lives longer than the storage
};

/// What an index takes.
enum class MatcherKind : std::uint8_t {
    none,      ///< not recorded
    object,    ///< a JSON object
    function,  ///< the text of a function, which is reported and never run
};

struct IndexInfo {
    std::string name;  ///< streams of an event store begin with `stream-`
    std::string path;
    std::uint64_t length = 0;
    bool closed = false;  ///< of a stream that takes nothing more
    MatcherKind kind = MatcherKind::none;
    std::string matcher;  ///< JSON object, or the function's text
    std::string hmac;     ///< of a function
};

struct PartitionInfo {
    std::string name;  ///< without the storage's
    std::string path;
    std::uint32_t id = 0;
    std::uint64_t bytes = 0;         ///< of whole documents
    std::uint64_t header_bytes = 0;  ///< before them
    Layout layout = Layout::detect;
    std::string metadata;
    std::optional<Partition::Torn> torn;
};

/// How far a consumer has come.
struct ConsumerInfo {
    std::string index;  ///< `_all` or the name of an index
    std::string name;
    std::uint32_t position = 0;  ///< entries consumed
    std::string state;           ///< JSON text
};

/// A document of a storage.
struct StoredDocument {
    std::uint64_t number = 0;  ///< 1-based, in the whole storage
    std::string_view partition;
    std::string_view data;
    std::uint64_t time_us = 0;  ///< since 1970, as the partition's clock had it
    std::uint64_t position = 0;
    std::uint64_t offset = 0;  ///< in the partition's file, in bytes
};

/// The parts of a document that an event store has written, as they stand in it.
struct Envelope {
    std::string stream;
    std::string_view payload;   ///< JSON text; empty if there is none
    std::string_view metadata;  ///< JSON text; empty if there is none
};
/// Nothing if the document is no JSON object with a string `stream`.
[[nodiscard]] VARVE_EXPORT std::optional<Envelope> envelope_of(std::string_view document);

/// What opening for writing, or `reindex`, had to do.
struct RepairReport {
    std::uint64_t torn = 0;             ///< documents that were not written to their end
    std::uint64_t dropped = 0;          ///< whole documents behind a missing one
    std::uint64_t unindexed = 0;        ///< documents that the primary index got now
    std::uint64_t entries_cut = 0;      ///< entries of the primary index without a document
    std::uint64_t secondary_cut = 0;    ///< entries of other indexes
    std::uint64_t secondary_added = 0;  ///< the same
    std::vector<std::string> branches;  ///< files that hold what was cut off
    [[nodiscard]] bool anything() const noexcept {
        return torn + dropped + unindexed + entries_cut + secondary_cut + secondary_added > 0;
    }
};

class VARVE_EXPORT Storage {
public:
    /// `directory` is the data directory. Writing makes both directories and the primary index if
    /// they are missing; takes the lock, or `locked`; and then brings partitions and indexes to
    /// agree, see `repaired`.
    [[nodiscard]] static Result<Storage> open(const std::string& directory,
                                              const StorageOptions& options = {}) noexcept;
    Storage(Storage&&) noexcept;
    Storage& operator=(Storage&&) noexcept;
    /// Flushes and gives the lock back; whoever wants to know whether that worked calls `close`.
    ~Storage();

    /// Documents in the storage.
    [[nodiscard]] std::uint64_t length() const noexcept;
    [[nodiscard]] Result<std::vector<IndexInfo>> indexes() noexcept;
    [[nodiscard]] Result<std::vector<PartitionInfo>> partitions() noexcept;
    [[nodiscard]] Result<std::vector<ConsumerInfo>> consumers() noexcept;
    /// Replaces the state of a consumer, or begins it: the old one or the new one is there at every
    /// moment, durable afterwards with `sync_on_flush`. Readers may do this too: the file belongs
    /// to the consumer, each of which lives in one process at a time. `not_found` if there is no
    /// such index; `invalid_argument` if the state is no JSON object, or the name has a '.' or '/'.
    [[nodiscard]] Result<void> store_consumer(const ConsumerInfo& consumer) noexcept;
    /// Files of this storage that could not be read, each with what is wrong.
    [[nodiscard]] const std::vector<Error>& problems() const noexcept;

    /// The document with this number. `not_found` if there is none.
    [[nodiscard]] Result<StoredDocument> read(std::uint64_t number) noexcept;

    /// Goes over documents. Belongs to its storage and must not outlive it.
    class VARVE_EXPORT Cursor {
    public:
        Cursor(Cursor&&) noexcept;
        Cursor& operator=(Cursor&&) noexcept;
        ~Cursor();
        /// False at the end and at an error.
        [[nodiscard]] bool next(StoredDocument& into) noexcept;
        /// The error at which it stopped, if it did.
        [[nodiscard]] Result<void> status() const noexcept;
        /// Goes on behind what could not be read: behind the entry, or, in the order of sequence
        /// numbers, without the rest of that partition.
        void pass() noexcept;

    private:
        friend class Storage;
        struct State;
        explicit Cursor(std::unique_ptr<State> state) noexcept;
        std::unique_ptr<State> state_;
    };
    /// Entries `from` to `until` of an index, as `Index::range` counts them; backwards if `from` is
    /// behind `until`. Without a name: the primary index, so in the order of the whole storage.
    [[nodiscard]] Result<Cursor> range(std::int64_t from = 1, std::int64_t until = -1,
                                       std::string_view index = {}) noexcept;
    /// All whole documents of all partitions in the order of their sequence numbers, without any
    /// index: for storages whose indexes are lost.
    [[nodiscard]] Result<Cursor> by_sequence(std::uint32_t from = 0) noexcept;

    /// Reading: takes notice of what a writer has added, in documents.
    [[nodiscard]] Result<Change> refresh() noexcept;
    /// The same, but sleeps up to `timeout_us` until there is something.
    [[nodiscard]] Result<Change> wait(std::uint64_t timeout_us) noexcept;

    /// Appends a document, JSON text, and its entries in all indexes that match it; returns its
    /// number. Others see it after `flush`. With a time, microseconds since 1970, that one counts
    /// and not the clock's, but later than the last one of its partition.
    [[nodiscard]] Result<std::uint64_t> write(std::string_view document, std::string_view partition,
                                              std::optional<std::int64_t> time_us = {}) noexcept;
    /// The same, in the partition that the options choose.
    [[nodiscard]] Result<std::uint64_t> write(std::string_view document) noexcept;
    /// Partitions first, then indexes, the primary one last.
    [[nodiscard]] Result<void> flush() noexcept;
    /// Makes an index of all documents, present and future, that match a JSON object, compact
    /// JSON. Nothing happens if there is such an index; one with another matcher is
    /// `invalid_argument`.
    [[nodiscard]] Result<void> ensure_index(std::string_view name,
                                            std::string_view matcher) noexcept;
    /// Makes the index one that takes nothing more, as the original does with closed streams.
    [[nodiscard]] Result<void> close_index(std::string_view name) noexcept;
    /// Keeps the first `length` documents. What is cut off goes to branch files.
    [[nodiscard]] Result<RepairReport> truncate(std::uint64_t length) noexcept;
    /// Makes all indexes again from the documents, from number `from` + 1 on.
    [[nodiscard]] Result<RepairReport> reindex(std::uint64_t from = 0) noexcept;
    [[nodiscard]] const RepairReport& repaired() const noexcept;
    /// Flushes, closes all files, then gives the lock back.
    [[nodiscard]] Result<void> close() noexcept;

private:
    struct State;
    explicit Storage(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
