// Going over documents in order, finding them by sequence number, and cutting off the newest.
#include <utility>

#include "base/error.hpp"
#include "nes/partition_state.hpp"
#include "nes/storage_files.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::size_t kCopyPiece = 1 << 20;
constexpr int kMostNames = 1000;  // milliseconds to try for a name that is free

/// Makes a file beside `path` whose name says what was cut off where.
Result<std::unique_ptr<os::File>> new_branch(os::Env& env, const std::string& path,
                                             std::uint64_t position, std::string& name) {
    auto ms = static_cast<std::uint64_t>(env.now_us()) / 1000;
    for (int n = 0; n < kMostNames; ++n, ++ms) {
        name =
            path + "-truncated-" + std::to_string(ms) + "-" + std::to_string(position) + ".branch";
        auto free = env.name_kind(name);
        if (!free) return std::move(free).error();
        if (*free == os::NameKind::none) return env.open(name, os::OpenMode::create, 0644);
    }
    return failure(ErrorCode::io, "no name is free for what is cut off", path);
}

Result<void> copy_to(os::File& file, std::string_view header, base::Bytes body) {
    VARVE_TRY(file.write_at(0, base::as_bytes(header)));
    for (std::size_t at = 0; at < body.size(); at += kCopyPiece) {
        const std::size_t length = std::min(kCopyPiece, body.size() - at);
        VARVE_TRY(file.write_at(header.size() + at, body.subspan(at, length)));
    }
    return file.sync();
}

}  // namespace

bool Partition::Cursor::next(Document& into) noexcept {
    if (error_ != nullptr) return false;
    Flaw flaw = nullptr;
    if (forwards_) {
        if (at_ >= documents_.size()) return false;
        flaw = read_document(documents_, at_, into);
        if (flaw == nullptr) {
            at_ += document_bytes(into.data.size());
            return true;
        }
    } else {
        if (at_ == 0) return false;
        flaw = read_document_before(documents_, at_, into);
        if (flaw == nullptr) {
            at_ = into.position;
            return true;
        }
    }
    error_ = std::make_shared<const Error>(
        failure(ErrorCode::corrupt, std::string(flaw) + " (position " + std::to_string(at_) + ")",
                *path_, header_ + at_));
    return false;
}

Result<void> Partition::Cursor::status() const noexcept {
    if (error_ == nullptr) return {};
    return Error(*error_);
}

Result<Partition::Cursor> Partition::forwards(std::uint64_t position) noexcept {
    VARVE_TRY(state_->flush_buffered());
    if (position % kDocumentAlignment != 0 || position > state_->end)
        return failure(ErrorCode::invalid_argument,
                       "no document begins at position " + std::to_string(position), *state_->path,
                       state_->header + position);
    Cursor cursor;
    cursor.documents_ = state_->flushed();
    cursor.at_ = position;
    cursor.header_ = state_->header;
    cursor.path_ = state_->path;
    return cursor;
}

Result<Partition::Cursor> Partition::backwards(std::optional<std::uint64_t> position) noexcept {
    auto cursor = forwards(position.value_or(state_->end));
    if (!cursor) return cursor;
    cursor->forwards_ = false;
    return cursor;
}

Result<std::optional<Document>> Partition::last() noexcept {
    auto cursor = backwards();
    if (!cursor) return std::move(cursor).error();
    Document document;
    if (cursor->next(document)) return std::optional<Document>(document);
    VARVE_TRY(cursor->status());
    return std::optional<Document>();
}

Result<std::optional<Document>> Partition::find(std::uint32_t sequence, Find which) noexcept {
    VARVE_TRY(state_->flush_buffered());
    const base::Bytes documents = state_->flushed();
    std::uint64_t at = 0;
    const std::uint64_t wanted = which == Find::at_least ? sequence : std::uint64_t{sequence} + 1;
    if (Flaw flaw = find_document(documents, wanted, at); flaw != nullptr)
        return state_->flawed(flaw, at);
    Document document;
    if (which == Find::at_least) {
        if (at == documents.size()) return std::optional<Document>();
        if (Flaw flaw = read_document(documents, at, document); flaw != nullptr)
            return state_->flawed(flaw, at);
    } else {
        if (at == 0) return std::optional<Document>();
        if (Flaw flaw = read_document_before(documents, at, document); flaw != nullptr)
            return state_->flawed(flaw, at);
    }
    return std::optional<Document>(document);
}

Result<std::string> Partition::truncate(std::uint64_t position) noexcept {
    State& state = *state_;
    VARVE_TRY(state.flush_buffered());
    const base::Bytes all = state.whole();
    if (position == all.size()) return std::string();
    if (position > state.end || !is_boundary(all, position))
        return failure(ErrorCode::invalid_argument,
                       "position " + std::to_string(position) +
                           " is not where a document begins; cut between documents",
                       *state.path, state.header + position);
    const std::string epoch = R"({"epoch":)" + std::to_string(state.epoch_ms) + '}';
    auto header = encode_header(FileKind::partition, epoch, *state.path);
    if (!header) return std::move(header).error();
    os::Env& env = state.file->env();
    std::string name;
    auto branch = new_branch(env, *state.path, position, name);
    if (!branch) return std::move(branch).error();
    VARVE_TRY(copy_to(**branch, *header, all.subspan(position)));
    VARVE_TRY(env.sync_directory(directory_of(*state.path)));
    auto cut = state.file->truncate(state.header + position);
    if (!cut) return std::move(cut).error();
    state.end = position;
    state.torn.reset();
    return name;
}

Result<std::string> Partition::truncate_after(std::uint32_t sequence) noexcept {
    VARVE_TRY(state_->flush_buffered());
    std::uint64_t at = 0;
    const base::Bytes documents = state_->flushed();
    if (Flaw flaw = find_document(documents, std::uint64_t{sequence} + 1, at); flaw != nullptr)
        return state_->flawed(flaw, at);
    if (at == documents.size()) return std::string();
    return truncate(at);
}

Result<std::string> Partition::drop_torn() noexcept {
    if (!state_->torn) return std::string();
    return truncate(state_->end);
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
