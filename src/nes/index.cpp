// Indexes: entries of 16 bytes behind a header. One thread at a time.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.hpp"
#include "nes/append_file.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::string_view kPrimaryMetadata = R"({"entryClass":"Entry","entrySize":16})";
constexpr std::uint64_t kEntry = sizeof(IndexEntry);

/// An entry may end with zeros, but it never begins with one: numbers are 1-based.
std::uint64_t index_extent(base::Bytes file, std::uint64_t end) noexcept {
    if (file.size() < sizeof(FileHeader)) return end;
    const std::uint64_t begin = sizeof(FileHeader) + load_be32(file.data() + 8);
    if (end <= begin) return end;
    return std::min<std::uint64_t>(begin + base::align_up(end - begin, kEntry), file.size());
}

/// In the mapped layout no entry fits before the marker, and zeros are there. Both fields of an
/// entry are looked at, so that one damaged bit does not make one.
bool ends_with_entry(base::Bytes last) noexcept {
    const auto entry = base::load<IndexEntry>(last.data());
    return entry.number != 0 && entry.size != 0;
}

constexpr AppendFile::Shape kShape{&ends_with_entry, &index_extent};

}  // namespace

struct Index::State {
    std::unique_ptr<AppendFile> file;
    std::string metadata;
    std::uint64_t header = 0;
    std::uint64_t count = 0;
    std::uint64_t dropped = 0;
    IndexEntry newest;  ///< the last one

    [[nodiscard]] Result<void> begin(const IndexOptions& options) noexcept;
    [[nodiscard]] Result<void> count_entries() noexcept;
    [[nodiscard]] Result<void> flush_buffered() noexcept {
        if (file->buffered().empty()) return {};
        auto flushed = file->flush();
        if (!flushed) return std::move(flushed).error();
        return {};
    }
    [[nodiscard]] const IndexEntry* entries() const noexcept {
        return reinterpret_cast<const IndexEntry*>(file->content().data() + header);
    }
    /// The entry at 1-based `place`, which exists.
    [[nodiscard]] IndexEntry at(std::uint64_t place) const noexcept {
        const std::uint64_t offset = header + (place - 1) * kEntry;
        const base::Bytes content = file->content();
        if (offset < content.size()) return base::load<IndexEntry>(content.data() + offset);
        return base::load<IndexEntry>(file->buffered().data() + (offset - content.size()));
    }
    /// 0 if there is no such place.
    [[nodiscard]] std::uint64_t place(std::int64_t given) const noexcept {
        const auto length = static_cast<std::int64_t>(count);
        const std::int64_t wrapped = given < 0 ? given + length + 1 : given;
        return wrapped < 1 || wrapped > length ? 0 : static_cast<std::uint64_t>(wrapped);
    }
};

Index::Index(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::open(const std::string& path, const IndexOptions& options) noexcept {
    auto file = AppendFile::open(path, options, &kShape);
    if (!file) return std::move(file).error();
    auto state = std::make_unique<State>();
    state->file = std::move(*file);
    VARVE_TRY(state->begin(options));
    return Index(std::move(state));
}

Result<void> Index::State::begin(const IndexOptions& options) noexcept {
    const std::string& path = file->path();
    if (file->size() == 0) {
        if (!file->writable())
            return failure(ErrorCode::not_found, "the index is empty: nobody has begun it", path);
        auto made = encode_header(
            FileKind::index, options.metadata.empty() ? kPrimaryMetadata : options.metadata, path);
        if (!made) return std::move(made).error();
        auto at = file->extend(made->size());
        if (!at) return std::move(at).error();
        std::memcpy(*at, made->data(), made->size());
        if (auto flushed = file->flush(); !flushed) return std::move(flushed).error();
    }
    auto parsed = parse_header(file->content(), FileKind::index, path);
    if (!parsed) return std::move(parsed).error();
    metadata = parsed->metadata;
    header = parsed->size;
    if (!options.metadata.empty() && options.metadata != metadata)
        return failure(ErrorCode::invalid_argument,
                       "the index has the metadata " + metadata + " and not " + options.metadata,
                       path, sizeof(FileHeader));
    VARVE_TRY(count_entries());
    const std::uint64_t end = header + count * kEntry;
    dropped = file->size() - end;
    if (dropped == 0 || !file->writable()) return {};
    auto cut = file->truncate(end);
    if (!cut) return std::move(cut).error();
    return {};
}

/// Counts whole entries. Zeros at the end are none: a power cut leaves them, and so does another
/// program that is about to store there.
Result<void> Index::State::count_entries() noexcept {
    count = (file->content().size() - header) / kEntry;
    while (count > 0 && at(count).number == 0) --count;
    newest = count > 0 ? at(count) : IndexEntry{};
    if (count == 0) return {};
    const bool ascends = count == 1 || at(count - 1).number < newest.number;
    if (!ascends || newest.number < count)
        return failure(ErrorCode::corrupt,
                       "the last entry has the number " + std::to_string(newest.number) +
                           ", which cannot follow the entries before it",
                       file->path(), header + (count - 1) * kEntry);
    return {};
}

Result<std::uint64_t> Index::add(const IndexEntry& entry) noexcept {
    State& state = *state_;
    if (entry.number <= state.newest.number) [[unlikely]]
        return failure(ErrorCode::invalid_argument,
                       "the number " + std::to_string(entry.number) + " is not greater than " +
                           std::to_string(state.newest.number) + ", that of the last entry",
                       state.file->path());
    auto at = state.file->extend(kEntry);
    if (!at) [[unlikely]]
        return std::move(at).error();
    std::memcpy(*at, &entry, kEntry);
    state.newest = entry;
    return ++state.count;
}

std::uint64_t Index::length() const noexcept { return state_->count; }

std::optional<IndexEntry> Index::get(std::int64_t place) const noexcept {
    const std::uint64_t found = state_->place(place);
    if (found == 0) return std::nullopt;
    return state_->at(found);
}

std::optional<IndexEntry> Index::last() const noexcept {
    if (state_->count == 0) return std::nullopt;
    return state_->newest;
}

bool Index::valid_range(std::int64_t from, std::int64_t until) const noexcept {
    const std::uint64_t first = state_->place(from);
    const std::uint64_t end = state_->place(until);
    return first != 0 && end != 0 && first <= end;
}

Result<std::span<const IndexEntry>> Index::range(std::int64_t from, std::int64_t until) noexcept {
    if (!valid_range(from, until))
        return failure(ErrorCode::invalid_argument,
                       "there is no range " + std::to_string(from) + " to " +
                           std::to_string(until) + " in an index of " +
                           std::to_string(state_->count) + " entries",
                       state_->file->path());
    VARVE_TRY(state_->flush_buffered());
    const std::uint64_t first = state_->place(from);
    return std::span<const IndexEntry>(state_->entries() + (first - 1),
                                       state_->place(until) - first + 1);
}

Result<std::span<const IndexEntry>> Index::all() noexcept {
    if (state_->count == 0) return std::span<const IndexEntry>{};
    return range(1);
}

/// An entry's number is never smaller than its place, so only the first `number` places matter.
std::uint64_t Index::find(std::uint64_t number, Find which) const noexcept {
    const std::uint64_t end = std::min(state_->count, number);
    std::uint64_t low = 0;  // entries known to have a number of at most what is wanted
    std::uint64_t high = end;
    const bool below = which == Find::at_least;
    while (low < high) {
        const std::uint64_t middle = low + (high - low + 1) / 2;
        const std::uint64_t found = state_->at(middle).number;
        const bool before = below ? found < number : found <= number;
        if (before)
            low = middle;
        else
            high = middle - 1;
    }
    if (!below) return low;
    return low < state_->count ? low + 1 : 0;
}

Result<bool> Index::truncate(std::uint64_t length) noexcept {
    if (length >= state_->count) return false;
    auto cut = state_->file->truncate(state_->header + length * kEntry);
    if (!cut) return cut;
    state_->count = length;
    state_->newest = length > 0 ? state_->at(length) : IndexEntry{};
    return true;
}

Result<bool> Index::flush() noexcept { return state_->file->flush(); }
Result<void> Index::close() noexcept {
    state_->count = 0;
    state_->newest = {};
    return state_->file->close();
}

namespace {

/// What the difference between two looks is, in entries.
Change changed(std::uint64_t before, std::uint64_t now, bool same_history) noexcept {
    if (!same_history) return {now, before};
    return {now > before ? now - before : 0, before > now ? before - now : 0};
}

}  // namespace

Result<Change> Index::refresh() noexcept {
    const std::uint64_t before = state_->count;
    const IndexEntry seen = state_->newest;
    auto bytes = state_->file->refresh();
    if (!bytes || state_->file->writable()) return bytes;
    VARVE_TRY(state_->count_entries());
    const bool same = before == 0 || state_->count < before || state_->at(before) == seen;
    return changed(before, state_->count, same);
}

Result<Change> Index::wait(std::uint64_t timeout_us) noexcept {
    auto change = refresh();
    if (!change || *change) return change;
    const std::uint64_t deadline = state_->file->monotonic_us() + timeout_us;
    const std::uint64_t before = state_->count;
    const IndexEntry seen = state_->newest;
    while (true) {
        const std::uint64_t now_us = state_->file->monotonic_us();
        auto bytes = state_->file->wait(deadline > now_us ? deadline - now_us : 0);
        if (!bytes || !*bytes) return bytes;
        VARVE_TRY(state_->count_entries());
        const bool same = before == 0 || state_->count < before || state_->at(before) == seen;
        change = changed(before, state_->count, same);
        // A part of an entry is no news: its rest is waited for.
        if (!change || *change || state_->file->monotonic_us() >= deadline) return change;
    }
}

std::string_view Index::metadata() const noexcept { return state_->metadata; }
Layout Index::layout() const noexcept { return state_->file->layout(); }
std::uint64_t Index::offset(std::uint64_t place) const noexcept {
    return state_->header + (place - 1) * kEntry;
}
std::uint64_t Index::dropped() const noexcept { return state_->dropped; }

}  // namespace nes
}  // namespace v0
}  // namespace varve
