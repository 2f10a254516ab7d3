// A storage read: what files there are, and documents by their entries. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "nes/json.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

Storage::Storage(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Storage::Storage(Storage&&) noexcept = default;
Storage& Storage::operator=(Storage&&) noexcept = default;
Storage::~Storage() = default;

Result<Storage> Storage::open(const std::string& directory,
                              const StorageOptions& options) noexcept {
    VARVE_TRY(check_name(options.name));
    if (options.name.find('/') != std::string::npos)
        return failure(ErrorCode::invalid_argument, "the name of a storage has no '/'");
    os::Env& env = options.env != nullptr ? *options.env : os::posix_env();
    auto state = std::make_unique<State>(env, options, directory);
    if (state->writing()) {
        VARVE_TRY(state->begin_writing());
        return Storage(std::move(state));
    }
    auto primary = Index::open(state->index_directory + "/" + options.name + ".index",
                               IndexOptions{state->file_options(Access::read_only), {}});
    if (!primary) return std::move(primary).error();
    state->primary.emplace(std::move(*primary));
    VARVE_TRY(state->find_files());
    return Storage(std::move(state));
}

FileOptions Storage::State::file_options(Access access) const noexcept {
    FileOptions file;
    file.access = access;
    file.layout = access == Access::read_write ? options.layout : Layout::detect;
    file.sync_on_flush = options.sync_on_flush;
    file.hold_open = false;
    file.env = &env;
    return file;
}

Result<void> Storage::State::usable(bool for_writing) const noexcept {
    if (!is_open) return failure(ErrorCode::closed, "the storage is closed");
    if (for_writing && !writing())
        return failure(ErrorCode::invalid_argument, "the storage was opened for reading only");
    return {};
}

Result<void> Storage::State::find_files() noexcept {
    auto found = find_partitions(env, data_directory, options.name);
    if (!found) return std::move(found).error();
    scanned_length = primary ? primary->length() : 0;
    for (const std::string& file : *found) {
        const std::uint32_t id = partition_id(file);
        const auto known = partitions.find(id);
        if (known == partitions.end()) {
            auto slot = std::make_unique<PartitionSlot>();
            slot->file = file;
            slot->name = file.size() > options.name.size() ? file.substr(options.name.size() + 1)
                                                           : std::string();
            slot->id = id;
            partitions.emplace(id, std::move(slot));
        } else if (known->second->file != file) {
            report(failure(
                ErrorCode::corrupt,
                "has the same id as " + known->second->file + ": entries cannot tell them apart",
                data_directory + "/" + file));
        }
    }
    auto names = find_indexes(env, index_directory, options.name);
    if (!names) return std::move(names).error();
    for (const FoundIndex& index : *names) see_index(index, *names);
    return {};
}

/// An index that is new, or one that was closed since it was last seen: its file is another then.
void Storage::State::see_index(FoundIndex index, const std::vector<FoundIndex>& all) {
    for (IndexSlot* const slot : by_name[index.name])
        if (slot->info.path == index.path) return;
    for (IndexSlot* const slot : by_name[index.name]) {
        const auto here = [&](const FoundIndex& one) { return one.path == slot->info.path; };
        if (std::any_of(all.begin(), all.end(), here)) continue;
        slot->info.path = std::move(index.path);
        slot->info.closed = index.closed;
        slot->reader.reset();
        return;
    }
    add_index(std::move(index.name), std::move(index.path)).info.closed = index.closed;
}

IndexSlot& Storage::State::add_index(std::string name, std::string path) {
    IndexSlot& slot = *indexes.emplace_back(std::make_unique<IndexSlot>());
    slot.info.name = std::move(name);
    slot.info.path = std::move(path);
    by_name[slot.info.name].push_back(&slot);
    return slot;
}

/// Each problem once, however often it is met.
void Storage::State::report(Error error) {
    for (const Error& known : problems)
        if (known.file == error.file && known.message == error.message) return;
    problems.push_back(std::move(error));
}

/// Another process may have made a partition. Looked for once per length of the primary index.
void Storage::State::find_new_partitions() noexcept {
    if (scanned_length == primary->length()) return;
    if (auto found = find_files(); !found) report(std::move(found).error());
}

PartitionSlot* Storage::State::slot_of(std::uint32_t id) noexcept {
    auto found = partitions.find(id);
    if (found == partitions.end()) {
        find_new_partitions();
        found = partitions.find(id);
    }
    return found == partitions.end() ? nullptr : found->second.get();
}

Result<Partition*> Storage::State::reader_of(PartitionSlot& slot) noexcept {
    if (!slot.reader) {
        auto opened = Partition::open(data_directory + "/" + slot.file,
                                      PartitionOptions{file_options(Access::read_only), {}, {}});
        if (!opened) return std::move(opened).error();
        slot.reader.emplace(std::move(*opened));
    }
    return &*slot.reader;
}

Result<Index*> Storage::State::reader_of(IndexSlot& slot) noexcept {
    if (!slot.reader) {
        auto opened =
            Index::open(slot.info.path, IndexOptions{file_options(Access::read_only), {}});
        if (!opened) return std::move(opened).error();
        slot.reader.emplace(std::move(*opened));
    } else if (auto changed = slot.reader->refresh(); !changed) {
        return std::move(changed).error();
    }
    return &*slot.reader;
}

IndexSlot* Storage::State::index_of(std::string_view name) noexcept {
    const auto found = by_name.find(std::string(name));
    return found == by_name.end() || found->second.empty() ? nullptr : found->second.front();
}

/// Reads what an index takes from its header.
Result<void> Storage::State::learn(IndexSlot& slot) noexcept {
    auto index = reader_of(slot);
    if (!index) return std::move(index).error();
    const std::string_view metadata = (*index)->metadata();
    slot.info.length = (*index)->length();
    slot.info.kind = MatcherKind::none;
    const auto matcher = json_field(metadata, "matcher");
    if (!matcher) return {};
    if (is_json_object(*matcher)) {
        slot.info.kind = MatcherKind::object;
        slot.info.matcher = *matcher;
    } else if (auto text = json_string(*matcher)) {
        slot.info.kind = MatcherKind::function;
        slot.info.matcher = std::move(*text);
        if (const auto hmac = json_field(metadata, "hmac"))
            slot.info.hmac = json_string(*hmac).value_or(std::string());
    }
    return {};
}

Result<StoredDocument> Storage::State::read_entry(const IndexEntry& entry) noexcept {
    PartitionSlot* const slot = slot_of(entry.partition);
    if (slot == nullptr)
        return failure(ErrorCode::not_found,
                       "entry " + std::to_string(entry.number) + " names the partition with id " +
                           std::to_string(entry.partition) + ", of which there is no file",
                       index_directory);
    auto partition = reader_of(*slot);
    if (!partition) return std::move(partition).error();
    const std::uint64_t end = std::uint64_t{entry.position} + entry.size;
    if (end >= (*partition)->size()) {
        if (slot->dirty && slot->writer) {
            if (auto flushed = slot->writer->flush(); !flushed) return std::move(flushed).error();
        }
        if (auto changed = (*partition)->refresh(); !changed) return std::move(changed).error();
    }
    auto document = (*partition)->read(entry.position, entry.size);
    if (!document) return std::move(document).error();
    if (std::uint64_t{document->sequence} + 1 != entry.number)
        return failure(ErrorCode::corrupt,
                       "entry " + std::to_string(entry.number) + " names position " +
                           std::to_string(entry.position) + ", where document " +
                           std::to_string(std::uint64_t{document->sequence} + 1) + " lies",
                       data_directory + "/" + slot->file,
                       (*partition)->header_bytes() + entry.position);
    StoredDocument stored;
    stored.number = entry.number;
    stored.partition = slot->name;
    stored.data = document->data;
    stored.time_us = (*partition)->epoch_ms() * 1000 + document->time_us;
    stored.position = document->position;
    stored.offset = (*partition)->header_bytes() + document->position;
    return stored;
}

/// After a truncation readers must not go on with ends that are no longer there.
Result<void> Storage::State::refresh_readers() noexcept {
    for (const auto& [id, slot] : partitions)
        if (slot->reader)
            if (auto changed = slot->reader->refresh(); !changed) return std::move(changed).error();
    return {};
}

std::uint64_t Storage::length() const noexcept { return state_->length(); }
const std::vector<Error>& Storage::problems() const noexcept { return state_->problems; }
const RepairReport& Storage::repaired() const noexcept { return state_->repaired; }

Result<std::vector<IndexInfo>> Storage::indexes() noexcept {
    VARVE_TRY(state_->usable(false));
    if (state_->writing())
        VARVE_TRY(state_->flush());
    else
        VARVE_TRY(state_->find_files());
    std::vector<IndexInfo> all;
    for (const auto& slot : state_->indexes) {
        const bool kept = slot->reader.has_value();
        if (auto learnt = state_->learn(*slot); !learnt)
            state_->report(std::move(learnt).error());
        else
            all.push_back(slot->info);
        if (!kept) slot->reader.reset();  // a mapping for each would be too many
    }
    return all;
}

Result<std::vector<PartitionInfo>> Storage::partitions() noexcept {
    VARVE_TRY(state_->usable(false));
    if (state_->writing())
        VARVE_TRY(state_->flush());
    else
        VARVE_TRY(state_->find_files());
    std::vector<PartitionInfo> all;
    for (const auto& [id, slot] : state_->partitions) {
        auto partition = state_->reader_of(*slot);
        if (!partition) {
            state_->report(std::move(partition).error());
            continue;
        }
        if (auto changed = (*partition)->refresh(); !changed) return std::move(changed).error();
        all.push_back({slot->name, state_->data_directory + "/" + slot->file, id,
                       (*partition)->size(), (*partition)->header_bytes(), (*partition)->layout(),
                       std::string((*partition)->metadata()), (*partition)->torn()});
    }
    return all;
}

Result<StoredDocument> Storage::read(std::uint64_t number) noexcept {
    VARVE_TRY(state_->usable(false));
    if (!state_->held.empty()) VARVE_TRY(state_->flush());
    const auto entry = state_->primary->get(static_cast<std::int64_t>(number));
    if (number == 0 || !entry)
        return failure(ErrorCode::not_found, "there is no document " + std::to_string(number));
    return state_->read_entry(*entry);
}

Result<Change> Storage::refresh() noexcept { return wait(0); }

Result<Change> Storage::wait(std::uint64_t timeout_us) noexcept {
    VARVE_TRY(state_->usable(false));
    if (state_->writing()) return Change{};
    auto change = state_->primary->wait(timeout_us);
    if (change && change->truncated > 0) VARVE_TRY(state_->refresh_readers());
    return change;
}

std::optional<Envelope> envelope_of(std::string_view document) {
    const auto stream = json_field(document, "stream");
    auto name = stream ? json_string(*stream) : std::nullopt;
    if (!name) return std::nullopt;
    Envelope envelope;
    envelope.stream = std::move(*name);
    envelope.payload = json_field(document, "payload").value_or(std::string_view());
    envelope.metadata = json_field(document, "metadata").value_or(std::string_view());
    return envelope;
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
