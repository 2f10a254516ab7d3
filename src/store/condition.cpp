#include "store/condition.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "store/pinned.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using base::SeededBug;

EpochBegins::EpochBegins(const file::ManifestContent& manifest, std::uint32_t epoch,
                         std::uint64_t end)
    : current_(epoch) {
    bool known = manifest.entries.empty() || manifest.entries.front().number == 1;
    for (const file::ManifestEntry& entry : manifest.entries) {
        const bool opened = entry.kind == static_cast<std::uint32_t>(file::EntryKind::opened);
        const bool cut = entry.kind == static_cast<std::uint32_t>(file::EntryKind::cut);
        if (!opened && !cut) continue;
        begins_.push_back({entry.epoch, entry.position});
        // The manifest was made shorter: what it begins with is what was kept.
        if (opened && !known) {
            known_from_ = entry.epoch;
            known = true;
        }
    }
    if (!known) known_from_ = epoch;
    begins_.push_back({epoch, end});
}

bool EpochBegins::holds(const Seen& seen) const noexcept {
    if (seen.epoch == 0 || seen.epoch == current_) return true;
    if (seen.epoch > current_ || seen.epoch < known_from_) return false;
    return std::all_of(begins_.begin(), begins_.end(), [&](const Begin& begin) {
        return begin.epoch <= seen.epoch || seen.position.value <= begin.position;
    });
}

Result<void> Condition::admit(const Meta& meta, const AppendCondition& given,
                              const index::Meanings* known) noexcept {
    given_ = nullptr;
    conflict_.reset();
    if (given.fail_if_match.error() != nullptr) {
        return failure(ErrorCode::invalid_argument,
                       std::string("the append condition: ") + given.fail_if_match.error(),
                       meta.path);
    }
    if (given.fail_if_match.is_nothing()) return {};
    try {
        selection_.compile(given.fail_if_match.encoded(), meta.hasher, known);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory for the append condition");
    }
    given_ = &given;
    looked_until_ = given.after.position.value;
    if (base::seeded(SeededBug::condition_after_off_by_one)) ++looked_until_;
    return {};
}

Result<void> Condition::look(const Meta& meta, const SegmentList& list,
                             std::uint64_t until) noexcept {
    if (looked_until(until)) return {};
    Admits asked;
    if (given_->matcher) {
        asked = [&](const Segment&, const log::RecordView& record) {
            return Result<bool>(admits(*given_->matcher, record));
        };
    }
    const log::Check check = given_->matcher ? log::Check::body : log::Check::head;
    auto matched = find_newest(meta, list, selection_, check, asked, looked_until_ + 1, until);
    if (!matched) return std::move(matched).error();
    looked_until_ = std::max(looked_until_, until);
    if (matched->position == 0) return {};
    try {
        Error error = failure(ErrorCode::condition_failed,
                              "an event that matches the append condition stands at position " +
                                  std::to_string(matched->position) + ", behind " +
                                  std::to_string(given_->after.position.value) +
                                  ": read again what decides, and decide again",
                              meta.path);
        describe_event(matched->record, error);
        conflict_ = std::move(error);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to say what is in conflict");
    }
    return {};
}

Result<void> Condition::check_after(const Meta& meta, const EpochBegins& begins,
                                    std::uint64_t end) const noexcept {
    const Seen& after = given_->after;
    if (after.position.value <= end && begins.holds(after)) return {};
    return failure(ErrorCode::stale,
                   "the append condition looks behind position " +
                       std::to_string(after.position.value) +
                       ", which is not of the history that the store has now (its end is " +
                       std::to_string(end) + "): read again what decides, and decide again",
                   meta.path);
}

Result<void> Condition::judge(const Meta& meta, const SegmentList& list,
                              std::uint64_t end) noexcept {
    VARVE_TRY(look(meta, list, end));
    return verdict();
}

Result<void> Condition::verdict() const noexcept {
    if (conflict_) return Error(*conflict_);
    return {};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
