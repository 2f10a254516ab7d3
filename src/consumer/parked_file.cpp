#include "consumer/parked_file.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

constexpr std::uint64_t kStep = 64 << 10;    // bytes reserved at a time
constexpr std::uint64_t kLargest = 1 << 30;  // of a file that is read
constexpr std::size_t kCrcSize = sizeof(std::uint32_t);

std::uint32_t crc_of(const ParkedHeader& header) noexcept {
    std::array<std::byte, kParkedHeaderSize> raw;
    base::store(raw.data(), header);
    return base::crc32c(0, Bytes{raw}.subspan(offsetof(ParkedHeader, uuid)));
}

std::uint32_t crc_of(const Uuid& uuid, std::uint64_t offset, Bytes behind_crc) noexcept {
    return base::crc32c(base::crc32c_u64(base::crc32c(0, uuid), offset), behind_crc);
}

std::uint64_t length_of(const ParkedEntry& entry) noexcept {
    return base::align_up(sizeof(ParkedEntry) + entry.reason_length, 8);
}

}  // namespace

Result<ParkedFile> ParkedFile::load(const Place& place, std::uint64_t id,
                                    std::uint32_t generation) noexcept {
    try {
        ParkedFile parked;
        parked.place_ = place;
        parked.path_ = path_of(place, id);
        parked.generation_ = generation;
        auto file = place.env->open(parked.path_, os::OpenMode::read);
        if (!file && file.error().code == ErrorCode::not_found) return parked;
        if (!file) return std::move(file).error();
        auto size = (*file)->size();
        if (!size) return std::move(size).error();
        std::vector<std::byte> bytes(std::min(*size, kLargest));
        auto read = (*file)->read_at(0, bytes);
        if (!read) return std::move(read).error();
        parked.size_ = *size;
        // A power cut may have taken what was made and never used.
        const bool made =
            *read >= kParkedHeaderSize && !base::all_zero(Bytes{bytes}.first(kParkedHeaderSize));
        if (!made) return parked;
        const auto header = base::load<ParkedHeader>(bytes.data());
        if (header.magic == kParkedMagic && header.format > kFormat)
            return failure(ErrorCode::unsupported_version,
                           "the file was written by a newer version of varve", parked.path_);
        if (header.magic != kParkedMagic || header.crc != crc_of(header) ||
            header.uuid != place.uuid)
            return failure(ErrorCode::corrupt,
                           "the header of the parked events is damaged, or another store's",
                           parked.path_);
        parked.read_entries(Bytes{bytes}.first(*read));
        return parked;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to read parked events");
    }
}

void ParkedFile::read_entries(Bytes bytes) {
    end_ = kParkedHeaderSize;
    while (base::fits(end_, sizeof(ParkedEntry), bytes.size())) {
        const auto entry = base::load<ParkedEntry>(bytes.data() + end_);
        const std::uint64_t length = length_of(entry);
        if (entry.kind == 0 || !base::fits(end_, length, bytes.size())) break;
        const Bytes behind = bytes.subspan(end_ + kCrcSize, length - kCrcSize);
        if (entry.crc != crc_of(place_.uuid, end_, behind)) break;
        apply(entry, base::as_text(bytes.subspan(end_ + sizeof entry, entry.reason_length)));
        end_ += length;
    }
}

void ParkedFile::apply(const ParkedEntry& entry, std::string_view reason) {
    if (entry.generation != generation_) return;
    const auto kind = static_cast<ParkedKind>(entry.kind);
    if (kind == ParkedKind::taken_back) {
        events_.erase(entry.position);
        return;
    }
    ParkedEvent& event = events_[entry.position];
    event.position = Position{entry.position};
    event.time_us = entry.time_us;
    switch (kind) {
        case ParkedKind::replayed: event.status = ParkedEvent::Status::replayed; break;
        case ParkedKind::dropped: event.status = ParkedEvent::Status::dropped; break;
        default:
            event.status = ParkedEvent::Status::waiting;
            event.attempts = entry.attempts;
            event.reason = std::string(reason);
    }
}

Result<void> ParkedFile::check(const Slot& slot) const noexcept {
    const auto passed = std::distance(events_.begin(), events_.upper_bound(slot.position));
    if (static_cast<std::uint64_t>(passed) == slot.parked) return {};
    return failure(ErrorCode::corrupt,
                   "the file holds " + std::to_string(passed) + " parked events up to position " +
                       std::to_string(slot.position) + ", the checkpoint has counted " +
                       std::to_string(slot.parked) + ": some entries are lost",
                   path_, end_);
}

/// The file may be there without a header: made by a process that went no further.
Result<void> ParkedFile::make() noexcept {
    auto there = place_.env->exists(path_);
    if (!there) return std::move(there).error();
    auto file = place_.env->open(path_, *there ? os::OpenMode::read_write : os::OpenMode::create,
                                 place_.permissions);
    if (!file) return std::move(file).error();
    VARVE_TRY((*file)->allocate(kStep));
    std::array<std::byte, kParkedHeaderSize> raw;
    ParkedHeader header;
    header.uuid = place_.uuid;
    header.crc = crc_of(header);
    base::store(raw.data(), header);
    VARVE_TRY((*file)->write_at(0, raw));
    VARVE_TRY((*file)->sync());
    VARVE_TRY(place_.env->sync_directory(place_.directory));
    file_ = std::move(*file);
    end_ = kParkedHeaderSize;
    size_ = std::max(size_, kStep);
    return {};
}

Result<void> ParkedFile::open() noexcept {
    if (failed_)
        return failure(ErrorCode::poisoned,
                       "writing parked events has failed; open the consumer again", path_);
    if (file_ != nullptr) return {};
    if (end_ == 0) return make();
    auto file = place_.env->open(path_, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    // After a failed sync its pages count as clean: what is there is stored once more as it is, and
    // synced with the entry that is to be added.
    std::vector<std::byte> bytes(end_);
    auto read = (*file)->read_at(0, bytes);
    if (!read) return std::move(read).error();
    VARVE_TRY((*file)->write_at(0, Bytes{bytes}.first(*read)));
    // Whoever made the file may have died before its name was on the disk.
    VARVE_TRY(place_.env->sync_directory(place_.directory));
    file_ = std::move(*file);
    return {};
}

Result<void> ParkedFile::add(ParkedKind kind, std::uint64_t position, std::uint32_t attempts,
                             std::string_view reason) noexcept {
    try {
        VARVE_TRY(open());
        ParkedEntry entry;
        entry.kind = static_cast<std::uint16_t>(kind);
        entry.reason_length = static_cast<std::uint16_t>(std::min(reason.size(), kMaxReason));
        entry.position = position;
        entry.time_us = place_.env->now_us();
        entry.generation = generation_;
        entry.attempts = attempts;
        reason = reason.substr(0, entry.reason_length);
        std::vector<std::byte> raw(length_of(entry));
        base::store(raw.data(), entry);
        if (!reason.empty()) std::memcpy(raw.data() + sizeof entry, reason.data(), reason.size());
        entry.crc = crc_of(place_.uuid, end_, Bytes{raw}.subspan(kCrcSize));
        base::store(raw.data(), entry);
        if (!base::fits(end_, raw.size(), size_)) {
            VARVE_TRY(file_->allocate(size_ + kStep));
            size_ += kStep;
        }
        auto written = file_->write_at(end_, raw);
        if (written) written = file_->sync();
        // What stands there now is not known: the next opening reads it.
        failed_ = !written;
        if (!written) return written;
        end_ += raw.size();
        apply(entry, reason);
        return {};
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to park an event");
    }
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
