// Counting again: the events that match up to a checkpoint against what the checkpoint has counted.
#include <algorithm>

#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "consumer/inspect.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

namespace {

/// Whose events are counted.
struct Own {
    const Selector& selector;
    Lanes lanes;             ///< none: all that match
    std::uint32_t lane = 0;  ///< else those of this lane
};

/// The positions that match, one by one.
class Walk {
public:
    Walk(const std::shared_ptr<store::Pinned>& pinned, const Own& own, std::uint64_t after,
         std::uint64_t until)
        : own_(own), reading_(pinned, own.selector, options(after, until)) {}

    /// 0 at the end.
    [[nodiscard]] Result<std::uint64_t> next() {
        while (true) {
            if (at_ == run_.size()) {
                auto run = reading_.next();
                if (!run) return std::move(run).error();
                run_ = *run;
                at_ = 0;
                if (run_.empty()) return 0;
            }
            const EventView& event = run_[at_++];
            if (own_.lanes.count == 0 || own_.lanes.of(event) == own_.lane)
                return event.position.value;
        }
    }

private:
    static ReadOptions options(std::uint64_t after, std::uint64_t until) {
        ReadOptions options;
        options.after = Position{after};
        options.until = Position{until};
        options.limit = after < until ? options.limit : 0;
        options.verify = Verify::trusted;  // only positions are asked for, not contents
        return options;
    }
    const Own& own_;
    store::Reading reading_;
    std::span<const EventView> run_;
    std::size_t at_ = 0;
};

/// A stretch of the log and what was counted in it, then and now.
struct Stretch {
    Milestone begin, end;
    std::uint64_t events = 0;  ///< that match now
    std::uint64_t sum = 0;     ///< of theirs
    [[nodiscard]] bool good() const noexcept {
        return events == end.events - begin.events && sum == end.sum - begin.sum;
    }
};

/// Counts from milestone to milestone. The first stretch that is wrong, or the last one.
Result<Stretch> first_wrong(Walk& walk, std::span<const Milestone> places, std::uint64_t begin,
                            std::uint64_t& expected) {
    std::optional<Stretch> wrong;
    Stretch stretch;
    stretch.begin.position = begin;
    auto position = walk.next();
    for (const Milestone& place : places) {
        stretch.end = place;
        for (; position && *position != 0 && *position <= place.position; position = walk.next()) {
            ++stretch.events;
            stretch.sum += mix(*position);
        }
        if (!position) return std::move(position).error();
        expected += stretch.events;
        if (!stretch.good() && !wrong) wrong = stretch;
        if (&place != &places.back()) stretch = Stretch{place, {}, 0, 0};
    }
    return wrong ? *wrong : stretch;
}

/// If what is missing of the stretch is one run of events, its first position; else 0. The run is
/// as long as the difference of the counts and has the difference of the sums.
Result<std::uint64_t> first_of_missing_run(const std::shared_ptr<store::Pinned>& pinned,
                                           const Own& own, const Stretch& stretch) {
    const std::uint64_t missing = stretch.events - (stretch.end.events - stretch.begin.events);
    const std::uint64_t wanted = stretch.sum - (stretch.end.sum - stretch.begin.sum);
    Walk front(pinned, own, stretch.begin.position, stretch.end.position);
    Walk back(pinned, own, stretch.begin.position, stretch.end.position);
    std::uint64_t sum = 0;
    for (std::uint64_t n = 0; n < stretch.events; ++n) {
        auto position = front.next();
        if (!position) return position;
        sum += mix(*position);
        if (n + 1 < missing) continue;
        auto first = back.next();
        if (!first || sum == wanted) return first;
        sum -= mix(*first);
    }
    return 0;
}

/// Counts the events of one checkpoint.
Result<ConsumerReport> verify_part(const std::shared_ptr<store::Pinned>& pinned, const Own& own,
                                   const Saved& saved) {
    const Slot& slot = saved.slot;
    ConsumerReport report;
    report.checkpoint = saved.checkpoint();
    const Milestone end{slot.position, slot.acknowledged + slot.parked, slot.sum};
    std::vector<Milestone> places;
    for (std::size_t n = 0; n < slot.milestone_count; ++n)
        if (slot.milestones[n].position < slot.position) places.push_back(slot.milestones[n]);
    places.push_back(end);
    Walk walk(pinned, own, slot.counted_after, slot.position);
    auto stretch = first_wrong(walk, places, slot.counted_after, report.expected);
    if (!stretch) return std::move(stretch).error();
    report.good = stretch->good();
    if (base::seeded(base::SeededBug::consumer_verify_says_yes)) report.good = true;
    if (report.good) return report;
    report.after = Position{stretch->begin.position};
    report.until = Position{stretch->end.position};
    if (report.expected < end.events) report.surplus = end.events - report.expected;
    if (report.expected > end.events) report.skipped = report.expected - end.events;
    if (stretch->events <= stretch->end.events - stretch->begin.events) return report;
    auto first = first_of_missing_run(pinned, own, *stretch);
    if (!first) return std::move(first).error();
    report.first_skipped = Position{*first};
    return report;
}

/// What `part` has found is added; of several that are wrong, the first one's place is told.
void add_report(ConsumerReport& all, const ConsumerReport& part) {
    all.expected += part.expected;
    all.skipped += part.skipped;
    all.surplus += part.surplus;
    if (part.good || !all.good) return;
    all.good = false;
    all.first_skipped = part.first_skipped;
    all.after = part.after;
    all.until = part.until;
}

}  // namespace

Result<ConsumerReport> verify_consumer(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto parts = read_named(place, name);
    if (!parts) return std::move(parts).error();
    auto view = engine.view();
    if (!view) return std::move(view).error();
    for (const FileContent& part : parts->all())
        VARVE_TRY(check_checkpoint(part.saved().slot, *view, place.file_of(name)));
    auto parked = read_parked(place, *parts);
    if (!parked) return std::move(parked).error();

    ConsumerReport report;
    report.good = true;
    report.checkpoint = parts->checkpoint();
    const auto pinned = std::make_shared<store::Pinned>(engine.shared_meta(), std::move(*view));
    for (std::uint32_t n = 0; n < parts->all().size(); ++n) {
        const Own own{*parts->own.selector, parts->division(), n};
        auto part = verify_part(pinned, own, parts->all()[n].saved());
        if (!part) return part;
        add_report(report, *part);
    }
    return report;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
