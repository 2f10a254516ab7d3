// Rolling: the next segment, taken from what the helper has prepared or made on the spot.
#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/recover.hpp"
#include "store/writer.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

constexpr std::uint64_t kPage = 4096;
// How much may lack a `synced` entry before a roll waits: it bounds the time of a recovery.
constexpr std::uint64_t kUnsyncedMax = 512ULL << 20;

}  // namespace

/// A store that may just have been created: its own file and its names come before the first event.
Result<void> Writer::sync_foundations(os::File& store_file) noexcept {
    VARVE_TRY(store_file.sync());
    for (const std::string& directory :
         {meta_->index_directory(), meta_->log_directory(), meta_->path}) {
        VARVE_TRY(sync_names(env_, directory));
    }
    // The store's own name. Whoever may not read the directory above it has to see to that alone.
    auto above = sync_names(env_, meta_->parent_directory());
    if (!above && above.error().code != ErrorCode::permission) return above;
    return {};
}

/// The first append of a session: the files it stands on are made durable, and the manifest learns
/// the new epoch.
Result<void> Writer::begin_session() noexcept {
    if (end_.position == 0) {
        auto file = env_.open(meta_->in("varve"), os::OpenMode::read_write);
        // A store that is being filled by a salvage gets its name last.
        if (!file && file.error().code == ErrorCode::not_found)
            file = env_.open(meta_->in("varve.new"), os::OpenMode::read_write);
        if (!file) return std::move(file).error();
        auto synced = sync_foundations(**file);
        // Asked again, the kernel would say yes without having written anything.
        if (!synced) fail();
        VARVE_TRY(std::move(synced));
    }
    const std::lock_guard lock(manifest_mutex_);
    file::ManifestEntry entry =
        manifest_entry(file::EntryKind::opened, end_, epoch_, env_.now_us());
    // Synced, so that a manifest that ends with `closed` proves that nothing was stored behind that
    // point.
    VARVE_TRY(manifest_.add(entry, true));
    session_begun_ = true;
    start_threads();
    return {};
}

Result<void> Writer::make_room(const Plan& plan) noexcept {
    const bool fits = active_ != nullptr && !new_segment_ &&
                      base::fits(end_.offset, plan.bytes, active_->header.capacity) &&
                      active_->index.has_room(plan.events.size(), std::span(plan.keys));
    if (fits) return {};
    rolled_full_ = active_ != nullptr && !new_segment_;
    return roll(plan);
}

std::uint64_t Writer::next_capacity() const noexcept {
    // Behind a sealed end a session begins small again: nobody knows how much it will append.
    if (active_ == nullptr || active_->sealed != nullptr) return meta_->file.segment_size_first;
    const std::uint64_t grown = active_->header.capacity * (rolled_full_ ? kSegmentGrowth : 1);
    return std::clamp(grown, meta_->file.segment_size_first, meta_->file.segment_size_max);
}

Result<SegmentPtr> Writer::build_segment(std::uint64_t number, std::uint64_t capacity,
                                         const index::ActCapacity& index) noexcept {
    VARVE_TRY(prepare_segment(*meta_, number, capacity));
    auto opened = open_segment(*meta_, number, os::MapAccess::read_write);
    if (!opened) return std::move(opened).error();
    SegmentPtr segment = std::move(opened->segment);
    if (opened->image.state != log::HeaderState::unused || segment->log().size() < capacity) {
        return base::failure(ErrorCode::corrupt, "a segment file that should be unused holds data",
                             meta_->segment_path(number));
    }
    auto synced = segment->file().sync();
    if (synced) synced = sync_names(env_, meta_->log_directory());
    // Asked again, the kernel would say yes without having written anything.
    if (!synced && !closing_) fail();
    VARVE_TRY(std::move(synced));
    VARVE_TRY(create_index(*meta_, *segment, index));
    return segment;
}

/// Under `prepare_mutex_`: the segment that was prepared, if it suits; else one made on the spot.
Result<SegmentPtr> Writer::take_next(const Plan& plan) noexcept {
    const std::uint64_t need = base::align_up(log::kSegmentHeaderSize + plan.bytes, kPage);
    const std::uint64_t capacity = std::max(next_capacity(), need);
    const auto index_of = [&](std::uint64_t bytes) {
        return index::capacity_for(bytes, plan.events.size(), plan.keys.size(), density_);
    };
    // Made when less was known: half the wanted slots will do.
    const bool suits = prepared_ != nullptr && prepared_->log().size() >= capacity &&
                       prepared_->index.has_room(plan.events.size(), std::span(plan.keys)) &&
                       prepared_->index.capacity().slots >= index_of(capacity).slots / 2;
    if (suits) return std::exchange(prepared_, nullptr);
    // One that does not suit stays where it is: the file is made larger.
    prepared_ = nullptr;
    auto built = build_segment(next_number_, capacity, index_of(capacity));
    // On a disk that is nearly full a smaller one will do.
    const std::uint64_t least = std::max(need, meta_->file.segment_size_first);
    for (std::uint64_t smaller = capacity;
         smaller > least && !built && built.error().code == ErrorCode::no_space;) {
        smaller = std::max(base::align_up(smaller / kSegmentGrowth, kPage), least);
        built = build_segment(next_number_, smaller, index_of(smaller));
    }
    return built;
}

Result<void> Writer::roll(const Plan& plan) noexcept {
    if (active_ != nullptr && active_->index.valid())
        density_ = {active_->index.keys(), end_.offset};
    // Held until the new segment is the active one: nobody prepares its number again meanwhile.
    const std::lock_guard prepare_lock(prepare_mutex_);
    auto next = take_next(plan);
    if (!next) return std::move(next).error();
    const std::lock_guard change(list_change_);
    std::shared_ptr<SegmentList> list;
    try {
        list = std::make_shared<SegmentList>(*segments());
        list->items.push_back(*next);
        rolled_.reserve(rolled_.size() + 1);
    } catch (const std::bad_alloc&) {
        prepared_ = std::move(*next);
        return base::failure(ErrorCode::out_of_memory, "no memory to begin a segment");
    }
    std::uint64_t unsealed = 0;
    for (const SegmentPtr& segment : segments()->items) {
        if (segment->first() > control().durable.load(std::memory_order_relaxed))
            unsealed += segment->log().size();
    }
    begin_segment(**next);
    if (active_ != nullptr) rolled_.push_back(end_);
    past_half_ = false;
    signal_keeper();
    // The helper is behind: appends wait for it before they take the lock again.
    if (unsealed > kUnsyncedMax) throttle_.store(end_.position, std::memory_order_relaxed);
    std::size_t waiting = 0;
    const std::uint64_t waiting_bytes = unsealed_bytes(*list, waiting);
    if (is_behind(waiting_bytes, waiting) && env_.has_threads())
        seal_behind_.store(true, std::memory_order_release);
    {
        const std::lock_guard lock(list_mutex_);
        list_ = std::move(list);
    }
    active_ = std::move(*next);
    end_.segment = active_->number();
    end_.offset = log::kSegmentHeaderSize;
    placed_offset_.store(end_.offset, std::memory_order_relaxed);
    new_segment_ = false;
    next_number_ = active_->number() + 1;
    control().active.store(active_->number(), std::memory_order_release);
    return {};
}

/// Stores the header: from now on the file continues the log. The first sync of a commit in it
/// covers the header.
void Writer::begin_segment(Segment& next) noexcept {
    log::SegmentHeader header;
    header.epoch = epoch_;
    header.uuid = meta_->file.uuid;
    header.number = next.number();
    header.previous = end_.segment;
    header.first_position = end_.position + 1;
    header.capacity = next.log().size();
    header.salt = next.keys.salt;
    header.created_us = env_.now_us();
    header.prev_chain = end_.chain;
    next.header = header;
    log::encode_segment_header(next.log().data(), header);
    note(next.log().data(), log::kSegmentHeaderSize);
    base::store(next.act.data() + offsetof(index::ActHeader, first_position),
                header.first_position);
}

}  // namespace store
}  // namespace v0
}  // namespace varve
