// One import: from a storage that is only read to a store that is open for writing.
//
// One thread. Invariants: documents are taken in the order of their numbers; the events of a commit
// of the source are in one append, unless it is too large for one; where appends are cut follows
// from the documents alone, so a repetition makes the same ones.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/appender.hpp"
#include "bridge/findings.hpp"
#include "bridge/meaning.hpp"
#include "bridge/source_event.hpp"
#include "bridge/tiling.hpp"
#include "varve/nes_import.hpp"

namespace varve::bridge {

/// Whether the store takes a name. It is asked; the answer for a name that is not plain is kept.
class Names {
public:
    explicit Names(Store& target) noexcept : target_(target) {}
    /// What is wrong with it, or nothing. Valid until the next call.
    [[nodiscard]] const std::string* fault(std::string_view name);

private:
    Store& target_;
    std::unordered_map<std::string, std::string> known_;
};

/// Counts and checksums of the events of each stream, in their order.
class Sums {
public:
    void add(const NewEvent& event);
    void add(const EventView& event);
    [[nodiscard]] nes::StreamSum of(const std::string& stream) const;
    [[nodiscard]] std::vector<std::string> streams() const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const noexcept {
            return std::hash<std::string_view>()(name);
        }
    };
    [[nodiscard]] nes::StreamSum& sum_of(std::string_view stream);

    std::unordered_map<std::string, nes::StreamSum, Hash, std::equal_to<>> sums_;
};

class Importing {
public:
    Importing(Store& target, const nes::ImportOptions& options, const Progress& progress);
    [[nodiscard]] Result<nes::ImportReport> run();
    /// The source was truncated while it was followed: what `run` has reported is only what was
    /// appended so far, and the source is to be read again.
    [[nodiscard]] bool overtaken() const noexcept { return overtaken_; }

private:
    /// Where a document lies, for findings about it.
    struct Place {
        std::string_view partition;
        std::uint64_t offset = 0;
        std::uint64_t number = 0;
    };
    enum class Phase : std::uint8_t {
        catching_up,  ///< taking what was there when the import began
        following,    ///< taking what comes, until progress says that it shall end
        ending,       ///< taking what has come by then; progress is not asked
    };
    /// The append that is being put together.
    struct Batch {
        std::unique_ptr<Load> load = std::make_unique<Load>();
        std::size_t closed = 0;        ///< events behind these belong to a commit that goes on
        std::size_t closed_texts = 0;  ///< texts behind these are theirs
        std::uint64_t bytes = 0;
        CommitPlace commit;  ///< of the last event
        std::string stream;  ///< of the commit that goes on
        bool open = false;   ///< one goes on
        Place began;         ///< where it begins
        bool split = false;  ///< it was told that it is split
    };

    // import.cpp: the order of things.
    [[nodiscard]] Result<void> open_source();
    [[nodiscard]] Result<void> look_at_source();
    void tell_metadata();
    [[nodiscard]] Result<void> import_documents();
    [[nodiscard]] Result<void> learn_indexes();
    [[nodiscard]] Result<void> import_definitions();
    [[nodiscard]] Result<void> leave_definitions();
    [[nodiscard]] Result<void> define_streams();
    [[nodiscard]] Result<void> define(std::span<const std::size_t> wanted);
    [[nodiscard]] Result<void> close_streams();
    void tell_problems();
    [[nodiscard]] bool cancelled();
    /// Where a document is, in words for findings.
    void found(nes::Finding finding, std::string what, const Place& place);

    // import_events.cpp: documents to appends.
    [[nodiscard]] Result<void> import_indexed();
    [[nodiscard]] bool is_awaited(const Error& error, std::uint64_t place) const noexcept;
    void pass_entry(const Error& error, std::uint64_t place);
    [[nodiscard]] Result<void> import_unindexed();
    [[nodiscard]] Result<void> take(const nes::StoredDocument& document);
    [[nodiscard]] Result<void> make_room(const SourceEvent& source, const Place& place);
    void leave_out(nes::Finding finding, std::string what, const Place& place);
    [[nodiscard]] bool usable(SourceEvent& event, const Place& place);
    [[nodiscard]] bool continues(const SourceEvent& source) const;
    void close_commit();
    [[nodiscard]] Result<void> append_batch();
    [[nodiscard]] Result<void> append_closed();
    [[nodiscard]] Result<void> finish_appending();
    void drop_unfinished();

    // import_follow.cpp: what comes meanwhile.
    [[nodiscard]] Result<void> follow();
    [[nodiscard]] Result<void> import_what_is_there();
    [[nodiscard]] Result<void> await_document();
    [[nodiscard]] Result<void> look_again(std::uint64_t timeout_us);
    [[nodiscard]] Result<void> finish_following();
    [[nodiscard]] bool is_last_there();
    [[nodiscard]] Result<void> tell_truncation();
    [[nodiscard]] Result<std::uint64_t> documents_kept();
    void nap(std::uint64_t us) noexcept;

    // import_consumers.cpp
    [[nodiscard]] Result<void> import_consumers();
    [[nodiscard]] Result<Position> position_behind(const nes::ConsumerInfo& consumer);
    [[nodiscard]] Result<void> import_consumer(const nes::ConsumerInfo& consumer,
                                               const std::string& name, const Selector& selector);
    [[nodiscard]] std::optional<Selector> followed_by(const nes::ConsumerInfo& consumer);

    // compare.cpp
    [[nodiscard]] Result<void> compare();
    [[nodiscard]] Result<void> compare_streams(const Snapshot& snapshot);
    [[nodiscard]] Result<void> compare_indexes(const Snapshot& snapshot);
    [[nodiscard]] Result<void> compare_index(const Snapshot& snapshot, const nes::IndexInfo& info,
                                             const Meaning& meaning);
    [[nodiscard]] Result<void> compare_numbers(const Snapshot& snapshot, const nes::IndexInfo& info,
                                               const Meaning& meaning,
                                               std::span<const std::uint32_t> numbers);

    Store& target_;
    const nes::ImportOptions& options_;
    const Progress& progress_;
    nes::ImportReport report_;
    Findings findings_;
    Names names_;
    std::string index_directory_;
    std::optional<nes::Storage> source_;
    std::optional<nes::Index> primary_;  ///< the same that the storage goes by
    std::vector<nes::IndexInfo> indexes_;
    std::vector<Meaning> meanings_;  ///< of each of them
    std::optional<Tiling> tiling_;
    Paths paths_;
    bool envelopes_ = true;
    bool envelopes_known_ = false;  ///< a document was read
    std::uint32_t mark_ = 0;
    std::uint64_t indexed_ = 0;   ///< documents that the primary index has, when it was looked at
    std::uint64_t placed_ = 0;    ///< of them, taken or passed over
    std::uint64_t given_up_ = 0;  ///< documents up to this one are no longer waited for
    Phase phase_ = Phase::catching_up;
    bool stopped_ = false;  ///< progress has said that it shall end
    bool overtaken_ = false;
    std::uint64_t last_ = 0;  ///< number of the event that was read last
    EventId last_id_;
    std::uint64_t expected_ = 0;  ///< of them and those behind, for progress
    std::uint64_t taken_ = 0;
    std::size_t problems_told_ = 0;
    SourceEvent scratch_;
    std::list<std::string> texts_;  ///< of the event that was read last
    Batch batch_;
    std::optional<Appender> appender_;
    Sums sums_;                            ///< of the source
    std::vector<std::uint32_t> left_out_;  ///< numbers, ascending
};

}  // namespace varve::bridge
