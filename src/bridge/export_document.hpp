// An event of a store as a document of node-event-storage.
//
// One thread. Invariants: what an import has made of a document becomes that document again, byte
// for byte and with its time; any other event becomes one that an import reads as the same event,
// except for what is said to be lost.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>

#include "bridge/source_event.hpp"
#include "varve/event.hpp"

namespace varve::bridge {

struct MadeDocument {
    std::string text;
    std::int64_t time_us = 0;  ///< of its header, since 1970
    bool as_imported = false;
    bool envelope = true;        ///< it is what an event store writes
    bool base64 = false;         ///< the data are no JSON text
    bool metadata_left = false;  ///< the metadata were no JSON object
};

/// The event as an import found it, if its id says that one did.
[[nodiscard]] bool remake(const EventView& event, MadeDocument& into);

/// True if its metadata tell its place in a commit, as the original writes them.
[[nodiscard]] bool has_place(std::string_view metadata);

/// A document for an event that no import has brought. Its place in its commit counts unless its
/// metadata tell one.
void make_document(const EventView& event, const CommitPlace& place, const Paths& paths,
                   MadeDocument& into);

}  // namespace varve::bridge
