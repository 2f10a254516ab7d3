// Whatever can be read of a damaged store, in a new one: `Store::salvage`.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "store/engine.hpp"
#include "store/log_copy.hpp"

namespace varve {
inline namespace v0 {
namespace store {

namespace {

/// One salvage: a scan of the source, appends to the target.
class Salvage {
public:
    Salvage(const Meta& from, Store& to, const Progress& progress)
        : from_(from), to_(to), meter_(progress) {}

    Result<SalvageReport> run();

private:
    [[nodiscard]] Result<void> scan(const Segment& segment, std::uint64_t last);
    void gather(const log::RecordView& record);
    [[nodiscard]] const char* why_gone(std::uint64_t position) const;
    [[nodiscard]] Result<void> hand_over();
    void moved(std::uint64_t first, std::uint64_t last, std::uint64_t to);
    void skip(std::uint64_t first, std::uint64_t last, std::string what);

    const Meta& from_;
    Store& to_;
    Meter meter_;
    std::vector<NewEvent> events_;  ///< of one commit; they view the source's mapping
    std::vector<std::uint64_t> positions_;
    std::uint64_t bytes_ = 0;
    std::uint64_t reached_ = 0;  ///< last position of the source that was copied or skipped
    SalvageReport report_;
};

void Salvage::skip(std::uint64_t first, std::uint64_t last, std::string what) {
    if (first > last) return;
    reached_ = std::max(reached_, last);
    if (!report_.skipped.empty()) {
        Skipped& before = report_.skipped.back();
        if (before.last.value + 1 == first && before.what == what) {
            before.last = Position{last};
            return;
        }
    }
    report_.skipped.push_back({Position{first}, Position{last}, std::move(what)});
}

void Salvage::moved(std::uint64_t first, std::uint64_t last, std::uint64_t to) {
    if (!report_.moved.empty()) {
        Moved& before = report_.moved.back();
        const std::uint64_t length = before.last.value + 1 - before.first.value;
        if (before.last.value + 1 == first && before.to.value + length == to) {
            before.last = Position{last};
            return;
        }
    }
    report_.moved.push_back({Position{first}, Position{last}, Position{to}});
}

void Salvage::gather(const log::RecordView& record) {
    const EventView event = log::to_event(record);
    NewEvent& copy = events_.emplace_back();
    copy.stream = event.stream;
    copy.type = event.type;
    for (const std::string_view tag : event.tags) copy.tags.push_back(tag);
    copy.data = event.data;
    copy.metadata = event.metadata;
    copy.id = event.id();
    copy.time_us = event.time_us;
    positions_.push_back(record.header.position);
    bytes_ += record.size();
}

/// Why a body cannot be read.
const char* Salvage::why_gone(std::uint64_t position) const {
    const auto erased = from_.erasures->explain(from_, position);
    return erased && *erased ? "its content was erased on request"
                             : "the event's body fails its checksum";
}

/// Appends what was gathered. An event that the new store does not take is skipped by itself.
Result<void> Salvage::hand_over() {
    if (events_.empty()) return {};
    const auto refused = [](const Error& error) {
        return error.code == ErrorCode::invalid_argument || error.code == ErrorCode::too_large ||
               error.code == ErrorCode::id_conflict;
    };
    const std::span<const NewEvent> all(events_);
    auto done = to_.append(all);
    if (!done && !refused(done.error())) return std::move(done).error();
    for (std::size_t n = 0; n < all.size(); ++n) {
        auto place = done ? Result<Appended>(*done) : to_.append(all.subspan(n, 1));
        if (!place && !refused(place.error())) return std::move(place).error();
        if (!place) {
            skip(positions_[n], positions_[n], place.error().message);
            continue;
        }
        const std::uint64_t to = place->first.value + (done ? n : 0);
        moved(positions_[n], positions_[n], to);
        ++report_.copied;
    }
    events_.clear();
    positions_.clear();
    meter_.add(std::exchange(bytes_, 0));
    return {};
}

Result<void> Salvage::scan(const Segment& segment, std::uint64_t last) {
    if (segment.first() > reached_ + 1)
        skip(reached_ + 1, segment.first() - 1, "the segment that held them is missing");
    log::SegmentScanner scanner(segment.bytes(), segment.keys, first_point(segment), last);
    std::uint64_t commits = 0;
    for (auto step = scanner.next(); step != log::SegmentScanner::Step::end;
         step = scanner.next()) {
        if (meter_.cancelled()) return {};
        if (step == log::SegmentScanner::Step::damage || scanner.commits() != commits)
            VARVE_TRY(hand_over());
        commits = scanner.commits();
        if (step == log::SegmentScanner::Step::damage) {
            skip(scanner.first(), scanner.last(), scanner.fault());
            continue;
        }
        const log::RecordView& record = scanner.record();
        const std::uint64_t position = record.header.position;
        // What is the store's own is made anew by the store that takes the events.
        if (index::is_listed(record) && scanner.body_intact())
            gather(record);
        else if (index::is_listed(record))
            skip(position, position, why_gone(position));
        reached_ = std::max(reached_, position);
    }
    return hand_over();
}

Result<SalvageReport> Salvage::run() {
    auto manifest = file::read_manifest(*from_.env, from_.in("manifest"), from_.manifest_seed());
    const file::ManifestContent content = manifest ? std::move(*manifest) : file::ManifestContent{};
    auto files = open_files(from_, content, os::MapAccess::read);
    if (!files) return std::move(files).error();
    log::Start start = start_of(content);
    if (!is_possible(*files, start.point)) start = {{}, 0, start.newest_epoch};
    const log::Recovery found = log::recover(files->images, start);
    VARVE_TRY(refuse_newer(from_, found));
    const std::uint64_t newest = files->images.empty() ? 0 : files->images.back().number;
    const SegmentListPtr list = readable_chain(*files, found.damaged ? newest : found.end.segment);
    std::uint64_t end = found.end.position;
    if (found.damaged && !list->items.empty())
        end = std::max(end, plausible_end(*list->items.back()));
    for (const SegmentPtr& segment : list->items) meter_.expect(segment->log().size());
    for (std::size_t n = 0; n < list->items.size() && !meter_.cancelled(); ++n) {
        const Segment& segment = *list->items[n];
        const std::uint64_t last = std::min(list->last_of(n, end), plausible_last(segment));
        if (last >= segment.first()) VARVE_TRY(scan(segment, last));
    }
    const file::ManifestEntry* vouched = content.last_point();
    if (vouched != nullptr && vouched->position > reached_)
        skip(reached_ + 1, vouched->position, "events that were durable are missing");
    report_.complete = !meter_.cancelled();
    return std::move(report_);
}

/// Makes the target, fills it, and lets it be a store at last: until then its file `varve` has
/// another name, and nobody opens it.
Result<SalvageReport> salvage(const Meta& from, const std::string& to, OpenOptions options,
                              const Progress& progress) {
    os::Env& env = *from.env;
    options.access = Access::read_write;
    options.create = Create::must;
    options.durability = Durability::os;
    Meta target;
    target.env = &env;
    target.path = to;
    target.options = options;
    while (target.path.size() > 1 && target.path.back() == '/') target.path.pop_back();
    auto store = Store::open(target.path, options);
    if (!store) {
        const ErrorCode code = store.error().code;
        if (code == ErrorCode::no_space || code == ErrorCode::io) remove_unfinished(target);
        return std::move(store).error();
    }
    const auto fill = [&]() -> Result<SalvageReport> {
        VARVE_TRY(env.rename(target.in("varve"), target.in("varve.new")));
        auto report = Salvage(from, *store, progress).run();
        if (!report || !report->complete) return report;
        VARVE_TRY(store->close());
        // Closed at level os: its names and its own file may not be durable yet.
        auto file = env.open(target.in("varve.new"), os::OpenMode::read);
        if (!file) return std::move(file).error();
        VARVE_TRY((*file)->sync());
        VARVE_TRY(env.rename(target.in("varve.new"), target.in("varve")));
        VARVE_TRY(sync_names(env, target.log_directory()));
        VARVE_TRY(sync_names(env, target.path));
        VARVE_TRY(sync_names(env, target.parent_directory()));
        return report;
    };
    auto report = fill();
    if (report && report->complete) return report;
    static_cast<void>(store->close().has_value());
    remove_unfinished(target);
    return report;
}

}  // namespace

}  // namespace store

Result<SalvageReport> Store::salvage(const std::string& path, const std::string& target,
                                     const OpenOptions& options,
                                     const Progress& progress) noexcept {
    try {
        OpenOptions reading = options;
        reading.access = Access::read_only;
        reading.force_filesystem = true;
        auto meta = store::meta_for_reading(path, reading);
        if (!meta) return std::move(meta).error();
        VARVE_TRY(store::check_vacant(*(*meta)->env, target));
        return store::salvage(**meta, target, options, progress);
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "no memory to salvage", path);
    }
}

}  // namespace v0
}  // namespace varve
