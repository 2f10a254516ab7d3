// open: how long a process that starts waits for its first answers: after a clean close, after a
// kill in the middle of an append, after a restart of the machine, after one without a clean close.
//
// Everything runs in fresh child processes; this process opens no store. A restart is another boot
// id and a page cache without the store's files. What each opening does: read the last event, the
// version of a random stream, one tag of ten events, append one event.
#include <varve/testing.hpp>

#include "database.hpp"
#include "processes.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kTags = 100;  ///< tags of ten events each
constexpr std::uint64_t kEventsPerTag = 10;
constexpr std::uint64_t kPeerEvents = 1'000'000;  ///< a peer is loaded with at most so many

std::string rare_tag(std::uint64_t n) { return "ten/" + std::to_string(n % kTags); }

/// One database and the life of the machine it is on.
struct Subject {
    std::string name, directory;
    const Parameters& parameters;
    std::uint64_t events = 0;  ///< loaded
    std::uint64_t boot = 0;    ///< restarts so far
    Random random{3};

    [[nodiscard]] HowToOpen how(bool reader = false) const {
        return {.level = parameters.durability(), .boot = boot, .reader = reader};
    }
};

/// Loads the workload and reports anonymous memory of the process that did, beyond what it had
/// before. Every tenth part of the events has one event of each rare tag,
/// in a stream of that name.
double load_all(const Subject& subject) {
    Workload workload(subject.parameters.workload == "wide", subject.parameters.size);
    std::vector<std::string> tags;
    for (std::uint64_t n = 0; n < kTags; ++n) tags.push_back(rare_tag(n));
    const std::uint64_t part = subject.events / kEventsPerTag;
    const std::uint64_t step = part / kTags;
    const auto add_rare = [&](std::vector<NewEvent>& events, std::uint64_t first) {
        for (std::uint64_t n = 0; n < events.size(); ++n) {
            const std::uint64_t within = (first + n) % part;
            if (first + n >= part * kEventsPerTag) continue;
            if (within % step != 0 || within / step >= kTags) continue;
            events[n].tags.push_back(tags[within / step]);
            events[n].stream = tags[within / step];
        }
    };
    std::vector<NewEvent> warm(512);
    workload.fill(warm);
    const double before = anonymous_mb();
    const auto database = open_database(subject.name, subject.directory, {.level = Durability::os});
    load(*database, workload, subject.events, add_rare);
    return anonymous_mb() - before;
}

/// The time to open and the first uses, in a process of its own, in milliseconds. It closes the
/// database afterwards.
double first_uses_ms(Subject& subject, bool reader = false) {
    const std::string stream = rare_tag(subject.random.next());  // streams of the same names
    const std::string tag = rare_tag(subject.random.next());
    return in_child([&] {
               std::uint64_t sum = 0;
               const double begin = seconds_now();
               const auto database =
                   open_database(subject.name, subject.directory, subject.how(reader));
               const std::uint64_t last = database->read_last(sum);
               const std::uint64_t version = database->version(stream);
               const std::uint64_t tagged = database->read_tag(tag, sum);
               const std::string_view tags[] = {"opened"};
               NewEvent event{.stream = "opening", .type = "Opened", .data = "opened"};
               event.tags.assign(std::begin(tags), std::end(tags));
               if (!reader) database->append(std::span<const NewEvent>(&event, 1));
               const double end = seconds_now();
               const bool right = last >= subject.events && sum > 0 &&
                                  (!database->finds_names() ||
                                   (tagged == kEventsPerTag && version == kEventsPerTag));
               if (!right) {
                   std::fprintf(stderr, "varve-bench: %s: a wrong answer after opening\n",
                                subject.name.c_str());
                   std::exit(3);
               }
               return std::vector<double>{(end - begin) * 1000};
           })
        .front();
}

/// A process that appends until it is killed, after `events` of them at least.
void kill_in_mid_append(const Subject& subject, std::uint64_t events) {
    kill_in_child([&](const std::function<void()>& ready) {
        const auto database = open_database(subject.name, subject.directory, subject.how());
        Workload workload(false, subject.parameters.size);
        std::vector<NewEvent> run(256);
        for (std::uint64_t done = 0;; done += run.size()) {
            workload.fill(run);
            for (std::size_t n = 0; n < run.size(); n += 8)
                database->append(std::span<const NewEvent>(&run[n], 8));
            if (done < events && done + run.size() >= events) ready();
        }
    });
}

void restart(Subject& subject) {
    drop_cache(subject.directory);
    ++subject.boot;
}

double log_mib(const Subject& subject) {
    return in_child([&] {
               OpenOptions options;
               options.access = Access::read_only;
               Restarted machine(subject.boot);
               if (subject.boot > 0) options.env = machine.env();
               const Store store = must(Store::open(subject.directory, options), "open");
               const Stats stats = must(store.stats(), "stats");
               return std::vector<double>{static_cast<double>(stats.log_bytes) / (1 << 20)};
           })
        .front();
}

/// After a restart without a clean close, with the log as long as a crash at a bad moment leaves
/// it.
void measure_crashed(Subject& subject, Metrics& metrics) {
    const double before = log_mib(subject);
    // 256 MiB of log, or as much as was loaded if that is less.
    const std::uint64_t most = (256ULL << 20) / (subject.parameters.size + 150);
    kill_in_mid_append(subject, std::min(subject.events, most));
    const double mib = log_mib(subject) - before;
    restart(subject);
    metrics["crashed_ms"] = first_uses_ms(subject);
    metrics["crashed_mib"] = mib;
    metrics["crashed_ms_per_256_mib"] = metrics["crashed_ms"] / mib * 256;
}

Metrics open_round(Subject& subject) {
    Metrics metrics;
    metrics["clean_ms"] = first_uses_ms(subject);
    const bool ours = subject.name == "varve";
    if (ours) metrics["reader_ms"] = first_uses_ms(subject, true);
    kill_in_mid_append(subject, 2'000);
    if (ours) metrics["reader_killed_ms"] = first_uses_ms(subject, true);
    if (ours) kill_in_mid_append(subject, 2'000);
    metrics["killed_ms"] = first_uses_ms(subject);
    restart(subject);
    metrics["recovered_ms"] = first_uses_ms(subject);
    if (ours) measure_crashed(subject, metrics);
    return metrics;
}

/// What the loaded store takes.
void add_sizes(const Subject& subject, double anonymous, Metrics& into) {
    into["events"] = static_cast<double>(subject.events);
    into["anon_mb"] = anonymous;
    if (subject.name != "varve") {
        into["disk_bytes"] = bytes_on_disk(subject.directory);
        return;
    }
    const std::vector<double> sizes = in_child([&] {
        OpenOptions options;
        options.access = Access::read_only;
        const Store store = must(Store::open(subject.directory, options), "open");
        const Stats stats = must(store.stats(), "stats");
        return std::vector<double>{static_cast<double>(stats.files),
                                   static_cast<double>(stats.log_bytes),
                                   static_cast<double>(stats.index_bytes)};
    });
    into["files"] = sizes[0];
    into["log_bytes"] = sizes[1];
    into["index_bytes"] = sizes[2];
}

}  // namespace

void run_open(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 1'000'000;
    // Fewer would not have a place for every rare tag, nor keep them apart.
    parameters.events = std::max<std::uint64_t>(parameters.events, 20'000);
    const Scratch scratch(parameters.directory);
    std::vector<Side> sides{{"varve", {}}};
    for (const std::string& peer : parameters.peers) sides.push_back({peer, {}});
    std::vector<Subject> subjects;
    std::vector<Metrics> sizes(sides.size());
    for (std::size_t n = 0; n < sides.size(); ++n) {
        const std::string& name = sides[n].variant;
        const std::uint64_t most = name == "varve" ? parameters.events : kPeerEvents;
        subjects.push_back({.name = name,
                            .directory = scratch.path(name),
                            .parameters = parameters,
                            .events = std::min(parameters.events, most)});
        const double anonymous =
            in_child([&] { return std::vector<double>{load_all(subjects[n])}; }).front();
        add_sizes(subjects[n], anonymous, sizes[n]);
    }
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        for (std::size_t n = 0; n < sides.size(); ++n) {
            Metrics metrics = open_round(subjects[n]);
            metrics.merge(Metrics(sizes[n]));
            sides[n].rounds.push_back(metrics);
            show_progress("opening", round * sides.size() + n + 1,
                          parameters.rounds * sides.size());
        }
    }
    report(parameters, sides);
}

}  // namespace varve::bench
