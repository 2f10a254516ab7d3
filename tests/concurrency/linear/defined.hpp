// What is defined at each prefix of a log, and what a choice of events means there.
//
// Immutable once made. The meanings are a table of the rig: names of definitions are free, and each
// of them means one of these. Source of the rules: docs/definitions.md.
#pragma once

#include <span>

#include "concurrency/linear/history.hpp"
#include "varve/definition.hpp"

namespace varve::test::linear {

inline constexpr std::uint64_t kNever = ~0ULL;  ///< no prefix

struct Meaning {
    DefinitionKind kind = DefinitionKind::stream;
    Choice events;  ///< of a derived stream
};
[[nodiscard]] std::span<const Meaning> meanings();

class Defined {
public:
    /// A definition. Positions are those of its records.
    struct Rule {
        Name name = 0;
        Name meaning = 0;
        std::uint64_t defined = 0;
        std::uint64_t closed = kNever;
        std::uint64_t removed = kNever;
        std::size_t before = 0;  ///< number of the definition that had the name before, from 1

        [[nodiscard]] const Meaning& means() const { return meanings()[meaning]; }
        [[nodiscard]] bool in_force(std::uint64_t prefix) const {
            return defined <= prefix && removed > prefix;
        }
        [[nodiscard]] bool looks_at(std::uint64_t position) const {
            return in_force(position) && closed > position;
        }
    };

    explicit Defined(const std::vector<Logged>& log);

    /// The definition of that name in force in a prefix; null if there is none.
    [[nodiscard]] const Rule* find(Name name, std::uint64_t prefix) const;
    /// The first change of definitions beyond a prefix; kNever if there is none.
    [[nodiscard]] std::uint64_t next_change(std::uint64_t prefix) const;
    /// What an event shows that is placed at `position`.
    [[nodiscard]] Event shown(Event event, std::uint64_t position) const;
    /// Whether the event at `position` is chosen, to those who see this prefix.
    [[nodiscard]] bool matches(const Choice& choice, const Event& event, std::uint64_t position,
                               std::uint64_t prefix) const;
    [[nodiscard]] bool matches(const Item& item, const Event& event, std::uint64_t position,
                               std::uint64_t prefix) const;

private:
    [[nodiscard]] bool gives_past(DefinitionKind kind, std::uint64_t position,
                                  std::uint64_t prefix) const;
    [[nodiscard]] bool in_derived(Name name, const Event& event, std::uint64_t position,
                                  std::uint64_t prefix) const;
    [[nodiscard]] Event named_by(Event event, std::uint64_t position) const;

    std::vector<Rule> rules_;
    std::vector<Rule> naming_;          ///< of them, those that give names
    std::vector<std::size_t> by_name_;  ///< number of the last one, from 1
    std::vector<std::uint64_t> changes_;
};

}  // namespace varve::test::linear
