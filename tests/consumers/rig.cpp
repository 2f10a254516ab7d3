// The world of the rig: stores, crashes, operations.
#include "rig.hpp"

#include <algorithm>

#include "support/small_store.hpp"

namespace varve::consumers {

namespace {

constexpr std::size_t kInFlight = 12;
constexpr std::size_t kLargestBatch = 4;

}  // namespace

Rig::Rig(std::uint64_t seed)
    : random_(seed),
      seed_(seed),
      keeps_state_(seed % 2 == 0),
      retries_(static_cast<std::uint32_t>(seed / 2 % 2)),
      world_(std::make_unique<os::SimEnv>(seed)) {}

Rig::~Rig() {
    world_->on_step({});
    drop_handles();
}

void Rig::violated(const std::string& what) {
    if (tally_.violation.empty())
        tally_.violation = what + " (seed " + std::to_string(seed_) + ", operation " +
                           std::to_string(tally_.operations) + ")";
}

template <class T>
bool Rig::good(const Result<T>& result, const char* what) {
    if (result) return true;
    violated(std::string(what) + ": " + std::string(to_string(result.error().code)) + ", " +
             result.error().message);
    return false;
}

Tally Rig::run(std::uint64_t operations) {
    open_store();
    open_consumer();
    while (tally_.operations < operations && tally_.violation.empty()) {
        ++tally_.operations;
        if (countdown_ == 0 && random_.below(12) == 0) plan_crash();
        operate();
        if (image_) go_on_in_image();
    }
    world_->on_step({});
    image_.reset();
    if (tally_.violation.empty()) drain();
    return tally_;
}

// ---- Crashes

void Rig::plan_crash() {
    countdown_ = 1 + random_.below(60);
    world_->on_step([this] {
        if (countdown_ > 0 && --countdown_ == 0) take_image();
    });
}

void Rig::take_image() {
    using Style = os::SimCut::Style;
    constexpr Style kStyles[] = {Style::everything, Style::nothing, Style::mixed, Style::mixed,
                                 Style::mixed};
    const std::uint64_t seed = random_.next();
    const bool cut = random_.below(3) != 0;
    image_ = Image{};
    image_->cut = cut;
    image_->floors = floors_;
    blame();
    image_->world =
        cut ? world_->power_cut(seed, {kStyles[random_.below(5)], 0}) : world_->kill(seed);
}

/// A death may be taken for a failed attempt of an event that was in hand. A batch that is handed
/// out just now is not known to the model yet.
void Rig::blame() {
    std::size_t more = kLargestBatch;
    for (const std::uint64_t one : matching_) {
        if (one <= delivered_ && !open_.contains(one)) continue;
        if (one > delivered_ && more-- == 0) break;
        if (++tried_[one] <= retries_) continue;
        parked_.insert(one);
        surely_replayed_.erase(one);
    }
}

/// It was tried so often, or perhaps was, that it may have been put aside instead of being handed
/// out.
bool Rig::may_be_given_up(std::uint64_t position) const {
    const auto tried = tried_.find(position);
    return counts_deaths_ && tried != tried_.end() && tried->second > retries_;
}

void Rig::drop_handles() {
    consumer_.reset();
    reader_.reset();
    writer_.reset();
}

/// What the world was goes away; what the crash has left goes on.
void Rig::go_on_in_image() {
    ++tally_.crashes;
    world_->on_step({});
    countdown_ = 0;
    drop_handles();
    Image image = std::move(*image_);
    image_.reset();
    world_ = std::move(image.world);
    floors_ = image.floors;
    if (image.cut) floors_.kill = floors_.cut;
    open_store();
    read_log();
    open_consumer();
}

void Rig::open_store() {
    auto store =
        Store::open("store", test::options_for(*world_, Access::read_write, Durability::os));
    if (!good(store, "the store cannot be opened")) return;
    writer_.emplace(std::move(*store));
}

void Rig::open_consumer() {
    if (!tally_.violation.empty()) return;
    if (random_.below(2) == 0) {
        auto reader = Store::open("store", test::options_for(*world_, Access::read_only));
        if (!good(reader, "the store cannot be read")) return;
        reader_.emplace(std::move(*reader));
    }
    ConsumerOptions options;
    options.in_flight_max = kInFlight;
    options.durable_only = random_.below(2) == 0;
    options.sync_acks = static_cast<std::uint32_t>(random_.below(4));
    options.retries = retries_;
    options.count_deaths = random_.below(2) == 0;
    counts_deaths_ = options.count_deaths;
    options.keep_order = keeps_state_ || random_.below(2) == 0;
    auto consumer =
        Consumer::open(reader_ ? *reader_ : *writer_, "one", Selector::type("A"), options);
    if (!good(consumer, "the consumer cannot be opened")) return;
    consumer_.emplace(std::move(*consumer));
    delivered_ = consumer_->checkpoint().position.value;
    todo_.clear();
    open_.clear();
    batches_.clear();
    retried_.clear();
    replays_.clear();
    replayed_ = 0;
    check_opening();
    auto second = Consumer::open(*writer_, "one", Selector::type("A"));
    if (second || second.error().code != ErrorCode::locked) violated("two have the consumer");
}

// ---- Operations

void Rig::operate() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 25) return append();
    if (dice < 50) return next();
    if (dice < 84) return handle();
    if (dice < 88) return sync_consumer();
    if (dice < 92) {
        static_cast<void>(good(writer_->sync(), "the store cannot be synced"));
        return;
    }
    if (dice < 96) return reopen();
    replay();
}

void Rig::append() {
    std::vector<NewEvent> events(1 + random_.below(4));
    const std::string data(random_.below(20) == 0 ? 30'000 : random_.below(50), 'd');
    for (NewEvent& event : events) {
        event.stream = "s-1";
        event.type = random_.below(3) == 0 ? "A" : "B";
        event.data = data;
    }
    AppendOptions options;
    options.durability = random_.below(3) == 0 ? Durability::disk : Durability::os;
    auto done = writer_->append(events, options);
    if (!good(done, "append")) return;
    for (std::size_t n = 0; n < events.size(); ++n)
        if (events[n].type == "A") matching_.push_back(done->first.value + n);
}

void Rig::next() {
    auto batch = consumer_->next(1 + random_.below(kLargestBatch),
                                 static_cast<std::uint32_t>(random_.below(4) == 0 ? 250 : 0));
    if (!batch && batch.error().code == ErrorCode::busy) {
        if (consumer_->in_flight() < kInFlight) violated("busy, but not full");
        return;
    }
    if (!good(batch, "next")) return;
    if (batch->empty()) return check_caught_up();
    deliver(*batch);
}

void Rig::handle() {
    if (replayed_ != 0) {
        const std::uint64_t position = std::exchange(replayed_, 0);
        if (random_.below(3) == 0) {
            static_cast<void>(good(consumer_->fail(Position{position}, "again"), "fail"));
            return;
        }
        handled_.insert(position);
        if (!good(consumer_->ack(Position{position}), "ack of a replayed event")) return;
        surely_parked_.erase(position);
        if (!image_) surely_replayed_.insert(position);  // else it may have died before
        return;
    }
    keeps_state_ ? handle_in_order() : handle_anywhere();
}

/// The first event that was delivered, with a state that counts it.
void Rig::handle_in_order() {
    if (todo_.empty() || !retried_.empty()) return;
    const std::uint64_t position = todo_.front();
    if (random_.below(8) == 0) return fail(position);
    todo_.pop_front();
    // What the client computes: from the state it has, and this event.
    const std::string before = consumer_->state();
    std::uint64_t events = 0;
    std::uint64_t sum = 0;
    if (!before.empty()) {
        events = std::stoull(before);
        sum = std::stoull(before.substr(before.find(' ') + 1));
    }
    std::string state = std::to_string(events + 1) + ' ' + std::to_string(sum + position) + ' ';
    // Of different sizes: within the slot and elsewhere.
    const std::size_t padding = position % 7 == 0 ? 5'000 : position % 11;
    state.append(padding, 'x');
    acknowledge(position, std::move(state));
}

void Rig::handle_anywhere() {
    if (batches_.empty()) return;
    const std::size_t n = random_.below(batches_.size());
    const std::vector<std::uint64_t>& batch = batches_[n];
    const std::uint64_t position = batch[random_.below(batch.size())];
    if (!open_.contains(position)) return;
    if (random_.below(8) == 0) return fail(position);
    acknowledge(position, std::nullopt);
}

void Rig::acknowledge(std::uint64_t position, std::optional<std::string> state) {
    std::set<std::uint64_t> now;
    for (const auto& batch : batches_) {
        const bool here = std::find(batch.begin(), batch.end(), position) != batch.end();
        for (const std::uint64_t one : batch)
            if (here && one <= position && open_.contains(one)) now.insert(one);
    }
    handled_.insert(now.begin(), now.end());
    auto done =
        state ? consumer_->ack(Position{position}, *state) : consumer_->ack(Position{position});
    if (!good(done, "ack")) return;
    for (const std::uint64_t one : now) {
        open_.erase(one);
        surely_parked_.erase(one);
    }
    note_progress();
}

void Rig::fail(std::uint64_t position) {
    parked_.insert(position);  // it may turn out so
    ++tried_[position];
    auto failed = consumer_->fail(Position{position}, "on purpose");
    if (!good(failed, "fail")) return;
    open_.erase(position);
    handled_.erase(position);
    if (*failed == Failure::retried) {
        if (!may_be_given_up(position)) parked_.erase(position);
        retried_.insert(position);
        for (auto& batch : batches_) std::erase(batch, position);  // it comes in one of its own
        std::erase_if(batches_, [](const auto& batch) { return batch.empty(); });
        return;
    }
    ++tally_.parked;
    surely_parked_.insert(position);
    surely_replayed_.erase(position);
    std::erase(todo_, position);
    note_progress();
}

void Rig::replay() {
    if (keeps_state_ || replayed_ != 0) return;
    // The list is that of the stored checkpoint, which has to be where acknowledgements are.
    if (!good(writer_->sync(), "the store cannot be synced")) return;
    sync_consumer();
    if (!good(consumer_->replay(), "replay")) return;
    auto listed = Consumer::parked(*writer_, "one");
    if (!good(listed, "the parked events cannot be listed")) return;
    replays_.clear();
    for (const ParkedEvent& event : *listed)
        if (event.status == ParkedEvent::Status::waiting) replays_.push_back(event.position.value);
}

void Rig::sync_consumer() {
    if (!good(consumer_->sync(), "the consumer cannot be synced")) return;
    note_progress();
    floors_.cut = std::max(floors_.cut, consumer_->checkpoint().position.value);
}

void Rig::reopen() {
    if (!good(consumer_->close(), "close")) return;
    const std::uint64_t at = consumer_->checkpoint().position.value;
    floors_.cut = std::max(floors_.cut, at);
    floors_.kill = std::max(floors_.kill, at);
    consumer_.reset();
    reader_.reset();
    open_consumer();
}

/// Everything that is left is handled; then everything adds up.
void Rig::drain() {
    static_cast<void>(good(writer_->sync(), "the store cannot be synced"));
    constexpr int kMost = 100'000;
    for (int n = 0; n < kMost && tally_.violation.empty(); ++n) {
        auto batch = consumer_->next(kInFlight, 1000);
        if (!batch && batch.error().code != ErrorCode::busy) static_cast<void>(good(batch, "next"));
        if (batch && !batch->empty()) deliver(*batch);
        for (int more = 0; more < 50 && tally_.violation.empty(); ++more) handle();
        const bool idle = batch && batch->empty() && consumer_->in_flight() == 0;
        if (idle && consumer_->caught_up()) break;
    }
    if (!tally_.violation.empty()) return;
    if (consumer_->checkpoint().position.value != published())
        return violated("the end was not reached");
    reopen();
}

}  // namespace varve::consumers
