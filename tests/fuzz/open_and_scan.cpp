// Fuzz target: a small valid store some of whose bytes are replaced. Opening it, either way, and
// reading everything, and erasing, gives data or an error.
//
// Input: a file's number, an offset and a length, then bytes for there; repeated.
#include <vector>

#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace {

using namespace varve;
const char* const kFiles[] = {"store/varve",
                              "store/manifest",
                              "store/control",
                              "store/log/0000000001.seg",
                              "store/log/0000000002.seg",
                              "store/index/0000000001.act"};

OpenOptions options_for(os::SimEnv& world, Access access) {
    OpenOptions options;
    options.env = &world;
    options.access = access;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

/// Made once: two segments, an erased event, closed in the one case, its writer killed in the
/// other.
std::unique_ptr<os::SimEnv> template_world(bool closed) {
    auto world = std::make_unique<os::SimEnv>(1);
    std::unique_ptr<os::SimEnv> killed;
    auto store = Store::open("store", options_for(*world, Access::read_write));
    const std::string data(9'000, 'd');
    for (int n = 0; n < 9; ++n) {
        static_cast<void>(
            store->append({{.stream = "s-1", .type = "T", .tags = {"a", "b"}, .data = data}}));
    }
    const Position second[] = {Position{2}};
    static_cast<void>(store->erase(second));
    if (!closed) killed = world->kill(2);
    static_cast<void>(store->close());
    return closed ? std::move(world) : std::move(killed);
}

void use(os::SimEnv& world, Access access) {
    auto store = Store::open("store", options_for(world, access));
    if (!store) return;
    auto snapshot = store->snapshot();
    if (!snapshot) return;
    std::size_t sum = 0;
    const auto read = [&](Source source) {
        auto seen = snapshot->read(source).for_each([&](const EventView& event) {
            sum += event.data.size() + event.stream.size();
            for (const std::string_view tag : event.tags) sum += tag.size();
        });
        sum += seen ? 1U : 0U;
    };
    read(Source::all());
    read(Source::stream("s-1"));
    read(Source::tag("a"));
    sum += snapshot->streams() ? 1U : 0U;
    if (access == Access::read_only) return;
    static_cast<void>(store->append({{.data = "more"}}));
    const Position third[] = {Position{3}};
    static_cast<void>(store->erase(third));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    static const std::unique_ptr<os::SimEnv> closed = template_world(true);
    static const std::unique_ptr<os::SimEnv> killed = template_world(false);
    if (size < 1) return 0;
    const auto world = (data[0] & 1U) != 0 ? closed->kill(3) : killed->kill(3);
    std::size_t at = 1;
    while (size - at >= 5) {
        const char* const path = kFiles[data[at] % std::size(kFiles)];
        const std::uint64_t offset =
            data[at + 1] | std::uint64_t{data[at + 2]} << 8 | std::uint64_t{data[at + 3]} << 16;
        const std::size_t length = std::min<std::size_t>(data[at + 4], size - at - 5);
        at += 5;
        auto file = world->open(path, os::OpenMode::read_write, 0600);
        const auto* const bytes = reinterpret_cast<const std::byte*>(data + at);
        if (file && offset + length <= *(*file)->size() && length > 0)
            static_cast<void>((*file)->write_at(offset, {bytes, length}));
        at += length;
    }
    use(*world, Access::read_only);
    static_cast<void>(Store::verify("store", options_for(*world, Access::read_only)));
    use(*world, Access::read_write);
    return 0;
}
