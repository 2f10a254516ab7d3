// Fuzz target: any bytes as the file of a sealed index, as they are and with checksums made right,
// so that the content is reached. Answers lie inside the file's positions, rise, agree with each
// other and are whole unless they say `damaged`; what can be merged can be opened.
#include <cstdlib>
#include <vector>

#include "support/sealed_forge.hpp"
#include "support/sealed_made.hpp"

namespace {

using namespace varve;
using namespace varve::index;

void must(bool holds) {
    if (!holds) std::abort();
}

/// Both directions say the same; a walk that was sought goes on like one that was not.
void walk(const SealedIndex& index, const SealedList& list) {
    std::vector<std::uint32_t> up;
    SealedCursor forwards(index, list, false);
    for (std::uint32_t ordinal = 0; forwards.next(ordinal); up.push_back(ordinal))
        must(ordinal < index.events() && (up.empty() || ordinal > up.back()));
    must(up.size() == list.count || (forwards.damaged() && up.size() < list.count));
    std::vector<std::uint32_t> down;
    SealedCursor backwards(index, list, true);
    for (std::uint32_t ordinal = 0; backwards.next(ordinal); down.push_back(ordinal))
        must(ordinal < index.events() && (down.empty() || ordinal < down.back()));
    must(down.size() == list.count || (backwards.damaged() && down.size() < list.count));
    const bool whole = !forwards.damaged() && !backwards.damaged();
    must(!whole || std::equal(up.begin(), up.end(), down.rbegin(), down.rend()));
    for (std::size_t n = 0; n < up.size(); n += up.size() / 4 + 1) {
        SealedCursor sought(index, list, n % 2 == 0);
        std::uint32_t ordinal = 0;
        const bool there = sought.seek(up[n]) && sought.next(ordinal);
        must(there ? ordinal == up[n] || !whole : sought.damaged());
    }
}

void ask_names(const SealedIndex& index) {
    for (const KeyKind kind : {KeyKind::stream, KeyKind::category, KeyKind::type, KeyKind::tag}) {
        SealedNames names(index, kind, {});
        std::uint32_t count = 0;
        for (; names.next(); ++count) {
            walk(index, names.list());
            SealedList found;
            if (index.find(kind, names.name(), found) == Found::yes) walk(index, found);
            if (count % 16 != 0) continue;
            SealedNames from(index, kind, names.name());
            // Where names are not in order, which of them come is open: it ends.
            while (from.next()) must(from.list().last < index.events());
        }
        must(count == index.names(kind) || (names.damaged() && count < index.names(kind)));
    }
}

void ask_columns(const SealedIndex& index) {
    for (std::uint32_t n = 0; n < index.events(); ++n) {
        std::uint32_t offset8 = 0;
        std::uint16_t number = 0;
        must(index.offset8(n, offset8) != Found::no);
        must(index.type_number(n, number) != Found::no);
    }
    SealedTimes times;
    for (std::uint32_t group = 0; group <= index.events() / kTimeGroup + 1; ++group)
        must(index.times(group, times) != Found::no || group >= index.events() / kTimeGroup);
    for (char last = 'a'; last < 'i'; ++last) {
        const std::string id = std::string("identity-------") + last;
        SealedIds candidates(index, index.hasher().key(KeyKind::id, id));
        for (std::uint32_t ordinal = 0; candidates.next(ordinal);) must(ordinal < index.events());
    }
}

void merge(const SealedIndex& index) {
    test::MemorySink sink;
    test::MemoryScratch scratch;
    const SealedIndex* const inputs[] = {&index};
    const Result<void> merged =
        merge_sealed(inputs, test::kSealedUuid, sink, scratch, [] { return true; });
    if (!merged) return;
    SealedIndex whole;
    must(SealedIndex::open(sink.file, test::kSealedUuid, index.hasher(), whole) == nullptr);
    must(whole.check_all() == Found::yes && whole.events() == index.events());
    must(whole.names(KeyKind::id) == index.names(KeyKind::id));
}

void ask(base::Bytes bytes) {
    SealedIndex index;
    if (SealedIndex::open(bytes, test::kSealedUuid, Hasher{5, 64}, index) != nullptr) return;
    std::uint64_t covered = 0;
    for (const SealedSegment& segment : index.segments())
        covered += segment.last_position - segment.first_position + 1;
    must(covered == index.events());
    ask_columns(index);
    ask_names(index);
    // Merging refuses what is known to be damaged: it gets one that nobody has asked yet.
    SealedIndex fresh;
    must(SealedIndex::open(bytes, test::kSealedUuid, Hasher{5, 64}, fresh) == nullptr);
    merge(fresh);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    // A copy of exactly this size, so that the sanitizer sees a read behind it.
    std::vector<std::byte> bytes(size);
    if (size > 0) std::memcpy(bytes.data(), data, size);
    ask(bytes);
    varve::test::sign_sealed(bytes);
    ask(bytes);
    return 0;
}
