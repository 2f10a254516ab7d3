// Opening, moving and closing a consumer.
#include <algorithm>
#include <new>

#include "base/error.hpp"
#include "consumer/active.hpp"
#include "consumer/inspect.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

/// Waits until whoever has the consumer may have given it up: told by them, or a second.
Result<void> wait_for_holder(const Place& place, std::string_view name, std::uint32_t word,
                             std::uint64_t timeout_us) noexcept {
    constexpr std::uint64_t kLookAgainUs = 1'000'000;
    auto file = place.env->open(place.file_of(name), os::OpenMode::read);
    if (!file) return {};  // it went away: the next try says more
    auto words = Words::map(**file, os::MapAccess::read);
    if (!words) return std::move(words).error();
    place.env->wait_on(words->get().wake, word, std::min(timeout_us, kLookAgainUs));
    return {};
}

std::uint32_t wake_word(const Place& place, std::string_view name) noexcept {
    auto file = place.env->open(place.file_of(name), os::OpenMode::read);
    if (!file) return 0;
    const auto words = Words::find(**file);
    return words ? words->get().wake.load(std::memory_order_acquire) : 0;
}

/// The first event makes what a store stands on durable. A consumer that comes before it does so
/// too: else a power cut could leave a checkpoint in a directory that is no store.
Result<void> sync_foundations(const store::Meta& meta) noexcept {
    auto file = meta.env->open(meta.in("varve"), os::OpenMode::read);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->sync());
    for (const std::string& directory : {meta.index_directory(), meta.log_directory(), meta.path})
        VARVE_TRY(store::sync_names(*meta.env, directory));
    auto above = store::sync_names(*meta.env, meta.parent_directory());
    if (!above && above.error().code != ErrorCode::permission) return above;
    return {};
}

Error beyond(const std::string& what, std::uint64_t position, const char* end_of, std::uint64_t end,
             const std::string& file) {
    return failure(ErrorCode::stale,
                   what + " is at position " + std::to_string(position) + ", but " + end_of +
                       " ends at position " + std::to_string(end) +
                       ": it belongs to events that were lost, or to another copy of the store",
                   file);
}

}  // namespace

Place place_of(const store::Engine& engine) {
    const store::Meta& meta = engine.meta();
    return {meta.env,
            meta.path,
            meta.in("consumers"),
            meta.file.uuid,
            meta.options.file_mode,
            meta.directory_mode()};
}

Result<void> check_checkpoint(const Slot& slot, const store::View& view, const std::string& path) {
    const std::string what = "the checkpoint of " + title_of(path);
    if (slot.position > view.published)
        return beyond(what, slot.position, "the store", view.published, path);
    if (slot.epoch > view.epoch)
        return failure(ErrorCode::stale,
                       what + " was written in epoch " + std::to_string(slot.epoch) +
                           " of the store, which is now in epoch " + std::to_string(view.epoch) +
                           ": it belongs to another copy of the store",
                       path);
    return {};
}

Result<void> make_consumer(store::Engine& engine, const Place& place, std::string_view name,
                           const Selector& selector, Position after, const Lanes& lanes) {
    auto view = engine.view();
    if (!view) return std::move(view).error();
    const std::uint64_t end = std::min(view->durable, view->published);
    if (after.value > end)
        return beyond("the beginning of the new consumer", after.value, "what is durable", end,
                      place.file_of(name));
    if (view->published == 0) VARVE_TRY(sync_foundations(engine.meta()));
    Saved first;
    first.slot.position = after.value;
    first.slot.counted_after = after.value;
    first.slot.time_us = place.env->now_us();
    first.slot.generation = 1;
    return create_file(place, name, selector, std::move(first), false, lanes);
}

Result<std::unique_ptr<Active>> Active::open(std::shared_ptr<store::Engine> engine,
                                             std::string_view name, const Selector* selector,
                                             const ConsumerOptions& options) noexcept {
    try {
        VARVE_TRY(engine->open_here());
        if (const char* wrong = refuse_name(name))
            return failure(ErrorCode::invalid_argument, wrong);
        if (selector != nullptr && selector->error() != nullptr)
            return failure(ErrorCode::invalid_argument, selector->error());
        const Place place = place_of(*engine);
        std::unique_ptr<Active> active(new Active(std::move(engine), name, options));
        VARVE_TRY(active->take(place, selector));
        if (selector != nullptr && !(*selector == active->file_->selector())) {
            return failure(ErrorCode::invalid_argument,
                           "consumer " + active->name_ + " follows " +
                               active->file_->selector().text() + ", not " + selector->text() +
                               ": use another name, or remove it first",
                           place.file_of(name));
        }
        VARVE_TRY(active->begin(place, place.file_of(name)));
        return active;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to open a consumer");
    }
}

Result<std::unique_ptr<Active>> Active::open_lane(std::shared_ptr<store::Engine> engine,
                                                  const GroupLane& lane,
                                                  const ConsumerOptions& options,
                                                  SharedWords& shared) {
    const Place place = place_of(*engine);
    const std::string file = lane_name(lane.group, lane.number);
    std::unique_ptr<Active> active(new Active(std::move(engine), lane.name, options));
    auto opened = CheckpointFile::open(place, file);
    if (!opened) return std::move(opened).error();
    const FileHeader& header = (*opened)->header();
    if (header.group != lane.group || header.lane != lane.number ||
        header.lanes != lane.lanes.count)
        return failure(ErrorCode::corrupt, "the file is that of another lane", place.file_of(file));
    active->file_ = std::move(*opened);
    active->file_->share(shared);
    active->lanes_ = lane.lanes;
    active->lane_ = lane.number;
    VARVE_TRY(active->begin(place, place.file_of(file)));
    return active;
}

/// Goes on where the file says.
Result<void> Active::begin(const Place& place, const std::string& path) {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    VARVE_TRY(check_checkpoint(file_->saved().slot, *view, path));
    note_epoch(view->epoch, view->published);
    now_ = file_->saved();
    begin_after(now_.slot.position);
    take_over();
    return load_parked(place);
}

/// Obtains the file, waiting for it if asked to.
Result<void> Active::take(const Place& place, const Selector* selector) {
    const std::uint64_t deadline_us = env_.monotonic_us() + std::uint64_t{options_.wait_ms} * 1000;
    while (true) {
        const std::uint32_t word = options_.wait_ms > 0 ? wake_word(place, name_) : 0;
        auto obtained = obtain(place, selector);
        const std::uint64_t now_us = env_.monotonic_us();
        if (obtained || obtained.error().code != ErrorCode::locked || now_us >= deadline_us)
            return obtained;
        VARVE_TRY(engine_->open_here());
        VARVE_TRY(wait_for_holder(place, name_, word, deadline_us - now_us));
    }
}

Result<void> Active::obtain(const Place& place, const Selector* selector) {
    auto file = CheckpointFile::open(place, name_);
    const bool missing = !file && file.error().code == ErrorCode::not_found;
    if (!missing && options_.create == Create::must && (file || selector != nullptr)) {
        return failure(ErrorCode::invalid_argument,
                       "there is a consumer named " + name_ + " already", place.file_of(name_));
    }
    if (missing) {
        if (options_.create == Create::never || selector == nullptr)
            return failure(ErrorCode::not_found, "there is no consumer named " + name_,
                           place.file_of(name_));
        auto made = make_consumer(*engine_, place, name_, *selector, options_.after, {});
        // Somebody else may have made it at the same time.
        const bool taken = !made && made.error().code == ErrorCode::invalid_argument;
        if (!made && !(taken && options_.create == Create::if_missing)) return made;
        file = CheckpointFile::open(place, name_);
    }
    if (!file) return std::move(file).error();
    if (const std::uint32_t lanes = (*file)->header().lanes; lanes != 0)
        return failure(ErrorCode::invalid_argument,
                       name_ + " is a consumer group of " + std::to_string(lanes) +
                           " lanes: join it as a member (GroupMember, `varve tail --group`)",
                       place.file_of(name_));
    file_ = std::move(*file);
    return {};
}

void Active::begin_after(std::uint64_t position) {
    FollowOptions follow;
    follow.after = Position{position};
    follow.durable_only = options_.durable_only;
    follow.verify = options_.verify;
    // What belongs to a lane is dealt to it.
    if (lanes_.count == 0)
        following_ = std::make_unique<store::Following>(engine_, file_->selector(), follow);
    run_ = {};
    in_flight_.clear();
    retries_.clear();
    attempts_.clear();
    replays_.clear();
    replayed_ = 0;
    careful_until_ = 0;
    held_.reset();
    followed_ = position;
    least_ = position;
    caught_up_ = false;
}

/// What was parked and not passed by the checkpoint is delivered again, and may be acknowledged.
Result<void> Active::load_parked(const Place& place) {
    const Slot& slot = now_.slot;
    auto parked = ParkedFile::load(place, file_->id(), slot.generation);
    if (!parked) {
        parked_error_ = std::move(parked).error();
        return {};
    }
    parked_ = std::move(*parked);
    auto checked = parked_.check(slot);
    if (!checked) parked_error_ = std::move(checked).error();
    if (parked_error_) return {};
    std::vector<std::uint64_t> ahead;
    for (const auto& [position, event] : parked_.events())
        if (position > slot.position) ahead.push_back(position);
    for (const std::uint64_t position : ahead)
        VARVE_TRY(parked_.add(ParkedKind::taken_back, position, 0, {}));
    return {};
}

Result<void> Active::seek(Position position, std::optional<std::string_view> state) noexcept {
    try {
        const std::lock_guard lock(mutex_);
        VARVE_TRY(usable());
        auto view = engine_->view();
        if (!view) return std::move(view).error();
        const std::uint64_t durable = std::min(view->durable, view->published);
        if (position.value > durable)
            return beyond("the place to go on from", position.value, "what is durable", durable,
                          {});
        if (state && state->size() > Consumer::kMaxState)
            return failure(ErrorCode::too_large, "the state is larger than the limit of 1 MiB");
        Saved fresh;
        fresh.state = std::string(state.value_or(std::string_view{}));
        fresh.slot.position = position.value;
        fresh.slot.counted_after = position.value;
        fresh.slot.generation = file_->saved().slot.generation + 1;
        fresh.slot.time_us = env_.now_us();
        VARVE_TRY(file_->write(fresh));
        VARVE_TRY(sync_file());
        now_ = std::move(fresh);
        parked_error_.reset();
        begin_after(position.value);
        if (SharedWords* const words = file_->own_words())
            clear_marks(*words, now_.slot.generation);
        return load_parked(place_of(*engine_));
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to go on elsewhere");
    }
}

Result<void> Active::close() noexcept {
    const std::lock_guard lock(mutex_);
    if (file_ == nullptr) return {};
    Result<void> done;
    try {
        // In a closed store nothing more is known to be durable: what is written already is kept.
        const bool open = engine_->open_here().has_value();
        if (open) done = advance();
        if (open && done) done = sync_log();
    } catch (const std::bad_alloc&) {
        done = failure(ErrorCode::out_of_memory, "no memory to write the last checkpoint");
    }
    if (done) done = sync_file();
    // Whoever leaves did not die: what it had in hand is nobody's fault.
    SharedWords* const words = file_->own_words();
    if (words != nullptr) mark_in_hand(*words, is_careful() ? careful_until_ : 0, 0);
    now_ = file_->saved();
    file_.reset();
    return done;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
