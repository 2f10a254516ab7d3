// An Env and a File that pass everything on: what tests alter in a few places.
//
// Thread rule: that of what is below.
#pragma once

#include "os/env.hpp"

namespace varve::test {

class PassingFile : public os::File {
public:
    explicit PassingFile(std::unique_ptr<os::File> file) noexcept : file_(std::move(file)) {}
    Result<std::size_t> read_at(std::uint64_t offset, base::MutableBytes into) noexcept override {
        return file_->read_at(offset, into);
    }
    Result<void> write_at(std::uint64_t offset, base::Bytes bytes) noexcept override {
        return file_->write_at(offset, bytes);
    }
    Result<void> allocate(std::uint64_t size) noexcept override { return file_->allocate(size); }
    Result<void> reserve(std::uint64_t size) noexcept override { return file_->reserve(size); }
    Result<void> shorten(std::uint64_t size) noexcept override { return file_->shorten(size); }
    Result<void> touch() noexcept override { return file_->touch(); }
    Result<std::uint64_t> size() noexcept override { return file_->size(); }
    Result<std::uint64_t> disk_size() noexcept override { return file_->disk_size(); }
    Result<std::uint64_t> zeros_from() noexcept override { return file_->zeros_from(); }
    Result<os::Mapping> map(std::size_t size, os::MapAccess access) noexcept override {
        return file_->map(size, access);
    }
    Result<os::Mapping> map_ahead(std::size_t size, os::MapAccess access) noexcept override {
        return file_->map_ahead(size, access);
    }
    Result<void> sync_range(const os::Mapping& mapping, std::uint64_t offset,
                            std::uint64_t length) noexcept override {
        return file_->sync_range(mapping, offset, length);
    }
    Result<void> sync() noexcept override { return file_->sync(); }
    Result<void> punch(std::uint64_t offset, std::uint64_t length) noexcept override {
        return file_->punch(offset, length);
    }
    Result<bool> try_lock() noexcept override { return file_->try_lock(); }
    void unlock() noexcept override { file_->unlock(); }
    Result<bool> is_locked() noexcept override { return file_->is_locked(); }
    Result<bool> try_lock_byte(std::uint64_t offset) noexcept override {
        return file_->try_lock_byte(offset);
    }
    Result<bool> is_byte_locked(std::uint64_t offset) noexcept override {
        return file_->is_byte_locked(offset);
    }
    Result<std::unique_ptr<os::Watch>> watch() noexcept override { return file_->watch(); }
    Result<os::FileIdentity> identity() noexcept override { return file_->identity(); }

private:
    std::unique_ptr<os::File> file_;
};

class PassingEnv : public os::Env {
public:
    explicit PassingEnv(os::Env& below) noexcept : below_(below) {}
    Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode,
                                           std::uint32_t permissions) noexcept override {
        return below_.open(path, mode, permissions);
    }
    Result<void> make_directory(const std::string& path,
                                std::uint32_t permissions) noexcept override {
        return below_.make_directory(path, permissions);
    }
    Result<bool> make_new_directory(const std::string& path,
                                    std::uint32_t permissions) noexcept override {
        return below_.make_new_directory(path, permissions);
    }
    Result<std::vector<std::string>> list(const std::string& path) noexcept override {
        return below_.list(path);
    }
    Result<bool> exists(const std::string& path) noexcept override { return below_.exists(path); }
    Result<os::NameKind> name_kind(const std::string& path) noexcept override {
        return below_.name_kind(path);
    }
    Result<void> rename(const std::string& from, const std::string& to) noexcept override {
        return below_.rename(from, to);
    }
    Result<void> remove(const std::string& path) noexcept override { return below_.remove(path); }
    Result<void> remove_directory(const std::string& path) noexcept override {
        return below_.remove_directory(path);
    }
    Result<void> link(const std::string& from, const std::string& to) noexcept override {
        return below_.link(from, to);
    }
    Result<void> sync_directory(const std::string& path) noexcept override {
        return below_.sync_directory(path);
    }
    Result<os::FileIdentity> identity_of(const std::string& path) noexcept override {
        return below_.identity_of(path);
    }
    Result<os::FileSystemKind> file_system(const std::string& path) noexcept override {
        return below_.file_system(path);
    }
    void populate(const os::Mapping& mapping, std::uint64_t offset,
                  std::uint64_t length) noexcept override {
        below_.populate(mapping, offset, length);
    }
    void expect(const os::Mapping& mapping, Pattern pattern) noexcept override {
        below_.expect(mapping, pattern);
    }
    void let_go(const os::Mapping& mapping, std::uint64_t offset,
                std::uint64_t length) noexcept override {
        below_.let_go(mapping, offset, length);
    }
    bool wait_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                 std::uint64_t timeout_us) noexcept override {
        return below_.wait_on(word, expected, timeout_us);
    }
    bool wait_on_any(std::span<const os::Watched> words,
                     std::uint64_t timeout_us) noexcept override {
        return below_.wait_on_any(words, timeout_us);
    }
    void wake_all(const std::atomic<std::uint32_t>& word) noexcept override {
        below_.wake_all(word);
    }
    std::int64_t now_us() noexcept override { return below_.now_us(); }
    std::uint64_t monotonic_us() noexcept override { return below_.monotonic_us(); }
    void random(base::MutableBytes into) noexcept override { below_.random(into); }
    void boot_id(std::span<std::byte, 16> into) noexcept override { below_.boot_id(into); }
    std::string self() noexcept override { return below_.self(); }
    [[nodiscard]] bool has_threads() const noexcept override { return below_.has_threads(); }
    void begin_background_thread() noexcept override { below_.begin_background_thread(); }
    [[nodiscard]] os::StoreObserver* observer() noexcept override { return below_.observer(); }

private:
    os::Env& below_;
};

}  // namespace varve::test
