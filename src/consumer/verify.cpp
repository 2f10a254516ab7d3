// Counting again: the events that match up to a checkpoint against what the checkpoint has counted.
#include <algorithm>

#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "consumer/inspect.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

namespace {

/// The positions that match, one by one.
class Walk {
public:
    Walk(std::shared_ptr<store::Pinned> pinned, const Selector& selector, std::uint64_t after,
         std::uint64_t until)
        : reading_(std::move(pinned), selector, options(after, until)) {}

    /// 0 at the end.
    [[nodiscard]] Result<std::uint64_t> next() {
        if (at_ == run_.size()) {
            auto run = reading_.next();
            if (!run) return std::move(run).error();
            run_ = *run;
            at_ = 0;
        }
        return at_ < run_.size() ? run_[at_++].position.value : 0;
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
                                           const Selector& selector, const Stretch& stretch) {
    const std::uint64_t missing = stretch.events - (stretch.end.events - stretch.begin.events);
    const std::uint64_t wanted = stretch.sum - (stretch.end.sum - stretch.begin.sum);
    Walk front(pinned, selector, stretch.begin.position, stretch.end.position);
    Walk back(pinned, selector, stretch.begin.position, stretch.end.position);
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

}  // namespace

Result<ConsumerReport> verify_consumer(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto content = read_named(place, name);
    if (!content) return std::move(content).error();
    const Slot slot = content->saved().slot;
    auto view = engine.view();
    if (!view) return std::move(view).error();
    VARVE_TRY(check_checkpoint(slot, *view, place.file_of(name)));
    auto parked = ParkedFile::load(place, content->header.id, slot.generation);
    if (!parked) return std::move(parked).error();
    VARVE_TRY(parked->check(slot));

    ConsumerReport report;
    report.checkpoint = content->saved().checkpoint();
    const Milestone end{slot.position, slot.acknowledged + slot.parked, slot.sum};
    std::vector<Milestone> places;
    for (std::size_t n = 0; n < slot.milestone_count; ++n)
        if (slot.milestones[n].position < slot.position) places.push_back(slot.milestones[n]);
    places.push_back(end);
    const auto pinned = std::make_shared<store::Pinned>(engine.shared_meta(), std::move(*view));
    Walk walk(pinned, *content->selector, slot.counted_after, slot.position);
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
    auto first = first_of_missing_run(pinned, *content->selector, *stretch);
    if (!first) return std::move(first).error();
    report.first_skipped = Position{*first};
    return report;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
