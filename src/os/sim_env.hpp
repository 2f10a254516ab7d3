// An Env that lives in memory, obeys one seed, and can lose its power at any store or call.
//
// One thread. `has_threads()` is false, so a store does its background work inline and a seed
// decides everything. The hook runs before and after everything that changes the world, also in the
// middle of a noted range; from inside it images can be taken without stopping the workload.
// Invariant: equal seeds and equal calls give equal bytes.
#pragma once

#include <functional>

#include "os/env.hpp"
#include "os/sim_disk.hpp"

namespace varve {
inline namespace v0 {
namespace os {

class SimEnv final : public Env, public StoreObserver {
public:
    explicit SimEnv(std::uint64_t seed);
    ~SimEnv() override;

    // ---- what only a simulation can do
    void on_step(std::function<void()> hook) { hook_ = std::move(hook); }
    /// Runs where a thread holds no lock between two steps of an append, so that the hook may
    /// append too: what a scheduler does by chance, done on purpose.
    void on_gap(std::function<void()> hook) { gap_hook_ = std::move(hook); }
    /// Runs while somebody waits: `false` before the word is compared, `true` when the waiter
    /// sleeps. Only a bumped word (in the first case) or `wake_all` as well (in the second) ends
    /// the wait early.
    void on_wait(std::function<void(bool asleep)> hook) { wait_hook_ = std::move(hook); }
    /// The `n`-th changing call from now (1: the next) fails with `code`; with `for_ever` all later
    /// ones too.
    void fail_call(std::uint64_t n, ErrorCode code, bool for_ever) noexcept;
    /// Which calls count for `fail_call` from now on.
    enum class FailFor : std::uint8_t { all, syncs, others };
    void fail_only(FailFor which) noexcept { fail_for_ = which; }
    void fail_syncs_only(bool only) noexcept { fail_for_ = only ? FailFor::syncs : FailFor::all; }
    /// As a kernel before 6.8, which cannot tell one mount from the next.
    void set_clock(std::uint64_t us) noexcept { clock_us_ = us; }
    void forget_mount() noexcept { mount_ = 0; }
    void stop_failing() noexcept { fail_at_ = 0; }
    /// Bytes that all files together may have.
    void limit_space(std::uint64_t bytes) noexcept { space_ = bytes; }
    [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }
    /// How many calls failed because it was asked for.
    [[nodiscard]] std::uint64_t failed_calls() const noexcept { return failed_calls_; }
    [[nodiscard]] std::uint64_t dirty_pages() const noexcept;

    /// The world after the power was cut now. Everything open here stays as it is.
    [[nodiscard]] std::unique_ptr<SimEnv> power_cut(std::uint64_t seed, const SimCut& cut) const;
    /// The world after every process was killed now: nothing is lost but the locks.
    [[nodiscard]] std::unique_ptr<SimEnv> kill(std::uint64_t seed) const;

    // ---- Env
    Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode,
                                       std::uint32_t permissions) noexcept override;
    Result<void> make_directory(const std::string& path,
                                std::uint32_t permissions) noexcept override;
    Result<bool> make_new_directory(const std::string& path,
                                    std::uint32_t permissions) noexcept override;
    Result<std::vector<std::string>> list(const std::string& path) noexcept override;
    Result<bool> exists(const std::string& path) noexcept override;
    Result<NameKind> name_kind(const std::string& path) noexcept override;
    Result<void> rename(const std::string& from, const std::string& to) noexcept override;
    Result<void> remove(const std::string& path) noexcept override;
    Result<void> remove_directory(const std::string& path) noexcept override;
    Result<void> link(const std::string& from, const std::string& to) noexcept override;
    Result<void> sync_directory(const std::string& path) noexcept override;
    Result<FileIdentity> identity_of(const std::string& path) noexcept override;
    Result<FileSystemKind> file_system(const std::string& path) noexcept override;
    void populate(const Mapping& mapping, std::uint64_t offset,
                  std::uint64_t length) noexcept override;
    void expect(const Mapping&, Pattern) noexcept override {}
    void let_go(const Mapping&, std::uint64_t, std::uint64_t) noexcept override {}
    bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::uint64_t timeout_us) noexcept override;
    bool wait_on_any(std::span<const Watched> words, std::uint64_t timeout_us) noexcept override;
    void wake_all(const std::atomic<std::uint32_t>& word) noexcept override;
    std::int64_t now_us() noexcept override;
    std::uint64_t monotonic_us() noexcept override;
    void random(MutableBytes into) noexcept override;
    void boot_id(std::span<std::byte, 16> into) noexcept override;
    std::string self() noexcept override { return "a simulated process"; }
    [[nodiscard]] bool has_threads() const noexcept override { return false; }
    [[nodiscard]] StoreObserver* observer() noexcept override { return this; }
    void note(const std::byte* at, std::size_t length) noexcept override;
    void gap() noexcept override;

private:
    friend class SimFile;
    friend class SimWatch;
    using InodePtr = std::shared_ptr<SimInode>;  // null: a directory

    /// A change of names that the directory's sync has not confirmed.
    struct NameChange {
        std::string removed;  ///< path, or empty
        std::string added;    ///< path, or empty
        InodePtr inode;
        bool is_directory = false;
    };
    struct Entry {
        InodePtr inode;
        bool is_directory = false;
    };
    using Names = std::map<std::string, Entry>;

    static void apply(Names& names, const NameChange& change);
    [[nodiscard]] bool directory_exists(const std::string& path) const;
    [[nodiscard]] std::uint64_t used_space() const noexcept;
    /// Counts a changing call and runs the hook. Returns the error it must fail with, if any.
    [[nodiscard]] Result<void> step(const std::string& path, bool sync = false) noexcept;
    void after_step() noexcept {
        if (hook_) hook_();
    }
    /// Waits until the file was changed more often than `seen`, which then says how often.
    [[nodiscard]] bool wait_for_change(const SimInode& inode, std::uint64_t& seen,
                                       std::uint64_t timeout_us) noexcept;

    SimRandom random_;
    Names names_;
    Names durable_names_;
    std::vector<NameChange> changes_;
    std::vector<std::shared_ptr<SimInode>> orphans_;  ///< removed while mapped
    std::uint64_t next_inode_ = 1;
    std::uint64_t clock_us_ = 1'700'000'000'000'000;
    std::uint64_t boot_ = 1;
    std::uint64_t mount_ = 1;
    std::uint64_t space_ = ~0ULL;
    std::uint64_t calls_ = 0;
    std::uint64_t fail_at_ = 0;
    ErrorCode fail_with_ = ErrorCode::io;
    bool fail_for_ever_ = false;
    FailFor fail_for_ = FailFor::all;
    std::uint64_t failed_calls_ = 0;
    std::uint64_t wakes_ = 0;  ///< how often somebody was woken
    std::function<void()> hook_;
    std::function<void()> gap_hook_;
    std::function<void(bool)> wait_hook_;
};

}  // namespace os
}  // namespace v0
}  // namespace varve
