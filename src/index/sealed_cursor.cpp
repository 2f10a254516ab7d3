#include "index/sealed_cursor.hpp"

#include <algorithm>

namespace varve::index {

namespace {

constexpr std::uint32_t kNear = 8;  // entries that are passed one by one before the rest is halved

}  // namespace

SealedCursor::SealedCursor(const SealedIndex& index, const SealedList& list,
                           bool backwards) noexcept
    : index_(&index), list_(list), backwards_(backwards) {}

bool SealedCursor::broken() noexcept {
    damaged_ = true;
    index_->set_damaged();
    return false;
}

/// The table lies behind the postings of the list.
bool SealedCursor::skip(std::uint32_t block, Skip& skip) noexcept {
    if (list_.place > index_->length(Section::postings)) return broken();
    const std::uint64_t at = list_.place + 8ULL * block;
    if (!index_->touch(Section::postings, at, 8)) return broken();
    const std::byte* const from = index_->at(Section::postings) + at;
    skip.last = base::load<std::uint32_t>(from);
    skip.end = base::load<std::uint32_t>(from + 4);
    return true;
}

/// Decodes `count` ordinals from the bytes at `offset`, each the distance from the one before.
bool SealedCursor::decode(std::uint64_t offset, std::uint64_t bytes, std::uint32_t before,
                          std::uint32_t count, bool first_known) noexcept {
    if (!index_->touch(Section::postings, offset, bytes)) return broken();
    const std::byte* at = index_->at(Section::postings) + offset;
    const std::byte* const end = at + bytes;
    std::uint64_t ordinal = before;
    size_ = 0;
    if (first_known) ordinals_[size_++] = before;
    while (size_ < count) {
        std::uint64_t distance = 0;
        unsigned shift = 0;
        for (;; shift += 7) {
            if (at == end || shift > 28) return broken();
            const auto byte = std::to_integer<std::uint64_t>(*at++);
            distance |= (byte & 0x7FU) << shift;
            if ((byte & 0x80U) == 0) break;
        }
        ordinal += distance;
        const bool rises = distance > 0 || (size_ == 0 && before == 0 && !first_known);
        if (!rises || ordinal > list_.last) return broken();
        ordinals_[size_++] = static_cast<std::uint32_t>(ordinal);
    }
    return true;
}

bool SealedCursor::load(std::uint32_t block) noexcept {
    if (loaded_ && block == block_) return true;
    loaded_ = false;
    block_ = block;
    const bool last_block = block + 1 == blocks();
    if (list_.count <= 2) {
        ordinals_[0] = list_.first;
        ordinals_[1] = list_.last;
        size_ = list_.count;
    } else if (list_.count <= kPostingsPerBlock) {
        const std::uint64_t length = index_->length(Section::postings);
        if (list_.place > length) return broken();
        const std::uint64_t most = 5ULL * (list_.count - 1);
        if (!decode(list_.place, std::min(most, length - list_.place), list_.first, list_.count,
                    true))
            return false;
    } else {
        Skip before;
        Skip own;
        Skip whole;
        if (block > 0 && !skip(block - 1, before)) return false;
        if (!skip(block, own) || !skip(blocks() - 1, whole)) return false;
        if (own.end < before.end || whole.end < own.end || whole.end > list_.place) return broken();
        const std::uint32_t count =
            last_block ? list_.count - block * kPostingsPerBlock : kPostingsPerBlock;
        const std::uint64_t begin = list_.place - whole.end;
        if (!decode(begin + before.end, own.end - before.end, before.last, count, false))
            return false;
        if (ordinals_[size_ - 1] != own.last) return broken();
    }
    if (block == 0 && ordinals_[0] != list_.first) return broken();
    if (last_block && ordinals_[size_ - 1] != list_.last) return broken();
    loaded_ = true;
    at_ = backwards_ ? size_ : 0;
    return true;
}

bool SealedCursor::seek(std::uint32_t ordinal) noexcept {
    ended_ = damaged_ || list_.count == 0 || !find(ordinal);
    return !ended_;
}

bool SealedCursor::find(std::uint32_t ordinal) noexcept {
    if (backwards_ ? ordinal < list_.first : ordinal > list_.last) return false;
    std::uint32_t low = 0;  // the first block that ends at or behind `ordinal`
    std::uint32_t high = blocks() - 1;
    while (low < high && list_.count > kPostingsPerBlock) {
        const std::uint32_t middle = low + (high - low) / 2;
        Skip of;
        if (!skip(middle, of)) return false;
        of.last < ordinal ? low = middle + 1 : high = middle;
    }
    if (!load(low)) return false;
    at_ = static_cast<std::uint32_t>(
        (backwards_ ? std::upper_bound(ordinals_, ordinals_ + size_, ordinal)
                    : std::lower_bound(ordinals_, ordinals_ + size_, ordinal)) -
        ordinals_);
    // Backwards, everything of this block may lie behind: then the block before ends it.
    if (backwards_ && at_ == 0) return low > 0 && load(low - 1);
    return true;
}

std::size_t SealedCursor::next(std::span<std::uint32_t> ordinals) noexcept {
    if (damaged_ || ended_ || list_.count == 0) return 0;
    if (!loaded_ && !load(backwards_ ? blocks() - 1 : 0)) return 0;
    if (backwards_) {
        if (at_ == 0 && (block_ == 0 || !load(block_ - 1))) return 0;
        const std::size_t count = std::min<std::size_t>(at_, ordinals.size());
        for (std::size_t n = 0; n < count; ++n) ordinals[n] = ordinals_[--at_];
        return count;
    }
    if (at_ == size_ && (block_ + 1 == blocks() || !load(block_ + 1))) return 0;
    const std::size_t count = std::min<std::size_t>(size_ - at_, ordinals.size());
    std::copy_n(ordinals_ + at_, count, ordinals.begin());
    at_ += static_cast<std::uint32_t>(count);
    return count;
}

/// Loads the block that holds the first event at or beyond `ordinal`, which lies beyond the one
/// that is loaded: its distance is doubled until it is far enough, then halved.
bool SealedCursor::reach_block(std::uint32_t ordinal) noexcept {
    const std::uint32_t ahead = backwards_ ? block_ : blocks() - 1 - block_;
    const auto numbered = [&](std::uint32_t n) { return backwards_ ? block_ - n : block_ + n; };
    // True if block `n` ends before `ordinal`; backwards, if it begins behind it: then the block
    // before it ends at or behind `ordinal`.
    bool whole = true;
    const auto short_of = [&](std::uint32_t n) {
        Skip of;
        if (!backwards_) return (whole = skip(numbered(n), of)) && of.last < ordinal;
        if (numbered(n) == 0) return false;
        return (whole = skip(numbered(n) - 1, of)) && of.last >= ordinal;
    };
    std::uint32_t low = 1;
    std::uint32_t high = 1;
    while (high < ahead && short_of(high)) {
        low = high + 1;
        high = std::min(2 * high, ahead);
    }
    while (whole && low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        short_of(middle) ? low = middle + 1 : high = middle;
    }
    return whole && load(numbered(low));
}

bool SealedCursor::reach_far(std::uint32_t ordinal, std::uint32_t& found) noexcept {
    if (damaged_ || ended_ || list_.count == 0) return false;
    if (!loaded_ && !load(backwards_ ? blocks() - 1 : 0)) return false;
    const std::uint32_t last_block = backwards_ ? 0 : blocks() - 1;
    const bool over = block_ == last_block && at_ == (backwards_ ? 0 : size_);
    ended_ = over || (backwards_ ? ordinal < list_.first : ordinal > list_.last);
    if (ended_) return false;
    const bool beyond = backwards_ ? ordinals_[0] > ordinal : ordinals_[size_ - 1] < ordinal;
    if (beyond && !reach_block(ordinal)) return false;
    return backwards_ ? reach_back(ordinal, found) : reach_on(ordinal, found);
}

std::size_t SealedCursor::keep(std::span<std::uint32_t> ordinals, bool inside) noexcept {
    std::size_t kept = 0;
    std::uint32_t found = 0;
    for (const std::uint32_t ordinal : ordinals) {
        const bool has = reach(ordinal, found) && found == ordinal;
        if (damaged_) break;
        ordinals[kept] = ordinal;
        kept += has == inside ? 1 : 0;
    }
    return kept;
}

/// Within the block that is loaded, or at the beginning of the next one.
bool SealedCursor::reach_on(std::uint32_t ordinal, std::uint32_t& found) noexcept {
    if (at_ == size_ && !load(block_ + 1)) return false;
    const std::uint32_t near = std::min(at_ + kNear, size_);
    while (at_ < near && ordinals_[at_] < ordinal) ++at_;
    if (at_ == near) {
        at_ = static_cast<std::uint32_t>(
            std::lower_bound(ordinals_ + at_, ordinals_ + size_, ordinal) - ordinals_);
    }
    if (at_ == size_) return broken();
    found = ordinals_[at_];
    return true;
}

bool SealedCursor::reach_back(std::uint32_t ordinal, std::uint32_t& found) noexcept {
    if (at_ == 0 && !load(block_ - 1)) return false;
    const std::uint32_t near = at_ > kNear ? at_ - kNear : 0;
    while (at_ > near && ordinals_[at_ - 1] > ordinal) --at_;
    if (at_ == near) {
        at_ = static_cast<std::uint32_t>(std::upper_bound(ordinals_, ordinals_ + at_, ordinal) -
                                         ordinals_);
    }
    // All of a block that was leapt to may lie behind: then the block before ends it.
    if (at_ == 0 && block_ > 0 && !load(block_ - 1)) return false;
    if (at_ == 0 || ordinals_[at_ - 1] > ordinal) return broken();
    found = ordinals_[at_ - 1];
    return true;
}

SealedNames::SealedNames(const SealedIndex& index, KeyKind kind, std::string_view from) noexcept
    : end_(index.end_entry(kind)), cursor_(index) {
    std::uint32_t low = index.first_entry(kind);
    const std::uint32_t begin = low;
    // Whole blocks are skipped by their first names; then one by one.
    std::uint32_t first = low / kNamesPerBlock;
    std::uint32_t last = end_ / kNamesPerBlock;
    while (first < last && !from.empty() && !cursor_.damaged()) {
        const std::uint32_t middle = first + (last - first + 1) / 2;
        SealedName name;
        const std::uint32_t entry = middle * kNamesPerBlock;
        if (entry >= end_) {
            last = middle - 1;
            continue;
        }
        cursor_.seek(entry);
        if (!cursor_.next(name)) break;
        name.name <= from ? first = middle : last = middle - 1;
    }
    low = std::max(begin, first * kNamesPerBlock);
    cursor_.seek(low);
    while (!waiting_ && next()) waiting_ = current_.name >= from;
}

bool SealedNames::next() noexcept {
    if (waiting_) {
        waiting_ = false;
        return true;
    }
    return cursor_.entry() + 1 < end_ && cursor_.next(current_);
}

SealedIds::SealedIds(const SealedIndex& index, Key key) noexcept
    : index_(&index), print_(fingerprint(key)) {
    const std::uint64_t slots = index.length(Section::ids) / 8;
    const std::uint64_t mix = mixed(print_);
    if (slots == 0 || !index.may_hold(mix)) return;
    left_ = slots;
    slot_ = kSlotsPerBucket * scaled(mix, slots / kSlotsPerBucket);
}

bool SealedIds::next(std::uint32_t& ordinal) noexcept {
    const std::uint64_t slots = index_->length(Section::ids) / 8;
    while (left_ > 0) {
        --left_;
        if (!index_->touch(Section::ids, 8 * slot_, 8)) {
            damaged_ = true;
            break;
        }
        const auto word = base::load<std::uint64_t>(index_->at(Section::ids) + 8 * slot_);
        slot_ = slot_ + 1 == slots ? 0 : slot_ + 1;
        if (word == 0) break;
        if (word >> 32 != print_) continue;
        ordinal = static_cast<std::uint32_t>(word) - 1;
        if (ordinal < index_->events()) return true;
        index_->set_damaged();
        damaged_ = true;
        break;
    }
    left_ = 0;
    return false;
}

}  // namespace varve::index
