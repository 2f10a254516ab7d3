// How a batch of events is handed to JavaScript: one block of memory with a header, a table of
// rows, and the bytes that the rows point to. lib/batch.js reads it with the same offsets.
//
// Thread rule: plain functions. Invariants: everything lies inside the room that was given; numbers
// are those of the machine, aligned to eight bytes; the bytes of all data form one JSON array, and
// so do those of all metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/event.hpp"

namespace varve::node {

/// What of each event is wanted, as bits.
enum Want : std::uint32_t {
    kWantMetadata = 1,  ///< its metadata
    kWantStream = 2,    ///< the name of its stream
    kWantLine = 4,      ///< instead of its data: a line {"stream":…,"payload":…,"metadata":…}
};

/// At the beginning of the room.
struct BatchHeader {
    std::uint32_t count = 0;  ///< rows
    std::uint32_t ascii = 0;  ///< 1: no byte of the batch is beyond 0x7F
    std::uint32_t data_begin =
        0;  ///< of the array of all data; bytes from the beginning of the room
    std::uint32_t data_end = 0;
    std::uint32_t metadata_begin = 0;  ///< of the array of all metadata
    std::uint32_t metadata_end = 0;
    std::uint32_t unused = 0;
    std::uint32_t flags = 0;  ///< RowFlags that some row has
};
static_assert(sizeof(BatchHeader) == 32);

/// One event. Offsets are bytes from the beginning of the room.
struct Row {
    double position = 0;
    double time_us = 0;
    std::uint32_t flags = 0;  ///< RowFlag
    std::uint32_t data = 0;
    std::uint32_t data_size = 0;
    std::uint32_t metadata = 0;
    std::uint32_t metadata_size = 0;
    std::uint32_t stream = 0;
    std::uint32_t stream_size = 0;
    std::uint32_t unused = 0;
};
static_assert(sizeof(Row) == 48);

enum RowFlag : std::uint32_t {
    kRowNoData = 1,  ///< the event has none; `null` stands for it
    kRowErased = 2,  ///< its content was erased
};

/// Bytes that a batch takes without any event.
[[nodiscard]] constexpr std::size_t bytes_around(std::size_t rows) noexcept {
    return sizeof(BatchHeader) + rows * sizeof(Row) + 4;  // the brackets of both arrays
}

/// At most so many bytes are needed for `event`, besides its row.
[[nodiscard]] std::size_t bytes_of(const EventView& event, std::uint32_t want) noexcept;

/// Writes `events`, which fit: `bytes_around(rows)` and their `bytes_of` together are no more than
/// the room. The table has space for `rows` rows.
void write_rows(std::span<const EventView> events, std::uint32_t want, std::size_t rows,
                std::span<char> room) noexcept;

}  // namespace varve::node
