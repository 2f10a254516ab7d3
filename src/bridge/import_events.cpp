// Documents to events, events to appends. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "bridge/importing.hpp"

namespace varve::bridge {

using nes::Finding;

namespace {

constexpr std::size_t kEventsPerAppend = 512;
constexpr std::uint64_t kBytesPerAppend = 4 << 20;
// A commit of the source may be larger, up to what one append of the store may be, with room for
// names and frames.
constexpr std::size_t kEventsPerCommit = 65'536;
constexpr std::uint64_t kBytesPerCommit = 128 << 20;
constexpr std::size_t kTags = 64;
constexpr std::size_t kMetadataBytes = 1 << 20;
constexpr std::size_t kNameBytes = 1024;

bool is_plain(std::string_view name) noexcept {
    if (name.empty() || name.size() > kNameBytes || name.front() == '$') return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::uint64_t bytes_of(const NewEvent& event) noexcept {
    return event.data.size() + event.metadata.size() + event.stream.size();
}

}  // namespace

const std::string* Names::fault(std::string_view name) {
    constexpr std::size_t kKept = 100'000;
    if (name.empty() || is_plain(name)) return nullptr;
    if (known_.size() > kKept) known_.clear();
    auto found = known_.find(std::string(name));
    if (found == known_.end()) {
        AppendOptions only_ask;
        only_ask.dry_run = true;
        NewEvent event;
        event.stream = name;
        const auto answer = target_.append({&event, 1}, only_ask);
        found = known_.emplace(name, answer ? std::string() : answer.error().message).first;
    }
    return found->second.empty() ? nullptr : &found->second;
}

/// What the primary index has and was not taken yet: all of it, or up to a document that a writer
/// has yet to write.
Result<void> Importing::import_indexed() {
    if (placed_ == indexed_) return {};
    auto cursor =
        source_->range(static_cast<std::int64_t>(placed_ + 1), static_cast<std::int64_t>(indexed_));
    if (!cursor) return std::move(cursor).error();
    nes::StoredDocument document;
    while (placed_ < indexed_) {
        const bool there = cursor->next(document);
        if (!there) {
            const auto status = cursor->status();
            if (status || is_awaited(status.error(), placed_ + 1)) break;
            cursor->pass();
            pass_entry(status.error(), placed_ + 1);
        }
        ++placed_;
        ++taken_;
        if (there) VARVE_TRY(take(document));
        if (cancelled()) return {};
    }
    return {};
}

/// True if a writer may be about to write the document: some write the entry first.
bool Importing::is_awaited(const Error& error, std::uint64_t place) const noexcept {
    return options_.follow && error.code == ErrorCode::not_found && place > given_up_;
}

void Importing::pass_entry(const Error& error, std::uint64_t place) {
    ++report_.documents;
    ++report_.left_out;
    left_out_.push_back(static_cast<std::uint32_t>(place));
    if (const auto entry = primary_->get(static_cast<std::int64_t>(place))) tiling_->pass(*entry);
    findings_.add(Finding::damaged_entry, error.message, error.file, error.offset, place);
}

/// Documents behind the last one that the primary index has: its writer died before it could add
/// them, or is about to. They are taken as long as their numbers follow.
Result<void> Importing::import_unindexed() {
    auto cursor = source_->by_sequence(static_cast<std::uint32_t>(indexed_));
    if (!cursor) return std::move(cursor).error();
    nes::StoredDocument document;
    std::uint64_t next = indexed_ + 1;
    while (true) {
        if (cursor->next(document)) {
            if (document.number != next) break;  // the rest is told as a gap
            ++next;
            VARVE_TRY(take(document));
            continue;
        }
        const auto status = cursor->status();
        if (status) break;
        findings_.add(Finding::damaged_file, status.error().message, status.error().file,
                      status.error().offset);
        cursor->pass();
    }
    drop_unfinished();
    VARVE_TRY(append_batch());
    for (const Tiling::Gap& gap : tiling_->rest())
        findings_.add(Finding::unindexed_document,
                      std::to_string(gap.bytes) + " bytes of documents are in no index", gap.path,
                      gap.offset);
    for (const nes::PartitionInfo& one : tiling_->partitions())
        if (one.torn)
            findings_.add(Finding::torn_document,
                          std::to_string(one.torn->bytes) +
                              " bytes at the end of the partition are no whole document",
                          one.path, one.header_bytes + one.torn->position,
                          one.torn->sequence ? *one.torn->sequence + 1 : 0);
    return {};
}

Result<void> Importing::take(const nes::StoredDocument& document) {
    const Place place{document.partition, document.offset, document.number};
    ++report_.documents;
    switch (tiling_->place(document)) {
        case Tiling::Fit::follows: break;
        case Tiling::Fit::leaves_gap:
            findings_.add(
                Finding::unindexed_document,
                std::to_string(tiling_->gap().bytes) + " bytes of documents are in no index",
                tiling_->gap().path, tiling_->gap().offset);
            break;
        case Tiling::Fit::overlaps:
            leave_out(Finding::overlapping_entry, "the document begins within the one before it",
                      place);
            return {};
    }
    texts_.clear();
    if (!read_event(document, paths_, texts_, scratch_)) {
        leave_out(Finding::not_json, "the document is no JSON object", place);
        return {};
    }
    if (!envelopes_known_) envelopes_ = scratch_.envelope;
    envelopes_known_ = true;
    if (!usable(scratch_, place)) return {};
    scratch_.event.id = last_id_ = id_of(document, mark_);
    last_ = document.number;
    VARVE_TRY(make_room(scratch_, place));
    Load& load = *batch_.load;
    if (load.count == load.events.size()) load.events.emplace_back();
    std::swap(load.events[load.count], scratch_.event);
    load.texts.splice(load.texts.end(), texts_);
    batch_.bytes += bytes_of(load.events[load.count++]);
    batch_.commit = scratch_.commit;
    batch_.open = scratch_.commit.version + 1 < scratch_.commit.size;
    if (batch_.open)
        batch_.stream = load.events[load.count - 1].stream;
    else
        close_commit();
    return {};
}

/// Ends the commit before, unless the event belongs to it, and appends what is collected if the
/// event's commit would make it too much.
Result<void> Importing::make_room(const SourceEvent& source, const Place& place) {
    if (!continues(source)) {
        close_commit();
        const bool full = batch_.bytes >= kBytesPerAppend ||
                          source.commit.size > kEventsPerAppend ||
                          batch_.load->count + source.commit.size > kEventsPerAppend;
        if (full) VARVE_TRY(append_batch());
        batch_.began = place;
        batch_.split = false;
        ++report_.commits;
        return {};
    }
    if (batch_.load->count < kEventsPerCommit && batch_.bytes < kBytesPerCommit) return {};
    if (!batch_.split)
        found(Finding::split_commit, "the commit is too large for one append: it takes several",
              batch_.began);
    batch_.split = true;
    close_commit();
    return append_batch();
}

void Importing::leave_out(Finding finding, std::string what, const Place& place) {
    ++report_.left_out;
    left_out_.push_back(static_cast<std::uint32_t>(place.number));
    found(finding, std::move(what), place);
}

/// Leaves out what the store would refuse. False if that is the whole event.
bool Importing::usable(SourceEvent& source, const Place& place) {
    NewEvent& event = source.event;
    if (const std::string* why = names_.fault(event.stream)) {
        leave_out(Finding::unusable_event, "the store refuses the stream: " + *why, place);
        return false;
    }
    if (event.metadata.size() > kMetadataBytes) {
        leave_out(Finding::unusable_event, "its metadata exceed 1 MiB", place);
        return false;
    }
    if (const std::string* why = names_.fault(event.type)) {
        found(Finding::unusable_name, "the type is left out: " + *why, place);
        event.type = {};
    } else if (source.types > 1) {
        found(Finding::unusable_name, "of several types only the first is kept", place);
    }
    std::vector<std::string_view>& tags = event.tags;
    std::size_t kept = 0;
    for (const std::string_view tag : tags) {
        const auto end = tags.begin() + static_cast<std::ptrdiff_t>(kept);
        if (std::find(tags.begin(), end, tag) != end) continue;
        if (kept == kTags) {
            found(Finding::unusable_name, "an event has at most 64 tags; the rest is left out",
                  place);
            break;
        }
        if (const std::string* why = names_.fault(tag))
            found(Finding::unusable_name, "a tag is left out: " + *why, place);
        else
            tags[kept++] = tag;
    }
    tags.resize(kept);
    return true;
}

/// True if the event belongs to the commit that goes on.
bool Importing::continues(const SourceEvent& source) const {
    return batch_.open && source.commit.id == batch_.commit.id &&
           source.commit.size == batch_.commit.size &&
           source.commit.version > batch_.commit.version && source.event.stream == batch_.stream;
}

void Importing::close_commit() {
    for (; batch_.closed < batch_.load->count; ++batch_.closed)
        sums_.add(batch_.load->events[batch_.closed]);
    batch_.closed_texts = batch_.load->texts.size();
}

/// Hands over what is collected. No commit goes on then.
Result<void> Importing::append_batch() {
    batch_.closed = 0;
    batch_.closed_texts = 0;
    batch_.bytes = 0;
    if (batch_.load->count == 0) return {};
    auto next = appender_->give(std::move(batch_.load));
    if (!next) return std::move(next).error();
    batch_.load = std::move(*next);
    return {};
}

/// Hands over the commits that are whole. One that goes on stays, with its texts.
Result<void> Importing::append_closed() {
    Load& load = *batch_.load;
    const std::size_t closed = batch_.closed;
    if (closed == 0) return {};
    std::vector<NewEvent> open(load.count - closed);
    for (std::size_t n = 0; n < open.size(); ++n) std::swap(open[n], load.events[closed + n]);
    std::list<std::string> texts;
    texts.splice(texts.end(), load.texts,
                 std::next(load.texts.begin(), static_cast<std::ptrdiff_t>(batch_.closed_texts)),
                 load.texts.end());
    load.count = closed;
    VARVE_TRY(append_batch());
    Load& next = *batch_.load;
    if (next.events.size() < open.size()) next.events.resize(open.size());
    for (std::size_t n = 0; n < open.size(); ++n) {
        batch_.bytes += bytes_of(open[n]);
        std::swap(next.events[n], open[n]);
    }
    next.count = open.size();
    next.texts = std::move(texts);
    return {};
}

Result<void> Importing::finish_appending() {
    auto done = appender_->finish();
    if (!done) return std::move(done).error();
    report_.imported = done->imported;
    report_.present = done->present;
    return {};
}

/// The last commit of the source lacks events. The original drops such a commit when it opens the
/// storage for writing.
void Importing::drop_unfinished() {
    const std::size_t events = batch_.load->count - batch_.closed;
    if (events == 0) return;
    found(Finding::unfinished_commit,
          "of the last commit there are " + std::to_string(batch_.commit.version + 1) + " of " +
              std::to_string(batch_.commit.size) + " events: it is left out",
          batch_.began);
    report_.left_out += events;
    --report_.commits;
    for (std::size_t n = batch_.closed; n < batch_.load->count; ++n)
        left_out_.push_back(number_in(batch_.load->events[n].id->bytes.data(), mark_));
    batch_.load->count = batch_.closed;
}

}  // namespace varve::bridge
