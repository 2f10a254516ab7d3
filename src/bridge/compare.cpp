// Both sides once more: what the target has of the source's events, stream by stream, and what its
// streams, types, tags and derived streams list, entry by entry. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "bridge/importing.hpp"

namespace varve::bridge {

using nes::Finding;

namespace {

std::uint32_t add_text(std::uint32_t crc, std::string_view text) noexcept {
    return base::crc32c(base::crc32c_u64(crc, text.size()), base::as_bytes(text));
}

template <class Event>
void add_to(nes::StreamSum& sum, const Event& event, std::int64_t time_us) noexcept {
    ++sum.events;
    std::uint32_t crc = base::crc32c_u64(sum.checksum, static_cast<std::uint64_t>(time_us));
    crc = add_text(crc, event.type);
    crc = base::crc32c_u64(crc, event.tags.size());
    for (const std::string_view tag : event.tags) crc = add_text(crc, tag);
    sum.checksum = add_text(add_text(crc, event.data), event.metadata);
}

}  // namespace

nes::StreamSum& Sums::sum_of(std::string_view stream) {
    const auto found = sums_.find(stream);
    if (found != sums_.end()) return found->second;
    return sums_.emplace(std::string(stream), nes::StreamSum{}).first->second;
}

void Sums::add(const NewEvent& event) {
    add_to(sum_of(event.stream), event, event.time_us.value_or(0));
}
void Sums::add(const EventView& event) { add_to(sum_of(event.stream), event, event.time_us); }

nes::StreamSum Sums::of(const std::string& stream) const {
    const auto found = sums_.find(stream);
    return found == sums_.end() ? nes::StreamSum{} : found->second;
}

std::vector<std::string> Sums::streams() const {
    std::vector<std::string> names;
    names.reserve(sums_.size());
    for (const auto& [name, sum] : sums_) names.push_back(name);
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> Importing::compare() {
    auto snapshot = target_.snapshot();
    if (!snapshot) return std::move(snapshot).error();
    std::sort(left_out_.begin(), left_out_.end());
    VARVE_TRY(compare_streams(*snapshot));
    VARVE_TRY(compare_indexes(*snapshot));
    report_.compared = true;
    return {};
}

Result<void> Importing::compare_streams(const Snapshot& snapshot) {
    Sums target;
    auto events = snapshot.read(Source::all());
    auto done = events.for_each([&](const EventView& event) {
        const bool ours = event.id_bytes != nullptr && number_in(event.id_bytes, mark_) != 0;
        if (ours) target.add(event);
    });
    if (!done) return std::move(done).error();
    std::vector<std::string> names = sums_.streams();
    const std::vector<std::string> there = target.streams();
    names.insert(names.end(), there.begin(), there.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (std::string& name : names) {
        const nes::StreamSum source = sums_.of(name);
        const nes::StreamSum copy = target.of(name);
        if (source != copy)
            findings_.add(Finding::differing_stream,
                          "stream " + name + " has " + std::to_string(source.events) +
                              " events in the source and " + std::to_string(copy.events) +
                              " of them in the store" +
                              (source.events == copy.events ? ", but not the same ones" : ""));
        report_.streams.push_back({std::move(name), source, copy});
    }
    return {};
}

Result<void> Importing::compare_indexes(const Snapshot& snapshot) {
    for (std::size_t n = 0; n < indexes_.size(); ++n)
        VARVE_TRY(compare_index(snapshot, indexes_[n], meanings_[n]));
    return {};
}

/// Goes over the entries of an index and over the events that its stream has here, side by side.
Result<void> Importing::compare_index(const Snapshot& snapshot, const nes::IndexInfo& info,
                                      const Meaning& meaning) {
    nes::IndexOptions reading;
    reading.access = Access::read_only;
    reading.env = options_.env;
    auto index = nes::Index::open(info.path, reading);
    auto entries = index ? index->all() : Error(index.error());
    if (!entries) {
        findings_.add(Finding::damaged_file, entries.error().message, info.path,
                      entries.error().offset);
        return {};
    }
    std::vector<std::uint32_t> numbers;  // that the stream must have here
    for (std::size_t at = 0; at < entries->size(); ++at) {
        const nes::IndexEntry& entry = (*entries)[at];
        if (entry.number > indexed_) break;  // the source has grown
        const auto known = primary_->get(static_cast<std::int64_t>(entry.number));
        if (!known || *known != entry)
            findings_.add(Finding::damaged_index,
                          "the entry for document " + std::to_string(entry.number) +
                              " is not that of the primary index",
                          info.path, index->offset(at + 1), entry.number);
        if (!std::binary_search(left_out_.begin(), left_out_.end(), entry.number))
            numbers.push_back(entry.number);
    }
    ++report_.indexes;
    if (meaning.means == Means::nothing) return {};
    return compare_numbers(snapshot, info, meaning, numbers);
}

Result<void> Importing::compare_numbers(const Snapshot& snapshot, const nes::IndexInfo& info,
                                        const Meaning& meaning,
                                        std::span<const std::uint32_t> numbers) {
    std::size_t at = 0;
    std::uint64_t there = 0;
    std::uint32_t first_other = 0;
    ReadOptions options;
    options.verify = Verify::trusted;  // the events were read and compared before
    auto events = snapshot.query(
        meaning.means == Means::derived ? Selector::derived(meaning.name) : meaning.selector,
        options);
    auto done = events.for_each([&](const EventView& event) {
        const std::uint32_t number =
            event.id_bytes == nullptr ? 0 : number_in(event.id_bytes, mark_);
        if (number == 0 || number > indexed_) return;
        ++there;
        if (at < numbers.size() && numbers[at] == number)
            ++at;
        else if (first_other == 0)
            first_other = number;
    });
    if (!done) return std::move(done).error();
    if (at == numbers.size() && there == numbers.size()) return {};
    if (at < numbers.size() && (first_other == 0 || numbers[at] < first_other))
        first_other = numbers[at];
    findings_.add(Finding::differing_index,
                  "stream " + meaning.name + " lists " + std::to_string(numbers.size()) +
                      " of the events in the source and " + std::to_string(there) +
                      " here; the first difference is document " + std::to_string(first_other),
                  info.path, 0, first_other);
    return {};
}

}  // namespace varve::bridge
