#include "history.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "os/sim_disk.hpp"

namespace varve::crash {

Made::Made(std::uint64_t seed, std::size_t size_limit) {
    os::SimRandom random(seed);
    stream = random.below(8) == 0 ? "" : "account-" + std::to_string(random.below(6));
    type = random.below(8) == 0 ? "" : "Type" + std::to_string(random.below(4));
    for (std::uint64_t n = random.below(4); n > 0; --n) {
        const std::string tag = "tag/" + std::to_string(random.below(12));
        if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
    }
    data.resize(random.below(size_limit));
    for (char& byte : data) byte = static_cast<char>(random.next());
    if (random.below(4) == 0) metadata = "{\"seed\":" + std::to_string(seed) + "}";
    if (random.below(4) == 0) return;
    id.emplace();
    std::memcpy(id->bytes.data(), &seed, sizeof seed);
}

NewEvent Made::event() const {
    NewEvent event;
    event.stream = stream;
    event.type = type;
    event.tags.assign(tags.begin(), tags.end());
    event.data = data;
    event.metadata = metadata;
    event.id = id;
    return event;
}

std::uint64_t History::events() const noexcept {
    std::uint64_t sum = 0;
    for (const Commit& commit : commits) sum += commit.seeds.size();
    return sum;
}

void History::forget_erasures_beyond(std::uint64_t position) {
    erasing.erase(erasing.upper_bound(position), erasing.end());
    erased.erase(erased.upper_bound(position), erased.end());
}

namespace {

bool equal(const EventView& found, const Made& wanted) {
    const bool content = found.erased
                             ? found.data.empty() && found.metadata.empty()
                             : found.data == wanted.data && found.metadata == wanted.metadata;
    return found.stream == wanted.stream && found.type == wanted.type && content &&
           found.id() == wanted.id &&
           std::equal(found.tags.begin(), found.tags.end(), wanted.tags.begin(), wanted.tags.end());
}

/// What is wrong with whether an event is erased, or nothing.
std::optional<std::string> judge_erased(const EventView& event, const Made& made,
                                        const History& history) {
    const std::uint64_t position = event.position.value;
    if (event.erased && !history.erasing.contains(position))
        return "nobody asked to erase position " + std::to_string(position);
    const bool empty = made.data.empty() && made.metadata.empty();
    if (!event.erased && !empty && history.erased.contains(position))
        return "the content of position " + std::to_string(position) + " was erased and is there";
    return std::nullopt;
}

/// Positions that the log holds under each name, to be compared with what the indexes answer.
using Names = std::map<std::pair<Source::Kind, std::string>, std::vector<std::uint64_t>>;

std::optional<std::string> compare_indexes(const Snapshot& snapshot, const Names& names) {
    for (const auto& [name, positions] : names) {
        std::vector<std::uint64_t> found;
        auto seen =
            snapshot.read(Source{name.first, name.second}).for_each([&](const EventView& event) {
                found.push_back(event.position.value);
            });
        if (!seen) return "reading '" + name.second + "': " + seen.error().message;
        if (found != positions) return "the index of '" + name.second + "' disagrees with the log";
        if (name.first != Source::Kind::stream) continue;
        auto version = snapshot.version(name.second);
        if (!version || *version != positions.size())
            return "version of '" + name.second + "' is wrong";
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> repeat(Store& store, const Commit& commit, std::uint64_t first) {
    std::vector<Made> made;
    for (const std::uint64_t seed : commit.seeds) made.emplace_back(seed, commit.size_limit);
    std::vector<NewEvent> events;
    bool has_ids = false;
    for (const Made& one : made) {
        events.push_back(one.event());
        has_ids = has_ids || one.id;
    }
    if (!has_ids) return std::nullopt;
    const std::uint64_t published = store.snapshot()->published().value;
    const bool known = first != 0;
    if (!known) first = published + 1;
    for (int n = 0; n < 2; ++n) {
        auto done = store.append(events);
        if (!done) return "a repeated append is refused: " + done.error().message;
        if (done->duplicate != (known || n > 0)) {
            return std::string(done->duplicate
                                   ? "an append that is not there is called a repetition"
                                   : "a repeated append was stored again");
        }
        if (done->first.value != first || done->last.value != first + events.size() - 1)
            return "a repeated append is told other positions than its own";
        auto now = store.snapshot();
        if (now->published().value != std::max(published, done->last.value))
            return "a repeated append left other events than its own";
        if (done->level == Durability::disk && now->durable() < done->last)
            return "a repeated append returned before it was durable";
    }
    return std::nullopt;
}

struct Wanted {
    std::uint64_t seed;
    std::size_t size_limit;
    bool control;
};

/// What each position should hold, commit by commit, until there is enough. `kept`: commits.
std::vector<Wanted> wanted_until(const History& history, std::uint64_t published,
                                 std::size_t& kept) {
    std::vector<const Commit*> all;
    for (const Commit& commit : history.commits) all.push_back(&commit);
    if (history.pending) all.push_back(&*history.pending);
    std::vector<Wanted> wanted;
    kept = 0;
    for (const Commit* commit : all) {
        if (wanted.size() >= published) break;
        for (const std::uint64_t seed : commit->seeds)
            wanted.push_back({seed, commit->size_limit, commit->control});
        ++kept;
    }
    return wanted;
}

std::optional<std::string> compare(const Store& store, const History& history, std::size_t least,
                                   bool deep, std::size_t& kept) {
    auto snapshot = store.snapshot();
    if (!snapshot) return "no snapshot: " + snapshot.error().message;
    const std::uint64_t published = snapshot->published().value;
    const std::vector<Wanted> wanted = wanted_until(history, published, kept);
    if (wanted.size() != published)
        return "part of an append, or more than was appended: " + std::to_string(published) +
               " events";
    if (kept < least)
        return "only " + std::to_string(kept) + " of " + std::to_string(least) +
               " promised appends are there";
    std::optional<std::string> wrong;
    Names names;
    std::vector<std::pair<EventId, std::uint64_t>> ids;
    std::map<std::string, std::uint64_t> versions;
    std::uint64_t position = 0;
    auto seen = snapshot->read(Source::all()).for_each([&](const EventView& event) {
        if (wrong) return;
        while (position < wanted.size() && wanted[position].control) ++position;
        if (position >= wanted.size()) return;
        const Made made(wanted[position].seed, wanted[position].size_limit);
        ++position;
        if (event.position.value != position || !equal(event, made))
            wrong = "position " + std::to_string(position) + " holds another event";
        if (!wrong) wrong = judge_erased(event, made, history);
        if (!made.stream.empty() && event.revision.value != ++versions[made.stream])
            wrong = "a wrong revision at " + std::to_string(position);
        if (!deep) return;
        if (made.id) ids.emplace_back(*made.id, position);
        if (!made.stream.empty()) names[{Source::Kind::stream, made.stream}].push_back(position);
        if (!made.stream.empty()) names[{Source::Kind::category, "account"}].push_back(position);
        if (!made.type.empty()) names[{Source::Kind::type, made.type}].push_back(position);
        for (const std::string& tag : made.tags)
            names[{Source::Kind::tag, tag}].push_back(position);
    });
    if (!seen) return "reading: " + seen.error().message;
    while (position < wanted.size() && wanted[position].control) ++position;
    if (wrong) return wrong;
    if (position != published) return "fewer events than published";
    if (wrong || !deep) return wrong;
    for (const auto& [id, where] : ids) {
        auto found = snapshot->find(id);
        if (!found || found->position.value != where)
            return "the event at position " + std::to_string(where) + " is not found by its id";
    }
    return compare_indexes(*snapshot, names);
}

}  // namespace varve::crash
