#include "index/sealed_index.hpp"

#include <algorithm>
#include <new>

#include "base/crc32c.hpp"

namespace varve::index {

namespace {

// Entries of the dictionary have numbers of 32 bits.
constexpr std::uint64_t kSealedEntriesMax = 0xFFFF'FF00ULL;

/// Names of all kinds.
std::uint64_t names_of(const SealedHeader& header) noexcept {
    std::uint64_t names = 0;
    for (const std::uint32_t count : header.names) names += count;
    return names;
}

/// Bytes that a section of so many things must have; ~0: any.
std::uint64_t expected_length(const SealedHeader& header, Section section) noexcept {
    const std::uint64_t names = names_of(header);
    const std::uint64_t events = header.last_position - header.first_position + 1;
    switch (section) {
        case Section::blocks: return 8 * ((names + kNamesPerBlock - 1) / kNamesPerBlock);
        case Section::filter: return kFilterLine * filter_lines_for(names + header.id_count);
        case Section::slots: return 8 * kSlotsPerBucket * buckets_for(names);
        case Section::ids: return 8 * kSlotsPerBucket * buckets_for(header.id_count);
        case Section::offsets: return 4 * events;
        case Section::types: return 2 * events;
        case Section::times: return sizeof(SealedTimes) * ((events + kTimeGroup - 1) / kTimeGroup);
        case Section::segments: return sizeof(SealedSegment) * header.segment_count;
        default: return ~0ULL;
    }
}

}  // namespace

log::Fault SealedIndex::open(base::Bytes file, const log::Uuid& uuid, const Hasher& hasher,
                             SealedIndex& to) noexcept {
    if (file.size() < kSealedHeaderSize) return "shorter than its header";
    to.file_ = file;
    to.hasher_ = hasher;
    to.header_ = base::load<SealedHeader>(file.data());
    const SealedHeader& header = to.header_;
    if (header.magic != kSealedMagic) return "its first bytes are not those of a sealed index";
    if (log::Fault fault = to.check_header()) return fault;
    if (header.uuid != uuid) return "it belongs to another store";
    if (log::Fault fault = to.check_places()) return fault;
    to.events_ = static_cast<std::uint32_t>(header.last_position - header.first_position + 1);
    return to.load_tables();
}

log::Fault SealedIndex::load_tables() noexcept {
    blocks_ = length(Section::checksums) / 4;
    try {
        segments_.resize(header_.segment_count);
        checked_ = std::make_unique<std::atomic<std::uint64_t>[]>(blocks_ / 64 + 1);
    } catch (const std::bad_alloc&) {
        return "there is no memory for its tables";
    }
    std::memcpy(segments_.data(), at(Section::segments), length(Section::segments));
    std::uint64_t next = header_.first_position;
    for (const SealedSegment& segment : segments_) {
        if (segment.first_position != next || segment.last_position < next)
            return "its segments do not follow each other";
        next = segment.last_position + 1;
    }
    return next == header_.last_position + 1 ? nullptr : "its segments do not follow each other";
}

log::Fault SealedIndex::check_header() const noexcept {
    const std::uint32_t crc = base::crc32c(kSealedSeed, file_.first(kSealedCrcOffset));
    if (base::load<std::uint32_t>(file_.data() + kSealedCrcOffset) != crc)
        return "its header is damaged";
    if (header_.format != kSealedFormat) return log::kWrittenByNewer;
    const bool possible = header_.first_position > 0 &&
                          header_.last_position >= header_.first_position &&
                          header_.last_position - header_.first_position < kSealedEventsMax &&
                          header_.segment_count > 0 && names_of(header_) <= kSealedEntriesMax;
    return possible ? nullptr : "its header says what cannot be";
}

/// Sections lie one behind the other, each as long as its content, up to the end of the file.
log::Fault SealedIndex::check_places() const noexcept {
    std::uint64_t end = kSealedHeaderSize;
    for (std::size_t n = 0; n < kSections; ++n) {
        const SectionPlace& section = header_.sections[n];
        const std::uint64_t wanted = expected_length(header_, static_cast<Section>(n));
        const bool fine = section.offset == base::align_up(end, 64) &&
                          base::fits(section.offset, section.length, file_.size()) &&
                          (wanted == ~0ULL || section.length == wanted);
        if (!fine) return "a section lies where it cannot be";
        end = section.offset + section.length;
    }
    const SectionPlace& tables = place(Section::segments);
    const std::uint64_t checked = tables.offset - kSealedHeaderSize;
    if (length(Section::checksums) != 4 * ((checked + kSealedBlock - 1) / kSealedBlock))
        return "a section lies where it cannot be";
    const std::uint32_t crc =
        base::crc32c(kSealedSeed, file_.subspan(tables.offset, end - tables.offset));
    return crc == header_.table_crc ? nullptr : "its tables are damaged";
}

std::uint32_t SealedIndex::names(KeyKind kind) const noexcept {
    if (kind == KeyKind::id) return header_.id_count;
    const auto n = static_cast<std::size_t>(kind) - 1;
    return n < kNameKinds ? header_.names[n] : 0;
}

std::uint32_t SealedIndex::first_entry(KeyKind kind) const noexcept {
    std::uint32_t entry = 0;
    for (std::size_t n = 1; n < static_cast<std::size_t>(kind); ++n) entry += header_.names[n - 1];
    return entry;
}

bool SealedIndex::check_block(std::uint64_t block) const noexcept {
    if (is_checked(block)) return true;
    const std::uint64_t begin = kSealedHeaderSize + block * kSealedBlock;
    const std::uint64_t end = std::min(begin + kSealedBlock, place(Section::segments).offset);
    const std::uint32_t crc = base::crc32c(static_cast<std::uint32_t>(block) ^ kSealedSeed,
                                           file_.subspan(begin, end - begin));
    if (crc != base::load<std::uint32_t>(at(Section::checksums) + 4 * block)) {
        set_damaged();
        return false;
    }
    checked_[block / 64].fetch_or(1ULL << (block % 64), std::memory_order_relaxed);
    return true;
}

bool SealedIndex::touch_blocks(Section section, std::uint64_t offset,
                               std::uint64_t length) const noexcept {
    const SectionPlace& of = place(section);
    if (length == 0) return true;
    if (!base::fits(offset, length, of.length)) {
        set_damaged();
        return false;
    }
    const std::uint64_t begin = of.offset + offset - kSealedHeaderSize;
    const std::uint64_t last = (begin + length - 1) / kSealedBlock;
    for (std::uint64_t block = begin / kSealedBlock; block <= last; ++block) {
        if (!check_block(block)) return false;
    }
    return true;
}

Found SealedIndex::check_all() const noexcept {
    bool whole = true;
    for (std::uint64_t block = 0; block < blocks_; ++block) whole = check_block(block) && whole;
    return whole ? Found::yes : Found::damaged;
}

void SealedIndex::prefetch(Key key) const noexcept {
    const std::uint64_t mix = mixed(fingerprint(key));
    const std::uint64_t lines = length(Section::filter) / kFilterLine;
    if (lines > 0) __builtin_prefetch(at(Section::filter) + kFilterLine * scaled(mix, lines));
}

bool SealedIndex::may_hold(std::uint64_t mix) const noexcept {
    const std::uint64_t lines = length(Section::filter) / kFilterLine;
    if (lines == 0) return false;
    const std::uint64_t line = kFilterLine * scaled(mix, lines);
    // A damaged line says nothing: then the slots decide, and they are checked as well.
    if (!touch(Section::filter, line, kFilterLine)) return true;
    const std::byte* const bits = at(Section::filter) + line;
    for (int n = 0; n < kFilterBits; ++n) {
        const std::uint32_t bit = filter_bit(mix, n);
        if ((std::to_integer<unsigned>(bits[bit / 8]) >> (bit % 8) & 1U) == 0) return false;
    }
    return true;
}

Found SealedIndex::find(KeyKind kind, std::string_view name, Key key, SealedList& list) const {
    const std::uint32_t print = fingerprint(key);
    const std::uint64_t mix = mixed(print);
    if (!may_hold(mix)) return Found::no;
    const std::uint64_t slots = length(Section::slots) / 8;
    if (slots == 0) return Found::no;
    std::uint64_t slot = kSlotsPerBucket * scaled(mix, slots / kSlotsPerBucket);
    for (std::uint64_t n = 0; n < slots; ++n, slot = slot + 1 == slots ? 0 : slot + 1) {
        if (!touch(Section::slots, 8 * slot, 8)) return Found::damaged;
        const auto word = base::load<std::uint64_t>(at(Section::slots) + 8 * slot);
        if (word == 0) return Found::no;
        if (word >> 32 != print) continue;
        const auto entry = static_cast<std::uint32_t>(word) - 1;
        DictionaryCursor cursor(*this);
        cursor.seek(entry);
        SealedName found;
        if (!cursor.next(found)) {
            set_damaged();
            return Found::damaged;
        }
        const bool same = entry >= first_entry(kind) && entry < end_entry(kind);
        if (!same || found.name != name) continue;
        list = found.list;
        return Found::yes;
    }
    return Found::no;
}

bool SealedIndex::touch_together(Section column, std::span<const std::uint32_t> ordinals,
                                 std::uint64_t width) const noexcept {
    if (ordinals.empty()) return true;
    const std::uint64_t first = std::min(ordinals.front(), ordinals.back());
    const std::uint64_t last = std::max(ordinals.front(), ordinals.back());
    return last < events_ && width * (last - first) < kSealedBlock &&
           touch(column, width * first, width * (last - first + 1));
}

void SealedIndex::offsets8(std::span<const std::uint32_t> ordinals,
                           std::uint32_t* to) const noexcept {
    const std::byte* const column = at(Section::offsets);
    const bool whole = touch_together(Section::offsets, ordinals, 4);
    for (const std::uint32_t ordinal : ordinals) {
        *to = whole ? base::load<std::uint32_t>(column + 4ULL * ordinal) : 0;
        if (!whole) static_cast<void>(offset8(ordinal, *to));
        ++to;
    }
}

std::size_t SealedIndex::type_numbers(std::span<const std::uint32_t> ordinals,
                                      std::uint16_t* to) const noexcept {
    const std::byte* const column = at(Section::types);
    const bool whole = touch_together(Section::types, ordinals, 2);
    for (std::size_t n = 0; n < ordinals.size(); ++n) {
        if (whole)
            to[n] = base::load<std::uint16_t>(column + 2ULL * ordinals[n]);
        else if (type_number(ordinals[n], to[n]) != Found::yes)
            return n;
    }
    return ordinals.size();
}

Found SealedIndex::times(std::uint32_t group, SealedTimes& times) const noexcept {
    const std::uint64_t offset = sizeof(SealedTimes) * std::uint64_t{group};
    if (offset >= length(Section::times)) return Found::no;
    if (!touch(Section::times, offset, sizeof(SealedTimes))) return Found::damaged;
    times = base::load<SealedTimes>(at(Section::times) + offset);
    return Found::yes;
}

// ---- the dictionary

bool DictionaryCursor::broken() noexcept {
    damaged_ = true;
    index_->set_damaged();
    return false;
}

void DictionaryCursor::seek(std::uint32_t entry) noexcept {
    next_ = entry / kNamesPerBlock * kNamesPerBlock;
    at_ = nullptr;
    SealedName skipped;
    while (next_ < entry && next(skipped)) {
    }
}

bool DictionaryCursor::enter_block(std::uint32_t block) noexcept {
    const std::uint64_t blocks = index_->length(Section::blocks) / 8;
    const bool last = block + 1ULL >= blocks;
    if (block >= blocks) return broken();
    if (!index_->touch(Section::blocks, 8ULL * block, last ? 8 : 16)) return broken();
    const std::byte* const places = index_->at(Section::blocks);
    const auto begin = base::load<std::uint64_t>(places + 8ULL * block);
    const std::uint64_t end = last ? index_->length(Section::dictionary)
                                   : base::load<std::uint64_t>(places + 8ULL * block + 8);
    if (begin > end || !index_->touch(Section::dictionary, begin, end - begin)) return broken();
    at_ = index_->at(Section::dictionary) + begin;
    end_ = index_->at(Section::dictionary) + end;
    length_ = 0;
    return true;
}

bool DictionaryCursor::take(std::uint64_t& value) noexcept {
    value = 0;
    for (unsigned shift = 0; shift < 64 && at_ < end_; shift += 7) {
        const auto byte = std::to_integer<std::uint64_t>(*at_++);
        value |= (byte & 0x7FU) << shift;
        if ((byte & 0x80U) == 0) return true;
    }
    return false;
}

bool DictionaryCursor::next(SealedName& name) noexcept {
    if (damaged_ || next_ >= index_->end_entry(KeyKind::tag)) return false;
    if ((next_ % kNamesPerBlock == 0 || at_ == nullptr) && !enter_block(next_ / kNamesPerBlock))
        return false;
    std::uint64_t shared = 0;
    std::uint64_t suffix = 0;
    if (!take(shared) || !take(suffix)) return broken();
    const bool fits = shared <= length_ && suffix <= sizeof name_ - shared &&
                      suffix <= static_cast<std::uint64_t>(end_ - at_);
    if (!fits) return broken();
    std::memcpy(name_ + shared, at_, suffix);
    at_ += suffix;
    length_ = shared + suffix;
    std::uint64_t count = 0;
    std::uint64_t first = 0;
    std::uint64_t span = 0;
    std::uint64_t place = 0;
    if (!take(count) || !take(first)) return broken();
    if (count > 1 && !take(span)) return broken();
    if (count > 2 && !take(place)) return broken();
    const std::uint64_t events = index_->events();
    if (count == 0 || count > events || first >= events || span >= events - first ||
        span + 1 < count)
        return broken();
    name.name = {name_, length_};
    name.list = {static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(first),
                 static_cast<std::uint32_t>(first + span), place, next_};
    ++next_;
    return true;
}

}  // namespace varve::index
