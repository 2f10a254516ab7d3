// Writes the events of a store as a storage of node-event-storage.
//
// Thread rule: any thread; the store may be read, and appended to, meanwhile: what is exported is
// what was published when the export began.
//
// What becomes what: docs/migration.md. Whatever `nes::import_storage` has brought is written as it
// was there, byte for byte, with the times of its documents, so that another import gives the same
// events with the same ids.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "varve/export.hpp"
#include "varve/maintenance.hpp"
#include "varve/nes_files.hpp"
#include "varve/nes_import.hpp"
#include "varve/result.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

/// What an export cannot carry over, or not as it is.
enum class Loss : std::uint8_t {
    // The event is not there, or not with all that it was.
    too_large,             ///< left out: a document has at most 64 MiB
    not_json,              ///< its data are no JSON text: the payload holds them in base64
    metadata_left,         ///< its metadata are no JSON object: left out
    stream_without_index,  ///< its name can be no file's: its events are there, not as a stream
    // Every event is there.
    erased_event,         ///< its content was erased: without payload, so that versions remain
    shared_partition,     ///< a stream's events are in the partition without name
    unusable_definition,  ///< a derived stream that no matcher of the original can be made of
    unusable_consumer,    ///< a consumer that stays behind
    other_id,             ///< ids stay behind, except those that an import gives
    changed_consumer,     ///< a consumer is there, but not with all that it was
};
inline constexpr std::size_t kLosses = 10;
/// The spelling for people and programs: `not_json`. Lives for ever.
[[nodiscard]] VARVE_EXPORT std::string_view to_string(Loss loss) noexcept;
/// `refused` or `note`.
[[nodiscard]] VARVE_EXPORT Weight weight_of(Loss loss) noexcept;

/// One loss with its place.
struct Lost {
    Loss loss = Loss::too_large;
    std::string what;     ///< a sentence for people
    Position position{};  ///< of the event concerned; 0: none
};

struct ExportOptions {
    std::string directory;  ///< the data directory: must not exist yet
    std::string name = "eventstore";
    std::string index_directory;      ///< empty: `streams` in the data directory
    Layout layout = Layout::classic;  ///< of the files; `detect` is `classic`
    /// Where the original's accessors find types and tags in the payload, dots between fields. For
    /// an event whose payload says others than it has they are put into its metadata, as `varve`.
    std::string type_path = "type";
    std::string tag_path = "tags";
    bool type_streams = false;  ///< make the streams that the accessor of types would have made
    bool tag_streams = false;   ///< and those of the accessor of tags
    /// Gets every loss as it is met. May be empty.
    std::function<void(const Lost&)> tell;
    os::Env* env = nullptr;  ///< of the storage; null: the operating system
};

struct ExportReport {
    bool complete = true;           ///< false: cancelled; the directory holds a part and can go
    std::uint64_t events = 0;       ///< of the store
    std::uint64_t documents = 0;    ///< written
    std::uint64_t as_imported = 0;  ///< of them, as an import found them
    std::uint64_t commits = 0;      ///< in which the others were put
    std::uint64_t streams = 0;      ///< indexes of streams, of types and tags too
    std::uint64_t derived = 0;      ///< of them, of definitions
    std::uint64_t closed = 0;       ///< of them, closed
    std::uint64_t consumers = 0;    ///< that go on there
    std::array<std::uint64_t, kLosses> lost{};  ///< how many of each kind

    [[nodiscard]] std::uint64_t count(Loss loss) const noexcept {
        return lost[static_cast<std::size_t>(loss)];
    }
    /// The gravest of what was lost.
    [[nodiscard]] VARVE_EXPORT Weight weight() const noexcept;
};

/// Writes everything published in `source`, then reads the storage and compares it with what was
/// written. `progress` gets positions. Errors: `invalid_argument` (the directory exists, or the
/// name cannot be one), `too_large` (a partition would exceed 4 GiB), `corrupt` (an event cannot be
/// read, or the storage is not what was written), `no_space`, `io`, `out_of_memory`; the directory
/// holds a part then. What single events lose is no error but told.
[[nodiscard]] VARVE_EXPORT Result<ExportReport> export_storage(
    const Store& source, const ExportOptions& options, const Progress& progress = {}) noexcept;

}  // namespace nes
}  // namespace v0
}  // namespace varve
