// append --conditional: what a condition adds to an append, one thread, nothing new behind its
// position.
//
// Two stores in turn get the same events, some thousand at a time, so that whatever the machine
// does happens to both. The selector of a condition is made for its append, as an application does.
#include <algorithm>

#include "bench.hpp"

namespace varve::bench {

namespace {

constexpr std::size_t kRun = 4096;  ///< events that one store gets in a row

/// One store and what appending to it took.
class Contender {
public:
    Contender(const Parameters& parameters, bool conditional, const std::string& directory)
        : conditional_(conditional),
          batch_(parameters.batch),
          store_(must(Store::open(directory, of(parameters)), "open")) {
        after_.epoch = must(store_.snapshot(), "snapshot").epoch();
    }

    void append(const std::vector<NewEvent>& events) {
        const double cpu_begin = cpu_seconds_now();
        const auto begin = std::chrono::steady_clock::now();
        auto before = begin;
        for (std::size_t at = 0; at < events.size(); at += batch_) {
            append_one(events, at);
            const auto now = std::chrono::steady_clock::now();
            latencies_.add(
                static_cast<std::uint64_t>(std::chrono::nanoseconds(now - before).count()));
            before = now;
        }
        wall_ += std::chrono::duration<double>(before - begin).count();
        cpu_ += cpu_seconds_now() - cpu_begin;
        events_ += events.size();
    }
    [[nodiscard]] Metrics metrics() {
        must_do(store_.close(), "close");
        return append_metrics(latencies_, wall_, cpu_, events_);
    }

private:
    static OpenOptions of(const Parameters& parameters) {
        OpenOptions options;
        options.durability = parameters.durability();
        return options;
    }
    void append_one(const std::vector<NewEvent>& events, std::size_t at) {
        AppendOptions options;
        if (conditional_)
            options.condition = {.fail_if_match = Selector::tag(events[at].tags.back()),
                                 .after = after_};
        const auto done =
            must(store_.append(std::span<const NewEvent>(&events[at], batch_), options), "append");
        after_.position = done.last;
    }

    bool conditional_;
    std::size_t batch_;
    Store store_;
    Seen after_;
    Latencies latencies_;
    double wall_ = 0, cpu_ = 0;
    std::uint64_t events_ = 0;
};

}  // namespace

void run_conditional(const Parameters& given) {
    Parameters parameters = given;
    if (parameters.events == 0) parameters.events = 2'000'000;
    const Scratch scratch(parameters.directory);
    Workload workload(parameters.workload == "wide", parameters.size);
    std::vector<Side> sides{{"varve", {}}, {"conditional", {}}};
    std::vector<NewEvent> events(kRun / parameters.batch * parameters.batch);
    for (std::uint64_t round = 0; round < parameters.rounds; ++round) {
        const Scratch own(scratch.path());
        Contender contenders[] = {{parameters, false, own.path("plain")},
                                  {parameters, true, own.path("conditional")}};
        for (std::uint64_t done = 0; done < parameters.events; done += events.size()) {
            workload.fill(events);
            for (Contender& contender : contenders) contender.append(events);
        }
        for (std::size_t n = 0; n < sides.size(); ++n)
            sides[n].rounds.push_back(contenders[n].metrics());
    }
    report(parameters, sides);
}

}  // namespace varve::bench
