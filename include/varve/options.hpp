// What a caller may choose when opening, appending, reading and following.
//
// Thread rule: plain values. Views in them are borrowed for the duration of the call only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "varve/matcher.hpp"
#include "varve/selector.hpp"
#include "varve/types.hpp"

namespace varve {
inline namespace v0 {

namespace os {
class Env;
}

/// Up to where a read has looked, and in which life of the store. What comes later came after
/// `position`.
struct Seen {
    Position position{};
    std::uint32_t epoch = 0;  ///< 0: not known
};

enum class Access : std::uint8_t {
    read_write,  ///< the one writer
    read_only,   ///< writes nothing, ever; needs no write permission
};

enum class Create : std::uint8_t {
    if_missing,  ///< make the store if the directory is missing or empty
    never,       ///< `not_found` if there is none
    must,        ///< `invalid_argument` if there is one already
};

/// How to open a store.
struct OpenOptions {
    Access access = Access::read_write;
    Create create = Create::if_missing;        ///< ignored by read-only openers: they never create
    Durability durability = Durability::disk;  ///< level of appends that do not name one
    std::uint64_t segment_size_first = 1ULL
                                       << 20;  ///< bytes, ≥ 64 KiB; used when the store is created
    std::uint64_t segment_size_max = 256ULL
                                     << 20;  ///< bytes, ≤ 1 GiB; used when the store is created
    std::uint32_t interval_ms = 100;         ///< level `interval`: at most this long between syncs
    std::uint64_t interval_bytes = 16ULL
                                   << 20;  ///< level `interval`: at most this much between syncs
    /// How far back an append looks for its event ids, in events: those before the last `id_window`
    /// are not found, as if they had no ids. 0: never too far back. A repetition that comes later
    /// than that is stored again. For writers; it may differ from opening to opening.
    std::uint64_t id_window = 0;
    bool force_filesystem = false;   ///< accept a file system that cannot keep the promises
    std::uint32_t file_mode = 0600;  ///< permissions of new files; directories get x where r is set
    std::uint8_t hash_bits =
        64;                  ///< of the keys of names, at creation; fewer only to test collisions
    os::Env* env = nullptr;  ///< null: the operating system; else lives longer than the store
};

/// What an append demands of a stream's version. The version is the number of events in the stream.
class Expected {
public:
    enum class Kind : std::uint8_t { any, no_stream, stream_exists, exact };

    [[nodiscard]] static constexpr Expected any() noexcept { return {Kind::any, 0}; }
    [[nodiscard]] static constexpr Expected no_stream() noexcept { return {Kind::no_stream, 0}; }
    [[nodiscard]] static constexpr Expected stream_exists() noexcept {
        return {Kind::stream_exists, 0};
    }
    [[nodiscard]] static constexpr Expected version(std::uint64_t n) noexcept {
        return {Kind::exact, n};
    }

    constexpr Expected() noexcept = default;
    [[nodiscard]] constexpr Kind kind() const noexcept { return kind_; }
    [[nodiscard]] constexpr std::uint64_t number() const noexcept { return number_; }
    /// True if a stream with `version` events meets the demand.
    [[nodiscard]] constexpr bool allows(std::uint64_t version) const noexcept {
        switch (kind_) {
            case Kind::any: return true;
            case Kind::no_stream: return version == 0;
            case Kind::stream_exists: return version != 0;
            case Kind::exact: return version == number_;
        }
        return false;
    }

private:
    constexpr Expected(Kind kind, std::uint64_t number) noexcept : kind_(kind), number_(number) {}
    Kind kind_ = Kind::any;
    std::uint64_t number_ = 0;
};

/// One demand for every stream of the append, or one per stream. A stream that is demanded but not
/// written is checked all the same.
class Expectations {
public:
    using Each = std::pair<std::string_view, Expected>;

    Expectations() noexcept = default;
    // Implicit, so that {.expected = Expected::version(3)} reads as it is meant.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Expectations(Expected every) noexcept : every_(every) {}
    Expectations(std::initializer_list<Each> each) : each_(each) {}
    explicit Expectations(std::vector<Each> each) noexcept : each_(std::move(each)) {}

    /// For streams that `each()` does not name.
    [[nodiscard]] Expected every() const noexcept { return every_; }
    [[nodiscard]] const std::vector<Each>& each() const noexcept { return each_; }

private:
    Expected every_ = Expected::any();
    std::vector<Each> each_;
};

/// Demands that no event matches behind a position: what was read to decide has not changed since.
/// `{query, seen}` is one, with what a read of that query has answered.
/// Source of the idea: the append condition of the DCB specification (dcb.events).
struct AppendCondition {
    Selector fail_if_match{};  ///< nothing: no condition
    /// Events up to here are ignored; position 0: none. One of an earlier life of the store that
    /// was lost with a part of the log, or one beyond the end, is refused as `stale`; with epoch 0
    /// only the latter.
    Seen after{};
    /// Only events whose JSON it matches are in the way; absent: all of `fail_if_match`.
    std::optional<Matcher> matcher{};
};

struct AppendOptions {
    Expectations expected{};
    /// Judged after ids and versions, on exactly what precedes the append: appends that are placed
    /// together with it and before it included.
    AppendCondition condition{};
    /// Raises the store's level for this append; a lower level than the store's is ignored.
    Durability durability = Durability::os;
    /// Only answers what the append would do or why it would be refused: nothing is stored, and
    /// `Appended` tells the positions and versions that it would have got at this moment.
    bool dry_run = false;
};

enum class Direction : std::uint8_t { forwards, backwards };

enum class Verify : std::uint8_t {
    always,   ///< head and body checksums of each record before its view is handed out
    trusted,  ///< structure only: lengths and bounds; a query believes sealed indexes
};

/// Which events to read: all, or those of one stream, category, type or tag.
struct Source {
    enum class Kind : std::uint8_t { all, stream, category, type, tag, derived };
    Kind kind = Kind::all;
    std::string_view name{};

    [[nodiscard]] static constexpr Source all() noexcept { return {}; }
    [[nodiscard]] static constexpr Source stream(std::string_view n) noexcept {
        return {Kind::stream, n};
    }
    /// A category is what stands before the first `-` or `/` of a stream's name.
    [[nodiscard]] static constexpr Source category(std::string_view n) noexcept {
        return {Kind::category, n};
    }
    [[nodiscard]] static constexpr Source type(std::string_view n) noexcept {
        return {Kind::type, n};
    }
    [[nodiscard]] static constexpr Source tag(std::string_view n) noexcept {
        return {Kind::tag, n};
    }
    /// A stream that the store keeps by itself, see `Store::define`.
    [[nodiscard]] static constexpr Source derived(std::string_view n) noexcept {
        return {Kind::derived, n};
    }
};

/// Which time of an event is meant.
enum class TimeKind : std::uint8_t {
    event,     ///< `EventView::time_us`: what the event says, in any order
    recorded,  ///< `EventView::recorded_us()`: when the store took it, never falling
};

/// Which part of the source, and how. Results come in position order of the direction.
struct ReadOptions {
    Position
        from{};  ///< first position wanted, inclusive; 0: from the beginning (backwards: the end)
    Position after{};  ///< only events beyond this position, in both directions
    Position
        until{};  ///< last position wanted, inclusive; 0: no bound. from > until reads backwards
    Revision from_revision{};   ///< only for streams: as `from`, by revision
    Revision until_revision{};  ///< only for streams: as `until`, by revision
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< at most so many events
    Direction direction = Direction::forwards;
    bool durable_only = false;  ///< nothing beyond what a sync has confirmed
    Verify verify = Verify::always;
    /// Only events of this time or later, microseconds since 1970; absent: no bound. Times decide
    /// nothing else: the order stays that of positions, and `seen()` says what it always says.
    std::optional<std::int64_t> since_us{};
    /// Only events before this time: unlike `until` it is exclusive, so that stretches of time that
    /// follow each other share no event.
    std::optional<std::int64_t> until_us{};
    TimeKind clock = TimeKind::event;  ///< which time `since_us` and `until_us` are about
    bool with_recorded = false;  ///< fill in `EventView::recorded_us()`, also without time bounds
    /// Only events whose JSON it matches; absent: all. One whose content was erased matches
    /// nothing.
    std::optional<Matcher> matcher{};
};

struct FollowOptions {
    Position after{};           ///< where to start: only events beyond it
    bool durable_only = false;  ///< deliver events only when a sync has confirmed them
    Verify verify = Verify::always;
    std::optional<std::int64_t> since_us{};  ///< as in ReadOptions, here and below
    std::optional<std::int64_t> until_us{};
    TimeKind clock = TimeKind::event;
    bool with_recorded = false;
    std::optional<Matcher> matcher{};
};

}  // namespace v0
}  // namespace varve
