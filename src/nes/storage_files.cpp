// Looking for the files of a storage, and making directories for them. Any thread.
#include "nes/storage_files.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr int kDepthLimit = 64;  // directories inside each other
constexpr std::uint64_t kSmallFile = 64 << 20;
constexpr std::string_view kIndexEnd = ".index";
constexpr std::string_view kClosedEnd = ".closed";

/// All files below `root` whose first part is `storage` or begins with it and a dot.
Result<void> walk(os::Env& env, const std::string& root, const std::string& below,
                  const std::string& storage, int depth, std::vector<std::string>& into) {
    auto names = env.list(below.empty() ? root : root + "/" + below);
    if (!names) return std::move(names).error();
    for (const std::string& name : *names) {
        if (depth == 0 && name != storage && !name.starts_with(storage + ".")) continue;
        if (depth == 0 && name == storage + ".lock") continue;
        const std::string path = below.empty() ? name : below + "/" + name;
        auto kind = env.name_kind(root + "/" + path);
        if (!kind) return std::move(kind).error();
        if (*kind == os::NameKind::file) into.push_back(path);
        if (*kind == os::NameKind::directory && depth < kDepthLimit)
            VARVE_TRY(walk(env, root, path, storage, depth + 1, into));
    }
    return {};
}

Result<std::vector<std::string>> files_below(os::Env& env, const std::string& root,
                                             const std::string& storage) {
    std::vector<std::string> files;
    VARVE_TRY(walk(env, root, "", storage, 0, files));
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

Result<std::vector<std::string>> find_partitions(os::Env& env, const std::string& directory,
                                                 const std::string& storage) noexcept {
    auto files = files_below(env, directory, storage);
    if (!files) return files;
    std::erase_if(*files, [](const std::string& path) {
        return path.ends_with(kIndexEnd) || path.ends_with(".branch") || path.ends_with(".lock");
    });
    return files;
}

Result<std::vector<FoundIndex>> find_indexes(os::Env& env, const std::string& directory,
                                             const std::string& storage) noexcept {
    auto files = files_below(env, directory, storage);
    if (!files) return std::move(files).error();
    std::vector<FoundIndex> indexes;
    for (const std::string& path : *files) {
        if (path.size() <= storage.size() + 1 + kIndexEnd.size() || !path.ends_with(kIndexEnd))
            continue;
        FoundIndex index;
        index.name =
            path.substr(storage.size() + 1, path.size() - storage.size() - 1 - kIndexEnd.size());
        index.path = directory + "/" + path;
        index.closed = index.name.ends_with(kClosedEnd) && index.name.size() > kClosedEnd.size();
        if (index.closed) index.name.resize(index.name.size() - kClosedEnd.size());
        indexes.push_back(std::move(index));
    }
    return indexes;
}

Result<std::vector<std::string>> find_consumers(os::Env& env, const std::string& directory,
                                                const std::string& storage) noexcept {
    const std::string root = directory + "/consumers";
    auto kind = env.name_kind(root);
    if (!kind) return std::move(kind).error();
    if (*kind != os::NameKind::directory) return std::vector<std::string>{};
    auto files = files_below(env, root, storage);
    if (!files) return files;
    std::vector<std::string> names;
    for (const std::string& path : *files)
        if (path.size() > storage.size() + 1) names.push_back(path.substr(storage.size() + 1));
    return names;
}

Result<void> make_directories(os::Env& env, const std::string& directory, bool durable) noexcept {
    auto kind = env.name_kind(directory);
    if (!kind) return std::move(kind).error();
    if (*kind != os::NameKind::none) return {};
    const std::size_t slash = directory.rfind('/');
    if (slash != std::string::npos && slash > 0)
        VARVE_TRY(make_directories(env, directory.substr(0, slash), durable));
    if (directory.ends_with('/')) return {};
    VARVE_TRY(env.make_directory(directory, 0755));
    return durable ? env.sync_directory(directory_of(directory)) : Result<void>();
}

Result<std::string> read_file(os::Env& env, const std::string& path) noexcept {
    auto file = env.open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    if (*size > kSmallFile)
        return base::failure(ErrorCode::too_large, "the file is too large", path);
    std::string bytes(*size, '\0');
    auto got = (*file)->read_at(0, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    if (!got) return std::move(got).error();
    bytes.resize(*got);
    return bytes;
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
