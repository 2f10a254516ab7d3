// Goal: derived streams and names that events get from their content answer as looking at every
// event does, whenever they were defined, closed or removed, and however far their past is listed.
// Method: random histories in a simulated world with small segments, so that the past is listed
// segment by segment between appends; indexes and lists of the past are lost or damaged now and
// then, names collide on purpose in some. A model keeps what each event carried when it was
// appended and looks at one event at a time. Old snapshots are asked again.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "os/sim_env.hpp"
#include "support/small_store.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

constexpr const char* kPath = "/s";
constexpr std::uint64_t kNever = ~0ULL;

/// An event as it was given, and what the store made of it.
struct Event {
    std::uint64_t position = 0;
    std::string stream;
    std::string type;
    std::vector<std::string> tags;
    std::optional<int> customer;
    std::vector<std::string> labels;
    std::string state;
    std::string user;
    bool broken = false;  ///< the data are no JSON
    std::string data;
    std::string metadata;
    std::vector<std::uint64_t> marks;  ///< definitions that it was sorted into when appended
};

bool holds(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// A matcher and the same thing said in C++.
struct Demand {
    std::string text;
    std::function<bool(const Event&)> holds;
};

struct ModelRule {
    std::uint64_t number = 0;
    DefinitionKind kind = DefinitionKind::stream;
    std::string name;
    std::optional<std::string> wanted_type;  ///< of the selector; none: all events
    bool negated = false;                    ///< the type is what it must not have
    std::optional<Demand> demand;
    std::string field;
    std::string prefix;
    std::uint64_t defined = 0;
    std::uint64_t closed = kNever;
    std::uint64_t removed = kNever;
    std::vector<std::size_t> names;  ///< rules that gave names when it was defined

    [[nodiscard]] bool in_force(std::uint64_t at) const { return defined <= at && removed > at; }
    [[nodiscard]] Selector selector() const {
        if (!wanted_type) return Selector::all();
        const Selector type = Selector::type(*wanted_type);
        return negated ? !type : type;
    }
    [[nodiscard]] bool selects(const std::string& type) const {
        return !wanted_type || (type == *wanted_type) != negated;
    }
    [[nodiscard]] NewDefinition definition() const {
        NewDefinition made;
        made.kind = kind;
        made.name = name;
        made.events = selector();
        if (demand) made.matcher = *Matcher::compile(demand->text);
        made.field = field;
        made.prefix = prefix;
        return made;
    }
};

/// A tree of sets for queries.
struct Set {
    enum class Kind { type, tag, derived, any_of, all_of, none_of } kind = Kind::type;
    std::string name;
    std::vector<Set> members;

    [[nodiscard]] Selector selector() const {
        std::vector<Selector> inside;
        for (const Set& member : members) inside.push_back(member.selector());
        switch (kind) {
            case Kind::type: return Selector::type(name);
            case Kind::tag: return Selector::tag(name);
            case Kind::derived: return Selector::derived(name);
            case Kind::any_of: return Selector::any_of(inside);
            case Kind::all_of: return Selector::all_of(inside);
            case Kind::none_of: return Selector::none_of(inside.front());
        }
        return {};
    }
};

/// Everything that was appended and defined.
class Model {
public:
    std::vector<Event> events;
    std::vector<ModelRule> rules;

    [[nodiscard]] const ModelRule* find(const std::string& name, std::uint64_t at) const {
        for (const ModelRule& rule : rules)
            if (rule.name == name && rule.in_force(at)) return &rule;
        return nullptr;
    }
    /// Names that a rule gives, by what the event itself says.
    [[nodiscard]] static std::vector<std::string> given(const ModelRule& rule, const Event& event) {
        std::vector<std::string> names;
        if (!rule.selects(event.type)) return names;
        if (rule.kind == DefinitionKind::type && !event.type.empty()) return names;
        if (rule.field == "metadata.user") {
            if (!event.user.empty()) names.push_back(rule.prefix + event.user);
        } else if (event.broken) {
            return names;
        } else if (rule.field == "data.customer") {
            if (event.customer) names.push_back(rule.prefix + std::to_string(*event.customer));
        } else if (rule.field == "data.labels") {
            for (const std::string& label : event.labels) names.push_back(rule.prefix + label);
        } else if (!event.state.empty()) {
            names.push_back(rule.prefix + event.state);
        }
        return names;
    }
    /// What becomes of an event that is appended at `position`.
    void take(Event event) {
        std::string type = event.type;
        std::vector<std::string> tags = event.tags;
        for (const ModelRule& rule : rules) {
            if (rule.kind == DefinitionKind::stream || rule.removed != kNever ||
                rule.closed != kNever)
                continue;
            for (const std::string& name : given(rule, event)) {
                if (rule.kind == DefinitionKind::tags) tags.push_back(name);
                if (rule.kind == DefinitionKind::type && type.empty()) type = name;
            }
        }
        for (const ModelRule& rule : rules) {
            const bool asks = rule.kind == DefinitionKind::stream && rule.demand &&
                              rule.closed == kNever && rule.removed == kNever;
            if (asks && rule.selects(type) && rule.demand->holds(event))
                event.marks.push_back(rule.number);
        }
        event.type = type;
        event.tags = tags;
        events.push_back(std::move(event));
    }

    [[nodiscard]] bool has(const Set& set, const Event& event, std::uint64_t at) const {
        const auto in = [&](const Set& member) { return has(member, event, at); };
        switch (set.kind) {
            case Set::Kind::type: return has_type(event, set.name, at);
            case Set::Kind::tag: return has_tag(event, set.name, at);
            case Set::Kind::derived: return has_derived(event, set.name, at);
            case Set::Kind::any_of: return std::any_of(set.members.begin(), set.members.end(), in);
            case Set::Kind::all_of: return std::all_of(set.members.begin(), set.members.end(), in);
            case Set::Kind::none_of: return !in(set.members.front());
        }
        return false;
    }

private:
    [[nodiscard]] bool has_tag(const Event& event, const std::string& tag, std::uint64_t at) const {
        return holds(event.tags, tag) ||
               std::any_of(rules.begin(), rules.end(), [&](const ModelRule& rule) {
                   return rule.kind == DefinitionKind::tags && rule.in_force(at) &&
                          event.position < rule.defined && holds(given(rule, event), tag);
               });
    }
    [[nodiscard]] bool has_type(const Event& event, const std::string& type,
                                std::uint64_t at) const {
        return event.type == type ||
               std::any_of(rules.begin(), rules.end(), [&](const ModelRule& rule) {
                   return rule.kind == DefinitionKind::type && rule.in_force(at) &&
                          event.position < rule.defined && holds(given(rule, event), type);
               });
    }
    [[nodiscard]] bool has_derived(const Event& event, const std::string& name,
                                   std::uint64_t at) const {
        const ModelRule* const rule = find(name, at);
        if (rule == nullptr || rule->kind != DefinitionKind::stream) return false;
        if (rule->demand) {
            if (event.position > rule->defined)
                return std::find(event.marks.begin(), event.marks.end(), rule->number) !=
                       event.marks.end();
            if (!rule->demand->holds(event)) return false;
            std::string type = event.type;
            for (const std::size_t n : rule->names) {
                if (rules[n].kind != DefinitionKind::type || !type.empty()) continue;
                const std::vector<std::string> names = given(rules[n], event);
                if (!names.empty()) type = names.front();
            }
            return rule->selects(type);
        }
        const std::uint64_t closed = rule->closed <= at ? rule->closed : kNever;
        if (event.position > closed) return false;
        if (!rule->wanted_type) return true;
        return has_type(event, *rule->wanted_type, at) != rule->negated;
    }
};

class Defining {
public:
    explicit Defining(std::uint64_t seed)
        : random_(seed), world_(seed), hash_bits_(seed % 3 == 0 ? 4 : 64) {}

    void run() {
        for (int session = 0; session < 4 && !failed(); ++session) {
            if (session > 0 && below(3) == 0) spoil_a_file();
            auto store = Store::open(kPath, options());
            ASSERT_TRUE(store) << store.error().message;
            for (std::uint64_t step = 0; step < 60 && !failed(); ++step) {
                const std::uint64_t choice = below(16);
                if (choice == 0)
                    define(*store);
                else if (choice == 1)
                    end(*store);
                else if (choice < 10)
                    append(*store);
                else if (choice < 11)
                    keep_a_snapshot(*store);
                else
                    ask(*store);
            }
            for (int n = 0; n < 10 && !failed(); ++n) ask(*store);
            old_.clear();
            note_lists();
            const bool close = below(3) != 0;
            if (!close) continue;
            auto closed = store->close();
            EXPECT_TRUE(closed) << closed.error().message;
        }
    }
    [[nodiscard]] int lists() const { return lists_; }
    [[nodiscard]] int partial() const { return partial_; }
    [[nodiscard]] int conflicts() const { return conflicts_; }
    [[nodiscard]] int in_the_gap() const { return in_the_gap_; }

private:
    struct Old {
        Snapshot snapshot;
    };

    static bool failed() { return ::testing::Test::HasFailure(); }
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    std::string pick(std::initializer_list<const char*> names) {
        return *(names.begin() + below(names.size()));
    }
    OpenOptions options() {
        OpenOptions options = options_for(world_, Access::read_write, Durability::os);
        options.hash_bits = hash_bits_;
        return options;
    }

    void note_lists() {
        auto names = world_.list(std::string(kPath) + "/index");
        if (!names) return;
        for (const std::string& name : *names) lists_ += name.ends_with(".past") ? 1 : 0;
    }
    /// Loses a file of the indexes, or flips a bit of a list of the past.
    void spoil_a_file() {
        const std::string directory = std::string(kPath) + "/index/";
        auto names = world_.list(directory);
        if (!names || names->empty()) return;
        const std::string path = directory + (*names)[below(names->size())];
        if (!path.ends_with(".past") || below(2) == 0) {
            EXPECT_TRUE(world_.remove(path));
            return;
        }
        auto file = world_.open(path, os::OpenMode::read_write, 0600);
        ASSERT_TRUE(file);
        std::byte one[1];
        const std::uint64_t at = below((*file)->size().value());
        ASSERT_TRUE((*file)->read_at(at, one));
        one[0] ^= std::byte{1};
        ASSERT_TRUE((*file)->write_at(at, one));
    }

    Event event() {
        Event made;
        made.stream = pick({"", "order-1", "order-2", "cart-9"});
        made.type = pick({"", "Placed", "Paid", "open"});
        for (std::uint64_t n = below(3); n > 0; --n) {
            const std::string tag = "customer/" + std::to_string(below(6));
            if (!holds(made.tags, tag)) made.tags.push_back(tag);
        }
        if (below(3) != 0) made.customer = static_cast<int>(below(6));
        for (std::uint64_t n = below(3); n > 0; --n) made.labels.push_back(pick({"a", "b", "ü"}));
        if (below(2) == 0) made.state = pick({"open", "Placed", "sent"});
        if (below(2) == 0) made.user = pick({"ann", "bob"});
        made.broken = below(12) == 0;
        write(made);
        return made;
    }
    /// The texts, spelt in one of several ways.
    void write(Event& made) {
        const std::string gap(below(3) == 0 ? below(900) : 0, ' ');
        std::string& data = made.data;
        data = "{" + gap;
        if (below(4) == 0) data += "\"customer\": 77, \"state\": null, ";  // the last ones count
        const bool twice = data.size() > gap.size() + 1;
        data += "\"customer\": ";
        data +=
            made.customer ? std::to_string(*made.customer) + (below(4) == 0 ? ".0" : "") : "null";
        if (!made.state.empty() || twice)
            data += made.state.empty() ? ", \"state\": null"
                                       : ", \"st\\u0061te\": \"" + made.state + "\"";
        data += ",\"labels\":[";
        for (std::size_t n = 0; n < made.labels.size(); ++n)
            data += std::string(n > 0 ? "," : "") + "\"" +
                    (made.labels[n] == "ü" ? "\\u00fc" : made.labels[n]) + "\"";
        data += "], \"deep\": {\"customer\": 3, \"state\": \"open\"}";
        data += made.broken ? "" : "}";
        if (!made.user.empty()) made.metadata = "{\"user\": \"" + made.user + "\"}";
    }

    void append(Store& store) {
        std::vector<Event> events(1 + below(below(5) == 0 ? 40 : 3));
        std::vector<NewEvent> given;
        for (Event& one : events) one = event();
        for (const Event& one : events) {
            NewEvent& made = given.emplace_back();
            made.stream = one.stream;
            made.type = one.type;
            made.data = one.data;
            made.metadata = one.metadata;
            made.tags.assign(one.tags.begin(), one.tags.end());
        }
        AppendOptions how;
        const Set forbidden = set(2);
        const std::uint64_t after = end_ - std::min<std::uint64_t>(end_, below(20));
        if (below(3) == 0) how.condition = {forbidden.selector(), {Position{after}}, {}};
        world_.on_gap([&] {
            if (below(8) != 0) return;
            ++in_the_gap_;
            define(store);
        });
        auto done = store.append(given, how);
        world_.on_gap({});
        std::uint64_t newest = 0;
        if (!how.condition.fail_if_match.is_nothing()) {
            for (const Event& there : model_.events)
                if (there.position > after && model_.has(forbidden, there, end_))
                    newest = there.position;
        }
        if (newest != 0) {
            ++conflicts_;
            ASSERT_FALSE(done) << how.condition.fail_if_match.text();
            EXPECT_EQ(done.error().code, ErrorCode::condition_failed) << done.error().message;
            EXPECT_EQ(done.error().position.value, newest);
            return;
        }
        ASSERT_TRUE(done) << done.error().message;
        ASSERT_EQ(done->first.value, end_ + 1);
        for (Event& one : events) {
            one.position = ++end_;
            model_.take(std::move(one));
        }
    }

    static bool is_open(const Event& event) { return !event.broken && event.state == "open"; }
    Demand demand() {
        const int customer = static_cast<int>(below(6));
        const std::string number = std::to_string(customer);
        switch (below(6)) {
            case 0: return {R"({"data":{"state":"open"}})", is_open};
            case 1:
                return {R"({"data":{"customer":[)" + number + R"(,1]}})",
                        [customer](const Event& e) {
                            return !e.broken && e.customer &&
                                   (*e.customer == customer || *e.customer == 1);
                        }};
            case 2:
                return {R"({"data":{"labels":{"$has":"ü"}}})",
                        [](const Event& e) { return !e.broken && holds(e.labels, "ü"); }};
            case 3:
                return {R"({"data":{"customer":{"$gte":)" + number + "}}}",
                        [customer](const Event& e) {
                            return !e.broken && e.customer && *e.customer >= customer;
                        }};
            case 4:
                return {R"({"metadata":{"user":"ann"}})",
                        [](const Event& e) { return e.user == "ann"; }};
            default:
                return {
                    R"({"data":{"state":"open","customer":)" + number + "}}",
                    [customer](const Event& e) { return is_open(e) && e.customer == customer; }};
        }
    }

    void define(Store& store) {
        std::vector<ModelRule> fresh(1 + below(3));
        for (ModelRule& rule : fresh) {
            rule.name = pick({"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"});
            const std::uint64_t kind = below(4);
            if (kind < 2) {
                if (below(2) == 0) rule.wanted_type = pick({"Placed", "open"});
                rule.negated = below(3) == 0;
                if (kind == 0 || !rule.wanted_type) rule.demand = demand();
            } else if (kind == 2) {
                rule.kind = DefinitionKind::tags;
                const std::uint64_t which = below(3);
                rule.field = which == 0   ? "data.customer"
                             : which == 1 ? "data.labels"
                                          : "metadata.user";
                rule.prefix = which == 0 ? "customer/" : which == 1 ? "label/" : "";
            } else {
                rule.kind = DefinitionKind::type;
                rule.field = "data.state";
            }
        }
        std::vector<NewDefinition> wanted;
        bool refused = false;
        std::map<std::string, int> names;
        for (const ModelRule& rule : fresh) {
            wanted.push_back(rule.definition());
            const ModelRule* const there = model_.find(rule.name, kNever - 1);
            refused = refused || (there == nullptr && ++names[rule.name] > 1) ||
                      (there != nullptr && !same(*there, rule));
        }
        auto done = store.define(wanted);
        if (refused) {
            ASSERT_FALSE(done);
            EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
            return;
        }
        ASSERT_TRUE(done) << done.error().message;
        for (std::size_t n = 0; n < fresh.size(); ++n) {
            ASSERT_EQ((*done)[n].existed, model_.find(fresh[n].name, kNever - 1) != nullptr);
            if ((*done)[n].existed) continue;
            ModelRule& rule = fresh[n];
            rule.number = ++version_;
            rule.defined = ++end_;
            EXPECT_EQ((*done)[n].number, rule.number);
            EXPECT_EQ((*done)[n].position.value, rule.defined);
            for (std::size_t other = 0; other < model_.rules.size(); ++other) {
                const ModelRule& one = model_.rules[other];
                if (one.kind != DefinitionKind::stream && one.removed == kNever &&
                    one.closed == kNever)
                    rule.names.push_back(other);
            }
            model_.rules.push_back(rule);
        }
    }
    static bool same(const ModelRule& a, const ModelRule& b) {
        const std::string no;
        return a.kind == b.kind && a.selector() == b.selector() && a.field == b.field &&
               a.prefix == b.prefix && a.demand.has_value() == b.demand.has_value() &&
               (!a.demand || Matcher::compile(a.demand->text)->text() ==
                                 Matcher::compile(b.demand->text)->text());
    }

    void end(Store& store) {
        const std::string name = pick({"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"});
        const bool remove = below(2) == 0;
        auto done = remove ? store.remove_definition(name) : store.close_definition(name);
        for (ModelRule& rule : model_.rules) {
            if (rule.name != name || rule.removed != kNever) continue;
            ASSERT_TRUE(done) << done.error().message;
            if (!remove && rule.closed != kNever) return;
            ++version_;
            ++end_;
            if (rule.closed == kNever) rule.closed = end_;
            if (remove) rule.removed = end_;
            return;
        }
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::not_found);
    }

    Set set(int depth) {
        const std::uint64_t shape = below(depth == 0 ? 4 : 7);
        switch (shape) {
            case 0: return {Set::Kind::type, pick({"Placed", "Paid", "open", "sent"}), {}};
            case 1:
                return {
                    Set::Kind::tag,
                    pick({"customer/1", "customer/2", "label/a", "label/ü", "ann", "customer/77"}),
                    {}};
            case 2:
            case 3:
                return {
                    Set::Kind::derived, pick({"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"}), {}};
            default: break;
        }
        Set made{shape == 4   ? Set::Kind::any_of
                 : shape == 5 ? Set::Kind::all_of
                              : Set::Kind::none_of,
                 "",
                 {}};
        for (std::uint64_t n = shape == 6 ? 1 : 1 + below(3); n > 0; --n)
            made.members.push_back(set(depth - 1));
        return made;
    }

    void keep_a_snapshot(Store& store) {
        auto snapshot = store.snapshot();
        ASSERT_TRUE(snapshot) << snapshot.error().message;
        if (old_.size() < 5) old_.push_back({*snapshot});
    }

    void ask(const Store& store) {
        auto now = store.snapshot();
        ASSERT_TRUE(now) << now.error().message;
        const bool old = !old_.empty() && below(3) == 0;
        const Snapshot& snapshot = old ? old_[below(old_.size())].snapshot : *now;
        const std::uint64_t end = snapshot.published().value;
        ASSERT_TRUE(old || end == end_);
        const Set wanted = set(static_cast<int>(below(4)));
        const Selector selector = wanted.selector();
        std::vector<std::uint64_t> expected;
        for (const Event& event : model_.events)
            if (event.position <= end && model_.has(wanted, event, end))
                expected.push_back(event.position);
        ReadOptions how;
        if (below(2) == 0) how.verify = Verify::trusted;
        auto count = snapshot.count(selector, how);
        ASSERT_TRUE(count) << count.error().message;
        EXPECT_EQ(*count, expected.size()) << selector.text() << " at " << end;
        if (below(2) == 0) {
            how.direction = Direction::backwards;
            std::reverse(expected.begin(), expected.end());
        }
        std::vector<std::uint64_t> found;
        auto seen = snapshot.query(selector, how).for_each([&](const EventView& event) {
            found.push_back(event.position.value);
            for (const std::string_view tag : event.tags) EXPECT_NE(tag.front(), '$');
        });
        ASSERT_TRUE(seen) << seen.error().message;
        ASSERT_EQ(found, expected) << selector.text() << " at " << end;
        if (!old) look_at_definitions(snapshot);
    }

    void look_at_definitions(const Snapshot& snapshot) {
        auto there = snapshot.definitions();
        ASSERT_TRUE(there) << there.error().message;
        std::vector<std::string> names;
        for (const Definition& one : *there) {
            names.push_back(one.name);
            partial_ += !one.complete && one.listed.value > 0 ? 1 : 0;
        }
        std::vector<std::string> expected;
        for (const ModelRule& rule : model_.rules)
            if (rule.in_force(end_)) expected.push_back(rule.name);
        ASSERT_EQ(names, expected);
    }

    std::mt19937_64 random_;
    os::SimEnv world_;
    std::uint8_t hash_bits_;
    Model model_;
    std::uint64_t end_ = 0;
    std::uint64_t version_ = 0;
    std::vector<Old> old_;
    int lists_ = 0;
    int partial_ = 0;
    int conflicts_ = 0;
    int in_the_gap_ = 0;  ///< definitions between the looks of an append
};

TEST(Definitions, AnswerAsLookingAtEveryEventDoes) {
    int lists = 0;
    int partial = 0;
    int conflicts = 0;
    int in_the_gap = 0;
    for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Defining defining(seed);
        defining.run();
        lists += defining.lists();
        partial += defining.partial();
        conflicts += defining.conflicts();
        in_the_gap += defining.in_the_gap();
    }
    EXPECT_GT(lists, 100);
    EXPECT_GT(partial, 100);
    EXPECT_GT(conflicts, 100);
    EXPECT_GT(in_the_gap, 100);
}

}  // namespace
}  // namespace varve::test
