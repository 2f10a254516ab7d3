// Going over documents: along an index, or along all partitions by sequence number. One thread.
#include <algorithm>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

Storage::Cursor::Cursor(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Storage::Cursor::Cursor(Cursor&&) noexcept = default;
Storage::Cursor& Storage::Cursor::operator=(Cursor&&) noexcept = default;
Storage::Cursor::~Cursor() = default;

bool Storage::Cursor::next(StoredDocument& into) noexcept {
    if (state_->error) return false;
    if (!state_->failures.empty()) {
        state_->error = std::move(state_->failures.back());
        state_->failures.pop_back();
        return false;
    }
    return state_->entries.empty() ? state_->next_head(into) : state_->next_entry(into);
}

Result<void> Storage::Cursor::status() const noexcept {
    if (!state_->error) return {};
    return Error(*state_->error);
}

void Storage::Cursor::pass() noexcept { state_->error.reset(); }

bool Storage::Cursor::State::next_entry(StoredDocument& into) noexcept {
    if (at == entries.size()) return false;
    const IndexEntry entry = entries[backwards ? entries.size() - 1 - at : at];
    ++at;  // so that `pass` only has to forget the error
    auto document = storage->read_entry(entry);
    if (!document) {
        error = std::move(document).error();
        return false;
    }
    into = *document;
    return true;
}

namespace {

bool later(std::uint32_t a, std::uint32_t a_id, std::uint32_t b, std::uint32_t b_id) noexcept {
    return a != b ? a > b : a_id > b_id;
}

}  // namespace

void Storage::Cursor::State::advance(Head head) noexcept {
    if (!head.documents.next(head.document)) {
        if (auto ended = head.documents.status(); !ended)
            failures.push_back(std::move(ended).error());
        return;
    }
    heads.push_back(std::move(head));
    std::push_heap(heads.begin(), heads.end(), [](const Head& a, const Head& b) {
        return later(a.document.sequence, a.slot->id, b.document.sequence, b.slot->id);
    });
}

void Storage::Cursor::State::add(PartitionSlot& slot, std::uint32_t from) noexcept {
    const auto documents = [&]() -> Result<std::optional<Head>> {
        auto partition = storage->reader_of(slot);
        if (!partition) return std::move(partition).error();
        if (auto changed = (*partition)->refresh(); !changed) return std::move(changed).error();
        std::uint64_t position = 0;
        if (from > 0) {
            auto first = (*partition)->find(from);
            if (!first) return std::move(first).error();
            if (!*first) return std::optional<Head>();
            position = (*first)->position;
        }
        auto cursor = (*partition)->forwards(position);
        if (!cursor) return std::move(cursor).error();
        return std::optional<Head>(Head{&slot,
                                        std::move(*cursor),
                                        {},
                                        (*partition)->epoch_ms() * 1000,
                                        (*partition)->header_bytes()});
    }();
    // An empty file is a partition that was not begun.
    if (!documents && documents.error().code == ErrorCode::not_found) return;
    if (!documents)
        failures.push_back(Error(documents.error()));
    else if (*documents)
        advance(**documents);
}

bool Storage::Cursor::State::next_head(StoredDocument& into) noexcept {
    if (heads.empty()) return false;
    std::pop_heap(heads.begin(), heads.end(), [](const Head& a, const Head& b) {
        return later(a.document.sequence, a.slot->id, b.document.sequence, b.slot->id);
    });
    Head head = std::move(heads.back());
    heads.pop_back();
    into.number = std::uint64_t{head.document.sequence} + 1;
    into.partition = head.slot->name;
    into.data = head.document.data;
    into.time_us = head.epoch_us + head.document.time_us;
    into.position = head.document.position;
    into.offset = head.header_bytes + head.document.position;
    advance(std::move(head));
    return true;
}

Result<Storage::Cursor> Storage::range(std::int64_t from, std::int64_t until,
                                       std::string_view name) noexcept {
    VARVE_TRY(state_->usable(false));
    if (state_->writing()) VARVE_TRY(state_->flush());
    Index* index = &*state_->primary;
    if (!name.empty()) {
        IndexSlot* slot = state_->index_of(name);
        if (slot == nullptr) {
            VARVE_TRY(state_->find_files());
            slot = state_->index_of(name);
        }
        if (slot == nullptr)
            return failure(ErrorCode::not_found, "there is no index " + std::string(name),
                           state_->index_directory);
        auto opened = state_->reader_of(*slot);
        if (!opened) return std::move(opened).error();
        index = *opened;
    }
    auto cursor = std::make_unique<Cursor::State>();
    cursor->storage = state_.get();
    const bool whole = from == 1 && until == -1;
    if (index->length() == 0 && whole) return Cursor(std::move(cursor));
    const bool backwards = !index->valid_range(from, until) && index->valid_range(until, from);
    auto entries = backwards ? index->range(until, from) : index->range(from, until);
    if (!entries) return std::move(entries).error();
    cursor->entries = *entries;
    cursor->backwards = backwards;
    return Cursor(std::move(cursor));
}

Result<Storage::Cursor> Storage::by_sequence(std::uint32_t from) noexcept {
    VARVE_TRY(state_->usable(false));
    VARVE_TRY(state_->writing() ? state_->flush() : state_->find_files());
    auto cursor = std::make_unique<Cursor::State>();
    cursor->storage = state_.get();
    for (const auto& [id, slot] : state_->partitions) cursor->add(*slot, from);
    return Cursor(std::move(cursor));
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
