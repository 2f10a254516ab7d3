// The public append-only file: bytes without a meaning, in the mapped layout.
#include <utility>

#include "nes/append_file.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

struct AppendOnlyFile::State {
    std::unique_ptr<AppendFile> file;
};

AppendOnlyFile::AppendOnlyFile(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
AppendOnlyFile::AppendOnlyFile(AppendOnlyFile&&) noexcept = default;
AppendOnlyFile& AppendOnlyFile::operator=(AppendOnlyFile&&) noexcept = default;
AppendOnlyFile::~AppendOnlyFile() = default;

Result<AppendOnlyFile> AppendOnlyFile::open(const std::string& path,
                                            const FileOptions& options) noexcept {
    FileOptions mapped = options;
    mapped.layout = Layout::mapped;
    auto file = AppendFile::open(path, mapped, nullptr);
    if (!file) return std::move(file).error();
    return AppendOnlyFile(std::make_unique<State>(State{std::move(*file)}));
}

Result<std::uint64_t> AppendOnlyFile::write(std::string_view bytes) noexcept {
    const std::uint64_t position = state_->file->size();
    auto at = state_->file->extend(bytes.size());
    if (!at) return std::move(at).error();
    if (!bytes.empty()) std::memcpy(*at, bytes.data(), bytes.size());
    return position;
}

Result<std::span<std::byte>> AppendOnlyFile::reserve(std::size_t size) noexcept {
    auto at = state_->file->extend(size);
    if (!at) return std::move(at).error();
    return std::span<std::byte>(*at, size);
}

Result<bool> AppendOnlyFile::flush() noexcept { return state_->file->flush(); }
Result<bool> AppendOnlyFile::truncate(std::uint64_t size) noexcept {
    return state_->file->truncate(size);
}
Result<void> AppendOnlyFile::close() noexcept { return state_->file->close(); }
Result<Change> AppendOnlyFile::refresh() noexcept { return state_->file->refresh(); }
Result<Change> AppendOnlyFile::wait(std::uint64_t timeout_us) noexcept {
    return state_->file->wait(timeout_us);
}
std::uint64_t AppendOnlyFile::size() const noexcept { return state_->file->size(); }
std::uint64_t AppendOnlyFile::physical_size() const noexcept {
    return state_->file->physical_size();
}
std::span<const std::byte> AppendOnlyFile::content() const noexcept {
    return state_->file->content();
}
bool AppendOnlyFile::was_recovered() const noexcept { return state_->file->was_recovered(); }

}  // namespace nes
}  // namespace v0
}  // namespace varve
