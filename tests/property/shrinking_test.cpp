// Goal: the same as history_test, with histories that shrink: a failure is told as the shortest
// list of steps that still fails. Method: RapidCheck makes lists of steps; each is carried out on a
// store in the simulated world (64 KiB segments, keys of 8 bits that collide all the time) and on
// the naive model, with closings, kills, power cuts, readers and reads of every kind in between. A
// failure prints RC_PARAMS="reproduce=…", which replays it.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "model/model_store.hpp"
#include "os/sim_env.hpp"

namespace varve::test {
namespace {

const char* const kStreams[] = {"", "order-1", "order-2", "order/3", "plain", "cart-9"};
const char* const kTypes[] = {"", "Placed", "Paid"};
const char* const kTags[] = {"a", "b", "c/1", "c/2"};

struct Step {
    enum class Kind : std::uint8_t { append, read, reopen, kill, cut, sync };
    Kind kind = Kind::append;
    std::uint32_t a = 0, b = 0, c = 0, d = 0;  ///< what they mean depends on the kind
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
    static const char* const kNames[] = {"append", "read", "reopen", "kill", "cut", "sync"};
    return out << kNames[static_cast<std::size_t>(step.kind)] << '(' << step.a << ',' << step.b
               << ',' << step.c << ',' << step.d << ')';
}

rc::Gen<Step> any_step() {
    using Kind = Step::Kind;
    const auto number = rc::gen::inRange<std::uint32_t>(0, 1 << 16);
    return rc::gen::construct<Step>(rc::gen::weightedElement<Kind>({{12, Kind::append},
                                                                    {12, Kind::read},
                                                                    {2, Kind::reopen},
                                                                    {2, Kind::kill},
                                                                    {1, Kind::cut},
                                                                    {1, Kind::sync}}),
                                    number, number, number, number);
}

/// A store and its model, taken through the steps.
class Pair {
public:
    Pair() { open(); }

    void carry_out(const Step& step) {
        switch (step.kind) {
            case Step::Kind::append: return append(step);
            case Step::Kind::read: return read(step);
            case Step::Kind::sync: return RC_ASSERT(store_->sync().has_value());
            case Step::Kind::reopen: {
                if (step.a % 2 == 0) RC_ASSERT(store_->close().has_value());
                store_.reset();
                if (step.b % 3 == 0) forget_indexes();
                return open();
            }
            case Step::Kind::kill: {
                auto after = world_->kill(step.a);
                return move_to(std::move(after));
            }
            case Step::Kind::cut: {
                RC_ASSERT(store_->sync().has_value());
                auto after = world_->power_cut(step.a, {});
                return move_to(std::move(after));
            }
        }
    }
    void check_everything() {
        auto snapshot = store_->snapshot();
        RC_ASSERT(snapshot.has_value());
        RC_ASSERT(snapshot->published().value == model_.events().size());
        for (const ModelEvent& wanted : model_.events()) {
            auto found = snapshot->at(Position{wanted.position});
            RC_ASSERT(found.has_value());
            RC_ASSERT(found->stream == wanted.stream);
            RC_ASSERT(found->type == wanted.type);
            RC_ASSERT(found->data == wanted.data);
            RC_ASSERT(found->revision.value == wanted.revision);
            RC_ASSERT(std::equal(found->tags.begin(), found->tags.end(), wanted.tags.begin(),
                                 wanted.tags.end()));
        }
        auto report = Store::verify("store", options(Access::read_only));
        RC_ASSERT(report.has_value());
        RC_ASSERT(report->damaged.empty());
    }

private:
    OpenOptions options(Access access) {
        OpenOptions options;
        options.env = world_.get();
        options.access = access;
        options.durability = Durability::os;
        options.segment_size_first = 64 << 10;
        options.segment_size_max = 64 << 10;
        options.hash_bits = 8;
        return options;
    }
    void open() {
        auto opened = Store::open("store", options(Access::read_write));
        if (!opened) RC_FAIL("cannot open: " + opened.error().message);
        store_ = std::move(*opened);
    }
    void move_to(std::unique_ptr<os::SimEnv> world) {
        store_.reset();
        world_ = std::move(world);
        open();
    }
    void forget_indexes() {
        const auto names = world_->list("store/index");
        for (const std::string& name : *names)
            RC_ASSERT(world_->remove("store/index/" + name).has_value());
    }
    static Expected demand_of(std::uint32_t pick, std::uint64_t version) {
        switch (pick % 6) {
            case 0: return Expected::version(version);
            case 1: return Expected::version(version + pick % 3);
            case 2: return Expected::no_stream();
            case 3: return Expected::stream_exists();
            default: return Expected::any();
        }
    }
    static ModelEvent event_of(std::uint32_t pick, std::uint32_t size) {
        ModelEvent made;
        made.stream = kStreams[pick % std::size(kStreams)];
        made.type = kTypes[pick / 7 % std::size(kTypes)];
        for (std::size_t n = 0; n < std::size(kTags); ++n) {
            if ((pick >> (4 + n) & 1U) != 0) made.tags.push_back(kTags[n]);
        }
        made.data.assign(size, static_cast<char>('a' + pick % 26));
        return made;
    }
    void append(const Step& step) {
        std::vector<ModelEvent> events;
        const std::uint32_t size = step.b % 9 == 0 ? step.b / 3 : step.b % 5'000;
        for (std::uint32_t n = 0; n <= step.a % 3; ++n)
            events.push_back(event_of(step.c + n * 31, size));
        std::map<std::string, Expected> each;
        for (std::uint32_t n = 0; n < step.d / 6 % 3; ++n) {
            const std::string stream = kStreams[1 + (step.d / 18 + n) % (std::size(kStreams) - 1)];
            each[stream] = demand_of(step.d + n, model_.version(stream));
        }
        const Expected every = each.empty()
                                   ? demand_of(step.d, model_.version(events.front().stream))
                                   : Expected::any();
        std::vector<NewEvent> given(events.size());
        for (std::size_t n = 0; n < events.size(); ++n) {
            given[n].stream = events[n].stream;
            given[n].type = events[n].type;
            given[n].data = events[n].data;
            given[n].tags.assign(events[n].tags.begin(), events[n].tags.end());
        }
        AppendOptions append;
        append.expected =
            each.empty() ? Expectations(every)
                         : Expectations(std::vector<Expectations::Each>(each.begin(), each.end()));
        auto done = store_->append(given, append);
        if (!model_.allows(events, every, each)) {
            RC_ASSERT(!done.has_value());
            RC_ASSERT(done.error().code == ErrorCode::wrong_expected_version);
            RC_ASSERT(done.error().version == model_.version(done.error().stream));
            return;
        }
        if (!done) RC_FAIL("refused: " + done.error().message);
        RC_ASSERT(done->first.value == model_.events().size() + 1);
        const std::string last = events.back().stream;
        model_.append(events);
        RC_ASSERT(done->last.value == model_.events().size());
        RC_ASSERT(done->version == model_.version(last));
        for (const StreamVersion& left : done->versions)
            RC_ASSERT(left.version == model_.version(std::string(left.stream)));
    }
    void read(const Step& step) {
        const auto bound = static_cast<std::uint32_t>(model_.events().size() + 2);
        ReadOptions options;
        if (step.a % 3 == 0) options.from = Position{step.b % bound};
        if (step.a / 3 % 3 == 0) options.until = Position{step.c % bound};
        if (step.a / 9 % 4 == 0) options.after = Position{step.d % bound};
        if (step.a / 36 % 3 == 0) options.limit = step.b / 7 % 6;
        if (step.a / 108 % 2 == 0) options.direction = Direction::backwards;
        if (step.a / 216 % 5 == 0) options.from_revision = Revision{step.c / 7 % 9};
        if (step.a / 216 % 7 == 0) options.until_revision = Revision{step.d / 7 % 9};
        if (step.a / 216 % 2 == 0) options.verify = Verify::trusted;
        const Source sources[] = {Source::all(),
                                  Source::stream(kStreams[1 + step.c % 5]),
                                  Source::category(step.c % 2 == 0 ? "order" : "cart"),
                                  Source::type(kTypes[1 + step.c % 2]),
                                  Source::tag(kTags[step.c % 4]),
                                  Source::tag("never")};
        const Source source = sources[step.d % std::size(sources)];
        const bool by_reader = step.b % 4 == 0;
        auto reader = by_reader ? Store::open("store", this->options(Access::read_only))
                                : Result<Store>(Error{});
        if (by_reader) RC_ASSERT(reader.has_value());
        auto snapshot = by_reader ? reader->snapshot() : store_->snapshot();
        RC_ASSERT(snapshot.has_value());
        std::vector<std::uint64_t> found;
        auto seen = snapshot->read(source, options).for_each([&](const EventView& event) {
            found.push_back(event.position.value);
        });
        if (!seen) RC_FAIL("reading: " + seen.error().message);
        RC_ASSERT(found == model_.read(source, options));
        check_seen(*seen, source, options, found);
        const std::string stream = kStreams[1 + step.b % 5];
        RC_ASSERT(*snapshot->version(stream) == model_.version(stream));
    }
    /// What the comment of `Events::seen` says, in plain words.
    void check_seen(const Seen& seen, Source source, const ReadOptions& options,
                    const std::vector<std::uint64_t>& found) {
        const std::uint64_t end = model_.events().size();
        const std::uint64_t from = options.from.value, until = options.until.value;
        const std::uint64_t from_r = options.from_revision.value,
                            until_r = options.until_revision.value;
        const bool backwards = options.direction == Direction::backwards ||
                               (from != 0 && until != 0 && from > until) ||
                               (from_r != 0 && until_r != 0 && from_r > until_r);
        std::uint64_t wanted = until != 0 ? std::min(until, end) : end;
        // The first event of the stream beyond the last revision wanted was not looked past.
        for (const ModelEvent& event : model_.events()) {
            const bool beyond = source.kind == Source::Kind::stream && until_r != 0 &&
                                event.stream == source.name && event.revision > until_r;
            if (beyond && event.position >= std::max(from, options.after.value + 1))
                wanted = std::min(wanted, event.position - 1);
        }
        if (found.size() == options.limit) wanted = found.empty() ? 0 : found.back();
        if (backwards) wanted = from != 0 ? std::min(from, end) : end;
        RC_ASSERT(seen.position.value == wanted);
    }

    std::unique_ptr<os::SimEnv> world_ = std::make_unique<os::SimEnv>(1);
    ModelStore model_;
    std::optional<Store> store_;
};

RC_GTEST_PROP(Shrinking, AnyHistoryIsAnsweredAsTheModelDoes, ()) {
    const auto steps = *rc::gen::container<std::vector<Step>>(any_step());
    Pair pair;
    for (const Step& step : steps) pair.carry_out(step);
    pair.check_everything();
}

/// The canary: the same property with a model that forgets must be refuted, and shrunk to an append
/// and nothing else.
TEST(Shrinking, AWrongModelIsRefutedAndShrunk) {
    std::vector<Step> shortest;
    rc::detail::TestParams params;
    params.seed = 1;
    const auto property = [&] {
        const auto steps = *rc::gen::container<std::vector<Step>>(any_step());
        const bool appends = std::any_of(steps.begin(), steps.end(), [](const Step& step) {
            return step.kind == Step::Kind::append;
        });
        if (appends) shortest = steps;
        RC_ASSERT(!appends);
    };
    const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata{}, params);
    EXPECT_TRUE(result.is<rc::detail::FailureResult>());
    ASSERT_EQ(shortest.size(), 1U);
}

}  // namespace
}  // namespace varve::test
