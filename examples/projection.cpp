// A projection: how much each customer has spent, kept up to date by a durable consumer.
//
// Its state, one line per customer, is stored together with the position up to which it counts. So
// each order counts exactly once, wherever the program is stopped: a run that ends without closing
// anything, as after a kill -9, goes on where its last acknowledgement was.
//
//   varve-projection STORE            appends four orders and brings the projection up to date
//   varve-projection STORE crash      the same, but the process ends after two of them are counted
#include <unistd.h>

#include <charconv>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <varve/varve.hpp>

namespace {

/// Cents by customer.
using Spent = std::map<std::string, std::int64_t>;

std::string encode(const Spent& spent) {
    std::ostringstream text;
    for (const auto& [customer, cents] : spent) text << customer << ' ' << cents << '\n';
    return text.str();
}

Spent decode(const std::string& state) {
    Spent spent;
    std::istringstream text(state);
    std::string customer;
    std::int64_t cents = 0;
    while (text >> customer >> cents) spent[customer] = cents;
    return spent;
}

/// Counts one order. False if its data are no amount.
bool apply(Spent& spent, const varve::EventView& order) {
    std::int64_t cents = 0;
    const char* const end = order.data.data() + order.data.size();
    const auto read = std::from_chars(order.data.data(), end, cents);
    if (read.ec != std::errc{} || read.ptr != end || order.tags.empty()) return false;
    spent[std::string(*order.tags.begin())] += cents;
    return true;
}

int fail(const varve::Error& error) {
    std::cerr << error.message << '\n';
    return 1;
}

/// Counts what is there; at most `most` orders.
varve::Result<Spent> bring_up_to_date(const varve::Store& store, int most) {
    varve::ConsumerOptions options;
    options.retries = 0;  // an amount that cannot be read now cannot be read later
    auto consumer = varve::Consumer::open(store, "spent-by-customer",
                                          varve::Selector::type("OrderPlaced"), options);
    if (!consumer) return std::move(consumer).error();
    Spent spent = decode(consumer->state());
    while (most > 0) {
        auto batch = consumer->next(1, 0);
        if (!batch) return std::move(batch).error();
        if (batch->empty() && consumer->caught_up()) break;
        for (const varve::EventView& order : *batch) {
            --most;
            if (!apply(spent, order)) {
                auto parked = consumer->fail(order.position, "the amount is not a number");
                if (!parked) return std::move(parked).error();
                continue;
            }
            auto counted = consumer->ack(order.position, encode(spent));
            if (!counted) return std::move(counted).error();
        }
    }
    if (most == 0) ::_exit(0);  // as if it had been killed: nothing is closed
    auto closed = consumer->close();
    if (!closed) return std::move(closed).error();
    return spent;
}

}  // namespace

int main(int count, char** values) {
    auto store = varve::Store::open(count > 1 ? values[1] : "shop");
    if (!store) return fail(store.error());
    const bool crash = count > 2 && std::string(values[2]) == "crash";
    auto done = store->append(
        {{.stream = "order-1", .type = "OrderPlaced", .tags = {"customer/ann"}, .data = "1250"},
         {.stream = "order-2", .type = "OrderPlaced", .tags = {"customer/ben"}, .data = "300"},
         {.stream = "order-2", .type = "OrderPaid", .tags = {"customer/ben"}, .data = "300"},
         {.stream = "order-3", .type = "OrderPlaced", .tags = {"customer/ann"}, .data = "?"},
         {.stream = "order-4", .type = "OrderPlaced", .tags = {"customer/ann"}, .data = "50"}});
    if (!done) return fail(done.error());
    auto spent = bring_up_to_date(*store, crash ? 2 : 1'000'000);
    if (!spent) return fail(spent.error());

    for (const auto& [customer, cents] : *spent) std::cout << customer << ' ' << cents << '\n';
    auto read_own_write =
        varve::Consumer::wait(*store, "spent-by-customer", done->last, /*timeout_ms=*/1000);
    if (!read_own_write) return fail(read_own_write.error());
    std::cout << (*read_own_write ? "up to date" : "behind") << '\n';
    auto parked = varve::Consumer::parked(*store, "spent-by-customer");
    if (!parked) return fail(parked.error());
    for (const varve::ParkedEvent& event : *parked)
        std::cout << "parked " << event.position.value << ": " << event.reason << '\n';
    return 0;
}
