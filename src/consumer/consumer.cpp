// The public face of consumers. It only hands over to what is behind it.
#include "varve/consumer.hpp"

#include <new>

#include "base/error.hpp"
#include "consumer/inspect.hpp"
#include "store/inside.hpp"

namespace varve {
inline namespace v0 {

namespace {

/// Calls with the engine behind the store; running out of memory is an error like any other.
template <class Call>
auto with_engine(const Store& store, Call&& call) noexcept
    -> decltype(call(*store::Inside::engine(store))) {
    try {
        const std::shared_ptr<store::Engine> engine = store::Inside::engine(store);
        VARVE_TRY(engine->open_here());
        return call(*engine);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to look at a consumer");
    }
}

}  // namespace

Consumer::Consumer(std::unique_ptr<consumer::Active> active) noexcept
    : active_(std::move(active)) {}
Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&& other) noexcept {
    if (this == &other) return *this;
    if (active_ != nullptr) static_cast<void>(active_->close());
    active_ = std::move(other.active_);
    return *this;
}
Consumer::~Consumer() {
    if (active_ != nullptr) static_cast<void>(active_->close());
}

Result<Consumer> Consumer::open(const Store& store, std::string_view name, const Selector& selector,
                                const ConsumerOptions& options) noexcept {
    auto active = consumer::Active::open(store::Inside::engine(store), name, &selector, options);
    if (!active) return std::move(active).error();
    return Consumer(std::move(*active));
}

Result<Consumer> Consumer::open(const Store& store, std::string_view name,
                                const ConsumerOptions& options) noexcept {
    auto active = consumer::Active::open(store::Inside::engine(store), name, nullptr, options);
    if (!active) return std::move(active).error();
    return Consumer(std::move(*active));
}

Result<Batch> Consumer::next(std::size_t max_events, std::uint32_t timeout_ms) noexcept {
    return active_->next(max_events, timeout_ms);
}
Result<void> Consumer::ack(Position position, std::optional<std::string_view> state) noexcept {
    return active_->ack(position, state);
}
Result<Failure> Consumer::fail(Position position, std::string_view reason) noexcept {
    return active_->fail(position, reason);
}
Result<void> Consumer::seek(Position position, std::optional<std::string_view> state) noexcept {
    return active_->seek(position, state);
}
std::string Consumer::state() const { return active_->state(); }
Checkpoint Consumer::checkpoint() const noexcept { return active_->checkpoint(); }
bool Consumer::caught_up() const noexcept { return active_->caught_up(); }
std::size_t Consumer::in_flight() const noexcept { return active_->in_flight(); }
const std::string& Consumer::name() const noexcept { return active_->name(); }
Result<void> Consumer::sync() noexcept { return active_->sync(); }
Result<std::uint64_t> Consumer::replay() noexcept { return active_->replay(); }
Result<void> Consumer::close() noexcept { return active_->close(); }

Result<std::vector<ConsumerInfo>> Consumer::list(const Store& store) noexcept {
    return with_engine(store, [](auto& engine) { return consumer::list_consumers(engine); });
}
Result<ConsumerInfo> Consumer::find(const Store& store, std::string_view name) noexcept {
    return with_engine(store,
                       [&](auto& engine) { return consumer::describe_consumer(engine, name); });
}
Result<ConsumerContent> Consumer::content(const Store& store, std::string_view name) noexcept {
    return with_engine(store,
                       [&](auto& engine) { return consumer::consumer_content(engine, name); });
}
Result<bool> Consumer::wait(const Store& store, std::string_view name, Position position,
                            std::uint32_t timeout_ms) noexcept {
    return with_engine(store, [&](auto& engine) {
        return consumer::wait_for_consumer(engine, name, position.value, timeout_ms);
    });
}
Result<void> Consumer::pause(const Store& store, std::string_view name, bool paused) noexcept {
    return with_engine(
        store, [&](auto& engine) { return consumer::pause_consumer(engine, name, paused); });
}
Result<void> Consumer::reset(const Store& store, std::string_view name,
                             const ResetOptions& options) noexcept {
    return with_engine(
        store, [&](auto& engine) { return consumer::reset_consumer(engine, name, options); });
}
Result<void> Consumer::replace(const Store& store, std::string_view name,
                               std::string_view by) noexcept {
    return with_engine(store,
                       [&](auto& engine) { return consumer::replace_consumer(engine, name, by); });
}
Result<ConsumerReport> Consumer::verify(const Store& store, std::string_view name) noexcept {
    return with_engine(store,
                       [&](auto& engine) { return consumer::verify_consumer(engine, name); });
}
Result<std::vector<ParkedEvent>> Consumer::parked(const Store& store,
                                                  std::string_view name) noexcept {
    return with_engine(store, [&](auto& engine) { return consumer::list_parked(engine, name); });
}
Result<void> Consumer::drop(const Store& store, std::string_view name,
                            std::span<const Position> positions) noexcept {
    return with_engine(
        store, [&](auto& engine) { return consumer::drop_parked(engine, name, positions); });
}

}  // namespace v0
}  // namespace varve
