// Which records a read takes next: positions from one index after the other, their places, and
// their bytes, sent for before the read comes to them.
//
// One thread at a time. Invariants: each event of what is asked for within the bounds comes exactly
// once, in order; an event that comes need not belong to it where keys collide or records cannot be
// read, so whoever takes it compares; an error comes after all events that lie before it.
#pragma once

#include <optional>
#include <span>
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

/// An event that is about to be taken.
struct Planned {
    const Segment* segment = nullptr;
    std::uint64_t position = 0;
    std::uint64_t offset = 0;  ///< of its record; 0: not known
    bool found = false;        ///< a sealed index says that it belongs to the selection
};

class Planning {
public:
    static constexpr std::size_t kAhead = 16;  ///< records on their way while others are decoded

    /// All three outlive this; `wanted` and `bounds` may change until `start`.
    Planning(const Pinned& pinned, const Wanted& wanted, const Bounds& bounds,
             const ReadOptions& options) noexcept
        : pinned_(pinned), wanted_(wanted), bounds_(bounds), times_(options) {}

    /// Before the first `next`: once it is known what is asked for. May throw bad_alloc.
    void start();
    /// The next few events, while those after them are sent for; none at the end, or after an
    /// error. `left`: no more than so many events are wanted from here on. Valid until the next
    /// call. May throw bad_alloc.
    [[nodiscard]] std::span<const Planned> next(std::uint64_t left);
    /// Why `next` came to an end, if that is no true one.
    [[nodiscard]] std::optional<Error>& error() noexcept { return error_; }
    /// For a selection: entries of indexes that were looked at so far.
    [[nodiscard]] std::uint64_t looked_at() const noexcept {
        return selecting_ ? selecting_->looked_at() : 0;
    }

private:
    struct Batch {
        std::size_t size = 0;
        Planned events[kAhead];
    };
    void plan(Batch& batch, std::uint64_t left);
    void place(std::span<const std::uint32_t> ordinals, Planned* to) noexcept;
    void stand_at(std::size_t segment) noexcept;
    void send_for(std::span<Planned> events) const noexcept;

    [[nodiscard]] bool enter_unit();
    void enter(const Segment& segment, std::uint64_t low, std::uint64_t high);
    void enter_active(const Segment& segment, std::uint64_t low, std::uint64_t high);
    void enter_sealed(const SealedFile& sealed, std::uint64_t low, std::uint64_t high) noexcept;
    void leave_unit() noexcept;

    [[nodiscard]] std::size_t list(std::span<std::uint32_t> ordinals);
    [[nodiscard]] std::size_t list_all(std::span<std::uint32_t> ordinals) noexcept;
    [[nodiscard]] std::size_t list_active(std::span<std::uint32_t> ordinals) noexcept;
    [[nodiscard]] std::size_t list_sealed(std::span<std::uint32_t> ordinals) noexcept;
    [[nodiscard]] std::size_t timely(const Segment& segment,
                                     std::span<std::uint32_t> ordinals) noexcept;
    void pass_over() noexcept;
    [[nodiscard]] const std::vector<SegmentPtr>& segments() const noexcept {
        return pinned_.view().segments->items;
    }

    const Pinned& pinned_;
    const Wanted& wanted_;
    const Bounds& bounds_;
    TimeFilter times_;
    std::optional<Selecting> selecting_;  ///< if there is a selection
    std::optional<Error> error_;
    bool ended_ = false;

    // The index that is walked. Ordinals count from its first event; for all events in order, from
    // the segment's.
    IndexUnit unit_;
    bool entered_ = false;
    std::size_t segment_ = 0;          ///< the one planned for last, in the view's segments
    const Segment* at_ = nullptr;      ///< that one
    std::uint64_t segment_begin_ = 0;  ///< its ordinals
    std::uint64_t segment_end_ = 0;
    std::uint64_t next_ = 0;                     ///< for all events: the next one
    std::uint64_t left_ = 0;                     ///< of these
    std::vector<std::uint32_t> names_;           ///< events of one name in one segment, in order
    std::size_t listed_ = 0;                     ///< of those, planned for
    std::optional<index::SealedCursor> cursor_;  ///< of one name in one sealed index
    std::uint64_t cursor_end_ = 0;               ///< its last ordinal that is wanted

    Batch batches_[2];
    std::size_t current_ = 0;  ///< of these, the one that was handed out last
};

}  // namespace store
}  // namespace v0
}  // namespace varve
