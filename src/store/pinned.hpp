// What a Snapshot shares among its copies: the view, and an error that nobody has looked at.
//
// Any thread. Invariant: the view never changes; mappings live as long as this.
#pragma once

#include <mutex>
#include <optional>

#include "store/names.hpp"
#include "store/view.hpp"
#include "varve/store.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Pinned {
public:
    Pinned(std::shared_ptr<const Meta> meta, View view) noexcept
        : meta_(std::move(meta)),
          view_(std::move(view)),
          may_be_erased_(meta_->erasures->any(*meta_, view_.erasures)) {}

    [[nodiscard]] const Meta& meta() const noexcept { return *meta_; }
    [[nodiscard]] const View& view() const noexcept { return view_; }

    /// False if no event of the view has been erased when it was taken: then bodies of zeros are
    /// what was appended.
    [[nodiscard]] bool may_be_erased() const noexcept { return may_be_erased_; }
    [[nodiscard]] NameCache& names() noexcept { return names_; }

    /// Remembers an error whose reader went away without having been told.
    void leave(Error error) noexcept {
        const std::lock_guard lock(mutex_);
        unseen_ = std::move(error);
        has_unseen_.store(true, std::memory_order_release);
    }
    /// That error, once.
    [[nodiscard]] std::optional<Error> take_unseen() noexcept {
        if (!has_unseen_.load(std::memory_order_acquire)) return std::nullopt;
        const std::lock_guard lock(mutex_);
        has_unseen_.store(false, std::memory_order_relaxed);
        return std::exchange(unseen_, std::nullopt);
    }
    /// Decodes the record of `position`. Errors: `not_found` beyond the end, `corrupt`.
    [[nodiscard]] Result<log::RecordView> record(std::uint64_t position,
                                                 log::Check check) const noexcept;

private:
    std::shared_ptr<const Meta> meta_;
    View view_;
    bool may_be_erased_;
    NameCache names_;
    std::mutex mutex_;
    std::atomic<bool> has_unseen_{false};
    std::optional<Error> unseen_;
};

/// Decodes event `ordinal` of a segment; on failure `error` says where. A body that fails its
/// checksum because it was erased is no failure: the view says so.
[[nodiscard]] bool read_record(const Meta& meta, const Segment& segment, std::uint64_t ordinal,
                               log::Check check, log::RecordView& record,
                               std::optional<Error>& error) noexcept;

/// True if the event's content matches; what was erased does not.
[[nodiscard]] bool admits(const Matcher& matcher, const log::RecordView& record) noexcept;

/// Fills in which event an error is about.
void describe_event(const log::RecordView& record, Error& error);

/// For a record whose checksums hold or were not looked at: marks it if its body holds zeros
/// because it was erased. False, with an error, if that cannot be found out.
[[nodiscard]] bool mark_erased(const Meta& meta, log::RecordView& record,
                               std::optional<Error>& error) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
