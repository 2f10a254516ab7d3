// Scenarios of the crash rig in which the disk itself misbehaves: failed syncs, failed calls,
// damaged and mixed-up bytes.
#include <algorithm>

#include "rig.hpp"

namespace varve::crash {

namespace {
const char* const kPath = "store";
}

void Rig::run_failed_syncs() {
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        History history;
        // Some appends succeed, then a sync fails in the middle of others.
        {
            auto store = Store::open(kPath, options(*world, Durability::disk));
            if (!store) return violate("cannot open: " + store.error().message);
            append_one(*store, history);
            world->fail_syncs_only(true);
            world->fail_call(1 + random_.below(4), ErrorCode::io, random_.below(2) == 0);
            for (int n = 0; n < 6; ++n) append_one(*store, history);
            take_images(*world, history);
            world->stop_failing();
            auto again = store->append({{.data = "after the failure"}});
            if (again && history.durable < history.commits.size())
                return violate("an append was taken after a failed sync");
            if (again) history.durable = 0, history.commits.clear();
            if (again) continue;  // the fault did not strike in this round
        }
        take_images(*world, history);
        // Reopened in the same boot: what is still here is made durable before it counts.
        {
            auto store = Store::open(kPath, options(*world, Durability::disk));
            if (!store)
                return violate("cannot reopen after a failed sync: " + store.error().message);
            std::size_t kept = 0;
            if (auto wrong = compare(*store, history, history.durable, true, kept))
                return violate("after a failed sync: " + *wrong);
            append_one(*store, history);
            for (int n = 0; n < 4; ++n) take_images(*world, history);
            append_one(*store, history);
        }
        for (int n = 0; n < 4 && !done(); ++n) take_images(*world, history);
    }
}

void Rig::run_failing_calls() {
    // How many calls a life makes is measured first; then each of them fails once, and for ever.
    const std::uint64_t seed = random_.next();
    const auto run = [&](std::uint64_t fail_at, bool for_ever, ErrorCode code) {
        random_ = os::SimRandom(seed);
        auto world = std::make_unique<os::SimEnv>(seed);
        History history;
        if (fail_at != 0) world->fail_call(fail_at, code, for_ever);
        for (int n = 0; n < 2; ++n) session(*world, history);
        world->stop_failing();
        const std::uint64_t calls = world->calls();
        if (fail_at == 0) return calls;
        // A store that could not even be made is none; else everything acknowledged is there.
        auto after = world->kill(seed);
        auto store = Store::open(kPath, options(*after, Durability::disk));
        ++tally_.images;
        std::size_t kept = 0;
        const std::string where = " (call " + std::to_string(fail_at) +
                                  (for_ever ? " and all later ones" : "") + " failed)";
        if (!store)
            violate("cannot open afterwards: " + store.error().message + where);
        else if (auto wrong = compare(*store, history, history.durable, true, kept))
            violate(*wrong + where);
        return calls;
    };
    const std::uint64_t calls = run(0, false, ErrorCode::io);
    for (std::uint64_t n = 1; n <= calls && !done(); ++n) {
        for (const bool for_ever : {false, true}) {
            run(n, for_ever, ErrorCode::io);
            run(n, for_ever, ErrorCode::no_space);
        }
    }
}

void Rig::run_damage() {
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        World cut;
        History history;
        {
            auto store = Store::open(kPath, options(*world, Durability::disk));
            if (!store) return violate("cannot open: " + store.error().message);
            while (history.commits.size() < 60) {
                history.pending = new_commit();
                history.pending->size_limit = 4000;
                std::vector<Made> made;
                for (const std::uint64_t one : history.pending->seeds) made.emplace_back(one, 4000);
                std::vector<NewEvent> events;
                for (const Made& one : made) events.push_back(one.event());
                if (!store->append(events)) return violate("an append failed");
                history.commits.push_back(std::move(*history.pending));
                history.pending.reset();
                history.durable = history.commits.size();
            }
            cut = world->power_cut(random_.next(), {os::SimCut::Style::nothing, 0});
        }
        world = std::move(cut);
        ++tally_.images;
        // One byte of a commit that was synced, not of the last one: a later commit knows that it
        // was durable.
        auto names = world->list("store/log");
        if (!names || names->size() < 2) return violate("segments that were synced are missing");
        std::sort(names->begin(), names->end());
        const std::string path = "store/log/" + (*names)[random_.below(names->size() - 1)];
        auto file = world->open(path, os::OpenMode::read_write, 0600);
        const std::uint64_t at = 4096 + random_.below(48 << 10);
        std::byte byte{};
        static_cast<void>((*file)->read_at(at, {&byte, 1}));
        byte ^= std::byte{0x10};
        static_cast<void>((*file)->write_at(at, {&byte, 1}));
        file->reset();
        auto report = Store::verify(kPath, options(*world, Durability::disk));
        const bool seen = !report || !report->damaged.empty();
        auto store = Store::open(kPath, options(*world, Durability::disk));
        if (!seen && store) {
            std::size_t kept = 0;
            if (auto wrong = compare(*store, history, history.durable, true, kept))
                violate("damage that verify does not see: " + *wrong);
            continue;
        }
        if (!store && store.error().code != ErrorCode::corrupt)
            violate("damage is answered with " + store.error().message);
        if (!store) continue;
        auto snapshot = store->snapshot();
        if (!snapshot || snapshot->published().value != history.events())
            violate("synced data behind a damaged place were dropped");
    }
}

void Rig::run_splices() {
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        History history;
        std::vector<std::byte> ours(64 << 10);
        std::vector<std::byte> theirs(64 << 10);
        const auto append_fixed = [&](os::SimEnv& where, char fill, int count) {
            auto store = Store::open(kPath, options(where, Durability::disk));
            const std::string data(400, fill);
            for (int n = 0; n < count; ++n)
                static_cast<void>(store->append({{.stream = "one", .data = data}}));
            return store.has_value();
        };
        const auto read_segment = [&](os::SimEnv& where, std::vector<std::byte>& into) {
            auto file = where.open("store/log/0000000001.seg", os::OpenMode::read, 0600);
            if (!file) return violate("a segment that was synced is missing");
            static_cast<void>((*file)->read_at(0, into));
        };
        append_fixed(*world, 'x', 3);
        auto other = world->power_cut(random_.next(), {os::SimCut::Style::nothing, 0});
        append_fixed(*other, 'B', 6);
        world = world->power_cut(random_.next(), {os::SimCut::Style::nothing, 0});
        append_fixed(*world, 'A', 3);
        world = world->power_cut(random_.next(), {os::SimCut::Style::nothing, 0});
        read_segment(*world, ours);
        read_segment(*other, theirs);
        if (done()) return;
        // Pages of the other history behind ours: same store, same positions, same sizes, valid in
        // themselves.
        std::size_t end = ours.size();
        while (end > 0 && ours[end - 1] == std::byte{0}) --end;
        end = (end + 7) / 8 * 8;
        auto file = world->open("store/log/0000000001.seg", os::OpenMode::read_write, 0600);
        static_cast<void>((*file)->write_at(end, base::Bytes{theirs}.subspan(end, 4096)));
        static_cast<void>((*file)->sync());
        file->reset();
        ++tally_.images;
        auto store = Store::open(kPath, options(*world, Durability::disk));
        if (!store) continue;  // refusing is right as well
        auto snapshot = store->snapshot();
        bool mixed = false;
        auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
            mixed = mixed || event.data[0] == 'B';
        });
        if (!seen || mixed) violate("events of another history were taken for ours");
    }
}

}  // namespace varve::crash
