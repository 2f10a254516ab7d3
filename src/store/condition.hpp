// Append conditions: whether events match a selection behind a position.
//
// A Condition belongs to one append. It is looked at twice: before the place lock against what is
// published, where old events keep nobody waiting; under the lock against what was placed since,
// events of the same run included. Invariant: the verdict is that of one look at everything placed
// before the append; an event that may match and cannot be read is an error, never passed over.
#pragma once

#include <optional>
#include <vector>

#include "store/selecting.hpp"
#include "varve/options.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// Where the sessions of writers began, as far as the manifest tells: so that what a reader has
/// seen in one of them can be told from a history that was lost.
class EpochBegins {
public:
    EpochBegins() = default;
    /// `epoch` begins behind `end`. May throw bad_alloc.
    EpochBegins(const file::ManifestContent& manifest, std::uint32_t epoch, std::uint64_t end);

    /// True if everything up to `seen` is still what it was then. False also if that is not known
    /// any more.
    [[nodiscard]] bool holds(const Seen& seen) const noexcept;

private:
    struct Begin {
        std::uint32_t epoch = 0;
        std::uint64_t position = 0;
    };
    std::vector<Begin> begins_;
    std::uint32_t known_from_ = 0;  ///< of earlier epochs nothing is known
    std::uint32_t current_ = 0;
};

class Condition {
public:
    /// Takes over what an append demands. Errors: `invalid_argument` of the selector,
    /// `out_of_memory`. The selector outlives this.
    /// `known`: what the store has defined; may be null.
    [[nodiscard]] Result<void> admit(const Meta& meta, const AppendCondition& given,
                                     const index::Meanings* known) noexcept;
    [[nodiscard]] bool given() const noexcept { return given_ != nullptr; }

    /// `stale` if what was seen is not of the history whose last position is `end`.
    [[nodiscard]] Result<void> check_after(const Meta& meta, const EpochBegins& begins,
                                           std::uint64_t end) const noexcept;
    /// True if nothing up to `end` is left to be looked at.
    [[nodiscard]] bool looked_until(std::uint64_t end) const noexcept {
        return conflict_ || looked_until_ >= end;
    }
    /// Outside every lock: looks at what is left up to `published`. A match is kept for `verdict`.
    [[nodiscard]] Result<void> look(const Meta& meta, const SegmentList& list,
                                    std::uint64_t until) noexcept;
    /// Looks at what is left up to `end`, and says the verdict. Errors: `condition_failed` with the
    /// event that matches, `corrupt`, `out_of_memory`.
    [[nodiscard]] Result<void> judge(const Meta& meta, const SegmentList& list,
                                     std::uint64_t end) noexcept;
    /// What was found so far: success, or `condition_failed`.
    [[nodiscard]] Result<void> verdict() const noexcept;

private:
    const AppendCondition* given_ = nullptr;
    index::Selection selection_;
    std::uint64_t looked_until_ = 0;
    std::optional<Error> conflict_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
