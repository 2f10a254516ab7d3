// Documents from events: those of imports again, and those of other events. One thread.
#include "bridge/export_document.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "nes/json.hpp"

namespace varve::bridge {

using nes::JsonField;

namespace {

constexpr std::array<std::string_view, 5> kPlaceFields{"commitId", "committedAt", "commitVersion",
                                                       "commitSize", "streamVersion"};

/// The time with these low bits that is nearest to `near_us`.
std::int64_t with_low_bits(std::int64_t near_us, std::uint32_t low) noexcept {
    constexpr std::int64_t kStep = std::int64_t{1} << 32;
    std::int64_t time = (near_us & ~(kStep - 1)) | low;
    if (time - near_us > kStep / 2) time -= kStep;
    if (near_us - time > kStep / 2) time += kStep;
    return time;
}

void begin_envelope(const EventView& event, std::string& text) {
    text.assign(R"({"stream":)").append(nes::json_quoted(event.stream));
    if (!event.data.empty()) text.append(R"(,"payload":)").append(event.data);
    text.append(R"(,"metadata":)");
}

std::string base64_of(std::string_view bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t n = 0; n < 3; ++n)
            group = group << 8 | (n < count ? static_cast<unsigned char>(bytes[at + n]) : 0U);
        for (std::size_t n = 0; n < 4; ++n)
            text += n <= count ? kDigits[group >> (18 - 6 * n) & 63] : '=';
    }
    return text;
}

/// Milliseconds, with the microseconds behind a point: what an import reads as the same time.
std::string milliseconds_of(std::int64_t time_us) {
    const std::uint64_t whole =
        time_us < 0 ? 0 - static_cast<std::uint64_t>(time_us) : static_cast<std::uint64_t>(time_us);
    std::string text = (time_us < 0 ? "-" : "") + std::to_string(whole / 1000);
    if (whole % 1000 != 0) text += "." + std::to_string(1000 + whole % 1000).substr(1);
    return text;
}

/// The commit's fields around those of the event, in the order of the original.
void add_metadata(const EventView& event, const CommitPlace& place, MadeDocument& into) {
    std::string& text = into.text;
    text.append(R"({"commitId":)").append(std::to_string(place.id));
    text.append(R"(,"committedAt":)").append(milliseconds_of(event.time_us));
    text.append(R"(,"commitVersion":)").append(std::to_string(place.version));
    text.append(R"(,"commitSize":)").append(std::to_string(place.size));
    const auto members = nes::json_members(event.metadata);
    into.metadata_left = !members && !event.metadata.empty();
    for (const JsonField& member : members.value_or(std::vector<JsonField>{})) {
        if (std::find(kPlaceFields.begin(), kPlaceFields.end(), member.key) != kPlaceFields.end() ||
            member.key == kExported)
            continue;
        text.append(",\"").append(member.key).append("\":").append(*member.value);
    }
    const std::uint64_t revision = event.revision.value;
    text.append(R"(,"streamVersion":)").append(std::to_string(revision > 0 ? revision - 1 : 0));
    text.append(1, '}');
}

bool same_names(const EventView& event, const NewEvent& read) {
    std::vector<std::string_view> tags;
    for (const std::string_view tag : read.tags)
        if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
    return event.type == read.type &&
           std::equal(event.tags.begin(), event.tags.end(), tags.begin(), tags.end());
}

/// Into the metadata, which end the document.
void add_names(const EventView& event, std::string& text) {
    text.resize(text.rfind('}', text.size() - 2));
    text.append(",\"").append(kExported).append("\":{");
    if (!event.type.empty()) text.append(R"("type":)").append(nes::json_quoted(event.type));
    if (!event.tags.empty()) {
        text.append(event.type.empty() ? "" : ",").append(R"("tags":[)");
        const char* between = "";
        for (const std::string_view tag : event.tags) {
            text.append(between).append(nes::json_quoted(tag));
            between = ",";
        }
        text.append(1, ']');
    }
    text.append("}}}");
}

/// Reads what was made. Nothing if it is not the document of one event with these data.
std::optional<SourceEvent> read_again(const EventView& event, const MadeDocument& made,
                                      const Paths& paths, std::list<std::string>& texts) {
    nes::StoredDocument document;
    document.data = made.text;
    SourceEvent read;
    if (!read_event(document, paths, texts, read) || !read.envelope) return std::nullopt;
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t begin = event.data.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos)
        return event.data.empty() ? std::optional(read) : std::nullopt;
    const std::size_t end = event.data.find_last_not_of(kBlanks) + 1;
    if (read.event.data != event.data.substr(begin, end - begin)) return std::nullopt;
    return read;
}

}  // namespace

bool has_place(std::string_view metadata) {
    JsonField wanted[kPlaceFields.size()];
    for (std::size_t n = 0; n < kPlaceFields.size(); ++n) wanted[n].key = kPlaceFields[n];
    if (metadata.empty() || metadata.front() != '{' || !nes::json_fields(metadata, wanted))
        return false;
    return std::all_of(std::begin(wanted), std::end(wanted), [](const JsonField& field) {
        return field.value && nes::json_number(*field.value);
    });
}

bool remake(const EventView& event, MadeDocument& into) {
    if (event.id_bytes == nullptr || event.erased) return false;
    const auto checksum = base::load<std::uint32_t>(event.id_bytes + 12);
    const auto low = base::load<std::uint32_t>(event.id_bytes + 8);
    into = {};
    into.as_imported = true;
    into.time_us = with_low_bits(event.time_us, low);
    if (event.metadata.empty()) {
        into.text = event.data;
        into.envelope = false;
        if (into.time_us != event.time_us) return false;
    } else {
        begin_envelope(event, into.text);
        into.text.append(event.metadata).append(1, '}');
    }
    return base::crc32c(0, base::as_bytes(into.text)) == checksum;
}

void make_document(const EventView& event, const CommitPlace& place, const Paths& paths,
                   MadeDocument& into) {
    into = {};
    into.time_us = event.time_us;
    const auto with_data = [&](const EventView& given) {
        begin_envelope(given, into.text);
        if (has_place(event.metadata))
            into.text.append(event.metadata);
        else
            add_metadata(event, place, into);
        into.text.append(1, '}');
    };
    std::list<std::string> texts;
    with_data(event);
    auto read = read_again(event, into, paths, texts);
    if (!read) {
        into.base64 = true;
        const std::string data = R"({"$base64":")" + base64_of(event.data) + "\"}";
        EventView other = event;
        other.data = data;
        with_data(other);
        read = read_again(other, into, paths, texts);
    }
    if (!read || !same_names(event, read->event)) add_names(event, into.text);
}

}  // namespace varve::bridge
