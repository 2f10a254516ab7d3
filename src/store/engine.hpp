// An open store: its writer or its reader side, and what opening found. `open.cpp` tells how it
// comes to be.
//
// Any thread. Invariant: exactly one of writer and reader exists; after fork() a child's engine
// answers `closed`.
#pragma once

#include <atomic>

#include "store/reader_side.hpp"
#include "store/watcher.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

class Engine {
public:
    Engine(std::shared_ptr<const Meta> meta, Opening opening) noexcept;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    [[nodiscard]] static Result<std::shared_ptr<Engine>> open(const std::string& path,
                                                              const OpenOptions& options) noexcept;

    [[nodiscard]] const Meta& meta() const noexcept { return *meta_; }
    [[nodiscard]] const std::shared_ptr<const Meta>& shared_meta() const noexcept { return meta_; }
    [[nodiscard]] const Opening& opening() const noexcept { return opening_; }
    [[nodiscard]] Writer* writer() noexcept { return writer_.get(); }
    /// What the control page says of its writer; `none` for a reader that stands alone.
    [[nodiscard]] file::WriterState page_state() const noexcept;

    /// `closed` after close() or in a forked child.
    [[nodiscard]] Result<void> open_here() const noexcept;
    [[nodiscard]] Result<View> view() noexcept;
    /// `poisoned` after a failed sync, in every process: nothing more becomes durable.
    [[nodiscard]] Result<void> syncs_go_on() const noexcept;
    [[nodiscard]] Result<void> close() noexcept;

    /// Sleeps until something has been published, made durable, or closed since `word` was read, at
    /// most `timeout_us`; or until one of the others, of which there are few, has changed.
    [[nodiscard]] Result<void> wait_for_change(std::uint32_t word, std::uint64_t timeout_us,
                                               std::span<const os::Watched> others = {}) noexcept;
    /// The same for a subscription that has found nothing up to `looked`, and needs to be woken for
    /// events with one of the keys only. Where many wait, one thread does for all of them.
    [[nodiscard]] Result<void> wait_for_events(std::uint32_t word, std::uint64_t timeout_us,
                                               const Looked& looked,
                                               std::span<const index::Key> keys) noexcept;
    /// To be read before looking: the word that changes with every change.
    [[nodiscard]] std::uint32_t change_word() noexcept;

private:
    friend class WriterOpening;
    std::shared_ptr<const Meta> meta_;
    Opening opening_;
    const std::uint32_t generation_ = os::fork_generation();
    std::unique_ptr<Writer> writer_;
    std::unique_ptr<ReaderSide> reader_;
    std::atomic<bool> closed_{false};
    std::atomic<std::uint32_t> damage_seen_{0};
    std::atomic<std::uint32_t> waiting_{0};  ///< in `wait_for_events`
    std::unique_ptr<Watcher> watcher_;       ///< goes first: its thread uses everything else
};

/// Looks at the store at `path` and loads its file, for those who only read.
[[nodiscard]] Result<std::shared_ptr<const Meta>> meta_for_reading(const std::string& path,
                                                                   const OpenOptions& options);

/// Makes a store in `meta.path`, or finishes a half-made one. The caller holds the lock;
/// `directory_made`: it was not there.
[[nodiscard]] Result<file::StoreFile> create_store(const Meta& meta, bool durable) noexcept;

/// What stands at a path.
enum class Ground : std::uint8_t { missing, empty, half_made, store, foreign };
[[nodiscard]] Result<Ground> look_at_ground(os::Env& env, const std::string& path) noexcept;

/// True for names that we give in a store's directory.
[[nodiscard]] bool is_our_name(const std::string& name) noexcept;

/// Success if all that stands in the directory can be what an interrupted making of a store has
/// left, so that it may be made again. Else `not_a_store`, or `corrupt` for a store whose file is
/// lost.
[[nodiscard]] Result<void> check_remains(const Meta& meta) noexcept;

/// Takes the writer's lock of the store in `meta.path`. `locked` says who has it.
[[nodiscard]] Result<std::unique_ptr<os::ForkGuard>> take_lock(const Meta& meta) noexcept;

/// Opens for writing: finds the end, fences what is behind it, readies the pages. The lock is held.
[[nodiscard]] Result<WriterStart> open_for_writing(const Meta& meta,
                                                   std::unique_ptr<os::ForkGuard> lock,
                                                   Opening& opening) noexcept;

}  // namespace store
}  // namespace v0
}  // namespace varve
