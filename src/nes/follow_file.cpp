// A follower's side of append-only files: noticing what another process has published.
#include <algorithm>

#include "base/error.hpp"
#include "nes/append_file.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr std::uint64_t kMappedNapUs = 20'000;  // for writers that wake nobody
constexpr std::uint64_t kFirstNapUs = 200;      // unwatched: doubled up to the next
constexpr std::uint64_t kLongestNapUs = 5'000;
constexpr std::uint64_t kWatchedNapUs = 250'000;  // should the system have missed something
constexpr int kMostGrowths = 64;                  // that one look follows

}  // namespace

/// Opens a file again that is not held. Its mapping belongs to the file it was, and to no other.
Result<void> AppendFile::reach() noexcept {
    if (file_ != nullptr) return {};
    auto file = env_.open(path_, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto identity = (*file)->identity();
    if (!identity) return std::move(identity).error();
    if (*identity != identity_)
        return failed(ErrorCode::stale, "another file has taken this name; open it again");
    file_ = std::move(*file);
    return {};
}

Result<void> AppendFile::release() noexcept {
    if (hold_ || file_ == nullptr) return {};
    auto identity = file_->identity();
    if (!identity) return std::move(identity).error();
    identity_ = *identity;
    file_.reset();
    return {};
}

/// The marker's word counts only if the file still ends there afterwards: once it has grown, the
/// place holds content. While there is no valid marker, what was seen last stays the truth.
Result<void> AppendFile::look_mapped() noexcept {
    for (int n = 0; n < kMostGrowths; ++n) {
        std::optional<std::uint64_t> end;
        if (physical_ > 0) {
            seen_ = word_at(physical_ - kMarkerSize).load(std::memory_order_acquire);
            const std::uint32_t distance = __builtin_bswap32(seen_);
            if (distance >= kMarkerSize && distance <= physical_) end = physical_ - distance;
        }
        auto physical = file_->size();
        if (!physical) return std::move(physical).error();
        if (*physical == physical_) {
            if (end) size_ = published_ = *end;
            return {};
        }
        if (*physical < physical_ || *physical % kPage != 0)
            return failed(ErrorCode::corrupt, "the file was shortened by another program",
                          *physical);
        VARVE_TRY(map_for(*physical));
        physical_ = *physical;
    }
    return {};
}

Result<void> AppendFile::look_classic() noexcept {
    auto physical = file_->size();
    if (!physical) return std::move(physical).error();
    VARVE_TRY(map_for(*physical));
    size_ = published_ = physical_ = *physical;
    return {};
}

Result<Change> AppendFile::refresh() noexcept {
    if (!open_) return failed(ErrorCode::closed, "the file is closed");
    Change change;
    if (writable_) return change;
    const std::uint64_t before = size_;
    VARVE_TRY(reach());
    VARVE_TRY(layout_ == Layout::mapped ? look_mapped() : look_classic());
    VARVE_TRY(release());
    if (size_ > before) change.appended = size_ - before;
    if (size_ < before) change.truncated = before - size_;
    return change;
}

/// In the classic layout, which is written through the system, the system can tell of changes. The
/// watch begins before the first look, so that nothing comes between the two.
Result<void> AppendFile::begin_watching() noexcept {
    if (layout_ != Layout::classic || writable_ || watch_ != nullptr || unwatched_) return {};
    const auto kind = env_.file_system(path_);
    unwatched_ = !kind || *kind == os::FileSystemKind::unsupported;  // others' hosts are not seen
    if (unwatched_) return {};
    VARVE_TRY(reach());
    auto watch = file_->watch();
    unwatched_ = !watch;
    if (watch) watch_ = std::move(*watch);
    return release();
}

void AppendFile::sleep_until_changed(std::uint64_t nap_us, std::uint64_t timeout_us) noexcept {
    if (watch_ != nullptr) {
        static_cast<void>(watch_->wait(std::min(kWatchedNapUs, timeout_us)));
        return;
    }
    const std::uint64_t least = std::min(nap_us, timeout_us);
    const std::atomic<std::uint32_t> nobody{0};
    if (layout_ == Layout::mapped && physical_ > 0)
        static_cast<void>(env_.wait_on(word_at(physical_ - kMarkerSize), seen_, least));
    else
        static_cast<void>(env_.wait_on(nobody, 0, least));
}

Result<Change> AppendFile::wait(std::uint64_t timeout_us) noexcept {
    if (open_ && timeout_us > 0) VARVE_TRY(begin_watching());
    const std::uint64_t begin = env_.monotonic_us();
    std::uint64_t nap = layout_ == Layout::mapped ? kMappedNapUs : kFirstNapUs;
    while (true) {
        auto change = refresh();
        if (!change || *change) return change;
        const std::uint64_t gone = env_.monotonic_us() - begin;
        if (gone >= timeout_us) return change;
        sleep_until_changed(nap, timeout_us - gone);
        if (layout_ == Layout::classic) nap = std::min(2 * nap, kLongestNapUs);
    }
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
