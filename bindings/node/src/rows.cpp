#include "rows.hpp"

#include <cstring>

namespace varve::node {

namespace {

constexpr std::string_view kNull = "null";
constexpr std::string_view kNothing = "{}";
constexpr std::string_view kStreamKey = R"({"stream":)";
constexpr std::string_view kPayloadKey = R"(,"payload":)";
constexpr std::string_view kMetadataKey = R"(,"metadata":)";
constexpr std::string_view kLineEnd = "}\n";
constexpr std::size_t kAroundLine = kStreamKey.size() + kPayloadKey.size() + kMetadataKey.size() +
                                    kLineEnd.size() + kNothing.size() + 2;

/// Writes behind what it has written.
class Pen {
public:
    explicit Pen(std::span<char> room) noexcept : room_(room) {}

    [[nodiscard]] std::uint32_t at() const noexcept { return static_cast<std::uint32_t>(at_); }
    void move_to(std::size_t offset) noexcept { at_ = offset; }
    void put(char one) noexcept { room_[at_++] = one; }
    void put(std::string_view text) noexcept {
        if (text.empty()) return;
        std::memcpy(room_.data() + at_, text.data(), text.size());
        at_ += text.size();
    }

private:
    std::span<char> room_;
    std::size_t at_ = 0;
};

/// A JSON string. Names hold no control characters, but bytes on a disk may say anything.
void put_quoted(Pen& pen, std::string_view text) noexcept {
    constexpr std::string_view kDigits = "0123456789abcdef";
    pen.put('"');
    for (const char one : text) {
        const auto byte = static_cast<unsigned char>(one);
        if (byte < 0x20) {
            pen.put("\\u00");
            pen.put(kDigits[byte >> 4]);
            pen.put(kDigits[byte & 15U]);
            continue;
        }
        if (one == '"' || one == '\\') pen.put('\\');
        pen.put(one);
    }
    pen.put('"');
}

bool all_ascii(std::string_view text) noexcept {
    std::uint64_t bits = 0;
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
        std::uint64_t eight = 0;
        std::memcpy(&eight, text.data() + at, 8);
        bits |= eight;
    }
    for (; at < text.size(); ++at) bits |= static_cast<unsigned char>(text[at]);
    return (bits & 0x8080808080808080ULL) == 0;
}

/// A batch that is being written: rows in the table, bytes behind it.
class BatchWriter {
public:
    BatchWriter(std::span<const EventView> events, std::size_t rows, std::span<char> room) noexcept
        : events_(events),
          bytes_begin_(sizeof(BatchHeader) + rows * sizeof(Row)),
          room_(room),
          pen_(room) {
        pen_.move_to(bytes_begin_);
    }

    void write(std::uint32_t want) noexcept {
        header_.count = static_cast<std::uint32_t>(events_.size());
        for (std::size_t n = 0; n < events_.size(); ++n) begin_row(n);
        if ((want & kWantLine) != 0)
            write_lines();
        else
            write_data();
        if ((want & kWantMetadata) != 0) write_metadata();
        if ((want & kWantStream) != 0) write_names();
        header_.ascii = all_ascii({room_.data() + bytes_begin_, pen_.at() - bytes_begin_}) ? 1 : 0;
        std::memcpy(room_.data(), &header_, sizeof header_);
    }

private:
    Row& row(std::size_t n) noexcept {
        // The room is aligned to eight bytes: it is that of an ArrayBuffer.
        return reinterpret_cast<Row*>(room_.data() + sizeof(BatchHeader))[n];
    }
    void begin_row(std::size_t n) noexcept {
        const EventView& event = events_[n];
        Row& into = row(n);
        into = Row{};
        into.position = static_cast<double>(event.position.value);
        into.time_us = static_cast<double>(event.time_us);
        into.flags = (event.data.empty() ? kRowNoData : 0U) | (event.erased ? kRowErased : 0U);
        header_.flags |= into.flags;
    }
    void write_data() noexcept {
        header_.data_begin = pen_.at();
        pen_.put('[');
        for (std::size_t n = 0; n < events_.size(); ++n) {
            if (n > 0) pen_.put(',');
            row(n).data = pen_.at();
            pen_.put(events_[n].data.empty() ? kNull : events_[n].data);
            row(n).data_size = pen_.at() - row(n).data;
        }
        pen_.put(']');
        header_.data_end = pen_.at();
    }
    void write_metadata() noexcept {
        header_.metadata_begin = pen_.at();
        pen_.put('[');
        for (std::size_t n = 0; n < events_.size(); ++n) {
            if (n > 0) pen_.put(',');
            row(n).metadata = pen_.at();
            pen_.put(events_[n].metadata.empty() ? kNothing : events_[n].metadata);
            row(n).metadata_size = pen_.at() - row(n).metadata;
        }
        pen_.put(']');
        header_.metadata_end = pen_.at();
    }
    void write_lines() noexcept {
        header_.data_begin = pen_.at();
        for (std::size_t n = 0; n < events_.size(); ++n) {
            const EventView& event = events_[n];
            row(n).data = pen_.at();
            pen_.put(kStreamKey);
            put_quoted(pen_, event.stream);
            if (!event.data.empty()) {
                pen_.put(kPayloadKey);
                pen_.put(event.data);
            }
            pen_.put(kMetadataKey);
            pen_.put(event.metadata.empty() ? kNothing : event.metadata);
            pen_.put(kLineEnd);
            row(n).data_size = pen_.at() - row(n).data;
        }
        header_.data_end = pen_.at();
    }
    void write_names() noexcept {
        std::string_view before{};
        std::uint32_t before_at = 0;
        for (std::size_t n = 0; n < events_.size(); ++n) {
            const EventView& event = events_[n];
            // Events of one stream that follow each other share its bytes.
            if (n == 0 || event.stream != before) {
                before = event.stream;
                before_at = pen_.at();
                pen_.put(before);
            }
            row(n).stream = before_at;
            row(n).stream_size = static_cast<std::uint32_t>(before.size());
        }
    }
    std::span<const EventView> events_;
    std::size_t bytes_begin_;
    std::span<char> room_;
    Pen pen_;
    BatchHeader header_;
};

}  // namespace

std::size_t bytes_of(const EventView& event, std::uint32_t want) noexcept {
    std::size_t bytes = event.data.size() + kNull.size() + 1;
    if ((want & kWantLine) != 0)
        bytes += kAroundLine + 6 * event.stream.size() + event.metadata.size();
    if ((want & kWantMetadata) != 0) bytes += event.metadata.size() + kNothing.size() + 1;
    if ((want & kWantStream) != 0) bytes += event.stream.size();
    return bytes;
}

void write_rows(std::span<const EventView> events, std::uint32_t want, std::size_t rows,
                std::span<char> room) noexcept {
    BatchWriter(events, rows, room).write(want);
}

}  // namespace varve::node
