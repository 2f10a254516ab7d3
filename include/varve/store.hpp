// The store: one directory, one log, one writer, any number of readers.
//
// Thread rule: Store and const Snapshot methods from any thread; one Events or Subscription by one
// thread at a time. Invariant: what a Snapshot has shown never changes (an erased body becomes
// zero), whatever is appended or closed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "varve/definition.hpp"
#include "varve/event.hpp"
#include "varve/export.hpp"
#include "varve/maintenance.hpp"
#include "varve/options.hpp"
#include "varve/result.hpp"
#include "varve/selector.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

namespace store {
class Engine;
class Reading;
class Pinned;
class Following;
struct Inside;
}  // namespace store

/// A stream and the version an append left it at. `stream` is the caller's own view.
struct StreamVersion {
    std::string_view stream{};
    std::uint64_t version = 0;
};

/// What an append did.
struct Appended {
    Position first{};           ///< position of its first event
    Position last{};            ///< position of its last event; the ones between are contiguous
    std::uint64_t version = 0;  ///< version of the stream of the last event; 0 if it has none
    std::vector<StreamVersion> versions{};  ///< each stream written, if there was more than one
    Durability level = Durability::os;      ///< what the append waited for
    bool duplicate = false;  ///< its events were there already, by their ids: nothing was stored
};

/// The events of one read: a range of runs that ends complete, or stopped by an error.
///
/// Views are valid while the Snapshot they come from lives, except that the array of a run is
/// reused by the next call. An error that nobody looked at sticks to the Snapshot: its next call
/// returns it.
class VARVE_EXPORT Events {
public:
    enum class Status : std::uint8_t {
        reading,   ///< there may be more
        complete,  ///< everything asked for was handed out
        stopped,   ///< damage or an error came first; `error()` says which
    };

    Events(Events&&) noexcept;
    Events& operator=(Events&&) noexcept;
    ~Events();

    /// The next run, in order; empty when complete. After an error every call returns that error.
    [[nodiscard]] Result<std::span<const EventView>> next() noexcept;

    /// Calls `use` with every event, then says up to where the read has seen. An error ends it.
    template <class Use>
    [[nodiscard]] Result<Seen> for_each(Use&& use) {
        while (true) {
            auto run = next();
            if (!run) return std::move(run).error();
            if (run->empty()) return seen();
            for (const EventView& event : *run) use(event);
        }
    }

    [[nodiscard]] Status status() const noexcept;
    /// After the end. Forwards with the limit reached: the last event returned, 0 if there is none;
    /// else the smaller of `until` and the end of what may be handed out (the snapshot's, or what
    /// is durable), or before the first event beyond `until_revision`. Backwards: the same end, or
    /// `from` where that is smaller. An error if the read was stopped or is not at its end.
    [[nodiscard]] Result<Seen> seen() const noexcept;

private:
    friend class Snapshot;
    explicit Events(std::unique_ptr<store::Reading> reading) noexcept;
    std::unique_ptr<store::Reading> reading_;
};

/// One list that a query uses.
struct ExplainedList {
    std::string set;           ///< `type "A"`
    std::uint64_t events = 0;  ///< in it, within the snapshot; of names that share a key in a young
                               ///< segment, all of them
    /// Of a list of what was there before a definition: the last position that is listed. What
    /// stands behind it and before the definition is looked at event by event.
    Position listed{};
    bool complete = true;  ///< nothing has to be looked at event by event
};

/// How a query is answered.
struct Explanation {
    std::string selector;              ///< its normal form, see `Selector::text`
    std::vector<ExplainedList> lists;  ///< of each of its names
    std::uint64_t indexes = 0;         ///< that are asked: sealed ones and those of young segments
    std::uint64_t entries = 0;         ///< of lists and columns that are looked at
    std::uint64_t candidates = 0;      ///< events whose records are looked at
    std::uint64_t events = 0;          ///< in the answer
    bool scans = false;  ///< no list narrows it down: everything within the bounds is looked at
    double estimated_us = 0;  ///< of time, warm: entries and events at what they usually take
};

/// One name of the catalogue and what the snapshot holds of it.
struct CatalogueEntry {
    std::string name;
    std::uint64_t count = 0;  ///< events
    Position first{};
    Position last{};
};

/// What a name of the catalogue is for.
enum class NameKind : std::uint8_t { stream, category, type, tag };

/// Which names of the catalogue. Views are borrowed for the duration of the call only.
struct NamesOptions {
    std::string_view prefix{};  ///< only names that start with it
    std::string_view after{};   ///< only names behind it in byte order: the last one of a page asks
                                ///< for the next page; empty: from the beginning
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< at most so many names
    Position since{};  ///< only names whose first event lies beyond it: what is new since then
};

/// A consistent view of everything published when it was taken. Cheap, wait-free, writes nothing.
/// Copies share it; mappings live as long as any copy, even after the Store is closed.
class VARVE_EXPORT Snapshot {
public:
    Snapshot(const Snapshot&) noexcept;
    Snapshot(Snapshot&&) noexcept;
    Snapshot& operator=(const Snapshot&) noexcept;
    Snapshot& operator=(Snapshot&&) noexcept;
    ~Snapshot();

    [[nodiscard]] Position published() const noexcept;
    [[nodiscard]] Position durable() const noexcept;
    [[nodiscard]] std::uint32_t epoch() const noexcept;

    /// Number of events in `stream`; 0 if there is no such stream.
    [[nodiscard]] Result<std::uint64_t> version(std::string_view stream) const noexcept;
    [[nodiscard]] Events read(Source source, const ReadOptions& options = {}) const noexcept;
    [[nodiscard]] Events read(std::string_view stream,
                              const ReadOptions& options = {}) const noexcept;
    /// The events of a query or selector, each once however many of its items match: found by the
    /// indexes, rarest list first. `from_revision` and `until_revision` only count where it is a
    /// single stream. Errors of the selector itself come with the first call of `next`.
    [[nodiscard]] Events query(const Selector& selector,
                               const ReadOptions& options = {}) const noexcept;
    /// How many events a query has. Sealed indexes answer without a look at any event; of young
    /// segments the heads of candidates are read, and with bounds of time or a matcher the events.
    [[nodiscard]] Result<std::uint64_t> count(const Selector& selector,
                                              const ReadOptions& options = {}) const noexcept;
    /// How a query would be answered, by doing it without reading events.
    [[nodiscard]] Result<Explanation> explain(const Selector& selector,
                                              const ReadOptions& options = {}) const noexcept;
    /// What is defined, in the order of numbers. Errors: `corrupt`, `out_of_memory`.
    [[nodiscard]] Result<std::vector<Definition>> definitions() const noexcept;
    /// The one event at `position`; `not_found` beyond the end. One whose content was erased comes
    /// with `erased` set, as in every other read. Valid while a copy of this Snapshot
    /// lives, which is why a Snapshot that is about to go away does not offer it.
    [[nodiscard]] Result<EventView> at(Position position,
                                       Verify verify = Verify::always) const& noexcept;
    Result<EventView> at(Position position, Verify verify = Verify::always) const&& = delete;
    /// The event with this id, however old; `not_found` if there is none. If a narrow `id_window`
    /// let several be stored, the newest. Valid as long as what `at` answers.
    [[nodiscard]] Result<EventView> find(const EventId& id,
                                         Verify verify = Verify::always) const& noexcept;
    Result<EventView> find(const EventId& id, Verify verify = Verify::always) const&& = delete;

    /// Bytes that the events of `stream` take in the log: their records, without the headers of
    /// their commits. 0 if there is no such stream. Looks at every record of the stream.
    [[nodiscard]] Result<std::uint64_t> stream_bytes(std::string_view stream) const noexcept;

    /// A page of the names of one kind, sorted by bytes, each with its count and positions as of
    /// this snapshot. Answered from the indexes, never by reading the log. Exact: names are
    /// compared, not hashes. The names of young segments are collected at the first call and kept
    /// with the snapshot: ask one snapshot for all pages. Errors: `corrupt` where damage leaves the
    /// answer unknown, `out_of_memory`.
    [[nodiscard]] Result<std::vector<CatalogueEntry>> names(
        NameKind kind, const NamesOptions& options = {}) const noexcept;
    /// All names that start with `prefix`, as `names` gives them.
    [[nodiscard]] Result<std::vector<CatalogueEntry>> streams(
        std::string_view prefix = {}) const noexcept;
    [[nodiscard]] Result<std::vector<CatalogueEntry>> categories() const noexcept;
    [[nodiscard]] Result<std::vector<CatalogueEntry>> types() const noexcept;
    [[nodiscard]] Result<std::vector<CatalogueEntry>> tags(
        std::string_view prefix = {}) const noexcept;

private:
    friend class Store;
    explicit Snapshot(std::shared_ptr<store::Pinned> pinned) noexcept;
    std::shared_ptr<store::Pinned> pinned_;
};

/// A read that continues: what is there, then what comes, in one loop. Never a gap, never a
/// duplicate.
class VARVE_EXPORT Subscription {
public:
    Subscription(Subscription&&) noexcept;
    Subscription& operator=(Subscription&&) noexcept;
    ~Subscription();

    /// The next events, waiting up to `timeout_ms` for them; empty when nothing came in time. Valid
    /// until the next call. With a matcher or bounds of time it may return empty before it has
    /// looked at everything that is there: `caught_up` tells. Errors: `closed` after the store was
    /// closed; `durability_lost` if a lossy reopening took back events that were delivered;
    /// `corrupt` on damage.
    [[nodiscard]] Result<std::span<const EventView>> next(std::uint32_t timeout_ms) noexcept;
    /// True once everything published (or durable) at the last call of `next` was delivered.
    [[nodiscard]] bool caught_up() const noexcept;
    /// Everything up to here was delivered or does not match: it also moves over stretches without
    /// a match, so that whoever goes on from it later need not look at them again.
    [[nodiscard]] Position position() const noexcept;

private:
    friend class Store;
    explicit Subscription(std::unique_ptr<store::Following> following) noexcept;
    std::unique_ptr<store::Following> following_;
};

/// What opening found and did.
struct Opening {
    enum class How : std::uint8_t {
        created,         ///< there was no store
        clean,           ///< the last writer closed it
        rolled_forward,  ///< the last writer died; everything it had placed is there
        recovered,  ///< the machine stopped or the files were moved: the log was read to find its
                    ///< end
        following,  ///< read-only, beside a living writer or its remains
    };
    How how = How::created;
    std::uint64_t dropped_bytes =
        0;  ///< unsynced tail that was cut off, never acknowledged as durable
    std::uint64_t dropped_events =
        0;                  ///< events whose commit headers could still be read in that tail
    Position lost_first{};  ///< after a failed sync: first position that was visible and is gone;
                            ///< 0: none
    Position lost_last{};   ///< and the last one
};

struct EraseOptions {
    bool dry_run = false;  ///< only count; works read-only too
    bool wait = true;      ///< return when the content is overwritten; else that follows later
};

/// What a call of `erase` took away.
struct Erasure {
    std::uint64_t events = 0;   ///< whose content this call erases
    std::uint64_t bytes = 0;    ///< data and metadata of those
    std::uint64_t already = 0;  ///< asked for, and erased before
    Position record{};          ///< of the control record that says so; 0: none was needed
    bool done = false;          ///< nothing that was ever asked for is left to be overwritten
};

/// Bytes of the disk that files really take, by kind: less than their sizes where they have holes,
/// as sealed segments do behind their last record.
struct DiskBytes {
    std::uint64_t segments = 0;
    std::uint64_t indexes = 0;
    std::uint64_t dropped = 0;
    std::uint64_t consumers = 0;
    std::uint64_t manifest = 0;
    std::uint64_t other = 0;

    [[nodiscard]] std::uint64_t all() const noexcept {
        return segments + indexes + dropped + consumers + manifest + other;
    }
};

/// Sizes, for people. Bytes are those of the files' sizes, except in `disk_bytes`.
struct Stats {
    std::uint64_t events = 0;
    std::uint64_t segments = 0;
    std::uint64_t segment_bytes = 0;  ///< allocated
    std::uint64_t log_bytes = 0;      ///< of it, used by commits
    std::uint64_t index_bytes = 0;    ///< of indexes, derivable: active, sealed, unfinished ones
    std::uint64_t active_index_bytes = 0;  ///< of them, allocated for young segments
    std::uint64_t sealed_index_bytes = 0;  ///< of them, finished ones
    std::uint64_t dropped_bytes = 0;       ///< what recoveries have cut off; never read again
    std::uint64_t consumer_bytes = 0;      ///< checkpoints of consumers
    std::uint64_t manifest_bytes = 0;
    std::uint64_t other_bytes = 0;  ///< everything else in the store's directory
    std::uint64_t files = 0;
    DiskBytes disk_bytes{};
};

/// An open store. Move-only; destroying it closes it and waits for appends in flight.
class VARVE_EXPORT Store {
public:
    /// Opens the store in directory `path`, creating it if asked to. Errors: `locked` with who
    /// holds it, `not_found`, `not_a_store`, `unsupported_version`, `unsupported_filesystem`,
    /// `corrupt` (synced data is damaged: open it read-only to read around it), `permission`,
    /// `no_space`, `io`.
    [[nodiscard]] static Result<Store> open(const std::string& path,
                                            const OpenOptions& options = {}) noexcept;

    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();

    /// Appends all of `events` or none, in order, with contiguous positions. Returns when the level
    /// is reached. Checks, in this order: limits, event ids, expected versions, the condition.
    /// Errors: `invalid_argument`, `too_large`, `id_conflict` (with the event in the way),
    /// `wrong_expected_version` (with stream and version), `stale` and `condition_failed` (with an
    /// event in the way), `no_space` (nothing stored, try again), `durability_lost` (stored and
    /// visible, but a sync failed), `poisoned`, `closed`, `busy`, `corrupt`, `out_of_memory`.
    ///
    /// Ids make an append repeatable, also by another process after a crash: it is stored once,
    /// however often and from however many threads it is tried. It counts as repeated if its events
    /// are, one by one from the first, the first events of one earlier append: the same id where it
    /// has one, none where it has none. What the events say is not compared. Then nothing is stored
    /// and nothing further checked; the answer has `duplicate`, the positions and versions of that
    /// time (0 for a stream that those events are not in) and comes when the level asked for now
    /// holds for them. If any id is known and this is not so (another order, only some of them, not
    /// from an append's first event on, more events than then), the answer is `id_conflict`. The
    /// same id twice in one append is an `invalid_argument`. `OpenOptions::id_window` says how far
    /// back is looked.
    [[nodiscard]] Result<Appended> append(std::span<const NewEvent> events,
                                          const AppendOptions& options = {}) noexcept;
    [[nodiscard]] Result<Appended> append(std::initializer_list<NewEvent> events,
                                          const AppendOptions& options = {}) noexcept;

    /// Everything published now.
    [[nodiscard]] Result<Snapshot> snapshot() const noexcept;

    /// Catch-up and live in one, in any process. `source.name` is copied. Memory does not grow with
    /// what there is to deliver. Errors: `stale` if `after` lies beyond the end, `invalid_argument`
    /// (a name that cannot be), `closed`, `out_of_memory`.
    [[nodiscard]] Result<Subscription> follow(Source source = {},
                                              const FollowOptions& options = {}) const noexcept;
    /// The same for a query or selector: each event that matches once, as `Snapshot::query` finds
    /// them. `invalid_argument` if the selector carries an error.
    [[nodiscard]] Result<Subscription> follow(const Selector& selector,
                                              const FollowOptions& options = {}) const noexcept;

    /// Waits until `position` is published (level os, interval) or durable (disk), at most
    /// `timeout_ms`. True if it is. In any process. Errors: `closed`, `durability_lost`,
    /// `poisoned`.
    [[nodiscard]] Result<bool> wait(Position position, Durability level,
                                    std::uint32_t timeout_ms) const noexcept;

    /// Makes everything published durable, whatever its level. Returns the durable position.
    [[nodiscard]] Result<Position> sync() noexcept;

    /// Defines derived streams, or names that events get from their content: all or none of
    /// them, in one commit, durable when it returns. They hold for every event behind them at
    /// once, and for those before them as well: questions about those are answered by looking at
    /// their content, until a background thread has listed them (`Snapshot::definitions` tells how
    /// far). What is defined already with the same meaning is left as it is. Errors:
    /// `invalid_argument` (the definition cannot be, or its name means something else),
    /// `too_large`, `permission`, and those of `append`.
    [[nodiscard]] Result<std::vector<Defined>> define(
        std::span<const NewDefinition> definitions) noexcept;
    [[nodiscard]] Result<Defined> define(const NewDefinition& definition) noexcept;
    /// Returns when the events before all definitions are listed: until then a background thread
    /// goes on with it, as long as the store is open. `progress` gets events, after each segment.
    /// Answers are complete without it. Errors: `no_space`, `io`, `corrupt` where damage leaves
    /// something unlisted, `permission`, `closed`.
    [[nodiscard]] Result<void> list_past(const Progress& progress = {}) noexcept;
    /// Ends a definition: events that come are not looked at any more, what it gave remains.
    /// Errors: `not_found`, `permission`, and those of `append`.
    [[nodiscard]] Result<void> close_definition(std::string_view name) noexcept;
    /// Removes a definition. A derived stream of that name is empty from then on, and may be
    /// defined anew with another meaning; tags and types that events carry in the log remain.
    [[nodiscard]] Result<void> remove_definition(std::string_view name) noexcept;

    /// Takes data and metadata of these events away for ever. Stream, type, tags, id, times and the
    /// index entries remain, and so does the event: reads go on handing it out, with `erased` set
    /// and without content. When the call returns the decision is durable, whatever the level of
    /// the store; with `EraseOptions::wait` the content is overwritten on the disk as well. Views
    /// of these events that somebody still holds turn to zeros. `progress` gets events and must
    /// not call the store; cancelling leaves the rest to the background. Idempotent. Errors:
    /// `not_found` for a position that holds no event (then nothing is erased); `corrupt` if the
    /// head of one cannot be read; `permission`, `no_space`, `durability_lost`, `poisoned`,
    /// `closed`, `out_of_memory`, `io`. After an error the request may still take effect; repeat
    /// it.
    [[nodiscard]] Result<Erasure> erase(std::span<const Position> positions,
                                        const EraseOptions& options = {},
                                        const Progress& progress = {}) noexcept;
    /// The same for all events of a stream, category, type or tag that are published now; later
    /// ones are not touched. `invalid_argument` for `Source::all()`.
    [[nodiscard]] Result<Erasure> erase(Source source, const EraseOptions& options = {},
                                        const Progress& progress = {}) noexcept;
    /// Returns when the content of all events that this writer or an earlier one was asked to erase
    /// is overwritten on the disk.
    [[nodiscard]] Result<void> wait_erased() noexcept;

    [[nodiscard]] const Opening& opening() const noexcept;
    [[nodiscard]] Result<Stats> stats() const noexcept;
    [[nodiscard]] const std::string& path() const noexcept;

    /// Ends appends and waits, syncs, and leaves the store marked as closed. Later calls answer
    /// `closed`.
    [[nodiscard]] Result<void> close() noexcept;

    /// Reads every byte of the store at `path`, changes nothing, needs no lock. `progress` may be
    /// empty; it gets bytes, after each segment. `how.resume` makes it one that can be taken up
    /// after it was interrupted: two of those at once on one store hinder each other, but neither
    /// answers wrong.
    [[nodiscard]] static Result<VerifyReport> verify(const std::string& path,
                                                     const OpenOptions& options = {},
                                                     const Progress& progress = {},
                                                     const VerifyOptions& how = {}) noexcept;

    /// Says in what state the files at `path` are and what to do, changes nothing, needs no lock.
    /// Reads everything, unless a writer is at work. Errors: `not_found` (nothing is there),
    /// `permission`, `io`, `out_of_memory`; a state is never an error.
    [[nodiscard]] static Result<Diagnosis> doctor(const std::string& path,
                                                  const OpenOptions& options = {},
                                                  const Progress& progress = {}) noexcept;

    /// Copies everything that is durable into directory `target`, while the store is in use: in the
    /// writer's process everything published (it is synced first), else what the writer has made
    /// durable; where no writer lives, everything, after a sync of the files. Every commit is
    /// checked as it is copied; files in directory `attached` come along. `target` is missing,
    /// empty, or an earlier backup of this store: then only what is new is copied, and until this
    /// run ends it remains the earlier one. An interrupted run is taken up by the next. A backup
    /// can be opened read-only. Errors: `corrupt` (the place is damaged: see `salvage`),
    /// `invalid_argument` (`target` is something else), `stale` (it holds another history of this
    /// store), `no_space` (call again when there is room), `locked` (another backup into it runs),
    /// and those of `open`.
    [[nodiscard]] Result<BackupReport> backup(const std::string& target,
                                              const BackupOptions& options = {},
                                              const Progress& progress = {}) const noexcept;

    /// Makes a store in `target`, which is missing or empty, of the backup in `backup`. The whole
    /// backup is checked before anything is made. What the store appends from then on is another
    /// history than the original's, so it begins in an epoch of its own. `options` gives `env`,
    /// `file_mode` and `force_filesystem`. Errors: `not_found` (no backup there),
    /// `invalid_argument` (`target` holds something), `corrupt` (the backup is incomplete,
    /// truncated or damaged; nothing was made), `no_space` (nothing is left of it).
    [[nodiscard]] static Result<RestoreReport> restore(const std::string& backup,
                                                       const std::string& target,
                                                       const OpenOptions& options = {},
                                                       const Progress& progress = {}) noexcept;

    /// Copies every event that can be read of the store at `path`, however damaged, into a new
    /// store in `target`, which is missing or empty: in order, with streams, types, tags, times,
    /// ids, metadata and data, and the events of one append in one append. Positions are new, and
    /// so are revisions behind an event that is missing. The source is only read and should have no
    /// writer. `options` gives `env` and the sizes of the new store. Errors: `invalid_argument`
    /// (`target` holds something), `no_space` (nothing is left of it), and those of reading what
    /// cannot be read around: `not_found`, `not_a_store`, `unsupported_version`, `corrupt` (the
    /// file `varve`).
    [[nodiscard]] static Result<SalvageReport> salvage(const std::string& path,
                                                       const std::string& target,
                                                       const OpenOptions& options = {},
                                                       const Progress& progress = {}) noexcept;

    /// Makes the damaged store at `path` one that can be written again, by giving up every event
    /// from the first damaged commit on, the readable ones too: `salvage` first. Without
    /// `wanted.confirmed` it only says what it would do. Bytes of the log that are dropped are kept
    /// in directory `dropped`; a new epoch begins, and a reader that has seen more answers
    /// `durability_lost`. A lost or damaged manifest, a control page that is not the store's and
    /// damaged indexes are made anew. `options` gives `env` and `file_mode`. A cancelled or
    /// interrupted repair leaves the store as it was, or to be repaired again. Errors: `locked` (a
    /// writer has it open), `unsupported_version`, `not_a_store` (no store, a half-made one, one
    /// without file `varve`, or a backup), `corrupt` (it cannot be repaired: see `salvage`),
    /// `no_space` (nothing was dropped), `not_found`, `permission`, `io`, `out_of_memory`.
    [[nodiscard]] static Result<RepairReport> repair(const std::string& path,
                                                     const RepairOptions& wanted = {},
                                                     const OpenOptions& options = {},
                                                     const Progress& progress = {}) noexcept;

private:
    friend struct store::Inside;
    explicit Store(std::shared_ptr<store::Engine> engine) noexcept;
    std::shared_ptr<store::Engine> engine_;
};

}  // namespace v0
}  // namespace varve
