#include "store/counting.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/reading.hpp"
#include "store/rule_book.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

// What things take, warm, measured with `varve-bench query`.
constexpr double kEntryUs = 0.003;
constexpr double kEventUs = 0.05;
constexpr double kIndexUs = 0.3;

constexpr std::size_t kTogether = 64;  // entries that are taken from an index at once

class Counter {
public:
    Counter(const Pinned& pinned, const index::Selection& selection, std::uint64_t limit) noexcept
        : pinned_(pinned), selection_(selection), selecting_(selection), limit_(limit) {}

    Result<Counted> run(std::uint64_t low, std::uint64_t high) {
        const SegmentList& list = *pinned_.view().segments;
        for (std::size_t n = 0; low <= high && n < list.items.size(); ++n) {
            const IndexUnit unit = unit_of(list, n);
            n = unit.end - 1;
            const std::uint64_t last = list.last_of(n, high);
            if (last < low || last < unit.first) continue;
            ++counted_.indexes;
            const std::uint64_t from = std::max(low, unit.first);
            VARVE_TRY(count_unit(unit, from - unit.first, last - unit.first));
            if (counted_.events >= limit_) break;
        }
        counted_.entries += selecting_.looked_at();
        return counted_;
    }

private:
    Result<void> count_unit(const IndexUnit& unit, std::uint64_t low, std::uint64_t high) {
        const Segment& first = *pinned_.view().segments->items[unit.begin];
        const std::uint64_t begin = unit.first + low;
        const std::uint64_t end = unit.first + high;
        const bool exact = first.sealed != nullptr && !selection_.unbounded(begin, end) &&
                           selection_.exact(begin, end);
        if (exact && whole_list(*first.sealed, low, high)) return {};
        selecting_.enter(first, low, high, false);
        if (exact) count_listed();
        for (std::uint32_t ordinal = 0; !exact && counted_.events < limit_;) {
            if (!selecting_.next(ordinal)) break;
            VARVE_TRY(look(unit.first + ordinal));
        }
        if (!selecting_.damaged()) return {};
        return damaged_unit(pinned_.meta(), first);
    }
    /// Of an index that finds exactly the events of the selection.
    void count_listed() {
        std::uint32_t found[kTogether];
        while (counted_.events < limit_) {
            const std::size_t count = selecting_.next(found);
            if (count == 0) break;
            counted_.events = std::min(limit_, counted_.events + count);
        }
    }
    /// A single name whose whole list lies within the bounds is counted by the dictionary.
    bool whole_list(const SealedFile& sealed, std::uint64_t low, std::uint64_t high) {
        const index::Selection::Set& root = selection_.root();
        if (!index::is_name(root.op)) return false;
        index::SealedList list;
        const index::Found found =
            sealed.index.find(index::kind_of(root.op), root.name, root.key, list);
        if (found == index::Found::no) return true;
        if (found == index::Found::damaged || list.first < low || list.last > high) return false;
        counted_.events = std::min(limit_, counted_.events + list.count);
        ++counted_.entries;
        return true;
    }
    Result<void> look(std::uint64_t position) {
        ++counted_.candidates;
        auto record = pinned_.record(position, check_);
        if (!record) return std::move(record).error();
        if (index::matches(selection_, *record)) ++counted_.events;
        return {};
    }

    const Pinned& pinned_;
    const index::Selection& selection_;
    log::Check check_ = selection_.asks_content() ? log::Check::body : log::Check::head;
    Selecting selecting_;
    std::uint64_t limit_;
    Counted counted_;
};

/// What only reading the events can tell.
Result<Counted> count_by_reading(const std::shared_ptr<Pinned>& pinned, const Selector& selector,
                                 const ReadOptions& options) {
    Reading reading(pinned, selector, options);
    Counted counted;
    while (true) {
        auto run = reading.next();
        if (!run) return std::move(run).error();
        if (run->empty()) break;
        counted.events += run->size();
    }
    counted.entries = reading.looked_at();
    counted.candidates = counted.events;
    return counted;
}

std::uint64_t most_of(const Segment& segment, const index::Selection::Set& set) {
    if (segment.sealed == nullptr) return segment.ready() ? segment.index.find(set.key).count : 0;
    index::SealedList list;
    const index::Found found =
        segment.sealed->index.find(index::kind_of(set.op), set.name, set.key, list);
    return found == index::Found::yes ? list.count : 0;
}

ExplainedList explain_past(const index::Selection::Set& set, std::uint64_t published) {
    ExplainedList explained;
    explained.set = "before definition '" + std::string(set.definition) + "'";
    explained.events = set.past->count(1, published);
    explained.listed = Position{set.past->filled};
    explained.complete = set.past->filled + 1 >= set.past->before;
    return explained;
}

ExplainedList explain_list(const SegmentList& list, const index::Selection::Set& set) {
    ExplainedList explained;
    const auto one = [&]() -> Selector {
        switch (set.op) {
            case index::Op::stream: return Selector::stream(set.name);
            case index::Op::category: return Selector::category(set.name);
            case index::Op::type: return Selector::type(set.name);
            default: return Selector::tag(set.name);
        }
    };
    explained.set =
        set.definition.empty() ? one().text() : Selector::derived(set.definition).text();
    for (std::size_t n = 0; n < list.items.size(); n = unit_of(list, n).end)
        explained.events += most_of(*list.items[n], set);
    return explained;
}

Result<Counted> count_all(const std::shared_ptr<Pinned>& pinned, const Selector& selector,
                          const ReadOptions& options, index::Selection& selection) {
    if (selector.error() != nullptr)
        return failure(ErrorCode::invalid_argument, selector.error(), pinned->meta().path);
    ViewMeanings meanings;
    VARVE_TRY(meanings.look(pinned->meta(), pinned->view()));
    selection.compile(selector.encoded(), pinned->meta().hasher, meanings.get());
    const Bounds bounds = bounds_of(pinned->view(), options);
    const bool revisions = options.from_revision.value != 0 || options.until_revision.value != 0;
    if (options.since_us || options.until_us || options.matcher || revisions)
        return count_by_reading(pinned, selector, options);
    // Which end a limit counts from makes no difference to the number.
    Counter counter(*pinned, selection, options.limit);
    return counter.run(bounds.low, bounds.high);
}

}  // namespace

Result<Counted> count_events(const std::shared_ptr<Pinned>& pinned, const Selector& selector,
                             const ReadOptions& options) noexcept {
    try {
        index::Selection selection;
        return count_all(pinned, selector, options, selection);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to count");
    }
}

Result<Explanation> explain_query(const std::shared_ptr<Pinned>& pinned, const Selector& selector,
                                  const ReadOptions& options) noexcept {
    try {
        index::Selection selection;
        auto counted = count_all(pinned, selector, options, selection);
        if (!counted) return std::move(counted).error();
        Explanation explanation;
        explanation.selector = selector.text();
        for (const index::Selection::Set& set : selection.sets) {
            if (set.op == index::Op::past)
                explanation.lists.push_back(explain_past(set, pinned->view().published));
            if (index::is_name(set.op))
                explanation.lists.push_back(explain_list(*pinned->view().segments, set));
        }
        explanation.indexes = counted->indexes;
        explanation.entries = counted->entries;
        explanation.candidates = counted->candidates;
        explanation.events = counted->events;
        const Bounds bounds = bounds_of(pinned->view(), options);
        explanation.scans = selection.unbounded(bounds.low, bounds.high);
        explanation.estimated_us =
            kIndexUs * static_cast<double>(counted->indexes) +
            kEntryUs * static_cast<double>(counted->entries) +
            kEventUs * static_cast<double>(std::max(counted->candidates, counted->events));
        return explanation;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to explain");
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
