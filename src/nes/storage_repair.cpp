// Bringing the files of a storage to agree: after a crash, after a truncation, or from nothing.
//
// One thread. The documents are the truth: what a document does not prove is cut from the indexes,
// and what an index lacks is added. Documents are cut only where one before them is missing, and
// what is cut is kept in branch files.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "nes/format.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

Result<void> Storage::State::repair(bool after_crash) noexcept {
    VARVE_TRY(drop_torn(repaired));
    VARVE_TRY(cut_primary(repaired));
    const std::uint64_t known = primary->length();
    VARVE_TRY(index_documents(repaired));
    VARVE_TRY(cut_indexes(primary->length(), repaired));
    VARVE_TRY(agree(after_crash ? 0 : known, repaired));
    return flush();
}

Result<void> Storage::State::drop_torn(RepairReport& report) noexcept {
    for (const auto& [id, slot] : partitions) {
        auto reader = reader_of(*slot);
        if (!reader) {
            if (!is_none(reader.error())) return std::move(reader).error();
            this->report(std::move(reader).error());
            continue;
        }
        if (!(*reader)->torn()) continue;
        VARVE_TRY(limit_writers());
        auto writer = writer_of(*slot);
        if (!writer) return std::move(writer).error();
        auto branch = (*writer)->drop_torn();
        if (!branch) return std::move(branch).error();
        ++report.torn;
        report.branches.push_back(std::move(*branch));
        if (auto changed = (*reader)->refresh(); !changed) return std::move(changed).error();
    }
    return {};
}

/// Cuts the primary index before the first entry whose document is not there: its partition ends
/// earlier, or there is none. One that is there and disagrees is damage, and no reason to cut
/// anything.
Result<void> Storage::State::cut_primary(RepairReport& report) noexcept {
    std::map<std::uint32_t, std::uint64_t> ends;
    for (const auto& [id, slot] : partitions)
        if (auto reader = reader_of(*slot); reader) ends[id] = (*reader)->size();
    auto entries = primary->all();
    if (!entries) return std::move(entries).error();
    const auto there = [&](const IndexEntry& entry) {
        const auto end = ends.find(entry.partition);
        return end != ends.end() && entry.position + document_bytes(entry.size) <= end->second;
    };
    const auto found = std::find_if_not(entries->begin(), entries->end(), there);
    const auto kept = static_cast<std::uint64_t>(found - entries->begin());
    if (kept < entries->size()) {
        report.entries_cut += entries->size() - kept;
        auto cut = primary->truncate(kept);
        if (!cut) return std::move(cut).error();
    }
    const auto last = primary->last();
    if (!last) return {};
    auto document = read_entry(*last);
    if (!document) return std::move(document).error();
    return {};
}

/// Gives the primary index the documents that follow its last one. Where one is missing the rest
/// cannot be numbered and goes.
Result<void> Storage::State::index_documents(RepairReport& report) noexcept {
    Cursor::State cursor;
    cursor.storage = this;
    const std::uint64_t from = primary->length();
    for (const auto& [id, slot] : partitions) cursor.add(*slot, static_cast<std::uint32_t>(from));
    StoredDocument document;
    while (cursor.next_head(document)) {
        const std::uint64_t wanted = primary->length() + 1;
        if (document.number > wanted) return drop_from(wanted - 1, report);
        if (document.number < wanted)
            return failure(
                ErrorCode::corrupt,
                "two documents have the sequence number " + std::to_string(document.number - 1) +
                    "; one of them lies in partition '" + std::string(document.partition) +
                    "' at position " + std::to_string(document.position),
                data_directory);
        const std::string file = document.partition.empty()
                                     ? options.name
                                     : options.name + "." + std::string(document.partition);
        const IndexEntry entry{
            static_cast<std::uint32_t>(wanted), static_cast<std::uint32_t>(document.position),
            static_cast<std::uint32_t>(document.data.size()), partition_id(file)};
        auto added = primary->add(entry);
        if (!added) return std::move(added).error();
        ++report.unindexed;
    }
    for (Error& failed : cursor.failures)
        if (!is_none(failed)) return std::move(failed);
    return {};
}

Result<void> Storage::State::drop_from(std::uint64_t sequence, RepairReport& report) noexcept {
    for (const auto& [id, slot] : partitions) {
        auto reader = reader_of(*slot);
        if (!reader) {
            if (is_none(reader.error())) continue;
            return std::move(reader).error();
        }
        auto first = (*reader)->find(static_cast<std::uint32_t>(sequence));
        if (!first) return std::move(first).error();
        if (!*first) continue;
        auto documents = (*reader)->forwards((*first)->position);
        if (!documents) return std::move(documents).error();
        for (Document one; documents->next(one);) ++report.dropped;
        const std::uint64_t position = (*first)->position;
        slot->end.reset();
        VARVE_TRY(limit_writers());
        auto writer = writer_of(*slot);
        if (!writer) return std::move(writer).error();
        auto branch = (*writer)->truncate(position);
        if (!branch) return std::move(branch).error();
        report.branches.push_back(std::move(*branch));
        if (auto changed = (*reader)->refresh(); !changed) return std::move(changed).error();
    }
    return {};
}

/// Cuts every index, closed ones too, to documents up to `length`.
Result<void> Storage::State::cut_indexes(std::uint64_t length, RepairReport& report) noexcept {
    for (const auto& slot : indexes) {
        if (slot->missing) continue;
        auto reader = reader_of(*slot);
        if (!reader) return std::move(reader).error();
        const auto last = (*reader)->last();
        if (!last || last->number <= length) continue;
        VARVE_TRY(limit_writers());
        auto writer = writer_of(*slot);
        if (!writer) return std::move(writer).error();
        const std::uint64_t kept = (*writer)->find(length);
        report.secondary_cut += (*writer)->length() - kept;
        auto cut = (*writer)->truncate(kept);
        if (!cut) return std::move(cut).error();
        mark(*slot);
    }
    return {};
}

/// Makes every index that takes documents hold exactly those behind number `from` which match.
Result<void> Storage::State::agree(std::uint64_t from, RepairReport& report,
                                   const IndexSlot* only) noexcept {
    std::vector<std::uint64_t> known(indexes.size());  // entries that are right
    const auto wanted = [&](const IndexSlot& slot) {
        return slot.taking && (only == nullptr || &slot == only);
    };
    if (only == nullptr && from == primary->length()) return {};
    for (std::size_t n = 0; n < indexes.size(); ++n) {
        if (!wanted(*indexes[n])) continue;
        auto reader = reader_of(*indexes[n]);
        if (!reader) return std::move(reader).error();
        known[n] = (*reader)->find(from);
    }
    Routing alone;  // of one index: the others need not be asked
    for (std::size_t n = 0; only != nullptr && n < indexes.size(); ++n)
        if (indexes[n].get() == only) VARVE_TRY(alone.add(n, only->info.matcher));
    std::vector<std::size_t> takers;
    for (std::uint64_t number = from + 1; number <= primary->length(); ++number) {
        const auto entry = primary->get(static_cast<std::int64_t>(number));
        if (!entry) break;
        auto document = read_entry(*entry);
        if (!document) return std::move(document).error();
        (only != nullptr ? alone : routing).route(document->data, takers);
        VARVE_TRY(limit_writers(takers.size()));
        for (const std::size_t n : takers) {
            IndexSlot& slot = *indexes[n];
            if (!wanted(slot)) continue;
            auto writer = writer_of(slot);
            if (!writer) return std::move(writer).error();
            const auto next = (*writer)->get(static_cast<std::int64_t>(known[n] + 1));
            if (next != entry) {
                VARVE_TRY(cut_index(slot, known[n], report));
                auto added = (*writer)->add(*entry);
                if (!added) return std::move(added).error();
                ++report.secondary_added;
                mark(slot);
            }
            ++known[n];
        }
    }
    for (std::size_t n = 0; n < indexes.size(); ++n)
        if (wanted(*indexes[n])) VARVE_TRY(cut_index(*indexes[n], known[n], report));
    return {};
}

Result<void> Storage::State::cut_index(IndexSlot& slot, std::uint64_t length,
                                       RepairReport& report) noexcept {
    if (!slot.writer) {
        auto reader = reader_of(slot);
        if (!reader) return std::move(reader).error();
        if ((*reader)->length() <= length) return {};
        VARVE_TRY(limit_writers());
    }
    auto writer = writer_of(slot);
    if (!writer) return std::move(writer).error();
    if ((*writer)->length() <= length) return {};
    report.secondary_cut += (*writer)->length() - length;
    auto cut = (*writer)->truncate(length);
    if (!cut) return std::move(cut).error();
    mark(slot);
    return {};
}

Result<RepairReport> Storage::truncate(std::uint64_t length) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(true));
    RepairReport report;
    VARVE_TRY(state.flush());
    if (length >= state.primary->length()) return report;
    // The first entry that goes says where its partition is cut: an index is in document order.
    std::map<std::uint32_t, std::uint32_t> cuts;
    auto entries = state.primary->range(static_cast<std::int64_t>(length + 1));
    if (!entries) return std::move(entries).error();
    for (const IndexEntry& entry : *entries) cuts.emplace(entry.partition, entry.position);
    report.dropped = entries->size();
    report.entries_cut = entries->size();
    // Indexes first: should this be interrupted, the documents that are left tell what is missing.
    VARVE_TRY(state.cut_indexes(length, report));
    auto cut = state.primary->truncate(length);
    if (!cut) return std::move(cut).error();
    VARVE_TRY(state.flush());
    for (const auto& [id, position] : cuts) {
        PartitionSlot* const slot = state.slot_of(id);
        if (slot == nullptr) continue;
        slot->end.reset();
        VARVE_TRY(state.limit_writers());
        auto writer = state.writer_of(*slot);
        if (!writer) return std::move(writer).error();
        auto branch = (*writer)->truncate(position);
        if (!branch) return std::move(branch).error();
        if (!branch->empty()) report.branches.push_back(std::move(*branch));
    }
    VARVE_TRY(state.refresh_readers());
    return report;
}

Result<RepairReport> Storage::reindex(std::uint64_t from) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(true));
    RepairReport report;
    VARVE_TRY(state.flush());
    if (from < state.primary->length()) {
        report.entries_cut = state.primary->length() - from;
        auto cut = state.primary->truncate(from);
        if (!cut) return std::move(cut).error();
    }
    VARVE_TRY(state.index_documents(report));
    VARVE_TRY(state.cut_indexes(state.primary->length(), report));
    VARVE_TRY(state.agree(from, report));
    VARVE_TRY(state.flush());
    return report;
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
