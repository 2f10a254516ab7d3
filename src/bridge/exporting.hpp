// One export: from a snapshot of a store to a storage that nobody else has.
//
// One thread. Invariants: documents have the order of the events; the events of one commit of the
// store that are of one stream and follow each other are one commit of the storage; indexes are
// there before the first document, so each is filled in one go.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/export_document.hpp"
#include "varve/consumer.hpp"
#include "varve/nes_export.hpp"

namespace varve::bridge {

class Exporting {
public:
    Exporting(const Store& source, const nes::ExportOptions& options, const Progress& progress);
    [[nodiscard]] Result<nes::ExportReport> run();

private:
    /// An index that ends before the event behind this position.
    struct Closing {
        Position behind{};
        std::string index;
    };

    /// A consumer that goes on there, if there is an index of what it follows.
    struct Consuming {
        std::string name;
        ConsumerContent content;
        std::string index;            ///< empty: none yet
        std::uint64_t documents = 0;  ///< that it has passed, of the whole storage
        bool left = false;            ///< `documents` is known
    };

    // export.cpp: the order of things, and the events.
    [[nodiscard]] Result<void> make_storage();
    [[nodiscard]] Result<void> look_at_first(const Snapshot& snapshot);
    [[nodiscard]] Result<void> write_events(const Snapshot& snapshot);
    [[nodiscard]] Result<void> take(const EventView& event);
    [[nodiscard]] Result<void> write_commit();
    [[nodiscard]] Result<void> write(const EventView& event);
    [[nodiscard]] Result<void> close_indexes(Position before);
    [[nodiscard]] Result<void> compare(nes::Storage& storage,
                                       const std::vector<nes::IndexInfo>& indexes);
    void count_in(const std::optional<std::string>& stream);
    void tell_event(const EventView& event);
    void lose(nes::Loss loss, std::string what, Position position = {});

    // export_streams.cpp: streams and definitions to indexes.
    [[nodiscard]] Result<void> make_streams(const Snapshot& snapshot);
    [[nodiscard]] Result<void> make_stream(const CatalogueEntry& stream);
    [[nodiscard]] Result<void> make_names(const Snapshot& snapshot, NameKind kind);
    [[nodiscard]] Result<void> make_definitions(const Snapshot& snapshot);
    [[nodiscard]] Result<void> make_definition(const Definition& definition);
    [[nodiscard]] Result<bool> make_index(const std::string& name, const std::string& matcher,
                                          nes::Loss otherwise, const std::string& what);
    [[nodiscard]] std::string index_of(const std::string& name) const;

    // export_consumers.cpp: where consumers stand, and with which state.
    [[nodiscard]] Result<void> collect_consumers();
    void collect(const ConsumerInfo& consumer, ConsumerContent content);
    void holds(const Selector& events, const std::string& name);
    void leave_consumers(Position before);
    [[nodiscard]] Result<void> write_consumers(nes::Storage& storage,
                                               const std::vector<nes::IndexInfo>& indexes);
    [[nodiscard]] Result<void> write_consumer(const Consuming& consumer, nes::Storage& storage,
                                              const std::vector<nes::IndexInfo>& indexes);
    void stays_behind(const std::string& consumer, Position position, const std::string& why);

    const Store& store_;
    const nes::ExportOptions& options_;
    const Progress& progress_;
    nes::ExportReport report_;
    Paths paths_;
    std::string index_directory_;
    std::optional<nes::Storage> storage_;
    bool envelopes_ = true;              ///< documents are what an event store writes
    std::set<std::string> directories_;  ///< names of streams that begin names of others
    std::set<std::string> shared_;       ///< streams whose events go to the partition without name
    std::vector<Closing> closings_;      ///< by position, the first one last
    std::unordered_map<std::string, std::uint64_t> lengths_;  ///< that indexes of streams must have
    std::vector<Consuming> consumers_;
    std::set<std::pair<std::string, std::string>> consumer_names_;  ///< index and name, there
    std::vector<EventView> commit_;  ///< of one stream, not written yet
    MadeDocument made_;
    std::uint32_t checksum_ = 0;  ///< over all documents, in order
    std::uint64_t other_ids_ = 0;
};

}  // namespace varve::bridge
