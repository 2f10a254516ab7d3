// A storage written: lock, documents and their entries, flushing in order, closing. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "nes/format.hpp"
#include "nes/json.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::string_view kEntryMetadata = R"({"entryClass":"Entry","entrySize":16)";
constexpr std::uint64_t kMostPending = 1024;         // entries of these fit into an index's buffer
constexpr std::size_t kMostWriters = 400;            // below the usual limit of 1,024 open files
constexpr std::int64_t kFirstMs = 2;                 // an epoch of 0 would be none
constexpr std::int64_t kLastMs = 8'000'000'000'000;  // beyond, a partition cannot be read
constexpr std::uint64_t kMostDocuments = ~std::uint32_t{0};

std::string metadata_with(std::string_view matcher) {
    return std::string(kEntryMetadata) + ",\"matcher\":" + std::string(matcher) + "}";
}

}  // namespace

/// A lock that was taken over is ours once the primary index is: a living writer holds that.
Result<void> Storage::State::begin_writing() noexcept {
    VARVE_TRY(make_directories(env, data_directory, options.sync_on_flush));
    VARVE_TRY(make_directories(env, index_directory, options.sync_on_flush));
    VARVE_TRY(take_lock());
    const std::string path = index_directory + "/" + options.name + ".index";
    auto kind = env.name_kind(path);
    if (!kind) return std::move(kind).error();
    FileOptions file = file_options(Access::read_write);
    if (*kind != os::NameKind::none) file.layout = Layout::detect;
    auto opened = Index::open(path, IndexOptions{file, {}});
    if (!opened) return std::move(opened).error();
    primary.emplace(std::move(*opened));
    locked = true;
    VARVE_TRY(find_files());
    VARVE_TRY(learn_indexes());
    return repair(options.lock == Lock::take_over);
}

Result<void> Storage::State::take_lock() noexcept {
    const std::string path = data_directory + "/" + options.name + ".lock";
    auto made = env.make_new_directory(path, 0755);
    if (!made) return std::move(made).error();
    if (!*made && options.lock == Lock::refuse)
        return failure(
            ErrorCode::locked,
            "another process writes this storage, or died while it did; if it is certain "
            "that none does, take the lock over",
            path);
    locked = *made;
    return {};
}

Result<void> Storage::State::learn_indexes() noexcept {
    for (std::size_t n = 0; n < indexes.size(); ++n) {
        IndexSlot& slot = *indexes[n];
        if (auto learnt = learn(slot); !learnt) {
            if (!is_none(learnt.error())) return learnt;
            report(std::move(learnt).error());
            slot.missing = true;
        }
        if (slot.info.closed || slot.missing) continue;
        slot.taking =
            slot.info.kind == MatcherKind::object && routing.add(n, slot.info.matcher).has_value();
        if (slot.taking || options.leave_unknown_indexes) continue;
        return failure(ErrorCode::invalid_argument,
                       "what the index " + slot.info.name +
                           " takes is only known to the program that made it; it can be left as it "
                           "is, and does not grow then",
                       slot.info.path);
    }
    return {};
}

Result<PartitionSlot*> Storage::State::slot_for(std::string_view name) noexcept {
    if (written != nullptr && written->name == name) return written;
    const std::string file = name.empty() ? options.name : options.name + "." + std::string(name);
    if (!name.empty()) VARVE_TRY(check_name(name));
    VARVE_TRY(check_name(file));
    for (const char* end : {".index", ".branch", ".lock"})
        if (file.ends_with(end))
            return failure(ErrorCode::invalid_argument,
                           "the partition's name ends with " + std::string(end) +
                               ", so its file would be taken for another");
    const std::uint32_t id = partition_id(file);
    auto& slot = partitions[id];
    if (slot == nullptr) {
        slot = std::make_unique<PartitionSlot>();
        slot->file = file;
        slot->name = name;
        slot->id = id;
    }
    if (slot->file != file)
        return failure(ErrorCode::invalid_argument,
                       "the partitions " + file + " and " + slot->file +
                           " have the same id, so entries could not tell them apart; choose "
                           "another name");
    written = slot.get();
    return written;
}

/// A new partition begins a millisecond before its first document, which keeps its time so.
Result<Partition*> Storage::State::writer_of(PartitionSlot& slot,
                                             std::optional<std::int64_t> first_us,
                                             std::uint64_t ahead) noexcept {
    if (slot.writer) return &*slot.writer;
    const std::string path = data_directory + "/" + slot.file;
    auto kind = env.name_kind(path);
    if (!kind) return std::move(kind).error();
    PartitionOptions wanted{file_options(Access::read_write), options.partition_metadata, {}};
    wanted.write_ahead_bytes = ahead;
    if (*kind == os::NameKind::none)
        VARVE_TRY(make_directories(env, directory_of(path), options.sync_on_flush));
    else
        wanted.layout = Layout::detect;
    if (first_us)
        wanted.epoch_ms =
            static_cast<std::uint64_t>(std::clamp(*first_us / 1000, kFirstMs, kLastMs)) - 1;
    auto opened = Partition::open(path, wanted);
    if (!opened) return std::move(opened).error();
    ++writers;
    return &slot.writer.emplace(std::move(*opened));
}

Result<Index*> Storage::State::writer_of(IndexSlot& slot, std::uint64_t ahead) noexcept {
    if (slot.writer) return &*slot.writer;
    auto kind = env.name_kind(slot.info.path);
    if (!kind) return std::move(kind).error();
    IndexOptions wanted{file_options(Access::read_write), {}};
    wanted.write_ahead_bytes = ahead;
    if (*kind == os::NameKind::none || slot.missing) {
        VARVE_TRY(make_directories(env, directory_of(slot.info.path), options.sync_on_flush));
        wanted.metadata = metadata_with(slot.info.matcher);
    } else {
        wanted.layout = Layout::detect;
    }
    auto opened = Index::open(slot.info.path, wanted);
    if (!opened) return std::move(opened).error();
    ++writers;
    return &slot.writer.emplace(std::move(*opened));
}

Result<void> Storage::State::limit_writers(std::size_t more) noexcept {
    if (writers + more <= kMostWriters) return {};
    VARVE_TRY(flush());
    for (const auto& [id, slot] : partitions) slot->writer.reset();
    for (const auto& slot : indexes) slot->writer.reset();
    writers = 0;
    return {};
}

/// Adds the entry to every index that takes a document; `routed` names them.
Result<void> Storage::State::add_entries(const IndexEntry& entry) noexcept {
    auto added = primary->add(entry);
    if (!added) return std::move(added).error();
    for (const std::size_t n : routed) {
        IndexSlot& slot = *indexes[n];
        auto index = writer_of(slot);
        if (!index) return std::move(index).error();
        auto done = (*index)->add(entry);
        if (!done) return std::move(done).error();
        mark(slot);
    }
    return {};
}

/// Undoes `add_entries` for a document that could not be written.
Result<void> Storage::State::take_back(const IndexEntry& entry) noexcept {
    const auto without = [&](Index& index) -> Result<void> {
        const auto last = index.last();
        if (!last || last->number != entry.number) return {};
        auto cut = index.truncate(index.length() - 1);
        if (!cut) return std::move(cut).error();
        return {};
    };
    for (const std::size_t n : routed)
        if (indexes[n]->writer) VARVE_TRY(without(*indexes[n]->writer));
    return without(*primary);
}

Result<std::uint64_t> Storage::write(std::string_view document, std::string_view partition,
                                     std::optional<std::int64_t> time_us) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(true));
    const std::uint64_t number = state.length() + 1;
    if (number >= kMostDocuments)
        return failure(ErrorCode::too_large, "the storage has as many documents as it can number");
    if (state.holds() ? state.held_memory >= state.options.hold_bytes
                      : state.pending >= kMostPending)
        VARVE_TRY(state.flush());
    auto slot = state.slot_for(partition);
    if (!slot) return std::move(slot).error();
    state.routing.route(document, state.routed);
    if (state.holds()) return state.hold(document, **slot, time_us);
    VARVE_TRY(state.limit_writers(state.routed.size() + 1));
    // Opened before anything is placed, since that may fail.
    for (const std::size_t n : state.routed) {
        auto index = state.writer_of(*state.indexes[n]);
        if (!index) return std::move(index).error();
    }
    auto writer = state.writer_of(**slot, time_us);
    if (!writer) return std::move(writer).error();
    const IndexEntry entry{static_cast<std::uint32_t>(number),
                           static_cast<std::uint32_t>((*writer)->size()),
                           static_cast<std::uint32_t>(document.size()), (*slot)->id};
    auto done = state.add_entries(entry);
    if (done) {
        auto position = (*writer)->write(document, entry.number - 1, time_us);
        if (!position) done = std::move(position).error();
    }
    if (!done) {
        VARVE_TRY(state.take_back(entry));
        return std::move(done).error();
    }
    state.mark(**slot);
    ++state.pending;
    return number;
}

Result<std::uint64_t> Storage::write(std::string_view document) noexcept {
    const auto& partitioner = state_->options.partitioner;
    if (!partitioner) return write(document, {});
    return write(document, partitioner(document, length() + 1));
}

/// Documents before the entries that name them; the primary index, by which readers go, last.
Result<void> Storage::State::flush() noexcept {
    if (!writing() || !primary) return {};
    for (; !changed_partitions.empty(); changed_partitions.pop_back()) {
        PartitionSlot& slot = *changed_partitions.back();
        VARVE_TRY(write_held(slot));
        if (slot.writer)
            if (auto done = slot.writer->flush(); !done) return std::move(done).error();
        slot.dirty = false;
        VARVE_TRY(close_flushed(slot));
    }
    for (; !changed_indexes.empty(); changed_indexes.pop_back()) {
        IndexSlot& slot = *changed_indexes.back();
        VARVE_TRY(write_held(slot));
        if (slot.writer)
            if (auto done = slot.writer->flush(); !done) return std::move(done).error();
        slot.dirty = false;
        VARVE_TRY(close_flushed(slot));
    }
    VARVE_TRY(write_held());
    if (auto done = primary->flush(); !done) return std::move(done).error();
    pending = 0;
    return {};
}

Result<void> Storage::flush() noexcept {
    VARVE_TRY(state_->usable(true));
    return state_->flush();
}

Result<void> Storage::ensure_index(std::string_view name, std::string_view matcher) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(true));
    if (!is_json_object(matcher))
        return failure(ErrorCode::invalid_argument, "a matcher is a JSON object");
    IndexSlot* const known = state.index_of(name);
    // One that nobody has begun, because its maker died, is begun now.
    if (known != nullptr && !known->missing) {
        if (known->info.kind == MatcherKind::object && known->info.matcher == matcher) return {};
        return failure(
            ErrorCode::invalid_argument,
            "the index has the matcher " + known->info.matcher + " and not " + std::string(matcher),
            known->info.path);
    }
    const std::string file = state.options.name + "." + std::string(name) + ".index";
    VARVE_TRY(check_name(name));
    VARVE_TRY(check_name(file));
    if (name.ends_with(".closed"))
        return failure(ErrorCode::invalid_argument,
                       "the index's name ends with .closed, so its file would be taken for that of "
                       "a closed stream; choose another name");
    if (state.length() > 0) VARVE_TRY(state.flush());
    std::size_t place = state.indexes.size();
    for (std::size_t n = 0; known != nullptr && n < place; ++n)
        if (state.indexes[n].get() == known) place = n;
    VARVE_TRY(state.routing.add(place, matcher));
    const std::string path = state.index_directory + "/" + file;
    IndexSlot* const made = known != nullptr ? known : &state.add_index(std::string(name), path);
    made->info.path = path;
    made->info.kind = MatcherKind::object;
    made->info.matcher = matcher;
    made->taking = true;
    VARVE_TRY(state.limit_writers());
    auto index = state.writer_of(*made, state.holds() ? kPage : State::kUsualAhead);
    if (!index) return std::move(index).error();
    made->missing = false;
    RepairReport ignored;
    if (state.length() == 0 && (*index)->length() == 0) return {};
    VARVE_TRY(state.agree(0, ignored, made));
    return state.flush();
}

Result<void> Storage::close_index(std::string_view name) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(true));
    IndexSlot* const slot = state.index_of(name);
    if (slot == nullptr || slot->info.closed)
        return failure(ErrorCode::not_found,
                       "there is no index " + std::string(name) + " that is not closed",
                       state.index_directory);
    VARVE_TRY(state.flush());
    slot->reader.reset();
    slot->writer.reset();
    constexpr std::string_view kEnd = ".index";
    std::string path = slot->info.path;
    path.insert(path.size() - kEnd.size(), ".closed");
    VARVE_TRY(state.env.rename(slot->info.path, path));
    if (state.options.sync_on_flush) VARVE_TRY(state.env.sync_directory(directory_of(path)));
    slot->info.path = std::move(path);
    slot->info.closed = true;
    slot->taking = false;
    state.routing = {};
    for (std::size_t n = 0; n < state.indexes.size(); ++n)
        if (state.indexes[n]->taking)
            VARVE_TRY(state.routing.add(n, state.indexes[n]->info.matcher));
    return {};
}

/// The lock goes last: until then nobody else may write.
Result<void> Storage::State::close() noexcept {
    if (!is_open) return {};
    is_open = false;
    Result<void> done = flush();
    const auto also = [&](Result<void> closed) {
        if (done && !closed) done = std::move(closed).error();
    };
    for (const auto& [id, slot] : partitions) {
        if (slot->writer) also(slot->writer->close());
        slot->writer.reset();
        slot->reader.reset();
    }
    for (const auto& slot : indexes) {
        if (slot->writer) also(slot->writer->close());
        slot->writer.reset();
        slot->reader.reset();
    }
    if (primary) also(primary->close());
    if (locked) also(env.remove_directory(data_directory + "/" + options.name + ".lock"));
    locked = false;
    return done;
}

Result<void> Storage::close() noexcept { return state_->close(); }

}  // namespace nes
}  // namespace v0
}  // namespace varve
