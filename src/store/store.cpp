// The public faces: Store, Snapshot, Events, Subscription. They only hand over to what they hold.
#include "varve/store.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/catalogue.hpp"
#include "store/counting.hpp"
#include "store/following.hpp"
#include "store/ids.hpp"
#include "store/times.hpp"

namespace varve {
inline namespace v0 {

using base::failure;

// ---- Events

Events::Events(std::unique_ptr<store::Reading> reading) noexcept : reading_(std::move(reading)) {}
Events::Events(Events&&) noexcept = default;
Events& Events::operator=(Events&&) noexcept = default;
Events::~Events() = default;

Result<std::span<const EventView>> Events::next() noexcept {
    if (reading_ == nullptr) return failure(ErrorCode::out_of_memory, "no memory to read");
    return reading_->next();
}

Events::Status Events::status() const noexcept {
    return reading_ == nullptr ? Status::stopped : reading_->status();
}

Result<Seen> Events::seen() const noexcept {
    if (reading_ == nullptr) return failure(ErrorCode::out_of_memory, "no memory to read");
    return reading_->seen();
}

// ---- Snapshot

Snapshot::Snapshot(std::shared_ptr<store::Pinned> pinned) noexcept : pinned_(std::move(pinned)) {}
Snapshot::Snapshot(const Snapshot&) noexcept = default;
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot& Snapshot::operator=(const Snapshot&) noexcept = default;
Snapshot& Snapshot::operator=(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;

Position Snapshot::published() const noexcept { return Position{pinned_->view().published}; }
Position Snapshot::durable() const noexcept { return Position{pinned_->view().durable}; }
std::uint32_t Snapshot::epoch() const noexcept { return pinned_->view().epoch; }

Result<std::uint64_t> Snapshot::version(std::string_view stream) const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    return store::version_of(*pinned_, stream);
}

Events Snapshot::read(Source source, const ReadOptions& options) const noexcept {
    try {
        return Events(std::make_unique<store::Reading>(pinned_, source, options));
    } catch (const std::bad_alloc&) {
        return Events(nullptr);
    }
}

Events Snapshot::read(std::string_view stream, const ReadOptions& options) const noexcept {
    return read(Source::stream(stream), options);
}

Events Snapshot::query(const Selector& selector, const ReadOptions& options) const noexcept {
    try {
        return Events(std::make_unique<store::Reading>(pinned_, selector, options));
    } catch (const std::bad_alloc&) {
        return Events(nullptr);
    }
}

Result<std::uint64_t> Snapshot::count(const Selector& selector,
                                      const ReadOptions& options) const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    auto counted = store::count_events(pinned_, selector, options);
    if (!counted) return std::move(counted).error();
    return counted->events;
}

Result<Explanation> Snapshot::explain(const Selector& selector,
                                      const ReadOptions& options) const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    return store::explain_query(pinned_, selector, options);
}

Result<EventView> Snapshot::at(Position position, Verify verify) const& noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    const log::Check check = verify == Verify::always ? log::Check::body : log::Check::structure;
    auto record = pinned_->record(position.value, check);
    if (!record) return std::move(record).error();
    if (!index::is_listed(*record)) {
        return failure(ErrorCode::not_found, "what stands at position " +
                                                 std::to_string(position.value) +
                                                 " is the store's own and no event");
    }
    EventView event = log::to_event(*record);
    const store::Segment* segment = pinned_->view().segments->find(position.value);
    event.recorded_or_never_us =
        store::RecordedTimes().of(*segment, *record).value_or(EventView::kNever);
    return event;
}

Result<EventView> Snapshot::find(const EventId& id, Verify verify) const& noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    const std::string_view bytes(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    const store::PlannedId wanted{pinned_->meta().hasher.key(index::KeyKind::id, bytes), bytes, 0};
    const store::View& view = pinned_->view();
    auto found = store::find_any(pinned_->meta(), *view.segments, {&wanted, 1}, 1, view.published);
    if (!found) return std::move(found).error();
    if (found->position == 0) {
        return failure(ErrorCode::not_found, "there is no event with this id",
                       pinned_->meta().path);
    }
    return at(Position{found->position}, verify);
}

Result<std::uint64_t> Snapshot::stream_bytes(std::string_view stream) const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    try {
        return store::bytes_of(pinned_, stream);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to read");
    }
}
Result<std::vector<CatalogueEntry>> Snapshot::names(NameKind kind,
                                                    const NamesOptions& options) const noexcept {
    if (auto unseen = pinned_->take_unseen()) return std::move(*unseen);
    constexpr index::KeyKind kKinds[] = {index::KeyKind::stream, index::KeyKind::category,
                                         index::KeyKind::type, index::KeyKind::tag};
    return store::catalogue(*pinned_, kKinds[static_cast<std::size_t>(kind)], options);
}
Result<std::vector<CatalogueEntry>> Snapshot::streams(std::string_view prefix) const noexcept {
    return names(NameKind::stream, {.prefix = prefix});
}
Result<std::vector<CatalogueEntry>> Snapshot::categories() const noexcept {
    return names(NameKind::category);
}
Result<std::vector<CatalogueEntry>> Snapshot::types() const noexcept {
    return names(NameKind::type);
}
Result<std::vector<CatalogueEntry>> Snapshot::tags(std::string_view prefix) const noexcept {
    return names(NameKind::tag, {.prefix = prefix});
}

// ---- Subscription

Subscription::Subscription(std::unique_ptr<store::Following> following) noexcept
    : following_(std::move(following)) {}
Subscription::Subscription(Subscription&&) noexcept = default;
Subscription& Subscription::operator=(Subscription&&) noexcept = default;
Subscription::~Subscription() = default;

Result<std::span<const EventView>> Subscription::next(std::uint32_t timeout_ms) noexcept {
    return following_->next(timeout_ms);
}
bool Subscription::caught_up() const noexcept { return following_->caught_up(); }
Position Subscription::position() const noexcept { return following_->position(); }

// ---- Store

Store::Store(std::shared_ptr<store::Engine> engine) noexcept : engine_(std::move(engine)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&& other) noexcept {
    if (this == &other) return *this;
    if (engine_ != nullptr) static_cast<void>(engine_->close());
    engine_ = std::move(other.engine_);
    return *this;
}
Store::~Store() {
    // Subscriptions may outlive the handle; the writer must not.
    if (engine_ != nullptr) static_cast<void>(engine_->close());
}

Result<Store> Store::open(const std::string& path, const OpenOptions& options) noexcept {
    auto engine = store::Engine::open(path, options);
    if (!engine) return std::move(engine).error();
    return Store(std::move(*engine));
}

Result<Appended> Store::append(std::span<const NewEvent> events,
                               const AppendOptions& options) noexcept {
    VARVE_TRY(engine_->open_here());
    store::Writer* writer = engine_->writer();
    if (writer == nullptr) {
        return failure(ErrorCode::permission,
                       "the store was opened read-only; open it for writing to append", path());
    }
    return writer->append(events, options);
}

Result<Appended> Store::append(std::initializer_list<NewEvent> events,
                               const AppendOptions& options) noexcept {
    return append(std::span<const NewEvent>(events.begin(), events.size()), options);
}

Result<Snapshot> Store::snapshot() const noexcept {
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    try {
        return Snapshot(std::make_shared<store::Pinned>(engine_->shared_meta(), std::move(*view)));
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory for a snapshot");
    }
}

Result<Subscription> Store::follow(Source source, const FollowOptions& options) const noexcept {
    return follow(Selector(source), options);
}

Result<Subscription> Store::follow(const Selector& selector,
                                   const FollowOptions& options) const noexcept {
    if (selector.error() != nullptr)
        return failure(ErrorCode::invalid_argument, selector.error(), path());
    auto view = engine_->view();
    if (!view) return std::move(view).error();
    if (options.after.value > view->published) {
        return failure(ErrorCode::stale,
                       "position " + std::to_string(options.after.value) +
                           " to follow from lies beyond the end of the store, position " +
                           std::to_string(view->published) +
                           ": it belongs to another store, or to events that were lost",
                       path());
    }
    try {
        return Subscription(std::make_unique<store::Following>(engine_, selector, options));
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to follow");
    }
}

Result<bool> Store::wait(Position position, Durability level,
                         std::uint32_t timeout_ms) const noexcept {
    os::Env& env = *engine_->meta().env;
    const std::uint64_t deadline_us = env.monotonic_us() + std::uint64_t{timeout_ms} * 1000;
    while (true) {
        const std::uint32_t word = engine_->change_word();
        auto view = engine_->view();
        if (!view) return std::move(view).error();
        const std::uint64_t reached = level == Durability::disk ? view->durable : view->published;
        if (reached >= position.value) return true;
        if (level == Durability::disk) VARVE_TRY(engine_->syncs_go_on());
        const std::uint64_t now_us = env.monotonic_us();
        if (now_us >= deadline_us) return false;
        VARVE_TRY(engine_->wait_for_change(word, deadline_us - now_us));
    }
}

Result<Position> Store::sync() noexcept {
    VARVE_TRY(engine_->open_here());
    if (store::Writer* writer = engine_->writer()) return writer->sync();
    return failure(ErrorCode::permission, "the store was opened read-only; only its writer syncs",
                   path());
}

const Opening& Store::opening() const noexcept { return engine_->opening(); }
const std::string& Store::path() const noexcept { return engine_->meta().path; }
Result<void> Store::close() noexcept { return engine_->close(); }

}  // namespace v0
}  // namespace varve
