// Sealed indexes where crashes, missing files and unlucky moments meet them.
#include <algorithm>
#include <set>

#include "by_hand.hpp"
#include "os/sim_env.hpp"
#include "store/engine.hpp"
#include "store/reading.hpp"
#include "store/sealed.hpp"
#include "varve/varve.hpp"

namespace varve::crash {

namespace {

const char* const kPath = "store";
const Source kTag{Source::Kind::tag, "g"};

OpenOptions options(os::SimEnv& world, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.durability = Durability::os;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

void append(Store& store, int count) {
    const std::string data(6000, 'd');
    for (int n = 0; n < count; ++n)
        static_cast<void>(store.append({{.stream = "s", .tags = {"g"}, .data = data}}));
}

std::set<std::string> indexes(os::SimEnv& world) {
    std::set<std::string> found;
    auto names = world.list("store/index");
    for (const std::string& name : *names) {
        if (name.ends_with(".idx")) found.insert(name);
    }
    return found;
}

/// What the manifest of this world names and is not whole; empty if there is none.
std::string broken_index(os::SimEnv& world) {
    auto meta = store::meta_for_reading(kPath, options(world, Access::read_only));
    if (!meta) return "";  // the store itself is not there yet
    auto manifest = file::read_manifest(world, "store/manifest", (*meta)->manifest_seed());
    if (!manifest) return "";
    for (const file::SealedRange& range : manifest->sealed()) {
        auto sealed = store::open_sealed(**meta, range);
        if (!sealed) return sealed.error().file + ": " + sealed.error().message;
        if ((*sealed)->index.check_all() != index::Found::yes)
            return (*meta)->sealed_index_path(range) + " is damaged";
    }
    return "";
}

}  // namespace

std::string named_indexes_are_whole(std::uint64_t seed) {
    os::SimEnv world(seed);
    auto store = Store::open(kPath, options(world));
    if (!store) return "cannot open: " + store.error().message;
    std::string broken;
    std::uint64_t step = 0;
    bool inside = false;
    append(*store, 9);
    world.on_step([&] {
        // The first seals step by step, then a sample up to the first merge.
        ++step;
        if (inside || !broken.empty() || (step > 600 && step % 23 != 0)) return;
        inside = true;
        const auto after = world.power_cut(seed + step, {os::SimCut::Style::nothing, 0});
        broken = broken_index(*after);
        inside = false;
    });
    append(*store, 190);
    world.on_step(nullptr);
    if (!broken.empty()) return "after a power cut: " + broken;
    return indexes(world).contains("0000000001-0000000016.idx") ? "" : "nothing was merged";
}

std::string replaced_files_stay(std::uint64_t seed) {
    os::SimEnv world(seed);
    auto store = Store::open(kPath, options(world));
    if (!store) return "cannot open: " + store.error().message;
    for (int n = 0; n < 300 && !indexes(world).contains("0000000001-0000000016.idx"); ++n)
        append(*store, 1);
    append(*store, 12);
    if (!indexes(world).contains("0000000002-0000000002.idx"))
        return "a file that was merged went before readers could have looked again";
    world.set_clock(world.monotonic_us() + 60'000'000);
    append(*store, 12);
    return indexes(world).contains("0000000002-0000000002.idx") ? "files that were merged stay"
                                                                : "";
}

std::string missing_index(std::uint64_t seed) {
    os::SimEnv world(seed);
    {
        auto store = Store::open(kPath, options(world));
        if (!store) return "cannot open: " + store.error().message;
        append(*store, 60);
        static_cast<void>(store->close());
    }
    if (!world.remove("store/index/0000000003-0000000003.idx")) return "nothing was sealed";
    static_cast<void>(world.remove("store/index/0000000003.act").has_value());
    const auto after = world.power_cut(seed, {os::SimCut::Style::everything, 0});
    auto reader = Store::open(kPath, options(*after, Access::read_only));
    if (!reader) return "cannot read: " + reader.error().message;
    std::uint64_t found = 0;
    auto now = reader->snapshot();
    if (!now) return "cannot read: " + now.error().message;
    auto seen = now->read(kTag).for_each([&](const EventView&) { ++found; });
    return !seen || found == 60 ? "" : "a reader without an index has answered short";
}

std::string clipped_lists(std::uint64_t seed) {
    os::SimEnv world(seed);
    auto opened = store::Engine::open(kPath, options(world));
    if (!opened) return "cannot open: " + opened.error().message;
    const std::string data(6000, 'd');
    for (int n = 0; n < 60; ++n) {
        const NewEvent event{.stream = "s", .tags = {"g"}, .data = data};
        static_cast<void>((*opened)->writer()->append({&event, 1}, {}));
    }
    auto view = (*opened)->view();
    if (!view) return "cannot read: " + view.error().message;
    // As it is when `published` was loaded just before a segment was sealed.
    view->published = 5;
    auto pinned = std::make_shared<store::Pinned>((*opened)->shared_meta(), *view);
    for (const Direction direction : {Direction::forwards, Direction::backwards}) {
        store::Reading reading(pinned, kTag, {.direction = direction});
        std::uint64_t found = 0;
        for (auto run = reading.next(); run && !run->empty(); run = reading.next()) {
            for (const EventView& event : *run) {
                if (event.position.value > 5) return "a view has shown what came after it";
                ++found;
            }
        }
        if (found != 5) return "a view has not shown everything";
    }
    return "";
}

}  // namespace varve::crash
