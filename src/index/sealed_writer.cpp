#include "index/sealed_writer.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "base/crc32c.hpp"
#include "base/error.hpp"

namespace varve::index {

namespace {

constexpr std::size_t kVarintMax = 10;

std::size_t encode_varint(std::byte* to, std::uint64_t value) noexcept {
    std::size_t size = 0;
    for (; value >= 0x80; value >>= 7) to[size++] = static_cast<std::byte>(value | 0x80U);
    to[size++] = static_cast<std::byte>(value);
    return size;
}

}  // namespace

SealedWriter::SealedWriter(Sink& sink, Scratch& scratch, const std::function<bool()>& go_on)
    : sink_(sink),
      scratch_(scratch),
      go_on_(go_on),
      buffer_(std::make_unique<std::byte[]>(kBuffer)),
      dictionary_(scratch),
      blocks_(scratch),
      names_(scratch) {
    list_.reserve(kPostingsPerBlock);
    header_.sections[0] = {kSealedHeaderSize, 0};
}

void SealedWriter::no_memory() noexcept {
    fail(base::failure(ErrorCode::out_of_memory, "no memory to make an index"));
}

// ---- bytes

/// Adds to the checksums of the blocks.
void SealedWriter::sum(base::Bytes bytes) noexcept {
    while (!bytes.empty()) {
        if (summed_ == 0) sum_ = static_cast<std::uint32_t>(sums_.size()) ^ kSealedSeed;
        const std::size_t part = std::min<std::uint64_t>(bytes.size(), kSealedBlock - summed_);
        sum_ = base::crc32c(sum_, bytes.first(part));
        summed_ += part;
        bytes = bytes.subspan(part);
        if (summed_ < kSealedBlock) continue;
        summed_ = 0;
        try {
            sums_.push_back(sum_);
        } catch (const std::bad_alloc&) {
            no_memory();
        }
    }
}

void SealedWriter::flush() noexcept {
    const base::Bytes bytes{buffer_.get(), std::exchange(used_, 0)};
    if (bytes.empty() || error_) return;
    if (summing_) sum(bytes);
    if (!go_on_()) fail(base::failure(ErrorCode::busy, "making an index was given up"));
    auto done = sink_.write_at(written_, bytes);
    if (!done) fail(std::move(done).error());
    written_ += bytes.size();
}

void SealedWriter::put(base::Bytes bytes) noexcept {
    while (!bytes.empty() && !error_) {
        std::byte* const to = room_for(1);
        const std::size_t part = std::min(bytes.size(), kBuffer - used_);
        std::memcpy(to, bytes.data(), part);
        used_ += part;
        bytes = bytes.subspan(part);
    }
}

void SealedWriter::put_varint(std::uint64_t value) noexcept {
    used_ += encode_varint(room_for(kVarintMax), value);
}

/// Ends the section and begins another one.
void SealedWriter::begin(Section section) noexcept {
    SectionPlace& ended = header_.sections[static_cast<std::size_t>(section_)];
    const std::uint64_t at = position();
    ended.length = at - ended.offset;
    const std::byte zeros[64] = {};
    put({zeros, base::align_up(at, 64) - at});
    section_ = section;
    header_.sections[static_cast<std::size_t>(section)] = {base::align_up(at, 64), 0};
}

// ---- names

void SealedWriter::begin_name(KeyKind kind, std::string_view name) noexcept {
    try {
        kind_ = kind;
        name_.assign(name);
        skips_.clear();
        list_.clear();
        count_ = 0;
        in_block_ = 0;
        list_begin_ = position() - header_.sections[0].offset;
    } catch (const std::bad_alloc&) {
        no_memory();
    }
}

void SealedWriter::add(std::uint32_t ordinal) {
    if (error_) return;
    if (count_ == 0) first_ = ordinal;
    // A list is kept until it is known to be long: short ones have another form.
    if (count_ < kPostingsPerBlock) {
        list_.push_back(ordinal);
    } else {
        if (count_ == kPostingsPerBlock) {
            std::uint32_t before = 0;
            for (const std::uint32_t one : list_) put_varint(one - std::exchange(before, one));
            in_block_ = kPostingsPerBlock;
        }
        if (in_block_ == kPostingsPerBlock) {
            const std::uint64_t end = position() - header_.sections[0].offset - list_begin_;
            skips_.push_back({last_, static_cast<std::uint32_t>(end)});
            in_block_ = 0;
        }
        put_varint(ordinal - last_);
        ++in_block_;
    }
    last_ = ordinal;
    ++count_;
}

void SealedWriter::end_name(std::uint32_t print) {
    if (error_ || count_ == 0) return;
    std::uint64_t place = list_begin_;
    if (count_ > kPostingsPerBlock) {
        place = position() - header_.sections[0].offset;
        skips_.push_back({last_, static_cast<std::uint32_t>(place - list_begin_)});
        for (const Skip& skip : skips_) put_value(skip);
    } else if (count_ > 2) {
        for (std::size_t n = 1; n < list_.size(); ++n) put_varint(list_[n] - list_[n - 1]);
    }
    const auto entry = static_cast<std::uint32_t>(names_.size());
    bool room = true;
    if (entry % kNamesPerBlock == 0) {
        room = blocks_.push(dictionary_.size());
        before_.clear();
    }
    const std::size_t shared = shared_length(before_, name_);
    const std::string_view rest = std::string_view{name_}.substr(shared);
    std::byte lengths[2 * kVarintMax];
    std::size_t size = encode_varint(lengths, shared);
    size += encode_varint(lengths + size, rest.size());
    room = room && dictionary_.append({lengths, size});
    room =
        room && dictionary_.append({reinterpret_cast<const std::byte*>(rest.data()), rest.size()});
    std::byte events[4 * kVarintMax];
    size = encode_varint(events, count_);
    size += encode_varint(events + size, first_);
    if (count_ > 1) size += encode_varint(events + size, last_ - first_);
    if (count_ > 2) size += encode_varint(events + size, place);
    room = room && dictionary_.append({events, size});
    room = room && names_.push({print, entry});
    if (!room) no_memory();
    ++header_.names[static_cast<std::size_t>(kind_) - 1];
    before_.swap(name_);
}

void SealedWriter::finish_names(std::span<const Id> ids) noexcept {
    ids_ = ids;
    header_.id_count = static_cast<std::uint32_t>(ids.size());
    begin(Section::dictionary);
    put({dictionary_.data(), dictionary_.size()});
    begin(Section::blocks);
    for (std::uint64_t n = 0; n < blocks_.size(); ++n) put_value(blocks_[n]);
    put_slots({names_.data(), names_.size()}, Section::slots);
    put_filter(ids);
}

/// Open addressing: each fingerprint stands in its bucket or in the next free slot behind.
void SealedWriter::put_slots(std::span<const Id> keys, Section section) noexcept {
    begin(section);
    const std::uint64_t buckets = buckets_for(keys.size());
    const std::uint64_t slots = buckets * kSlotsPerBucket;
    ScratchArray<std::uint64_t> table(scratch_);
    if (error_ || slots == 0) return;
    if (!table.resize_to_zeros(slots)) return no_memory();
    std::uint64_t until_asked = 0;
    for (const Id& key : keys) {
        std::uint64_t slot = kSlotsPerBucket * scaled(mixed(key.print), buckets);
        while (table[slot] != 0) slot = slot + 1 == slots ? 0 : slot + 1;
        table[slot] = std::uint64_t{key.print} << 32 | (key.ordinal + 1ULL);
        if (++until_asked % 65536 == 0 && !go_on_())
            return fail(base::failure(ErrorCode::busy, "making an index was given up"));
    }
    put({reinterpret_cast<const std::byte*>(table.data()), 8 * slots});
}

void SealedWriter::put_filter(std::span<const Id> ids) noexcept {
    begin(Section::filter);
    const std::uint64_t keys = names_.size() + ids.size();
    const std::uint64_t lines = filter_lines_for(keys);
    ScratchArray<std::byte> bits(scratch_);
    if (error_ || lines == 0) return;
    if (!bits.resize_to_zeros(lines * kFilterLine)) return no_memory();
    const auto set = [&](const Id& key) {
        const std::uint64_t mix = mixed(key.print);
        std::byte* const line = bits.data() + kFilterLine * scaled(mix, lines);
        for (int n = 0; n < kFilterBits; ++n) {
            const std::uint32_t bit = filter_bit(mix, n);
            line[bit / 8] |= static_cast<std::byte>(1U << (bit % 8));
        }
    };
    for (std::uint64_t n = 0; n < names_.size(); ++n) set(names_[n]);
    for (const Id& id : ids) set(id);
    put({bits.data(), bits.size()});
}

// ---- the end

void SealedWriter::put_tables(std::span<const SealedSegment> segments) noexcept {
    begin(Section::segments);
    flush();
    if (summed_ > 0) {
        try {
            sums_.push_back(sum_);
        } catch (const std::bad_alloc&) {
            return no_memory();
        }
    }
    // From here on the header's checksum answers.
    summing_ = false;
    header_.table_crc = kSealedSeed;
    const auto covered = [&](base::Bytes bytes) {
        header_.table_crc = base::crc32c(header_.table_crc, bytes);
        put(bytes);
    };
    covered(std::as_bytes(segments));
    const std::uint64_t at = position();
    SectionPlace& own = header_.sections[static_cast<std::size_t>(Section::segments)];
    own.length = at - own.offset;
    const std::byte zeros[64] = {};
    covered({zeros, base::align_up(at, 64) - at});
    section_ = Section::checksums;
    header_.sections[static_cast<std::size_t>(section_)] = {base::align_up(at, 64), 0};
    covered(std::as_bytes(std::span<const std::uint32_t>(sums_)));
    header_.sections[static_cast<std::size_t>(section_)].length = 4 * sums_.size();
    flush();
}

Result<void> SealedWriter::finish(const log::Uuid& uuid, std::span<const SealedSegment> segments,
                                  std::uint32_t end_chain) noexcept {
    put_slots(ids_, Section::ids);
    put_tables(segments);
    if (error_) return std::move(*error_);
    header_.uuid = uuid;
    header_.first_segment = segments.front().number;
    header_.last_segment = segments.back().number;
    header_.first_position = segments.front().first_position;
    header_.last_position = segments.back().last_position;
    header_.segment_count = static_cast<std::uint32_t>(segments.size());
    header_.end_chain = end_chain;
    std::byte page[kSealedHeaderSize] = {};
    base::store(page, header_);
    base::store(page + kSealedCrcOffset,
                base::crc32c(kSealedSeed, base::Bytes{page}.first(kSealedCrcOffset)));
    return sink_.write_at(0, page);
}

}  // namespace varve::index
