// A view of one event is not taken from a snapshot that goes away at the end of the line.
// Reading in one line is fine.
// expects: use of deleted function|call to deleted member function
#include <varve/varve.hpp>

varve::Snapshot copy(const varve::Snapshot& snapshot) { return snapshot; }

std::uint64_t count(const varve::Snapshot& snapshot, const varve::Store& store) {
    std::uint64_t bytes = 0;
    auto seen = copy(snapshot).read("order-42").for_each([&](const varve::EventView& event) {
        bytes += event.data.size();
    });
    auto chained = store.snapshot()
                       ->read(varve::Source::tag("customer/7"))
                       .for_each([&](const varve::EventView&) {});
    if (!seen || !chained) return 0;
#ifdef CANARY
    auto event = snapshot.at(varve::Position{1});
#else
    auto event = copy(snapshot).at(varve::Position{1});
#endif
    return event ? bytes + event->data.size() : bytes;
}
