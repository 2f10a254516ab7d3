// Reads a document of node-event-storage as an event of varve.
//
// One thread. Views of an event point into its document, or into the texts that the caller keeps.
// Invariant: what is read follows from the document, its number and its time alone.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "varve/event.hpp"
#include "varve/nes.hpp"

namespace varve::bridge {

/// Names of fields, each inside the one before it. Empty: nowhere.
using Path = std::vector<std::string>;
[[nodiscard]] Path split_path(std::string_view dotted);
[[nodiscard]] std::string joined(const Path& path);

struct Paths {
    Path stream;  ///< of documents that are no envelopes
    Path type;
    Path tags;
};

/// Where an event stands in its commit, as its metadata say.
struct CommitPlace {
    std::uint64_t id = 0;
    std::uint64_t version = 0;  ///< 0-based
    std::uint64_t size = 1;
};

struct SourceEvent {
    NewEvent event;  ///< without an id
    CommitPlace commit;
    bool envelope = false;  ///< it is what an event store writes: stream, payload, metadata
    std::size_t types = 0;  ///< names at the path of the type, of which the first is taken
};

/// False if the document is no JSON object.
[[nodiscard]] bool read_event(const nes::StoredDocument& document, const Paths& paths,
                              std::list<std::string>& texts, SourceEvent& into);

/// The id of the event that a document becomes. Begins with the document's number and
/// `source_mark`.
[[nodiscard]] EventId id_of(const nes::StoredDocument& document,
                            std::uint32_t source_mark) noexcept;
[[nodiscard]] std::uint32_t source_mark(std::string_view storage_name) noexcept;
/// The number in an id that has this mark; 0 if it has another one.
[[nodiscard]] std::uint32_t number_in(const std::byte* id, std::uint32_t source_mark) noexcept;

}  // namespace varve::bridge
