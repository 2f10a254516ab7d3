// The command that prints events as they come: tail.
#include <algorithm>
#include <chrono>
#include <csignal>

#include "commands.hpp"
#include "print_event.hpp"
#include "selector_json.hpp"
#include "terminal.hpp"

namespace varve::cli {

namespace {

constexpr std::uint32_t kSliceMs = 200;  // a signal or a reader that went away is noticed then

volatile std::sig_atomic_t interrupted = 0;

void on_signal(int) { interrupted = 1; }

/// Whether the time without an event is over.
class Patience {
public:
    explicit Patience(double seconds) : seconds_(seconds) {}
    void renew() { since_ = std::chrono::steady_clock::now(); }
    [[nodiscard]] bool over() const {
        const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - since_;
        return seconds_ > 0 && waited.count() >= seconds_;
    }

private:
    double seconds_;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

Selector selector_of_tail(const TailArguments& arguments) {
    const Selector asked = arguments.asked.asked();
    const Source source = arguments.source.source();
    return source.kind == Source::Kind::all ? asked : asked & Selector(source);
}

int follow_store(const Store& store, const TailArguments& arguments) {
    FollowOptions options;
    options.durable_only = arguments.durable;
    options.after =
        arguments.after == ~0ULL ? snapshot_of(store).published() : Position{arguments.after};
    options.matcher = matcher_of(arguments.match);
    auto live = store.follow(selector_of_tail(arguments), options);
    if (!live) throw Failed(live.error());
    std::uint64_t left = arguments.limit;
    Patience patience(arguments.timeout_s);
    std::string buffer;
    while (interrupted == 0 && left > 0) {
        auto run = live->next(kSliceMs);
        if (!run) throw Failed(run.error());
        if (run->empty() && output_abandoned()) break;
        for (const EventView& event : *run) {
            if (left == 0) break;
            print_event(event, arguments.json, buffer);
            patience.renew();
            --left;
        }
        flush_events(buffer);
        if (patience.over()) break;
    }
    return kOk;
}

/// An event is acknowledged when standard output has taken it: a pipe that breaks before loses
/// none.
int follow_as_consumer(const Store& store, const TailArguments& arguments) {
    constexpr std::uint64_t kBatch = 256;
    ConsumerOptions options;
    if (arguments.after != ~0ULL) options.after = Position{arguments.after};
    const Selector selector = selector_of_tail(arguments);
    // Without a word about which events, it is the one that exists.
    auto consumer = selector.is_all()
                        ? Consumer::open(store, arguments.consumer, options)
                        : Consumer::open(store, arguments.consumer, selector, options);
    if (!consumer && selector.is_all() && consumer.error().code == ErrorCode::not_found)
        consumer = Consumer::open(store, arguments.consumer, selector, options);
    if (!consumer) throw Failed(consumer.error());
    std::uint64_t left = arguments.limit;
    Patience patience(arguments.timeout_s);
    std::string buffer;
    while (interrupted == 0 && left > 0 && !patience.over()) {
        auto batch = consumer->next(std::min(left, kBatch), kSliceMs);
        if (!batch) throw Failed(batch.error());
        if (batch->empty() && output_abandoned()) break;
        if (batch->empty()) continue;
        for (const EventView& event : *batch) print_event(event, arguments.json, buffer);
        flush_events(buffer);
        auto taken = consumer->ack(batch->last());
        if (!taken) throw Failed(taken.error());
        left -= batch->size();
        patience.renew();
    }
    auto closed = consumer->close();
    if (!closed) throw Failed(closed.error());
    return kOk;
}

}  // namespace

int run_tail(const TailArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    return arguments.consumer.empty() ? follow_store(store, arguments)
                                      : follow_as_consumer(store, arguments);
}

}  // namespace varve::cli
