// One read in progress: which events of a view, in which order, run by run.
//
// One thread at a time. Invariant: each event of the source within the bounds comes exactly once,
// in order, or the reading stops with an error that names the place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "index/sealed_cursor.hpp"
#include "store/pinned.hpp"
#include "store/sealed.hpp"
#include "store/selecting.hpp"
#include "store/times.hpp"
#include "store/wanted.hpp"

namespace varve {
inline namespace v0 {
namespace store {

/// The options of a read, turned into positions that lie within the view.
struct Bounds {
    std::uint64_t low = 1;   ///< first position that may be handed out
    std::uint64_t high = 0;  ///< last one; low > high: nothing
    std::uint64_t low_revision = 0;
    std::uint64_t high_revision = ~0ULL;
    bool backwards = false;
};
/// Last position of the view that the options admit.
[[nodiscard]] std::uint64_t end_of(const View& view, const ReadOptions& options) noexcept;
[[nodiscard]] Bounds bounds_of(const View& view, const ReadOptions& options) noexcept;

class Reading {
public:
    /// May throw bad_alloc.
    Reading(std::shared_ptr<Pinned> pinned, Wanted wanted, const ReadOptions& options);
    Reading(const std::shared_ptr<Pinned>& pinned, Source source, const ReadOptions& options)
        : Reading(pinned, wanted_of(*pinned, source), options) {}
    Reading(const std::shared_ptr<Pinned>& pinned, const Selector& selector,
            const ReadOptions& options)
        : Reading(pinned, wanted_of(*pinned, selector), options) {}
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    [[nodiscard]] Result<std::span<const EventView>> next() noexcept;
    [[nodiscard]] Events::Status status() const noexcept { return status_; }
    /// For a selector that is no single name: entries of indexes that were looked at so far.
    [[nodiscard]] std::uint64_t looked_at() const noexcept {
        return selecting_ ? selecting_->looked_at() : 0;
    }
    [[nodiscard]] Result<Seen> seen() const noexcept;

private:
    [[nodiscard]] Result<std::span<const EventView>> fill();
    [[nodiscard]] bool enter_unit();
    void list_active(const Segment& segment, std::uint64_t low, std::uint64_t high);
    void list_sealed(const SealedFile& sealed, std::uint64_t low, std::uint64_t high) noexcept;
    [[nodiscard]] bool next_listed(std::uint64_t& position);
    void plan(std::uint64_t position, std::size_t n) noexcept;
    [[nodiscard]] std::size_t plan_batch();
    void pass_over() noexcept;
    [[nodiscard]] bool next_selected(std::uint64_t& position);
    [[nodiscard]] bool outside(const Segment& segment, std::uint64_t position) noexcept;
    /// Everything in order; else what an index says.
    [[nodiscard]] bool scans() const noexcept {
        return wanted_.kind == Source::Kind::all && !selecting_;
    }
    [[nodiscard]] bool belongs(const log::RecordView& record, bool found) const;
    struct Planned {
        const Segment* segment;
        std::uint32_t ordinal;
        std::uint64_t offset;  ///< of its record; 0: not known
        bool found;            ///< a sealed index says that it belongs
    };
    [[nodiscard]] bool take(const Planned& planned);
    [[nodiscard]] bool timely(const Segment& segment, const log::RecordView& record) noexcept;
    void finish() noexcept { status_ = Events::Status::complete; }

    std::shared_ptr<Pinned> pinned_;
    Wanted wanted_;
    index::Key key_ = 0;                  ///< of a name
    std::optional<Selecting> selecting_;  ///< of a selection
    Bounds bounds_;
    std::uint64_t left_;
    std::uint64_t from_;
    std::uint64_t until_;
    std::uint64_t
        looked_until_;  ///< end of what may be handed out; before what lies beyond a revision
    log::Check check_;
    TimeFilter times_;
    std::optional<Matcher> matcher_;
    std::optional<std::int64_t> recorded_us_;  ///< of the event that is being taken
    Events::Status status_ = Events::Status::reading;
    std::optional<Error> error_;
    bool told_ = false;
    std::uint64_t last_returned_ = 0;

    std::size_t segment_ = 0;  ///< index into the view's segments
    IndexUnit unit_;           ///< that it belongs to, once entered
    bool entered_ = false;
    std::uint64_t next_position_ = 0;  ///< for all events: the next one
    std::uint64_t positions_left_ = 0;
    std::vector<std::uint32_t> ordinals_;  ///< of one key in one segment, as they are handed out
    std::size_t listed_ = 0;               ///< of those, handed out
    std::optional<index::SealedCursor> cursor_;  ///< of one key in one sealed index
    std::uint64_t cursor_end_ = 0;               ///< its last position that is wanted
    std::vector<EventView> run_;
    Planned batch_[16];
};

}  // namespace store
}  // namespace v0
}  // namespace varve
