#include "concurrency/linear/client.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <thread>

namespace varve::test::linear {

namespace {

// Tags. Those at the beginning everybody wants, then one for each client, then names that are to be
// given out once.
constexpr Name kHotTags = 6;
constexpr Name kOwnTags = 100;
constexpr Name kNames = 1000;
constexpr Name kNameCount = 5000;
constexpr Name kStreams = 4;  ///< that everybody writes; behind them one for each client
constexpr Name kTypes = 3;
constexpr const char* kStreamPrefix = "stream-";
constexpr const char* kTypePrefix = "type/";
constexpr const char* kTagPrefix = "tag/";

std::string name(const char* prefix, Name number) { return prefix + std::to_string(number); }

Name number(const char* prefix, std::string_view name) {
    Name number = kNoStream;
    const std::size_t length = std::strlen(prefix);
    if (name.size() > length)
        std::from_chars(name.data() + length, name.data() + name.size(), number);
    return number;
}

EventId id_of(std::uint64_t group, std::uint64_t index) {
    EventId id;
    std::memcpy(id.bytes.data(), &group, sizeof group);
    std::memcpy(id.bytes.data() + sizeof group, &index, sizeof index);
    return id;
}

/// What a call needs while it lasts: the names behind the views.
class Named {
public:
    std::string_view operator()(const char* prefix, Name number) {
        names_[used_] = name(prefix, number);
        return names_[used_++];
    }

private:
    std::array<std::string, 40> names_;
    std::size_t used_ = 0;
};

Query query_of(const Items& items, Named& named) {
    Query query;
    for (const Item& item : items) {
        QueryItem& to = query.items.emplace_back();
        for (const Name type : item.types) to.types.push_back(named(kTypePrefix, type));
        for (const Name tag : item.tags) to.tags.push_back(named(kTagPrefix, tag));
    }
    return query;
}

std::vector<NewEvent> events_of(const Operation& asked, Named& named,
                                std::array<std::string, kMaxEvents>& data) {
    std::vector<NewEvent> events(asked.events.size());
    for (std::size_t n = 0; n < events.size(); ++n) {
        const Event& event = asked.events[n];
        NewEvent& to = events[n];
        data[n] = std::to_string(asked.group) + "/" + std::to_string(n) + "/";
        data[n].append(asked.group * 37 % 200, 'p');
        to.data = data[n];
        if (event.stream != kNoStream) to.stream = named(kStreamPrefix, event.stream);
        to.type = named(kTypePrefix, event.type);
        for (const Name tag : event.tags) to.tags.push_back(named(kTagPrefix, tag));
        if (asked.with_ids) to.id = id_of(asked.group, n);
    }
    return events;
}

Items one_tag(Name tag) {
    Item item;
    item.tags.push(tag);
    Items items;
    items.push(item);
    return items;
}

Seen seen_of(const Operation& record) { return {Position{record.first}, record.epoch}; }

}  // namespace

Logged read_back(const EventView& event) {
    Logged logged;
    logged.index = ~0U;
    const char* at = event.data.data();
    const char* const end = at + event.data.size();
    const auto group = std::from_chars(at, end, logged.group);
    if (group.ec != std::errc{} || group.ptr == end) return logged;
    std::from_chars(group.ptr + 1, end, logged.index);
    logged.revision = event.revision.value;
    if (!event.stream.empty()) logged.event.stream = number(kStreamPrefix, event.stream);
    logged.event.type = number(kTypePrefix, event.type);
    for (const std::string_view tag : event.tags) {
        if (logged.event.tags.size() < logged.event.tags.capacity())
            logged.event.tags.push(number(kTagPrefix, tag));
    }
    if (const auto id = event.id()) {
        logged.with_id = true;
        if (!(*id == id_of(logged.group, logged.index))) logged.index = ~0U;
    }
    return logged;
}

Operation* Client::append(const Operation& asked) {
    std::uint64_t number = 0;
    Operation* const record = shared_.claim(number);
    if (record == nullptr) return nullptr;
    *record = asked;
    record->client = number_;
    if (record->group == 0) record->group = number + 1;
    Named named;
    std::array<std::string, kMaxEvents> data;
    const std::vector<NewEvent> events = events_of(*record, named, data);
    AppendOptions options;
    std::vector<Expectations::Each> each;
    for (const Demand& demand : record->demands)
        each.emplace_back(named(kStreamPrefix, demand.stream), demand.expected);
    if (!each.empty()) options.expected = Expectations(each);
    if (!record->condition.empty()) {
        options.condition = {query_of(record->condition, named),
                             {Position{record->after}, record->epoch}};
    }
    if (below(500) == 0) options.durability = Durability::disk;

    set_begun(*record);
    auto done = store_.append(events, options);
    const std::int64_t end = now_ns();
    Outcome outcome = Outcome::condition_failed;
    if (done) {
        record->first = done->first.value;
        record->version = done->version;
        outcome = done->duplicate ? Outcome::duplicate : Outcome::placed;
    } else if (!note_refusal(done.error(), *record)) {
        return nullptr;
    } else if (done.error().code == ErrorCode::wrong_expected_version) {
        outcome = Outcome::version_failed;
    }
    set_answered(*record, end, outcome);
    shared_.answered.fetch_add(1, std::memory_order_relaxed);
    return record;
}

bool Client::note_refusal(const Error& error, Operation& record) {
    if (error.code == ErrorCode::wrong_expected_version) {
        record.version = error.version;
        record.stream = number(kStreamPrefix, error.stream);
        return true;
    }
    record.first = error.position.value;
    if (error.code == ErrorCode::condition_failed) return true;
    shared_.fail("an append failed", error.message.c_str());
    return false;
}

Operation* Client::read(const Operation& asked) {
    std::uint64_t number = 0;
    Operation* const record = shared_.claim(number);
    if (record == nullptr) return nullptr;
    *record = asked;
    record->client = number_;
    Named named;
    const Query query = query_of(record->condition, named);
    ReadOptions options;
    options.after = Position{record->after};
    options.limit = record->limit;
    if (record->backwards) options.direction = Direction::backwards;

    set_begun(*record);
    auto snapshot = store_.snapshot();
    if (!snapshot) {
        shared_.fail("no snapshot", snapshot.error().message.c_str());
        return nullptr;
    }
    record->first = snapshot->published().value;
    record->epoch = snapshot->epoch();
    Events events = record->condition.empty() ? snapshot->read(Source::all(), options)
                                              : snapshot->query(query, options);
    bool fits = true;
    auto seen = events.for_each([&](const EventView& event) {
        fits = fits && record->found.size() < record->found.capacity();
        if (fits) record->found.push(event.position.value);
    });
    if (!seen || !fits) {
        shared_.fail("a read failed", seen ? "more than its limit" : seen.error().message.c_str());
        return nullptr;
    }
    set_answered(*record, now_ns(), Outcome::read);
    shared_.answered.fetch_add(1, std::memory_order_relaxed);
    return record;
}

/// Others decide in between.
void Client::give_way() {
    if (below(3) == 0) std::this_thread::yield();
}

Operation Client::fresh(std::uint64_t events) {
    Operation operation;
    operation.with_ids = below(2) == 0;
    for (std::uint64_t n = 0; n < events; ++n) {
        Event event;
        if (below(4) != 0)
            event.stream = static_cast<Name>(below(2) == 0 ? below(kStreams) : kStreams + number_);
        event.type = static_cast<Name>(below(kTypes));
        if (below(3) == 0) event.tags.push(static_cast<Name>(below(kHotTags)));
        operation.events.push(event);
    }
    return operation;
}

/// Reads the newest event of a query and appends one that is among its answers, if nothing came.
void Client::decide(Items condition) {
    Operation newest;
    newest.condition = condition;
    newest.backwards = true;
    newest.limit = 1;
    const Operation* const seen = read(newest);
    if (seen == nullptr) return;
    give_way();
    Operation operation = fresh(below(4) == 0 ? 2 : 1);
    Event& event = operation.events[below(operation.events.size())];
    event.tags = condition[condition.size() > 1 ? below(2) : 0].tags;
    if (!condition[0].types.empty()) event.type = condition[0].types[0];
    operation.condition = condition;
    operation.after = seen->first;
    operation.epoch = seen->epoch;
    append(operation);
}

/// Nobody else has this tag: what this client appended last is what there is.
void Client::decide_alone() {
    const auto own = static_cast<Name>(kOwnTags + number_);
    if (!alone_) {
        Operation newest;
        newest.condition = one_tag(own);
        newest.backwards = true;
        newest.limit = 1;
        const Operation* const seen = read(newest);
        if (seen == nullptr) return;
        alone_ = seen_of(*seen);
    }
    Operation operation = fresh(1);
    operation.events[0].tags.clear();
    operation.events[0].tags.push(own);
    operation.condition = one_tag(own);
    operation.after = alone_->position.value;
    operation.epoch = alone_->epoch;
    const Operation* const done = append(operation);
    if (done == nullptr || done->outcome != Outcome::placed) return alone_.reset();
    alone_->position = Position{done->first};
}

/// Demands the version that a stream had when this client saw it last.
void Client::demand(bool conditional) {
    const auto stream = static_cast<Name>(below(kStreams));
    Operation operation = fresh(1);
    if (conditional) {
        Operation newest;
        newest.condition = one_tag(static_cast<Name>(below(kHotTags)));
        newest.limit = 1;
        newest.backwards = true;
        const Operation* const seen = read(newest);
        if (seen == nullptr) return;
        operation.condition = newest.condition;
        operation.after = seen->first;
        operation.epoch = seen->epoch;
        operation.events[0].tags = newest.condition[0].tags;
    }
    operation.events[0].stream = stream;
    operation.demands.push({stream, Expected::version(versions_[stream])});
    give_way();
    const Operation* const done = append(operation);
    if (done == nullptr || done->outcome == Outcome::condition_failed) return;
    versions_[stream] = done->version;
}

/// A name that nobody may have had before.
void Client::reserve() {
    Operation operation = fresh(1);
    const auto name = static_cast<Name>(kNames + below(kNameCount));
    operation.events[0].tags.clear();
    operation.events[0].tags.push(name);
    operation.condition = one_tag(name);
    append(operation);
}

/// Somebody else's append, done or just being made, once more.
void Client::repeat_somebody() {
    const std::uint64_t count = shared_.count();
    if (count == 0) return;
    Operation& other = shared_.records()[count - 1 - below(std::min<std::uint64_t>(count, 64))];
    if (has_begun(other) && other.with_ids) repeat(other);
}

void Client::repeat(const Operation& recorded) {
    Operation again;
    again.group = recorded.group;
    again.with_ids = recorded.with_ids;
    again.events = recorded.events;
    again.demands = recorded.demands;
    again.condition = recorded.condition;
    again.after = recorded.after;
    again.epoch = recorded.epoch;
    append(again);
}

void Client::look() {
    Operation operation;
    operation.limit = 1 + below(kMaxFound);
    operation.backwards = below(2) == 0;
    if (below(4) != 0) operation.condition = one_tag(static_cast<Name>(below(kHotTags)));
    if (operation.condition.size() == 1 && below(2) == 0) {
        Item item;
        item.types.push(static_cast<Name>(below(kTypes)));
        item.tags.push(static_cast<Name>(below(kHotTags)));
        operation.condition.push(item);
    }
    auto snapshot = store_.snapshot();
    const std::uint64_t end = snapshot ? snapshot->published().value : 0;
    operation.after = end > 200 ? end - below(200) : 0;
    read(operation);
}

void Client::act() {
    const std::uint64_t choice = below(100);
    if (choice < 35) return decide(one_tag(static_cast<Name>(below(kHotTags))));
    if (choice < 45) {
        Items items = one_tag(static_cast<Name>(below(kHotTags)));
        items[0].types.push(static_cast<Name>(below(kTypes)));
        Item both;
        both.tags.push(0);
        both.tags.push(1);
        items.push(both);
        return decide(items);
    }
    if (choice < 60) return decide_alone();
    if (choice < 70) return demand(false);
    if (choice < 76) return demand(true);
    if (choice < 82) return reserve();
    if (choice < 88) return static_cast<void>(append(fresh(1 + below(kMaxEvents))));
    if (choice < 92) return repeat_somebody();
    look();
}

}  // namespace varve::test::linear
