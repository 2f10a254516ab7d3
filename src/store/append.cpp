// The main story of appending: admit · ids · heads and demands · place · apply · publish · wake ·
// wait.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/heads.hpp"
#include "store/ids.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

namespace {

/// From this size on a durable run goes through write(): the kernel copies it into the page cache
/// without a fault per page.
constexpr std::uint64_t kWriteThreshold = 64 << 10;

constexpr std::size_t kKeepRun = 4 << 20;  // a larger buffer is given back

/// False if there is no memory: then the other way of placing is taken.
bool grow(std::vector<std::byte>& run, std::uint64_t bytes) noexcept {
    try {
        run.resize(bytes);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// One plan per thread: its vectors keep their memory from append to append. An append inside an
/// append, as a simulation makes one from its hook, gets a plan of its own.
class PlanLease {
public:
    PlanLease() noexcept : shared_(!in_use()) {
        if (shared_)
            in_use() = true;
        else
            own_.emplace();
    }
    PlanLease(const PlanLease&) = delete;
    PlanLease& operator=(const PlanLease&) = delete;
    ~PlanLease() {
        plan().routing.reset();  // no store is kept open by a thread that has written to it
        if (shared_) in_use() = false;
    }
    [[nodiscard]] Plan& plan() noexcept {
        thread_local Plan kept;
        return shared_ ? kept : *own_;
    }

private:
    static bool& in_use() noexcept {
        thread_local bool used = false;
        return used;
    }
    bool shared_;
    std::optional<Plan> own_;  // made only where it is needed: an empty plan costs some allocations
};

Error conflict(const PlannedStream& stream) noexcept {
    const auto wanted = [&]() -> std::string {
        switch (stream.expected.kind()) {
            case Expected::Kind::no_stream: return "no stream";
            case Expected::Kind::stream_exists: return "an existing stream";
            default: return "version " + std::to_string(stream.expected.number());
        }
    };
    Error error = failure(ErrorCode::wrong_expected_version,
                          "stream '" + std::string(stream.name) + "' is at version " +
                              std::to_string(stream.head.version) + ", expected was " + wanted());
    error.stream = std::string(stream.name);
    error.version = stream.head.version;
    return error;
}

Result<void> check_demands(const Plan& plan) noexcept {
    for (const PlannedStream& stream : plan.streams) {
        if (!stream.expected.allows(stream.head.version)) return conflict(stream);
    }
    return {};
}

}  // namespace

Result<void> Writer::usable() const noexcept {
    switch (state_.load(std::memory_order_acquire)) {
        case State::open: return {};
        case State::failed:
            return failure(ErrorCode::poisoned,
                           "refused because an earlier sync failed; reopen the store", meta_->path);
        default: return failure(ErrorCode::closed, "the store is closed", meta_->path);
    }
}

Result<Appended> Writer::append(std::span<const NewEvent> events,
                                const AppendOptions& options) noexcept {
    const AppendGuard guard(in_flight_);
    VARVE_TRY(usable());
    PlanLease lease;
    while (true) {
        auto done = try_append(events, options, lease.plan());
        // What was defined meanwhile may make something else of these events.
        if (done || !lease.plan().outdated) return done;
    }
}

Result<Appended> Writer::try_append(std::span<const NewEvent> events, const AppendOptions& options,
                                    Plan& plan) noexcept {
    auto routing = current_routing();
    if (!routing) return std::move(routing).error();
    VARVE_TRY(admit(*meta_, events, options, *routing, plan));
    if (base::seeded(SeededBug::version_checked_outside_lock) && plan.has_demands) {
        const std::lock_guard lock(place_mutex_);
        VARVE_TRY(load_heads(plan));
        VARVE_TRY(check_demands(plan));
    }
    Request request;
    request.plan = &plan;
    request.level = std::max(options.durability, meta_->options.durability);
    request.appended.level = request.level;
    try {
        if (plan.streams.size() > 1) request.appended.versions.reserve(plan.streams.size());
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory for the result of the append");
    }
    auto repeated = look_up_ids(request);
    if (!repeated) return std::move(repeated).error();
    if (!*repeated && plan.condition.given()) VARVE_TRY(look_at_condition(plan));
    if (!*repeated && late_indexes_.load(std::memory_order_relaxed)) [[unlikely]]
        fill_for_heads(plan);
    if (observer_ != nullptr) observer_->gap();
    if (*repeated) {
        if (!plan.dry_run) wait_for_repeated(request);
        settle(&request, request);
    } else {
        if (!plan.dry_run) VARVE_TRY(wait_for_the_helper());
        commit(request);
    }
    if (request.error) return std::move(*request.error);
    return std::move(request.appended);
}

/// While too much of the log lacks its `synced` entry or its sealed index, appends wait before they
/// take the lock.
Result<void> Writer::wait_for_the_helper() noexcept {
    if (seal_behind_.load(std::memory_order_relaxed)) wait_for_sealer();
    const std::uint64_t behind = throttle_.load(std::memory_order_relaxed);
    if (behind <= control().durable.load(std::memory_order_relaxed)) return {};
    return wait_durable(behind);
}

/// Before the place lock, where a look at old events keeps nobody waiting. True if the append was
/// made before.
Result<bool> Writer::look_up_ids(Request& request) noexcept {
    Plan& plan = *request.plan;
    if (plan.ids.empty()) return false;
    // Partner: the release store in `publish`. What is published then is found, what comes later is
    // looked for under the lock.
    const std::uint64_t published = control().published.load(std::memory_order_acquire);
    const std::uint64_t low = window_begin(meta_->options.id_window, published);
    const bool later = base::seeded(SeededBug::id_checked_after_condition) && plan.has_demands;
    plan.ids_looked_until = later ? 0 : published;
    if (later) return false;
    return is_repetition(*meta_, *segments(), plan, low, published, request.appended);
}

/// As the look-up of ids, before the lock: what is published is judged once and for all. Only a
/// hit is told later, after what is checked before it.
Result<void> Writer::look_at_condition(Plan& plan) noexcept {
    // Partner: the release store in `publish`.
    const std::uint64_t published = control().published.load(std::memory_order_acquire);
    if (plan.condition.looked_until(published)) return {};
    VARVE_TRY(plan.condition.look(*meta_, *segments(), published));
    if (!base::seeded(SeededBug::condition_judged_outside_lock)) return {};
    return plan.condition.judge(*meta_, *segments(), published);
}

/// Under the place lock: what was placed since, events of the same run included.
Result<void> Writer::judge_condition(Plan& plan) noexcept {
    if (base::seeded(SeededBug::condition_judged_outside_lock)) return {};
    const std::uint64_t end = base::seeded(SeededBug::batch_mates_unseen)
                                  ? control().published.load(std::memory_order_relaxed)
                                  : end_.position;
    VARVE_TRY(plan.condition.check_after(*meta_, epochs_, end));
    if (plan.condition.looked_until(end)) return plan.condition.verdict();
    return plan.condition.judge(*meta_, *segments(), end);
}

/// What the append would have done at this moment.
void Writer::tell_dry_run(Plan& plan, Appended& done) const noexcept {
    done.first = Position{end_.position + 1};
    done.last = Position{end_.position + plan.events.size()};
    for (PlannedStream& stream : plan.streams) stream.head.version += stream.events;
    tell_versions(plan, done);
    done.level = Durability::os;
}

/// Under the place lock: the events that were placed since the ids were looked up, those of the
/// same run included.
Result<bool> Writer::look_again_for_ids(Plan& plan, Appended& done) noexcept {
    if (plan.ids.empty() || plan.ids_looked_until == end_.position) return false;
    return is_repetition(*meta_, *segments(), plan, plan.ids_looked_until + 1, end_.position, done);
}

/// The events of a repeated append are there: what is left is to wait for their durability. They
/// may have been appended at a lower level, so that no sync within the interval covers them: then
/// one is made.
void Writer::wait_for_repeated(Request& request) noexcept {
    request.position = request.appended.last.value;
    const bool volatile_still =
        request.position > control().durable.load(std::memory_order_acquire);
    if (request.level == Durability::interval && volatile_still) request.level = Durability::disk;
}

/// Sees to it that a request is placed, published and as durable as it asks for: alone where nobody
/// is in the way; else the first of those who wait places the events of all.
void Writer::commit(Request& own) noexcept {
    Request* run = &own;
    if (queue_.empty() && place_mutex_.try_lock()) {
        const std::lock_guard lock(place_mutex_, std::adopt_lock);
        place_request(own);
        publish();
    } else {
        switch (queue_.push(own)) {
            case CommitQueue::Pushed::refused:
                own.error = failure(ErrorCode::busy, "64 MiB of appends are waiting; try again");
                own.error->retry = true;
                return;
            case CommitQueue::Pushed::follows:
                if (await(own) == Request::lead) lead_syncs(nullptr);
                return;
            case CommitQueue::Pushed::leads: run = place_queue(); break;
        }
    }
    after_publish(own.level);
    settle(run, own);
}

/// Takes the place lock and places everything that waits. Returns it, linked, oldest first.
Request* Writer::place_queue() noexcept {
    const std::lock_guard lock(place_mutex_);
    Request* const run = queue_.take_all();
    for (Request* request = run; request != nullptr; request = request->next)
        place_request(*request);
    publish();
    return run;
}

/// Under the place lock.
void Writer::place_request(Request& request) noexcept {
    auto placed = place_checked(*request.plan, request.level, request.appended);
    if (!placed) {
        request.error = std::move(placed).error();
        return;
    }
    if (request.plan->dry_run) return;
    if (request.appended.duplicate) return wait_for_repeated(request);
    request.position = request.appended.last.value;
    if (request.level == Durability::interval) expect_interval(request);
}

/// Under the place lock: an append that a sync must follow within the interval.
void Writer::expect_interval(const Request& request) noexcept {
    const bool first = interval_until_.load(std::memory_order_relaxed) <=
                       control().durable.load(std::memory_order_relaxed);
    if (first) interval_bytes_ = 0;
    interval_bytes_ += request.plan->bytes;
    const bool much = interval_bytes_ >= meta_->options.interval_bytes;
    if (much) interval_bytes_ = 0;
    if (first) interval_begun_us_.store(env_.monotonic_us(), std::memory_order_relaxed);
    if (much) interval_begun_us_.store(0, std::memory_order_relaxed);
    interval_until_.store(request.position, std::memory_order_release);
    if (first || much) signal_keeper();
}

Result<void> Writer::place_checked(Plan& plan, Durability level, Appended& done) noexcept {
    VARVE_TRY(usable());
    if (is_outdated(plan)) return failure(ErrorCode::busy, "something was defined meanwhile");
    const bool ids_first = !base::seeded(SeededBug::id_checked_after_condition);
    auto repeated = ids_first ? look_again_for_ids(plan, done) : Result<bool>(false);
    if (!repeated) return std::move(repeated).error();
    if (*repeated) return {};
    VARVE_TRY(load_heads(plan));
    if (plan.has_demands && !base::seeded(SeededBug::version_checked_outside_lock))
        VARVE_TRY(check_demands(plan));
    if (!ids_first) {
        repeated = look_again_for_ids(plan, done);
        if (!repeated) return std::move(repeated).error();
        if (*repeated) return {};
        VARVE_TRY(load_heads(plan));
    }
    if (plan.condition.given()) VARVE_TRY(judge_condition(plan));
    if (plan.dry_run) return tell_dry_run(plan, done), Result<void>{};
    if (!session_begun_) VARVE_TRY(begin_session());
    VARVE_TRY(make_room(plan));
    return place(plan, level, done);
}

/// Before the lock: what `load_heads` will ask of indexes that are still to be filled is filled
/// now. What fails here is reported there.
void Writer::fill_for_heads(const Plan& plan) noexcept {
    // Partner: the release store in `publish`. The list is read afterwards, so it covers the
    // position; what comes later stands in indexes that are filled as it comes.
    const std::uint64_t published = control().published.load(std::memory_order_acquire);
    const SegmentListPtr list = segments();
    const bool left = std::any_of(list->items.begin(), list->items.end(), [](const auto& segment) {
        return segment->late != nullptr && !segment->late->is_filled();
    });
    if (!left) return late_indexes_.store(false, std::memory_order_relaxed);
    for (const PlannedStream& stream : plan.streams)
        static_cast<void>(find_head(*meta_, *list, published, stream.key, stream.name).has_value());
}

Result<void> Writer::load_heads(Plan& plan) noexcept {
    for (const PlannedStream& stream : plan.streams) heads_.prefetch(stream.key);
    if (active_ != nullptr && active_->index.valid()) {
        // Every slot the events will touch: by the time they are listed the cache lines are here.
        constexpr std::size_t kAtOnce = 64;
        const std::size_t count = std::min(plan.keys.size(), kAtOnce);
        for (std::size_t n = 0; n < count; ++n) active_->index.prefetch(plan.keys[n]);
    }
    SegmentListPtr list;
    for (PlannedStream& stream : plan.streams) {
        stream.head = {};
        if (heads_.find(stream.key, stream.name, stream.head)) continue;
        if (list == nullptr) list = segments();
        auto head = find_head(*meta_, *list, ~0ULL, stream.key, stream.name);
        if (!head) return std::move(head).error();
        stream.head = *head;
    }
    return {};
}

Result<void> Writer::place(Plan& plan, Durability level, Appended& done) noexcept {
    recorded_us_ = std::max(env_.now_us(), recorded_us_);
    log::CommitHeader header;
    header.length8 = static_cast<std::uint32_t>(plan.bytes / 8);
    header.count = static_cast<std::uint32_t>(plan.events.size());
    header.first_position = end_.position + 1;
    header.durable_hint = control().durable.load(std::memory_order_relaxed);
    header.recorded_us = recorded_us_;
    header.epoch = epoch_;
    header.prev_chain = end_.chain;
    VARVE_ASSERT(header.durable_hint < header.first_position);
    VARVE_ASSERT(base::fits(end_.offset, plan.bytes, active_->log().size()));

    std::byte* const mapped = active_->log().data() + end_.offset;
    if (level == Durability::disk && plan.bytes >= kWriteThreshold && grow(run_, plan.bytes)) {
        header.chain = encode_all(plan, run_.data(), header);
        log::encode_commit_header(run_.data(), header, active_->keys);
        VARVE_TRY(active_->file().write_at(end_.offset, run_));
        if (run_.size() > kKeepRun) run_ = {};
    } else {
        header.chain = encode_all(plan, mapped, header);
        log::encode_commit_header(mapped, header, active_->keys);
        note(mapped, plan.bytes);
    }
    apply_all(plan, header, end_.offset);

    done.first = Position{header.first_position};
    done.last = Position{header.first_position + header.count - 1};
    tell_versions(plan, done);
    for (const PlannedStream& stream : plan.streams) {
        if (stream.head.version > 0) heads_.put(stream.key, stream.name, stream.head);
    }
    end_ = log::after_commit(end_, header);
    if (plan.defines) note_definition(plan);
    if (!past_half_ && end_.offset > active_->log().size() / 2) {
        past_half_ = true;
        signal_keeper();
    }
    return {};
}

/// Writes the records behind the place of the header; returns the commit's chain value.
std::uint32_t Writer::encode_all(Plan& plan, std::byte* to,
                                 const log::CommitHeader& header) noexcept {
    std::uint32_t chain = log::begin_chain(header);
    std::uint64_t at = sizeof(log::CommitHeader);
    std::uint64_t position = header.first_position;
    for (const PlannedEvent& event : plan.events) {
        log::RecordPlace where;
        where.position = position;
        where.time_us = event.time_us != nullptr ? *event.time_us : header.recorded_us;
        where.commit_distance8 = static_cast<std::uint32_t>(at / 8);
        if (event.stream != kNoStream) {
            index::Head& head = plan.streams[event.stream].head;
            where.stream_previous = head.position;
            where.revision = head.version + 1;
            head = {where.revision, position};
        }
        chain = log::add_to_chain(
            chain, log::encode_record(to + at, event.input, where, active_->keys.seed));
        at += event.input.head_size + event.input.body_size;
        ++position;
    }
    VARVE_ASSERT(at == plan.bytes);
    return chain;
}

void Writer::apply_all(const Plan& plan, const log::CommitHeader& header,
                       std::uint64_t offset) noexcept {
    index::ActiveIndex& index = active_->index;
    std::uint64_t at = offset + sizeof(log::CommitHeader);
    auto ordinal = static_cast<std::uint32_t>(header.first_position - active_->first());
    constexpr std::size_t kAhead = 48;  // keys whose slots are on their way
    constexpr std::size_t kNear = 16;  // keys whose slots have come, and whose blocks are on theirs
    for (const PlannedEvent& event : plan.events) {
        const std::size_t ahead = event.first_key + kAhead;
        const std::size_t until = std::min(ahead + event.key_count, plan.keys.size());
        for (std::size_t n = ahead; n < until; ++n) index.prefetch(plan.keys[n]);
        const std::size_t near = std::min(event.first_key + kNear, plan.keys.size());
        for (std::size_t n = near; n < std::min(near + event.key_count, plan.keys.size()); ++n)
            index.prefetch_block(plan.keys[n]);
        const std::int64_t time_us = event.time_us != nullptr ? *event.time_us : header.recorded_us;
        index.note_times(ordinal,
                         {index::TimeRange::at(time_us), index::TimeRange::at(header.recorded_us)});
        index.apply(ordinal, static_cast<std::uint32_t>(at / 8),
                    {plan.keys.data() + event.first_key, event.key_count}, false);
        at += event.input.head_size + event.input.body_size;
        ++ordinal;
    }
}

void Writer::publish() noexcept {
    if (control().published.load(std::memory_order_relaxed) == end_.position) return;
    const bool defines = std::exchange(defined_unseen_, false);
    if (defines) [[unlikely]]
        bump_definitions();
    // The one line at which an append happens. Partner: the acquire load in View; whoever sees the
    // position sees the bytes, the index entries and the segment that were stored before.
    control().published.store(end_.position, std::memory_order_release);
    placed_offset_.store(end_.offset, std::memory_order_relaxed);
    if (defines) [[unlikely]]
        bump_definitions();
    bump_wake();
}

void Writer::bump_wake() noexcept {
    if (base::seeded(SeededBug::wake_bump_dropped)) return;
    // After `published`: a reader that loads the word, finds nothing new and sleeps on it is woken
    // by whoever bumps it.
    control().wake.fetch_add(1, std::memory_order_seq_cst);
}

void Writer::flush_wakes() noexcept {
    const std::uint32_t now = control().wake.load(std::memory_order_relaxed);
    if (last_woken_.exchange(now, std::memory_order_acq_rel) != now) env_.wake_all(control().wake);
}

void Writer::after_publish(Durability level) noexcept {
    if (!env_.has_threads()) {
        flush_wakes();
        prepare_next();
        sync_rolled();
        sync_by_interval();
        index_work();
        erase_in_background();
        return;
    }
    if (level == Durability::disk) {
        flush_wakes();
        const bool far = placed_offset_.load(std::memory_order_relaxed) + window_ / 2 <
                         populated_until_.load(std::memory_order_relaxed);
        if (far) return;
    }
    signal_helper();
}

}  // namespace store
}  // namespace v0
}  // namespace varve
