// One record: encoding an event at its place, decoding a suspect one, in three depths of checking.
//
// Thread rule: free functions over memory. Encoding writes memory nobody else sees yet; decoding
// copies the header to the stack, checks the copy and uses the copy. Invariant: a decoded record
// lies inside the bytes it was given.
#pragma once

#include <span>
#include <string_view>

#include "log/format.hpp"
#include "varve/event.hpp"

namespace varve::log {

/// An event that `admit` has checked and measured. Views are the caller's.
struct RecordInput {
    std::string_view stream{};
    std::string_view type{};
    std::span<const std::string_view> tags{};  ///< without repetitions
    std::string_view metadata{};
    std::string_view data{};
    const std::byte* id = nullptr;  ///< 16 bytes or null
    const std::uint64_t* hashes =
        nullptr;                  ///< of stream, type and each tag; 0 where there is no name
    std::uint32_t head_size = 0;  ///< bytes, multiples of 8
    std::uint64_t body_size = 0;
    RecordKind kind = RecordKind::event;
    bool added = false;  ///< the last ones of `tags` are the store's
};

/// A name of the store's own, which nobody is shown: names of users do not begin with '$'. As a tag
/// it says which derived stream an event belongs to, and stands behind all other tags.
[[nodiscard]] constexpr bool is_mark(std::string_view tag) noexcept {
    return !tag.empty() && tag.front() == '$';
}

/// What the writer decides about it under its lock.
struct RecordPlace {
    std::uint64_t position = 0;
    std::uint64_t revision = 0;
    std::uint64_t stream_previous = 0;
    std::int64_t time_us = 0;
    std::uint32_t commit_distance8 = 0;
};

[[nodiscard]] constexpr std::uint64_t head_size(std::uint64_t names, std::uint64_t tag_count,
                                                bool has_id) noexcept {
    return base::align_up(
        sizeof(RecordHeader) + 8 * (2 + tag_count) + (has_id ? 16U : 0U) + 2 * tag_count + names,
        kAlignment);
}
[[nodiscard]] constexpr std::uint64_t body_size(std::uint64_t metadata,
                                                std::uint64_t data) noexcept {
    return base::align_up(metadata + data, kAlignment);
}

/// Writes head and body at `to`. Returns the head CRC, which the commit's chain needs.
std::uint32_t encode_record(std::byte* to, const RecordInput& input, const RecordPlace& place,
                            std::uint32_t seed) noexcept;

/// A record whose header was copied and whose lengths were checked against its surroundings.
struct RecordView {
    RecordHeader header{};
    const std::byte* at = nullptr;
    std::uint32_t head_bytes = 0;
    std::uint32_t tags_text = 0;  ///< total length of the tags
    bool erased = false;          ///< the reader found out that the body was erased on request

    [[nodiscard]] std::uint64_t size() const noexcept { return std::uint64_t{header.length8} * 8; }
    [[nodiscard]] const std::byte* hashes() const noexcept { return at + sizeof(RecordHeader); }
    [[nodiscard]] std::uint64_t hash(std::size_t n) const noexcept {
        return base::load<std::uint64_t>(hashes() + 8 * n);
    }
    [[nodiscard]] bool has_id() const noexcept { return (header.flags & kRecordHasId) != 0; }
    /// Its 16 bytes; only if it has one.
    [[nodiscard]] std::string_view id() const noexcept {
        return {reinterpret_cast<const char*>(hashes() + 8 * (2U + header.tag_count)), kIdBytes};
    }
    [[nodiscard]] const char* tag_lengths() const noexcept {
        return reinterpret_cast<const char*>(hashes() + 8 * (2U + header.tag_count) +
                                             (has_id() ? 16 : 0));
    }
    [[nodiscard]] const char* names() const noexcept {
        return tag_lengths() + 2U * header.tag_count;
    }
    [[nodiscard]] std::string_view stream() const noexcept {
        return {names(), header.stream_length};
    }
    [[nodiscard]] std::string_view type() const noexcept {
        return {names() + header.stream_length, header.type_length};
    }
    [[nodiscard]] TagsView tags() const noexcept {
        return {tag_lengths(), names() + header.stream_length + header.type_length,
                header.tag_count, tags_text};
    }
    /// Without the marks.
    [[nodiscard]] TagsView shown_tags() const noexcept {
        if ((header.flags & kRecordHasAdded) == 0) return tags();
        return {tag_lengths(), names() + header.stream_length + header.type_length, count_shown(),
                tags_text};
    }
    [[nodiscard]] std::uint16_t count_shown() const noexcept;
    [[nodiscard]] const char* body() const noexcept {
        return reinterpret_cast<const char*>(at + head_bytes);
    }
    [[nodiscard]] std::string_view metadata() const noexcept {
        return {body(), header.metadata_length};
    }
    [[nodiscard]] std::string_view data() const noexcept {
        return {body() + header.metadata_length, header.data_length};
    }
};

/// How deep to look. Each includes the ones before it.
enum class Check : std::uint8_t {
    structure,  ///< lengths agree with each other and stay inside
    head,       ///< and the head CRC, which covers names, hashes, position and the body's CRC
    body,       ///< and the body CRC
};

/// Decodes the record at `offset` of `segment` (bytes up to where records may reach), expected at
/// `position`. `kWrittenByNewer` if its head verifies but its kind or a flag is unknown, at every
/// depth of checking.
[[nodiscard]] Fault decode_record(base::Bytes segment, std::uint64_t offset, std::uint64_t position,
                                  std::uint32_t seed, Check check, RecordView& view) noexcept;

/// The body alone, for a view whose head was checked.
[[nodiscard]] bool body_is_intact(const RecordView& view, std::uint32_t seed) noexcept;

/// True if there is a body and it holds zeros only, as an erased one does. Cheap where it does not.
[[nodiscard]] bool body_is_zero(const RecordView& view) noexcept;

[[nodiscard]] inline EventView to_event(const RecordView& view) noexcept {
    return {.position = Position{view.header.position},
            .revision = Revision{view.header.revision},
            .time_us = view.header.time_us,
            .stream = view.stream(),
            .type = view.type(),
            .tags = view.shown_tags(),
            .data = view.erased ? std::string_view{} : view.data(),
            .metadata = view.erased ? std::string_view{} : view.metadata(),
            .id_bytes = view.has_id() ? view.hashes() + 8 * (2U + view.header.tag_count) : nullptr,
            .erased = view.erased};
}

}  // namespace varve::log
