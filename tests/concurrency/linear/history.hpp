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
inline constexpr Name kNone = 0xffff;  ///< no stream, no type, no such field

/// What an event is appended with: names, and fields of its data, of which definitions may make
/// more names.
struct Event {
    Name stream = kNone;
    Name type = 0;
    Few<Name, 3> tags;
    Name label = kNone;  ///< a tag, where a definition says so
    Name kind = kNone;   ///< the type of an event without one, where a definition says so
    Name value = 0;
    friend bool operator==(const Event&, const Event&) = default;
};

/// As QueryItem, with a derived stream.
struct Item {
    Few<Name, 2> types;
    Few<Name, 2> tags;
    Name derived = kNone;
};
using Items = Few<Item, 2>;

/// As a matcher.
struct Test {
    enum class What : std::uint8_t { nothing, at_least, label_is };
    What what = What::nothing;
    Name number = 0;

    [[nodiscard]] bool demands() const { return what != What::nothing; }
    [[nodiscard]] bool holds(const Event& event) const {
        if (what == What::at_least) return event.value >= number;
        return what == What::nothing || event.label == number;
    }
};

/// As a selector with a matcher: events of any of `any` (empty: all) and of none of `none` that
/// pass the test.
struct Choice {
    Items any;
    Items none;
    Test test;

    [[nodiscard]] bool empty() const { return any.empty() && none.empty() && !test.demands(); }
};

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
    would_place,       ///< a dry run: at `first`
    other_meaning,     ///< a definition: the name means something else
    not_defined,       ///< a closing or removal: there is nothing of that name
    failed,            ///< it has no such answer
};

enum class Kind : std::uint8_t { read, append, define, close, remove };

/// One call. What was asked for is complete before the call is made.
struct Operation {
    std::int64_t begin_ns = 0;  ///< before the call, on a clock that all clients share
    std::int64_t end_ns = 0;    ///< after it
    std::uint32_t client = 0;
    Outcome outcome = Outcome::unknown;
    Kind kind = Kind::read;

    /// Of an append: attempts to append the same events have the same number, others have others;
    /// see also `group_of`. 0: a read.
    std::uint64_t group = 0;
    bool with_ids = false;  ///< or a definition: a repetition does nothing
    bool dry = false;
    Few<Event, kMaxEvents> events;
    Few<Demand, 2> demands;
    Choice condition;  ///< empty: none. Of a read: what it asks for; empty: everything
    std::uint64_t after = 0;
    std::uint32_t epoch = 0;              ///< in which `after` was seen; not judged
    bool backwards = false;               ///< of a read
    std::uint64_t limit = 0;              ///< of a read
    Few<std::uint64_t, kMaxFound> found;  ///< positions, in the order in which they came

    std::uint64_t first = 0;
    std::uint64_t version = 0;
    Name stream = 0;

    Name defined = 0;  ///< name of a definition
    Name meaning = 0;  ///< its meaning, see defined.hpp

    /// Positions that it takes when it is placed.
    [[nodiscard]] std::uint64_t length() const { return kind == Kind::append ? events.size() : 1; }
};

/// The group of attempts to do the same to a definition. `meaning`: 0 of closings and removals.
[[nodiscard]] constexpr std::uint64_t group_of(Kind kind, Name defined, Name meaning) {
    return (1ULL << 40) + ((std::uint64_t{defined} * 16 + meaning) * 8) +
           static_cast<std::uint64_t>(kind);
}

/// An event of the final log, or the record of what was done to a definition; its position is its
/// place there, counted from 1.
struct Logged {
    std::uint64_t group = 0;  ///< of the append that it says it comes from
    std::uint32_t index = 0;  ///< which of its events it says it is
    bool with_id = false;
    std::uint64_t revision = 0;
    Event event;  ///< with the names that it shows
    Kind kind = Kind::append;
    Name defined = 0;
    Name meaning = 0;
};

struct History {
    std::vector<Operation> operations;
    std::vector<Logged> log;
};

}  // namespace varve::test::linear
