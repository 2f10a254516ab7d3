// Making sealed indexes: of one segment from the log, of several from their indexes.
//
// Memory is what costs here: a page that is touched for the first time costs more than the work on
// it. A large segment is therefore taken in runs that fit into memory which is kept from run to
// run; each run becomes an index of its own in a file without a name, and these are merged.
#include <algorithm>
#include <atomic>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"
#include "index/sealed_builder.hpp"
#include "index/sealed_merge.hpp"
#include "store/sealed.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

std::span<std::byte> KeptScratch::take(std::uint64_t bytes) noexcept {
    bytes = base::align_up(bytes, 64);
    for (; at_ < blocks_.size(); ++at_, used_ = 0) {
        Block& block = blocks_[at_];
        if (bytes > block.size - used_) continue;
        const std::span<std::byte> taken{block.memory.get() + used_, bytes};
        used_ += bytes;
        return taken;
    }
    try {
        const std::uint64_t size = std::max(bytes, kBlock);
        blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
    } catch (const std::bad_alloc&) {
        return {};
    }
    used_ = 0;
    return take(bytes);
}

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

/// Makes a file that goes away with its last user. Two threads may do that at once.
Result<std::unique_ptr<os::File>> nameless_file(const Meta& meta) noexcept {
    static std::atomic<std::uint32_t> made{0};
    os::Env& env = *meta.env;
    const std::string path = meta.index_directory() + "/" + std::string(kScratchName) +
                             std::to_string(made.fetch_add(1, std::memory_order_relaxed));
    auto stale = env.exists(path);
    if (stale && *stale) VARVE_TRY(env.remove(path));
    auto file = env.open(path, os::OpenMode::create, 0600);
    if (!file) return file;
    VARVE_TRY(env.remove(path));
    return file;
}

/// Memory for making an index, from a file without a name: the system may write it out, where
/// memory of our own would have to stay.
class FileScratch final : public index::Scratch {
public:
    explicit FileScratch(const Meta& meta) noexcept : meta_(meta) {}

    std::span<std::byte> take(std::uint64_t bytes) noexcept override {
        constexpr std::uint64_t kSmall = 1 << 20;
        try {
            if (bytes <= kSmall) {
                small_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
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
        auto file = nameless_file(meta_);
        if (!file) return std::move(file).error();
        VARVE_TRY((*file)->allocate(base::align_up(bytes, 4096)));
        auto mapping = (*file)->map(static_cast<std::size_t>(base::align_up(bytes, 4096)),
                                    os::MapAccess::read_write);
        if (mapping) meta_.env->populate(*mapping, 0, mapping->size());
        return mapping;
    }

    const Meta& meta_;
    std::vector<os::Mapping> maps_;
    std::vector<std::unique_ptr<std::byte[]>> small_;
};

}  // namespace

Result<void> make_index_file(const Meta& meta, const std::string& path,
                             const std::function<Result<void>(index::Sink&)>& write) noexcept {
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

namespace {

/// One run: an index in a file without a name.
struct Run {
    os::Mapping map;
    index::SealedIndex index;
};

/// Reads the log of one segment run by run.
class SegmentSealing {
public:
    SegmentSealing(const Meta& meta, const Segment& segment, std::uint64_t last,
                   KeptScratch& scratch, const GoOn& go_on) noexcept
        : meta_(meta),
          segment_(segment),
          scratch_(scratch),
          go_on_(go_on),
          scanner_(segment.bytes(), segment.keys, first_point(segment), last) {}

    /// Where the log of the segment ends, once everything was read.
    [[nodiscard]] const log::LogPoint& end() const noexcept { return scanner_.at(); }
    [[nodiscard]] const index::Listed& listed() const noexcept { return listed_; }

    Result<void> run() {
        meta_.env->expect(segment_.log(), os::Env::Pattern::sequential);
        step_ = scanner_.next();
        const file::SealedRange range{segment_.number(), segment_.number()};
        const std::string path = meta_.sealed_index_path(range);
        const bool small = segment_.log().size() <= 2 * kRunBytes;
        if (small) {
            return make_index_file(meta_, path, [&](index::Sink& to) { return build(to, ~0ULL); });
        }
        while (step_ != log::SegmentScanner::Step::end) VARVE_TRY(build_run());
        std::vector<const index::SealedIndex*> inputs;
        for (const auto& one : runs_) inputs.push_back(&one->index);
        FileScratch scratch(meta_);
        return make_index_file(meta_, path, [&](index::Sink& to) {
            return index::merge_sealed(inputs, meta_.file.uuid, to, scratch, go_on_);
        });
    }

private:
    static constexpr std::uint64_t kRunBytes = 6 << 20;

    Result<void> build_run() {
        auto file = nameless_file(meta_);
        if (!file) return std::move(file).error();
        FileSink sink(**file);
        VARVE_TRY(build(sink, kRunBytes));
        auto size = (*file)->size();
        if (!size) return std::move(size).error();
        auto mapping = (*file)->map(static_cast<std::size_t>(*size), os::MapAccess::read);
        if (!mapping) return std::move(mapping).error();
        auto run = std::make_unique<Run>();
        run->map = std::move(*mapping);
        const log::Fault fault =
            index::SealedIndex::open(run->map.bytes(), meta_.file.uuid, meta_.hasher, run->index);
        if (fault != nullptr) return failure(ErrorCode::corrupt, fault, meta_.index_directory());
        runs_.push_back(std::move(run));
        return {};
    }

    /// Makes an index of what follows, about `bytes` of the log.
    Result<void> build(index::Sink& to, std::uint64_t bytes) {
        scratch_.reset();
        index::SealedBuilder builder(meta_.hasher, meta_.file.uuid, scratch_,
                                     std::min<std::uint64_t>(bytes, segment_.log().size()));
        index::SealedSegment part{segment_.number(), segment_.keys.salt, scanner_.at().position, 0};
        std::uint64_t begin = 0;
        std::uint32_t until_asked = 0;
        for (; step_ != log::SegmentScanner::Step::end; step_ = scanner_.next()) {
            if (step_ == log::SegmentScanner::Step::damage) {
                return failure(ErrorCode::corrupt,
                               "a segment with damage keeps the index that tells where it is",
                               meta_.segment_path(segment_.number()), scanner_.offset());
            }
            const std::uint64_t offset = scanner_.offset();
            if (part.last_position == 0) {
                begin = offset;
                part.first_position = scanner_.record().header.position;
            } else if (offset - begin > bytes) {
                break;
            }
            part.last_position = scanner_.record().header.position;
            VARVE_TRY(builder.add(static_cast<std::uint32_t>(offset / 8), scanner_.record(),
                                  scanner_.recorded_us()));
            if (++until_asked % 4096 == 0 && !go_on_())
                return failure(ErrorCode::busy, "making an index was given up");
        }
        builder.begin_segment(part);
        VARVE_TRY(builder.write(to, scanner_.at().chain, go_on_));
        listed_.add(builder.listed());
        return {};
    }

    const Meta& meta_;
    const Segment& segment_;
    KeptScratch& scratch_;
    const GoOn& go_on_;
    log::SegmentScanner scanner_;
    log::SegmentScanner::Step step_{};
    std::vector<std::unique_ptr<Run>> runs_;
    index::Listed listed_{};
};

}  // namespace

Result<SealedPart> build_sealed(const Meta& meta, const Segment& segment, std::uint64_t last,
                                KeptScratch& scratch, const GoOn& go_on) noexcept {
    try {
        SegmentSealing sealing(meta, segment, last, scratch, go_on);
        Result<void> done = sealing.run();
        meta.env->expect(segment.log(), os::Env::Pattern::random);
        if (!done) return std::move(done).error();
        if (sealing.end().position != last) {
            return failure(ErrorCode::corrupt, "the segment ends too early",
                           meta.segment_path(segment.number()), sealing.end().offset);
        }
        return SealedPart{sealing.end(), sealing.listed()};
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to make an index");
    }
}

Result<file::SealedRange> merge_sealed(const Meta& meta, std::span<const SealedPtr> inputs,
                                       const GoOn& go_on) noexcept {
    try {
        FileScratch scratch(meta);
        std::vector<const index::SealedIndex*> indexes;
        for (const SealedPtr& input : inputs) indexes.push_back(&input->index);
        const file::SealedRange range{inputs.front()->range.first, inputs.back()->range.last};
        VARVE_TRY(make_index_file(meta, meta.sealed_index_path(range), [&](index::Sink& to) {
            return index::merge_sealed(indexes, meta.file.uuid, to, scratch, go_on);
        }));
        return range;
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to merge indexes");
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
