// Opening, growing and publishing append-only files. What others may see at each step is said in
// append_file.hpp; one thread at a time.
#include "nes/append_file.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "nes/storage_files.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::uint64_t kLeastMapped = 1 << 20;  // address space only
constexpr std::uint64_t kMostAhead = 8 << 20;    // a large file grows by an eighth, at most by this
constexpr std::uint64_t kAheadShare = 8;
constexpr std::uint64_t kSizeLimit = std::uint64_t{1} << 40;

bool is_page_multiple(std::uint64_t size) noexcept { return size % kPage == 0; }

}  // namespace

AppendFile::AppendFile(os::Env& env, std::string path, const FileOptions& options,
                       const Shape* shape) noexcept
    : env_(env),
      path_(std::move(path)),
      shape_(shape),
      ahead_(base::align_up(std::max(options.write_ahead_bytes, kPage), kPage)),
      layout_(options.layout),
      hold_(options.hold_open || options.access == Access::read_write),
      writable_(options.access == Access::read_write),
      sync_(options.sync_on_flush),
      touch_(options.touch_on_flush) {}

AppendFile::~AppendFile() { static_cast<void>(close()); }

Error AppendFile::failed(ErrorCode code, const char* what, std::uint64_t at) const {
    return failure(code, what, path_, at);
}

std::atomic<std::uint32_t>& AppendFile::word_at(std::uint64_t offset) const noexcept {
    VARVE_ASSERT(offset % sizeof(std::uint32_t) == 0 && offset + kMarkerSize <= mapping_.size());
    return *reinterpret_cast<std::atomic<std::uint32_t>*>(base_ + offset);
}

void AppendFile::note(std::uint64_t offset, std::uint64_t length) const noexcept {
    os::StoreObserver* const observer = env_.observer();
    if (observer != nullptr && length > 0) observer->note(base_ + offset, length);
}

Result<std::unique_ptr<AppendFile>> AppendFile::open(const std::string& path,
                                                     const FileOptions& options,
                                                     const Shape* shape) noexcept {
    os::Env& env = options.env != nullptr ? *options.env : os::posix_env();
    std::unique_ptr<AppendFile> file(new AppendFile(env, path, options, shape));
    if (auto begun = file->begin(options); !begun) {
        file->writable_ = false;  // nothing of it may be flushed
        return std::move(begun).error();
    }
    VARVE_TRY(file->release());
    return file;
}

Result<void> AppendFile::begin(const FileOptions& options) noexcept {
    const auto mode = writable_ ? os::OpenMode::read_write : os::OpenMode::read;
    auto file = env_.open(path_, mode);
    if (!file && file.error().code == ErrorCode::not_found && writable_ && options.create) {
        file = env_.open(path_, os::OpenMode::create, 0644);
        nameless_ = file.has_value();
    }
    if (!file) return std::move(file).error();
    file_ = std::move(*file);
    open_ = true;
    if (writable_) {
        auto mine = file_->try_lock();
        if (!mine) return std::move(mine).error();
        if (!*mine)
            return failed(ErrorCode::locked, "another writer has this file open; close it first");
    }
    auto physical = file_->size();
    if (!physical) return std::move(physical).error();
    physical_ = *physical;
    if (physical_ > kSizeLimit) return failed(ErrorCode::too_large, "the file is too large");
    VARVE_TRY(choose_layout(options.layout));
    VARVE_TRY(map_for(physical_));
    if (layout_ == Layout::mapped) return begin_mapped();
    size_ = published_ = physical_;
    return {};
}

/// A document ends with a separator, which as a marker would name a size that is no multiple of
/// four, so that a classic partition is never taken for a mapped one.
Result<bool> AppendFile::looks_mapped() noexcept {
    if (physical_ < kPage || !is_page_multiple(physical_)) return false;
    std::byte last[16];
    auto got = file_->read_at(physical_ - sizeof last, last);
    if (!got) return std::move(got).error();
    const std::uint32_t distance = load_be32(last + sizeof last - kMarkerSize);
    // Grown by a program that marks later: then the page holds nothing yet. An entry of a classic
    // index may end with zeros, but it begins with its number.
    if (distance == 0) return base::all_zero(last);
    return distance >= kMarkerSize && distance <= physical_ && distance % kMarkerSize == 0 &&
           (shape_ == nullptr || !shape_->ends_classic(base::Bytes{last}));
}

/// True if something other than zeros stands before what looks like a marker that names free space:
/// a writer was killed in the middle of a write, at the end of a page.
Result<bool> AppendFile::looks_torn() noexcept {
    std::byte last[16];
    auto got = file_->read_at(physical_ - sizeof last, last);
    if (!got) return std::move(got).error();
    return load_be32(last + sizeof last - kMarkerSize) >= sizeof last &&
           !base::all_zero(base::Bytes{last}.first(sizeof last - kMarkerSize));
}

Result<void> AppendFile::choose_layout(Layout wanted) noexcept {
    const bool raw = shape_ == nullptr;
    if (raw || wanted == Layout::mapped) {
        layout_ = Layout::mapped;
        if (!is_page_multiple(physical_))
            return failed(ErrorCode::corrupt,
                          "the file is not in the mapped layout: its size is no multiple of a page",
                          physical_);
        if (raw || physical_ == 0) return {};
    }
    auto mapped = looks_mapped();
    if (!mapped) return std::move(mapped).error();
    if (wanted == Layout::mapped && !*mapped)
        return failed(ErrorCode::corrupt, "the file is not in the mapped layout: it has no marker",
                      physical_ - kMarkerSize);
    if (wanted == Layout::classic && *mapped) {
        auto torn = looks_torn();
        if (!torn) return std::move(torn).error();
        *mapped = !*torn;
    }
    if (wanted == Layout::classic && *mapped)
        return failed(ErrorCode::invalid_argument,
                      "the file is in the mapped layout; open it as such");
    layout_ = *mapped ? Layout::mapped : Layout::classic;
    return {};
}

Result<void> AppendFile::map_for(std::uint64_t size) noexcept {
    if (size <= mapping_.size() && mapping_.size() > 0) return {};
    const std::uint64_t wanted = std::max(kLeastMapped, base::align_up(2 * size, kPage));
    auto mapping =
        file_->map_ahead(wanted, writable_ && layout_ == Layout::mapped ? os::MapAccess::read_write
                                                                        : os::MapAccess::read);
    if (!mapping) return std::move(mapping).error();
    if (mapping_.size() > 0) retired_.push_back(std::move(mapping_));
    mapping_ = std::move(*mapping);
    base_ = mapping_.data();
    return {};
}

std::optional<std::uint64_t> AppendFile::marked(std::uint64_t physical) const noexcept {
    if (physical < kMarkerSize) return std::nullopt;
    const std::uint32_t word = word_at(physical - kMarkerSize).load(std::memory_order_acquire);
    const std::uint32_t distance = __builtin_bswap32(word);
    if (distance < kMarkerSize || distance > physical) return std::nullopt;
    return physical - distance;
}

/// Finds the end of the content of a file without a valid marker. If what ends it is an earlier
/// marker that a growth has left, that one tells: nothing else in a partition or an index looks
/// like one there. In a file of any bytes only the zeros before it prove that it is one.
Result<std::uint64_t> AppendFile::unmarked_end() noexcept {
    std::uint64_t end = physical_ - kMarkerSize;
    while (end > 0 && base::load<std::uint32_t>(base_ + end - kMarkerSize) == 0) end -= kMarkerSize;
    if (end > 0 && is_page_multiple(end)) {
        const std::uint64_t distance = load_be32(base_ + end - kMarkerSize);
        const bool possible = distance >= kMarkerSize && distance <= end;
        const bool proven = shape_ != nullptr && distance % kDocumentAlignment == 0;
        if (possible &&
            (proven || base::all_zero({base_ + end - distance,
                                       static_cast<std::size_t>(distance - kMarkerSize)})))
            return end - distance;
    }
    return shape_ != nullptr && end > 0 ? shape_->extent({base_, physical_ - kMarkerSize}, end)
                                        : end;
}

Result<void> AppendFile::begin_mapped() noexcept {
    if (!writable_) {
        VARVE_TRY(look_mapped());
        if (physical_ == 0 || marked(physical_)) return {};
    } else if (physical_ == 0) {
        return grow(0);
    }
    auto end = marked(physical_);
    if (!end) {
        auto found = unmarked_end();
        if (!found) return std::move(found).error();
        end = *found;
        recovered_ = true;
    }
    size_ = published_ = *end;
    if (!writable_) return {};
    if (recovered_) VARVE_TRY(store_marker(size_));
    VARVE_TRY(clear_behind_end());
    set_room();
    return {};
}

/// Takes away what a writer stored and did not live to publish.
Result<void> AppendFile::clear_behind_end() noexcept {
    for (std::uint64_t at = size_; at < physical_ - kMarkerSize;) {
        const std::uint64_t next =
            std::min(base::align_down(at + kPage, kPage), physical_ - kMarkerSize);
        if (!base::all_zero({base_ + at, next - at})) {
            std::memset(base_ + at, 0, next - at);
            note(at, next - at);
        }
        at = next;
    }
    return {};
}

void AppendFile::set_room() noexcept {
    tail_ = base_ + size_;
    room_ = physical_ - kMarkerSize - size_;
}

Result<void> AppendFile::synced(Result<void> done) noexcept {
    if (!done) {
        poisoned_ = true;
        room_ = 0;  // so that the next write comes by and is refused
    }
    return done;
}

Result<void> AppendFile::usable() const noexcept {
    if (!open_) return failed(ErrorCode::closed, "the file is closed");
    if (!writable_)
        return failed(ErrorCode::invalid_argument, "the file was opened for reading only");
    if (poisoned_)
        return failed(ErrorCode::poisoned, "a sync has failed earlier; close and open the file");
    return {};
}

Result<void> AppendFile::make_room(std::size_t size) noexcept {
    VARVE_TRY(usable());
    if (size > kSizeLimit - size_) return failed(ErrorCode::too_large, "the file is too large");
    if (layout_ == Layout::mapped) return grow(size);
    auto flushed = flush_classic();
    if (!flushed) return std::move(flushed).error();
    buffer_.resize(std::max<std::size_t>(ahead_, size));
    tail_ = buffer_.data();
    room_ = buffer_.size();
    return {};
}

/// One write makes the file longer and marks it, so that nobody ever finds it without a marker. The
/// new marker names what was published before: growing shows nothing.
Result<void> AppendFile::grow(std::size_t size) noexcept {
    const std::uint64_t ahead = std::max(ahead_, std::min(size_ / kAheadShare, kMostAhead));
    const std::uint64_t before = physical_;
    const std::uint64_t physical =
        std::max(base::align_up(size_ + size + ahead + kMarkerSize, kPage), before);
    VARVE_TRY(file_->reserve(physical));
    VARVE_TRY(map_for(physical));
    std::byte marker[kMarkerSize];
    store_be32(marker, static_cast<std::uint32_t>(physical - published_));
    VARVE_TRY(file_->write_at(physical - kMarkerSize, marker));
    physical_ = physical;
    // The old marker goes only when the new one is certain to be found.
    if (sync_) VARVE_TRY(synced(file_->sync()));
    if (before > 0) {
        std::atomic<std::uint32_t>& old = word_at(before - kMarkerSize);
        old.store(0, std::memory_order_release);
        note(before - kMarkerSize, kMarkerSize);
        env_.wake_all(old);
    }
    VARVE_TRY(make_present(before, physical - kMarkerSize));
    set_room();
    return {};
}

/// Stores into pages that are present do not fault. Written zeros make large pages, which is
/// cheaper than one fault for each; but where every flush is synced, each of them would be written
/// as a whole.
Result<void> AppendFile::make_present(std::uint64_t from, std::uint64_t until) noexcept {
    static const std::array<std::byte, 64 << 10> zeros{};
    for (std::uint64_t at = from; at < until && !sync_;) {
        const std::uint64_t length = std::min<std::uint64_t>(zeros.size(), until - at);
        VARVE_TRY(file_->write_at(at, base::Bytes{zeros}.first(length)));
        at += length;
    }
    env_.populate(mapping_, from, until - from);
    return {};
}

Result<void> AppendFile::store_marker(std::uint64_t size) noexcept {
    const std::uint64_t at = physical_ - kMarkerSize;
    const auto distance = static_cast<std::uint32_t>(physical_ - size);
    // Publishes: pairs with the acquire load in `marked` and `look_mapped` of a follower.
    word_at(at).store(__builtin_bswap32(distance), std::memory_order_release);
    note(at, kMarkerSize);
    published_ = size;
    unannounced_ = true;
    if (sync_) VARVE_TRY(synced(file_->sync_range(mapping_, at, kMarkerSize)));
    env_.wake_all(word_at(at));
    // Only watchers of the directory would miss it.
    if (touch_) static_cast<void>(file_->touch());
    unannounced_ = false;
    return {};
}

Result<bool> AppendFile::flush() noexcept {
    VARVE_TRY(usable());
    auto flushed = layout_ == Layout::mapped ? flush_mapped() : flush_classic();
    if (flushed && sync_ && nameless_) VARVE_TRY(sync_name());
    return flushed;
}

/// Content that nobody finds is not durable.
Result<void> AppendFile::sync_name() noexcept {
    VARVE_TRY(synced(env_.sync_directory(directory_of(path_))));
    nameless_ = false;
    return {};
}

Result<bool> AppendFile::flush_mapped() noexcept {
    if (size_ == published_ && !unannounced_) return false;
    note(published_, size_ - published_);
    if (sync_ && size_ > published_)
        VARVE_TRY(synced(file_->sync_range(mapping_, published_, size_ - published_)));
    VARVE_TRY(store_marker(size_));
    return true;
}

Result<bool> AppendFile::flush_classic() noexcept {
    if (size_ == published_) return false;
    VARVE_TRY(file_->write_at(published_, buffered()));
    VARVE_TRY(map_for(size_));
    physical_ = published_ = size_;
    tail_ = buffer_.data();
    room_ = buffer_.size();
    if (sync_) VARVE_TRY(synced(file_->sync()));
    return true;
}

Result<bool> AppendFile::truncate(std::uint64_t size) noexcept {
    VARVE_TRY(usable());
    if (size >= size_) return false;
    const std::uint64_t before = size_;
    if (layout_ == Layout::classic) {
        if (size < published_) {
            VARVE_TRY(file_->shorten(size));
            if (sync_) VARVE_TRY(synced(file_->sync()));
            physical_ = published_ = size;
        }
        size_ = size;
        const std::uint64_t kept = size_ - published_;
        tail_ = buffer_.data() + kept;
        room_ = buffer_.size() - kept;
        return true;
    }
    // Readers learn of the new end before what lies behind it goes.
    size_ = size;
    if (size < published_) VARVE_TRY(store_marker(size));
    std::memset(base_ + size, 0, before - size);
    note(size, before - size);
    set_room();
    auto flushed = flush_mapped();
    if (!flushed) return std::move(flushed).error();
    return true;
}

Result<void> AppendFile::close() noexcept {
    if (!open_) return {};
    Result<void> done;
    if (writable_ && !poisoned_)
        if (auto flushed = flush(); !flushed) done = std::move(flushed).error();
    open_ = false;
    watch_.reset();
    file_.reset();
    mapping_ = {};
    retired_.clear();
    buffer_.clear();
    base_ = tail_ = nullptr;
    room_ = 0;
    size_ = published_ = physical_ = 0;
    return done;
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
