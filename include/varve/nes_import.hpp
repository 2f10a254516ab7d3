// Carries a storage of node-event-storage over into a store of varve.
//
// Thread rule: one call at a time per target; the target may be read, and appended to, by others
// meanwhile. The source is only read, also while its writer is at work.
//
// What becomes what: docs/migration.md. An event gets an id that follows from the storage's name
// and from its document, so that an import can be repeated: what is in the target already is not
// appended again, also after a crash at any moment. The name must stay the same for that.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "varve/export.hpp"
#include "varve/maintenance.hpp"
#include "varve/nes.hpp"
#include "varve/result.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// What was found that could not be carried over, or is not as it should be.
enum class Finding : std::uint8_t {
    // Damage: something that was there once may be missing.
    damaged_file,        ///< a file of the storage that cannot be read
    damaged_entry,       ///< of the primary index: its document is not there or another one
    overlapping_entry,   ///< of the primary index: its document begins within the one before it
    damaged_index,       ///< an entry of another index that disagrees with the primary one
    unindexed_document,  ///< bytes between documents, or behind the last one, that no entry names
    truncated_source,    ///< while it was followed, documents went away that the store has
    // Documents that no event can be made of.
    torn_document,      ///< not written to its end
    not_json,           ///< no JSON object
    unusable_event,     ///< the store refuses it: its stream's name, or its size
    unfinished_commit,  ///< the last commit, of which events are missing: the original drops it
    // The events are carried over, but not all about them.
    unusable_name,       ///< a type or tag that the store refuses was left out
    split_commit,        ///< too large for one append
    function_matcher,    ///< a stream that only JavaScript can fill
    unusable_matcher,    ///< a stream whose matcher has no equal here, or is not recorded
    unusable_consumer,   ///< its stream is none here, its file is damaged, or it is in use
    partition_metadata,  ///< of a stream: there is nothing like it here
    // Of the comparison at the end.
    differing_stream,  ///< its events in the target are not those of the source
    differing_index,   ///< what an index lists is not what its stream has here
};
inline constexpr std::size_t kFindings = 18;
/// The spelling for people and programs: `damaged_entry`. Lives for ever.
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Finding finding) noexcept;

/// How grave a finding is.
enum class Weight : std::uint8_t {
    note,     ///< every event is there
    refused,  ///< an event was left out because of what it is, or an index has become another one
    damage,   ///< the source is damaged, or the target is not its equal
};
[[nodiscard]] VARVE_EXPORT Weight weight_of(Finding finding) noexcept;

/// One finding with its place.
struct Found {
    Finding finding = Finding::damaged_file;
    std::string what;          ///< a sentence for people
    std::string file;          ///< of the source
    std::uint64_t offset = 0;  ///< bytes from the beginning of the file
    std::uint64_t number = 0;  ///< of the document concerned, 1-based; 0: none
};

struct ImportOptions {
    std::string directory;  ///< the data directory
    std::string name = "eventstore";
    /// Empty: `streams` in the data directory if the primary index is there, else the data
    /// directory.
    std::string index_directory;
    /// Where names stand, with dots between fields; empty: nowhere. Type and tags are looked for in
    /// the payload, or in the whole document if it is not what an event store writes. Nothing: as
    /// the streams tell that the original has made by its accessors; if there are none, `type` and
    /// `tags`.
    std::optional<std::string> type_path;
    std::optional<std::string> tag_path;
    /// Of documents that are not what an event store writes. Where there is none, the stream is the
    /// partition.
    std::string stream_path = "stream";
    bool compare = true;  ///< read everything again at the end
    /// Define derived and closed streams, which take positions behind the events, and make
    /// consumers. If not, the store has the events alone: whoever calls keeps the rest elsewhere.
    bool define = true;
    /// Keep importing what a writer adds, until `progress` says false: that is no cancelling then,
    /// but the end. What the writer has left is taken, definitions and consumers are made, and all
    /// is compared, as without it. Needs a `progress`, which is asked a few times a second.
    bool follow = false;
    /// Gets every finding as it is made. May be empty.
    std::function<void(const Found&)> tell;
    os::Env* env = nullptr;  ///< of the source; null: the operating system
};

/// Events of one stream on one side.
struct StreamSum {
    std::uint64_t events = 0;
    std::uint32_t checksum = 0;  ///< over type, tags, time, data and metadata of each, in order
    friend bool operator==(const StreamSum&, const StreamSum&) noexcept = default;
};
struct ComparedStream {
    std::string name;
    StreamSum source;
    StreamSum target;
};

struct ImportReport {
    bool complete = true;         ///< false: cancelled; what was appended stays
    std::uint64_t documents = 0;  ///< of the source
    std::uint64_t imported = 0;   ///< events appended by this run
    std::uint64_t present = 0;    ///< that were there already, or since before a truncation
    std::uint64_t left_out = 0;   ///< documents of which there is no event; each was told
    std::uint64_t commits = 0;    ///< in which the original had them
    std::uint64_t derived = 0;    ///< streams that are defined here, closed ones included
    std::uint64_t closed = 0;     ///< of them, closed
    std::uint64_t consumers = 0;
    std::string type_path;  ///< as given or detected
    std::string tag_path;
    std::array<std::uint64_t, kFindings> found{};  ///< how many of each kind
    bool compared = false;
    std::vector<ComparedStream> streams;  ///< that were compared, by name
    std::uint64_t indexes = 0;            ///< of the source, whose events were compared one by one

    [[nodiscard]] std::uint64_t count(Finding finding) const noexcept {
        return found[static_cast<std::size_t>(finding)];
    }
    /// The gravest of what was found.
    [[nodiscard]] VARVE_EXPORT Weight weight() const noexcept;
};

/// Says whether the storage is there and can be read, without a store. Errors: as `import_storage`.
[[nodiscard]] VARVE_EXPORT Result<void> check_source(const ImportOptions& options) noexcept;

/// Appends everything that `target` does not have yet, at the store's level: open it at level `os`
/// and sync at the end. `progress` gets documents. Errors: `not_found` (no such storage),
/// `not_a_store`, `unsupported_version`, `corrupt` (the primary index), `invalid_argument`, `stale`
/// (followed, and its index was replaced by another file), and those of `Store::append`; after one,
/// or a cancelled run, call again. What is wrong with single documents is no error but told.
///
/// Following: the events of a commit are appended when all of them are there. A document that is
/// not there although its entry is, is waited for, up to 5 s. When the source was truncated, what
/// it has lost stays in the target, that is told, and the source is read again from its beginning;
/// `tell` hears of other findings again then, and the report counts those of the last reading.
[[nodiscard]] VARVE_EXPORT Result<ImportReport> import_storage(
    Store& target, const ImportOptions& options, const Progress& progress = {}) noexcept;

}  // namespace nes
}  // namespace v0
}  // namespace varve
