// A client of the store: makes calls with names that are numbers, and writes down what it asked and
// what it was told.
//
// One thread each. Invariant: every call that reaches the store has a record.
#pragma once

#include <optional>
#include <random>

#include "concurrency/linear/shared.hpp"
#include "varve/varve.hpp"

namespace varve::test::linear {

class Client {
public:
    Client(Store& store, Shared& shared, std::uint32_t number, std::uint64_t seed)
        : store_(store), shared_(shared), number_(number), random_(seed) {}

    /// Does something or other as a writer: reads, decides and appends.
    void act();
    /// Reads something or other.
    void look();
    /// Makes an append, or a definition, again that was recorded before, the same call.
    void repeat(const Operation& recorded);

    [[nodiscard]] bool ended() const { return shared_.full() || shared_.failed != 0; }
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_() % n; }

private:
    /// Records and makes the call. The record, or null when it is time to end.
    Operation* append(const Operation& asked);
    Operation* read(const Operation& asked);
    /// Defines, closes or removes.
    void change(Kind kind, Name defined, Name meaning);
    bool note_refusal(const Error& error, Operation& record);
    void note_failure(const char* what, const Error& error, Operation& record);

    void decide(const Choice& condition);
    void decide_alone();
    void demand(bool conditional);
    void reserve();
    void define_something();
    void define(Name name, Name meaning);
    void repeat_somebody();
    Operation fresh(std::uint64_t events);
    Choice choose();
    Choice few_events();
    Name some_name(std::uint64_t of);
    void give_way();

    Store& store_;
    Shared& shared_;
    const std::uint32_t number_;
    std::mt19937_64 random_;
    std::uint64_t versions_[4] = {};
    std::uint64_t seen_until_ = 0;
    std::optional<Seen> alone_;  ///< up to where nobody else has its own tag
};

}  // namespace varve::test::linear
