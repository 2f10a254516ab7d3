#include "rig.hpp"

#include <algorithm>
#include <cstdlib>

namespace varve::crash {

namespace {
const char* const kPath = "store";
}

OpenOptions Rig::options(os::SimEnv& world, Durability level) {
    OpenOptions options;
    options.env = &world;
    options.durability = level;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 128 << 10;
    options.interval_ms = 1;
    return options;
}

/// What the files of a world hold, for whoever has to find out why a promise was broken.
std::string Rig::describe(os::SimEnv& world) {
    std::string text;
    for (const char* directory : {"store", "store/log", "store/index", "store/dropped"}) {
        auto names = world.list(directory);
        if (!names) continue;
        for (const std::string& name : *names) {
            const std::string path = std::string(directory) + "/" + name;
            auto file = world.open(path, os::OpenMode::read, 0600);
            if (!file) continue;
            std::vector<std::byte> bytes(*(*file)->size());
            static_cast<void>((*file)->read_at(0, bytes));
            std::size_t used = bytes.size();
            while (used > 0 && bytes[used - 1] == std::byte{0}) --used;
            text += "\n  " + path + ": " + std::to_string(bytes.size()) +
                    " bytes, the last that is not zero at " + std::to_string(used);
            if (name != "manifest") continue;
            for (std::size_t at = 0; at < used; at += 128) {
                text += "\n    entry";
                for (std::size_t n = 0; n < 5; ++n)
                    text += " " + std::to_string(base::load<std::uint64_t>(&bytes[at + 8 * n]));
            }
        }
    }
    return text;
}

void Rig::violate(const std::string& what) {
    if (tally_.held()) tally_.violation = what;
}

Commit Rig::new_commit() {
    Commit commit;
    const std::uint64_t shape = random_.below(20);
    commit.size_limit = shape == 0 ? 20'000 : shape < 5 ? 3'000 : 200;
    const std::uint64_t count = shape == 1 ? 20 : 1 + random_.below(4);
    for (std::uint64_t n = 0; n < count; ++n) commit.seeds.push_back(random_.next());
    return commit;
}

void Rig::append_one(Store& store, History& history) {
    history.pending = new_commit();
    std::vector<Made> made;
    for (const std::uint64_t seed : history.pending->seeds)
        made.emplace_back(seed, history.pending->size_limit);
    std::vector<NewEvent> events;
    for (const Made& one : made) events.push_back(one.event());
    AppendOptions options;
    const std::uint64_t level = random_.below(3);
    options.durability = level == 0   ? Durability::os
                         : level == 1 ? Durability::interval
                                      : Durability::disk;
    const bool wrong = random_.below(10) == 0;
    if (wrong) options.expected = Expectations{{"no such stream", Expected::stream_exists()}};
    auto done = store.append(events, options);
    if (wrong && done) return violate("an append with a wrong expected version was taken");
    if (!done) {
        // Not acknowledged: after durability_lost it is visible all the same, else it is not there.
        if (done.error().code != ErrorCode::durability_lost) return history.pending.reset();
        history.commits.push_back(std::move(*history.pending));
        return history.pending.reset();
    }
    history.commits.push_back(std::move(*history.pending));
    history.pending.reset();
    if (done->level == Durability::disk) history.durable = history.commits.size();
}

/// Asks to erase a few events. The request itself is a commit of one control record.
void Rig::erase_some(Store& store, History& history) {
    const auto snapshot = store.snapshot();
    if (!snapshot) return;
    const std::uint64_t before = snapshot->published().value;
    std::vector<Position> positions;
    for (std::uint64_t n = 1 + random_.below(4); n > 0 && before > 0; --n) {
        const Position position{1 + random_.below(before)};
        const auto event = snapshot->at(position);
        if (event && !event->erased) positions.push_back(position);
    }
    if (positions.empty()) return;
    for (const Position position : positions) history.erasing.insert(position.value);
    history.pending = Commit{.control = true, .seeds = {0}};
    const bool wait = random_.below(4) != 0;
    const auto done = store.erase(positions, {.wait = wait});
    const auto after = store.snapshot();
    if (after && after->published().value > before) history.commits.push_back(*history.pending);
    history.pending.reset();
    if (!done) return;
    history.durable = history.commits.size();
    for (const Position position : positions) history.erased.insert(position.value);
}

/// One opening with some appends. False if the store could not be opened.
bool Rig::session(os::SimEnv& world, History& history) {
    const std::uint64_t level = random_.below(3);
    auto store = Store::open(kPath, options(world, level == 0   ? Durability::os
                                                   : level == 1 ? Durability::interval
                                                                : Durability::disk));
    if (!store) return false;
    const std::uint64_t appends = random_.below(12);
    for (std::uint64_t n = 0; n < appends && tally_.held(); ++n) {
        append_one(*store, history);
        if (random_.below(erase_every_) == 0) erase_some(*store, history);
        if (random_.below(6) != 0) continue;
        if (store->sync()) history.durable = history.commits.size();
    }
    if (random_.below(2) == 0 && store->close()) history.durable = history.commits.size();
    return true;
}

void Rig::life(os::SimEnv& world, History& history, std::uint64_t sessions) {
    world.on_step([&] {
        if (done() || (!exhaustive_ && random_.below(image_every_) != 0)) return;
        ++tally_.cut_points;
        take_images(world, history);
    });
    for (std::uint64_t n = 0; n < sessions && !done(); ++n) {
        if (!session(world, history)) violate("the store could not be opened without any crash");
    }
    world.on_step({});
}

void Rig::take_images(const os::SimEnv& world, const History& history) {
    if (exhaustive_) {
        const std::uint64_t pages = world.dirty_pages();
        if (pages > 10) return;
        for (std::uint64_t mask = 0; mask < 1ULL << pages && !done(); ++mask) {
            check(world.power_cut(random_.next(), {os::SimCut::Style::pages, mask}), Kind::power,
                  history, "pages");
        }
        return;
    }
    const std::uint64_t pick = random_.below(8);
    if (pick == 0)
        return check(world.power_cut(random_.next(), {os::SimCut::Style::nothing, 0}), Kind::power,
                     history, "nothing");
    if (pick == 1)
        return check(world.power_cut(random_.next(), {os::SimCut::Style::everything, 0}),
                     Kind::power, history, "everything");
    if (pick < 4) return check(world.kill(random_.next()), Kind::kill, history, "kill");
    check(world.power_cut(random_.next(), {}), Kind::power, history, "mixed");
}

void Rig::check(World world, Kind kind, const History& history, const char* what) {
    ++tally_.images;
    const std::string before =
        std::getenv("VARVE_CRASH_DESCRIBE") != nullptr ? describe(*world) : "";
    const std::size_t least = kind == Kind::kill ? history.commits.size() : history.durable;
    std::size_t kept = 0;
    const std::string where = std::string(" (image ") + std::to_string(tally_.images) + ", " +
                              what + (in_second_life_ ? ", second life)" : ")");
    if (random_.below(16) == 0) {
        OpenOptions read_only = options(*world, Durability::disk);
        read_only.access = Access::read_only;
        auto store = Store::open(kPath, read_only);
        if (!store && least > 0)
            return violate("a reader cannot open: " + store.error().message + where);
        if (store) {
            if (auto wrong = compare(*store, history, least, false, kept))
                return violate("reader: " + *wrong + where);
        }
    }
    {
        auto store = Store::open(kPath, options(*world, Durability::disk));
        if (!store)
            return violate("cannot open: " + store.error().message + " in " + store.error().file +
                           where + before);
        if (auto wrong = compare(*store, history, least, random_.below(8) == 0, kept))
            return violate(*wrong + where + before);
        if (random_.below(32) == 0) {
            auto report = Store::verify(kPath, options(*world, Durability::disk));
            if (!report) return violate("cannot verify after a crash" + where);
            for (const Damage& one : report->damaged) {
                return violate("verify finds damage after a crash: " + one.what + " in " +
                               one.file + " at " + std::to_string(one.offset) + " from position " +
                               std::to_string(one.first.value) + where + before);
            }
        }
        if (random_.below(4) == 0) {
            if (auto wrong = repeat_last(*store, history, kept))
                return violate(*wrong + where + before);
        }
        if (random_.below(2) == 0) static_cast<void>(store->close());
    }
    if (!in_second_life_ && random_.below(6) == 0) second_life(*world, history, kept);
}

/// Whoever does not know what has become of an append repeats it: the last one that is there, or
/// the first that is not.
std::optional<std::string> Rig::repeat_last(Store& store, const History& history,
                                            std::size_t& kept) {
    std::vector<const Commit*> all;
    for (const Commit& commit : history.commits) all.push_back(&commit);
    if (history.pending) all.push_back(&*history.pending);
    const bool lost = kept < all.size() && (kept == 0 || random_.below(2) == 0);
    if (!lost && kept == 0) return std::nullopt;
    const Commit& commit = *all[lost ? kept : kept - 1];
    const std::uint64_t published = store.snapshot()->published().value;
    auto wrong = repeat(store, commit, lost ? 0 : published + 1 - commit.seeds.size());
    if (store.snapshot()->published().value != published) ++kept;
    return wrong;
}

/// Goes on with what a crash has left, crashes again: what was dropped must not come back, the rest
/// must hold again.
void Rig::second_life(os::SimEnv& world, const History& history, std::size_t kept) {
    ++tally_.double_crashes;
    in_second_life_ = true;
    History now;
    now.commits = history.commits;
    if (history.pending) now.commits.push_back(*history.pending);
    now.commits.resize(kept);
    now.durable = 0;
    now.erasing = history.erasing;
    now.erased = history.erased;
    now.forget_erasures_beyond(now.events());
    {
        // The first sync of the new session covers what the crash has left.
        auto store = Store::open(kPath, options(world, Durability::os));
        if (!store) return violate("cannot open again: " + store.error().message);
        const std::uint64_t appends = 1 + random_.below(5);
        for (std::uint64_t n = 0; n < appends && tally_.held(); ++n) append_one(*store, now);
        if (random_.below(4) == 0) erase_some(*store, now);
        take_images(world, now);
        append_one(*store, now);
        if (random_.below(2) == 0) take_images(world, now);
    }
    take_images(world, now);
    in_second_life_ = false;
}

void Rig::run_workloads() {
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        History history;
        image_every_ = 2 + random_.below(12);
        life(*world, history, 2 + random_.below(4));
    }
}

void Rig::run_erasures() {
    erase_every_ = 2;
    run_workloads();
    erase_every_ = 12;
}

void Rig::run_exhaustive() {
    exhaustive_ = true;
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        History history;
        life(*world, history, 2);
    }
    exhaustive_ = false;
}

}  // namespace varve::crash
