// query: what a question by type and tags costs on a real history, every event of the answer
// visited.
//
// One thread. `varve` is the store as the import leaves it, all of its segments sealed; `active`
// has the same events in one young segment, which no sealed index covers. Invariant: each answer is
// as long as a look at every event says.
#include <algorithm>
#include <unordered_map>

#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::size_t kStep = 97;          ///< every so many events one asks
constexpr std::size_t kRareQueries = 416;  ///< of rare tags, at most
constexpr std::uint64_t kRare = 64;        ///< a tag of at most so many events is rare

struct Known {
    std::string type;
    std::vector<std::string> tags;
};

struct Question {
    std::vector<std::string> types;
    std::vector<std::string> tags;
    std::uint64_t events = 0;  ///< in its answer
};

std::vector<Known> all_events(const Snapshot& snapshot) {
    std::vector<Known> known;
    must(snapshot.read(Source::all()).for_each([&](const EventView& event) {
        Known one{std::string(event.type), {}};
        for (const std::string_view tag : event.tags) one.tags.emplace_back(tag);
        known.push_back(std::move(one));
    }),
         "read");
    return known;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool matches(const Question& question, const Known& event) {
    return (question.types.empty() || has(question.types, event.type)) &&
           std::all_of(question.tags.begin(), question.tags.end(),
                       [&](const std::string& tag) { return has(event.tags, tag); });
}

/// The type of every 97th event and its author's tag, or its first one if it tells no author.
std::vector<Question> by_author(const std::vector<Known>& events) {
    std::vector<Question> questions;
    for (std::size_t n = 0; n < events.size(); n += kStep) {
        const Known& event = events[n];
        if (event.tags.empty() || event.type.empty()) continue;
        const auto author =
            std::find_if(event.tags.begin(), event.tags.end(),
                         [](const std::string& tag) { return tag.starts_with("author/"); });
        questions.push_back(
            {{event.type}, {author == event.tags.end() ? event.tags.front() : *author}});
    }
    return questions;
}

/// Two rare tags of one event, of as many events as make `kRareQueries`.
std::vector<Question> by_rare_tags(const std::vector<Known>& events) {
    std::unordered_map<std::string, std::uint64_t> counts;
    for (const Known& event : events) {
        for (const std::string& tag : event.tags) ++counts[tag];
    }
    std::vector<Question> all;
    for (const Known& event : events) {
        Question question;
        for (const std::string& tag : event.tags) {
            if (counts[tag] <= kRare && question.tags.size() < 2) question.tags.push_back(tag);
        }
        if (question.tags.size() == 2) all.push_back(std::move(question));
    }
    if (all.size() <= kRareQueries) return all;
    std::vector<Question> some;
    for (std::size_t n = 0; n < kRareQueries; ++n)
        some.push_back(std::move(all[n * all.size() / kRareQueries]));
    return some;
}

std::vector<Question> questions_of(const Parameters& parameters, const Snapshot& snapshot) {
    const std::vector<Known> events = all_events(snapshot);
    auto questions = parameters.variant == "rare" ? by_rare_tags(events) : by_author(events);
    if (questions.empty()) {
        std::fprintf(stderr, "varve-bench: '%s' has no events with such types and tags\n",
                     parameters.file.c_str());
        std::exit(3);
    }
    for (Question& question : questions) {
        question.events = static_cast<std::uint64_t>(
            std::count_if(events.begin(), events.end(),
                          [&](const Known& event) { return matches(question, event); }));
    }
    return questions;
}

/// As an application asks: the names in its hands, the selector made on the way.
Selector selector_of(const Question& question) {
    QueryItem item;
    item.types.assign(question.types.begin(), question.types.end());
    item.tags.assign(question.tags.begin(), question.tags.end());
    return {item};
}

Metrics query_round(const Parameters& parameters, const Snapshot& snapshot,
                    const std::vector<Question>& questions) {
    ReadOptions options;
    options.verify = parameters.verification();
    Latencies latencies;
    std::uint64_t events = 0;
    std::uint64_t sum = 0;
    const double cpu_begin = cpu_seconds_now();
    for (const Question& question : questions) {
        std::uint64_t found = 0;
        const auto begin = std::chrono::steady_clock::now();
        must(snapshot.query(selector_of(question), options).for_each([&](const EventView& event) {
            sum += event.data.empty() ? 1U : static_cast<unsigned char>(event.data.front());
            ++found;
        }),
             "query");
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
        latencies.add(static_cast<std::uint64_t>(took.count()));
        if (found != question.events) {
            std::fprintf(stderr, "varve-bench: a query has %lu events instead of %lu\n", found,
                         question.events);
            std::exit(3);
        }
        events += found;
    }
    const double cpu = cpu_seconds_now() - cpu_begin;
    if (sum == 0) std::exit(3);
    const auto count = static_cast<double>(questions.size());
    return {{"us_per_query", latencies.average() / 1000},
            {"events_per_query", static_cast<double>(events) / count},
            {"queries", count},
            {"cpu_us_per_query", cpu / count * 1e6},
            {"p50_us", latencies.percentile(0.5) / 1000},
            {"max_us", latencies.max() / 1000}};
}

/// How many indexes have to be asked, and bytes of sealed ones.
void add_indexes(Metrics& metrics, const Store& store, const Snapshot& snapshot,
                 const Question& question) {
    const auto explained = must(snapshot.explain(selector_of(question)), "explain");
    metrics["indexes"] = static_cast<double>(explained.indexes);
    metrics["sealed_index_bytes"] =
        static_cast<double>(must(store.stats(), "stats").sealed_index_bytes);
}

/// Copies the events into a store whose first segment holds them all, and leaves it open: it
/// remains young.
Store copy_into_one_segment(const Store& from, const std::string& directory) {
    OpenOptions options;
    options.durability = Durability::os;
    options.segment_size_first = std::uint64_t{256} << 20;
    Store store = must(Store::open(directory, options), "open");
    must(
        must(from.snapshot(), "snapshot").read(Source::all()).for_each([&](const EventView& event) {
            NewEvent copy{.stream = event.stream, .type = event.type, .data = event.data};
            copy.tags.assign(event.tags.begin(), event.tags.end());
            copy.time_us = event.time_us;
            must(store.append(std::span<const NewEvent>(&copy, 1)), "append");
        }),
        "read");
    return store;
}

void measure(const Parameters& parameters, const Store& store,
             const std::vector<Question>& questions, Side& side) {
    const Snapshot snapshot = must(store.snapshot(), "snapshot");
    Metrics metrics = query_round(parameters, snapshot, questions);
    add_indexes(metrics, store, snapshot, questions.front());
    side.rounds.push_back(metrics);
}

}  // namespace

void run_query(const Parameters& parameters) {
    const Scratch scratch(parameters.directory);
    import_file(parameters.file, scratch.path("sealed"));
    OpenOptions options;
    options.access = Access::read_only;
    const Store sealed = must(Store::open(scratch.path("sealed"), options), "open");
    const Store active = copy_into_one_segment(sealed, scratch.path("active"));
    const std::vector<Question> questions =
        questions_of(parameters, must(sealed.snapshot(), "snapshot"));
    std::vector<Side> sides{{"varve", {}}, {"active", {}}};
    for (std::uint64_t round = 0; round <= parameters.rounds; ++round) {
        measure(parameters, sealed, questions, sides[0]);
        measure(parameters, active, questions, sides[1]);
        if (round > 0) continue;
        for (Side& side : sides) side.rounds.clear();  // the first one warms the cache
    }
    report(parameters, sides);
}

}  // namespace varve::bench
