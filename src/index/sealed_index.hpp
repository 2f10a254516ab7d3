// A sealed index as it is read: over a mapping of its file, each block checked when it is first
// touched.
//
// Any thread; nothing is copied but the list of segments. Invariants: an answer that needed a
// damaged block says so, it is never short; nothing outside the bytes is read, whatever they say;
// every walk ends.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "index/sealed_format.hpp"

namespace varve::index {

enum class Found : std::uint8_t { yes, no, damaged };

/// The events of one name. `place`: where their postings are; for the cursor.
struct SealedList {
    std::uint32_t count = 0;
    std::uint32_t first = 0;  ///< ordinals
    std::uint32_t last = 0;
    std::uint64_t place = 0;
    std::uint32_t entry = 0;  ///< its number in the dictionary
};

/// One name of the dictionary. `name` lies in the buffer that it was decoded into.
struct SealedName {
    std::string_view name{};
    SealedList list{};
};

class SealedIndex {
public:
    SealedIndex() noexcept = default;
    SealedIndex(const SealedIndex&) = delete;
    SealedIndex& operator=(const SealedIndex&) = delete;

    /// Takes over `file`, which must outlive `to`. Checks the header and the tables, not the rest.
    /// Null, or what is wrong, want of memory too; then `to` answers nothing and is not to be
    /// asked.
    [[nodiscard]] static log::Fault open(base::Bytes file, const log::Uuid& uuid,
                                         const Hasher& hasher, SealedIndex& to) noexcept;

    [[nodiscard]] std::uint64_t first_position() const noexcept { return header_.first_position; }
    [[nodiscard]] std::uint64_t last_position() const noexcept { return header_.last_position; }
    /// Positions that it covers.
    [[nodiscard]] std::uint32_t events() const noexcept { return events_; }
    [[nodiscard]] std::span<const SealedSegment> segments() const noexcept { return segments_; }
    [[nodiscard]] std::uint32_t end_chain() const noexcept { return header_.end_chain; }
    [[nodiscard]] const Hasher& hasher() const noexcept { return hasher_; }
    /// Different names of a kind; of KeyKind::id, events that have one.
    [[nodiscard]] std::uint32_t names(KeyKind kind) const noexcept;
    /// True once something damaged was touched. Stays so.
    [[nodiscard]] bool damaged() const noexcept { return damaged_.load(std::memory_order_relaxed); }
    /// Checks every block.
    [[nodiscard]] Found check_all() const noexcept;

    void prefetch(Key key) const noexcept;
    [[nodiscard]] Found find(KeyKind kind, std::string_view name, SealedList& list) const {
        return find(kind, name, hasher_.key(kind, name), list);
    }
    /// `key` is the name's.
    [[nodiscard]] Found find(KeyKind kind, std::string_view name, Key key, SealedList& list) const;

    /// Byte offset / 8 of an event in its segment. `no` beyond the end.
    [[nodiscard]] Found offset8(std::uint32_t ordinal, std::uint32_t& offset8) const noexcept {
        return entry(Section::offsets, ordinal, offset8);
    }
    void prefetch_offset(std::uint32_t ordinal) const noexcept {
        if (ordinal < events_) __builtin_prefetch(at(Section::offsets) + 4ULL * ordinal);
    }
    /// The same of several events in either order; 0 where it is not `yes`.
    void offsets8(std::span<const std::uint32_t> ordinals, std::uint32_t* to) const noexcept;
    /// The number of its type in the order of types; kNoType, kManyTypes. `no` beyond the end.
    [[nodiscard]] Found type_number(std::uint32_t ordinal, std::uint16_t& number) const noexcept {
        return entry(Section::types, ordinal, number);
    }
    /// The same of several events in either order. How many are known, up to the first that is not.
    [[nodiscard]] std::size_t type_numbers(std::span<const std::uint32_t> ordinals,
                                           std::uint16_t* to) const noexcept;
    /// Bounds of the times of events [group * kTimeGroup, …).
    [[nodiscard]] Found times(std::uint32_t group, SealedTimes& times) const noexcept;

    // ---- for cursors
    /// True if bytes [offset, offset + length) of a section are there and whole.
    [[nodiscard]] bool touch(Section section, std::uint64_t offset,
                             std::uint64_t length) const noexcept {
        const SectionPlace& of = place(section);
        const std::uint64_t begin = of.offset + offset - kSealedHeaderSize;
        const std::uint64_t block = begin / kSealedBlock;
        // Mostly it is little, and of a block that was touched before.
        const bool one = length > 0 && base::fits(offset, length, of.length) &&
                         (begin + length - 1) / kSealedBlock == block;
        return (one && is_checked(block)) || touch_blocks(section, offset, length);
    }
    [[nodiscard]] const std::byte* at(Section section) const noexcept {
        return file_.data() + place(section).offset;
    }
    [[nodiscard]] std::uint64_t length(Section section) const noexcept {
        return place(section).length;
    }
    void set_damaged() const noexcept { damaged_.store(true, std::memory_order_relaxed); }
    /// Entry number of the first name of `kind`, and of the first behind the last.
    [[nodiscard]] std::uint32_t first_entry(KeyKind kind) const noexcept;
    [[nodiscard]] std::uint32_t end_entry(KeyKind kind) const noexcept {
        return first_entry(kind) + names(kind);
    }
    [[nodiscard]] bool may_hold(std::uint64_t mix) const noexcept;

private:
    [[nodiscard]] const SectionPlace& place(Section section) const noexcept {
        return header_.sections[static_cast<std::size_t>(section)];
    }
    [[nodiscard]] log::Fault check_header() const noexcept;
    [[nodiscard]] log::Fault check_places() const noexcept;
    [[nodiscard]] log::Fault load_tables() noexcept;
    [[nodiscard]] bool is_checked(std::uint64_t block) const noexcept {
        return (checked_[block / 64].load(std::memory_order_relaxed) >> (block % 64) & 1U) != 0;
    }
    [[nodiscard]] bool touch_blocks(Section section, std::uint64_t offset,
                                    std::uint64_t length) const noexcept;
    /// True if the entries of these events, in either order, lie close together, so that each
    /// block between the first and the last of them is of one of them, and are whole.
    [[nodiscard]] bool touch_together(Section column, std::span<const std::uint32_t> ordinals,
                                      std::uint64_t width) const noexcept;
    [[nodiscard]] bool check_block(std::uint64_t block) const noexcept;
    /// The entry of an event in a column of such values. `no` beyond the end.
    template <class Value>
    [[nodiscard]] Found entry(Section column, std::uint32_t ordinal, Value& value) const noexcept {
        if (ordinal >= events_) return Found::no;
        const std::uint64_t offset = sizeof(Value) * std::uint64_t{ordinal};
        if (!touch(column, offset, sizeof(Value))) return Found::damaged;
        value = base::load<Value>(at(column) + offset);
        return Found::yes;
    }

    base::Bytes file_{};
    SealedHeader header_{};
    std::uint32_t events_ = 0;
    Hasher hasher_{};
    std::vector<SealedSegment> segments_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> checked_;  ///< a bit for each block
    std::uint64_t blocks_ = 0;
    mutable std::atomic<bool> damaged_{false};
};

/// Walks the dictionary from one entry on. One thread.
class DictionaryCursor {
public:
    explicit DictionaryCursor(const SealedIndex& index) noexcept : index_(&index) {}

    /// Stands before entry `entry`.
    void seek(std::uint32_t entry) noexcept;
    /// Decodes the next entry. False at the end or on damage.
    [[nodiscard]] bool next(SealedName& name) noexcept;
    [[nodiscard]] std::uint32_t entry() const noexcept { return next_ - 1; }
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

private:
    [[nodiscard]] bool enter_block(std::uint32_t block) noexcept;
    [[nodiscard]] bool take(std::uint64_t& value) noexcept;
    bool broken() noexcept;

    const SealedIndex* index_;
    std::uint32_t next_ = 0;
    const std::byte* at_ = nullptr;
    const std::byte* end_ = nullptr;
    bool damaged_ = false;
    std::size_t length_ = 0;
    char name_[log::kMaxNameBytes];
};

}  // namespace varve::index
