// What an open storage knows: its partitions, its indexes, its lock.
//
// One thread. Invariants: slots never move and never go, so views of names and documents last;
// what is flushed is flushed partitions first, the primary index last.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "nes/names.hpp"
#include "nes/routing.hpp"
#include "nes/storage_files.hpp"
#include "varve/nes.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// A document that is held, by its bytes among those of its partition.
struct HeldDocument {
    std::uint32_t sequence = 0;
    std::uint32_t size = 0;
    std::int64_t time_us = 0;
};

struct PartitionSlot {
    std::string file;  ///< relative to the data directory
    std::string name;  ///< without the storage's
    std::uint32_t id = 0;
    std::optional<Partition> reader;
    std::optional<Partition> writer;
    bool dirty = false;  ///< in `changed_partitions`
    // Only where documents are held.
    std::vector<HeldDocument> held;
    std::string held_bytes;
    std::optional<std::uint64_t> end;  ///< of its documents, those held included
};

struct IndexSlot {
    IndexInfo info;
    bool taking = false;   ///< its matcher is understood, and it is not closed
    bool missing = false;  ///< empty, or no index at all; in `problems`
    std::optional<Index> reader;
    std::optional<Index> writer;
    bool dirty = false;            ///< in `changed_indexes`
    std::vector<IndexEntry> held;  ///< only where documents are held
};

struct Storage::State {
    static constexpr std::uint64_t kUsualAhead = 64 << 10;

    State(os::Env& given, const StorageOptions& chosen, std::string data) noexcept
        : env(given), options(chosen), data_directory(std::move(data)) {
        index_directory =
            options.index_directory.empty() ? data_directory : options.index_directory;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { static_cast<void>(close()); }

    os::Env& env;
    StorageOptions options;
    std::string data_directory;
    std::string index_directory;
    std::map<std::uint32_t, std::unique_ptr<PartitionSlot>> partitions;
    std::vector<std::unique_ptr<IndexSlot>> indexes;
    std::unordered_map<std::string, std::vector<IndexSlot*>> by_name;  ///< of `indexes`
    std::vector<PartitionSlot*> changed_partitions;                    ///< since the last flush
    std::vector<IndexSlot*> changed_indexes;
    std::vector<IndexEntry> held;   ///< of the primary index
    std::uint64_t held_memory = 0;  ///< bytes, about
    std::optional<Index> primary;
    std::vector<Error> problems;
    RepairReport repaired;
    Routing routing;
    std::vector<std::size_t> routed;       ///< scratch of one write
    PartitionSlot* written = nullptr;      ///< by the last write: the next is often to the same
    std::uint64_t scanned_length = ~0ULL;  ///< of the primary index when partitions were looked for
    std::uint64_t pending = 0;             ///< documents since the last flush
    std::size_t writers = 0;               ///< files that are open for writing
    bool locked = false;
    bool is_open = true;

    // Reading.
    [[nodiscard]] bool writing() const noexcept { return options.access == Access::read_write; }
    [[nodiscard]] FileOptions file_options(Access access) const noexcept;
    [[nodiscard]] Result<void> usable(bool for_writing) const noexcept;
    [[nodiscard]] Result<void> find_files() noexcept;
    IndexSlot& add_index(std::string name, std::string path);
    void see_index(FoundIndex index, const std::vector<FoundIndex>& all);
    void report(Error error);
    void find_new_partitions() noexcept;
    [[nodiscard]] PartitionSlot* slot_of(std::uint32_t id) noexcept;
    [[nodiscard]] Result<Partition*> reader_of(PartitionSlot& slot) noexcept;
    [[nodiscard]] Result<Index*> reader_of(IndexSlot& slot) noexcept;
    [[nodiscard]] IndexSlot* index_of(std::string_view name) noexcept;
    [[nodiscard]] Result<void> learn(IndexSlot& slot) noexcept;
    [[nodiscard]] Result<StoredDocument> read_entry(const IndexEntry& entry) noexcept;
    [[nodiscard]] Result<void> refresh_readers() noexcept;

    // Writing.
    [[nodiscard]] Result<void> begin_writing() noexcept;
    [[nodiscard]] Result<void> take_lock() noexcept;
    [[nodiscard]] Result<void> learn_indexes() noexcept;
    [[nodiscard]] Result<PartitionSlot*> slot_for(std::string_view name) noexcept;
    /// A file that is opened has room for `ahead` bytes.
    [[nodiscard]] Result<Partition*> writer_of(PartitionSlot& slot,
                                               std::optional<std::int64_t> first_us = {},
                                               std::uint64_t ahead = kUsualAhead) noexcept;
    [[nodiscard]] Result<Index*> writer_of(IndexSlot& slot,
                                           std::uint64_t ahead = kUsualAhead) noexcept;
    /// Closes files when too many are open for writing. Nobody may hold one then.
    [[nodiscard]] Result<void> limit_writers(std::size_t more = 1) noexcept;
    [[nodiscard]] Result<void> add_entries(const IndexEntry& entry) noexcept;
    [[nodiscard]] Result<void> take_back(const IndexEntry& entry) noexcept;
    void mark(PartitionSlot& slot);
    void mark(IndexSlot& slot);
    [[nodiscard]] Result<void> flush() noexcept;
    [[nodiscard]] Result<void> close() noexcept;

    // Holding documents until there are many for each file.
    [[nodiscard]] bool holds() const noexcept { return options.hold_bytes > 0; }
    [[nodiscard]] std::uint64_t length() const noexcept {
        return (primary ? primary->length() : 0) + held.size();
    }
    [[nodiscard]] Result<std::uint64_t> hold(std::string_view document, PartitionSlot& slot,
                                             std::optional<std::int64_t> time_us) noexcept;
    [[nodiscard]] Result<void> find_end(PartitionSlot& slot) noexcept;
    [[nodiscard]] Result<void> write_held(PartitionSlot& slot) noexcept;
    [[nodiscard]] Result<void> write_held(IndexSlot& slot) noexcept;
    [[nodiscard]] Result<void> write_held() noexcept;
    /// Closes a file that was flushed if many are open.
    template <class Slot>
    [[nodiscard]] Result<void> close_flushed(Slot& slot) noexcept;

    // Bringing files to agree.
    [[nodiscard]] Result<void> repair(bool after_crash) noexcept;
    [[nodiscard]] Result<void> drop_torn(RepairReport& report) noexcept;
    [[nodiscard]] Result<void> cut_primary(RepairReport& report) noexcept;
    [[nodiscard]] Result<void> index_documents(RepairReport& report) noexcept;
    [[nodiscard]] Result<void> drop_from(std::uint64_t sequence, RepairReport& report) noexcept;
    [[nodiscard]] Result<void> agree(std::uint64_t from, RepairReport& report,
                                     const IndexSlot* only = nullptr) noexcept;
    [[nodiscard]] Result<void> cut_index(IndexSlot& slot, std::uint64_t length,
                                         RepairReport& report) noexcept;
    [[nodiscard]] Result<void> cut_indexes(std::uint64_t length, RepairReport& report) noexcept;
};

/// A file that holds nothing of this format, or nothing at all yet.
[[nodiscard]] inline bool is_none(const Error& error) noexcept {
    return error.code == ErrorCode::not_found || error.code == ErrorCode::not_a_store;
}

/// What a cursor over a storage goes through: entries of an index, or partitions side by side.
struct Storage::Cursor::State {
    struct Head {
        PartitionSlot* slot = nullptr;
        Partition::Cursor documents;
        Document document;
        std::uint64_t epoch_us = 0;
        std::uint64_t header_bytes = 0;
    };
    Storage::State* storage = nullptr;
    std::span<const IndexEntry> entries;
    std::size_t at = 0;  ///< entries gone through
    bool backwards = false;
    std::vector<Head> heads;      ///< a heap, the smallest sequence number first
    std::vector<Error> failures;  ///< of partitions, to be reported one by one
    std::optional<Error> error;

    [[nodiscard]] bool next_entry(StoredDocument& into) noexcept;
    [[nodiscard]] bool next_head(StoredDocument& into) noexcept;
    /// Takes the head's next document and puts it into the heap; drops the head at its end.
    void advance(Head head) noexcept;
    void add(PartitionSlot& slot, std::uint32_t from) noexcept;
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
