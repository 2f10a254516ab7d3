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
template <class Taker>
int print_and_acknowledge(Taker& taker, const TailArguments& arguments) {
    constexpr std::uint64_t kBatch = 256;
    std::uint64_t left = arguments.limit;
    Patience patience(arguments.timeout_s);
    std::string buffer;
    while (interrupted == 0 && left > 0 && !patience.over()) {
        auto batch = taker.next(std::min(left, kBatch), kSliceMs);
        if (!batch) throw Failed(batch.error());
        if (batch->empty() && output_abandoned()) break;
        if (batch->empty()) continue;
        for (const EventView& event : *batch) print_event(event, arguments.json, buffer);
        flush_events(buffer);
        auto taken = taker.ack(batch->last());
        if (!taken) throw Failed(taken.error());
        left -= batch->size();
        patience.renew();
    }
    auto closed = taker.close();
    if (!closed) throw Failed(closed.error());
    return kOk;
}

/// Without a word about which events, it is the one that exists.
template <class Taker, class Open>
Taker open_or_make(const TailArguments& arguments, Open open) {
    const Selector selector = selector_of_tail(arguments);
    auto opened = open(selector.is_all() ? nullptr : &selector);
    if (!opened && selector.is_all() && opened.error().code == ErrorCode::not_found)
        opened = open(&selector);
    if (!opened) throw Failed(opened.error());
    return std::move(*opened);
}

ConsumerOptions consumer_options(const TailArguments& arguments) {
    ConsumerOptions options;
    if (arguments.after != ~0ULL) options.after = Position{arguments.after};
    return options;
}

int follow_as_consumer(const Store& store, const TailArguments& arguments) {
    const ConsumerOptions options = consumer_options(arguments);
    Consumer consumer = open_or_make<Consumer>(arguments, [&](const Selector* selector) {
        return selector == nullptr ? Consumer::open(store, arguments.consumer, options)
                                   : Consumer::open(store, arguments.consumer, *selector, options);
    });
    return print_and_acknowledge(consumer, arguments);
}

int follow_as_member(const Store& store, const TailArguments& arguments) {
    GroupOptions options;
    options.lanes = arguments.lanes;
    options.order_by_tag = arguments.order_by_tag;
    options.consumer = consumer_options(arguments);
    GroupMember member = open_or_make<GroupMember>(arguments, [&](const Selector* selector) {
        return selector == nullptr
                   ? GroupMember::join(store, arguments.consumer, options)
                   : GroupMember::join(store, arguments.consumer, *selector, options);
    });
    return print_and_acknowledge(member, arguments);
}

}  // namespace

int run_tail(const TailArguments& arguments) {
    const Store store = open_to_read(arguments.store);
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    if (arguments.consumer.empty()) return follow_store(store, arguments);
    return arguments.group ? follow_as_member(store, arguments)
                           : follow_as_consumer(store, arguments);
}

}  // namespace varve::cli
