#include "store/sealed.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

Result<SealedPtr> open_sealed(const Meta& meta, const file::SealedRange& range) noexcept {
    const std::string path = meta.sealed_index_path(range);
    auto file = meta.env->open(path, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size) return std::move(size).error();
    if (*size == 0) return failure(ErrorCode::corrupt, "a sealed index without content", path);
    auto identity = (*file)->identity();
    if (!identity) return std::move(identity).error();
    auto mapping = (*file)->map(static_cast<std::size_t>(*size), os::MapAccess::read);
    if (!mapping) return std::move(mapping).error();
    try {
        auto sealed = std::make_shared<SealedFile>();
        sealed->map = std::move(*mapping);
        meta.env->expect(sealed->map, os::Env::Pattern::random);
        sealed->range = range;
        sealed->identity = *identity;
        const log::Fault fault = index::SealedIndex::open(sealed->map.bytes(), meta.file.uuid,
                                                          meta.hasher, sealed->index);
        if (fault != nullptr) {
            return failure(
                log::is_newer(fault) ? ErrorCode::unsupported_version : ErrorCode::corrupt,
                std::string("a sealed index that cannot be used: ") + fault, path);
        }
        return SealedPtr(std::move(sealed));
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to open a sealed index", path);
    }
}

bool cover(SegmentList& list, const SealedPtr& sealed, std::uint64_t end) {
    const auto covered = sealed->index.segments();
    const auto begin = std::find_if(
        list.items.begin(), list.items.end(),
        [&](const SegmentPtr& one) { return one->number() == covered.front().number; });
    const auto n = static_cast<std::size_t>(begin - list.items.begin());
    if (list.items.size() - n < covered.size()) return false;
    for (std::size_t i = 0; i < covered.size(); ++i) {
        const Segment& segment = *list.items[n + i];
        const index::SealedSegment& of = covered[i];
        const bool same = segment.number() == of.number && segment.keys.salt == of.salt &&
                          segment.first() == of.first_position &&
                          list.last_of(n + i, end) == of.last_position;
        if (!same) return false;
    }
    for (std::size_t i = 0; i < covered.size(); ++i)
        list.items[n + i] = indexed_by(*list.items[n + i], sealed);
    return true;
}

bool OpenedSealed::get(const Meta& meta, const file::SealedRange& range, SealedPtr& sealed) {
    for (const SealedPtr& one : files_) {
        if (!(one->range == range) || one->index.damaged()) continue;
        sealed = one;
        return true;
    }
    auto fresh = open_sealed(meta, range);
    if (!fresh) return false;
    const bool known_damaged = std::any_of(files_.begin(), files_.end(), [&](const SealedPtr& one) {
        return one->index.damaged() && one->identity == (*fresh)->identity;
    });
    if (known_damaged) return false;
    files_.push_back(*fresh);
    sealed = std::move(*fresh);
    return true;
}

void OpenedSealed::keep_only(const std::vector<file::SealedRange>& ranges) {
    std::erase_if(files_, [&](const SealedPtr& one) {
        return std::find(ranges.begin(), ranges.end(), one->range) == ranges.end();
    });
}

bool attach_sealed(const Meta& meta, const std::vector<file::SealedRange>& ranges,
                   std::uint64_t end, SegmentList& list, OpenedSealed& opened) {
    bool whole = true;
    opened.keep_only(ranges);
    for (const file::SealedRange& range : ranges) {
        const auto first =
            std::find_if(list.items.begin(), list.items.end(), [&](const SegmentPtr& segment) {
                return segment->number() >= range.first && segment->number() <= range.last;
            });
        if (first == list.items.end()) continue;  // not there yet, for this reader
        const SealedPtr& used = (*first)->sealed;
        if (used != nullptr && used->range == range && !used->index.damaged()) continue;
        SealedPtr sealed;
        whole = opened.get(meta, range, sealed) && cover(list, sealed, end) && whole;
    }
    return whole;
}

SegmentPtr indexed_by(const Segment& segment, const SealedPtr& sealed) {
    auto other = std::make_shared<Segment>();
    other->header = segment.header;
    other->keys = segment.keys;
    other->log_file = segment.log_file;
    other->header_damaged = segment.header_damaged;
    other->sealed = sealed;
    return other;
}

IndexUnit unit_of(const SegmentList& list, std::size_t n) noexcept {
    const Segment& segment = *list.items[n];
    IndexUnit unit{n, n + 1, segment.first()};
    if (segment.sealed == nullptr) return unit;
    unit.first = segment.sealed->index.first_position();
    while (unit.begin > 0 && list.items[unit.begin - 1]->sealed == segment.sealed) --unit.begin;
    while (unit.end < list.items.size() && list.items[unit.end]->sealed == segment.sealed)
        ++unit.end;
    return unit;
}

void prefetch_key(const SegmentList& list, index::Key key) noexcept {
    constexpr std::size_t kTogether = 32;
    const SealedFile* before = nullptr;
    std::size_t left = std::min(list.items.size(), kTogether);
    for (std::size_t n = list.items.size(); left > 0; --left) {
        const Segment& segment = *list.items[--n];
        if (segment.is_ready()) segment.index.prefetch(key);
        if (segment.sealed != nullptr && segment.sealed.get() != before)
            segment.sealed->index.prefetch(key);
        before = segment.sealed.get();
    }
}

Error damaged_sealed(const Meta& meta, const SealedFile& sealed) noexcept {
    meta.index_damage->fetch_add(1, std::memory_order_relaxed);
    Error error = failure(ErrorCode::corrupt,
                          "a sealed index is damaged; it is made again from the log: try again",
                          meta.sealed_index_path(sealed.range));
    error.retry = true;
    return error;
}

}  // namespace store
}  // namespace v0
}  // namespace varve
