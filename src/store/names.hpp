// The names of the catalogue in byte order: one sorted row per index, merged into one.
//
// One thread per row; the names kept for later pages are shared by the copies of a snapshot.
// Invariants: names are compared, never only their hashes; what lies beyond the snapshot's end does
// not count; a row that damage makes incomplete ends in an error.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "store/segments.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Pinned;

/// One name and what one index holds of it, or all of them together.
struct NameEntry {
    std::string_view name{};  ///< valid until the row's next call
    std::uint64_t count = 0;  ///< events
    std::uint64_t first = 0;  ///< positions
    std::uint64_t last = 0;
};

/// The names of one kind that one index holds, in byte order from a lower bound on.
class NameSource {
public:
    NameSource() = default;
    NameSource(const NameSource&) = delete;
    NameSource& operator=(const NameSource&) = delete;
    virtual ~NameSource() = default;
    /// False at the end, and on an error.
    [[nodiscard]] virtual bool next(NameEntry& entry) = 0;
    [[nodiscard]] virtual std::optional<Error> error() const = 0;
};

/// The names of one kind in one young segment, sorted.
class SortedNames {
public:
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] NameEntry operator[](std::size_t n) const noexcept;
    /// Number of the first name at or behind `from`.
    [[nodiscard]] std::size_t lower_bound(std::string_view from) const noexcept;

    void add(const NameEntry& entry);
    void sort();

private:
    struct Entry {
        std::uint64_t text = 0;  ///< where the name begins in `text_`
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        std::uint32_t count = 0;
        std::uint16_t length = 0;
    };
    [[nodiscard]] std::string_view name(const Entry& entry) const noexcept {
        return std::string_view(text_).substr(entry.text, entry.length);
    }
    std::string text_;
    std::vector<Entry> entries_;
};
using SortedNamesPtr = std::shared_ptr<const SortedNames>;

/// Keeps what was collected from young segments, so that the next page does not collect again.
class NameCache {
public:
    [[nodiscard]] SortedNamesPtr get(std::uint64_t segment, index::KeyKind kind) const;
    void put(std::uint64_t segment, index::KeyKind kind, SortedNamesPtr names);

private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::uint64_t, index::KeyKind>, SortedNamesPtr> kept_;
};

/// Collects the names of `kind` that the active index of a segment lists up to position `last`.
/// Errors: `corrupt` where an event or a list cannot be read.
[[nodiscard]] Result<SortedNamesPtr> collect_names(const Meta& meta, const Segment& segment,
                                                   std::uint64_t last, index::KeyKind kind);

/// The rows of all indexes of a view, merged: every name once.
class MergedNames {
public:
    /// Stands before the first name at or behind `from`. `pinned` outlives it.
    [[nodiscard]] Result<void> open(Pinned& pinned, index::KeyKind kind, std::string_view from);
    /// False at the end, and on an error.
    [[nodiscard]] bool next(CatalogueEntry& entry);
    [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

private:
    struct Row {
        std::unique_ptr<NameSource> source;
        NameEntry entry;
    };
    void advance(Row row);
    [[nodiscard]] Result<void> open_past(Pinned& pinned, index::KeyKind kind,
                                         std::string_view from);
    /// Order of the heap: the smallest name on top.
    [[nodiscard]] static bool later(const Row& a, const Row& b) noexcept {
        return a.entry.name > b.entry.name;
    }
    std::vector<Row> heap_;
    std::optional<Error> error_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
