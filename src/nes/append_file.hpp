// A file of bytes that only grow, in either layout, for one writer or one follower.
//
// One thread at a time. Invariants: a file in the mapped layout that has a length has a valid
// marker at every moment, also between two steps of a growth; the marker is one aligned word and
// never names content that is not stored; space is reserved before it is stored to; what was given
// out of the mapping stays mapped until the file is closed.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "nes/format.hpp"
#include "os/env.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

class AppendFile {
public:
    /// How a kind of file is made.
    struct Shape {
        /// Whether a file with these last 16 bytes, which may be taken for zeros and a marker, is
        /// in the classic layout all the same.
        bool (*ends_classic)(base::Bytes last) noexcept;
        /// Where the content ends whose last word that is not zero ends at `end`: what is known
        /// about the zeros with which it may end. Used when there is no valid marker.
        std::uint64_t (*extent)(base::Bytes file, std::uint64_t end) noexcept;
    };

    /// `shape` lives as long as the program; null for a file of any bytes, which is always mapped.
    [[nodiscard]] static Result<std::unique_ptr<AppendFile>> open(const std::string& path,
                                                                  const FileOptions& options,
                                                                  const Shape* shape) noexcept;
    AppendFile(const AppendFile&) = delete;
    AppendFile& operator=(const AppendFile&) = delete;
    ~AppendFile();

    /// Room for `size` more bytes, which count from now on; the caller stores them at once.
    [[nodiscard]] Result<std::byte*> extend(std::size_t size) noexcept {
        if (size > room_) [[unlikely]]
            VARVE_TRY(make_room(size));
        std::byte* const at = tail_;
        tail_ += size;
        room_ -= size;
        size_ += size;
        return at;
    }
    [[nodiscard]] Result<bool> flush() noexcept;
    [[nodiscard]] Result<bool> truncate(std::uint64_t size) noexcept;
    [[nodiscard]] Result<void> close() noexcept;
    [[nodiscard]] Result<Change> refresh() noexcept;
    [[nodiscard]] Result<Change> wait(std::uint64_t timeout_us) noexcept;

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t physical_size() const noexcept { return physical_; }
    /// What lies in the mapping: in the classic layout without what is not flushed.
    [[nodiscard]] base::Bytes content() const noexcept {
        return {base_, layout_ == Layout::mapped ? size_ : published_};
    }
    /// Classic: what was written and not flushed.
    [[nodiscard]] base::Bytes buffered() const noexcept {
        return {buffer_.data(), layout_ == Layout::classic ? size_ - published_ : 0};
    }
    [[nodiscard]] bool was_recovered() const noexcept { return recovered_; }
    [[nodiscard]] std::uint64_t monotonic_us() const noexcept { return env_.monotonic_us(); }
    [[nodiscard]] bool writable() const noexcept { return writable_; }
    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] Layout layout() const noexcept { return layout_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] os::Env& env() const noexcept { return env_; }

private:
    AppendFile(os::Env& env, std::string path, const FileOptions& options,
               const Shape* shape) noexcept;
    [[nodiscard]] Result<void> begin(const FileOptions& options) noexcept;
    [[nodiscard]] Result<void> begin_mapped() noexcept;
    [[nodiscard]] Result<void> choose_layout(Layout wanted) noexcept;
    [[nodiscard]] Result<void> map_for(std::uint64_t size) noexcept;
    [[nodiscard]] Result<void> make_room(std::size_t size) noexcept;
    [[nodiscard]] Result<void> grow(std::size_t size) noexcept;
    [[nodiscard]] Result<void> make_present(std::uint64_t from, std::uint64_t until) noexcept;
    [[nodiscard]] Result<bool> flush_mapped() noexcept;
    [[nodiscard]] Result<bool> flush_classic() noexcept;
    [[nodiscard]] Result<void> clear_behind_end() noexcept;
    [[nodiscard]] Result<void> store_marker(std::uint64_t size) noexcept;
    [[nodiscard]] Result<void> synced(Result<void> done) noexcept;
    [[nodiscard]] Result<void> sync_name() noexcept;
    [[nodiscard]] Result<void> usable() const noexcept;
    [[nodiscard]] Result<void> reach() noexcept;
    [[nodiscard]] Result<void> release() noexcept;
    [[nodiscard]] Result<void> look_mapped() noexcept;
    [[nodiscard]] Result<void> look_classic() noexcept;
    [[nodiscard]] Error failed(ErrorCode code, const char* what, std::uint64_t at = 0) const;
    [[nodiscard]] std::atomic<std::uint32_t>& word_at(std::uint64_t offset) const noexcept;
    /// Content that the marker at the end of `physical` bytes tells of, if it is valid.
    [[nodiscard]] std::optional<std::uint64_t> marked(std::uint64_t physical) const noexcept;
    [[nodiscard]] Result<std::uint64_t> unmarked_end() noexcept;
    [[nodiscard]] Result<bool> looks_mapped() noexcept;
    [[nodiscard]] Result<bool> looks_torn() noexcept;
    void note(std::uint64_t offset, std::uint64_t length) const noexcept;
    void set_room() noexcept;
    [[nodiscard]] Result<void> begin_watching() noexcept;
    void sleep_until_changed(std::uint64_t nap_us, std::uint64_t timeout_us) noexcept;

    os::Env& env_;
    std::string path_;
    const Shape* shape_;
    std::unique_ptr<os::File> file_;    ///< null when closed, or between two looks of a reader
    std::unique_ptr<os::Watch> watch_;  ///< of a follower in the classic layout that has waited
    std::optional<os::FileIdentity> identity_;  ///< of a file that is opened again
    os::Mapping mapping_;
    std::vector<os::Mapping> retired_;  ///< views may point into them
    std::vector<std::byte> buffer_;     ///< classic: from `published_` on
    std::byte* base_ = nullptr;
    std::byte* tail_ = nullptr;
    std::size_t room_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t published_ = 0;  ///< what others see
    std::uint64_t physical_ = 0;
    std::uint64_t ahead_ = 0;
    std::uint32_t seen_ = 0;  ///< the marker's word when a follower last looked
    Layout layout_;
    bool open_ = false;
    bool hold_ = true;
    bool writable_ = false;
    bool sync_ = false;
    bool touch_ = true;
    bool unwatched_ = false;  ///< the system cannot watch it
    bool recovered_ = false;
    bool poisoned_ = false;
    bool nameless_ = false;     ///< made here, and its name may not survive a power cut yet
    bool unannounced_ = false;  ///< the marker was stored, but not all of its flush succeeded
};

}  // namespace nes
}  // namespace v0
}  // namespace varve
