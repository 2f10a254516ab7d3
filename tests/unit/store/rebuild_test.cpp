// Goal: a store whose indexes are missing opens without reading the segments that no longer grow;
// what is asked is answered in full from the first moment, and in the end all are sealed again.
// Method: the directory of the indexes is emptied, in the real system with background threads that
// wait at a gate, and scans of each segment are counted; in a simulated world with a kill between
// any two steps, and with damage in the log.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "log/format.hpp"
#include "os/sim_env.hpp"
#include "support/gate_env.hpp"
#include "support/small_store.hpp"
#include "support/temporary_directory.hpp"
#include "support/workload.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

/// The system, with a gate that background threads wait at, and a count of how often each segment
/// is announced to be read from front to back, whichever mapping of it.
class GatedEnv final : public GateEnv {
public:
    void expect(const os::Mapping& mapping, Pattern pattern) noexcept override {
        PatientEnv::expect(mapping, pattern);
        if (pattern != Pattern::sequential) return;
        {
            const std::lock_guard lock(mutex_);
            log::SegmentHeader header;
            std::memcpy(&header, mapping.data(), sizeof header);
            // One that was prepared for later has nothing to be read.
            if (header.number != 0) ++scans_[header.number];
        }
        if (!stopped_.load()) return;
        inside_.store(true);
        inside_.notify_all();
        stopped_.wait(true);
    }
    /// From now on whoever begins to read a segment waits until `go_on`.
    void stop_readers() noexcept { stopped_.store(true); }
    void wait_for_reader() noexcept { inside_.wait(false); }
    void go_on() noexcept {
        stopped_.store(false);
        stopped_.notify_all();
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        scans_.clear();
    }
    [[nodiscard]] std::size_t scanned() {
        const std::lock_guard lock(mutex_);
        return scans_.size();
    }
    [[nodiscard]] int most_scans() {
        const std::lock_guard lock(mutex_);
        int most = 0;
        for (const auto& [at, count] : scans_) most = std::max(most, count);
        return most;
    }

private:
    std::mutex mutex_;
    std::map<std::uint64_t, int> scans_;
    std::atomic<bool> stopped_{false};
    std::atomic<bool> inside_{false};
};

class Rebuild : public testing::Test {
protected:
    /// A closed store of many segments without any index.
    void SetUp() override {
        auto store = Store::open(where_.store(), options(nullptr));
        ASSERT_TRUE(store) << store.error().message;
        work_.append(*store, 240);
        ASSERT_TRUE(store->close());
        for (const auto& entry : std::filesystem::directory_iterator(where_.store() + "/index"))
            std::filesystem::remove(entry.path());
        ASSERT_GE(segments(), 8U);
        ASSERT_EQ(sealed_segments(), 0U);
    }
    [[nodiscard]] static OpenOptions options(os::Env* env) {
        OpenOptions options;
        options.env = env;
        options.segment_size_first = 64 << 10;
        options.segment_size_max = 64 << 10;
        return options;
    }
    /// Files of segments that have begun: one that was prepared for later begins with zeros.
    [[nodiscard]] std::size_t segments() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(where_.store() + "/log"))
            count += std::ifstream(entry.path(), std::ios::binary).get() > 0 ? 1U : 0U;
        return count;
    }
    /// Until a sealed index stands for every segment but the last, at most a minute.
    void wait_until_sealed() const {
        for (int n = 0; n < 6'000; ++n) {
            if (sealed_segments() + 1 >= segments()) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        FAIL() << "the indexes were not made again";
    }
    /// How many segments the names of the sealed indexes cover.
    [[nodiscard]] std::size_t sealed_segments() const {
        std::set<unsigned long> covered;
        for (const auto& entry : std::filesystem::directory_iterator(where_.store() + "/index")) {
            const std::string name = entry.path().filename().string();
            if (!name.ends_with(".idx")) continue;
            for (auto n = std::stoul(name.substr(0, 10)); n <= std::stoul(name.substr(11, 10)); ++n)
                covered.insert(n);
        }
        return covered.size();
    }

    TemporaryDirectory where_;
    Workload work_{11, true};
};

TEST_F(Rebuild, OpeningReadsOnlyTheLastSegment) {
    GatedEnv env;
    auto store = Store::open(where_.store(), options(&env));
    const PassAtEnd pass(env);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(env.scanned(), 1U);
    EXPECT_EQ(sealed_segments(), 0U);
    auto now = store->snapshot();
    ASSERT_TRUE(now);
    EXPECT_EQ(now->published().value, work_.last());
    EXPECT_EQ(now->at(Position{work_.last()})->position.value, work_.last());
    EXPECT_EQ(env.scanned(), 1U);
    // One event costs its segment.
    EXPECT_EQ(now->at(Position{1})->position.value, 1U);
    EXPECT_EQ(env.scanned(), 2U);
    EXPECT_EQ(now->at(Position{2})->position.value, 2U);
    EXPECT_EQ(env.scanned(), 2U);
    work_.compare(*store);
    EXPECT_EQ(env.scanned(), segments());
}

/// Each question is the first one that an opened store hears.
TEST_F(Rebuild, EveryFirstQuestionIsAnsweredInFull) {
    using Ask = std::function<std::size_t(const Snapshot&)>;
    const auto count = [](const Source& source) -> Ask {
        return [source](const Snapshot& now) {
            std::size_t events = 0;
            auto seen = now.read(source).for_each([&](const EventView&) { ++events; });
            EXPECT_TRUE(seen);
            return events;
        };
    };
    const auto of = [&](Source::Kind kind, const char* name) {
        return work_.of(kind, name).size();
    };
    const std::vector<std::pair<Ask, std::size_t>> asks{
        {count(Source::all()), work_.last()},
        {count(Source::stream("s3-x")), of(Source::Kind::stream, "s3-x")},
        {count(Source::category("s3")), of(Source::Kind::category, "s3")},
        {count(Source::type("t1")), of(Source::Kind::type, "t1")},
        {count(Source::tag("g7")), of(Source::Kind::tag, "g7")},
        {[](const Snapshot& now) { return *now.version("s4-x"); },
         of(Source::Kind::stream, "s4-x")},
        {[](const Snapshot& now) { return now.find(Workload::id_of(5))->position.value; }, 5},
        {[](const Snapshot& now) { return now.streams()->size(); }, 7},
        {[](const Snapshot& now) { return now.tags("g7")->front().count; },
         of(Source::Kind::tag, "g7")},
        {[](const Snapshot& now) { return *now.count(Selector::type("t1")); },
         of(Source::Kind::type, "t1")},
    };
    for (std::size_t n = 0; n < asks.size(); ++n) {
        GatedEnv env;
        auto store = Store::open(where_.store(), options(&env));
        const PassAtEnd pass(env);
        ASSERT_TRUE(store) << store.error().message;
        auto now = store->snapshot();
        ASSERT_TRUE(now);
        EXPECT_EQ(asks[n].first(*now), asks[n].second) << n;
        env.let_pass();
        now = store->snapshot();
        ASSERT_TRUE(store->close());
        for (const auto& entry : std::filesystem::directory_iterator(where_.store() + "/index"))
            std::filesystem::remove(entry.path());
    }
}

TEST_F(Rebuild, ThreadsThatAskAtOnceShareOneScan) {
    GatedEnv env;
    auto store = Store::open(where_.store(), options(&env));
    const PassAtEnd pass(env);
    ASSERT_TRUE(store) << store.error().message;
    env.forget();
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) threads.emplace_back([&] { work_.compare(*store); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(env.scanned() + 1, segments());
    // Announced by whoever fills, and once more by the filling.
    EXPECT_EQ(env.most_scans(), 2);
}

TEST_F(Rebuild, TheSealerMakesThemAgainWithoutAnAppend) {
    {
        GatedEnv env;
        auto store = Store::open(where_.store(), options(&env));
        const PassAtEnd pass(env);
        ASSERT_TRUE(store) << store.error().message;
        auto before = store->snapshot();
        ASSERT_TRUE(before);
        env.let_pass();
        // While indexes come, answers stay.
        for (int n = 0; n < 5; ++n) work_.compare(*store);
        wait_until_sealed();
        work_.compare(*store);
        EXPECT_EQ(*before->version("s4-x"), work_.of(Source::Kind::stream, "s4-x").size());
        ASSERT_TRUE(store->close());
    }
    GatedEnv env;
    auto store = Store::open(where_.store(), options(&env));
    const PassAtEnd pass(env);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_LE(env.scanned(), 1U);
    work_.compare(*store);
    EXPECT_LE(env.scanned(), 1U);
}

TEST_F(Rebuild, AppendsGoOnBeforeAnIndexIsMade) {
    GatedEnv env;
    auto store = Store::open(where_.store(), options(&env));
    const PassAtEnd pass(env);
    ASSERT_TRUE(store) << store.error().message;
    auto repeated = store->append({{.stream = "s1-x", .data = "a", .id = Workload::id_of(3)}});
    ASSERT_TRUE(repeated) << repeated.error().message;
    EXPECT_TRUE(repeated->duplicate);
    EXPECT_EQ(repeated->first.value, 3U);
    work_.append(*store, 60);
    work_.compare(*store);
    env.let_pass();
    work_.append(*store, 60);
    work_.compare(*store);
    ASSERT_TRUE(store->close());
}

/// Who needs the version of a stream that is nowhere looks through all segments, and keeps nobody
/// waiting who does not.
TEST_F(Rebuild, AnAppendThatNeedsNoIndexWaitsForNone) {
    GatedEnv env;
    auto store = Store::open(where_.store(), options(&env));
    const PassAtEnd pass(env);
    ASSERT_TRUE(store) << store.error().message;
    // The first append of a session begins it.
    ASSERT_TRUE(store->append({{.data = "begun"}}, {.durability = Durability::os}));
    env.stop_readers();
    std::thread slow([&] {
        auto done = store->append({{.stream = "never seen", .data = "a"}});
        EXPECT_TRUE(done) << done.error().message;
        EXPECT_EQ(done->version, 1U);
    });
    env.wait_for_reader();
    std::atomic<bool> placed{false};
    std::thread quick([&] {
        EXPECT_TRUE(store->append({{.data = "b"}}, {.durability = Durability::os}));
        placed.store(true);
    });
    for (int n = 0; n < 2'000 && !placed.load(); ++n)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(placed.load());
    env.go_on();
    slow.join();
    quick.join();
    EXPECT_EQ(store->snapshot()->published().value, work_.last() + 3);
}

/// Beside the page of the writer that has gone, and where that page is gone as well.
TEST_F(Rebuild, AReaderOpensWithoutReadingWhatNoLongerGrows) {
    for (const bool alone : {false, true}) {
        SCOPED_TRACE(alone);
        if (alone) std::filesystem::remove(where_.store() + "/control");
        GatedEnv env;
        OpenOptions read_only = options(&env);
        read_only.access = Access::read_only;
        auto store = Store::open(where_.store(), read_only);
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_EQ(store->opening().how == Opening::How::recovered, alone);
        // The last one: it may grow, or recovery looks at its end.
        EXPECT_LE(env.scanned(), 1U);
        auto now = store->snapshot();
        ASSERT_TRUE(now);
        EXPECT_EQ(now->published().value, work_.last());
        EXPECT_EQ(now->at(Position{work_.last()})->position.value, work_.last());
        EXPECT_LE(env.scanned(), 1U);
        EXPECT_EQ(now->at(Position{1})->position.value, 1U);
        EXPECT_EQ(now->at(Position{2})->position.value, 2U);
        EXPECT_LE(env.scanned(), 2U);
        std::vector<std::thread> threads;
        for (int n = 0; n < 4; ++n) threads.emplace_back([&] { work_.compare(*store); });
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(env.scanned(), segments());
        // Announced by whoever fills, once more by the filling, and once by recovery.
        EXPECT_LE(env.most_scans(), 3);
    }
}

/// A reader's own indexes give way to the sealed ones that a writer makes, and what comes is seen.
TEST_F(Rebuild, AReaderWithoutIndexesFollowsTheWriterThatMakesThem) {
    OpenOptions read_only = options(nullptr);
    read_only.access = Access::read_only;
    auto reader = Store::open(where_.store(), read_only);
    ASSERT_TRUE(reader) << reader.error().message;
    const auto before = reader->snapshot();
    ASSERT_TRUE(before);
    EXPECT_EQ(before->at(Position{1})->position.value, 1U);
    {
        GatedEnv env;
        auto store = Store::open(where_.store(), options(&env));
        const PassAtEnd pass(env);
        ASSERT_TRUE(store) << store.error().message;
        Workload more = work_;
        more.append(*store, 60);
        more.compare(*reader);
        env.let_pass();
        wait_until_sealed();
        more.compare(*reader);
        more.append(*store, 60);
        more.compare(*reader);
        ASSERT_TRUE(store->close());
        more.compare(*reader);
    }
    EXPECT_EQ(*before->version("s4-x"), work_.of(Source::Kind::stream, "s4-x").size());
}

std::size_t count_files(os::SimEnv& world, std::string_view ending) {
    std::size_t count = 0;
    auto names = world.list("store/index");
    EXPECT_TRUE(names);
    for (const std::string& name : *names) count += name.ends_with(ending) ? 1U : 0U;
    return count;
}

void remove_indexes(os::SimEnv& world) {
    auto names = world.list("store/index");
    ASSERT_TRUE(names);
    for (const std::string& name : *names) ASSERT_TRUE(world.remove("store/index/" + name));
}

void make_without_indexes(os::SimEnv& world, Workload& work, std::size_t events) {
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    work.append(*store, events);
    ASSERT_TRUE(store->close());
    remove_indexes(world);
}

TEST(RebuildAfterKills, GoesOnInTheNextSession) {
    os::SimEnv world(21);
    Workload work(21, true);
    make_without_indexes(world, work, 100);
    auto store = Store::open("store", options_for(world));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_LE(count_files(world, ".act"), 1U);
    struct Image {
        std::unique_ptr<os::SimEnv> world;
        Workload work;
    };
    std::vector<Image> images;
    std::size_t step = 0;
    for (int n = 0; n < 4; ++n) {
        // Without threads each append does one piece of the work.
        world.on_step([&] {
            if (step++ % 5 == 0) images.push_back({world.kill(step), work});
        });
        work.append(*store, 1);
        world.on_step({});
    }
    ASSERT_GE(images.size(), 5U);
    for (Image& image : images) {
        for (int session = 0; session < 2; ++session) {
            auto again = Store::open("store", options_for(*image.world));
            ASSERT_TRUE(again) << again.error().message;
            // The append that was cut short is there or not.
            const std::uint64_t there = again->snapshot()->published().value;
            ASSERT_LE(image.work.last(), there);
            ASSERT_LE(there, image.work.last() + 1);
            if (there == image.work.last()) image.work.compare(*again);
            for (std::uint64_t at = 1; at <= image.work.last(); ++at)
                ASSERT_EQ(again->snapshot()->find(Workload::id_of(at))->position.value, at);
            ASSERT_TRUE(again->close());
        }
    }
}

TEST(RebuildAfterKills, ClosedBeforeTheEndAndOpenedAgain) {
    os::SimEnv world(22);
    Workload work(22, true);
    make_without_indexes(world, work, 200);
    for (int session = 0; session < 3; ++session) {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store) << store.error().message;
        work.append(*store, 1);
        work.compare(*store);
        ASSERT_TRUE(store->close());
        auto reader = Store::open("store", options_for(world, Access::read_only));
        ASSERT_TRUE(reader) << reader.error().message;
        work.compare(*reader);
    }
    EXPECT_LE(count_files(world, ".act"), 1U);
    EXPECT_GE(count_files(world, ".idx"), 1U);
}

/// Whoever closes a store leaves no more than the least without an index, also if the writer before
/// was killed, or the indexes were removed, and nothing is appended.
TEST(RebuildAfterKills, ASessionWithoutAppendsSealsAtItsEndToo) {
    for (const bool killed : {false, true}) {
        SCOPED_TRACE(killed);
        os::SimEnv made(25);
        Workload work(25, true);
        std::unique_ptr<os::SimEnv> world;
        {
            auto store = Store::open("store", options_for(made));
            ASSERT_TRUE(store) << store.error().message;
            work.append(*store, 100);
            if (killed) world = made.kill(2);
            ASSERT_TRUE(store->close());
        }
        if (!killed) world = made.kill(2);
        remove_indexes(*world);
        std::vector<std::unique_ptr<os::SimEnv>> images;
        for (int session = 0; session < 2; ++session) {
            auto store = Store::open("store", options_for(*world));
            ASSERT_TRUE(store) << store.error().message;
            world->on_step([&] { images.push_back(world->kill(images.size())); });
            ASSERT_TRUE(store->close());
            world->on_step({});
            // All but the last segment; the second session finds nothing to do.
            EXPECT_LE(count_files(*world, ".act"), 2U);
            EXPECT_GE(count_files(*world, ".idx"), 4U);
            EXPECT_GT(images.size(), 20U);
        }
        images.push_back(world->kill(1));
        for (const auto& image : images) {
            auto found = Store::doctor("store", options_for(*image));
            ASSERT_TRUE(found);
            EXPECT_FALSE(found->damaged) << found->cause;
            for (const Access access : {Access::read_only, Access::read_write}) {
                auto store = Store::open("store", options_for(*image, access));
                ASSERT_TRUE(store) << store.error().message;
                work.compare(*store);
            }
        }
        EXPECT_EQ(Store::open("store", options_for(*world))->opening().how, Opening::How::clean);
    }
}

/// A writer dies while it closes the store, the indexes are removed, and another one goes on beside
/// a reader: also in a segment whose sealed index had been named.
TEST(RebuildAfterKills, AReaderSeesWhatComesBehindALostIndex) {
    os::SimEnv world(24);
    Workload work(24);
    // So much that closing seals the segment that has not been filled.
    const auto large = [](os::SimEnv& env, Access access) {
        OpenOptions options = options_for(env, access);
        options.segment_size_first = options.segment_size_max = 8 << 20;
        return options;
    };
    std::vector<std::unique_ptr<os::SimEnv>> images;
    {
        auto store = Store::open("store", large(world, Access::read_write));
        ASSERT_TRUE(store) << store.error().message;
        work.append(*store, 1'150);
        world.on_step([&] { images.push_back(world.kill(images.size())); });
        ASSERT_TRUE(store->close());
        world.on_step({});
    }
    ASSERT_GE(images.size(), 10U);
    std::size_t continued = 0;
    for (const auto& image : images) {
        const bool sealed = count_files(*image, ".idx") > 0;
        remove_indexes(*image);
        std::vector<Store> readers;
        const auto add_reader = [&] {
            auto reader = Store::open("store", large(*image, Access::read_only));
            ASSERT_TRUE(reader) << reader.error().message;
            ASSERT_TRUE(reader->snapshot());
            readers.push_back(std::move(*reader));
        };
        add_reader();
        Workload more = work;
        auto store = Store::open("store", large(*image, Access::read_write));
        ASSERT_TRUE(store) << store.error().message;
        // Once more, under the hands of the writer.
        remove_indexes(*image);
        add_reader();
        for (int n = 0; n < 3; ++n) {
            more.append(*store, 1);
            for (const Store& reader : readers) {
                auto now = reader.snapshot();
                ASSERT_TRUE(now) << now.error().message;
                ASSERT_EQ(now->published().value, more.last());
                auto newest = now->at(now->published());
                ASSERT_TRUE(newest) << newest.error().message;
            }
        }
        for (const Store& reader : readers) more.compare(reader);
        ASSERT_TRUE(store->close());
        const auto segments = Store::verify("store", large(*image, Access::read_only))->segments;
        continued += sealed && segments == 1 ? 1U : 0U;
    }
    EXPECT_GE(continued, 2U);
}

void flip(os::SimEnv& world, const std::string& path, std::uint64_t at) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    ASSERT_TRUE(file) << path;
    std::byte byte{};
    ASSERT_TRUE((*file)->read_at(at, {&byte, 1}));
    byte ^= std::byte{0x10};
    ASSERT_TRUE((*file)->write_at(at, {&byte, 1}));
}

/// What is answered to one of each question: a number, or the text of an error.
std::vector<std::string> answers(const Store& store, std::uint64_t last) {
    std::vector<std::string> all;
    auto now = store.snapshot();
    EXPECT_TRUE(now);
    const auto say = [&](const auto& answer) {
        all.push_back(answer ? "answered" : answer.error().message);
    };
    for (std::uint64_t at = 1; at <= last; ++at) say(now->at(Position{at}));
    for (int n = 0; n < 7; ++n) say(now->version("s" + std::to_string(n) + "-x"));
    for (int n = 0; n < 3; ++n) {
        std::size_t events = 0;
        auto seen = now->read(Source::type("t" + std::to_string(n))).for_each([&](const auto&) {
            ++events;
        });
        all.push_back(std::to_string(events));
        say(seen);
    }
    say(now->streams());
    say(now->find(Workload::id_of(last + 1)));
    say(now->version("unknown"));
    return all;
}

TEST(RebuildAroundDamage, SaysTheSameAsAReaderThatHasReadAll) {
    os::SimEnv world(23);
    Workload work(23, true);
    make_without_indexes(world, work, 120);
    // The head of an event, whose names are not known then, and the body of another.
    flip(world, "store/log/0000000002.seg",
         log::kSegmentHeaderSize + sizeof(log::CommitHeader) + 16);
    flip(world, "store/log/0000000003.seg", 30'000);
    // Answers of a session that found no index, and of one whose segments were all looked at.
    std::vector<std::string> first;
    {
        auto store = Store::open("store", options_for(world));
        ASSERT_TRUE(store) << store.error().message;
        first = answers(*store, work.last());
        EXPECT_GE(std::count(first.begin(), first.end(), "answered"), 100);
        EXPECT_LT(std::count(first.begin(), first.end(), "answered"),
                  static_cast<std::ptrdiff_t>(first.size()) - 5);
        EXPECT_EQ(answers(*store, work.last()), first);
        // Whether they carry the name that nobody has found is not known.
        EXPECT_NE(first.back().find("cannot be known for certain"), std::string::npos);
        for (const std::string& answer : {first[first.size() - 3], first[first.size() - 2]})
            EXPECT_NE(answer, "answered");
        // Of no stream: what a stream is at is not known.
        const std::string data(3'000, 'd');
        for (int n = 0; n < 20; ++n) ASSERT_TRUE(store->append({{.data = data}}));
    }
    auto reader = Store::open("store", options_for(world, Access::read_only));
    ASSERT_TRUE(reader) << reader.error().message;
    const auto again = answers(*reader, 120);
    for (std::size_t n = 0; n < 120; ++n) EXPECT_EQ(again[n], first[n]) << n;
    EXPECT_EQ(again.back(), first.back());
    // What is whole is sealed again.
    EXPECT_GE(count_files(world, ".idx"), 3U);
}

}  // namespace
}  // namespace varve::test
