// What tests of consumers share: stores in the simulated machine, and taking everything there is.
//
// Thread rule: that of the simulation.
#pragma once

#include <gtest/gtest.h>

#include "support/small_store.hpp"
#include "varve/consumer.hpp"

namespace varve::test {

inline Store open_store(os::SimEnv& world, Access access = Access::read_write,
                        Durability level = Durability::disk) {
    auto store = Store::open("store", options_for(world, access, level));
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
}

/// Appends events of types A and B, every third an A, as positions `from` … `to` of an empty store.
inline void append_events(Store& store, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t n = from; n <= to; ++n) {
        const std::string data = std::to_string(n);
        auto done = store.append({{.stream = "s-1", .type = n % 3 == 0 ? "A" : "B", .data = data}});
        ASSERT_TRUE(done) << done.error().message;
        ASSERT_EQ(done->last.value, n);
    }
}

inline Consumer open_consumer(const Store& store, const ConsumerOptions& options = {},
                              const Selector& selector = Selector::type("A"),
                              std::string_view name = "mail") {
    auto consumer = Consumer::open(store, name, selector, options);
    EXPECT_TRUE(consumer) << consumer.error().message;
    return std::move(*consumer);
}

inline std::vector<std::uint64_t> positions_of(const Batch& batch) {
    std::vector<std::uint64_t> positions;
    for (const EventView& event : batch) positions.push_back(event.position.value);
    return positions;
}

/// The next batch; empty after an error, which is a failure.
inline Batch take(Consumer& consumer, std::size_t most = 100) {
    auto batch = consumer.next(most, 0);
    EXPECT_TRUE(batch) << batch.error().message;
    return batch ? std::move(*batch) : Batch{};
}

using Positions = std::vector<std::uint64_t>;

}  // namespace varve::test
