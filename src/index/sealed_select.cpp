#include "index/sealed_select.hpp"

#include <algorithm>
#include <vector>

namespace varve::index {

namespace {

using Shared = WalkShared;
using WalkPtr = std::unique_ptr<Walk>;

/// The events of one name.
class NameWalk final : public Walk {
public:
    NameWalk(Shared& shared, const SealedList& list) noexcept
        : Walk(shared), list_(list), cursor_(*shared.index, list, shared.backwards) {}

    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        if (from <= key_ && known_) {
            found = key_;
            return true;
        }
        std::uint32_t ordinal = 0;
        ++shared_.looked_at;
        known_ = from < shared_.events &&
                 cursor_.reach(static_cast<std::uint32_t>(shared_.flipped(from)), ordinal);
        shared_.damaged = shared_.damaged || cursor_.damaged();
        if (!known_) return false;
        found = key_ = shared_.flipped(ordinal);
        return true;
    }
    std::size_t run(std::uint64_t& from, std::span<std::uint32_t> ordinals) noexcept override {
        std::uint64_t first = 0;
        if (!reach(from, first)) return 0;
        const std::size_t count = cursor_.next(ordinals);
        if (count == 0) return 0;
        shared_.looked_at += count - 1;  // one of them was counted
        known_ = false;
        from = shared_.flipped(ordinals[count - 1]) + 1;
        return count;
    }
    std::size_t keep(std::span<std::uint32_t> ordinals, bool inside) noexcept override {
        shared_.looked_at += ordinals.size();
        known_ = false;
        const std::size_t kept = cursor_.keep(ordinals, inside);
        shared_.damaged = shared_.damaged || cursor_.damaged();
        return kept;
    }
    std::uint64_t most() const noexcept override { return list_.count; }

private:
    SealedList list_;
    SealedCursor cursor_;
    std::uint64_t key_ = 0;  ///< the last one found
    bool known_ = false;
};

/// All positions, the store's own records included.
class AllWalk final : public Walk {
public:
    explicit AllWalk(Shared& shared) noexcept : Walk(shared) {}
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        found = from;
        return from < shared_.events;
    }
    std::uint64_t most() const noexcept override { return shared_.events; }
};

/// Positions up to one.
class UptoWalk final : public Walk {
public:
    UptoWalk(Shared& shared, std::uint64_t until) noexcept
        : Walk(shared), count_(shared.ordinals_until(until)) {}
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        found = shared_.backwards ? std::max(from, shared_.events - count_) : from;
        return found < (shared_.backwards ? shared_.events : count_);
    }
    std::uint64_t most() const noexcept override { return count_; }

private:
    std::uint64_t count_;
};

/// Events that a definition was applied to later; where nobody has looked yet, every event.
class PastWalk final : public Walk {
public:
    PastWalk(Shared& shared, const Past& past) noexcept : Walk(shared), past_(past) {}
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        if (from >= shared_.events) return false;
        ++shared_.looked_at;
        const std::uint64_t position = shared_.first + shared_.flipped(from);
        std::uint64_t at = 0;
        if (!(shared_.backwards ? before(position, at) : behind(position, at))) return false;
        if (at < shared_.first || at >= shared_.first + shared_.events) return false;
        found = shared_.flipped(at - shared_.first);
        return true;
    }
    std::uint64_t most() const noexcept override {
        const std::uint64_t last = shared_.first + shared_.events - 1;
        return past_.exact(shared_.first, last) ? past_.count(shared_.first, last) : shared_.events;
    }

private:
    [[nodiscard]] bool behind(std::uint64_t position, std::uint64_t& at) const noexcept {
        if (position <= past_.filled && past_.next(position, at)) return true;
        at = std::max(position, past_.filled + 1);
        return at < past_.before;
    }
    [[nodiscard]] bool before(std::uint64_t position, std::uint64_t& at) const noexcept {
        at = std::min(position, past_.before - 1);
        return at > past_.filled || past_.last(at, at);
    }

    const Past& past_;
};

class AnyWalk final : public Walk {
public:
    AnyWalk(Shared& shared, std::vector<WalkPtr> members)
        : Walk(shared), members_(std::move(members)) {
        next_.assign(members_.size(), 0);
        asked_.assign(members_.size(), false);
    }
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        found = kEnd;
        for (std::size_t n = 0; n < members_.size(); ++n) {
            if (!asked_[n] || next_[n] < from) {
                asked_[n] = true;
                if (!members_[n]->reach(from, next_[n])) next_[n] = kEnd;
            }
            found = std::min(found, next_[n]);
        }
        return found != kEnd;
    }
    std::uint64_t most() const noexcept override {
        std::uint64_t events = 0;
        for (const WalkPtr& member : members_) events += member->most();
        return events;
    }

private:
    std::vector<WalkPtr> members_;
    std::vector<std::uint64_t> next_;
    std::vector<char> asked_;
};

/// Events of some types: their lists to walk by, the column of types to look one up.
class TypesWalk final : public Walk {
public:
    TypesWalk(Shared& shared, WalkPtr lists, std::vector<std::uint16_t> numbers)
        : Walk(shared), lists_(std::move(lists)), numbers_(std::move(numbers)) {
        std::sort(numbers_.begin(), numbers_.end());
    }
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        return lists_->reach(from, found);
    }
    std::uint64_t onward(std::uint64_t key) noexcept override {
        ++shared_.looked_at;
        std::uint16_t number = 0;
        const Found known =
            shared_.index->type_number(static_cast<std::uint32_t>(shared_.flipped(key)), number);
        shared_.damaged = shared_.damaged || known == Found::damaged;
        if (known != Found::yes) return kEnd;
        return has(number) ? key : key + 1;
    }
    std::size_t run(std::uint64_t& from, std::span<std::uint32_t> ordinals) noexcept override {
        return lists_->run(from, ordinals);
    }
    std::size_t keep(std::span<std::uint32_t> ordinals, bool inside) noexcept override {
        std::size_t kept = 0;
        for (std::size_t begin = 0; begin < ordinals.size() && !shared_.damaged;) {
            const auto some = ordinals.subspan(begin, std::min(kTogether, ordinals.size() - begin));
            std::uint16_t numbers[kTogether];
            const std::size_t known = shared_.index->type_numbers(some, numbers);
            for (std::size_t n = 0; n < known; ++n) {
                ordinals[kept] = some[n];
                kept += has(numbers[n]) == inside ? 1U : 0U;
            }
            shared_.damaged = known < some.size();
            begin += some.size();
        }
        shared_.looked_at += ordinals.size();
        return kept;
    }
    std::uint64_t most() const noexcept override { return lists_->most(); }
    bool looks_up() const noexcept override { return true; }

private:
    [[nodiscard]] bool has(std::uint16_t number) const noexcept {
        return numbers_.size() == 1 ? numbers_.front() == number
                                    : std::binary_search(numbers_.begin(), numbers_.end(), number);
    }
    static constexpr std::size_t kTogether = 64;
    WalkPtr lists_;
    std::vector<std::uint16_t> numbers_;
};

/// Events of all its members and of none of `without`. The rarest member leads; one that can look
/// events up follows unless it is rarer by far.
class AllOfWalk final : public Walk {
public:
    AllOfWalk(Shared& shared, std::vector<WalkPtr> members, std::vector<WalkPtr> without)
        : Walk(shared), members_(std::move(members)), without_(std::move(without)) {
        const auto cost = [](const WalkPtr& walk) {
            return walk->looks_up() ? kRarerByFar * walk->most() : walk->most();
        };
        std::stable_sort(members_.begin(), members_.end(),
                         [&](const WalkPtr& a, const WalkPtr& b) { return cost(a) < cost(b); });
    }
    bool reach(std::uint64_t from, std::uint64_t& found) noexcept override {
        // The walks inside stand at what was found last: they cannot be asked again for less.
        if (!known_ || from > found_) find(from);
        found = found_;
        return found != kEnd;
    }
    std::size_t run(std::uint64_t& from, std::span<std::uint32_t> ordinals) noexcept override {
        // What the rarest has next, thinned out. If that leaves nothing, the walks leap together.
        while (true) {
            std::size_t count = members_.front()->run(from, ordinals);
            if (count == 0) return 0;
            known_ = false;
            for (std::size_t n = 1; n < members_.size() && count > 0; ++n)
                count = members_[n]->keep(ordinals.first(count), true);
            for (std::size_t n = 0; n < without_.size() && count > 0; ++n)
                count = without_[n]->keep(ordinals.first(count), false);
            if (count > 0 || shared_.damaged) return count;
            if (!reach(from, from) || shared_.damaged) return 0;
        }
    }
    std::uint64_t most() const noexcept override {
        std::uint64_t events = kEnd;
        for (const WalkPtr& member : members_) events = std::min(events, member->most());
        return events;
    }

private:
    static constexpr std::uint64_t kRarerByFar = 3;
    void find(std::uint64_t from) noexcept {
        known_ = true;
        for (std::uint64_t at = from; members_.front()->reach(at, at);) {
            const std::uint64_t next = agreed(at);
            found_ = at;
            if (next == at && !excluded(at)) return;
            at = next == at ? at + 1 : next;
        }
        found_ = kEnd;
    }
    /// `at` if all have it; else a later one before which there is none that all have.
    std::uint64_t agreed(std::uint64_t at) noexcept {
        for (std::size_t n = 1; n < members_.size(); ++n) {
            const std::uint64_t next = members_[n]->onward(at);
            if (next != at) return next;
        }
        return at;
    }
    bool excluded(std::uint64_t at) noexcept {
        return std::any_of(without_.begin(), without_.end(),
                           [&](const WalkPtr& walk) { return walk->onward(at) == at; });
    }
    std::vector<WalkPtr> members_;
    std::vector<WalkPtr> without_;
    std::uint64_t found_ = 0;  ///< the last one
    bool known_ = false;
};

class Maker {
public:
    Maker(Shared& shared, const Selection& selection) noexcept
        : shared_(shared), selection_(selection) {}

    /// Null if the set is empty.
    WalkPtr make(std::uint32_t n) {
        const Selection::Set& set = selection_.sets[n];
        switch (set.op) {
            case Op::nothing: return nullptr;
            case Op::all: return std::make_unique<AllWalk>(shared_);
            case Op::any_of: return make_any(n);
            case Op::all_of: return make_all_of(n);
            case Op::none_of: return make_without(n);
            case Op::past: return std::make_unique<PastWalk>(shared_, *set.past);
            case Op::upto: return std::make_unique<UptoWalk>(shared_, set.until);
            default: return make_name(set);
        }
    }

private:
    WalkPtr make_name(const Selection::Set& set) {
        SealedList list;
        const Found found = shared_.index->find(kind_of(set.op), set.name, set.key, list);
        if (found == Found::damaged) shared_.damaged = true;
        if (found != Found::yes) return nullptr;
        auto walk = std::make_unique<NameWalk>(shared_, list);
        if (set.op != Op::type) return walk;
        return with_column(std::move(walk), {list.entry});
    }
    /// By the column as well, if it tells all of these types.
    WalkPtr with_column(WalkPtr lists, const std::vector<std::uint32_t>& entries) {
        std::vector<std::uint16_t> numbers;
        for (const std::uint32_t entry : entries) {
            const std::uint32_t number = entry - shared_.index->first_entry(KeyKind::type);
            if (number >= kManyTypes) return lists;
            numbers.push_back(static_cast<std::uint16_t>(number));
        }
        return std::make_unique<TypesWalk>(shared_, std::move(lists), std::move(numbers));
    }
    WalkPtr make_any(std::uint32_t n) {
        std::vector<WalkPtr> members;
        const std::uint32_t end = selection_.sets[n].end;
        std::vector<std::uint32_t> entries;
        bool types_only = true;
        for (std::uint32_t m = n + 1; m < end; m = selection_.sets[m].end) {
            const Selection::Set& set = selection_.sets[m];
            types_only = types_only && set.op == Op::type;
            if (!types_only) {
                if (WalkPtr member = make(m)) members.push_back(std::move(member));
                continue;
            }
            SealedList list;
            const Found found = shared_.index->find(KeyKind::type, set.name, set.key, list);
            if (found == Found::damaged) shared_.damaged = true;
            if (found != Found::yes) continue;
            members.push_back(std::make_unique<NameWalk>(shared_, list));
            entries.push_back(list.entry);
        }
        if (members.empty()) return nullptr;
        WalkPtr any = members.size() == 1 ? std::move(members.front())
                                          : std::make_unique<AnyWalk>(shared_, std::move(members));
        return types_only ? with_column(std::move(any), entries) : std::move(any);
    }
    WalkPtr make_all_of(std::uint32_t n) {
        std::vector<WalkPtr> members;
        std::vector<WalkPtr> without;
        const std::uint32_t end = selection_.sets[n].end;
        for (std::uint32_t m = n + 1; m < end; m = selection_.sets[m].end) {
            const bool complement = selection_.sets[m].op == Op::none_of;
            // What may belong to it must not be left out: the records tell.
            if (complement && !exact(m)) continue;
            WalkPtr member = make(complement ? m + 1 : m);
            if (member == nullptr && !complement) return nullptr;
            if (member != nullptr) (complement ? without : members).push_back(std::move(member));
        }
        if (members.empty()) members.push_back(std::make_unique<AllWalk>(shared_));
        return std::make_unique<AllOfWalk>(shared_, std::move(members), std::move(without));
    }
    WalkPtr make_without(std::uint32_t n) {
        std::vector<WalkPtr> members;
        std::vector<WalkPtr> without;
        members.push_back(std::make_unique<AllWalk>(shared_));
        WalkPtr inner = exact(n) ? make(n + 1) : nullptr;
        if (inner != nullptr) without.push_back(std::move(inner));
        return std::make_unique<AllOfWalk>(shared_, std::move(members), std::move(without));
    }

    [[nodiscard]] bool exact(std::uint32_t n) const noexcept {
        return selection_.exact(shared_.first, shared_.first + shared_.events - 1, n);
    }

    Shared& shared_;
    const Selection& selection_;
};

}  // namespace

std::size_t Walk::run(std::uint64_t& from, std::span<std::uint32_t> ordinals) noexcept {
    std::size_t count = 0;
    for (std::uint64_t found = 0; count < ordinals.size() && reach(from, found); from = found + 1) {
        if (shared_.damaged) break;  // some may be missing before it
        ordinals[count++] = static_cast<std::uint32_t>(shared_.flipped(found));
    }
    return count;
}

std::size_t Walk::keep(std::span<std::uint32_t> ordinals, bool inside) noexcept {
    std::size_t kept = 0;
    std::uint64_t next = 0;  // before it there is none
    for (const std::uint32_t ordinal : ordinals) {
        const std::uint64_t key = shared_.flipped(ordinal);
        if (key >= next) next = onward(key);
        if (shared_.damaged) break;
        if ((next == key) == inside) ordinals[kept++] = ordinal;
    }
    return kept;
}

SealedSelect::SealedSelect(const SealedIndex& index, const Selection& selection, bool backwards)
    : shared_(std::make_unique<Shared>()), room_(8) {
    shared_->index = &index;
    shared_->backwards = backwards;
    shared_->first = index.first_position();
    shared_->events = index.events();
    root_ = Maker(*shared_, selection).make(0);
}

std::size_t SealedSelect::next(std::span<std::uint32_t> ordinals) noexcept {
    if (taken_ == found_) {
        if (root_ == nullptr || shared_->damaged) return 0;
        taken_ = 0;
        found_ = root_->run(next_, {run_, room_});
        if (found_ == 0) return 0;
        room_ = std::min(2 * room_, kRunMost);
    }
    const std::size_t count = std::min(found_ - taken_, ordinals.size());
    std::copy_n(run_ + taken_, count, ordinals.begin());
    taken_ += count;
    return count;
}

}  // namespace varve::index
