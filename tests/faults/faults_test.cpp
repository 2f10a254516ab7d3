// Goal: whatever call to the system fails, once or for ever, while a store is created, opened,
// appended to, rolled, sealed, merged, backed up or closed, or its manifest is made anew: the
// caller gets a typed error, everything acknowledged is there, and what was going on is finished
// when the fault is gone. Method: in the simulated world each changing call of each phase fails in
// turn; then a full disk at every size.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "crash/history.hpp"
#include "file/manifest.hpp"
#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::test {
namespace {

using crash::Commit;
using crash::History;
using crash::Made;
using FailFor = os::SimEnv::FailFor;

const char* const kPath = "store";

OpenOptions options_for(os::SimEnv& world, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

enum class Phase : std::uint8_t {
    create,
    open,
    recover,
    first_append,
    append,
    roll,
    close,
    seal,
    merge,
    manifest,
    backup,
};
constexpr std::uint64_t kSegmentsToSeal = 4;
enum class Fault : std::uint8_t { io, no_space, permission, failed_sync };

struct Case {
    Phase phase;
    Fault fault;
    bool for_ever;
};

ErrorCode code_of(Fault fault) {
    switch (fault) {
        case Fault::no_space: return ErrorCode::no_space;
        case Fault::permission: return ErrorCode::permission;
        default: return ErrorCode::io;
    }
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
    static const char* const kPhases[] = {"Create", "Open",     "Recover", "FirstAppend",
                                          "Append", "Roll",     "Close",   "Seal",
                                          "Merge",  "Manifest", "Backup"};
    static const char* const kFaults[] = {"Io", "NoSpace", "Permission", "FailedSync"};
    return std::string(kPhases[static_cast<std::size_t>(info.param.phase)]) +
           kFaults[static_cast<std::size_t>(info.param.fault)] +
           (info.param.for_ever ? "ForEver" : "Once");
}

/// One life of a store in which one call fails.
class Life {
public:
    explicit Life(const Case& given) : given_(given) {}

    /// The `n`-th call of the phase fails. False if the phase has fewer calls.
    bool run(std::uint64_t n) {
        where_ = "call " + std::to_string(n) + " of the phase failed";
        prepare();
        world_->fail_only(given_.fault == Fault::failed_sync ? FailFor::syncs : FailFor::others);
        world_->fail_call(n, code_of(given_.fault), given_.for_ever);
        perform();
        const bool hit = world_->failed_calls() > 0;
        world_->stop_failing();
        go_on();
        return hit;
    }

private:
    /// What takes long to prepare: a closed store, and what is in it.
    struct Prepared {
        std::unique_ptr<os::SimEnv> world;
        History history;
        std::uint64_t seed = 0;
    };
    /// Segments of which only the last one has an index; sixteen sealed ones that are not merged; a
    /// manifest without room for the entries of three sessions.
    static Prepared make(Phase phase) {
        Life life({phase, Fault::io, false});
        life.open();
        if (phase == Phase::seal) {
            while (life.count("store/log", ".seg") <= kSegmentsToSeal + 1) life.append(30'000);
        } else if (phase == Phase::merge) {
            while (life.count("store/index", ".idx") < 16) life.append(30'000);
        } else {
            for (int n = 0; n < 253; ++n) {
                life.append(50);
                life.store_.reset();
                life.open();
            }
        }
        life.store_.reset();
        auto names = life.world_->list("store/index");
        for (const std::string& name : *names) {
            if (phase != Phase::seal) break;
            EXPECT_TRUE(life.world_->remove("store/index/" + name));
        }
        return {std::move(life.world_), std::move(life.history_), life.seed_};
    }
    void take(Phase phase) {
        static std::map<Phase, Prepared> kept;
        if (!kept.contains(phase)) kept.emplace(phase, make(phase));
        const Prepared& one = kept.at(phase);
        world_ = one.world->kill(1);
        history_ = one.history;
        seed_ = one.seed;
        open();
    }
    [[nodiscard]] std::size_t count(const char* folder, std::string_view ending) {
        auto names = world_->list(folder);
        if (!names) return 0;
        return static_cast<std::size_t>(std::count_if(
            names->begin(), names->end(), [&](auto& name) { return name.ends_with(ending); }));
    }
    /// Everything before the phase, without faults.
    void prepare() {
        if (given_.phase == Phase::create) return;
        if (given_.phase == Phase::seal || given_.phase == Phase::merge ||
            given_.phase == Phase::manifest) {
            return take(given_.phase);
        }
        open();
        if (given_.phase == Phase::first_append) return;
        for (int n = 0; n < 5; ++n) append(300);
        if (given_.phase == Phase::open) store_.reset();
        if (given_.phase != Phase::recover) return;
        recover_later();
    }
    /// Leaves a torn tail behind. What of it survives is seen in a twin without faults.
    void recover_later() {
        store_.reset();
        level_ = Durability::os;
        open();
        for (int n = 0; n < 6; ++n) append(2'000);
        auto cut = world_->power_cut(3, {});
        store_.reset();
        world_ = std::move(cut);
        const auto twin = world_->kill(1);
        auto store = Store::open(kPath, options_for(*twin));
        ASSERT_TRUE(store) << store.error().message;
        ASSERT_GT(store->opening().dropped_bytes, 0U);
        std::size_t kept = 0;
        const auto wrong = crash::compare(*store, history_, history_.durable, true, kept);
        ASSERT_FALSE(wrong) << *wrong;
        history_.commits.resize(kept);
        level_ = Durability::disk;
    }
    void perform() {
        switch (given_.phase) {
            case Phase::create:
            case Phase::open:
            case Phase::recover: return open();
            case Phase::first_append:
            case Phase::append:
                for (int n = 0; n < 3; ++n) append(300);
                return append(200'000);  // a run that goes through the file
            case Phase::roll:
                for (int n = 0; n < 16; ++n) append(30'000);
                return;
            case Phase::seal:
            case Phase::merge:
                // Each does one piece of what is to be done in the background.
                for (std::uint64_t n = 0; n <= kSegmentsToSeal; ++n) append(100);
                return;
            case Phase::manifest:
                for (int n = 0; n < 3 && store_; ++n) {
                    append(100);
                    expect_typed(store_->close());
                    store_.reset();
                    open();
                }
                return;
            case Phase::backup: return back_up();
            case Phase::close:
                if (store_) expect_typed(store_->close());
                store_.reset();
        }
    }
    void back_up() {
        auto report = store_->backup("backup");
        if (!report) expect_typed(report.error());
    }
    /// What the fault had stopped is finished by those who go on.
    void expect_finished() {
        open();
        ASSERT_TRUE(store_) << where_;
        for (std::uint64_t n = 0; n <= kSegmentsToSeal; ++n) {
            EXPECT_TRUE(store_->append({{.data = "more"}})) << where_;
            if (given_.phase != Phase::manifest) continue;
            EXPECT_TRUE(store_->close()) << where_;
            store_.reset();
            open();
        }
        if (given_.phase == Phase::backup) {
            auto report = store_->backup("backup");
            EXPECT_TRUE(report) << where_ << ": " << report.error().message;
            auto restored = Store::restore("backup", "restored", options_for(*world_));
            ASSERT_TRUE(restored) << where_ << ": " << restored.error().message;
            EXPECT_EQ(restored->end, store_->snapshot()->published()) << where_;
        }
        EXPECT_TRUE(store_->close()) << where_;
        store_.reset();
        if (given_.phase == Phase::seal) {
            EXPECT_GE(count("store/index", ".idx"), kSegmentsToSeal) << where_;
        } else if (given_.phase == Phase::merge) {
            EXPECT_TRUE(*world_->exists("store/index/0000000001-0000000016.idx")) << where_;
        } else if (given_.phase == Phase::manifest) {
            // Made anew, and since then hardly anything was added.
            auto file = world_->open("store/manifest", os::OpenMode::read, 0600);
            std::vector<std::byte> bytes(file::kManifestSize / 2);
            EXPECT_TRUE(file && (*file)->read_at(bytes.size(), bytes)) << where_;
            EXPECT_TRUE(base::all_zero(bytes)) << where_;
        }
        EXPECT_EQ(count("store/index", ".new"), 0U) << where_;
        EXPECT_EQ(count("store/index", "scratch"), 0U) << where_;
        auto report = Store::verify(kPath, options_for(*world_));
        ASSERT_TRUE(report) << where_;
        EXPECT_TRUE(report->damaged.empty()) << where_;
        EXPECT_TRUE(report->indexes_damaged.empty()) << where_;
        EXPECT_TRUE(report->indexes_missing.empty()) << where_;
    }
    /// The fault is gone.
    void go_on() {
        const std::size_t before = history_.commits.size();
        if (store_) {
            compare_with(*store_, "still open");
            append(300);
            const bool resumed = history_.commits.size() > before;
            // Only a failed sync is final. Everything else goes away by itself.
            if (given_.fault != Fault::failed_sync) {
                EXPECT_TRUE(resumed) << where_ << ": " << last_error_.message;
            } else if (!resumed) {
                EXPECT_EQ(last_error_.code, ErrorCode::poisoned) << where_;
            }
            expect_typed(store_->close());
            store_.reset();
        }
        const auto cut = world_->power_cut(7, {os::SimCut::Style::nothing, 0});
        reopen(*cut, history_.durable, "after a power cut");
        const auto killed = world_->kill(7);
        reopen(*killed, history_.commits.size(), "after a kill");
        reopen(*world_, history_.commits.size(), "reopened");
        if (given_.phase >= Phase::seal) expect_finished();
    }
    void reopen(os::SimEnv& world, std::size_t least, const char* when) {
        auto store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store) << where_ << ", " << when << ": " << store.error().message;
        std::size_t kept = 0;
        const auto wrong = crash::compare(*store, history_, least, true, kept);
        EXPECT_FALSE(wrong) << where_ << ", " << when << ": " << *wrong;
        repeat_failed(*store, kept);
        auto more = store->append({{.stream = "later", .data = "works again"}});
        EXPECT_TRUE(more) << where_ << ", " << when << ": " << more.error().message;
    }
    /// Whoever got an error repeats the append: it is stored once, whatever has become of it
    /// before.
    void repeat_failed(Store& store, std::size_t kept) {
        if (!failed_) return;
        std::uint64_t position = 0;
        std::uint64_t there = 0;
        for (std::size_t n = 0; n < kept; ++n) {
            if (history_.commits[n].seeds == failed_->seeds) there = position + 1;
            position += history_.commits[n].seeds.size();
        }
        const auto wrong = crash::repeat(store, *failed_, there);
        EXPECT_FALSE(wrong) << where_ << ": " << *wrong;
    }
    void open() {
        OpenOptions options = options_for(*world_);
        options.durability = level_;
        auto store = Store::open(kPath, options);
        if (store)
            store_ = std::move(*store);
        else
            expect_typed(store.error());
    }
    void append(std::size_t size) {
        if (!store_) return;
        Commit commit;
        commit.size_limit = size;
        for (int n = 0; n < 2; ++n) commit.seeds.push_back(++seed_);
        std::vector<Made> made;
        for (const std::uint64_t seed : commit.seeds) made.emplace_back(seed, size);
        std::vector<NewEvent> events;
        for (const Made& one : made) events.push_back(one.event());
        auto done = store_->append(events);
        if (!done) {
            failed_ = commit;
            last_error_ = done.error();
            expect_typed(done.error());
            if (done.error().code == ErrorCode::durability_lost)  // stored and visible
                history_.commits.push_back(std::move(commit));
            return;
        }
        history_.commits.push_back(std::move(commit));
        if (done->level == Durability::disk) history_.durable = history_.commits.size();
    }
    void compare_with(const Store& store, const char* when) {
        std::size_t kept = 0;
        const auto wrong = crash::compare(store, history_, history_.commits.size(), true, kept);
        EXPECT_FALSE(wrong) << where_ << ", " << when << ": " << *wrong;
    }
    void expect_typed(const Result<void>& result) {
        if (!result) expect_typed(result.error());
    }
    void expect_typed(const Error& error) {
        const bool fits =
            error.code == code_of(given_.fault) ||
            (given_.fault == Fault::failed_sync &&
             (error.code == ErrorCode::durability_lost || error.code == ErrorCode::poisoned));
        EXPECT_TRUE(fits) << where_ << " with " << to_string(error.code) << ": " << error.message;
        EXPECT_FALSE(error.message.empty());
    }

    Case given_;
    std::unique_ptr<os::SimEnv> world_ = std::make_unique<os::SimEnv>(1);
    History history_;
    std::optional<Store> store_;
    Durability level_ = Durability::disk;
    std::optional<Commit> failed_;  ///< the last append that returned an error
    Error last_error_;
    std::uint64_t seed_ = 0;
    std::string where_;
};

class Faults : public testing::TestWithParam<Case> {};

TEST_P(Faults, EveryCallOfThePhase) {
    constexpr std::uint64_t kBound = 2'000;
    std::uint64_t n = 1;
    while (n < kBound && !HasFailure() && Life(GetParam()).run(n)) ++n;
    EXPECT_LT(n, kBound);
    // A phase none of whose calls can fail is no test.
    EXPECT_GT(n, 1U);
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const Phase phase :
         {Phase::create, Phase::open, Phase::recover, Phase::first_append, Phase::append,
          Phase::roll, Phase::close, Phase::seal, Phase::merge, Phase::manifest, Phase::backup}) {
        for (const Fault fault :
             {Fault::io, Fault::no_space, Fault::permission, Fault::failed_sync}) {
            // Opening a closed store syncs nothing.
            if (phase == Phase::open && fault == Fault::failed_sync) continue;
            for (const bool for_ever : {false, true}) cases.push_back({phase, fault, for_ever});
        }
    }
    return cases;
}
INSTANTIATE_TEST_SUITE_P(Sim, Faults, testing::ValuesIn(all_cases()), name_of);

/// Appends until the disk is full; returns how many events were taken.
std::uint64_t fill(Store& store, ErrorCode& stopped_by) {
    const std::string data(3'000, 'f');
    for (std::uint64_t n = 0; n < 400; ++n) {
        auto done = store.append({{.stream = "filling", .tags = {"t"}, .data = data}});
        if (done) continue;
        stopped_by = done.error().code;
        return n;
    }
    return 400;
}

TEST(FullDisk, AtEverySizeAppendsStopAndGoOnByThemselves) {
    std::uint64_t stopped = 0;
    for (std::uint64_t space = 0; space <= 900'000; space += 4096) {
        os::SimEnv world(1);
        world.limit_space(space);
        auto store = Store::open(kPath, options_for(world));
        ErrorCode stopped_by = ErrorCode::no_space;
        std::uint64_t taken = 0;
        if (!store) {
            ASSERT_EQ(store.error().code, ErrorCode::no_space) << space;
        } else {
            taken = fill(*store, stopped_by);
            if (taken == 400) continue;
            ++stopped;
            ASSERT_EQ(stopped_by, ErrorCode::no_space) << space;
            // Reading goes on, and asking again changes nothing.
            EXPECT_EQ(fill(*store, stopped_by), 0U) << space;
            EXPECT_EQ(stopped_by, ErrorCode::no_space) << space;
            auto snapshot = store->snapshot();
            ASSERT_TRUE(snapshot);
            EXPECT_EQ(snapshot->published().value, taken) << space;
            EXPECT_EQ(*snapshot->version("filling"), taken) << space;
            auto reader = Store::open(kPath, options_for(world, Access::read_only));
            ASSERT_TRUE(reader) << space << ": " << reader.error().message;
            EXPECT_EQ(reader->snapshot()->published().value, taken) << space;
        }
        world.limit_space(~0ULL);
        if (!store) store = Store::open(kPath, options_for(world));
        ASSERT_TRUE(store) << space << ": " << store.error().message;
        auto more = store->append({{.stream = "filling", .data = "room again"}});
        ASSERT_TRUE(more) << space << ": " << more.error().message;
        EXPECT_EQ(more->last.value, taken + 1) << space;
        ASSERT_TRUE(store->close()) << space;
        auto report = Store::verify(kPath, options_for(world));
        ASSERT_TRUE(report) << space;
        EXPECT_TRUE(report->damaged.empty()) << space;
    }
    EXPECT_GT(stopped, 50U);
}

TEST(FullDisk, AStoreThatIsClosedOnAFullDiskOpensOnAFullDisk) {
    for (std::uint64_t space = 300'000; space <= 700'000; space += 4096) {
        os::SimEnv world(1);
        world.limit_space(space);
        std::uint64_t taken = 0;
        ErrorCode stopped_by = ErrorCode::no_space;
        {
            auto store = Store::open(kPath, options_for(world));
            if (!store) continue;
            taken = fill(*store, stopped_by);
            ASSERT_TRUE(store->close()) << space;
        }
        auto again = Store::open(kPath, options_for(world));
        ASSERT_TRUE(again) << space << ": " << again.error().message;
        EXPECT_EQ(again->snapshot()->published().value, taken) << space;
    }
}

}  // namespace
}  // namespace varve::test
