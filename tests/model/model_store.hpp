// The naive store: everything in one vector, every question answered by looking at all of it. The
// oracle of the tests.
//
// One thread. It is the specification of append and read in its plainest words; keep it too simple
// to be wrong.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "varve/varve.hpp"

namespace varve::test {

struct ModelEvent {
    std::uint64_t position = 0, revision = 0;
    std::string stream, type, data, metadata;
    std::vector<std::string> tags;
    std::optional<std::int64_t> time_us;
    std::optional<EventId> id;
    std::uint64_t commit = 0;      ///< position of the first event that was appended with it
    std::int64_t recorded_us = 0;  ///< what the store said; the model has no clock
};

class ModelStore {
public:
    [[nodiscard]] std::uint64_t version(const std::string& stream) const {
        return static_cast<std::uint64_t>(std::count_if(
            events_.begin(), events_.end(),
            [&](const ModelEvent& e) { return !stream.empty() && e.stream == stream; }));
    }
    /// True if every stream that is written or named meets its demand.
    [[nodiscard]] bool allows(const std::vector<ModelEvent>& events, Expected every,
                              const std::map<std::string, Expected>& each) const {
        for (const auto& [stream, demand] : each) {
            if (!demand.allows(version(stream))) return false;
        }
        return std::all_of(events.begin(), events.end(), [&](const ModelEvent& e) {
            return e.stream.empty() || each.contains(e.stream) || every.allows(version(e.stream));
        });
    }
    /// Position of the first event of the earlier append that this one repeats; 0: it repeats none.
    [[nodiscard]] std::uint64_t repeats(const std::vector<ModelEvent>& events) const {
        if (!knows(events)) return 0;
        for (std::size_t at = 0; at + events.size() <= events_.size(); ++at) {
            bool same = events_[at].commit == at + 1;
            for (std::size_t n = 0; n < events.size(); ++n) {
                const ModelEvent& there = events_[at + n];
                same = same && there.commit == at + 1 && there.id == events[n].id;
            }
            if (same) return at + 1;
        }
        return 0;
    }
    /// True if an event with any of their ids is there.
    [[nodiscard]] bool knows(const std::vector<ModelEvent>& events) const {
        return std::any_of(events.begin(), events.end(), [&](const ModelEvent& given) {
            return std::any_of(events_.begin(), events_.end(), [&](const ModelEvent& there) {
                return given.id && there.id == given.id;
            });
        });
    }
    void append(std::vector<ModelEvent> events) {
        const std::uint64_t commit = events_.size() + 1;
        for (ModelEvent& event : events) {
            event.commit = commit;
            event.recorded_us = 0;          // it may be made of one that was appended before
            std::vector<std::string> tags;  // repetitions are dropped, order is kept
            for (const std::string& tag : event.tags) {
                if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
            }
            event.tags = std::move(tags);
            event.position = events_.size() + 1;
            event.revision = event.stream.empty() ? 0 : version(event.stream) + 1;
            events_.push_back(std::move(event));
        }
    }
    [[nodiscard]] static bool matches(const ModelEvent& event, Source source) {
        const std::string name(source.name);
        switch (source.kind) {
            case Source::Kind::all: return true;
            case Source::Kind::stream: return !name.empty() && event.stream == name;
            case Source::Kind::category: return !name.empty() && category(event.stream) == name;
            case Source::Kind::type: return !name.empty() && event.type == name;
            case Source::Kind::tag:
                return std::find(event.tags.begin(), event.tags.end(), name) != event.tags.end();
            case Source::Kind::derived: return false;  // nothing is defined
        }
        return false;
    }
    [[nodiscard]] static std::string category(const std::string& stream) {
        const std::size_t end = stream.find_first_of("-/");
        return end == std::string::npos ? "" : stream.substr(0, end);
    }
    /// Positions of the answer, in order.
    [[nodiscard]] std::vector<std::uint64_t> read(Source source, const ReadOptions& options) const {
        return read_if([&](const ModelEvent& event) { return matches(event, source); },
                       source.kind == Source::Kind::stream, options);
    }
    /// Of the events that `wanted` admits; `by_revision`: they are of one stream.
    template <class Wanted>
    [[nodiscard]] std::vector<std::uint64_t> read_if(Wanted&& admits, bool by_revision,
                                                     const ReadOptions& options) const {
        const std::uint64_t from = options.from.value, until = options.until.value;
        const std::uint64_t from_r = options.from_revision.value,
                            until_r = options.until_revision.value;
        const bool backwards = options.direction == Direction::backwards ||
                               (from != 0 && until != 0 && from > until) ||
                               (from_r != 0 && until_r != 0 && from_r > until_r);
        std::vector<std::uint64_t> found;
        for (const ModelEvent& event : events_) {
            const std::uint64_t p = event.position, r = event.revision;
            bool wanted = admits(event) && p > options.after.value;
            if (from != 0) wanted = wanted && (backwards ? p <= from : p >= from);
            if (until != 0) wanted = wanted && (backwards ? p >= until : p <= until);
            if (by_revision && from_r != 0)
                wanted = wanted && (backwards ? r <= from_r : r >= from_r);
            if (by_revision && until_r != 0)
                wanted = wanted && (backwards ? r >= until_r : r <= until_r);
            const std::int64_t time = options.clock == TimeKind::recorded
                                          ? event.recorded_us
                                          : event.time_us.value_or(event.recorded_us);
            if (options.since_us) wanted = wanted && time >= *options.since_us;
            if (options.until_us) wanted = wanted && time < *options.until_us;
            if (wanted) found.push_back(p);
        }
        if (backwards) std::reverse(found.begin(), found.end());
        if (found.size() > options.limit) found.resize(options.limit);
        return found;
    }
    [[nodiscard]] const std::vector<ModelEvent>& events() const { return events_; }
    /// Tells when the store took the event at `position`.
    void recorded(std::uint64_t position, std::int64_t time_us) {
        events_[position - 1].recorded_us = time_us;
    }

private:
    std::vector<ModelEvent> events_;
};

}  // namespace varve::test
