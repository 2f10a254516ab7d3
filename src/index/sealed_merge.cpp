#include "index/sealed_merge.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include "base/error.hpp"
#include "index/sealed_cursor.hpp"

namespace varve::index {

namespace {

class Merge {
public:
    Merge(std::span<const SealedIndex* const> inputs, Sink& to, Scratch& scratch,
          const std::function<bool()>& go_on)
        : inputs_(inputs),
          hasher_(inputs.front()->hasher()),
          go_on_(go_on),
          writer_(to, scratch, go_on),
          ids_(scratch) {
        for (const SealedIndex* input : inputs_) types_.emplace_back(input->names(KeyKind::type));
    }

    Result<void> run(const log::Uuid& uuid) {
        for (const KeyKind kind : {KeyKind::stream, KeyKind::category, KeyKind::type, KeyKind::tag})
            merge_kind(kind);
        gather_ids();
        if (goes_on()) writer_.finish_names({ids_.data(), ids_.size()});
        if (goes_on()) put_columns();
        if (no_memory_)
            return base::failure(ErrorCode::out_of_memory, "no memory to merge indexes");
        if (stopped_) return base::failure(ErrorCode::busy, "merging indexes was given up");
        if (any_damaged())
            return base::failure(ErrorCode::corrupt, "an index that was to be merged is damaged");
        std::vector<SealedSegment> segments;
        for (const SealedIndex* input : inputs_) {
            for (const SealedSegment& segment : input->segments()) {
                // Parts of one segment become the whole.
                if (!segments.empty() && segments.back().number == segment.number)
                    segments.back().last_position = segment.last_position;
                else
                    segments.push_back(segment);
            }
        }
        return writer_.finish(uuid, segments, inputs_.back()->end_chain());
    }

private:
    [[nodiscard]] bool any_damaged() const noexcept {
        return std::any_of(inputs_.begin(), inputs_.end(),
                           [](const SealedIndex* one) { return one->damaged(); });
    }
    /// False once the result is known: it will not be a whole index.
    [[nodiscard]] bool goes_on() const noexcept {
        return !no_memory_ && !stopped_ && !writer_.failed() && !any_damaged();
    }
    /// The same, and asks from time to time whether it is still wanted. For each turn of a loop.
    [[nodiscard]] bool goes_on_after(std::uint64_t turn) noexcept {
        constexpr std::uint64_t kTurns = 4096;
        if (turn % kTurns != kTurns - 1) return true;
        stopped_ = stopped_ || !go_on_();
        return goes_on();
    }

    /// Ordinals of input `n` begin here.
    [[nodiscard]] std::uint32_t base_of(std::size_t n) const noexcept {
        return static_cast<std::uint32_t>(inputs_[n]->first_position() -
                                          inputs_.front()->first_position());
    }

    /// The next name of an input. Most comparisons are decided by its first bytes.
    struct Head {
        std::uint64_t prefix[2];
        std::size_t input;
        SealedNames* names;

        [[nodiscard]] bool next() noexcept {
            if (!names->next()) return false;
            prefix[0] = prefix_of(names->name(), 0);
            prefix[1] = prefix_of(names->name(), 8);
            return true;
        }
        [[nodiscard]] int compare_name(const Head& other) const noexcept {
            for (int n = 0; n < 2; ++n)
                if (prefix[n] != other.prefix[n]) return prefix[n] < other.prefix[n] ? -1 : 1;
            return names->name().compare(other.names->name());
        }
        /// Of equal names the earlier input comes first: so do its ordinals.
        [[nodiscard]] bool operator<(const Head& other) const noexcept {
            const int order = compare_name(other);
            return order != 0 ? order < 0 : input < other.input;
        }
    };

    void merge_kind(KeyKind kind) {
        std::vector<std::unique_ptr<SealedNames>> names;
        std::vector<Head> heads;  // ascending
        for (std::size_t n = 0; n < inputs_.size(); ++n) {
            names.push_back(std::make_unique<SealedNames>(*inputs_[n], kind, std::string_view{}));
            Head head{{}, n, names.back().get()};
            if (head.next()) heads.push_back(head);
        }
        std::sort(heads.begin(), heads.end());
        std::vector<std::uint32_t> local(inputs_.size());
        std::string name;
        for (std::uint32_t number = 0; !heads.empty() && goes_on_after(number) && !writer_.failed();
             ++number) {
            name.assign(heads.front().names->name());
            writer_.begin_name(kind, name);
            while (!heads.empty() && heads.front().names->name() == name) {
                const std::size_t n = heads.front().input;
                add_list(n, heads.front().names->list());
                if (kind == KeyKind::type && local[n] < types_[n].size())
                    types_[n][local[n]++] =
                        static_cast<std::uint16_t>(std::min<std::uint32_t>(number, kManyTypes));
                advance(heads);
            }
            writer_.end_name(fingerprint(hasher_.key(kind, name)));
        }
    }

    /// Puts the next name of the first input where it belongs among the others.
    static void advance(std::vector<Head>& heads) noexcept {
        Head moved = heads.front();
        if (!moved.next()) {
            heads.erase(heads.begin());
            return;
        }
        const auto to = std::partition_point(heads.begin() + 1, heads.end(),
                                             [&](const Head& head) { return head < moved; });
        *std::move(heads.begin() + 1, to, heads.begin()) = moved;
    }

    void add_list(std::size_t n, const SealedList& list) {
        const std::uint32_t first = base_of(n);
        if (list.count <= 2) {
            writer_.add(first + list.first);
            if (list.count == 2) writer_.add(first + list.last);
            return;
        }
        SealedCursor cursor(*inputs_[n], list, false);
        std::uint32_t ordinal = 0;
        for (std::uint64_t turn = 0; cursor.next(ordinal) && goes_on_after(turn); ++turn)
            writer_.add(first + ordinal);
    }

    void gather_ids() {
        for (std::size_t n = 0; n < inputs_.size() && goes_on(); ++n) {
            const SealedIndex& input = *inputs_[n];
            const std::uint64_t length = input.length(Section::ids);
            if (!input.touch(Section::ids, 0, length)) return;
            const std::uint32_t first = base_of(n);
            std::uint32_t count = 0;
            for (std::uint64_t at = 0; at < length && goes_on_after(at / 8); at += 8) {
                const auto word = base::load<std::uint64_t>(input.at(Section::ids) + at);
                if (word == 0) continue;
                const auto ordinal = static_cast<std::uint32_t>(word) - 1;
                if (ordinal >= input.events()) return input.set_damaged();
                ++count;
                if (!ids_.push({static_cast<std::uint32_t>(word >> 32), first + ordinal}))
                    no_memory_ = true;
            }
            if (goes_on() && count != input.names(KeyKind::id)) input.set_damaged();
        }
    }

    void put_columns() {
        writer_.begin(Section::offsets);
        for (const SealedIndex* input : inputs_) {
            const std::uint64_t length = input->length(Section::offsets);
            constexpr std::uint64_t kAtOnce = 64 << 10;
            for (std::uint64_t at = 0; at < length && !writer_.failed(); at += kAtOnce) {
                const std::uint64_t part = std::min(kAtOnce, length - at);
                if (!input->touch(Section::offsets, at, part)) return;
                writer_.put({input->at(Section::offsets) + at, part});
            }
        }
        writer_.begin(Section::types);
        for (std::size_t n = 0; n < inputs_.size() && goes_on(); ++n) put_types(n);
        if (goes_on()) put_times();
    }

    void put_types(std::size_t n) {
        const SealedIndex& input = *inputs_[n];
        for (std::uint32_t event = 0; event < input.events() && goes_on_after(event); ++event) {
            std::uint16_t number = kNoType;
            if (input.type_number(event, number) != Found::yes) return;
            if (number < kManyTypes) {
                if (number >= types_[n].size()) return input.set_damaged();
                number = types_[n][number];
            }
            writer_.put_value(number);
        }
    }

    /// Groups of the inputs do not begin where groups of the whole begin: each gets the bounds of
    /// all that it touches.
    void put_times() {
        const std::uint64_t events =
            inputs_.back()->last_position() - inputs_.front()->first_position() + 1;
        std::vector<SealedTimes> groups;
        for (std::size_t n = 0; n < inputs_.size(); ++n) {
            SealedTimes times;
            for (std::uint32_t group = 0; inputs_[n]->times(group, times) == Found::yes; ++group) {
                const std::uint64_t begin = base_of(n) + std::uint64_t{group} * kTimeGroup;
                const std::uint64_t end =
                    std::min<std::uint64_t>(begin + kTimeGroup, base_of(n) + inputs_[n]->events());
                for (std::uint64_t of = begin / kTimeGroup; of <= (end - 1) / kTimeGroup; ++of) {
                    if (of >= groups.size()) {
                        groups.push_back(times);
                        continue;
                    }
                    SealedTimes& wide = groups[of];
                    wide.event_min = std::min(wide.event_min, times.event_min);
                    wide.event_max = std::max(wide.event_max, times.event_max);
                    wide.recorded_min = std::min(wide.recorded_min, times.recorded_min);
                    wide.recorded_max = std::max(wide.recorded_max, times.recorded_max);
                }
            }
        }
        groups.resize((events + kTimeGroup - 1) / kTimeGroup);
        writer_.begin(Section::times);
        for (const SealedTimes& group : groups) writer_.put_value(group);
    }

    std::span<const SealedIndex* const> inputs_;
    const Hasher& hasher_;
    const std::function<bool()>& go_on_;
    SealedWriter writer_;
    ScratchArray<SealedWriter::Id> ids_;
    std::vector<std::vector<std::uint16_t>> types_;  ///< numbers of the inputs' types in the whole
    bool no_memory_ = false;
    bool stopped_ = false;
};

/// Each begins where the one before ends, and the whole is not too large for ordinals.
bool are_neighbours(std::span<const SealedIndex* const> inputs) noexcept {
    for (std::size_t n = 1; n < inputs.size(); ++n) {
        if (inputs[n]->first_position() != inputs[n - 1]->last_position() + 1) return false;
    }
    return !inputs.empty() &&
           inputs.back()->last_position() - inputs.front()->first_position() < kSealedEventsMax;
}

}  // namespace

Result<void> merge_sealed(std::span<const SealedIndex* const> inputs, const log::Uuid& uuid,
                          Sink& to, Scratch& scratch, const std::function<bool()>& go_on) noexcept {
    if (!are_neighbours(inputs))
        return base::failure(ErrorCode::invalid_argument,
                             "only indexes of neighbouring segments can be merged, and no more "
                             "events than ordinals can count");
    try {
        return Merge(inputs, to, scratch, go_on).run(uuid);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to merge indexes");
    }
}

}  // namespace varve::index
