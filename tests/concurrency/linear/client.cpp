#include "concurrency/linear/client.hpp"

#include <algorithm>
#include <string>
#include <thread>

#include "concurrency/linear/naming.hpp"

namespace varve::test::linear {

namespace {

// Tags. Those at the beginning everybody wants, then one for each client, then names that are to be
// given out once.
constexpr Name kHotTags = 6;
constexpr Name kOnce = 1000;
constexpr Name kOnceCount = 5000;
constexpr Name kStreams = 4;  ///< that everybody writes; behind them one for each client
constexpr Name kTypes = 3;
constexpr Name kValues = 20;
constexpr std::uint64_t kFarBack = 5000;
constexpr Name kRecent = 12;  ///< definitions: those before are removed

std::vector<NewEvent> events_of(const Operation& asked, Named& named,
                                std::array<std::string, kMaxEvents>& data) {
    std::vector<NewEvent> events(asked.events.size());
    for (std::size_t n = 0; n < events.size(); ++n) {
        const Event& event = asked.events[n];
        NewEvent& to = events[n];
        data[n] = data_of(asked.group, n, event);
        to.data = data[n];
        if (event.stream != kNone) to.stream = named(kStreamPrefix, event.stream);
        if (event.type != kNone) to.type = named(kTypePrefix, event.type);
        for (const Name tag : event.tags) to.tags.push_back(named(tag_prefix(tag), tag));
        if (asked.with_ids) to.id = id_of(asked.group, n);
    }
    return events;
}

Choice one_tag(Name tag) {
    Item item;
    item.tags.push(tag);
    Choice choice;
    choice.any.push(item);
    return choice;
}

Item one_type(Name type) {
    Item item;
    item.types.push(type);
    return item;
}

void take_tags(const Item& item, Event& event) {
    event.tags.clear();
    for (const Name tag : item.tags) event.tags.push(tag);
}

Seen seen_of(const Operation& record) { return {Position{record.first}, record.epoch}; }

}  // namespace

Operation* Client::append(const Operation& asked) {
    std::uint64_t number = 0;
    Operation* const record = shared_.claim(number);
    if (record == nullptr) return nullptr;
    *record = asked;
    record->client = number_;
    record->kind = Kind::append;
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
        options.condition = {selector_of(record->condition, named),
                             {Position{record->after}, record->epoch},
                             matcher_of(record->condition.test)};
    }
    options.dry_run = record->dry;
    if (below(500) == 0) options.durability = Durability::disk;

    set_begun(*record);
    auto done = store_.append(events, options);
    const std::int64_t end = now_ns();
    Outcome outcome = Outcome::condition_failed;
    if (done) {
        record->first = done->first.value;
        record->version = done->version;
        outcome = record->dry ? Outcome::would_place : Outcome::placed;
        if (done->duplicate) outcome = Outcome::duplicate;
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
        record.stream = number_of(kStreamPrefix, error.stream);
        return true;
    }
    record.first = error.position.value;
    if (error.code == ErrorCode::condition_failed) return true;
    note_failure("an append failed", error, record);
    return false;
}

/// What the machine lacks says nothing about the store; everything else is judged.
void Client::note_failure(const char* what, const Error& error, Operation& record) {
    const bool machine = error.code == ErrorCode::no_space || error.code == ErrorCode::io ||
                         error.code == ErrorCode::out_of_memory || error.code == ErrorCode::busy;
    if (machine) return shared_.fail(what, error.message.c_str());
    shared_.note_amiss(what, error.message.c_str());
    set_answered(record, now_ns(), Outcome::failed);
}

Operation* Client::read(const Operation& asked) {
    std::uint64_t number = 0;
    Operation* const record = shared_.claim(number);
    if (record == nullptr) return nullptr;
    *record = asked;
    record->client = number_;
    Named named;
    const Selector chosen = selector_of(record->condition, named);
    ReadOptions options;
    options.matcher = matcher_of(record->condition.test);
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
    Events events = snapshot->query(chosen, options);
    bool fits = true;
    auto seen = events.for_each([&](const EventView& event) {
        fits = fits && record->found.size() < record->found.capacity();
        if (fits) record->found.push(event.position.value);
    });
    if (!seen) return note_failure("a read failed", seen.error(), *record), nullptr;
    if (!fits) return shared_.fail("a read failed", "more than its limit"), nullptr;
    set_answered(*record, now_ns(), Outcome::read);
    shared_.answered.fetch_add(1, std::memory_order_relaxed);
    return record;
}

void Client::change(Kind kind, Name defined, Name meaning) {
    std::uint64_t number = 0;
    Operation* const record = shared_.claim(number);
    if (record == nullptr) return;
    record->client = number_;
    record->kind = kind;
    record->defined = defined;
    record->meaning = kind == Kind::define ? meaning : Name{0};
    record->group = group_of(kind, defined, record->meaning);
    record->with_ids = kind == Kind::define;
    Named named;
    const NewDefinition definition = definition_of(defined, meaning, named);

    set_begun(*record);
    Outcome outcome = Outcome::placed;
    std::optional<Error> error;
    if (kind == Kind::define) {
        auto done = store_.define(definition);
        if (done) record->first = done->position.value;
        if (done && done->existed) outcome = Outcome::duplicate;
        if (!done) error = std::move(done).error();
    } else {
        auto done = kind == Kind::close ? store_.close_definition(definition.name)
                                        : store_.remove_definition(definition.name);
        if (!done) error = std::move(done).error();
    }
    const std::int64_t end = now_ns();
    if (error) {
        const bool refused = error->code == (kind == Kind::define ? ErrorCode::invalid_argument
                                                                  : ErrorCode::not_found);
        if (!refused) return note_failure("a definition failed", *error, *record);
        outcome = kind == Kind::define ? Outcome::other_meaning : Outcome::not_defined;
    }
    set_answered(*record, end, outcome);
    shared_.answered.fetch_add(1, std::memory_order_relaxed);
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
        event.type = below(8) == 0 ? kNone : static_cast<Name>(below(kTypes));
        if (below(3) == 0) event.tags.push(static_cast<Name>(below(kHotTags)));
        if (below(3) == 0) event.label = static_cast<Name>(below(kHotTags));
        if (below(3) == 0) event.kind = static_cast<Name>(below(kTypes));
        event.value = static_cast<Name>(below(kValues));
        operation.events.push(event);
    }
    return operation;
}

/// One of the last names of definitions that were given out.
Name Client::some_name(std::uint64_t of) {
    const std::uint64_t given = std::max<std::uint64_t>(shared_.named.load(), 1);
    return static_cast<Name>(given - 1 - below(std::min(given, of)));
}

/// A set of events with a complement, a matcher or a derived stream in it.
Choice Client::choose() {
    Choice choice = one_tag(static_cast<Name>(below(kHotTags)));
    const std::uint64_t kind = below(6);
    if (kind == 0) choice.none.push(one_type(static_cast<Name>(below(kTypes))));
    if (kind == 1) choice.test = {Test::What::at_least, static_cast<Name>(below(kValues))};
    if (kind == 2) choice.test = {Test::What::label_is, static_cast<Name>(below(kHotTags))};
    if (kind == 3) choice.any[0].derived = some_name(kRecent);
    if (kind == 4) {
        choice.any[0] = Item{};
        choice.any[0].derived = some_name(kRecent);
    }
    if (kind == 5) {
        choice.any.clear();  // events without a type, and without a tag
        for (Name type = 0; type + 1 < kTypes; ++type) choice.none.push(one_type(type));
        choice.test = {Test::What::at_least, static_cast<Name>(below(kValues))};
    }
    return choice;
}

/// One event in some hundreds: what the bounds of a read leave is read to its end.
Choice Client::few_events() {
    Choice choice;
    for (Name type = 1; type < kTypes; ++type) choice.none.push(one_type(type));
    choice.none[0].types.push(0);
    choice.test = {Test::What::label_is, static_cast<Name>(below(kHotTags))};
    return choice;
}

/// Reads the newest event of a query and appends one that is among its answers, if nothing came.
void Client::decide(const Choice& condition) {
    Operation newest;
    newest.condition = condition;
    newest.backwards = true;
    newest.limit = 1;
    // What has few events, and they are looked at one by one, is not looked for in all of the log.
    newest.after = seen_until_ > kFarBack ? seen_until_ - kFarBack : 0;
    const Operation* const seen = read(newest);
    if (seen == nullptr) return;
    seen_until_ = seen->first;
    give_way();
    Operation operation = fresh(below(4) == 0 ? 2 : 1);
    Event& event = operation.events[below(operation.events.size())];
    const Items& any = condition.any;
    if (!any.empty()) take_tags(any[any.size() > 1 ? below(2) : 0], event);
    if (!any.empty() && !any[0].types.empty()) event.type = any[0].types[0];
    operation.condition = condition;
    operation.after = seen->first;
    operation.epoch = seen->epoch;
    if (below(8) == 0) {
        Operation dry = operation;
        dry.dry = true;
        if (append(dry) == nullptr) return;
    }
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
        take_tags(newest.condition.any[0], operation.events[0]);
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
    const auto name = static_cast<Name>(kOnce + below(kOnceCount));
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
    if (recorded.kind == Kind::define) return define(recorded.defined, recorded.meaning);
    Operation again;
    again.group = recorded.group;
    again.with_ids = recorded.with_ids;
    again.dry = below(8) == 0;
    again.events = recorded.events;
    again.demands = recorded.demands;
    again.condition = recorded.condition;
    again.after = recorded.after;
    again.epoch = recorded.epoch;
    append(again);
}

void Client::define(Name name, Name meaning) {
    if (!shared_.names[name].begin_define()) return;
    change(Kind::define, name, meaning);
    shared_.names[name].end_define();
}

/// A name has one meaning, mostly; now and then somebody takes it for another.
void Client::define_something() {
    const auto meaning_of = [](Name name) { return static_cast<Name>(name % meanings().size()); };
    const std::uint64_t choice = below(10);
    if (choice < 4) {
        const std::uint32_t fresh = shared_.named.fetch_add(1);
        if (fresh >= kNames) {
            shared_.named.store(kNames);
            return;
        }
        define(static_cast<Name>(fresh), meaning_of(static_cast<Name>(fresh)));
        if (fresh < kRecent) return;
        const auto old = static_cast<Name>(fresh - kRecent);
        if (shared_.names[old].begin_remove()) change(Kind::remove, old, 0);
        return;
    }
    const Name name = some_name(choice < 7 ? 3 : 2 * kRecent);
    if (choice < 6) return define(name, meaning_of(name));
    if (choice < 7) return define(name, meaning_of(static_cast<Name>(name + 1)));
    if (choice < 9) {
        if (shared_.names[name].begin_close()) change(Kind::close, name, 0);
        return;
    }
    if (shared_.names[name].begin_remove()) change(Kind::remove, name, 0);
}

void Client::look() {
    Operation operation;
    operation.limit = 1 + below(kMaxFound);
    operation.backwards = below(2) == 0;
    if (below(4) != 0) operation.condition = one_tag(static_cast<Name>(below(kHotTags)));
    if (operation.condition.any.size() == 1 && below(2) == 0) {
        Item item = one_type(static_cast<Name>(below(kTypes)));
        item.tags.push(static_cast<Name>(below(kHotTags)));
        operation.condition.any.push(item);
    }
    if (below(3) == 0) operation.condition = choose();
    const bool all_of_few = below(6) == 0;
    if (all_of_few) {
        operation.condition = few_events();
        operation.limit = kMaxFound;
    }
    auto snapshot = store_.snapshot();
    const std::uint64_t end = snapshot ? snapshot->published().value : 0;
    const std::uint64_t back = below(all_of_few || below(4) == 0 ? 4000 : 200);
    operation.after = end > back ? end - back : 0;
    read(operation);
}

void Client::act() {
    const std::uint64_t choice = below(1000);
    if (choice < 250) return decide(one_tag(static_cast<Name>(below(kHotTags))));
    if (choice < 350) {
        Choice two = one_tag(static_cast<Name>(below(kHotTags)));
        two.any[0].types.push(static_cast<Name>(below(kTypes)));
        Item both;
        both.tags.push(0);
        both.tags.push(1);
        two.any.push(both);
        return decide(two);
    }
    if (choice < 450) return decide(choose());
    if (choice < 600) return decide_alone();
    if (choice < 700) return demand(false);
    if (choice < 760) return demand(true);
    if (choice < 820) return reserve();
    if (choice < 880) return static_cast<void>(append(fresh(1 + below(kMaxEvents))));
    if (choice < 920) return repeat_somebody();
    if (choice < 927) return define_something();
    look();
}

}  // namespace varve::test::linear
