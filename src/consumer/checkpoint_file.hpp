// The file of one consumer: reading it, making it, and the end of whoever holds its lock.
//
// `read_file` needs no lock and may be called while another process writes. A CheckpointFile
// belongs to one thread at a time. Invariants: one slot is durable at any time and is not touched
// before the other one is; what was written last survives the death of the process; after a failed
// sync nothing more is written.
#pragma once

#include <array>
#include <optional>

#include "base/assert.hpp"
#include "consumer/format.hpp"
#include "os/env.hpp"
#include "os/fork.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

/// Where consumers live, and in which store.
struct Place {
    os::Env* env = nullptr;
    std::string parent;     ///< the store's directory
    std::string directory;  ///< in it; missing while there was never a consumer
    Uuid uuid{};
    std::uint32_t permissions = 0600;
    std::uint32_t directory_permissions = 0700;

    [[nodiscard]] std::string file_of(std::string_view name) const {
        return directory + "/" + std::string(name);
    }
};
/// What people call the one whose file this is.
[[nodiscard]] std::string title_of(const std::string& path);
/// Behind a consumer's name in the names of files that belong to it. No consumer's name has it.
inline constexpr char kBeside = '~';

/// What a file says.
struct FileContent {
    FileHeader header{};
    std::optional<Selector> selector;           ///< absent: the header is damaged
    std::array<std::optional<Saved>, 2> slots;  ///< absent: never written, or damaged
    int newest = -1;                            ///< slot; -1: none can be read
    std::optional<Error> error;                 ///< why it cannot be used

    [[nodiscard]] std::optional<Saved>& slot(int n) noexcept {
        return slots[static_cast<std::size_t>(n)];
    }
    [[nodiscard]] const Saved& saved() const noexcept {
        return *slots[static_cast<std::size_t>(newest)];
    }
};

/// Errors of the content are in the answer; `io` and the like are errors.
[[nodiscard]] Result<FileContent> read_file(os::File& file, const std::string& path,
                                            const Uuid& uuid) noexcept;

/// Makes the file of a consumer, and before it those of its lanes if it is a group: whole and
/// durable, or not at all. `invalid_argument` if there is one, unless it is to be replaced.
[[nodiscard]] Result<void> create_file(const Place& place, std::string_view name,
                                       const Selector& selector, Saved first, bool replace = false,
                                       const Lanes& lanes = {}) noexcept;
/// Whoever made the file may have died before its name, or its directory's, was on the disk.
[[nodiscard]] Result<void> make_names_durable(os::Env& env, const std::string& path) noexcept;
/// Name of the file of a lane, of the group with this id.
[[nodiscard]] std::string lane_name(std::uint64_t group, std::uint32_t lane);
/// Takes the files of all lanes of a group away that nothing names any more. May throw bad_alloc.
void remove_lanes(const Place& place, std::uint64_t group, std::uint32_t count);

/// The words that processes share, through a mapping of the file.
class Words {
public:
    [[nodiscard]] static Result<Words> map(os::File& file, os::MapAccess access) noexcept;
    /// None where the file is too short to have any, or cannot be mapped: for those who look.
    [[nodiscard]] static std::optional<Words> find(os::File& file) noexcept;
    /// Who holds the file, for people. May throw bad_alloc.
    [[nodiscard]] std::string holder() const;
    [[nodiscard]] SharedWords& get() const noexcept {
        return *std::launder(reinterpret_cast<SharedWords*>(mapping_.data() + kWordsOffset));
    }
    [[nodiscard]] const os::Mapping& mapping() const noexcept { return mapping_; }
    void unmap() noexcept { mapping_ = {}; }

private:
    os::Mapping mapping_;
};

/// Bumps the word and wakes everybody who waits on it.
void tell(os::Env& env, SharedWords& words) noexcept;

class CheckpointFile {
public:
    /// Opens the file and takes its lock. `locked` if another one has it, with whom; `not_found`;
    /// or what is wrong with its content.
    [[nodiscard]] static Result<std::unique_ptr<CheckpointFile>> open(
        const Place& place, std::string_view name) noexcept;
    ~CheckpointFile();
    CheckpointFile(const CheckpointFile&) = delete;
    CheckpointFile& operator=(const CheckpointFile&) = delete;

    [[nodiscard]] const Selector& selector() const noexcept { return *content_.selector; }
    [[nodiscard]] std::uint64_t id() const noexcept { return content_.header.id; }
    [[nodiscard]] const Saved& saved() const noexcept { return content_.saved(); }
    [[nodiscard]] const FileHeader& header() const noexcept { return content_.header; }
    [[nodiscard]] SharedWords& words() const noexcept {
        return group_ != nullptr ? *group_ : words_.get();
    }
    /// Those of this very file, for what its holder leaves behind; null in a child of `fork`.
    [[nodiscard]] SharedWords* own_words() const noexcept {
        const bool usable = file_->file() != nullptr && words_.mapping().data() != nullptr;
        return usable ? &words_.get() : nullptr;
    }
    /// From now on the words of the group, which outlive this, stand for its own.
    void share(SharedWords& group) noexcept { group_ = &group; }
    [[nodiscard]] bool unsynced() const noexcept { return content_.newest != durable_; }

    /// Makes room for a state of so many bytes: writing it cannot fail for want of space then.
    [[nodiscard]] Result<void> reserve(std::size_t state_bytes) noexcept {
        VARVE_TRY(usable());
        return grow(file_size(state_bytes, content_.header.selector_length));
    }
    /// Writes it as the newest one. There is room for it.
    [[nodiscard]] Result<void> write(Saved saved) noexcept;
    /// Makes what was written last durable, also if an earlier process has written it, and the
    /// names of the file.
    [[nodiscard]] Result<void> sync() noexcept;

private:
    CheckpointFile(os::Env& env, std::string path, const Uuid& uuid) noexcept
        : env_(env), path_(std::move(path)), uuid_(uuid) {}
    [[nodiscard]] Result<void> settle() noexcept;
    [[nodiscard]] Result<void> sync_newest() noexcept;
    [[nodiscard]] Result<void> grow(std::uint64_t bytes) noexcept;
    [[nodiscard]] Result<void> put(std::size_t n, Saved& saved) noexcept;
    [[nodiscard]] Result<void> usable() const noexcept;

    os::Env& env_;
    std::string path_;
    Uuid uuid_;
    std::unique_ptr<os::ForkGuard> file_;
    FileContent content_;
    std::uint64_t size_ = 0;  ///< allocated
    Words words_;
    SharedWords* group_ = nullptr;
    bool ours_ = false;  ///< the lock is ours, and the content can be gone on with
    int durable_ = -1;   ///< the slot that is known to be on the disk; -1: not known yet
    bool failed_ = false;
};

}  // namespace consumer
}  // namespace v0
}  // namespace varve
