// The operating system as Linux before 6.8 is: no file says in which mount it was found.
//
// Any thread; everything else is passed on.
#pragma once

#include "support/patient_env.hpp"

namespace varve::test {

class MountlessFile final : public PassingFile {
public:
    using PassingFile::PassingFile;
    Result<os::FileIdentity> identity() noexcept override {
        auto identity = PassingFile::identity();
        if (identity) identity->mount = 0;
        return identity;
    }
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
