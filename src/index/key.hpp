// Keys of the indexes: a keyed 64-bit hash of a name, with what the name is for in its low bits.
//
// Any thread. Invariant: a key is never zero; equal names of one kind have equal keys; different
// names may collide, so whoever finds a list compares the names of its records. The secret keeps
// colliding names from being chosen on purpose.
#pragma once

#include <cstdint>
#include <string_view>

#include "log/record.hpp"

namespace varve::index {

using Key = std::uint64_t;

enum class KeyKind : std::uint8_t { stream = 1, category = 2, type = 3, tag = 4, id = 5 };

inline constexpr std::size_t kMaxKeysPerEvent = 3 + log::kMaxTags + log::kMaxAdded + 1;

[[nodiscard]] constexpr KeyKind kind_of(Key key) noexcept { return static_cast<KeyKind>(key & 7U); }

/// Part of a stream's name before the first '-' or '/': its category. Empty if there is none.
[[nodiscard]] std::string_view category_of(std::string_view stream) noexcept;

class Hasher {
public:
    Hasher() noexcept = default;
    /// `bits` < 64 makes collisions likely; only tests ask for it.
    Hasher(std::uint64_t secret, std::uint8_t bits) noexcept
        : secret_(secret), mask_(bits >= 61 ? ~0ULL : (1ULL << bits) - 1) {}

    [[nodiscard]] Key key(KeyKind kind, std::string_view name) const noexcept;

private:
    std::uint64_t secret_ = 0;
    std::uint64_t mask_ = ~0ULL;
};

/// What is listed in an index, counted: two of the same events agree in all of it.
struct Listed {
    std::uint64_t events = 0;    ///< positions
    std::uint64_t listings = 0;  ///< one for each key of each event
    Key sum = 0;                 ///< of the keys of all listings, modulo 2^64

    void add(Key key, std::uint64_t times = 1) noexcept {
        listings += times;
        sum += key * times;
    }
    void add(const Listed& other) noexcept {
        events += other.events;
        listings += other.listings;
        sum += other.sum;
    }
    friend bool operator==(const Listed&, const Listed&) noexcept = default;
};

/// The keys an event is listed under, in the order stream, category, type, tags, id.
struct EventKeys {
    std::uint32_t count = 0;
    Key keys[kMaxKeysPerEvent];

    void add(Key key) noexcept { keys[count++] = key; }
};

/// Only events are shown: a control record takes a position and belongs to nothing that can be
/// asked for, so that no version, count or read of a name ever includes it.
[[nodiscard]] inline bool is_listed(const log::RecordView& record) noexcept {
    return record.header.kind == static_cast<std::uint8_t>(log::RecordKind::event);
}

/// Events are listed under their names, and control records of a stream of the store's own, which
/// nobody can ask for, under that alone.
[[nodiscard]] inline bool is_indexed(const log::RecordView& record) noexcept {
    return is_listed(record) ||
           (record.header.kind == static_cast<std::uint8_t>(log::RecordKind::control) &&
            log::is_mark(record.stream()));
}

/// Of a record that was read; none if it is not indexed. Category and id are hashed, the rest is
/// taken from the record.
void keys_of(const log::RecordView& record, const Hasher& hasher, EventKeys& keys) noexcept;

/// Number of keys the event is listed under, at most.
[[nodiscard]] inline std::uint64_t most_keys_of(const log::RecordView& record) noexcept {
    return 3U + record.header.tag_count + (record.has_id() ? 1U : 0U);
}

/// True if the record carries `name` in the role of `kind`. An id is named by its 16 bytes.
[[nodiscard]] bool carries(const log::RecordView& record, KeyKind kind,
                           std::string_view name) noexcept;

}  // namespace varve::index
