// Which files of a directory belong to a storage.
//
// Any thread. Invariants: a file belongs to storage S only if its path relative to the directory is
// S or begins with "S."; symbolic links are not followed; directories are never taken for files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "os/env.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

struct FoundIndex {
    std::string name;  ///< without the storage's, `.closed` and `.index`
    std::string path;
    bool closed = false;
};

/// Partitions below `directory`, as paths relative to it, sorted.
[[nodiscard]] Result<std::vector<std::string>> find_partitions(os::Env& env,
                                                               const std::string& directory,
                                                               const std::string& storage) noexcept;
/// Secondary indexes below `directory`, sorted by name. The primary one is none of them.
[[nodiscard]] Result<std::vector<FoundIndex>> find_indexes(os::Env& env,
                                                           const std::string& directory,
                                                           const std::string& storage) noexcept;
/// Files below `<directory>/consumers` that begin with "S.", without that, sorted. None if there is
/// no such directory.
[[nodiscard]] Result<std::vector<std::string>> find_consumers(os::Env& env,
                                                              const std::string& directory,
                                                              const std::string& storage) noexcept;

/// Makes `directory` and those in which it lies, as far as they are missing; with `durable` their
/// names survive a power cut.
[[nodiscard]] Result<void> make_directories(os::Env& env, const std::string& directory,
                                            bool durable) noexcept;
/// The whole content of a small file. `too_large` above 64 MiB.
[[nodiscard]] Result<std::string> read_file(os::Env& env, const std::string& path) noexcept;

/// The directory in which `path` lies.
[[nodiscard]] std::string directory_of(const std::string& path);

}  // namespace nes
}  // namespace v0
}  // namespace varve
