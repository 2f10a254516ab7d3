// Events as they are given to the store and as they are read from it.
//
// Thread rule: plain values; a view may be read by any thread while what it points into lives.
// Invariant: a view never owns bytes. Views from a Snapshot or a Subscription say how long they
// last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

/// Sixteen bytes that name an event, chosen by whoever made it (a UUID, say). An append whose
/// events have ids can be repeated: see `Store::append`.
struct EventId {
    std::array<std::byte, 16> bytes{};
    friend bool operator==(const EventId&, const EventId&) noexcept = default;
};

/// An event to append. All views are borrowed for the duration of the call only.
struct NewEvent {
    std::string_view
        stream{};  ///< name of its stream, ≤ 1,024 bytes UTF-8; empty: it belongs to none
    std::string_view type{};  ///< name of its type, ≤ 1,024 bytes UTF-8; empty: not indexed
    std::vector<std::string_view> tags{};  ///< ≤ 64 names; repetitions are dropped, order is kept
    std::string_view data{};               ///< any bytes, ≤ 64 MiB
    std::string_view metadata{};           ///< any bytes, ≤ 1 MiB
    std::optional<EventId> id{};           ///< kept with the event; no two events may have the same
    std::optional<std::int64_t>
        time_us{};  ///< microseconds since 1970; absent: the time of the append
};

/// The tags of an event that was read: a range of names that lie one behind the other.
class TagsView {
public:
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using pointer = const std::string_view*;
        using reference = std::string_view;

        iterator() noexcept = default;
        iterator(const char* lengths, const char* text, std::size_t left) noexcept
            : lengths_(lengths), text_(text), left_(left) {}
        std::string_view operator*() const noexcept { return {text_, length()}; }
        iterator& operator++() noexcept {
            const std::size_t passed = length();
            text_ += passed;
            left_ -= passed;
            lengths_ += sizeof(std::uint16_t);
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.lengths_ == b.lengths_;
        }

    private:
        [[nodiscard]] std::size_t length() const noexcept {
            std::uint16_t length = 0;
            std::memcpy(&length, lengths_, sizeof length);
            // The lengths lie in a mapped file, which somebody may change at any time.
            return length < left_ ? length : left_;
        }
        const char* lengths_ = nullptr;
        const char* text_ = nullptr;
        std::size_t left_ = 0;  ///< bytes of names from here on
    };

    TagsView() noexcept = default;
    /// `lengths`: `count` little-endian u16; `text`: that many names without separators,
    /// `size_bytes` together.
    TagsView(const char* lengths, const char* text, std::uint16_t count,
             std::size_t size_bytes) noexcept
        : lengths_(lengths), text_(text), size_bytes_(size_bytes), count_(count) {}

    [[nodiscard]] iterator begin() const noexcept { return {lengths_, text_, size_bytes_}; }
    [[nodiscard]] iterator end() const noexcept {
        return {lengths_ + count_ * sizeof(std::uint16_t), nullptr, 0};
    }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] bool contains(std::string_view tag) const noexcept {
        for (const std::string_view own : *this) {
            if (own == tag) return true;
        }
        return false;
    }

private:
    const char* lengths_ = nullptr;
    const char* text_ = nullptr;
    std::size_t size_bytes_ = 0;
    std::uint16_t count_ = 0;
};

/// An event that was read. Every view in it points into the mapped segment.
struct EventView {
    Position position{};       ///< order in the whole store, from 1
    Revision revision{};       ///< order in its stream, from 1; 0 without a stream
    std::int64_t time_us = 0;  ///< microseconds since 1970, as given or as recorded
    std::string_view stream{};
    std::string_view type{};
    TagsView tags{};
    std::string_view data{};
    std::string_view metadata{};
    const std::byte* id_bytes = nullptr;  ///< sixteen bytes, or null; see `id()`
    /// Its content was erased on request: `data` and `metadata` are empty, everything else remains.
    bool erased = false;

    [[nodiscard]] std::optional<EventId> id() const noexcept {
        if (id_bytes == nullptr) return std::nullopt;
        EventId id;
        std::memcpy(id.bytes.data(), id_bytes, id.bytes.size());
        return id;
    }
};

}  // namespace v0
}  // namespace varve
