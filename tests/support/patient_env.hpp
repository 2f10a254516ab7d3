// The operating system, but whoever waits does so a hundred times as long before looking again: a
// wake-up that is lost shows as a hang and not as a delay, so that a busy machine raises no alarm.
//
// Any thread; everything else is passed on.
#pragma once

#include "os/env.hpp"

namespace varve::test {

class PatientEnv : public os::Env {
public:
    Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode,
                                           std::uint32_t permissions) noexcept override {
        return system_.open(path, mode, permissions);
    }
    Result<void> make_directory(const std::string& path,
                                std::uint32_t permissions) noexcept override {
        return system_.make_directory(path, permissions);
    }
    Result<bool> make_new_directory(const std::string& path,
                                    std::uint32_t permissions) noexcept override {
        return system_.make_new_directory(path, permissions);
    }
    Result<std::vector<std::string>> list(const std::string& path) noexcept override {
        return system_.list(path);
    }
    Result<bool> exists(const std::string& path) noexcept override { return system_.exists(path); }
    Result<os::NameKind> name_kind(const std::string& path) noexcept override {
        return system_.name_kind(path);
    }
    Result<void> rename(const std::string& from, const std::string& to) noexcept override {
        return system_.rename(from, to);
    }
    Result<void> remove(const std::string& path) noexcept override { return system_.remove(path); }
    Result<void> remove_directory(const std::string& path) noexcept override {
        return system_.remove_directory(path);
    }
    Result<void> link(const std::string& from, const std::string& to) noexcept override {
        return system_.link(from, to);
    }
    Result<void> sync_directory(const std::string& path) noexcept override {
        return system_.sync_directory(path);
    }
    Result<os::FileIdentity> identity_of(const std::string& path) noexcept override {
        return system_.identity_of(path);
    }
    Result<os::FileSystemKind> file_system(const std::string& path) noexcept override {
        return system_.file_system(path);
    }
    void populate(const os::Mapping& mapping, std::uint64_t offset,
                  std::uint64_t length) noexcept override {
        system_.populate(mapping, offset, length);
    }
    void expect(const os::Mapping& mapping, Pattern pattern) noexcept override {
        system_.expect(mapping, pattern);
    }
    void let_go(const os::Mapping& mapping, std::uint64_t offset,
                std::uint64_t length) noexcept override {
        system_.let_go(mapping, offset, length);
    }
    bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::uint64_t timeout_us) noexcept override {
        // Shorter ones are naps between two rounds of work and not a fallback.
        constexpr std::uint64_t kFallbackUs = 500'000;
        constexpr std::uint64_t kPatience = 100;
        return system_.wait_on(word, expected,
                               timeout_us < kFallbackUs ? timeout_us : timeout_us * kPatience);
    }
    void wake_all(const std::atomic<std::uint32_t>& word) noexcept override {
        system_.wake_all(word);
    }
    std::int64_t now_us() noexcept override { return system_.now_us(); }
    std::uint64_t monotonic_us() noexcept override { return system_.monotonic_us(); }
    void random(base::MutableBytes into) noexcept override { system_.random(into); }
    void boot_id(std::span<std::byte, 16> into) noexcept override { system_.boot_id(into); }
    std::string self() noexcept override { return system_.self(); }
    [[nodiscard]] bool has_threads() const noexcept override { return system_.has_threads(); }
    void begin_background_thread() noexcept override { system_.begin_background_thread(); }

private:
    os::Env& system_ = os::posix_env();
};

}  // namespace varve::test
