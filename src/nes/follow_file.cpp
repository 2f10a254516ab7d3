// A follower's side of append-only files: noticing what another process has published.
#include <algorithm>

#include "base/error.hpp"
#include "nes/append_file.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr std::uint64_t kMappedNapUs = 20'000;  // for writers that wake nobody
constexpr std::uint64_t kFirstNapUs = 200;      // classic: doubled up to the next
constexpr std::uint64_t kLongestNapUs = 5'000;
constexpr int kMostGrowths = 64;  // that one look follows

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

bool AppendFile::sleep_until_changed(std::uint64_t timeout_us) noexcept {
    if (layout_ == Layout::mapped && physical_ > 0)
        return env_.wait_on(word_at(physical_ - kMarkerSize), seen_, timeout_us);
    const std::atomic<std::uint32_t> nobody{0};
    return env_.wait_on(nobody, 0, timeout_us);
}

Result<Change> AppendFile::wait(std::uint64_t timeout_us) noexcept {
    const std::uint64_t begin = env_.monotonic_us();
    std::uint64_t nap = layout_ == Layout::mapped ? kMappedNapUs : kFirstNapUs;
    while (true) {
        auto change = refresh();
        if (!change || *change) return change;
        const std::uint64_t gone = env_.monotonic_us() - begin;
        if (gone >= timeout_us) return change;
        static_cast<void>(sleep_until_changed(std::min(nap, timeout_us - gone)));
        if (layout_ == Layout::classic) nap = std::min(2 * nap, kLongestNapUs);
    }
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
