// The operating system as Linux before 6.8 is: no file says in which mount it was found.
//
// Any thread; everything else is passed on.
#pragma once

#include "support/patient_env.hpp"

namespace varve::test {

class MountlessFile final : public os::File {
public:
    explicit MountlessFile(std::unique_ptr<os::File> file) noexcept : file_(std::move(file)) {}
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
    Result<os::FileIdentity> identity() noexcept override {
        auto identity = file_->identity();
        if (identity) identity->mount = 0;
        return identity;
    }
    Result<std::unique_ptr<os::Watch>> watch() noexcept override { return file_->watch(); }

private:
    std::unique_ptr<os::File> file_;
};

class MountlessEnv final : public PatientEnv {
public:
    Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode,
                                           std::uint32_t permissions) noexcept override {
        auto file = PatientEnv::open(path, mode, permissions);
        if (!file) return file;
        return std::unique_ptr<os::File>(std::make_unique<MountlessFile>(std::move(*file)));
    }
    Result<os::FileIdentity> identity_of(const std::string& path) noexcept override {
        auto identity = PatientEnv::identity_of(path);
        if (identity) identity->mount = 0;
        return identity;
    }
};

}  // namespace varve::test
