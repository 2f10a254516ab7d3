// Sealed indexes made in memory from a list of events, and what they must answer.
//
// For tests; one thread. Invariant: `SealedModel` knows nothing of the format: it is told the
// events and keeps plain maps.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "index/sealed_builder.hpp"
#include "index/sealed_cursor.hpp"
#include "index/sealed_merge.hpp"

namespace varve::test {

/// Keeps what is written, and may fail from some write on.
class MemorySink final : public index::Sink {
public:
    Result<void> write_at(std::uint64_t offset, base::Bytes bytes) noexcept override {
        if (writes_left == 0) {
            Error error;
            error.code = ErrorCode::no_space;
            return error;
        }
        --writes_left;
        if (offset + bytes.size() > file.size()) file.resize(offset + bytes.size());
        std::memcpy(file.data() + offset, bytes.data(), bytes.size());
        return {};
    }
    std::vector<std::byte> file;
    std::uint64_t writes_left = ~0ULL;
};

/// Plain memory, and none from some call on.
class MemoryScratch final : public index::Scratch {
public:
    std::span<std::byte> take(std::uint64_t bytes) noexcept override {
        if (takes_left == 0) return {};
        --takes_left;
        pieces_.emplace_back(bytes + 1, std::byte{0xA5});  // nobody may count on zeros
        return {pieces_.back().data(), bytes};
    }
    std::uint64_t takes_left = ~0ULL;

private:
    std::deque<std::vector<std::byte>> pieces_;
};

struct SealedEvent {
    std::string stream{};
    std::string type{};
    std::vector<std::string> tags{};
    std::string id{};  ///< 16 bytes or none
    std::int64_t time_us = 0;
    std::int64_t recorded_us = 0;
    log::RecordKind kind = log::RecordKind::event;
};

/// The events as records of a segment, one behind the other. They must outlive the building.
class SealedRecords {
public:
    SealedRecords(const std::vector<SealedEvent>& events, std::uint64_t first_position,
                  const index::Hasher& hasher) {
        for (const SealedEvent& event : events) encode(event, first_position++, hasher);
    }
    [[nodiscard]] std::uint32_t offset8(std::size_t n) const { return offsets_[n]; }
    /// False if the record cannot be decoded.
    [[nodiscard]] bool view(std::size_t n, std::uint64_t position, log::RecordView& record) const {
        return log::decode_record(records_[n], 0, position, kSeed, log::Check::body, record) ==
               nullptr;
    }

private:
    static constexpr std::uint32_t kSeed = 0x1234;

    void encode(const SealedEvent& event, std::uint64_t position, const index::Hasher& hasher) {
        const std::vector<std::string_view> tags(event.tags.begin(), event.tags.end());
        std::vector<std::uint64_t> hashes{
            event.stream.empty() ? 0 : hasher.key(index::KeyKind::stream, event.stream),
            event.type.empty() ? 0 : hasher.key(index::KeyKind::type, event.type)};
        std::size_t names = event.stream.size() + event.type.size();
        for (const std::string_view tag : tags) {
            hashes.push_back(hasher.key(index::KeyKind::tag, tag));
            names += tag.size();
        }
        log::RecordInput input;
        input.stream = event.stream;
        input.type = event.type;
        input.tags = tags;
        input.data = "data";
        input.kind = event.kind;
        input.hashes = hashes.data();
        if (!event.id.empty()) input.id = reinterpret_cast<const std::byte*>(event.id.data());
        input.head_size =
            static_cast<std::uint32_t>(log::head_size(names, tags.size(), !event.id.empty()));
        input.body_size = log::body_size(0, input.data.size());
        log::RecordPlace place;
        place.position = position;
        place.revision = event.stream.empty() ? 0 : 1;
        place.time_us = event.time_us;
        std::vector<std::byte> bytes(input.head_size + input.body_size);
        log::encode_record(bytes.data(), input, place, kSeed);
        offsets_.push_back(next_offset8_);
        next_offset8_ += static_cast<std::uint32_t>(bytes.size() / 8);
        records_.push_back(std::move(bytes));
    }

    std::vector<std::vector<std::byte>> records_;
    std::vector<std::uint32_t> offsets_;
    std::uint32_t next_offset8_ = 512;
};

inline const log::Uuid kSealedUuid{std::byte{7}, std::byte{9}};

/// The index of one segment, or why there is none.
inline Result<void> make_sealed(const std::vector<SealedEvent>& events,
                                const index::SealedSegment& segment, const index::Hasher& hasher,
                                MemorySink& sink, const std::function<bool()>& go_on) {
    const SealedRecords records(events, segment.first_position, hasher);
    MemoryScratch scratch;
    index::SealedBuilder builder(hasher, kSealedUuid, scratch, 200 * events.size());
    builder.begin_segment(segment);
    for (std::size_t n = 0; n < events.size(); ++n) {
        log::RecordView record;
        if (!records.view(n, segment.first_position + n, record)) {
            Error error;
            error.code = ErrorCode::corrupt;
            return error;
        }
        VARVE_TRY(builder.add(records.offset8(n), record, events[n].recorded_us));
    }
    return builder.write(sink, 0xC0FFEE, go_on);
}

/// What must be answered about events that lie one behind the other.
struct SealedModel {
    using Lists = std::map<std::string, std::vector<std::uint32_t>>;
    Lists lists[index::kNameKinds + 1];  ///< by KeyKind
    Lists ids;
    std::vector<SealedEvent> events;
    std::vector<std::uint32_t> offsets;
    std::vector<index::SealedSegment> segments;

    [[nodiscard]] const Lists& of(index::KeyKind kind) const {
        return lists[static_cast<std::size_t>(kind)];
    }

    void add(const std::vector<SealedEvent>& more, const index::SealedSegment& segment,
             const index::Hasher& hasher) {
        const SealedRecords records(more, segment.first_position, hasher);
        segments.push_back(segment);
        for (std::size_t n = 0; n < more.size(); ++n) {
            offsets.push_back(records.offset8(n));
            add(more[n]);
        }
    }

private:
    void list(index::KeyKind kind, const std::string& name) {
        if (name.empty()) return;
        auto& ordinals = lists[static_cast<std::size_t>(kind)][name];
        const auto own = static_cast<std::uint32_t>(events.size());
        if (ordinals.empty() || ordinals.back() != own) ordinals.push_back(own);
    }
    void add(const SealedEvent& event) {
        if (event.kind == log::RecordKind::event) {
            list(index::KeyKind::stream, event.stream);
            const std::size_t end = event.stream.find_first_of("-/");
            if (end != std::string::npos)
                list(index::KeyKind::category, event.stream.substr(0, end));
            list(index::KeyKind::type, event.type);
            for (const std::string& tag : event.tags) list(index::KeyKind::tag, tag);
            if (!event.id.empty())
                ids[event.id].push_back(static_cast<std::uint32_t>(events.size()));
        }
        events.push_back(event);
    }
};

}  // namespace varve::test
