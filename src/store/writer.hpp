// The one writer of a store: places appends, publishes them, makes them durable, rolls segments.
//
// Threads: `append`, `sync`, `close` from any; a helper thread does the background work. Two locks,
// never held together by one thread in the other order: `place_mutex_` (the end of the log, heads,
// the active segment) before `list_mutex_`; `sync_mutex_` only decides who leads a sync. Appends
// that find the first one taken wait in `queue_`, and one of them places all. Invariants:
// `published` rises under `place_mutex_` only; a commit's bytes are complete before the index is
// touched, the index before it is published; after a failed sync nothing is appended.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

#include "file/control.hpp"
#include "file/manifest.hpp"
#include "os/fork.hpp"
#include "store/commit_queue.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Each segment is so many times the one before it, up to the maximum.
inline constexpr std::uint64_t kSegmentGrowth = 4;

/// What opening has found out for the writer.
struct WriterStart {
    std::unique_ptr<os::ForkGuard> lock;
    os::Mapping control;
    file::Manifest manifest;
    SegmentListPtr segments;
    log::LogPoint end{};      ///< where the next commit goes; segment 0: there is none yet
    log::LogPoint durable{};  ///< everything before it is known to be durable
    std::int64_t recorded_us = 0;
    std::uint32_t epoch = 1;
    EpochBegins epochs;
    std::uint64_t next_number = 1;  ///< of the next segment file
    bool sync_now =
        false;  ///< an earlier session ended with a failed sync: its rest is made durable first
    bool new_segment = false;  ///< what follows `end` in its segment must not be touched
    bool rebuild = false;      ///< segments that no longer grow have no index yet
};

/// Counts the calls that are inside, so that `close` can wait for them.
class AppendGuard {
public:
    explicit AppendGuard(std::atomic<std::uint32_t>& count) noexcept : count_(count) {
        count_.fetch_add(1);
    }
    AppendGuard(const AppendGuard&) = delete;
    AppendGuard& operator=(const AppendGuard&) = delete;
    ~AppendGuard() {
        count_.fetch_sub(1);
        count_.notify_all();
    }

private:
    std::atomic<std::uint32_t>& count_;
};

class Writer {
public:
    Writer(std::shared_ptr<const Meta> meta, WriterStart start) noexcept;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer();

    [[nodiscard]] Result<Appended> append(std::span<const NewEvent> events,
                                          const AppendOptions& options) noexcept;
    [[nodiscard]] Result<Position> sync() noexcept;
    [[nodiscard]] Result<void> close() noexcept;
    [[nodiscard]] View view() const noexcept;

    /// All of them or none. Durable when it returns.
    [[nodiscard]] Result<std::vector<Defined>> define(
        std::span<const NewDefinition> definitions) noexcept;
    /// Closes or removes one.
    [[nodiscard]] Result<void> end_definition(std::string_view name,
                                              log::DefineAction action) noexcept;
    /// Lists the past of all definitions.
    [[nodiscard]] Result<void> list_all_past(const Progress& progress) noexcept;

    /// Writes down that the content of these events (ascending, without overlaps) is to be gone:
    /// durable when it returns. The bodies follow in the background, or in `finish_erasure`.
    [[nodiscard]] Result<log::EraseMark> erase(std::span<const log::PositionRange> ranges) noexcept;
    /// Returns when all that was asked for is zeros, durably. `progress` gets events; null: none.
    [[nodiscard]] Result<void> finish_erasure(const Progress* progress) noexcept;
    /// Right after opening, before others use the writer.
    void resume_erasure() noexcept;

    [[nodiscard]] SegmentListPtr segments() const noexcept;
    /// Right after opening: has missing indexes made in the background, where there are threads.
    void begin_rebuild() noexcept;
    /// Has damaged indexes made again soon.
    void heal() noexcept;
    [[nodiscard]] file::Control& control() const noexcept { return file::control_of(control_map_); }
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    /// Refuses if closed or poisoned.
    [[nodiscard]] Result<void> usable() const noexcept;

private:
    enum class State : std::uint8_t { open, failed, closing, closed };

    // append.cpp
    void commit(Request& own) noexcept;
    [[nodiscard]] Request* place_queue() noexcept;
    void place_request(Request& request) noexcept;
    [[nodiscard]] Result<void> wait_for_the_helper() noexcept;
    [[nodiscard]] Result<bool> look_up_ids(Request& request) noexcept;
    [[nodiscard]] Result<void> look_at_condition(Plan& plan) noexcept;
    [[nodiscard]] Result<void> judge_condition(Plan& plan) noexcept;
    void tell_dry_run(Plan& plan, Appended& done) const noexcept;
    [[nodiscard]] Result<bool> look_again_for_ids(Plan& plan, Appended& done) noexcept;
    void wait_for_repeated(Request& request) noexcept;
    void expect_interval(const Request& request) noexcept;
    [[nodiscard]] Result<void> place_checked(Plan& plan, Durability level, Appended& done) noexcept;
    void fill_for_heads(const Plan& plan) noexcept;
    [[nodiscard]] Result<void> load_heads(Plan& plan) noexcept;
    [[nodiscard]] Result<void> place(Plan& plan, Durability level, Appended& done) noexcept;
    std::uint32_t encode_all(Plan& plan, std::byte* to, const log::CommitHeader& header) noexcept;
    void apply_all(const Plan& plan, const log::CommitHeader& header,
                   std::uint64_t offset) noexcept;
    void publish() noexcept;
    void bump_wake() noexcept;
    void flush_wakes() noexcept;
    void after_publish(Durability level) noexcept;

    [[nodiscard]] Result<Appended> try_append(std::span<const NewEvent> events,
                                              const AppendOptions& options, Plan& plan) noexcept;

    // defining.cpp
    [[nodiscard]] Result<RoutingPtr> current_routing() noexcept;
    [[nodiscard]] Result<RoutingPtr> make_routing();
    [[nodiscard]] bool is_outdated(Plan& plan) const noexcept;
    void note_definition(const Plan& plan) noexcept;
    void bump_definitions() noexcept;
    [[nodiscard]] Result<std::vector<Defined>> try_define(
        std::span<const NewDefinition> definitions, bool& again);
    [[nodiscard]] Result<Appended> append_definitions(
        std::span<const std::vector<std::byte>> records, std::uint64_t version);

    // filling.cpp
    bool list_past() noexcept;
    [[nodiscard]] Result<bool> list_step(std::uint64_t& listed, std::uint64_t& total);
    [[nodiscard]] Result<void> list_segment(const RuleBook& book, const View& now,
                                            const PastGroup& group, std::vector<RulePtr> rules);
    bool remove_lists(const PastGroup& group) noexcept;

    // roll.cpp
    [[nodiscard]] Result<void> sync_foundations(os::File& store_file) noexcept;
    [[nodiscard]] Result<void> begin_session() noexcept;
    [[nodiscard]] Result<void> make_room(const Plan& plan) noexcept;
    [[nodiscard]] Result<SegmentPtr> take_next(const Plan& plan) noexcept;
    [[nodiscard]] Result<void> roll(const Plan& plan) noexcept;
    [[nodiscard]] Result<SegmentPtr> build_segment(std::uint64_t number, std::uint64_t capacity,
                                                   const index::ActCapacity& index) noexcept;
    [[nodiscard]] std::uint64_t next_capacity() const noexcept;
    void begin_segment(Segment& next) noexcept;

    // sync.cpp
    [[nodiscard]] std::uint32_t await(const Request& request) noexcept;
    void finish(Request& request) noexcept;
    void settle(Request* run, Request& own) noexcept;
    void ask_to_lead(Request& request) noexcept;
    void lead_syncs(const log::LogPoint* until) noexcept;
    [[nodiscard]] Result<void> wait_durable(std::uint64_t position) noexcept;
    [[nodiscard]] Result<void> lead_sync(const log::LogPoint* until) noexcept;
    [[nodiscard]] Result<void> sync_log(const log::LogPoint& from,
                                        const log::LogPoint& to) noexcept;
    void dirty_again(const log::LogPoint& from, const log::LogPoint& to) noexcept;
    [[nodiscard]] Result<void> write_closed() noexcept;
    void fail() noexcept;
    void note(const std::byte* at, std::uint64_t length) noexcept;

    // erase.cpp
    [[nodiscard]] Result<void> place_control(Plan& plan, log::EraseMark& mark,
                                             file::ManifestEntry& point) noexcept;
    [[nodiscard]] file::ManifestEntry entry_at(file::EntryKind kind) const noexcept;
    [[nodiscard]] Result<void> mark_erasing(const file::ManifestEntry& point, file::EntryKind kind,
                                            const log::EraseMark& mark) noexcept;
    [[nodiscard]] Result<void> write_erase(std::span<const log::PositionRange> ranges,
                                           log::EraseMark& mark);
    [[nodiscard]] Result<void> tell_erased(std::span<const log::PositionRange> ranges);
    [[nodiscard]] Result<void> read_unfinished();
    [[nodiscard]] Result<void> check_newest();
    [[nodiscard]] Result<void> zero_pending(const Progress* progress) noexcept;
    [[nodiscard]] Result<void> zero(std::span<const log::PositionRange> ranges,
                                    const Progress* progress) noexcept;
    [[nodiscard]] Result<void> usable_to_erase() const noexcept;
    void erase_in_background() noexcept;

    // helper.cpp
    void help() noexcept;
    bool help_once() noexcept;
    void keep() noexcept;
    void signal_keeper() noexcept;
    void start_threads() noexcept;
    void start_keeper() noexcept;
    void stop_threads() noexcept;
    void signal_helper() noexcept;
    void populate_ahead() noexcept;
    void prepare_next() noexcept;
    void sync_rolled() noexcept;
    [[nodiscard]] std::uint64_t until_interval_us() noexcept;
    void sync_by_interval() noexcept;

    // sealer.cpp
    void seal_all() noexcept;
    void signal_sealer() noexcept;
    bool index_work() noexcept;
    bool seal_next(bool tail) noexcept;
    bool seal_missing() noexcept;
    [[nodiscard]] bool is_unsealable(const Segment& segment) const noexcept;
    struct ToSeal {
        SegmentPtr segment;
        std::uint64_t last = 0;  ///< position
    };
    [[nodiscard]] std::size_t seals_at_once(bool wanted) const noexcept;
    bool seal(std::span<const ToSeal> segments) noexcept;
    bool take_sealed(const ToSeal& one, Result<SealedPart> made) noexcept;
    [[nodiscard]] bool differs(const Segment& segment, const index::Listed& log) const noexcept;
    void keep_for_doctor(const Segment& segment) noexcept;
    void give_back_tail(const Segment& segment, std::uint64_t end) noexcept;
    bool seal_damaged() noexcept;
    bool merge_next() noexcept;
    bool merge(const std::vector<SealedPtr>& inputs) noexcept;
    [[nodiscard]] Result<void> name_index(file::EntryKind kind, const file::SealedRange& range,
                                          std::uint64_t last, std::uint32_t chain) noexcept;
    bool adopt(file::EntryKind kind, const file::SealedRange& range, std::uint64_t last,
               std::uint32_t chain) noexcept;
    void remove_replaced() noexcept;
    void remove_leftovers() noexcept;
    [[nodiscard]] std::vector<file::SealedRange> sealed_ranges() noexcept;
    bool seal_at_close() noexcept;
    void leave_next() noexcept;
    void wait_for_sealer() noexcept;
    void release_sealed_waiters() noexcept;
    [[nodiscard]] std::uint64_t unsealed_max() const noexcept;
    [[nodiscard]] static std::uint64_t unsealed_bytes(const SegmentList& list,
                                                      std::size_t& segments) noexcept;
    [[nodiscard]] static bool is_behind(std::uint64_t bytes, std::size_t segments) noexcept;

    const std::shared_ptr<const Meta> meta_;
    os::Env& env_;
    os::StoreObserver* const observer_;
    std::unique_ptr<os::ForkGuard> lock_;
    os::Mapping control_map_;
    const std::uint32_t epoch_;
    const EpochBegins epochs_;
    std::atomic<State> state_{State::open};
    std::atomic<bool> sync_failed_{false};  ///< for good, also while closing
    std::atomic<std::uint32_t> in_flight_{0};

    std::mutex place_mutex_;  // guards the next ten
    log::LogPoint end_;
    SegmentPtr active_;
    bool new_segment_;
    bool session_begun_ = false;
    bool rolled_full_ = false;
    bool past_half_ = false;  ///< the active segment is half full: the next one is wanted
    std::int64_t recorded_us_;
    std::uint64_t next_number_;
    index::KeyDensity density_{};  ///< of the segment before the active one
    index::HeadCache heads_;
    std::vector<std::byte> run_;  ///< a run that goes through the file instead of the mapping
    std::vector<log::LogPoint> rolled_;  ///< ends of segments that were rolled and not yet synced

    /// Version of the stream of definitions as it is placed; changes under the place lock.
    std::atomic<std::uint64_t> defined_{kUnknown};
    static constexpr std::uint64_t kUnknown = ~0ULL;
    bool defined_unseen_ = false;  ///< under the place lock: readers have not been told
    std::mutex routing_mutex_;     // guards the next
    RoutingPtr routing_;
    /// Version of the definitions whose past could not be listed because of damage.
    std::uint64_t unlistable_since_ = 0;
    std::mutex listing_mutex_;  // one thread lists the past; guards the one before

    std::mutex list_change_;  ///< held from copying the list to replacing it
    mutable std::mutex list_mutex_;
    SegmentListPtr list_;

    std::mutex manifest_mutex_;
    file::Manifest manifest_;

    CommitQueue queue_;

    std::mutex sync_mutex_;  // guards the next two
    SyncWaiters sync_waiters_;
    bool syncing_ = false;         ///< somebody leads a sync
    log::LogPoint durable_;        ///< the leader's, as are the next two
    log::LogPoint session_begin_;  ///< end of the log when this session began
    bool first_sync_ = true;

    std::mutex prepare_mutex_;  // guards the next
    SegmentPtr prepared_;

    std::mutex erase_mutex_;  // guards the next eight; taken before all other locks but the next
    log::EraseMark newest_erase_;
    file::ManifestEntry behind_erase_{};  ///< the point behind it, of this session
    std::uint64_t erased_until_ = 0;  ///< position of the last erase record that was carried out
    bool erase_unread_ = false;       ///< an earlier writer has left something to do
    bool erase_checked_ = false;      ///< `newest_erase_` is known to be one
    log::EraseMark marked_erase_;     ///< the newest one that the manifest knows
    std::vector<log::PositionRange> unmarked_;  ///< named by records that it does not know yet
    std::vector<log::PositionRange> to_zero_;   ///< named by those that it knows
    std::mutex zero_mutex_;  // one thread carries out; taken before `erase_mutex_`
    std::atomic<bool> erase_pending_{false};

    std::thread helper_;
    std::thread keeper_;
    std::thread sealer_;
    struct Replaced {
        std::string path;
        std::uint64_t since_us;  ///< monotonic
    };
    std::vector<Replaced> replaced_;  ///< the sealer's, as are the next four
    KeptScratch scratch_;
    std::vector<std::uint64_t> unsealable_;  ///< numbers of segments with damage
    bool leftovers_seen_ = false;
    bool closing_ = false;
    std::atomic<std::uint32_t> sealer_word_{0};
    std::atomic<std::uint32_t> sealed_word_{0};  ///< bumped when the sealer has caught up
    std::atomic<bool> seal_behind_{false};       ///< appends wait for the sealer
    std::atomic<bool> sealing_failed_{false};
    std::atomic<bool> late_indexes_;  ///< some index may still have to be filled on demand
    std::atomic<std::uint32_t> keeper_word_{0};
    alignas(64) std::atomic<std::uint32_t> helper_word_{0};
    std::atomic<bool> helper_asleep_{false};
    std::atomic<bool> stop_{false};
    std::atomic<std::uint32_t> last_woken_{0};
    std::atomic<std::uint64_t> placed_offset_{0};  ///< in the active segment
    std::atomic<std::uint64_t> throttle_{
        0};  ///< position that must be durable before the next append
    std::atomic<std::uint64_t> populated_until_{0};  ///< in the active segment
    std::atomic<std::uint64_t> window_{
        64 << 10};  ///< bytes; the helper changes it, appends look at it
    std::uint64_t populated_segment_ = 0;
    std::uint64_t populated_offsets_ = 0;
    std::uint64_t populated_cells_ = 0;
    std::atomic<std::uint64_t> interval_until_{0};  ///< position to be synced within the interval
    std::atomic<std::uint64_t> interval_begun_us_{0};  ///< when that was asked for; 0: long ago
    std::uint64_t interval_bytes_ = 0;                 ///< under `place_mutex_`, of that
};

}  // namespace store
}  // namespace v0
}  // namespace varve
