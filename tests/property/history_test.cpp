// Goal: whatever is appended, reopened and asked, the store answers as the naive model does.
// Method: random histories over small segments, so that rolls are common; after each session every
// kind of read is compared, the index directory is deleted now and then, and names collide on
// purpose in some of the stores.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "model/model_store.hpp"
#include "support/temporary_directory.hpp"

namespace varve::test {
namespace {

class History {
public:
    explicit History(std::uint64_t seed) : random_(seed), hash_bits_(seed % 3 == 0 ? 4 : 64) {}

    void run() {
        for (int session = 0; session < 6 && !::testing::Test::HasFailure(); ++session) {
            if (session > 0 && below(3) == 0)
                std::filesystem::remove_all(directory_.store() + "/index");
            auto store = Store::open(directory_.store(), options());
            ASSERT_TRUE(store) << store.error().message;
            const std::uint64_t appends = below(25);
            for (std::uint64_t n = 0; n < appends; ++n) {
                if (model_.events().empty() || below(4) != 0)
                    append(*store, new_events());
                else
                    append(*store, known_events());
            }
            compare(*store);
            compare_reader();
            if (below(2) == 0) {
                auto closed = store->close();
                EXPECT_TRUE(closed) << closed.error().message;
            }
        }
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    OpenOptions options() {
        OpenOptions options;
        options.durability = below(4) == 0 ? Durability::disk : Durability::os;
        options.segment_size_first = 64 << 10;
        options.segment_size_max = 256 << 10;
        options.hash_bits = hash_bits_;
        return options;
    }
    std::string pick(std::initializer_list<const char*> names) {
        return *(names.begin() + below(names.size()));
    }

    ModelEvent event() {
        ModelEvent made;
        made.stream = pick({"", "order-1", "order-2", "order/3", "größe-ü", "plain", "cart-9"});
        made.type = pick({"", "Placed", "Paid", "Shipped"});
        const std::uint64_t shape = below(60);
        made.data.assign(shape == 0  ? 100'000
                         : shape < 8 ? 8'000
                                     : below(300),
                         static_cast<char>('a' + below(26)));
        if (below(3) == 0) made.metadata = "meta" + std::to_string(below(1000));
        const std::uint64_t tags = below(40) == 0 ? 64 : below(4);
        for (std::uint64_t n = 0; n < tags; ++n)
            made.tags.push_back("tag/" + std::to_string(below(tags > 10 ? 80 : 12)));
        if (below(3) == 0) made.time_us = static_cast<std::int64_t>(below(1'000'000)) - 500'000;
        if (below(3) != 0) made.id = new_id();
        return made;
    }
    EventId new_id() {
        EventId id;
        id.bytes[below(16)] = std::byte{1};  // most of them differ in few bytes
        const std::uint64_t number = ++ids_;
        std::memcpy(&id.bytes[4], &number, sizeof number);
        return id;
    }
    std::vector<ModelEvent> new_events() {
        std::vector<ModelEvent> events(1 + below(below(6) == 0 ? 40 : 4));
        for (ModelEvent& one : events) one = event();
        return events;
    }
    /// Events of an earlier append: repeated as they were, only the first of them, or changed.
    std::vector<ModelEvent> known_events() {
        const std::vector<ModelEvent>& all = model_.events();
        const std::uint64_t begin = all[below(all.size())].commit;
        std::vector<ModelEvent> events;
        for (std::size_t n = begin - 1; n < all.size() && all[n].commit == begin; ++n)
            events.push_back(all[n]);
        switch (below(8)) {
            case 0: events.resize(1 + below(events.size())); break;
            case 1: events.erase(events.begin()); break;
            case 2: std::reverse(events.begin(), events.end()); break;
            case 3: events.push_back(event()); break;
            case 4: events.insert(events.begin(), event()); break;
            case 5: events[below(events.size())].id.reset(); break;
            case 6: events[below(events.size())].id = new_id(); break;
            default: break;
        }
        if (below(4) == 0)
            for (ModelEvent& one : events) one.data = "what it says is not compared";
        if (events.empty()) events.push_back(event());
        return events;
    }
    /// What the store must answer to an append one of whose ids is there.
    void expect_known(const Result<Appended>& done, const std::vector<ModelEvent>& events) {
        const std::uint64_t first = model_.repeats(events);
        if (first == 0) {
            ASSERT_FALSE(done);
            ASSERT_EQ(done.error().code, ErrorCode::id_conflict) << done.error().message;
            ASSERT_NE(done.error().position.value, 0U);
            const ModelEvent& there = model_.events()[done.error().position.value - 1];
            EXPECT_TRUE(there.id &&
                        std::any_of(events.begin(), events.end(),
                                    [&](const ModelEvent& one) { return one.id == there.id; }));
            EXPECT_EQ(done.error().type, there.type);
            EXPECT_EQ(done.error().tags, there.tags);
            return;
        }
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_TRUE(done->duplicate);
        EXPECT_EQ(done->first.value, first);
        EXPECT_EQ(done->last.value, first + events.size() - 1);
        // Of that time, and of the events that are in the stream named now.
        std::uint64_t version = 0;
        for (std::size_t n = 0; n < events.size(); ++n) {
            const ModelEvent& there = model_.events()[first + n - 1];
            if (there.stream == events[n].stream && there.stream == events.back().stream)
                version = there.revision;
        }
        EXPECT_EQ(done->version, version);
    }

    void append(Store& store, std::vector<ModelEvent> events) {
        std::map<std::string, Expected> each;
        const auto demand = [&](const std::string& stream) {
            switch (below(4)) {
                case 0: return Expected::version(below(3) == 0 ? below(5) : model_.version(stream));
                case 1: return Expected::no_stream();
                case 2: return Expected::stream_exists();
                default: return Expected::any();
            }
        };
        Expected every = below(3) == 0 ? demand(events.front().stream) : Expected::any();
        if (below(4) == 0) each["order-1"] = demand("order-1");
        AppendOptions append;
        if (each.empty()) {
            append.expected = every;
        } else {
            every = Expected::any();
            std::vector<Expectations::Each> list;
            for (const auto& [name, wanted] : each) list.emplace_back(name, wanted);
            append.expected = Expectations(std::move(list));
        }
        std::vector<NewEvent> given;
        for (const ModelEvent& one : events) {
            NewEvent made;
            made.stream = one.stream;
            made.type = one.type;
            made.data = one.data;
            made.metadata = one.metadata;
            made.tags.assign(one.tags.begin(), one.tags.end());
            made.time_us = one.time_us;
            made.id = one.id;
            given.push_back(made);
        }
        auto done = store.append(given, append);
        if (model_.knows(events)) return expect_known(done, events);
        if (!model_.allows(events, every, each)) {
            ASSERT_FALSE(done);
            EXPECT_EQ(done.error().code, ErrorCode::wrong_expected_version);
            EXPECT_EQ(done.error().version, model_.version(done.error().stream));
            return;
        }
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_EQ(done->first.value, model_.events().size() + 1);
        EXPECT_FALSE(done->duplicate);
        const std::string last = events.back().stream;
        model_.append(std::move(events));
        EXPECT_EQ(done->last.value, model_.events().size());
        EXPECT_EQ(done->version, model_.version(last));
    }

    ReadOptions read_options() {
        ReadOptions options;
        const std::uint64_t count = model_.events().size() + 2;
        if (below(3) == 0) options.from = Position{below(count)};
        if (below(3) == 0) options.until = Position{below(count)};
        if (below(4) == 0) options.after = Position{below(count)};
        if (below(4) == 0) options.from_revision = Revision{below(12)};
        if (below(4) == 0) options.until_revision = Revision{below(12)};
        if (below(3) == 0) options.limit = below(10);
        if (below(2) == 0) options.direction = Direction::backwards;
        if (below(2) == 0) options.verify = Verify::trusted;
        return options;
    }

    void compare(const Store& store) {
        auto snapshot = store.snapshot();
        ASSERT_TRUE(snapshot) << snapshot.error().message;
        ASSERT_EQ(snapshot->published().value, model_.events().size());
        for (const ModelEvent& wanted : model_.events()) {
            auto found = snapshot->at(Position{wanted.position});
            ASSERT_TRUE(found) << found.error().message;
            EXPECT_EQ(found->stream, wanted.stream);
            EXPECT_EQ(found->revision.value, wanted.revision);
            EXPECT_EQ(found->type, wanted.type);
            EXPECT_EQ(found->data, wanted.data);
            EXPECT_EQ(found->metadata, wanted.metadata);
            EXPECT_TRUE(std::equal(found->tags.begin(), found->tags.end(), wanted.tags.begin(),
                                   wanted.tags.end()));
            EXPECT_EQ(found->time_us, wanted.time_us.value_or(found->time_us));
            EXPECT_EQ(found->id(), wanted.id);
            if (!wanted.id) continue;
            auto by_id = snapshot->find(*wanted.id);
            ASSERT_TRUE(by_id) << by_id.error().message;
            EXPECT_EQ(by_id->position.value, wanted.position);
        }
        for (int n = 0; n < 60; ++n) {
            const std::string stream =
                pick({"order-1", "order-2", "order/3", "größe-ü", "plain", "cart-9", "none"});
            const std::string type = pick({"Placed", "Paid", "Shipped", "Never"});
            const std::string tag = "tag/" + std::to_string(below(14));
            const std::string category = pick({"order", "cart", "größe", "plain"});
            const Source sources[] = {Source::all(), Source::stream(stream),
                                      Source::category(category), Source::type(type),
                                      Source::tag(tag)};
            const Source source = sources[below(5)];
            const ReadOptions options = read_options();
            std::vector<std::uint64_t> found;
            auto seen = snapshot->read(source, options).for_each([&](const EventView& e) {
                found.push_back(e.position.value);
            });
            ASSERT_TRUE(seen) << seen.error().message;
            EXPECT_EQ(found, model_.read(source, options));
            auto version = snapshot->version(stream);
            ASSERT_TRUE(version);
            EXPECT_EQ(*version, model_.version(stream));
        }
        compare_catalogue(*snapshot);
    }

    void compare_catalogue(const Snapshot& snapshot) {
        std::map<std::string, std::uint64_t> streams, tags, types;
        for (const ModelEvent& event : model_.events()) {
            if (!event.stream.empty()) ++streams[event.stream];
            if (!event.type.empty()) ++types[event.type];
            for (const std::string& tag : event.tags) ++tags[tag];
        }
        const auto equal = [](Result<std::vector<CatalogueEntry>> found,
                              const std::map<std::string, std::uint64_t>& wanted) {
            ASSERT_TRUE(found) << found.error().message;
            std::map<std::string, std::uint64_t> counts;
            for (const CatalogueEntry& entry : *found) counts[entry.name] = entry.count;
            EXPECT_EQ(counts, wanted);
        };
        equal(snapshot.streams(), streams);
        equal(snapshot.types(), types);
        equal(snapshot.tags(), tags);
    }

    /// A second opening that may not write sees the same, beside the writer.
    void compare_reader() {
        OpenOptions options;
        options.access = Access::read_only;
        auto reader = Store::open(directory_.store(), options);
        ASSERT_TRUE(reader) << reader.error().message;
        std::uint64_t delivered = 0;
        auto live = reader->follow();
        ASSERT_TRUE(live);
        while (delivered < model_.events().size()) {
            auto run = live->next(0);
            ASSERT_TRUE(run) << run.error().message;
            ASSERT_FALSE(run->empty());
            for (const EventView& event : *run) EXPECT_EQ(event.position.value, ++delivered);
        }
        auto rest = live->next(0);
        ASSERT_TRUE(rest);
        EXPECT_TRUE(rest->empty());
        EXPECT_TRUE(live->caught_up());
    }

    std::mt19937_64 random_;
    std::uint8_t hash_bits_;
    TemporaryDirectory directory_;
    ModelStore model_;
    std::uint64_t ids_ = 0;
};

class RandomHistories : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomHistories, AnswerAsTheModelDoes) {
    SCOPED_TRACE("replay: varve_property_tests --gtest_filter='*/RandomHistories.*/" +
                 std::to_string(GetParam()) + "'");
    History(GetParam()).run();
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomHistories, ::testing::Range<std::uint64_t>(0, 60));

TEST(Limits, AreRefusedByNameAndChangeNothing) {
    TemporaryDirectory directory;
    OpenOptions options;
    options.durability = Durability::os;
    auto store = Store::open(directory.store(), options);
    ASSERT_TRUE(store);
    const std::string long_name(1025, 'n');
    const std::string big(std::size_t{64} << 20, 'x');
    const std::string bigger = big + "x";
    const std::vector<std::string> many(65, "t");
    struct Case {
        NewEvent event;
        ErrorCode code;
    };
    std::vector<Case> cases = {{{.stream = long_name}, ErrorCode::invalid_argument},
                               {{.stream = "a\nb"}, ErrorCode::invalid_argument},
                               {{.type = "\xC3\x28"}, ErrorCode::invalid_argument},
                               {{.type = "$ours"}, ErrorCode::invalid_argument},
                               {{.stream = "\xED\xA0\x80"}, ErrorCode::invalid_argument},
                               {{.tags = {""}}, ErrorCode::invalid_argument},
                               {{.data = bigger}, ErrorCode::too_large}};
    NewEvent tagged;
    for (const std::string& tag : many) tagged.tags.push_back(tag);
    cases.push_back({tagged, ErrorCode::too_large});
    for (const Case& one : cases) {
        auto refused = store->append({one.event});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, one.code) << refused.error().message;
    }
    const std::vector<NewEvent> crowd(65'537);
    EXPECT_EQ(store->append(crowd).error().code, ErrorCode::too_large);
    EXPECT_EQ(store->append(std::span<const NewEvent>{}).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(store->snapshot()->published().value, 0U);
    auto fits = store->append({{.data = big}});
    EXPECT_TRUE(fits) << fits.error().message;
    EXPECT_EQ(store->snapshot()->at(Position{1})->data.size(), big.size());
}

}  // namespace
}  // namespace varve::test
