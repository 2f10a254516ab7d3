#include "store/reader_side.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;

Result<void> ReaderSide::open(Opening& opening) noexcept {
    const std::lock_guard lock(mutex_);
    opening.how = Opening::How::following;
    auto attached = attach();
    if (attached && *attached) {
        const std::uint64_t published =
            file::control_of(*control_).published.load(std::memory_order_acquire);
        if (extend(published)) return {};
    }
    control_.reset();
    list_ = std::make_shared<SegmentList>();
    VARVE_TRY(stand_alone());
    opening.how = Opening::How::recovered;
    return {};
}

/// Maps the control page and checks whose it is. False if it must not be believed.
Result<bool> ReaderSide::attach() noexcept {
    auto file = meta_->env->open(meta_->in("control"), os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto size = (*file)->size();
    if (!size || *size < file::kControlSize) return false;
    auto expected = file::expected_identity(*meta_->env, **file, meta_->file.uuid);
    if (!expected) return std::move(expected).error();
    auto mapping = (*file)->map(file::kControlSize, os::MapAccess::read);
    if (!mapping) return std::move(mapping).error();
    const file::Control& page = file::control_of(*mapping);
    const auto state = static_cast<file::WriterState>(page.state.load(std::memory_order_acquire));
    if (!(page.identity == expected->identity)) return false;
    if (!expected->known) {
        // The lock of this very page, not the store's: a writer that has just come may not have
        // judged the page yet.
        if (!expected->known_while_locked) return false;
        auto held = (*file)->is_locked();
        if (!held || !*held) return false;
    }
    if (state == file::WriterState::none || state == file::WriterState::superseded) return false;
    control_ = std::make_shared<os::Mapping>(std::move(*mapping));
    return true;
}

/// Adds the files that continue the list. What a cut has left behind continues nothing.
Result<void> ReaderSide::add_segments(SegmentList& list, std::uint64_t published) noexcept {
    auto numbers = list_segments(*meta_);
    if (!numbers) return std::move(numbers).error();
    auto manifest = file::read_manifest(*meta_->env, meta_->in("manifest"), meta_->manifest_seed());
    for (const std::uint64_t number : *numbers) {
        const std::uint64_t last = list.items.empty() ? 0 : list.items.back()->number();
        if (number <= last || (manifest && is_cut_off(*manifest, number))) continue;
        auto opened = open_segment(*meta_, number, os::MapAccess::read);
        // One that was prepared may go away again before it is used.
        if (!opened && opened.error().code == ErrorCode::not_found) continue;
        if (!opened) return std::move(opened).error();
        const log::SegmentHeader& header = opened->image.header;
        if (opened->image.state != log::HeaderState::valid || header.previous != last) continue;
        if (header.first_position > published) break;
        list.items.push_back(std::move(opened->segment));
    }
    return {};
}

/// Adds segments that have appeared, until `published` is covered.
Result<void> ReaderSide::extend(std::uint64_t published) noexcept {
    if (published == 0) return {};
    const bool covered = !list_->items.empty() && control_ != nullptr &&
                         list_->items.back()->number() ==
                             file::control_of(*control_).active.load(std::memory_order_acquire);
    if (!covered || indexes_changed()) VARVE_TRY(relist(published, !covered));
    if (list_->items.empty())
        return failure(ErrorCode::corrupt, "the first segment is missing", meta_->log_directory());
    Segment& newest = *list_->items.back();
    if (newest.late == nullptr && newest.own_act != nullptr)
        VARVE_TRY(extend_private(newest, published));
    const auto is_there = [&] {
        const Segment& last = *list_->items.back();
        // One that is filled later is not asked now.
        if (last.late != nullptr) return published <= last.late->last();
        return last.offset_of(published - last.first()) != 0;
    };
    // Its index may be another file by now: the one we have was removed and made again.
    if (!is_there()) VARVE_TRY(reopen_newest(published));
    if (is_there()) return {};
    const bool newer = list_->items.back()->holds_newer;
    return failure(newer ? ErrorCode::unsupported_version : ErrorCode::corrupt,
                   "the newest event cannot be found in its segment",
                   meta_->segment_path(list_->items.back()->number()));
}

/// True if the writer has sealed or merged indexes, or one of ours turned out to be damaged.
bool ReaderSide::indexes_changed() noexcept {
    if (control_ != nullptr &&
        file::control_of(*control_).generation.load(std::memory_order_acquire) != generation_)
        return true;
    return std::any_of(list_->items.begin(), list_->items.end(), [](const SegmentPtr& segment) {
        return segment->sealed != nullptr && segment->sealed->index.damaged();
    });
}

/// A new list: with segments that were added, if any, and the indexes that the manifest names now.
Result<void> ReaderSide::relist(std::uint64_t published, bool added) noexcept {
    auto list = std::make_shared<SegmentList>(*list_);
    if (added) VARVE_TRY(add_segments(*list, published));
    for (SegmentPtr& segment : list->items) {
        if (segment->sealed != nullptr && segment->sealed->index.damaged())
            segment = indexed_by(*segment, nullptr);
    }
    give_sealed(*list, published);
    for (std::size_t n = 0; n < list->items.size(); ++n) {
        Segment& segment = *list->items[n];
        if (segment.sealed != nullptr || segment.is_active()) continue;
        const bool grows = n + 1 == list->items.size() && !is_named(segment.number());
        VARVE_TRY(give_index(segment, list->last_of(n, published), grows));
    }
    VARVE_TRY(catch_up(*list, published));
    list_ = std::move(list);
    return {};
}

/// The segment that was the newest one until now may have grown since it was listed.
Result<void> ReaderSide::catch_up(SegmentList& list, std::uint64_t published) noexcept {
    if (list_->items.empty()) return {};
    const std::size_t newest = list_->items.size() - 1;
    Segment& segment = *list.items[newest];
    const std::uint64_t last = list.last_of(newest, published);
    if (segment.late != nullptr) {
        if (last <= segment.late->last()) return {};
        // Its sealed index was named when the writer died, and is lost: so it was continued.
        auto opened = open_segment(*meta_, segment.number(), os::MapAccess::read);
        if (!opened) return std::move(opened).error();
        list.items[newest] = std::move(opened->segment);
        return give_index(*list.items[newest], last, newest + 1 == list.items.size());
    }
    if (segment.own_act == nullptr) return {};
    VARVE_TRY(extend_private(segment, last));
    list.items[newest] = list_->items[newest];
    return {};
}

/// True if the manifest names a sealed index of that segment: then it does not grow.
bool ReaderSide::is_named(std::uint64_t number) const noexcept {
    return std::any_of(named_.begin(), named_.end(), [&](const file::SealedRange& range) {
        return range.first <= number && number <= range.last;
    });
}

/// Gives segments their sealed indexes by the names in the manifest. A file that is not there may
/// have been replaced since the manifest was read: then it is read again.
void ReaderSide::give_sealed(SegmentList& list, std::uint64_t published) noexcept {
    constexpr int kTries = 8;
    named_.clear();
    for (int n = 0; n < kTries; ++n) {
        if (control_ != nullptr)
            generation_ = file::control_of(*control_).generation.load(std::memory_order_acquire);
        auto manifest =
            file::read_manifest(*meta_->env, meta_->in("manifest"), meta_->manifest_seed());
        if (!manifest) return;
        std::vector<file::SealedRange> ranges = manifest->sealed();
        if (n > 0 && ranges == named_) return;
        named_ = std::move(ranges);
        if (attach_sealed(*meta_, named_, published, list, opened_)) return;
    }
}

/// Opens the newest segment and its index once more, by name; snapshots keep the old ones.
Result<void> ReaderSide::reopen_newest(std::uint64_t published) noexcept {
    auto opened = open_segment(*meta_, list_->items.back()->number(), os::MapAccess::read);
    if (!opened) return std::move(opened).error();
    if (opened->image.state != log::HeaderState::valid) return {};
    VARVE_TRY(give_index(*opened->segment, published, true));
    auto list = std::make_shared<SegmentList>(*list_);
    list->items.back() = std::move(opened->segment);
    list_ = std::move(list);
    return {};
}

Result<void> ReaderSide::fill(Segment& segment, const log::LogPoint& from,
                              std::uint64_t last) noexcept {
    if (fill_index(*meta_, segment, from, last)) return {};
    return failure(ErrorCode::corrupt, "more events than there can be in a segment of this size",
                   meta_->segment_path(segment.number()));
}

/// The writer's index of the segment, or one of our own: of a segment that `grows` it is filled
/// now, else when it is first needed.
Result<void> ReaderSide::give_index(Segment& segment, std::uint64_t last, bool grows) noexcept {
    if (attach_index(*meta_, segment, os::MapAccess::read, control_ != nullptr)) return {};
    if (!grows) return index_later(segment, last);
    last = std::min(last, plausible_last(segment));
    meta_->env->expect(segment.log(), os::Env::Pattern::sequential);
    VARVE_TRY(private_index(*meta_, segment, measure_index(segment, first_point(segment), last)));
    return fill(segment, first_point(segment), last);
}

Result<void> ReaderSide::index_later(Segment& segment, std::uint64_t last) noexcept {
    if (base::seeded(base::SeededBug::missing_index_answers_short)) {
        const std::uint64_t bytes = segment.log().size();
        return private_index(*meta_, segment, index::capacity_for(bytes));
    }
    return index_late(*meta_, segment, last);
}

/// A private index of a segment that still grows: lists what has come, in more room if needed.
Result<void> ReaderSide::extend_private(Segment& segment, std::uint64_t last) noexcept {
    last = std::min(last, plausible_last(segment));
    const std::uint64_t listed = segment.first() + segment.index.events() - 1;
    if (listed >= last) return {};
    log::LogPoint from;
    const SegmentList only{{std::shared_ptr<Segment>(std::shared_ptr<void>(), &segment)}};
    if (!point_behind(only, listed, from)) from = first_point(segment);
    if (segment.index.has_room(last - listed, count_keys(segment, from, last))) {
        return fill(segment, from, last);
    }
    // Snapshots may still use the old memory: the segment is opened again beside it.
    auto opened = open_segment(*meta_, segment.number(), os::MapAccess::read);
    if (!opened) return std::move(opened).error();
    SegmentPtr fresh = std::move(opened->segment);
    const std::uint64_t keys = count_keys(*fresh, first_point(*fresh), last);
    const std::uint64_t events = last + 1 - fresh->first();
    VARVE_TRY(private_index(*meta_, *fresh,
                            index::capacity_for(fresh->log().size(), 2 * events, 2 * keys)));
    VARVE_TRY(fill(*fresh, first_point(*fresh), last));
    auto list = std::make_shared<SegmentList>(*list_);
    list->items.back() = std::move(fresh);
    list_ = std::move(list);
    return {};
}

/// No page to believe: the same recovery as the writer's, over read-only maps, with everything
/// private.
Result<void> ReaderSide::stand_alone() noexcept {
    auto manifest = file::read_manifest(*meta_->env, meta_->in("manifest"), meta_->manifest_seed());
    if (!manifest && manifest.error().code != ErrorCode::not_found)
        return std::move(manifest).error();
    const file::ManifestContent content = manifest ? std::move(*manifest) : file::ManifestContent{};
    auto files = open_files(*meta_, content, os::MapAccess::read);
    if (!files) return std::move(files).error();
    log::Start start = start_of(content);
    // A hostile manifest vouches for nothing: then the log is read from its beginning.
    if (!is_possible(*files, start.point)) start = {{}, 0, start.newest_epoch};
    expect_reading(*meta_->env, *files, start.point.segment);
    const log::Recovery found = recover_log(*files, start, forgets_erasures(content));
    VARVE_TRY(refuse_newer(*meta_, found));
    const std::uint64_t newest = files->images.empty() ? 0 : files->images.back().number;
    list_ = readable_chain(*files, found.damaged ? newest : found.end.segment);
    published_ = found.end.position;
    if (found.damaged && !list_->items.empty()) {
        // Behind the damage there is more: everything that verifies alone is shown.
        published_ = std::max(published_, plausible_end(*list_->items.back()));
    }
    durable_ = std::min(published_, start.point.position);
    epoch_ = std::max(content.highest_epoch(), found.end.epoch);
    auto list = std::make_shared<SegmentList>(*list_);
    give_sealed(*list, published_);
    list_ = std::move(list);
    for (std::size_t n = 0; n < list_->items.size(); ++n) {
        Segment& segment = *list_->items[n];
        const std::uint64_t last = list_->last_of(n, published_);
        const bool holds_any = std::min(last, plausible_last(segment)) + 1 >= segment.first();
        if (holds_any && segment.sealed == nullptr) VARVE_TRY(index_later(segment, last));
    }
    return {};
}

Result<View> ReaderSide::view() noexcept {
    const std::lock_guard lock(mutex_);
    // Who never waits learns here that a writer has come, or that one had to give events up.
    VARVE_TRY(renew());
    if (control_ == nullptr) return View{list_, published_, durable_, epoch_, 0, 0};
    const file::Control& page = file::control_of(*control_);
    const std::uint32_t definitions = page.definitions.load(std::memory_order_acquire);
    const std::uint64_t published = page.published.load(std::memory_order_acquire);
    const std::uint32_t after = page.definitions.load(std::memory_order_acquire);
    VARVE_TRY(extend(published));
    published_ = published;
    epoch_ = page.epoch.load(std::memory_order_relaxed);
    durable_ = std::min(published, page.durable.load(std::memory_order_acquire));
    const std::uint32_t erasures = page.erasures.load(std::memory_order_acquire);
    return View{list_,  published_, durable_,
                epoch_, erasures,   View::definitions_of(definitions, after)};
}

std::shared_ptr<os::Mapping> ReaderSide::control() const noexcept {
    const std::lock_guard lock(mutex_);
    return control_;
}

Result<void> ReaderSide::look_again() noexcept {
    const std::lock_guard lock(mutex_);
    if (is_replaced()) superseded_ = true;
    return renew();
}

/// True if the name `control` belongs to another file than the page we have: a writer may have died
/// before it could mark ours.
bool ReaderSide::is_replaced() noexcept {
    if (control_ == nullptr) return false;
    auto there = meta_->env->identity_of(meta_->in("control"));
    const file::ControlIdentity& ours = file::control_of(*control_).identity;
    return there && (there->inode != ours.inode || there->birth_ns != ours.birth_ns);
}

/// Under the lock. Attaches to a page that has appeared or taken the place of ours.
Result<void> ReaderSide::renew() noexcept {
    if (lost_)
        return failure(ErrorCode::durability_lost,
                       "events that were shown here were lost in a failed sync", meta_->path);
    if (control_ != nullptr) {
        const auto state = static_cast<file::WriterState>(
            file::control_of(*control_).state.load(std::memory_order_acquire));
        if (state != file::WriterState::superseded && !superseded_) return {};
    }
    superseded_ = false;
    const std::shared_ptr<os::Mapping> old = std::move(control_);
    control_.reset();
    auto attached = attach();
    if (!attached || !*attached) {
        control_ = old;
        return {};
    }
    // A new page: it continues what was shown if its chain value at our end is ours.
    const SegmentListPtr shown = std::move(list_);
    list_ = std::make_shared<SegmentList>();
    const file::Control& page = file::control_of(*control_);
    auto extended = extend(page.published.load(std::memory_order_acquire));
    if (!extended) {
        // Not compared yet: the next look begins again.
        control_ = old;
        list_ = shown;
        return extended;
    }
    log::LogPoint before;
    log::LogPoint now;
    const bool same =
        published_ == 0 || (point_behind(*shown, published_, before) &&
                            point_behind(*list_, published_, now) && before.chain == now.chain);
    lost_ = !same;
    if (lost_)
        return failure(ErrorCode::durability_lost,
                       "events that were shown here were lost in a failed sync", meta_->path);
    return {};
}

}  // namespace store
}  // namespace v0
}  // namespace varve
