// Documents as events. One go over the document, one over its payload, one over its metadata.
#include "bridge/source_event.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "nes/json.hpp"

namespace varve::bridge {

using nes::JsonField;

namespace {

/// The string that a JSON text denotes; where it needs no decoding, where it stands.
std::optional<std::string_view> text_of(std::string_view value, std::list<std::string>& texts) {
    if (value.size() < 2 || value.front() != '"') return std::nullopt;
    const std::string_view plain = value.substr(1, value.size() - 2);
    if (plain.find('\\') == std::string_view::npos) return plain;
    auto decoded = nes::json_string(value);
    if (!decoded) return std::nullopt;
    return texts.emplace_back(std::move(*decoded));
}

/// What stands at the rest of a path, whose first field has this value.
std::optional<std::string_view> descend(std::optional<std::string_view> value, const Path& path) {
    for (std::size_t part = 1; part < path.size() && value; ++part)
        value = nes::json_field(*value, path[part]);
    return value;
}

std::optional<std::uint64_t> whole_number(const std::optional<std::string_view>& value) noexcept {
    if (!value) return std::nullopt;
    std::uint64_t number = 0;
    const char* const end = value->data() + value->size();
    const auto read = std::from_chars(value->data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return number;
}

/// Milliseconds as the original has them; nothing if they are none, or beyond what a date can be.
std::optional<std::int64_t> milliseconds(const std::optional<std::string_view>& value) noexcept {
    constexpr double kMost = 8.64e15;
    const auto number = value ? nes::json_number(*value) : std::nullopt;
    if (!number || std::abs(*number) > kMost) return std::nullopt;
    return std::llround(*number * 1000);
}

void read_metadata(std::string_view metadata, SourceEvent& into) {
    JsonField wanted[] = {
        {"committedAt", {}}, {"commitId", {}}, {"commitVersion", {}}, {"commitSize", {}}};
    static_cast<void>(nes::json_fields(metadata, wanted));
    if (const auto time_ms = milliseconds(wanted[0].value)) into.event.time_us = *time_ms;
    const auto id = whole_number(wanted[1].value);
    const auto version = whole_number(wanted[2].value);
    const auto size = whole_number(wanted[3].value);
    if (id && version && size) into.commit = {*id, *version, *size};
}

/// Calls `use` with each string that is not empty: of the value itself, or of its elements.
template <class Use>
void each_name(std::string_view value, std::list<std::string>& texts, const Use& use) {
    if (value.front() == '"') {
        if (const auto name = text_of(value, texts); name && !name->empty()) use(*name);
        return;
    }
    if (value.front() != '[') return;
    const auto elements = nes::json_elements(value);
    if (!elements) return;
    for (const std::string_view element : *elements)
        if (const auto name = text_of(element, texts); name && !name->empty()) use(*name);
}

void read_names(std::string_view data, const Paths& paths, std::list<std::string>& texts,
                SourceEvent& into) {
    if (data.empty() || data.front() != '{') return;
    JsonField wanted[] = {
        {paths.type.empty() ? std::string_view() : std::string_view(paths.type[0]), {}},
        {paths.tags.empty() ? std::string_view() : std::string_view(paths.tags[0]), {}}};
    static_cast<void>(nes::json_fields(data, wanted));
    const auto type = paths.type.empty() ? std::nullopt : descend(wanted[0].value, paths.type);
    const auto tags = paths.tags.empty() ? std::nullopt : descend(wanted[1].value, paths.tags);
    if (type)
        each_name(*type, texts, [&](std::string_view name) {
            if (into.types++ == 0) into.event.type = name;
        });
    if (tags)
        each_name(*tags, texts, [&](std::string_view name) { into.event.tags.push_back(name); });
}

std::string_view stream_of_document(const nes::StoredDocument& document, const Paths& paths,
                                    std::list<std::string>& texts) {
    if (paths.stream.empty()) return document.partition;
    const auto found = descend(nes::json_field(document.data, paths.stream[0]), paths.stream);
    const auto name = found ? text_of(*found, texts) : std::nullopt;
    return name && !name->empty() ? *name : document.partition;
}

}  // namespace

Path split_path(std::string_view dotted) {
    Path path;
    while (!dotted.empty()) {
        const std::size_t dot = std::min(dotted.find('.'), dotted.size());
        path.emplace_back(dotted.substr(0, dot));
        dotted.remove_prefix(std::min(dotted.size(), dot + 1));
    }
    return path;
}

std::string joined(const Path& path) {
    std::string dotted;
    for (const std::string& part : path) dotted += (dotted.empty() ? "" : ".") + part;
    return dotted;
}

bool read_event(const nes::StoredDocument& document, const Paths& paths,
                std::list<std::string>& texts, SourceEvent& into) {
    into.event.tags.clear();  // its memory is used again
    NewEvent& event = into.event;
    event = NewEvent{{}, {}, std::move(event.tags), {}, {}, {}, {}};
    event.time_us = static_cast<std::int64_t>(document.time_us);
    into.commit = {};
    into.types = 0;
    JsonField wanted[] = {{"stream", {}}, {"payload", {}}, {"metadata", {}}};
    const auto fields = nes::json_fields(document.data, wanted);
    if (!fields) return false;
    const auto& [stream, payload, metadata] = wanted;
    const auto name = stream.value ? text_of(*stream.value, texts) : std::nullopt;
    const bool object = metadata.value && metadata.value->front() == '{';
    // An event store writes no payload if it is undefined. Anything else is kept as it is, whole.
    into.envelope = name && object && *fields == (payload.value ? 3U : 2U);
    if (into.envelope) {
        event.stream = *name;
        event.data = payload.value.value_or(std::string_view());
        event.metadata = *metadata.value;
        read_metadata(event.metadata, into);
    } else {
        event.stream = stream_of_document(document, paths, texts);
        event.data = document.data;
    }
    read_names(event.data, paths, texts, into);
    return true;
}

EventId id_of(const nes::StoredDocument& document, std::uint32_t mark) noexcept {
    EventId id;
    base::store(id.bytes.data(), static_cast<std::uint32_t>(document.number));
    base::store(id.bytes.data() + 4, mark);
    base::store(id.bytes.data() + 8, static_cast<std::uint32_t>(document.time_us));
    base::store(id.bytes.data() + 12, base::crc32c(0, base::as_bytes(document.data)));
    return id;
}

std::uint32_t source_mark(std::string_view storage_name) noexcept {
    return base::crc32c(0, base::as_bytes(storage_name));
}

std::uint32_t number_in(const std::byte* id, std::uint32_t mark) noexcept {
    return base::load<std::uint32_t>(id + 4) == mark ? base::load<std::uint32_t>(id) : 0;
}

}  // namespace varve::bridge
