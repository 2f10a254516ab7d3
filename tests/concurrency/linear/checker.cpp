#include "concurrency/linear/checker.hpp"

#include <algorithm>

#include "concurrency/linear/log_index.hpp"

namespace varve::test::linear {

namespace {

constexpr std::size_t kMaxSaid = 20;
constexpr std::size_t kNobody = ~std::size_t{0};

/// All attempts at one append and what the log holds of it.
struct Group {
    std::vector<std::size_t> attempts;
    std::uint64_t first = 0;       ///< in the log; 0: it is not there
    std::uint64_t held = 0;        ///< events in the log
    std::size_t placer = kNobody;  ///< the attempt that stands for the one that was placed
    std::int64_t begin_ns = 0;     ///< when it can have been placed
    std::int64_t end_ns = 0;
};

class Judge {
public:
    explicit Judge(const History& history)
        : operations_(history.operations), log_(history.log), index_(history.log) {}

    std::vector<std::string> judge() {
        gather();
        read_log();
        if (!said_.empty()) return said_;  // what follows would only repeat it
        for (auto& [number, group] : groups_) judge_group(number, group);
        sweep();
        return said_;
    }

private:
    void say(std::string what) {
        if (said_.size() < kMaxSaid) said_.push_back(std::move(what));
    }
    void say(std::size_t n, const std::string& what) {
        const Operation& operation = operations_[n];
        say("operation " + std::to_string(n) + " of client " + std::to_string(operation.client) +
            " (append " + std::to_string(operation.group) + ", at " +
            std::to_string(operation.first) + "): " + what);
    }

    void gather() {
        for (std::size_t n = 0; n < operations_.size(); ++n) {
            if (operations_[n].kind != Kind::read)
                groups_[operations_[n].group].attempts.push_back(n);
        }
    }

    /// Every event is one that somebody appended, once, in one piece, with its revision.
    void read_log() {
        std::unordered_map<Name, std::uint64_t> versions;
        for (std::uint64_t position = 1; position <= log_.size(); ++position) {
            const Logged& logged = log_[position - 1];
            const std::string where = "the event at position " + std::to_string(position) + " ";
            const auto found = groups_.find(logged.group);
            if (found == groups_.end()) {
                say(where + "was appended by nobody");
                continue;
            }
            Group& group = found->second;
            const Operation& asked = operations_[group.attempts.front()];
            if (group.held == 0) group.first = position;
            if (logged.index != group.held || position != group.first + group.held)
                say(where + "is there twice or apart from its append");
            ++group.held;
            if (!is_as_asked(logged, asked, position)) say(where + "is not what was appended");
            if (logged.kind != Kind::append) continue;
            const bool none = logged.event.stream == kNone;
            if (logged.revision != (none ? 0 : ++versions[logged.event.stream]))
                say(where + "has a revision that is not the next of its stream");
        }
        for (const auto& [number, group] : groups_) {
            if (group.held != 0 && group.held != operations_[group.attempts.front()].length())
                say("append " + std::to_string(number) + " is there in part");
        }
    }

    [[nodiscard]] bool is_as_asked(const Logged& logged, const Operation& asked,
                                   std::uint64_t position) const {
        if (logged.kind != asked.kind) return false;
        // Everything else stands in the number of its group.
        if (logged.kind != Kind::append) return true;
        return logged.index < asked.events.size() && logged.with_id == asked.with_ids &&
               logged.event == index_.defined().shown(asked.events[logged.index], position);
    }

    /// Who was placed, and that what was said of places is true.
    void judge_group(std::uint64_t number, Group& group) {
        std::size_t unknown = kNobody;
        for (const std::size_t n : group.attempts) {
            const Operation& attempt = operations_[n];
            const bool placed = attempt.outcome == Outcome::placed;
            if (attempt.outcome == Outcome::unknown && !attempt.dry) unknown = n;
            if (!placed && attempt.outcome != Outcome::duplicate) continue;
            if (group.first == 0) say(n, "acknowledged, but not in the log");
            const bool told = attempt.kind == Kind::append || attempt.kind == Kind::define;
            if (told && group.first != attempt.first)
                say(n, "acknowledged elsewhere than at " + std::to_string(group.first));
            if (!placed) continue;
            if (group.placer != kNobody) say(n, "two attempts at one append say they placed it");
            group.placer = n;
            group.begin_ns = attempt.begin_ns;
            group.end_ns = attempt.end_ns;
        }
        if (group.first == 0 || group.placer != kNobody) return;
        if (unknown == kNobody)
            return say("append " + std::to_string(number) + " is in the log, but nobody placed it");
        // One of those whose process died. They are attempts at the same: any of them stands for
        // all.
        group.placer = unknown;
        group.begin_ns = operations_[unknown].begin_ns;
        group.end_ns = operations_[unknown].end_ns;
        for (const std::size_t n : group.attempts) {
            const Operation& attempt = operations_[n];
            if (attempt.outcome != Outcome::unknown || attempt.dry) continue;
            group.begin_ns = std::min(group.begin_ns, attempt.begin_ns);
            group.end_ns = std::max(group.end_ns, attempt.end_ns);
        }
    }

    /// What a begin or an end needs to be put into the order of the clock.
    struct Moment {
        std::int64_t ns;
        bool ends;
        std::size_t n;
        friend bool operator<(const Moment& a, const Moment& b) {
            return a.ns != b.ns ? a.ns < b.ns : a.ends < b.ends;
        }
    };

    void sweep() {
        std::vector<Moment> moments;
        moments.reserve(2 * operations_.size());
        for (std::size_t n = 0; n < operations_.size(); ++n) {
            const Operation& operation = operations_[n];
            std::int64_t begin = operation.begin_ns;
            std::int64_t end = operation.end_ns;
            if (const auto group = groups_.find(operation.group); group != groups_.end()) {
                const bool placer = group->second.placer == n;
                if (operation.outcome == Outcome::unknown && !placer) continue;
                if (placer) begin = group->second.begin_ns;
                if (placer) end = group->second.end_ns;
            }
            moments.push_back({begin, false, n});
            moments.push_back({end, true, n});
        }
        std::sort(moments.begin(), moments.end());
        std::vector<std::uint64_t> until(operations_.size(), 0);
        std::uint64_t low = 0;  // what has ended is within this prefix
        for (const Moment& moment : moments) {
            if (moment.ends) {
                low = std::max(low, until[moment.n]);
                continue;
            }
            until[moment.n] = stand(moment.n, low);
        }
    }

    /// The end of the first point from `low` on at which the answer is right; says so if there is
    /// none.
    std::uint64_t stand(std::size_t n, std::uint64_t low) {
        const Operation& operation = operations_[n];
        switch (operation.outcome) {
            case Outcome::read: return stand_read(n, operation, low);
            case Outcome::duplicate: return stand_duplicate(n, operation, low);
            case Outcome::condition_failed:
            case Outcome::version_failed: return stand_refused(n, operation, low);
            case Outcome::would_place: return stand_dry(n, operation, low);
            case Outcome::failed: say(n, "failed"); return low;
            case Outcome::other_meaning:
            case Outcome::not_defined: return stand_undefined(n, operation, low);
            default: return stand_placed(n, operation, low);
        }
    }

    std::uint64_t stand_read(std::size_t n, const Operation& read, std::uint64_t low) {
        if (read.first > index_.size()) say(n, "has read beyond the end");
        if (index_.whole(read.first) != read.first) say(n, "has seen a part of an append");
        if (read.first < low)
            say(n, "has not seen " + std::to_string(low) + ", which was there before it began");
        const std::vector<std::uint64_t> right = index_.read(read, read.first);
        if (!std::equal(right.begin(), right.end(), read.found.begin(), read.found.end()))
            say(n, "has read other events than those that match");
        return read.first;
    }

    std::uint64_t stand_duplicate(std::size_t n, const Operation& operation, std::uint64_t low) {
        if (!operation.with_ids) say(n, "a repetition although it has no ids");
        const std::uint64_t from = std::max(low, operation.first + operation.length() - 1);
        if (operation.kind != Kind::define) return from;
        const std::uint64_t there = next_defined(operation, from);
        if (there == kNever) say(n, "is said to be defined, but is not");
        return there == kNever ? low : there;
    }

    std::uint64_t stand_placed(std::size_t n, const Operation& operation, std::uint64_t low) {
        const Group& group = groups_[operation.group];
        if (group.first == 0) return low;  // said before
        const std::uint64_t before = group.first - 1;
        if (before < low) {
            say(n, "stands before position " + std::to_string(low) +
                       ", which was there before it began");
        }
        if (operation.kind == Kind::append)
            judge_placed(n, operation, before);
        else
            judge_defined(n, operation, before);
        return before + operation.length();
    }

    /// What would be placed would be placed behind `first - 1`, and is not there.
    std::uint64_t stand_dry(std::size_t n, const Operation& operation, std::uint64_t low) {
        const std::uint64_t before = operation.first - 1;
        if (operation.first == 0 || before > index_.size() || index_.whole(before) != before) {
            say(n, "would be placed where nothing can be");
            return low;
        }
        if (before < low)
            say(n, "would be placed before " + std::to_string(low) + ", which was there");
        const std::uint64_t there = groups_[operation.group].first;
        if (there != 0 && there <= before) say(n, "would be placed twice");
        judge_placed(n, operation, before);
        return std::max(low, before);
    }

    /// An append behind the prefix `before`.
    void judge_placed(std::size_t n, const Operation& operation, std::uint64_t before) {
        const std::string where = "placed behind " + std::to_string(before);
        for (const Demand& demand : operation.demands) {
            if (demand.expected.allows(index_.version(demand.stream, before))) continue;
            say(n, where + " although stream " + std::to_string(demand.stream) +
                       " was at version " + std::to_string(index_.version(demand.stream, before)));
        }
        if (operation.outcome != Outcome::unknown &&
            operation.version != version_behind(operation, before))
            say(n, where + ", but not with this version");
        if (operation.condition.empty()) return;
        const std::uint64_t match =
            index_.first_match(operation.condition, operation.after, before, before);
        if (match != 0) {
            say(n, where + " although its condition is not met behind " +
                       std::to_string(operation.after) + ": " + std::to_string(match) + " matches");
        }
        if (operation.after > before) say(n, "placed before what it has seen");
    }

    /// Of the stream of its last event.
    [[nodiscard]] std::uint64_t version_behind(const Operation& operation,
                                               std::uint64_t before) const {
        const Name stream = operation.events[operation.events.size() - 1].stream;
        if (stream == kNone) return 0;
        std::uint64_t version = index_.version(stream, before);
        for (const Event& event : operation.events) version += event.stream == stream ? 1 : 0;
        return version;
    }

    void judge_defined(std::size_t n, const Operation& operation, std::uint64_t before) {
        const Defined::Rule* const rule = index_.defined().find(operation.defined, before);
        const bool fresh = operation.kind == Kind::define;
        if (fresh && rule != nullptr) say(n, "defined although the name had a meaning");
        if (!fresh && rule == nullptr) say(n, "ended what there was not");
        const bool again = operation.kind == Kind::close && rule != nullptr;
        if (again && rule->closed <= before) say(n, "closed twice");
    }

    /// The first prefix from `from` on in which the name is defined, as the operation asks.
    [[nodiscard]] std::uint64_t next_defined(const Operation& operation, std::uint64_t from) const {
        return next_prefix(from, [&](std::uint64_t prefix) {
            const Defined::Rule* const rule = index_.defined().find(operation.defined, prefix);
            return rule != nullptr && rule->meaning == operation.meaning;
        });
    }

    std::uint64_t stand_undefined(std::size_t n, const Operation& operation, std::uint64_t low) {
        const bool absent = operation.outcome == Outcome::not_defined;
        const std::uint64_t from = next_prefix(low, [&](std::uint64_t prefix) {
            const Defined::Rule* const rule = index_.defined().find(operation.defined, prefix);
            if (absent) return rule == nullptr;
            return rule != nullptr && rule->meaning != operation.meaning;
        });
        if (from != kNever) return from;
        say(n, "refused, but at no moment was this what is defined");
        return low;
    }

    /// The first prefix from `from` on of which `holds`, which only changes with what is defined.
    template <class Holds>
    [[nodiscard]] std::uint64_t next_prefix(std::uint64_t from, Holds holds) const {
        while (from != kNever && !holds(from)) from = index_.defined().next_change(from);
        return from;
    }

    std::uint64_t stand_refused(std::size_t n, const Operation& operation, std::uint64_t low) {
        std::uint64_t from = 0;
        std::uint64_t until = index_.size();
        const bool by_condition = operation.outcome == Outcome::condition_failed;
        if (!(by_condition ? bound_conflict(n, operation, from)
                           : bound_version(n, operation, from, until)))
            return low;
        const Group& group = groups_[operation.group];
        if (group.first != 0) until = std::min(until, group.first - 1);
        from = index_.whole(std::max(from, low));
        if (by_condition) from = meet(operation, from);
        if (from <= until) return from;
        say(n, "refused, but at no moment of the call was there a reason");
        return low;
    }

    /// From which prefix on the conflict that was named is one.
    bool bound_conflict(std::size_t n, const Operation& operation, std::uint64_t& from) {
        from = operation.first;
        const bool there = from > operation.after && from <= index_.size();
        if (there && !operation.condition.empty()) {
            from = next_prefix(from, [&](std::uint64_t prefix) {
                return index_.matches(operation.condition, operation.first, prefix);
            });
            if (from != kNever) return true;
        }
        say(n, "refused because of an event that does not match behind " +
                   std::to_string(operation.after));
        return false;
    }

    /// While the stream that was named is at the version that was named.
    bool bound_version(std::size_t n, const Operation& operation, std::uint64_t& from,
                       std::uint64_t& until) {
        bool demanded = false;
        for (const Demand& demand : operation.demands) {
            const bool named = demand.stream == operation.stream;
            demanded = demanded || (named && !demand.expected.allows(operation.version));
        }
        from = index_.reaches(operation.stream, operation.version);
        const std::uint64_t next = index_.reaches(operation.stream, operation.version + 1);
        if (next != kNever) until = next - 1;
        if (demanded && from != kNever) return true;
        say(n, "refused because of a version that was demanded or never was");
        return false;
    }

    /// The first prefix from `from` on in which the versions, which are judged first, are as
    /// demanded and the event in the way matches.
    [[nodiscard]] std::uint64_t meet(const Operation& operation, std::uint64_t from) const {
        while (true) {
            from = meet_demands(operation, from);
            if (from == kNever || index_.matches(operation.condition, operation.first, from))
                return from;
            from = index_.defined().next_change(from);
            if (from == kNever) return from;
        }
    }

    [[nodiscard]] std::uint64_t meet_demands(const Operation& operation, std::uint64_t from) const {
        std::uint64_t before = kNever;
        while (from != before && from != kNever) {
            before = from;
            for (const Demand& demand : operation.demands) {
                if (from == kNever) break;
                from = index_.next_allowed(demand, from);
                if (from != kNever) from = index_.whole(from);
            }
        }
        return from;
    }

    const std::vector<Operation>& operations_;
    const std::vector<Logged>& log_;
    const LogIndex index_;
    std::unordered_map<std::uint64_t, Group> groups_;
    std::vector<std::string> said_;
};

}  // namespace

std::vector<std::string> check(const History& history) { return Judge(history).judge(); }

}  // namespace varve::test::linear
