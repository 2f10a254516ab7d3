#include "store/sealed.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "index/sealed_builder.hpp"
#include "index/sealed_merge.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

namespace {

/// The file that an index is written to before it gets its name.
class FileSink final : public index::Sink {
public:
    explicit FileSink(os::File& file) noexcept : file_(file) {}
    Result<void> write_at(std::uint64_t offset, base::Bytes bytes) noexcept override {
        return file_.write_at(offset, bytes);
    }

private:
    os::File& file_;
};

/// Memory for making an index, from a file without a name: the system may write it out, where
/// memory of our own would have to stay.
class FileScratch final : public index::Scratch {
public:
    explicit FileScratch(const Meta& meta) noexcept : meta_(meta) {}

    std::span<std::byte> take(std::uint64_t bytes) noexcept override {
        constexpr std::uint64_t kSmall = 1 << 20;
        try {
            if (bytes <= kSmall) {
                small_.push_back(std::make_unique<std::byte[]>(bytes));
                return {small_.back().get(), bytes};
            }
            auto mapped = map(bytes);
            if (!mapped) return {};
            maps_.push_back(std::move(*mapped));
        } catch (const std::bad_alloc&) {
            return {};
        }
        return {maps_.back().data(), maps_.back().size()};
    }

private:
    Result<os::Mapping> map(std::uint64_t bytes) noexcept {
        os::Env& env = *meta_.env;
        const std::string path = meta_.index_directory() + "/scratch";
        auto stale = env.exists(path);
        if (stale && *stale) VARVE_TRY(env.remove(path));
        auto file = env.open(path, os::OpenMode::create, 0600);
        if (!file) return std::move(file).error();
        VARVE_TRY(env.remove(path));
        VARVE_TRY((*file)->allocate(base::align_up(bytes, 4096)));
        auto mapping = (*file)->map(static_cast<std::size_t>(base::align_up(bytes, 4096)),
                                    os::MapAccess::read_write);
        if (mapping) env.populate(*mapping, 0, mapping->size());
        return mapping;
    }

    const Meta& meta_;
    std::vector<os::Mapping> maps_;
    std::vector<std::unique_ptr<std::byte[]>> small_;
};

/// Writes a file with `write` and gives it its name once its content is durable.
template <class Write>
Result<void> make_file(const Meta& meta, const std::string& path, Write&& write) noexcept {
    os::Env& env = *meta.env;
    const std::string fresh = path + ".new";
    auto stale = env.exists(fresh);
    if (!stale) return std::move(stale).error();
    if (*stale) VARVE_TRY(env.remove(fresh));
    auto file = env.open(fresh, os::OpenMode::create, meta.options.file_mode);
    if (!file) return std::move(file).error();
    FileSink sink(**file);
    Result<void> done = write(sink);
    const bool synced_later = base::seeded(base::SeededBug::index_named_before_sync);
    if (done && !synced_later) done = (*file)->sync();
    if (!done) {
        static_cast<void>(env.remove(fresh).has_value());
        return done;
    }
    VARVE_TRY(env.rename(fresh, path));
    if (synced_later) return {};
    return sync_names(env, meta.index_directory());
}

}  // namespace

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

Result<log::LogPoint> build_sealed(const Meta& meta, const Segment& segment, std::uint64_t last,
                                   const GoOn& go_on) noexcept {
    FileScratch scratch(meta);
    index::SealedBuilder builder(meta.hasher, meta.file.uuid, scratch, segment.log().size());
    builder.begin_segment({segment.number(), segment.keys.salt, segment.first(), last});
    log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment), last);
    std::uint32_t until_asked = 0;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (step == log::SegmentScanner::Step::damage) {
            return failure(ErrorCode::corrupt,
                           "a segment with damage keeps the index that tells where it is",
                           meta.segment_path(segment.number()), scanner.offset());
        }
        VARVE_TRY(builder.add(static_cast<std::uint32_t>(scanner.offset() / 8), scanner.record(),
                              scanner.recorded_us()));
        if (++until_asked % 4096 == 0 && !go_on())
            return failure(ErrorCode::busy, "making an index was given up");
    }
    const file::SealedRange range{segment.number(), segment.number()};
    const log::LogPoint end = scanner.at();
    VARVE_TRY(make_file(meta, meta.sealed_index_path(range),
                        [&](index::Sink& to) { return builder.write(to, end.chain, go_on); }));
    return end;
}

Result<file::SealedRange> merge_sealed(const Meta& meta, std::span<const SealedPtr> inputs,
                                       const GoOn& go_on) noexcept {
    try {
        FileScratch scratch(meta);
        std::vector<const index::SealedIndex*> indexes;
        for (const SealedPtr& input : inputs) indexes.push_back(&input->index);
        const file::SealedRange range{inputs.front()->range.first, inputs.back()->range.last};
        VARVE_TRY(make_file(meta, meta.sealed_index_path(range), [&](index::Sink& to) {
            return index::merge_sealed(indexes, meta.file.uuid, to, scratch, go_on);
        }));
        return range;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to merge indexes");
    }
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
        if (segment.index.valid()) segment.index.prefetch(key);
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
