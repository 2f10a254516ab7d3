// Which indexes a storage gets: its streams, those of types and tags, and derived streams. One
// thread.
#include <algorithm>
#include <map>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "bridge/exporting.hpp"
#include "nes/json.hpp"
#include "nes/names.hpp"

namespace varve::bridge {

using nes::Loss;

namespace {

/// Why no index can have the name of a stream; empty if one can.
std::string fault_of(std::string_view stream, const std::string& storage) {
    if (stream.ends_with(".closed")) return "its index would be taken for that of a closed stream";
    for (const std::string& file : {storage + "." + std::string(stream),
                                    storage + ".stream-" + std::string(stream) + ".index"})
        if (auto good = nes::check_name(file); !good) return good.error().message;
    return {};
}

bool partition_is_usable(std::string_view stream, const std::string& storage) {
    if (!nes::check_name(stream) || !nes::check_name(storage + "." + std::string(stream)))
        return false;
    return !stream.ends_with(".index") && !stream.ends_with(".branch") &&
           !stream.ends_with(".lock");
}

/// `{"payload":{"a":{"b":VALUE}}}` for the path a.b.
std::string demand(const Path& path, const std::string& value) {
    std::string text = R"({"payload":)";
    for (const std::string& part : path)
        text.append("{").append(nes::json_quoted(part)).append(":");
    return text.append(value).append(std::string(path.size() + 1, '}'));
}

/// The names of streams that a selector is a union of; nothing if it is anything else. Reads what
/// `Selector::encoded` says: a name is op, u16 length, bytes; a list op, u32 length, sets.
std::optional<std::vector<std::string>> streams_of(const Selector& selector) {
    constexpr unsigned char kStream = 16;
    constexpr unsigned char kAnyOf = 32;
    constexpr std::size_t kListHead = 5;
    constexpr std::size_t kNameHead = 3;
    std::string_view code = selector.encoded();
    if (!code.empty() && static_cast<unsigned char>(code[0]) == kAnyOf)
        code.remove_prefix(kListHead);
    std::vector<std::string> streams;
    while (!code.empty()) {
        if (code.size() < kNameHead || static_cast<unsigned char>(code[0]) != kStream)
            return std::nullopt;
        const std::size_t size =
            base::load<std::uint16_t>(reinterpret_cast<const std::byte*>(code.data()) + 1);
        streams.emplace_back(code.substr(kNameHead, size));
        // What another encoding would make of this must not be taken for it.
        if (code.size() < kNameHead + size) return std::nullopt;
        code.remove_prefix(kNameHead + size);
    }
    std::vector<Selector> again;
    for (const std::string& name : streams) again.push_back(Selector::stream(name));
    return Selector::any_of(again) == selector ? std::optional(streams) : std::nullopt;
}

/// The original's matcher of a definition. Nothing if it has no equal there.
std::optional<std::string> matcher_of(const Definition& definition, bool envelopes) {
    nes::JsonField wanted[] = {{"data", {}}, {"metadata", {}}};
    if (!definition.matcher.empty())
        static_cast<void>(nes::json_fields(definition.matcher, wanted));
    const auto& [data, metadata] = wanted;
    if (!envelopes) {
        if (!definition.events.is_all() || metadata.value) return std::nullopt;
        return std::string(data.value.value_or("{}"));
    }
    std::string fields;
    if (!definition.events.is_all()) {
        const auto streams = streams_of(definition.events);
        if (!streams || streams->empty()) return std::nullopt;
        std::string list;
        for (const std::string& name : *streams)
            list.append(list.empty() ? "" : ",").append(nes::json_quoted(name));
        fields = R"("stream":)" + (streams->size() == 1 ? list : "[" + list + "]");
    }
    const auto add = [&](std::string_view key, const std::optional<std::string_view>& value) {
        if (!value) return;
        fields.append(fields.empty() ? "\"" : ",\"").append(key).append("\":").append(*value);
    };
    add("payload", data.value);
    add("metadata", metadata.value);
    return "{" + fields + "}";
}

}  // namespace

std::string Exporting::index_of(const std::string& name) const {
    return envelopes_ ? "stream-" + name : name;
}

/// False, and told, if there can be none.
Result<bool> Exporting::make_index(const std::string& name, const std::string& matcher,
                                   Loss otherwise, const std::string& what) {
    std::string why = fault_of(name, options_.name);
    if (why.empty()) {
        auto made = storage_->ensure_index(index_of(name), matcher);
        if (made) return true;
        if (made.error().code != ErrorCode::invalid_argument &&
            made.error().code != ErrorCode::too_large)
            return std::move(made).error();
        why = made.error().message;
    }
    lose(otherwise, what + ": " + why);
    return false;
}

Result<void> Exporting::make_streams(const Snapshot& snapshot) {
    auto streams = snapshot.streams();
    if (!streams) return std::move(streams).error();
    for (const CatalogueEntry& stream : *streams)
        for (std::size_t at = stream.name.find('/'); at != std::string::npos;
             at = stream.name.find('/', at + 1))
            directories_.insert(stream.name.substr(0, at));
    shared_.insert("");
    std::map<std::uint32_t, std::string> ids{{nes::partition_id(options_.name), ""}};
    for (const CatalogueEntry& stream : *streams) {
        const std::string file = options_.name + "." + stream.name;
        const bool alone = partition_is_usable(stream.name, options_.name) &&
                           !directories_.contains(stream.name) &&
                           ids.emplace(nes::partition_id(file), stream.name).second;
        if (!alone) {
            shared_.insert(stream.name);
            lose(Loss::shared_partition, "the events of stream " + stream.name +
                                             " are in the partition without name: no file of its "
                                             "own can be theirs");
        }
        if (envelopes_) VARVE_TRY(make_stream(stream));
    }
    if (options_.type_streams) VARVE_TRY(make_names(snapshot, NameKind::type));
    if (options_.tag_streams) VARVE_TRY(make_names(snapshot, NameKind::tag));
    return make_definitions(snapshot);
}

Result<void> Exporting::make_stream(const CatalogueEntry& stream) {
    auto made = make_index(stream.name, R"({"stream":)" + nes::json_quoted(stream.name) + "}",
                           Loss::stream_without_index,
                           "stream " + stream.name + " is none there, its events are");
    if (!made) return std::move(made).error();
    if (!*made) return {};
    lengths_.emplace(stream.name, 0);
    holds(Selector::stream(stream.name), stream.name);
    return {};
}

/// The streams that accessors make as events come with names that are new.
Result<void> Exporting::make_names(const Snapshot& snapshot, NameKind kind) {
    auto names = snapshot.names(kind);
    if (!names) return std::move(names).error();
    const bool type = kind == NameKind::type;
    const Path& path = type ? paths_.type : paths_.tags;
    if (path.empty()) return {};
    for (const CatalogueEntry& one : *names) {
        const std::string value = nes::json_quoted(one.name);
        const std::string name = type ? one.name : "tags/" + one.name;
        auto made = make_index(name, demand(path, type ? value : R"({"$has":)" + value + "}"),
                               Loss::unusable_definition,
                               (type ? "type " : "tag ") + one.name + " has no stream there");
        if (!made) return std::move(made).error();
        if (*made) holds(type ? Selector::type(one.name) : Selector::tag(one.name), name);
    }
    return {};
}

Result<void> Exporting::make_definitions(const Snapshot& snapshot) {
    auto definitions = snapshot.definitions();
    if (!definitions) return std::move(definitions).error();
    for (const Definition& definition : *definitions) VARVE_TRY(make_definition(definition));
    std::sort(closings_.begin(), closings_.end(),
              [](const Closing& a, const Closing& b) { return b.behind < a.behind; });
    return {};
}

Result<void> Exporting::make_definition(const Definition& definition) {
    const std::string what = "definition " + definition.name + " has no equal there";
    const auto matcher = definition.kind == DefinitionKind::stream
                             ? matcher_of(definition, envelopes_)
                             : std::nullopt;
    if (!matcher) {
        lose(Loss::unusable_definition,
             what + (definition.kind == DefinitionKind::stream
                         ? ": its events are not all, nor those of named streams"
                         : ": names of events cannot be defined"));
        return {};
    }
    auto made = make_index(definition.name, *matcher, Loss::unusable_definition, what);
    if (!made) return std::move(made).error();
    if (!*made) return {};
    ++report_.derived;
    holds(Selector::derived(definition.name), definition.name);
    if (definition.matcher.empty()) holds(definition.events, definition.name);
    if (definition.closed == Position{}) return {};
    lengths_.erase(definition.name);
    closings_.push_back({definition.closed, index_of(definition.name)});
    return {};
}

}  // namespace varve::bridge
