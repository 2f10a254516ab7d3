// The definitions of a store: a fold of the records in its stream of definitions.
//
// Any thread: sets never change once they are made. Invariants: a definition's number is the
// revision of its record; of one name at most one definition is in force at any position.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "index/selection.hpp"
#include "log/define.hpp"
#include "match/fields.hpp"
#include "varve/definition.hpp"

namespace varve {
inline namespace v0 {
namespace store {

struct Meta;
struct View;

/// Why a definition cannot be; null if it can.
[[nodiscard]] const char* fault_of(const NewDefinition& definition) noexcept;

struct Rule;
using RulePtr = std::shared_ptr<const Rule>;

/// A definition made ready.
struct Rule {
    Definition says;
    std::string mark;                ///< tag of a derived stream's events; empty: it needs none
    std::vector<std::string> path;   ///< of `field`, without its first part
    match::Fields fields;            ///< that one alone
    bool in_metadata = false;        ///< the first part
    index::Selection selection;      ///< of `says.events`
    std::optional<Matcher> matcher;  ///< of `says.matcher`
    std::uint64_t removed = 0;       ///< position; 0: it is there
    std::uint32_t record_crc = 0;    ///< of the head of its record
    std::vector<RulePtr> names;      ///< of a stream: what gave events names when it was defined

    /// Its events are known by their content.
    [[nodiscard]] bool by_content() const noexcept {
        return says.kind != DefinitionKind::stream || matcher.has_value();
    }
    [[nodiscard]] std::uint64_t defined() const noexcept { return says.defined.value; }
    [[nodiscard]] bool in_force(std::uint64_t position) const noexcept {
        return defined() <= position && (removed == 0 || removed > position);
    }
    [[nodiscard]] bool looks_at(std::uint64_t position) const noexcept {
        return in_force(position) && (says.closed.value == 0 || says.closed.value >= position);
    }
};

/// Of an event: its names and its content.
struct Content {
    index::EventNames names{};
    std::string_view data{};
    std::string_view metadata{};
};

/// The names that the field of `rule` gives an event: tags, or one type. May throw bad_alloc.
[[nodiscard]] std::vector<std::string> names_given(const Rule& rule, const Content& event);
/// The name that one value gives; empty: none.
[[nodiscard]] std::string name_given(const Rule& rule, const match::Token& value);

/// Whether an event from before the derived stream `rule` belongs to it. May throw bad_alloc.
[[nodiscard]] bool belongs(const Rule& rule, const Content& event);

/// Content of a record; views are the record's.
struct RecordContent {
    explicit RecordContent(const log::RecordView& record);
    std::vector<std::string_view> tags;
    Content content;
};

class RuleSet {
public:
    RuleSet() = default;
    /// Of `before` and what was added to the stream of definitions since. Where the indexes do not
    /// lead there, because one is damaged or an event cannot be read, the log is read instead.
    /// Errors: `corrupt` if a definition is lost, or contradicts the ones before it;
    /// `unsupported_version`. May throw bad_alloc.
    [[nodiscard]] static Result<std::shared_ptr<const RuleSet>> after(const RuleSet* before,
                                                                      const Meta& meta,
                                                                      const View& view);

    /// Revision of the last record that it knows.
    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
    /// Position up to which it knows everything.
    [[nodiscard]] std::uint64_t known_until() const noexcept { return known_until_; }
    [[nodiscard]] const std::vector<RulePtr>& all() const noexcept { return rules_; }
    /// Those that give names.
    [[nodiscard]] const std::vector<RulePtr>& naming() const noexcept { return naming_; }
    /// The one of that number; null if there is none.
    [[nodiscard]] RulePtr numbered(std::uint64_t number) const noexcept;
    /// The one of that name in force at `position`; null if there is none.
    [[nodiscard]] RulePtr find(std::string_view name, std::uint64_t position) const noexcept;

private:
    [[nodiscard]] Result<void> follow(const Meta& meta, const View& view);
    [[nodiscard]] Result<void> scan(const Meta& meta, const View& view);
    [[nodiscard]] Result<void> add(const Meta& meta, const log::RecordView& record);
    [[nodiscard]] Result<void> define(const Meta& meta, const log::Define& define,
                                      const log::RecordHeader& header);
    [[nodiscard]] bool end(const log::Define& define, std::uint64_t position);

    std::vector<RulePtr> rules_;   ///< by number
    std::vector<RulePtr> naming_;  ///< of them
    std::unordered_map<std::string, std::vector<std::size_t>> by_name_;
    std::uint64_t version_ = 0;
    std::uint64_t known_until_ = 0;
};
using RuleSetPtr = std::shared_ptr<const RuleSet>;

}  // namespace store
}  // namespace v0
}  // namespace varve
