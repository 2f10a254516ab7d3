// What `seed-index` and `seed-storage` share: the documents, and how a variant is driven.
//
// One thread. Invariants: every variant writes the same documents and reads every field of them
// back; sums of what was read are compared with sums of what was written.
#pragma once

#include <simdjson.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bench.hpp"

namespace varve::bench {

/// Writes per operation.
inline constexpr std::uint64_t kSeedWrites = 1'000;

/// The documents of `seed-storage`: orders, some 135 bytes of JSON each. bench/seed.js has the
/// same.
class Orders {
public:
    /// Order `number` as JSON text; valid until the next call.
    [[nodiscard]] std::string_view write(std::uint64_t number);
    /// Parses an order, keeps every field, and returns a sum over them.
    [[nodiscard]] double read(std::string_view json);
    /// What `read` must return for that order.
    [[nodiscard]] static double sum(std::uint64_t number);

private:
    struct Order {
        std::string type, customer, items[2];
        std::uint64_t number = 0, placed_at = 0;
        double amount = 0;
        bool express = false;
    };
    simdjson::ondemand::parser parser_;
    Order order_;
    std::string text_, padded_;
};

/// One variant: a store that is opened, written, read and closed.
class SeedSubject {
public:
    virtual ~SeedSubject() = default;
    virtual void open(const std::string& path, bool writing) = 0;
    /// Writes what has the numbers `first` to `first + kSeedWrites - 1`, and flushes it.
    virtual void write(std::uint64_t first) = 0;
    /// Reads it and returns the sum.
    virtual double read(std::uint64_t first) = 0;
    /// What `read` must return.
    [[nodiscard]] virtual double expected(std::uint64_t first) const = 0;
    virtual void close() = 0;
};

/// `variant` is varve, nes-classic or nes-mapped.
[[nodiscard]] std::unique_ptr<SeedSubject> seed_subject(const Parameters& parameters,
                                                        const std::string& variant);

/// Operations, what they took by the clock and of processors.
struct Taken {
    double operations = 0, seconds = 0, cpu_seconds = 0;
};

/// One round: operations with a new store each, and with one that stays open.
struct SeedRound {
    Taken cycles, steady;
};

/// The original in a process of its own, which lives as long as this object.
class NodePeer {
public:
    /// Starts it; installs the package into the build tree if it is not there. Nothing, after a
    /// line on standard error, without Node, npm or network.
    [[nodiscard]] static std::unique_ptr<NodePeer> start();
    NodePeer(const NodePeer&) = delete;
    NodePeer& operator=(const NodePeer&) = delete;
    ~NodePeer();
    /// `syncs`: as it is; else its syncs at closing are left out.
    [[nodiscard]] SeedRound round(const Parameters& parameters, const std::string& directory,
                                  double budget_s, bool syncs);

private:
    NodePeer(int child, int to, int from) : child_(child), to_(to), from_(from) {}
    int child_, to_, from_;
};

}  // namespace varve::bench
