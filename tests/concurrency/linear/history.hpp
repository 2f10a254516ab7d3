// What the clients of a store did and were told, and the log that came of it.
//
// Thread rule: plain values without pointers, so that a record may lie in memory that processes
// share and outlives the one that wrote it. Names are numbers here. A prefix is the number of
// events at the beginning of the log that an operation has before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "varve/options.hpp"

namespace varve::test::linear {

/// A list of at most `N`.
template <class T, std::size_t N>
class Few {
public:
    void push(const T& item) { items_[count_++] = item; }
    void clear() { count_ = 0; }
    [[nodiscard]] static constexpr std::size_t capacity() { return N; }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] const T* begin() const { return items_.data(); }
    [[nodiscard]] const T* end() const { return items_.data() + count_; }
    [[nodiscard]] T& operator[](std::size_t n) { return items_[n]; }
    [[nodiscard]] const T& operator[](std::size_t n) const { return items_[n]; }
    [[nodiscard]] bool contains(const T& item) const {
        for (const T& own : *this) {
            if (own == item) return true;
        }
        return false;
    }
    friend bool operator==(const Few& a, const Few& b) {
        if (a.count_ != b.count_) return false;
        for (std::size_t n = 0; n < a.count_; ++n) {
            if (!(a.items_[n] == b.items_[n])) return false;
        }
        return true;
    }

private:
    std::array<T, N> items_{};
    std::uint8_t count_ = 0;
};

using Name = std::uint16_t;
inline constexpr Name kNoStream = 0xffff;

/// As QueryItem.
struct Item {
    Few<Name, 2> types;
    Few<Name, 2> tags;
};
using Items = Few<Item, 2>;

struct Event {
    Name stream = kNoStream;
    Name type = 0;
    Few<Name, 2> tags;
    friend bool operator==(const Event&, const Event&) = default;
};

[[nodiscard]] inline bool matches(const Item& item, const Event& event) {
    if (!item.types.empty() && !item.types.contains(event.type)) return false;
    for (const Name tag : item.tags) {
        if (!event.tags.contains(tag)) return false;
    }
    return true;
}
[[nodiscard]] inline bool matches(const Items& items, const Event& event) {
    for (const Item& item : items) {
        if (matches(item, event)) return true;
    }
    return false;
}

struct Demand {
    Name stream = 0;
    Expected expected;
};

inline constexpr std::size_t kMaxEvents = 4;  ///< of one append
inline constexpr std::size_t kMaxFound = 8;   ///< of one read

enum class Outcome : std::uint8_t {
    unknown,  ///< its process died before it was told; placed before `end_ns`, when the next writer
              ///< had opened the store, or never
    placed,   ///< at `first`, contiguous
    duplicate,         ///< was there already, at `first`
    condition_failed,  ///< because of the event at `first`
    version_failed,    ///< because `stream` is at `version`
    read,              ///< `first` is the end of the snapshot, `found` what was read of it
};

/// One call. What was asked for is complete before the call is made.
struct Operation {
    std::int64_t begin_ns = 0;  ///< before the call, on a clock that all clients share
    std::int64_t end_ns = 0;    ///< after it
    std::uint32_t client = 0;
    Outcome outcome = Outcome::unknown;

    /// Of an append: attempts to append the same events have the same number, others have others.
    /// 0: a read.
    std::uint64_t group = 0;
    bool with_ids = false;
    Few<Event, kMaxEvents> events;
    Few<Demand, 2> demands;
    Items condition;  ///< empty: none. Of a read: what it asks for; empty: everything
    std::uint64_t after = 0;
    std::uint32_t epoch = 0;              ///< in which `after` was seen; not judged
    bool backwards = false;               ///< of a read
    std::uint64_t limit = 0;              ///< of a read
    Few<std::uint64_t, kMaxFound> found;  ///< positions, in the order in which they came

    std::uint64_t first = 0;
    std::uint64_t version = 0;
    Name stream = 0;
};

/// An event of the final log; its position is its place there, counted from 1.
struct Logged {
    std::uint64_t group = 0;  ///< of the append that it says it comes from
    std::uint32_t index = 0;  ///< which of its events it says it is
    bool with_id = false;
    std::uint64_t revision = 0;
    Event event;
};

struct History {
    std::vector<Operation> operations;
    std::vector<Logged> log;
};

}  // namespace varve::test::linear
