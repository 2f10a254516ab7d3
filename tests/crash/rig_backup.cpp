// Scenarios of the crash rig around backups: what can be restored is a beginning of the history,
// and never less than the last complete backup had.
#include "rig.hpp"

namespace varve::crash {

void Rig::restore_and_compare(os::SimEnv& world, const History& history, std::size_t least,
                              bool must, const char* what) {
    ++tally_.images;
    const std::string where = std::string(" (") + what + ")";
    auto restored = Store::restore("backup", "restored", options(world, Durability::disk));
    if (!restored && (must || least > 0))
        return violate("a backup cannot be restored: " + restored.error().message + where);
    if (!restored) return;
    auto store = Store::open("restored", options(world, Durability::disk));
    if (!store) return violate("a restored store: " + store.error().message + where);
    std::size_t kept = 0;
    if (auto wrong = compare(*store, history, least, true, kept))
        violate("a restored store: " + *wrong + where);
}

/// One run, cut at random steps. `held` is the number of commits in the last complete backup.
bool Rig::back_up(os::SimEnv& world, Store& store, const History& history, std::size_t& held) {
    std::vector<World> cuts;
    world.on_step([&] {
        if (random_.below(12) == 0)
            cuts.push_back(world.power_cut(random_.next(), {os::SimCut::Style::mixed, 0}));
    });
    const bool fails = random_.below(3) == 0;
    if (fails) world.fail_call(1 + random_.below(20), ErrorCode::no_space, true);
    auto report = store.backup("backup", {.link = random_.below(4) == 0, .verify = false});
    world.stop_failing();
    world.on_step({});
    for (const World& cut : cuts) {
        ++tally_.cut_points;
        restore_and_compare(*cut, history, held, false, "cut in the middle");
        // The next run takes up what is there.
        auto again = Store::open("store", options(*cut, Durability::disk));
        if (!again) continue;  // judged by other scenarios
        // A store that nothing was appended to need not be there after the cut: this is another
        // one.
        if (again->opening().how == Opening::How::created) continue;
        auto next = again->backup("backup");
        if (!next) violate("a backup is not taken up: " + next.error().message);
        if (done()) return false;
    }
    if (!report && !fails) violate("no backup: " + report.error().message);
    // After a sync that failed, by our doing, only what was durable before is promised.
    if (report && store.sync()) held = history.commits.size();
    return tally_.held();
}

void Rig::run_backups() {
    while (!done()) {
        auto world = std::make_unique<os::SimEnv>(random_.next());
        History history;
        std::size_t held = 0;
        bool any = false;
        auto store = Store::open("store", options(*world, Durability::os));
        if (!store) return violate("cannot open: " + store.error().message);
        for (int round = 0; round < 4; ++round) {
            for (std::uint64_t n = random_.below(25); n > 0; --n) append_one(*store, history);
            const std::size_t before = held;
            if (!back_up(*world, *store, history, held)) return;
            any = any || held > before;
        }
        if (!any) continue;
        const auto cut = world->power_cut(random_.next(), {os::SimCut::Style::nothing, 0});
        restore_and_compare(*cut, history, held, true, "only what was synced");
    }
}

}  // namespace varve::crash
