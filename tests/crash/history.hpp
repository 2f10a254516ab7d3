// What a crash test has appended, and whether a store holds exactly the beginning of it. The oracle
// of the rigs.
//
// One thread. Events are made from a seed, so the history is a list of seeds. Invariant: a commit
// is all or nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "varve/varve.hpp"

namespace varve::crash {

/// One event, made from its seed. Owns what a NewEvent borrows.
struct Made {
    explicit Made(std::uint64_t seed, std::size_t size_limit);
    [[nodiscard]] NewEvent event() const;

    std::string stream, type, data, metadata;
    std::vector<std::string> tags;
    std::optional<EventId> id;
};

/// One append: the seeds of its events.
struct Commit {
    bool control = false;  ///< the store's own: takes a position, is no event
    std::vector<std::uint64_t> seeds;
    std::size_t size_limit = 300;
};

struct History {
    std::vector<Commit> commits;  ///< acknowledged, in order
    std::size_t durable = 0;      ///< so many of them were promised to survive a power cut
    std::optional<Commit>
        pending;  ///< an append that has not returned: it may be there or not, as a whole
    std::set<std::uint64_t> erasing;  ///< positions that somebody asked to erase
    std::set<std::uint64_t> erased;   ///< of those: acknowledged, so gone

    /// Forgets what was asked about positions that were lost.
    void forget_erasures_beyond(std::uint64_t position);
    [[nodiscard]] std::uint64_t events() const noexcept;
};

/// Appends `commit` once more. `first`: where its events are already, 0 if they are not there.
/// Stored once it must be after one repetition as after two, durably if the store's level is that.
/// Nothing is done if none of its events has an id. Returns what is wrong, or nothing.
std::optional<std::string> repeat(Store& store, const Commit& commit, std::uint64_t first);

/// Compares the store with the history. At least `least` commits must be there, in order, and
/// nothing else. Returns what is wrong, or nothing. `kept` gets the number of commits found. `deep`
/// also asks every index.
std::optional<std::string> compare(const Store& store, const History& history, std::size_t least,
                                   bool deep, std::size_t& kept);

}  // namespace varve::crash
