// Documents and entries that are held in memory and written file by file: a storage of many
// partitions and indexes would otherwise open a file for each document.
//
// One thread. Invariants: what is held has its number, its place and its time; it is written in
// the order of every flush, documents first, the entries of the primary index last, so whoever
// reads, or goes on after a crash, finds what he would find otherwise.
#include <algorithm>

#include "base/assert.hpp"
#include "nes/documents.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

namespace {

constexpr std::size_t kManyWriters = 200;  // half of those that may be open
constexpr std::uint64_t kMostAhead = 1 << 20;

/// Room for `bytes`, so that they are written in one go.
std::uint64_t ahead_for(std::uint64_t bytes) noexcept {
    return std::clamp(base::align_up(bytes, kPage), kPage, kMostAhead);
}

}  // namespace

void Storage::State::mark(PartitionSlot& slot) {
    if (!slot.dirty) changed_partitions.push_back(&slot);
    slot.dirty = true;
}

void Storage::State::mark(IndexSlot& slot) {
    if (!slot.dirty) changed_indexes.push_back(&slot);
    slot.dirty = true;
}

/// The only time that a file is opened before it is written to.
Result<void> Storage::State::find_end(PartitionSlot& slot) noexcept {
    if (slot.end) return {};
    if (!slot.writer) {
        auto kind = env.name_kind(data_directory + "/" + slot.file);
        if (!kind) return std::move(kind).error();
        if (*kind == os::NameKind::none) {
            slot.end = 0;
            return {};
        }
        VARVE_TRY(limit_writers());
    }
    auto writer = writer_of(slot);
    if (!writer) return std::move(writer).error();
    slot.end = (*writer)->size();
    return {};
}

Result<std::uint64_t> Storage::State::hold(std::string_view document, PartitionSlot& slot,
                                           std::optional<std::int64_t> time_us) noexcept {
    VARVE_TRY(find_end(slot));
    VARVE_TRY(check_document(document.size(), *slot.end, data_directory + "/" + slot.file));
    const auto sequence = static_cast<std::uint32_t>(length());
    const auto size = static_cast<std::uint32_t>(document.size());
    const IndexEntry entry{sequence + 1, static_cast<std::uint32_t>(*slot.end), size, slot.id};
    slot.held.push_back({sequence, size, time_us ? *time_us : env.now_us()});
    slot.held_bytes.append(document);
    *slot.end += document_bytes(document.size());
    mark(slot);
    for (const std::size_t n : routed) {
        indexes[n]->held.push_back(entry);
        mark(*indexes[n]);
    }
    held.push_back(entry);
    held_memory +=
        document.size() + sizeof(HeldDocument) + (routed.size() + 1) * sizeof(IndexEntry);
    return std::uint64_t{sequence} + 1;
}

/// After an error what was not written stays held.
Result<void> Storage::State::write_held(PartitionSlot& slot) noexcept {
    if (slot.held.empty()) return {};
    const std::uint64_t frames = slot.held.size() * (document_bytes(1) + kDocumentAlignment);
    auto writer =
        writer_of(slot, slot.held.front().time_us, ahead_for(slot.held_bytes.size() + frames));
    if (!writer) return std::move(writer).error();
    std::size_t gone = 0;
    std::size_t bytes = 0;
    Result<void> done;
    for (; done && gone < slot.held.size(); ++gone) {
        const HeldDocument& one = slot.held[gone];
        auto position = (*writer)->write(std::string_view(slot.held_bytes).substr(bytes, one.size),
                                         one.sequence, one.time_us);
        if (!position) {
            done = std::move(position).error();
            break;
        }
        bytes += one.size;
    }
    slot.held.erase(slot.held.begin(), slot.held.begin() + static_cast<std::ptrdiff_t>(gone));
    slot.held_bytes.erase(0, bytes);
    return done;
}

Result<void> Storage::State::write_held(IndexSlot& slot) noexcept {
    if (slot.held.empty()) return {};
    auto writer = writer_of(slot, ahead_for(slot.held.size() * sizeof(IndexEntry)));
    if (!writer) return std::move(writer).error();
    for (const IndexEntry& entry : slot.held) {
        const auto last = (*writer)->last();
        if (last && last->number >= entry.number) continue;  // by an attempt that failed
        auto added = (*writer)->add(entry);
        if (!added) return std::move(added).error();
    }
    slot.held.clear();
    return {};
}

Result<void> Storage::State::write_held() noexcept {
    std::size_t gone = 0;
    Result<void> done;
    for (; done && gone < held.size(); ++gone) {
        auto added = primary->add(held[gone]);
        if (!added) {
            done = std::move(added).error();
            break;
        }
    }
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(gone));
    if (done) held_memory = 0;
    return done;
}

template <class Slot>
Result<void> Storage::State::close_flushed(Slot& slot) noexcept {
    if (!holds() || !slot.writer || writers < kManyWriters) return {};
    auto closed = slot.writer->close();
    slot.writer.reset();
    --writers;
    return closed;
}

template Result<void> Storage::State::close_flushed(PartitionSlot&) noexcept;
template Result<void> Storage::State::close_flushed(IndexSlot&) noexcept;

}  // namespace nes
}  // namespace v0
}  // namespace varve
