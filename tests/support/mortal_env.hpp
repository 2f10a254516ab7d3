// One process of a simulated machine, which can die alone: from that moment on nothing it does
// reaches the files, and what its objects give up when they are destroyed are its locks.
//
// One thread. What is stored through mappings is not held back: the words that processes share
// prove nothing.
#pragma once

#include "base/assert.hpp"
#include "support/passing_env.hpp"

namespace varve::test {

class MortalEnv final : public PassingEnv {
public:
    explicit MortalEnv(os::Env& below) noexcept : PassingEnv(below) {}
    void die() noexcept { dead_ = true; }
    [[nodiscard]] bool is_dead() const noexcept { return dead_; }
    [[nodiscard]] Result<void> alive() const noexcept {
        if (dead_) return Error{ErrorCode::io, "the process is dead"};
        return {};
    }

    Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode,
                                           std::uint32_t permissions) noexcept override;
    Result<void> make_directory(const std::string& path,
                                std::uint32_t permissions) noexcept override {
        VARVE_TRY(alive());
        return PassingEnv::make_directory(path, permissions);
    }
    Result<void> rename(const std::string& from, const std::string& to) noexcept override {
        VARVE_TRY(alive());
        return PassingEnv::rename(from, to);
    }
    Result<void> remove(const std::string& path) noexcept override {
        VARVE_TRY(alive());
        return PassingEnv::remove(path);
    }
    Result<void> link(const std::string& from, const std::string& to) noexcept override {
        VARVE_TRY(alive());
        return PassingEnv::link(from, to);
    }
    Result<void> sync_directory(const std::string& path) noexcept override {
        VARVE_TRY(alive());
        return PassingEnv::sync_directory(path);
    }

private:
    bool dead_ = false;
};

class MortalFile final : public PassingFile {
public:
    MortalFile(const MortalEnv& env, std::unique_ptr<os::File> file) noexcept
        : PassingFile(std::move(file)), env_(env) {}
    Result<void> write_at(std::uint64_t offset, base::Bytes bytes) noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::write_at(offset, bytes);
    }
    Result<void> allocate(std::uint64_t size) noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::allocate(size);
    }
    Result<void> sync_range(const os::Mapping& mapping, std::uint64_t offset,
                            std::uint64_t length) noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::sync_range(mapping, offset, length);
    }
    Result<void> sync() noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::sync();
    }
    Result<bool> try_lock() noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::try_lock();
    }
    Result<bool> try_lock_byte(std::uint64_t offset) noexcept override {
        VARVE_TRY(env_.alive());
        return PassingFile::try_lock_byte(offset);
    }

private:
    const MortalEnv& env_;
};

inline Result<std::unique_ptr<os::File>> MortalEnv::open(const std::string& path, os::OpenMode mode,
                                                         std::uint32_t permissions) noexcept {
    VARVE_TRY(alive());
    auto file = PassingEnv::open(path, mode, permissions);
    if (!file) return file;
    return std::unique_ptr<os::File>(std::make_unique<MortalFile>(*this, std::move(*file)));
}

}  // namespace varve::test
