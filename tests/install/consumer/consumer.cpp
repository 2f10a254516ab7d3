#include <iostream>
#include <varve/testing.hpp>
#include <varve/varve.hpp>

int main(int, char** values) {
    auto store = varve::Store::open(values[1]);
    if (!store) {
        std::cerr << varve::to_string(store.error().code) << ": " << store.error().message << '\n';
        return 1;
    }
    const auto done = store->append({{.stream = "order-42", .type = "OrderPlaced"}},
                                    {.expected = varve::Expected::no_stream()});
    if (!done) return 1;
    const auto version = store->snapshot()->version("order-42");
    const auto closed = store->close();
    std::cout << "varve " << VARVE_VERSION << ", version " << (version ? *version : 0) << '\n';
    return version && *version == 1 && closed ? 0 : 1;
}
