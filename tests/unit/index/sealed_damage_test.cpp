// Goal: damage to a sealed index never changes an answer or shortens it: opening refuses, or what
// needed the damaged bytes says `damaged`. Content that cannot be, under right checksums, is
// refused or damage as well and leads nowhere outside the file. Method: every bit of a small file
// flipped, every length cut; forged fields with the checksums made right again.
#include <gtest/gtest.h>

#include "support/sealed_expect.hpp"
#include "support/sealed_forge.hpp"

namespace varve::index {
namespace {

using test::kSealedUuid;
using test::MemoryScratch;
using test::MemorySink;
using test::SealedEvent;
using test::SealedModel;

const std::function<bool()> kGoOn = [] { return true; };

/// A few names, one list with a table, ids; several blocks of checksums because of long tags.
struct Small {
    Hasher hasher{5, 64};
    SealedModel model;
    std::vector<std::byte> file;

    Small(std::size_t count, std::size_t long_tags) {
        std::vector<SealedEvent> events(count);
        for (std::size_t n = 0; n < count; ++n) {
            SealedEvent& event = events[n];
            event.time_us = static_cast<std::int64_t>(n);
            event.stream = "order-" + std::to_string(n % 50);
            event.type = n % 2 == 0 ? "Placed" : "Paid";
            if (n % 30 == 0) event.id = "id--------------" + std::string{};
            if (n % 30 == 0) event.id[3] = static_cast<char>('A' + n / 30);
            if (n < long_tags) event.tags = {std::string(900, static_cast<char>('a' + n))};
        }
        const SealedSegment segment{3, 4, 100, 99 + count};
        MemorySink sink;
        EXPECT_TRUE(test::make_sealed(events, segment, hasher, sink, kGoOn));
        file = std::move(sink.file);
        model.add(events, segment, hasher);
    }
    [[nodiscard]] SectionPlace place(Section section) const {
        return base::load<SealedHeader>(file.data()).sections[static_cast<std::size_t>(section)];
    }
};

/// A walk's result: all of it, or a true beginning of it that ends with damage.
template <class T>
void expect_true_beginning(const std::vector<T>& found, const std::vector<T>& expected,
                           bool damaged) {
    ASSERT_LE(found.size(), expected.size());
    ASSERT_TRUE(std::equal(found.begin(), found.end(), expected.begin()));
    ASSERT_TRUE(damaged || found.size() == expected.size()) << "short without a word";
}

void expect_true_list(const SealedIndex& index, KeyKind kind, const std::string& name,
                      const std::vector<std::uint32_t>& expected) {
    SealedList list;
    const Found found = index.find(kind, name, list);
    ASSERT_NE(found, Found::no) << name;
    if (found == Found::damaged) {
        ASSERT_TRUE(index.damaged());
        return;
    }
    ASSERT_EQ(list.count, expected.size());
    SealedCursor forwards(index, list, false);
    const auto up = test::rest_of(forwards);
    ASSERT_NO_FATAL_FAILURE(expect_true_beginning(up, expected, forwards.damaged()));
    SealedCursor backwards(index, list, true);
    const auto down = test::rest_of(backwards);
    ASSERT_NO_FATAL_FAILURE(expect_true_beginning(
        down, std::vector<std::uint32_t>(expected.rbegin(), expected.rend()), backwards.damaged()));
    SealedCursor middle(index, list, false);
    const std::uint32_t from = expected[expected.size() / 2];
    if (!middle.seek(from)) {
        ASSERT_TRUE(middle.damaged());
        return;
    }
    ASSERT_NO_FATAL_FAILURE(expect_true_beginning(
        test::rest_of(middle),
        std::vector<std::uint32_t>(
            expected.begin() + static_cast<std::ptrdiff_t>(expected.size() / 2), expected.end()),
        middle.damaged()));
}

void expect_true_names(const SealedIndex& index, const SealedModel& model) {
    for (const KeyKind kind : test::kAllNameKinds) {
        std::vector<std::string> expected;
        for (const auto& [name, ordinals] : model.of(kind)) expected.push_back(name);
        std::vector<std::string> found;
        SealedNames names(index, kind, "");
        while (names.next()) found.emplace_back(names.name());
        ASSERT_NO_FATAL_FAILURE(expect_true_beginning(found, expected, names.damaged()));
        SealedList list;
        // What is not there may be unknown, but is never found.
        ASSERT_NE(index.find(kind, "nobody", list), Found::yes);
    }
}

void expect_true_columns(const SealedIndex& index, const SealedModel& model) {
    std::uint32_t offset8 = 0;
    std::uint16_t number = 0;
    SealedTimes times;
    for (std::uint32_t n = 0; n < index.events(); n += 7) {
        const Found offset = index.offset8(n, offset8);
        ASSERT_TRUE(offset == Found::damaged || offset8 == model.offsets[n]);
        const Found type = index.type_number(n, number);
        ASSERT_TRUE(type == Found::damaged || number == (n % 2 == 0 ? 1 : 0));
        ASSERT_TRUE(index.damaged() || (offset == Found::yes && type == Found::yes));
    }
    if (index.times(0, times) == Found::yes) {
        ASSERT_EQ(times.event_min, 0);
        ASSERT_EQ(times.event_max, static_cast<std::int64_t>(model.events.size()) - 1);
    } else {
        ASSERT_TRUE(index.damaged());
    }
}

/// Every answer is right, or says that it is not known.
void expect_true(const SealedIndex& index, const SealedModel& model) {
    ASSERT_EQ(index.events(), model.events.size());
    ASSERT_NO_FATAL_FAILURE(expect_true_columns(index, model));
    for (const char* const name : {"order-0", "order-49"}) {
        ASSERT_NO_FATAL_FAILURE(
            expect_true_list(index, KeyKind::stream, name, model.of(KeyKind::stream).at(name)));
    }
    for (const auto& [name, ordinals] : model.of(KeyKind::type))
        ASSERT_NO_FATAL_FAILURE(expect_true_list(index, KeyKind::type, name, ordinals));
    for (const auto& [name, ordinals] : model.of(KeyKind::tag))
        ASSERT_NO_FATAL_FAILURE(expect_true_list(index, KeyKind::tag, name, ordinals));
    for (const auto& [id, ordinals] : model.ids) {
        SealedIds ids(index, index.hasher().key(KeyKind::id, id));
        std::vector<std::uint32_t> found;
        for (std::uint32_t ordinal = 0; ids.next(ordinal);) found.push_back(ordinal);
        ASSERT_NO_FATAL_FAILURE(expect_true_beginning(found, ordinals, ids.damaged()));
    }
    ASSERT_NO_FATAL_FAILURE(expect_true_names(index, model));
}

log::Fault open(const Small& small, base::Bytes bytes, SealedIndex& index) {
    return SealedIndex::open(bytes, kSealedUuid, small.hasher, index);
}

TEST(SealedDamage, AnUndamagedFileAnswersEverything) {
    for (const std::size_t long_tags : {0U, 20U}) {
        const Small small(300, long_tags);
        SealedIndex index;
        ASSERT_STREQ(open(small, small.file, index), nullptr);
        ASSERT_NO_FATAL_FAILURE(expect_true(index, small.model));
        ASSERT_FALSE(index.damaged());
        ASSERT_EQ(small.place(Section::checksums).length, long_tags == 0 ? 4U : 8U);
    }
}

/// With the bit flipped. `answered` counts files that were opened and answered everything asked.
void expect_true_with_flipped(Small& small, std::size_t bit, std::size_t& answered) {
    const std::uint64_t content_end = small.place(Section::segments).offset;
    const bool content = bit / 8 >= kSealedHeaderSize && bit / 8 < content_end;
    std::byte& byte = small.file[bit / 8];
    const std::byte flipped = std::byte{1} << static_cast<int>(bit % 8);
    byte ^= flipped;
    SealedIndex index;
    const log::Fault fault = open(small, small.file, index);
    // Header and tables are looked at when opening, the rest is not.
    ASSERT_EQ(fault == nullptr, content);
    if (fault == nullptr) {
        ASSERT_NO_FATAL_FAILURE(expect_true(index, small.model));
        if (!index.damaged()) ++answered;
        ASSERT_EQ(index.check_all(), Found::damaged);
        ASSERT_TRUE(index.damaged());
    }
    byte ^= flipped;
}

TEST(SealedDamage, NoFlippedBitChangesOrShortensAnAnswer) {
    Small small(140, 0);
    std::size_t answered = 0;
    for (std::size_t bit = 0; bit < 8 * small.file.size(); ++bit)
        ASSERT_NO_FATAL_FAILURE(expect_true_with_flipped(small, bit, answered)) << bit;
    EXPECT_EQ(answered, 0U);  // all of it lies in one block
}

TEST(SealedDamage, DamageInOneBlockLeavesTheOthersTrue) {
    Small small(300, 20);
    std::size_t answered = 0;
    for (std::size_t byte = 0; byte < small.file.size(); ++byte)
        ASSERT_NO_FATAL_FAILURE(expect_true_with_flipped(small, 8 * byte + byte % 8, answered))
            << byte;
    SealedIndex index;
    small.file[small.place(Section::postings).offset] ^= std::byte{1};
    ASSERT_STREQ(open(small, small.file, index), nullptr);
    SealedTimes times;
    SealedList list;
    EXPECT_EQ(index.times(0, times), Found::yes);
    EXPECT_EQ(index.find(KeyKind::type, "Paid", list), Found::damaged);
}

TEST(SealedDamage, EveryShorterFileIsRefused) {
    const Small small(300, 20);
    for (std::size_t length = 0; length < small.file.size(); ++length) {
        const std::vector<std::byte> cut(small.file.begin(),
                                         small.file.begin() + static_cast<std::ptrdiff_t>(length));
        SealedIndex index;
        ASSERT_NE(open(small, cut, index), nullptr) << length;
    }
}

// ---- right checksums over content that cannot be

TEST(SealedForged, SigningAnUnchangedFileChangesNothing) {
    const Small small(300, 20);
    std::vector<std::byte> file = small.file;
    test::sign_sealed(file);
    EXPECT_EQ(file, small.file);
}

TEST(SealedForged, AnOrdinalOfAnIdBehindTheEndIsDamage) {
    Small small(300, 0);
    const SectionPlace ids = small.place(Section::ids);
    std::uint32_t slots = 0;
    for (std::uint64_t at = ids.offset; at < ids.offset + ids.length; at += 8) {
        const auto word = base::load<std::uint64_t>(small.file.data() + at);
        if (word == 0) continue;
        ++slots;
        base::store(small.file.data() + at, (word >> 32 << 32) | 301U);  // one plus ordinal 300
    }
    ASSERT_EQ(slots, 10U);
    test::sign_sealed(small.file);
    SealedIndex index;
    ASSERT_STREQ(open(small, small.file, index), nullptr);
    SealedIds ids_of(index, small.hasher.key(KeyKind::id, small.model.ids.begin()->first));
    std::uint32_t ordinal = 0;
    EXPECT_FALSE(ids_of.next(ordinal));
    EXPECT_TRUE(ids_of.damaged());
    EXPECT_FALSE(ids_of.next(ordinal));
    EXPECT_TRUE(index.damaged());
}

/// Merges the file alone, as it is.
Result<void> merge_alone(const Small& small) {
    SealedIndex index;
    EXPECT_STREQ(open(small, small.file, index), nullptr);
    const SealedIndex* const inputs[] = {&index};
    MemorySink sink;
    MemoryScratch scratch;
    return merge_sealed(inputs, kSealedUuid, sink, scratch, kGoOn);
}

TEST(SealedForged, MergingRefusesWhatCannotBe) {
    const Small whole(300, 0);
    ASSERT_TRUE(merge_alone(whole));
    for (const Section section : {Section::ids, Section::types, Section::postings}) {
        Small small(300, 0);
        const SectionPlace place = small.place(section);
        std::uint64_t at = place.offset;
        if (section == Section::ids) {
            while (base::load<std::uint64_t>(small.file.data() + at) == 0) at += 8;
            base::store(small.file.data() + at, std::uint32_t{0});  // no ordinal at all
        } else {
            // A type that is not in the dictionary; a distance of zero.
            base::store(small.file.data() + at,
                        section == Section::types ? std::uint16_t{2} : std::uint16_t{0});
        }
        test::sign_sealed(small.file);
        Result<void> merged = merge_alone(small);
        ASSERT_FALSE(merged) << static_cast<int>(section);
        EXPECT_EQ(merged.error().code, ErrorCode::corrupt);
    }
    // An id that is missing.
    Small fewer(300, 0);
    std::uint64_t at = fewer.place(Section::ids).offset;
    while (base::load<std::uint64_t>(fewer.file.data() + at) == 0) at += 8;
    base::store(fewer.file.data() + at, std::uint64_t{0});
    test::sign_sealed(fewer.file);
    Result<void> short_of_one = merge_alone(fewer);
    ASSERT_FALSE(short_of_one);
    EXPECT_EQ(short_of_one.error().code, ErrorCode::corrupt);
    // Damage that no checksum hides is found as well.
    Small damaged(300, 0);
    damaged.file[damaged.place(Section::offsets).offset] ^= std::byte{1};
    Result<void> merged = merge_alone(damaged);
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().code, ErrorCode::corrupt);
}

TEST(SealedForged, AFilterOfAnotherLengthIsRefused) {
    // Without its last line, which becomes space before the next section.
    Small small(300, 0);
    auto header = base::load<SealedHeader>(small.file.data());
    SectionPlace& filter = header.sections[static_cast<std::size_t>(Section::filter)];
    ASSERT_GT(filter.length, kFilterLine);
    const std::uint64_t moved = filter.length;
    filter.length = 0;
    for (auto n = static_cast<std::size_t>(Section::offsets); n < kSections; ++n)
        header.sections[n].offset -= moved;
    const auto begin = small.file.begin() + static_cast<std::ptrdiff_t>(filter.offset);
    small.file.erase(begin, begin + static_cast<std::ptrdiff_t>(moved));
    base::store(small.file.data(), header);
    test::sign_sealed(small.file);
    SealedIndex index;
    EXPECT_STREQ(open(small, small.file, index), "a section lies where it cannot be");
}

TEST(SealedForged, AListOutsideThePostingsIsDamage) {
    const Small small(300, 0);
    SealedIndex index;
    ASSERT_STREQ(open(small, small.file, index), nullptr);
    for (const std::uint64_t place : {~0ULL, ~0ULL - 7, 1ULL << 40}) {
        for (const std::uint32_t count : {100U, 129U, 300U}) {
            for (const bool backwards : {false, true}) {
                SealedCursor cursor(index, {count, 0, 299, place}, backwards);
                std::uint32_t ordinal = 0;
                EXPECT_FALSE(cursor.seek(150));
                EXPECT_FALSE(cursor.next(ordinal));
                EXPECT_TRUE(cursor.damaged());
            }
        }
    }
}

}  // namespace
}  // namespace varve::index
