#include "interleave.hpp"

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::crash {

namespace {

const char* const kPath = "store";

OpenOptions options(os::SimEnv& world, Durability level, Access access = Access::read_write) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.durability = level;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

/// Appends to a stream of `version` events, with `demand`; another append with the same demand
/// comes in between.
std::string collide(std::uint64_t seed, Durability level, std::uint64_t version, Expected demand) {
    os::SimEnv world(seed);
    auto store = Store::open(kPath, options(world, level));
    if (!store) return "cannot open: " + store.error().message;
    for (std::uint64_t n = 0; n < version; ++n)
        static_cast<void>(store->append({{.stream = "one"}}));
    int inner_done = 0;
    world.on_gap([&] {
        world.on_gap({});
        const auto inner =
            store->append({{.stream = "one", .data = "inner"}}, {.expected = demand});
        if (inner && inner->version == version + 1) ++inner_done;
    });
    const auto outer = store->append({{.stream = "one", .data = "outer"}}, {.expected = demand});
    world.on_gap({});
    if (inner_done != 1) return "the append in between was not taken";
    if (outer) return "an append with an expected version was taken at another one";
    if (outer.error().code != ErrorCode::wrong_expected_version ||
        outer.error().version != version + 1 || outer.error().stream != "one")
        return "the refused append does not tell the version that the other one left";
    const auto found = store->snapshot()->version("one");
    return found && *found == version + 1 ? "" : "the stream is at a wrong version";
}

/// Follows while the writer appends at the given moment of the reader's wait.
std::string wait_for_one(std::uint64_t seed, Access access, bool asleep) {
    constexpr std::uint64_t kLookAgainUs = 1'000'000;  // then a waiter looks by itself
    os::SimEnv world(seed);
    auto writer = Store::open(kPath, options(world, Durability::os));
    if (!writer) return "cannot open: " + writer.error().message;
    static_cast<void>(writer->append({{.data = "first"}}));
    auto reader = access == Access::read_only
                      ? Store::open(kPath, options(world, Durability::os, access))
                      : std::move(writer);
    Store& appender = access == Access::read_only ? *writer : *reader;
    if (!reader) return "a reader cannot open: " + reader.error().message;
    auto live = reader->follow(Source::all(), {.after = Position{1}});
    if (!live) return "cannot follow: " + live.error().message;
    for (std::uint64_t n = 0; n < 20; ++n) {
        bool appended = false;
        world.on_wait([&](bool sleeps) {
            if (appended || sleeps != asleep) return;
            appended = true;
            static_cast<void>(appender.append({{.data = "ping"}}));
        });
        const std::uint64_t begin_us = world.monotonic_us();
        auto run = live->next(60'000);
        const std::uint64_t waited_us = world.monotonic_us() - begin_us;
        world.on_wait({});
        if (!appended) return "the reader did not wait";
        if (!run || run->size() != 1) return "the event was not delivered";
        if (waited_us >= kLookAgainUs) return "an event was published and its reader slept on";
    }
    return "";
}

}  // namespace

std::string append_inside_append(std::uint64_t seed) {
    for (const Durability level : {Durability::os, Durability::disk}) {
        for (const std::uint64_t version : {0U, 1U, 7U}) {
            std::string wrong = collide(seed, level, version, Expected::version(version));
            if (!wrong.empty()) return wrong;
        }
        std::string wrong = collide(seed, level, 0, Expected::no_stream());
        if (!wrong.empty()) return wrong;
    }
    return "";
}

std::string repeated_append_inside(std::uint64_t seed) {
    for (const Durability level : {Durability::os, Durability::interval, Durability::disk}) {
        os::SimEnv world(seed);
        auto store = Store::open(kPath, options(world, level));
        if (!store) return "cannot open: " + store.error().message;
        const EventId id{.bytes = {std::byte{7}}};
        const auto append = [&] {
            return store->append({{.stream = "one", .id = id}, {.stream = "one"}},
                                 {.expected = Expected::no_stream()});
        };
        bool inner_stored = false;
        world.on_gap([&] {
            world.on_gap({});
            const auto inner = append();
            inner_stored = inner && !inner->duplicate;
        });
        for (int n = 0; n < 2; ++n) {
            const auto again = append();
            world.on_gap({});
            if (!inner_stored) return "the first append was not taken";
            if (!again) return "a repeated append was refused: " + again.error().message;
            if (!again->duplicate || again->first.value != 1 || again->version != 2)
                return "a repeated append is not answered as the first one";
        }
        if (store->snapshot()->published().value != 2) return "an append was stored twice";
        if (level != Durability::os && store->snapshot()->durable().value != 2)
            return "a repeated append returned before it was durable";
    }
    return "";
}

std::string append_while_waiting(std::uint64_t seed) {
    for (const Access access : {Access::read_write, Access::read_only}) {
        for (const bool asleep : {false, true}) {
            std::string wrong = wait_for_one(seed, access, asleep);
            if (!wrong.empty()) return wrong;
        }
    }
    return "";
}

}  // namespace varve::crash
