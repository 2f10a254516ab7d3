// Goal: queries, counts, append conditions and dry runs answer as looking at every event does.
// Method: random histories over small segments, in a simulated world whose indexes are sealed and
// merged at known moments, so that active, sealed, merged and mixed stores all come up; names
// collide on purpose in some; an index is lost now and then. Random trees of sets with random
// bounds are compared with the model, which looks at one event at a time.
#include <gtest/gtest.h>

#include <random>

#include "model/model_set.hpp"
#include "os/sim_env.hpp"
#include "support/small_store.hpp"

namespace varve::test {
namespace {

constexpr const char* kPath = "/s";

class Asking {
public:
    explicit Asking(std::uint64_t seed)
        : random_(seed), world_(seed), hash_bits_(seed % 3 == 0 ? 4 : 64) {}

    void run() {
        for (int session = 0; session < 5 && !::testing::Test::HasFailure(); ++session) {
            if (session > 0 && below(4) == 0) lose_an_index();
            auto store = Store::open(kPath, options());
            ASSERT_TRUE(store) << store.error().message;
            const std::uint64_t appends = below(120);
            for (std::uint64_t n = 0; n < appends && !::testing::Test::HasFailure(); ++n)
                append(*store);
            for (int n = 0; n < 60 && !::testing::Test::HasFailure(); ++n) ask(*store);
            note_indexes();
            world_.set_clock(world_.monotonic_us() + below(3) * 8'000'000);
            if (below(3) != 0) {
                auto closed = store->close();
                EXPECT_TRUE(closed) << closed.error().message;
            }
        }
    }

    [[nodiscard]] int sealed() const { return sealed_; }
    [[nodiscard]] int merged() const { return merged_; }

private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    /// Which kinds of indexes are there: the test means something only if all come up.
    void note_indexes() {
        auto names = world_.list(std::string(kPath) + "/index");
        if (!names) return;
        for (const std::string& name : *names) {
            const std::size_t dash = name.find('-');
            if (!name.ends_with(".idx") || dash == std::string::npos) continue;
            const bool one = name.substr(0, dash) == name.substr(dash + 1, dash);
            one ? ++sealed_ : ++merged_;
        }
    }
    OpenOptions options() {
        OpenOptions options = options_for(world_, Access::read_write, Durability::os);
        options.hash_bits = hash_bits_;
        return options;
    }
    std::string pick(std::initializer_list<const char*> names) {
        return *(names.begin() + below(names.size()));
    }
    ModelSet set() {
        return ModelSet::random([this](std::uint64_t bound) { return below(bound); },
                                static_cast<int>(below(4)));
    }

    void lose_an_index() {
        auto names = world_.list(std::string(kPath) + "/index");
        if (!names || names->empty()) return;
        const std::string path = std::string(kPath) + "/index/" + (*names)[below(names->size())];
        EXPECT_TRUE(world_.remove(path));
    }

    ModelEvent event() {
        ModelEvent made;
        made.stream = pick({"", "order-1", "order-2", "order/3", "größe-ü", "plain", "cart-9"});
        made.type = pick({"", "Placed", "Paid", "Shipped"});
        made.data.assign(below(20) == 0 ? 20'000 : below(900), ' ');
        if (below(3) != 0) made.data += "{\"n\": " + std::to_string(below(20)) + "}";
        const std::uint64_t tags = below(40) == 0 ? 40 : below(4);
        for (std::uint64_t n = 0; n < tags; ++n)
            made.tags.push_back("tag/" + std::to_string(below(12)));
        if (below(3) == 0) made.time_us = static_cast<std::int64_t>(below(1'000'000));
        return made;
    }

    static std::vector<NewEvent> given_by(const std::vector<ModelEvent>& events) {
        std::vector<NewEvent> given;
        for (const ModelEvent& one : events) {
            NewEvent made;
            made.stream = one.stream;
            made.type = one.type;
            made.data = one.data;
            made.tags.assign(one.tags.begin(), one.tags.end());
            made.time_us = one.time_us;
            given.push_back(made);
        }
        return given;
    }
    /// Between the looks of another append: what it must notice under the lock.
    void append_in_the_gap(Store& store) {
        if (inside_ || below(3) != 0) return;
        inside_ = true;
        std::vector<ModelEvent> events(1, event());
        auto done = store.append(given_by(events));
        ASSERT_TRUE(done) << done.error().message;
        model_.append(std::move(events));
        inside_ = false;
        in_the_gap_ = true;
    }
    /// A demand on the field `n`, for the store and for the model.
    struct Demand {
        std::optional<std::uint64_t> at_least;
        [[nodiscard]] std::optional<Matcher> matcher() const {
            if (!at_least) return std::nullopt;
            auto made = Matcher::compile(
                "{\"data\": {\"n\": {\"$gte\": " + std::to_string(*at_least) + "}}}");
            EXPECT_TRUE(made);
            return *made;
        }
        [[nodiscard]] bool holds(const ModelEvent& event) const {
            if (!at_least) return true;
            const std::size_t at = event.data.find(": ");
            return at != std::string::npos && std::stoull(event.data.substr(at + 2)) >= *at_least;
        }
    };
    Demand demand() {
        Demand made;
        if (below(3) == 0) made.at_least = below(22);
        return made;
    }

    void append(Store& store) {
        std::vector<ModelEvent> events(1 + below(below(6) == 0 ? 30 : 3));
        for (ModelEvent& one : events) one = event();
        const std::vector<NewEvent> given = given_by(events);
        const ModelSet forbidden = below(3) == 0 ? set() : ModelSet{};
        const std::uint64_t end = model_.events().size();
        // Mostly near the end: far back, nearly everything conflicts.
        const std::uint64_t after =
            below(3) == 0 ? below(end + 3) : end - std::min<std::uint64_t>(end, below(8));
        AppendOptions how;
        const Demand demanded = demand();
        how.condition = {forbidden.selector(), {Position{after}}, demanded.matcher()};
        how.dry_run = below(5) == 0;
        in_the_gap_ = false;
        world_.on_gap([&] { append_in_the_gap(store); });
        auto done = store.append(given, how);
        world_.on_gap({});
        judge(done, forbidden, demanded, after, how);
        if (!done) return;
        const std::uint64_t before = model_.events().size();
        EXPECT_EQ(done->first.value, before + 1);
        EXPECT_EQ(done->last.value, before + events.size());
        const std::string last = events.back().stream;
        std::uint64_t version = model_.version(last);
        for (const ModelEvent& one : events) version += one.stream == last ? 1U : 0U;
        EXPECT_EQ(done->version, last.empty() ? 0 : version);
        if (!how.dry_run) model_.append(std::move(events));
    }

    void judge(const Result<Appended>& done, const ModelSet& forbidden, const Demand& demanded,
               std::uint64_t after, const AppendOptions& how) {
        const bool given = !how.condition.fail_if_match.is_nothing();
        std::uint64_t newest = 0;
        for (const ModelEvent& there : model_.events())
            if (there.position > after && forbidden.has(there) && demanded.holds(there))
                newest = there.position;
        if (given && after > model_.events().size()) {
            ASSERT_FALSE(done);
            EXPECT_EQ(done.error().code, ErrorCode::stale);
        } else if (given && newest != 0) {
            ASSERT_FALSE(done) << how.condition.fail_if_match.text() << " after " << after;
            ASSERT_EQ(done.error().code, ErrorCode::condition_failed) << done.error().message;
            // What was there before is found first; the newest of all only if nothing came since.
            const std::uint64_t told = done.error().position.value;
            ASSERT_TRUE(told > after && told <= newest) << told << " of " << newest;
            if (!in_the_gap_) {
                EXPECT_EQ(told, newest);
            }
            const ModelEvent& there = model_.events()[told - 1];
            EXPECT_TRUE(forbidden.has(there) && demanded.holds(there));
            EXPECT_EQ(done.error().stream, there.stream);
            EXPECT_EQ(done.error().type, there.type);
            std::vector<std::string> tags;
            for (const std::string& tag : there.tags)
                if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
            EXPECT_EQ(done.error().tags, tags);
        } else {
            ASSERT_TRUE(done) << done.error().message << how.condition.fail_if_match.text();
        }
    }

    ReadOptions read_options() {
        ReadOptions options;
        const std::uint64_t count = model_.events().size() + 2;
        if (below(3) == 0) options.from = Position{below(count)};
        if (below(3) == 0) options.until = Position{below(count)};
        if (below(4) == 0) options.after = Position{below(count)};
        if (below(4) == 0) options.limit = below(10);
        if (below(2) == 0) options.direction = Direction::backwards;
        if (below(2) == 0) options.verify = Verify::trusted;
        if (below(4) == 0) options.since_us = static_cast<std::int64_t>(below(1'000'000));
        if (below(4) == 0) options.until_us = static_cast<std::int64_t>(below(1'000'000));
        return options;
    }

    /// What a read says that it has seen.
    [[nodiscard]] std::uint64_t seen_by(const ReadOptions& options,
                                        const std::vector<std::uint64_t>& found) const {
        const std::uint64_t from = options.from.value, until = options.until.value;
        const std::uint64_t end = model_.events().size();
        if (options.direction == Direction::backwards || (from != 0 && until != 0 && from > until))
            return from == 0 ? end : std::min(from, end);
        if (found.size() == options.limit) return found.empty() ? 0 : found.back();
        return until == 0 ? end : std::min(until, end);
    }

    void ask(const Store& store) {
        auto snapshot = store.snapshot();
        ASSERT_TRUE(snapshot) << snapshot.error().message;
        for (const ModelEvent& one : model_.events()) {
            if (one.time_us || one.recorded_us != 0) continue;
            auto there = snapshot->at(Position{one.position});
            ASSERT_TRUE(there) << there.error().message;
            model_.recorded(one.position, *there->recorded_us());
        }
        const ModelSet wanted = set();
        const Selector selector = wanted.selector();
        ASSERT_EQ(selector.error(), nullptr) << selector.error();
        ReadOptions options = read_options();
        const Demand demanded = demand();
        options.matcher = demanded.matcher();
        std::vector<std::uint64_t> found;
        auto seen = snapshot->query(selector, options).for_each([&](const EventView& e) {
            found.push_back(e.position.value);
        });
        ASSERT_TRUE(seen) << seen.error().message;
        const auto expected = model_.read_if(
            [&](const ModelEvent& event) { return wanted.has(event) && demanded.holds(event); },
            false, options);
        ASSERT_EQ(found, expected) << selector.text();
        EXPECT_EQ(seen->position.value, seen_by(options, expected)) << selector.text();
        auto count = snapshot->count(selector, options);
        ASSERT_TRUE(count) << count.error().message;
        EXPECT_EQ(*count, expected.size()) << selector.text();
        auto explained = snapshot->explain(selector, options);
        ASSERT_TRUE(explained) << explained.error().message;
        EXPECT_EQ(explained->events, expected.size());
        EXPECT_EQ(explained->selector, selector.text());
        auto again = Selector::decode(selector.encoded());
        ASSERT_TRUE(again);
        EXPECT_TRUE(*again == selector);
    }

    std::mt19937_64 random_;
    os::SimEnv world_;
    std::uint8_t hash_bits_;
    ModelStore model_;
    bool inside_ = false;      ///< an append in the gap of another
    bool in_the_gap_ = false;  ///< there was one
    int sealed_ = 0;
    int merged_ = 0;
};

TEST(Query, AnswersAsLookingAtEveryEventDoes) {
    int sealed = 0;
    int merged = 0;
    for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Asking asking(seed);
        asking.run();
        sealed += asking.sealed();
        merged += asking.merged();
    }
    EXPECT_GT(sealed, 100);
    EXPECT_GT(merged, 10);
}

}  // namespace
}  // namespace varve::test
