// A reader in any process: follows the writer's control page, or stands alone on what it found.
//
// Any thread. It writes nothing, anywhere. Invariant: what it has shown stays shown; if that is
// impossible because a later writer had to give events up, every call says `durability_lost`.
#pragma once

#include <mutex>

#include "file/control.hpp"
#include "store/recover.hpp"
#include "store/sealed.hpp"
#include "store/view.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class ReaderSide {
public:
    explicit ReaderSide(std::shared_ptr<const Meta> meta) noexcept : meta_(std::move(meta)) {}

    /// Attaches to the control page if it can be believed, else recovers privately.
    [[nodiscard]] Result<void> open(Opening& opening) noexcept;
    [[nodiscard]] Result<View> view() noexcept;
    /// The page to wait on, or null when standing alone. Kept alive by the pointer.
    [[nodiscard]] std::shared_ptr<os::Mapping> control() const noexcept;
    /// Looks whether a writer has come, gone, or replaced the page. Called when waiting timed out.
    [[nodiscard]] Result<void> look_again() noexcept;

private:
    [[nodiscard]] bool is_replaced() noexcept;
    [[nodiscard]] Result<bool> attach() noexcept;
    [[nodiscard]] Result<void> add_segments(SegmentList& list, std::uint64_t published) noexcept;
    [[nodiscard]] bool indexes_changed() noexcept;
    [[nodiscard]] Result<void> relist(std::uint64_t published, bool added) noexcept;
    void give_sealed(SegmentList& list, std::uint64_t published) noexcept;
    [[nodiscard]] Result<void> reopen_newest(std::uint64_t published) noexcept;
    [[nodiscard]] Result<void> stand_alone() noexcept;
    [[nodiscard]] Result<void> renew() noexcept;
    [[nodiscard]] Result<void> extend(std::uint64_t published) noexcept;
    [[nodiscard]] Result<void> fill(Segment& segment, const log::LogPoint& from,
                                    std::uint64_t last) noexcept;
    [[nodiscard]] Result<void> give_index(Segment& segment, std::uint64_t last,
                                          bool grows) noexcept;
    [[nodiscard]] Result<void> index_later(Segment& segment, std::uint64_t last) noexcept;
    [[nodiscard]] Result<void> catch_up(SegmentList& list, std::uint64_t published) noexcept;
    [[nodiscard]] bool is_named(std::uint64_t number) const noexcept;
    [[nodiscard]] Result<void> extend_private(Segment& segment, std::uint64_t last) noexcept;

    std::shared_ptr<const Meta> meta_;
    mutable std::mutex mutex_;
    std::shared_ptr<os::Mapping> control_;
    SegmentListPtr list_ = std::make_shared<SegmentList>();
    std::uint64_t published_ = 0;  ///< when standing alone; else the highest that was shown
    std::uint64_t durable_ = 0;
    std::uint32_t epoch_ = 0;
    OpenedSealed opened_;
    std::vector<file::SealedRange> named_;  ///< sealed indexes, when they were looked up
    std::uint32_t generation_ = 0;          ///< of the page when the indexes were looked up
    bool lost_ = false;
    bool superseded_ = false;  ///< the page we have is not the one of that name any more
};

}  // namespace store
}  // namespace v0
}  // namespace varve
