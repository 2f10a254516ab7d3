#include <iostream>
#include <varve/varve.hpp>

int main(int count, char** values) {
    auto store = varve::Store::open(count > 1 ? values[1] : "shop");
    if (!store) return std::cerr << store.error().message << '\n', 1;

    // One append is one commit: all of its events or none, and durable when the call returns.
    auto done = store->append({{.stream = "order-42",
                                .type = "OrderPlaced",
                                .tags = {"customer/7"},
                                .data = R"({"total":30})"},
                               {.stream = "order-42", .type = "OrderPaid", .tags = {"customer/7"}}},
                              {.expected = varve::Expected::no_stream()});
    if (!done) return std::cerr << done.error().message << '\n', 1;

    // A snapshot never changes. Events are read where they lie, straight from the mapped file.
    auto now = store->snapshot();
    if (!now) return std::cerr << now.error().message << '\n', 1;
    auto seen =
        now->read(varve::Source::tag("customer/7")).for_each([](const varve::EventView& event) {
            std::cout << event.position.value << ' ' << event.type << ' ' << event.data << '\n';
        });
    return seen ? 0 : 1;
}
