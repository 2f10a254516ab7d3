// What the rig knows: which events there are, which were handled, and what must hold at an opening.
#include <algorithm>

#include "consumer/checkpoint_file.hpp"
#include "rig.hpp"
#include "support/small_store.hpp"

namespace varve::consumers {

std::uint64_t Rig::durable() { return writer_->snapshot()->durable().value; }
std::uint64_t Rig::published() { return writer_->snapshot()->published().value; }

/// The log says itself what a crash has left of it; that it may is checked elsewhere.
void Rig::read_log() {
    if (!writer_) return;
    matching_.clear();
    auto now = writer_->snapshot();
    auto seen = now->read(Source::type("A")).for_each([&](const EventView& event) {
        matching_.push_back(event.position.value);
    });
    if (!seen) return violated("the log cannot be read: " + seen.error().message);
    // What was lost and comes again is another event.
    const std::uint64_t end = now->published().value;
    for (auto* known : {&handled_, &parked_, &surely_parked_, &surely_replayed_})
        known->erase(known->upper_bound(end), known->end());
}

void Rig::deliver(const Batch& batch) {
    tally_.delivered += batch.size();
    const std::uint64_t first = batch.events().front().position.value;
    if (batch.size() == 1 && !replays_.empty() && replays_.front() == first) {
        replays_.pop_front();
        replayed_ = first;
        return;
    }
    std::vector<std::uint64_t> positions;
    if (batch.size() == 1 && retried_.erase(first) > 0) {
        positions.push_back(first);
        open_.insert(first);
        batches_.push_back(positions);
        return;
    }
    for (const EventView& event : batch) {
        const std::uint64_t position = event.position.value;
        auto expected = std::upper_bound(matching_.begin(), matching_.end(), delivered_);
        while (expected != matching_.end() && *expected < position && may_be_given_up(*expected)) {
            ++tally_.given_up;
            ++expected;
        }
        if (expected == matching_.end() || *expected != position)
            return violated("position " + std::to_string(position) + " came, expected " +
                            (expected == matching_.end() ? "nothing" : std::to_string(*expected)));
        delivered_ = position;
        positions.push_back(position);
        open_.insert(position);
        todo_.push_back(position);
    }
    batches_.push_back(std::move(positions));
}

/// What has been acknowledged completely, and is durable, survives from now on.
void Rig::note_progress() {
    std::uint64_t complete = 0;
    for (const std::uint64_t position : matching_) {
        const bool waits = open_.contains(position) || retried_.contains(position);
        if (position > delivered_ || waits) break;
        complete = position;
    }
    if (complete <= durable()) floors_.kill = std::max(floors_.kill, complete);
    const std::uint64_t stored = consumer_->checkpoint().position.value;
    if (stored > std::max(durable(), floors_.kill)) violated("a checkpoint beyond what is durable");
    floors_.kill = std::max(floors_.kill, stored);
}

/// Of what does not match nothing remains to be done either.
void Rig::check_caught_up() {
    if (!consumer_->caught_up() || consumer_->in_flight() > 0 || replayed_ != 0) return;
    const std::uint64_t end = durable();
    if (delivered_ > end) return;  // it stands for events that are not durable yet
    for (const std::uint64_t one : matching_)
        if (one > end && may_be_given_up(one)) return;  // as one of these may
    if (consumer_->checkpoint().position.value < end)
        violated("caught up with nothing in flight, but the checkpoint stands at position " +
                 std::to_string(consumer_->checkpoint().position.value) + " of " +
                 std::to_string(end));
    auto waited = Consumer::wait(*writer_, "one", Position{end}, 0);
    if (!waited || !*waited) violated("who waits for the consumer is not told");
}

std::string Rig::fold_until(std::uint64_t position, const std::set<std::uint64_t>& without) const {
    std::uint64_t events = 0;
    std::uint64_t sum = 0;
    std::uint64_t last = 0;
    for (const std::uint64_t one : matching_) {
        if (one > position || without.contains(one)) continue;
        ++events;
        sum += one;
        last = one;
    }
    if (events == 0) return "";
    std::string state = std::to_string(events) + ' ' + std::to_string(sum) + ' ';
    return state.append(last % 7 == 0 ? 5'000 : last % 11, 'x');
}

void Rig::check_opening() {
    const Checkpoint at = consumer_->checkpoint();
    const std::uint64_t position = at.position.value;
    if (position < floors_.kill)
        return violated("a checkpoint at position " + std::to_string(position) + ", but " +
                        std::to_string(floors_.kill) + " had been reached for good");
    if (position > published()) return violated("a checkpoint beyond the end");
    floors_.kill = position;
    std::uint64_t expected = 0;
    for (const std::uint64_t one : matching_) {
        if (one > position) break;
        ++expected;
        if (!handled_.contains(one) && !parked_.contains(one))
            return violated("position " + std::to_string(one) + " was passed, never handled");
    }
    if (at.acknowledged + at.parked != expected)
        return violated("counted " + std::to_string(at.acknowledged) + " acknowledged, " +
                        std::to_string(at.parked) + " parked of " + std::to_string(expected));
    check_parked(at);
    auto report = Consumer::verify(*writer_, "one");
    if (!report) return violated("verify: " + report.error().message);
    if (!report->good) return violated("verify finds a skip that there is not");
}

void Rig::check_parked(const Checkpoint& at) {
    auto listed = Consumer::parked(*writer_, "one");
    if (!listed) return violated("the parked events cannot be listed: " + listed.error().message);
    if (listed->size() != at.parked) return violated("not as many are parked as were counted");
    std::set<std::uint64_t> parked;
    for (const ParkedEvent& event : *listed) {
        const std::uint64_t position = event.position.value;
        parked.insert(position);
        if (!parked_.contains(position)) violated("an event is parked that nobody parked");
        const bool replayed = event.status == ParkedEvent::Status::replayed;
        if (surely_replayed_.contains(position) && !replayed)
            violated("a replayed event is parked again");
        if (replayed && !handled_.contains(position))
            violated("an event is replayed that nobody handled");
    }
    for (const std::uint64_t position : surely_parked_)
        if (position <= at.position.value && !parked.contains(position))
            violated("position " + std::to_string(position) + " was parked and counts as done");
    if (keeps_state_ && consumer_->state() != fold_until(at.position.value, parked))
        violated("the state is not the fold of the events up to the checkpoint");
}

// ---- A forged checkpoint

namespace {

std::string failed(const char* what, const Error& error) { return what + (": " + error.message); }

/// Writes a checkpoint that has passed `events` of the matching positions, without those that are
/// skipped.
std::string forge(os::SimEnv& world, const std::vector<std::uint64_t>& matching, std::size_t skip,
                  std::size_t count) {
    auto file = world.open("store/consumers/one", os::OpenMode::read_write, 0600);
    if (!file) return failed("forge", file.error());
    std::array<std::byte, consumer::kHeaderSize> raw{};
    static_cast<void>((*file)->read_at(0, raw));
    const auto uuid = base::load<consumer::FileHeader>(raw.data()).uuid;
    consumer::Saved saved;
    saved.slot.number = 99;
    saved.slot.epoch = 1;
    saved.slot.generation = 1;
    for (std::size_t n = 0; n < matching.size(); ++n) {
        saved.slot.position = matching[n];
        if (n >= skip && n < skip + count) continue;
        saved.slot.acknowledged += 1;
        saved.slot.sum += consumer::mix(matching[n]);
        saved.set_milestone();
    }
    std::array<std::byte, consumer::kPage> page{};
    static_cast<void>(consumer::encode_slot(1, uuid, saved, 0, page));
    auto written = (*file)->write_at(consumer::slot_offset(1), page);
    return written ? "" : failed("forge", written.error());
}

}  // namespace

std::string forged_skip(std::uint64_t seed) {
    os::SimRandom random(seed);
    os::SimEnv world(seed);
    auto store = Store::open("store", test::options_for(world, Access::read_write, Durability::os));
    if (!store) return failed("open", store.error());
    std::vector<std::uint64_t> matching;
    for (std::uint64_t n = 1; matching.size() < 3'000; ++n) {
        const bool matches = random.below(3) != 0;
        if (!store->append({{.type = matches ? "A" : "B"}})) return "append failed";
        if (matches) matching.push_back(n);
    }
    if (auto made = Consumer::open(*store, "one", Selector::type("A")); !made)
        return failed("open", made.error());
    for (int n = 0; n < 20; ++n) {
        const std::size_t count = n == 0 ? 0 : 1 + random.below(random.below(2) == 0 ? 3 : 1'000);
        const std::size_t skip = random.below(matching.size() - count);
        const std::string forged = forge(world, matching, skip, count);
        if (!forged.empty()) return forged;
        auto report = Consumer::verify(*store, "one");
        if (!report) return failed("verify", report.error());
        if (report->good != (count == 0)) return "verify says yes to a skip, or no to none";
        if (report->skipped != count) return "verify counts another skip";
        const std::uint64_t first = count == 0 ? 0 : matching[skip];
        if (report->first_skipped.value != first)
            return "verify names position " + std::to_string(report->first_skipped.value) +
                   " as the first skipped one, not " + std::to_string(first);
    }
    return "";
}

}  // namespace varve::consumers
