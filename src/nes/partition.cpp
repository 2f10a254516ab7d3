// Partitions: opening, appending, reading at a position, following. One thread at a time.
#include <algorithm>

#include "base/error.hpp"
#include "nes/json.hpp"
#include "nes/partition_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

// Of partitions without an epoch; the original takes the same moment in local time.
constexpr std::uint64_t kFallbackEpochMs = 1'577'836'800'000;
constexpr double kEpochLimitMs = 9e12;  // beyond, microseconds are no longer exact

/// Nothing at the end of a partition is zero.
std::uint64_t partition_extent(base::Bytes, std::uint64_t end) noexcept { return end; }

/// What ends a document is no marker.
bool never(base::Bytes) noexcept { return false; }

constexpr AppendFile::Shape kShape{&never, &partition_extent};

Result<std::string> new_metadata(const PartitionOptions& options, os::Env& env,
                                 const std::string& path) {
    const std::uint64_t epoch =
        options.epoch_ms ? *options.epoch_ms : static_cast<std::uint64_t>(env.now_us()) / 1000;
    std::string text = R"({"epoch":)" + std::to_string(epoch);
    if (options.metadata.empty()) return text + '}';
    if (!is_json_object(options.metadata) || json_field(options.metadata, "epoch"))
        return failure(ErrorCode::invalid_argument,
                       "the metadata must be a JSON object without the field 'epoch'", path);
    const std::size_t first = options.metadata.find_first_not_of(" \n\r\t", 1);
    if (options.metadata[first] == '}') return text + '}';
    return text + ',' + options.metadata.substr(first);
}

Result<std::uint64_t> epoch_of(std::string_view metadata, const std::string& path) {
    const auto field = json_field(metadata, "epoch");
    const auto number = field ? json_number(*field) : std::nullopt;
    if (!number || *number == 0) return kFallbackEpochMs;
    if (!(*number > 0 && *number < kEpochLimitMs))
        return failure(ErrorCode::corrupt, "the epoch of the partition cannot be", path,
                       sizeof(FileHeader));
    return static_cast<std::uint64_t>(*number);
}

}  // namespace

Partition::Partition(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Partition::Partition(Partition&&) noexcept = default;
Partition& Partition::operator=(Partition&&) noexcept = default;
Partition::~Partition() = default;

Result<Partition> Partition::open(const std::string& path,
                                  const PartitionOptions& options) noexcept {
    auto file = AppendFile::open(path, options, &kShape);
    if (!file) return std::move(file).error();
    auto state = std::make_unique<State>();
    state->file = std::move(*file);
    state->path = std::make_shared<const std::string>(path);
    VARVE_TRY(state->begin(options));
    return Partition(std::move(state));
}

Result<void> Partition::State::begin(const PartitionOptions& options) noexcept {
    if (file->size() == 0) {
        if (!file->writable())
            return failure(ErrorCode::not_found, "the partition is empty: nobody has begun it",
                           *path);
        auto text = new_metadata(options, file->env(), *path);
        if (!text) return std::move(text).error();
        auto made = encode_header(FileKind::partition, *text, *path);
        if (!made) return std::move(made).error();
        auto at = file->extend(made->size());
        if (!at) return std::move(at).error();
        std::memcpy(*at, made->data(), made->size());
        if (auto flushed = file->flush(); !flushed) return std::move(flushed).error();
    }
    auto parsed = parse_header(file->content(), FileKind::partition, *path);
    if (!parsed) return std::move(parsed).error();
    metadata = parsed->metadata;
    header = parsed->size;
    auto found = epoch_of(metadata, *path);
    if (!found) return std::move(found).error();
    epoch_ms = *found;
    look_at_end();
    Document newest;
    if (end > 0 && read_document_before(flushed(), end, newest) == nullptr)
        last_time_us = newest.time_us;
    return {};
}

void Partition::State::look_at_end() noexcept {
    const base::Bytes all = whole();
    end = boundary_before(all, all.size());
    torn.reset();
    if (end == all.size()) return;
    torn.emplace(Torn{end, all.size() - end, std::nullopt});
    if (base::fits(end, sizeof(DocumentHeader), all.size()) && load_be32(all.data() + end) != 0)
        torn->sequence = load_be32(all.data() + end + offsetof(DocumentHeader, sequence));
}

Result<void> Partition::State::flush_buffered() noexcept {
    if (file->buffered().empty()) return {};
    auto flushed = file->flush();
    if (!flushed) return std::move(flushed).error();
    return {};
}

Error Partition::State::flawed(Flaw flaw, std::uint64_t at) const {
    return failure(ErrorCode::corrupt, std::string(flaw) + " (position " + std::to_string(at) + ")",
                   *path, header + at);
}

std::uint64_t Partition::State::next_time(std::optional<std::int64_t> given_us) noexcept {
    const std::int64_t now = (given_us ? *given_us : file->env().now_us()) -
                             static_cast<std::int64_t>(epoch_ms) * std::int64_t{1000};
    const std::uint64_t since = now > 0 ? static_cast<std::uint64_t>(now) : 0;
    last_time_us = std::max(since, last_time_us + 1);
    return last_time_us;
}

Result<std::uint64_t> Partition::write(std::string_view data, std::uint32_t sequence,
                                       std::optional<std::int64_t> time_us) noexcept {
    State& state = *state_;
    VARVE_TRY(check_document(data.size(), state.end, *state.path));
    if (state.torn)
        return failure(ErrorCode::corrupt,
                       "the last document was not written to its end; drop it first", *state.path,
                       state.header + state.torn->position);
    const std::uint64_t total = document_bytes(data.size());
    auto at = state.file->extend(total);
    if (!at) return std::move(at).error();
    store_document(*at, data, sequence, state.next_time(time_us));
    const std::uint64_t position = state.end;
    state.end += total;
    return position;
}

Result<Document> Partition::read(std::uint64_t position, std::uint32_t expected_size) noexcept {
    State& state = *state_;
    if (position >= state.end)
        return failure(ErrorCode::not_found,
                       "no document begins at position " + std::to_string(position) +
                           ": the documents end at " + std::to_string(state.end),
                       *state.path, state.header + position);
    VARVE_TRY(state.flush_buffered());
    Document document;
    if (Flaw flaw = read_document(state.flushed(), position, document); flaw != nullptr)
        return state.flawed(flaw, position);
    if (expected_size != 0 && document.data.size() != expected_size)
        return failure(ErrorCode::corrupt,
                       "the document at position " + std::to_string(position) + " has " +
                           std::to_string(document.data.size()) + " bytes and not " +
                           std::to_string(expected_size),
                       *state.path, state.header + position);
    return document;
}

Result<bool> Partition::flush() noexcept { return state_->file->flush(); }
Result<void> Partition::close() noexcept {
    state_->end = 0;
    state_->torn.reset();
    return state_->file->close();
}

Result<Change> Partition::refresh() noexcept { return wait(0); }

Result<Change> Partition::wait(std::uint64_t timeout_us) noexcept {
    const std::uint64_t deadline = state_->file->monotonic_us() + timeout_us;
    const std::uint64_t before = state_->end;
    while (true) {
        const std::uint64_t now_us = state_->file->monotonic_us();
        auto bytes = state_->file->wait(deadline > now_us ? deadline - now_us : 0);
        if (!bytes || state_->file->writable()) return bytes;
        state_->look_at_end();
        const std::uint64_t now = state_->end;
        const Change change{now > before ? now - before : 0, before > now ? before - now : 0};
        // A part of a document is no news: its rest is waited for.
        if (change || state_->file->monotonic_us() >= deadline) return change;
    }
}

std::optional<Partition::Torn> Partition::torn() const noexcept { return state_->torn; }
std::uint64_t Partition::size() const noexcept { return state_->end; }
std::uint64_t Partition::header_bytes() const noexcept { return state_->header; }
std::uint64_t Partition::epoch_ms() const noexcept { return state_->epoch_ms; }
std::string_view Partition::metadata() const noexcept { return state_->metadata; }
Layout Partition::layout() const noexcept { return state_->file->layout(); }

}  // namespace nes
}  // namespace v0
}  // namespace varve
