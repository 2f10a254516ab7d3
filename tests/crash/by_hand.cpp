// Defects that no crash can bring about because another check stands in front of them: shown on
// bytes made by hand.
#include "by_hand.hpp"

#include <algorithm>
#include <vector>

#include "log/recovery.hpp"
#include "os/sim_env.hpp"
#include "varve/varve.hpp"

namespace varve::crash {

namespace {

const char* const kPath = "store";

OpenOptions options(os::SimEnv& world) {
    OpenOptions options;
    options.env = &world;
    options.segment_size_first = 64 << 10;
    options.segment_size_max = 64 << 10;
    return options;
}

void flip(os::SimEnv& world, const std::string& path, std::uint64_t at) {
    auto file = world.open(path, os::OpenMode::read_write, 0600);
    std::byte byte{};
    static_cast<void>((*file)->read_at(at, {&byte, 1}));
    byte ^= std::byte{1};
    static_cast<void>((*file)->write_at(at, {&byte, 1}));
}

/// Places commits of one event each in a segment's bytes, as a writer does.
class HandMadeSegment {
public:
    HandMadeSegment(std::uint64_t number, const log::LogPoint& before) : bytes_(64 << 10) {
        log::SegmentHeader segment;
        segment.number = number;
        segment.previous = before.segment;
        segment.first_position = before.position + 1;
        segment.capacity = bytes_.size();
        segment.salt = log::salt_of(1, number);
        segment.prev_chain = before.chain;
        log::encode_segment_header(bytes_.data(), segment);
        keys_ = log::segment_keys({}, segment.salt);
        end_ = {number, log::kSegmentHeaderSize, before.position, before.chain, before.epoch};
    }

    void commit(std::uint32_t epoch, std::uint64_t durable_hint) {
        const std::uint64_t hashes[2] = {0, 0};
        log::RecordInput input;
        input.hashes = hashes;
        input.head_size = static_cast<std::uint32_t>(log::head_size(0, 0, false));
        log::CommitHeader header;
        header.length8 = static_cast<std::uint32_t>((sizeof header + input.head_size) / 8);
        header.count = 1;
        header.first_position = end_.position + 1;
        header.durable_hint = durable_hint;
        header.epoch = epoch;
        header.prev_chain = end_.chain;
        log::RecordPlace place;
        place.position = header.first_position;
        place.commit_distance8 = sizeof header / 8;
        std::byte* const at = bytes_.data() + end_.offset;
        header.chain =
            log::add_to_chain(log::begin_chain(header),
                              log::encode_record(at + sizeof header, input, place, keys_.seed));
        log::encode_commit_header(at, header, keys_);
        end_ = log::after_commit(end_, header);
    }
    void damage(std::uint64_t at) { bytes_[at] ^= std::byte{1}; }
    [[nodiscard]] const log::LogPoint& end() const { return end_; }
    [[nodiscard]] log::SegmentImage image() const {
        return log::look_at(end_.segment, bytes_, {}, 1);
    }

private:
    std::vector<std::byte> bytes_;
    log::SegmentKeys keys_;
    log::LogPoint end_;
};

}  // namespace

std::string older_writer_behind_newer() {
    HandMadeSegment segment(1, {});
    segment.commit(5, 0);
    segment.commit(4, 0);
    const log::SegmentImage images[] = {segment.image()};
    const log::Recovery found = log::recover(images, {});
    return found.end.position == 1
               ? ""
               : "a commit of an earlier writer was taken behind one of a later writer";
}

std::string evidence_behind_a_roll() {
    HandMadeSegment first(1, {});
    first.commit(1, 0);
    const std::uint64_t second_commit = first.end().offset;
    first.commit(1, 0);
    HandMadeSegment next(2, first.end());
    next.commit(1, 2);  // its writer knew that positions 1 and 2 are durable
    first.damage(second_commit + 70);
    const log::SegmentImage images[] = {first.image(), next.image()};
    const log::Recovery found = log::recover(images, {});
    return found.damaged ? "" : "damage to synced data was taken for a tail that was never synced";
}

namespace {

/// Flips a bit in the newest segment that was used, or in one `before` it.
std::string damage_in_a_segment(std::uint64_t seed, std::size_t before, const char* unseen) {
    os::SimEnv world(seed);
    {
        auto store = Store::open(kPath, options(world));
        if (!store) return "cannot open: " + store.error().message;
        const std::string data(5000, 'd');
        for (int n = 0; n < 20; ++n) static_cast<void>(store->append({{.data = data}}));
        static_cast<void>(store->close());
    }
    auto names = world.list("store/log");
    std::sort(names->begin(), names->end());
    // The newest one that was used; a prepared one behind it may be empty.
    while (!names->empty()) {
        auto file = world.open("store/log/" + names->back(), os::OpenMode::read, 0600);
        std::byte first{};
        static_cast<void>((*file)->read_at(0, {&first, 1}));
        if (first != std::byte{0}) break;
        names->pop_back();
    }
    if (names->size() <= before) return "too few segments";
    flip(world, "store/log/" + (*names)[names->size() - 1 - before], 4096 + 600);
    auto report = Store::verify(kPath, options(world));
    return !report || !report->damaged.empty() ? "" : unseen;
}

}  // namespace

std::string damage_in_the_last_segment(std::uint64_t seed) {
    return damage_in_a_segment(seed, 0, "verify did not see damage in the last segment");
}

std::string damage_in_the_segment_before_it(std::uint64_t seed) {
    return damage_in_a_segment(seed, 1, "verify did not see damage in the segment before the last");
}

std::string flipped_padding(std::uint64_t seed) {
    os::SimEnv world(seed);
    {
        auto store = Store::open(kPath, options(world));
        if (!store) return "cannot open: " + store.error().message;
        static_cast<void>(store->append({{.stream = "s", .type = "t", .data = "five!"}}));
        static_cast<void>(store->append({{.stream = "s", .type = "t", .data = "five!"}}));
        static_cast<void>(store->close());
    }
    // Behind "five!" three bytes of padding end the record.
    const std::string path = "store/log/0000000001.seg";
    std::vector<std::byte> bytes(8192);
    {
        auto file = world.open(path, os::OpenMode::read, 0600);
        static_cast<void>((*file)->read_at(0, bytes));
    }
    const std::string_view text = base::as_text(bytes);
    flip(world, path, text.find("five!") + 6);
    auto report = Store::verify(kPath, options(world));
    return !report || !report->damaged.empty() ? "" : "a flipped bit in the padding went unnoticed";
}

namespace {

/// Appends without a sync until four events stand in the second segment. Returns the position of
/// the last one before it.
std::uint64_t roll_without_sync(Store& store) {
    const std::string data(6'000, 'o');
    std::uint64_t before = 0;
    for (int n = 0; n < 60; ++n) {
        auto done = store.append({{.stream = "old", .data = data}}, {.durability = Durability::os});
        if (!done) return 0;
        const auto stats = store.stats();
        if (!stats) return 0;
        if (stats->segments < 2) before = done->last.value;
        if (done->last.value == before + 4 && before > 0) return before;
    }
    return 0;
}

}  // namespace

std::string segment_that_lost_its_header(std::uint64_t seed) {
    os::SimEnv world(seed);
    OpenOptions lazy = options(world);
    lazy.durability = Durability::os;
    auto store = Store::open(kPath, lazy);
    if (!store) return "cannot open: " + store.error().message;
    const std::uint64_t before = roll_without_sync(*store);
    if (before == 0) return "nothing was rolled";
    const auto cut = world.power_cut(seed, {os::SimCut::Style::everything, 0});
    const std::string second = "store/log/0000000002.seg";
    {
        const std::vector<std::byte> zeros(log::kSegmentHeaderSize);
        auto file = cut->open(second, os::OpenMode::read_write, 0600);
        if (!file || !(*file)->write_at(0, zeros) || !(*file)->sync()) return "no second segment";
    }
    std::unique_ptr<os::SimEnv> after;
    {
        auto next = Store::open(kPath, options(*cut));
        if (!next) return "cannot open after a power cut: " + next.error().message;
        if (next->snapshot()->published().value != before)
            return "a segment without a header was read";
        for (const char* data : {"new first", "new second", "new third"}) {
            if (!next->append({{.stream = "new", .data = data}})) return "cannot append";
        }
        after = cut->power_cut(seed, {os::SimCut::Style::everything, 0});
    }
    // The manifest vouches for the first new event; the second is damaged, and the third proves
    // that it was durable.
    auto names = after->list("store/log");
    bool damaged = false;
    for (const std::string& name : *names) {
        const std::string path = "store/log/" + name;
        auto file = after->open(path, os::OpenMode::read, 0600);
        std::vector<std::byte> bytes(*(*file)->size());
        static_cast<void>((*file)->read_at(0, bytes));
        const std::size_t at = base::as_text(bytes).find("new second");
        if (at == std::string_view::npos) continue;
        flip(*after, path, at);
        damaged = true;
    }
    if (!damaged) return "the new event is nowhere";
    OpenOptions reading = options(*after);
    reading.access = Access::read_only;
    auto reader = Store::open(kPath, reading);
    if (!reader) return "cannot read around damage: " + reader.error().message;
    return reader->snapshot()->published().value == before + 3
               ? ""
               : "events that had been given up came back";
}

}  // namespace varve::crash
