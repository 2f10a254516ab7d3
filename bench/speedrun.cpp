// speedrun: the course subscription of the DCB examples as fast as it goes. A lap defines ten
// courses and registers ten students, then enrols every student in every course: 120 operations,
// each a read and an append under the condition that what was read is still all there is.
//
// An enrolment reads by a query of two items: what happened to the course, what happened to the
// student. Every client makes laps of its own. Invariant: every lap leaves a hundred enrolments.
#include <array>
#include <string>
#include <thread>

#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::uint64_t kNames = 10;  ///< students, and courses, of a lap
constexpr double kRoundS = 1.5;

[[noreturn]] void refuse(const char* why) {
    std::fprintf(stderr, "varve-bench: %s\n", why);
    std::exit(3);
}

/// One client, its names, and how long its operations took.
class Client {
public:
    Client(Store& store, std::uint64_t number, const Parameters& parameters)
        : store_(store), number_(number), verify_(parameters.verification()) {}

    void lap() {
        const std::string suffix = std::to_string(number_) + "-" + std::to_string(laps_) + "-";
        for (std::uint64_t n = 0; n < kNames; ++n) {
            courses_[n] = "course/" + suffix + std::to_string(n);
            students_[n] = "student/" + suffix + std::to_string(n);
            timed([&] { begin(courses_[n], "CourseDefined", R"({"capacity":10})"); });
            timed([&] { begin(students_[n], "StudentRegistered", R"({"limit":10})"); });
        }
        for (const std::string& student : students_) {
            for (const std::string& course : courses_) timed([&] { enrol(student, course); });
        }
        ++laps_;
    }
    [[nodiscard]] std::uint64_t laps() const { return laps_; }
    [[nodiscard]] const Latencies& latencies() const { return latencies_; }

private:
    template <class Work>
    void timed(Work&& work) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
        latencies_.add(static_cast<std::uint64_t>(took.count()));
    }

    template <class Use>
    Seen read(const Selector& selector, Use&& use) {
        ReadOptions options;
        options.verify = verify_;
        return must(must(store_.snapshot(), "snapshot").query(selector, options).for_each(use),
                    "query");
    }

    /// A name is used once.
    void begin(const std::string& name, std::string_view type, std::string_view data) {
        const Selector selector = {QueryItem{{type}, {name}}};
        std::uint64_t known = 0;
        const Seen seen = read(selector, [&](const EventView&) { ++known; });
        if (known != 0) refuse("a name is there already");
        NewEvent event{.stream = name, .type = type, .data = data};
        event.tags.push_back(name);
        append(event, {selector, seen});
    }

    void enrol(const std::string& student, const std::string& course) {
        const Selector selector = {QueryItem{{"CourseDefined", "StudentEnrolled"}, {course}},
                                   QueryItem{{"StudentRegistered", "StudentEnrolled"}, {student}}};
        bool has_course = false;
        bool has_student = false;
        std::uint64_t seats = 0;
        std::uint64_t courses = 0;
        const Seen seen = read(selector, [&](const EventView& event) {
            if (event.type == "CourseDefined") has_course = true;
            if (event.type == "StudentRegistered") has_student = true;
            if (event.type != "StudentEnrolled") return;
            if (event.tags.contains(course)) ++seats;
            if (event.tags.contains(student)) ++courses;
        });
        if (!has_course || !has_student || seats >= kNames || courses >= kNames)
            refuse("an enrolment was decided on other events than there are");
        NewEvent event{.stream = course, .type = "StudentEnrolled"};
        event.tags.assign({course, student});
        append(event, {selector, seen});
    }

    void append(const NewEvent& event, const AppendCondition& condition) {
        AppendOptions options;
        options.condition = condition;
        must(store_.append(std::span<const NewEvent>(&event, 1), options), "append");
    }

    Store& store_;
    std::uint64_t number_;
    Verify verify_;
    std::array<std::string, kNames> courses_, students_;
    std::uint64_t laps_ = 0;
    Latencies latencies_;
};

Metrics speedrun_round(const Parameters& parameters, const std::string& directory) {
    OpenOptions options;
    options.durability = parameters.durability();
    Store store = must(Store::open(directory, options), "open");
    must(store.append({{.stream = "begin"}}), "append");
    std::vector<Client> clients;
    for (std::uint64_t n = 0; n < parameters.threads; ++n)
        clients.emplace_back(store, n, parameters);
    std::vector<std::thread> threads;
    const double cpu_begin = cpu_seconds_now();
    const double begin = seconds_now();
    for (Client& client : clients) {
        threads.emplace_back([&client, begin] {
            while (seconds_now() - begin < kRoundS) client.lap();
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double wall = seconds_now() - begin;
    const double cpu = cpu_seconds_now() - cpu_begin;
    Latencies all;
    std::uint64_t laps = 0;
    for (const Client& client : clients) {
        all.add(client.latencies());
        laps += client.laps();
    }
    const std::uint64_t enrolments =
        must(must(store.snapshot(), "snapshot").count(Selector::type("StudentEnrolled")), "count");
    if (enrolments != laps * kNames * kNames) refuse("enrolments are lost");
    return {{"ops_per_s", static_cast<double>(all.count()) / wall},
            {"laps", static_cast<double>(laps)},
            {"cpu_us_per_op", cpu / static_cast<double>(all.count()) * 1e6},
            {"p50_us", all.percentile(0.5) / 1000},
            {"p99_us", all.percentile(0.99) / 1000},
            {"max_us", all.max() / 1000}};
}

}  // namespace

void run_speedrun(const Parameters& parameters) {
    const Scratch scratch(parameters.directory);
    Side side{"varve", {}};
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        Metrics metrics = speedrun_round(parameters, own.path("store"));
        if (parameters.level == "disk" && parameters.threads == 1) {
            constexpr std::size_t kBytes = 4096;  // a page: no append needs less of the disk
            const Metrics raw = raw_round(own.path("raw"), kBytes, kRoundS);
            metrics["raw_syncs_per_s"] = raw.at("raw_syncs_per_s");
            metrics["ratio_to_raw"] = metrics["ops_per_s"] / metrics["raw_syncs_per_s"];
        }
        side.rounds.push_back(metrics);
    }
    report(parameters, {side});
}

}  // namespace varve::bench
