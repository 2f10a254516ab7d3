// One read in progress: which events of a view, in which order, run by run.
//
// One thread at a time. Invariant: each event of the source within the bounds comes exactly once,
// in order, or the reading stops with an error that names the place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/pinned.hpp"
#include "store/planning.hpp"
#include "store/times.hpp"
#include "store/wanted.hpp"

namespace varve {
inline namespace v0 {
namespace store {

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
    [[nodiscard]] std::uint64_t looked_at() const noexcept { return planning_.looked_at(); }
    [[nodiscard]] Result<Seen> seen() const noexcept;

private:
    void fill();
    void refuse(Error error) noexcept;
    [[nodiscard]] bool belongs(const log::RecordView& record, bool found) const;
    [[nodiscard]] bool take(const Planned& planned);
    [[nodiscard]] bool passes(const Segment& segment, const log::RecordView& record) noexcept;
    [[nodiscard]] bool timely(const Segment& segment, const log::RecordView& record) noexcept;
    void finish() noexcept { status_ = Events::Status::complete; }

    std::shared_ptr<Pinned> pinned_;
    Wanted wanted_;
    Bounds bounds_;
    Planning planning_;
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

    bool plain_ = false;              ///< nothing but names decides whether an event is taken
    std::span<const Planned> batch_;  ///< still to be taken
    log::RecordView record_;          ///< that is being taken
    std::vector<EventView> run_;
};

}  // namespace store
}  // namespace v0
}  // namespace varve
