// An export from its beginning to its end. One thread.
#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "base/error.hpp"
#include "bridge/exporting.hpp"
#include "os/env.hpp"

namespace varve::bridge {

using base::failure;
using nes::Loss;

namespace {

constexpr std::uint64_t kEventsBetweenLooks = 4096;  // at whether somebody wants it to end
constexpr std::size_t kDocumentBytes = 64 << 20;
// Larger ones are commits of their own: what is left out must not be a part of one.
constexpr std::size_t kBytesInCommit = 40 << 20;
constexpr std::size_t kEventsInCommit = 65'536;
constexpr std::uint64_t kHeldBytes = 128 << 20;  // of documents, whose files are many

std::uint32_t add_document(std::uint32_t checksum, std::string_view text) noexcept {
    return base::crc32c(base::crc32c_u64(checksum, text.size()), base::as_bytes(text));
}

/// The stream that indexes take a document for which no event store has written.
std::optional<std::string> stream_in(std::string_view document) {
    auto envelope = nes::envelope_of(document);
    return envelope ? std::optional(std::move(envelope->stream)) : std::nullopt;
}

}  // namespace

Exporting::Exporting(const Store& source, const nes::ExportOptions& options,
                     const Progress& progress)
    : store_(source), options_(options), progress_(progress) {
    paths_.type = split_path(options.type_path);
    paths_.tags = split_path(options.tag_path);
    index_directory_ =
        options.index_directory.empty() ? options.directory + "/streams" : options.index_directory;
}

Result<nes::ExportReport> Exporting::run() {
    // Before the events: what they have come to is among what is exported.
    VARVE_TRY(collect_consumers());
    auto snapshot = store_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    VARVE_TRY(make_storage());
    VARVE_TRY(look_at_first(*snapshot));
    VARVE_TRY(make_streams(*snapshot));
    VARVE_TRY(write_events(*snapshot));
    if (report_.complete) {
        VARVE_TRY(close_indexes(Position{~std::uint64_t{0}}));
        leave_consumers(Position{~std::uint64_t{0}});
        if (other_ids_ > 0)
            lose(Loss::other_id, std::to_string(other_ids_) +
                                     " events have ids of their own, which a storage cannot hold");
    }
    VARVE_TRY(storage_->close());
    if (!report_.complete) return std::move(report_);
    nes::StorageOptions reading;
    reading.name = options_.name;
    reading.index_directory = index_directory_;
    reading.env = options_.env;
    auto storage = nes::Storage::open(options_.directory, reading);
    if (!storage) return std::move(storage).error();
    auto indexes = storage->indexes();
    if (!indexes) return std::move(indexes).error();
    VARVE_TRY(compare(*storage, *indexes));
    VARVE_TRY(write_consumers(*storage, *indexes));
    return std::move(report_);
}

Result<void> Exporting::make_storage() {
    os::Env& env = options_.env != nullptr ? *options_.env : os::posix_env();
    auto made = env.make_new_directory(options_.directory, 0755);
    if (!made) return std::move(made).error();
    if (!*made)
        return failure(ErrorCode::invalid_argument,
                       "the directory exists; an export makes a new one", options_.directory);
    const std::string primary = index_directory_ + "/" + options_.name + ".index";
    auto there = env.name_kind(primary);
    if (!there) return std::move(there).error();
    if (*there != os::NameKind::none)
        return failure(ErrorCode::invalid_argument,
                       "there is a storage of that name in the index directory", primary);
    nes::StorageOptions writing;
    writing.name = options_.name;
    writing.index_directory = index_directory_;
    writing.access = Access::read_write;
    writing.layout =
        options_.layout == nes::Layout::mapped ? nes::Layout::mapped : nes::Layout::classic;
    writing.env = options_.env;
    writing.hold_bytes = kHeldBytes;
    auto opened = nes::Storage::open(options_.directory, writing);
    if (!opened) return std::move(opened).error();
    storage_.emplace(std::move(*opened));
    return {};
}

/// The first event tells whether an import found documents that no event store had written.
Result<void> Exporting::look_at_first(const Snapshot& snapshot) {
    ReadOptions first;
    first.limit = 1;
    auto done = snapshot.read(Source::all(), first).for_each([&](const EventView& event) {
        envelopes_ = !remake(event, made_) || made_.envelope;
    });
    if (!done) return std::move(done).error();
    return {};
}

Result<void> Exporting::write_events(const Snapshot& snapshot) {
    ReadOptions reading;
    reading.with_recorded = true;
    auto events = snapshot.read(Source::all(), reading);
    const std::uint64_t end = snapshot.published().value;
    while (true) {
        auto run = events.next();
        if (!run) return std::move(run).error();
        if (run->empty()) break;
        for (const EventView& event : *run) {
            if (progress_ && report_.events % kEventsBetweenLooks == 0 &&
                !progress_(event.position.value, end)) {
                report_.complete = false;
                return {};
            }
            ++report_.events;
            VARVE_TRY(take(event));
        }
    }
    VARVE_TRY(write_commit());
    if (progress_ && !progress_(end, end)) report_.complete = false;
    return {};
}

/// Puts the event to its commit, or that one away first. Its bytes live as long as the snapshot.
Result<void> Exporting::take(const EventView& event) {
    const auto goes_on = [&](const EventView& last) {
        return last.stream == event.stream && last.recorded_us() &&
               last.recorded_us() == event.recorded_us() && commit_.size() < kEventsInCommit &&
               last.data.size() < kBytesInCommit && event.data.size() < kBytesInCommit;
    };
    const bool imported = remake(event, made_);
    if (!imported && !has_place(event.metadata)) {
        if (!commit_.empty() && !goes_on(commit_.back())) VARVE_TRY(write_commit());
        commit_.push_back(event);
        return {};
    }
    VARVE_TRY(write_commit());
    if (!imported || !remake(event, made_)) make_document(event, {}, paths_, made_);
    return write(event);
}

Result<void> Exporting::write_commit() {
    if (commit_.empty()) return {};
    CommitPlace place{storage_->length(), 0, commit_.size()};
    ++report_.commits;
    for (const EventView& event : commit_) {
        make_document(event, place, paths_, made_);
        VARVE_TRY(write(event));
        ++place.version;
    }
    commit_.clear();
    return {};
}

Result<void> Exporting::write(const EventView& event) {
    VARVE_TRY(close_indexes(event.position));
    leave_consumers(event.position);
    if (made_.text.size() > kDocumentBytes) {
        lose(Loss::too_large, "the event is left out: its document would have more than 64 MiB",
             event.position);
        return {};
    }
    const std::string stream(event.stream);
    const bool shared = shared_.contains(stream);
    auto number =
        storage_->write(made_.text, shared ? std::string_view() : event.stream, made_.time_us);
    if (!number) return std::move(number).error();
    ++report_.documents;
    if (made_.as_imported) ++report_.as_imported;
    checksum_ = add_document(checksum_, made_.text);
    count_in(made_.envelope ? std::optional(stream) : stream_in(made_.text));
    tell_event(event);
    return {};
}

void Exporting::count_in(const std::optional<std::string>& stream) {
    const auto length = stream ? lengths_.find(*stream) : lengths_.end();
    if (length != lengths_.end()) ++length->second;
}

void Exporting::tell_event(const EventView& event) {
    if (event.erased)
        lose(Loss::erased_event, "its content was erased: it is there without a payload",
             event.position);
    if (made_.base64)
        lose(Loss::not_json, "its data are no JSON text: the payload holds them in base64",
             event.position);
    if (made_.metadata_left)
        lose(Loss::metadata_left, "its metadata are no JSON object: they are left out",
             event.position);
    if (event.id_bytes != nullptr && !made_.as_imported) ++other_ids_;
}

Result<void> Exporting::close_indexes(Position before) {
    while (!closings_.empty() && closings_.back().behind < before) {
        VARVE_TRY(storage_->close_index(closings_.back().index));
        ++report_.closed;
        closings_.pop_back();
    }
    return {};
}

/// Reads the storage as anybody would: every document, and how many each stream has.
Result<void> Exporting::compare(nes::Storage& storage, const std::vector<nes::IndexInfo>& indexes) {
    auto cursor = storage.range();
    if (report_.documents > 0) {
        if (!cursor) return std::move(cursor).error();
        std::uint32_t checksum = 0;
        for (nes::StoredDocument one; cursor->next(one);)
            checksum = add_document(checksum, one.data);
        VARVE_TRY(cursor->status());
        if (checksum != checksum_ || storage.length() != report_.documents)
            return failure(ErrorCode::corrupt, "the storage has other documents than were written",
                           options_.directory);
    }
    report_.streams = indexes.size();
    for (const nes::IndexInfo& index : indexes) {
        if (!index.name.starts_with("stream-") || index.closed) continue;
        const auto wanted = lengths_.find(index.name.substr(7));
        if (wanted != lengths_.end() && wanted->second != index.length)
            return failure(ErrorCode::corrupt,
                           "the index has " + std::to_string(index.length) + " entries and not " +
                               std::to_string(wanted->second),
                           index.path);
    }
    return {};
}

void Exporting::lose(Loss loss, std::string what, Position position) {
    ++report_.lost[static_cast<std::size_t>(loss)];
    if (options_.tell) options_.tell({loss, std::move(what), position});
}

}  // namespace varve::bridge

namespace varve {
inline namespace v0 {
namespace nes {

std::string_view to_string(Loss loss) noexcept {
    switch (loss) {
        case Loss::too_large: return "too_large";
        case Loss::not_json: return "not_json";
        case Loss::metadata_left: return "metadata_left";
        case Loss::stream_without_index: return "stream_without_index";
        case Loss::erased_event: return "erased_event";
        case Loss::shared_partition: return "shared_partition";
        case Loss::unusable_definition: return "unusable_definition";
        case Loss::unusable_consumer: return "unusable_consumer";
        case Loss::other_id: return "other_id";
        case Loss::changed_consumer: return "changed_consumer";
    }
    VARVE_UNREACHABLE();
}

Weight weight_of(Loss loss) noexcept {
    return loss <= Loss::stream_without_index ? Weight::refused : Weight::note;
}

Weight ExportReport::weight() const noexcept {
    Weight gravest = Weight::note;
    for (std::size_t n = 0; n < kLosses; ++n)
        if (lost[n] > 0) gravest = std::max(gravest, weight_of(static_cast<Loss>(n)));
    return gravest;
}

Result<ExportReport> export_storage(const Store& source, const ExportOptions& options,
                                    const Progress& progress) noexcept {
    try {
        return bridge::Exporting(source, options, progress).run();
    } catch (const std::bad_alloc&) {
        return base::failure(ErrorCode::out_of_memory, "there is no memory for the export");
    }
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
