// What a view of the store says about its definitions: the rules, and the lists of the past that
// are there.
//
// Any thread: books never change; the shelf that keeps the newest one may be asked from any. A
// store without definitions pays one comparison.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "index/past_file.hpp"
#include "os/env.hpp"
#include "store/definitions.hpp"
#include "store/meta.hpp"
#include "store/view.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// An opened list of the past.
struct OpenedPast {
    PastName name;
    os::Mapping map;
    index::PastFile file;
};
using OpenedPastPtr = std::shared_ptr<const OpenedPast>;

/// Lists of neighbouring segments for the same definitions, from the first segment on.
struct PastGroup {
    std::uint64_t first = 0;  ///< numbers of definitions
    std::uint64_t last = 0;
    std::uint64_t filled = 0;  ///< position up to which there are lists
    std::vector<OpenedPastPtr> files;

    [[nodiscard]] bool holds(std::uint64_t number) const noexcept {
        return first <= number && number <= last;
    }
};

struct RuleBook {
    RuleSetPtr rules;
    std::vector<PastGroup> groups;

    /// The group with the past of this rule; null if there is none.
    [[nodiscard]] const PastGroup* group_of(const Rule& rule) const noexcept;
    [[nodiscard]] OpenedPastPtr file_of(const PastName& name) const noexcept;
    /// Position up to which the events before the definition are listed, and the whole of what is
    /// to be listed.
    [[nodiscard]] std::uint64_t listed(const Rule& rule) const noexcept;
    [[nodiscard]] static std::uint64_t to_list(const Rule& rule) noexcept {
        return rule.by_content() ? rule.defined() - 1 : 0;
    }
};
using RuleBookPtr = std::shared_ptr<const RuleBook>;

/// Answers for selections of one view.
class BookMeanings final : public index::Meanings {
public:
    BookMeanings(RuleBookPtr book, std::uint64_t published) noexcept
        : book_(std::move(book)), published_(published) {}
    [[nodiscard]] std::vector<index::Meaning> of(index::Op op,
                                                 std::string_view name) const override;

private:
    void add_past(const RulePtr& rule, std::string_view name, index::Meaning& meaning) const;

    RuleBookPtr book_;
    std::uint64_t published_;
};

/// Of an open store. Keeps the newest book.
class RuleShelf {
public:
    /// The book that holds for `view`; null if nothing is defined.
    [[nodiscard]] Result<RuleBookPtr> at(const Meta& meta, const View& view) noexcept;

private:
    [[nodiscard]] Result<void> renew(const Meta& meta, const View& view);

    static constexpr std::uint64_t kNone = 1ULL << 63;
    /// The word of the view that the shelf has looked at, with kNone if there is no definition.
    std::atomic<std::uint64_t> looked_{~0ULL};
    std::mutex mutex_;
    std::optional<std::uint32_t> word_;
    RuleBookPtr book_;
};

/// A view's meanings, ready for `Selection::compile`: null where nothing is defined.
class ViewMeanings {
public:
    [[nodiscard]] Result<void> look(const Meta& meta, const View& view) noexcept;
    [[nodiscard]] const index::Meanings* get() const noexcept {
        return meanings_ ? &*meanings_ : nullptr;
    }

private:
    std::optional<BookMeanings> meanings_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
