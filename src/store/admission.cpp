#include "store/admission.hpp"

#include <algorithm>
#include <bit>
#include <new>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace store {

using base::failure;
using index::KeyKind;

void Plan::clear() noexcept {
    // A giant append must not keep its memory for ever.
    constexpr std::size_t kKeep = 4096;
    if (events.capacity() > kKeep) *this = Plan{};
    events.clear();
    streams.clear();
    hashes.clear();
    keys.clear();
    tags.clear();
    ids.clear();
    ids_looked_until = 0;
    bytes = 0;
    has_demands = false;
    defines = false;
    outdated = false;
    texts.clear();
}

namespace {

Error refuse(ErrorCode code, std::size_t event, const char* what, const char* why) noexcept {
    return failure(code, "event " + std::to_string(event) + " of the append: " + what + " " + why);
}

Result<void> check_names(const NewEvent& event, std::size_t n) noexcept {
    if (const char* why = fault_of_name(event.stream))
        return refuse(ErrorCode::invalid_argument, n, "its stream", why);
    if (const char* why = fault_of_name(event.type))
        return refuse(ErrorCode::invalid_argument, n, "its type", why);
    if (event.tags.size() > log::kMaxTags)
        return refuse(ErrorCode::too_large, n, "it has", "more than 64 tags");
    for (const std::string_view tag : event.tags) {
        if (tag.empty()) return refuse(ErrorCode::invalid_argument, n, "a tag", "is empty");
        if (const char* why = fault_of_name(tag))
            return refuse(ErrorCode::invalid_argument, n, "a tag", why);
    }
    return {};
}

Result<void> check_sizes(const NewEvent& event, std::size_t n) noexcept {
    if (event.data.size() > kMaxDataBytes)
        return refuse(ErrorCode::too_large, n, "its data", "exceed 64 MiB");
    if (event.metadata.size() > kMaxMetadataBytes)
        return refuse(ErrorCode::too_large, n, "its metadata", "exceed 1 MiB");
    return {};
}

void add_tag(const Meta& meta, std::string_view tag, Plan& plan) {
    plan.tags.push_back(tag);
    plan.hashes.push_back(meta.hasher.key(KeyKind::tag, tag));
}

/// Tags without repetitions. They are few, so each is compared with those before it.
void add_tags(const Meta& meta, const NewEvent& event, Plan& plan) {
    const std::size_t first = plan.tags.size();
    for (const std::string_view tag : event.tags) {
        const auto begin = plan.tags.begin() + static_cast<std::ptrdiff_t>(first);
        if (std::find(begin, plan.tags.end(), tag) != plan.tags.end()) continue;
        add_tag(meta, tag, plan);
    }
}

bool is(const PlannedStream& stream, index::Key key, std::string_view name) noexcept {
    return stream.key == key && stream.name == name;
}

/// Index of the stream in the plan, added if it is new. `capacity` of the table: a power of two, 0:
/// look one by one.
std::uint32_t stream_number(Plan& plan, index::Key key, std::string_view name) {
    if (!plan.streams.empty() && is(plan.streams.back(), key, name)) {
        return static_cast<std::uint32_t>(plan.streams.size() - 1);
    }
    const auto add = [&] {
        plan.streams.push_back({key, name, {}, 0, Expected::any()});
        return static_cast<std::uint32_t>(plan.streams.size() - 1);
    };
    if (plan.table.empty()) {
        for (std::uint32_t n = 0; n < plan.streams.size(); ++n) {
            if (is(plan.streams[n], key, name)) return n;
        }
        return add();
    }
    const std::size_t mask = plan.table.size() - 1;
    for (std::size_t at = (key >> 3) & mask;; at = (at + 1) & mask) {
        const std::uint32_t number = plan.table[at];
        if (number == kNoStream) return plan.table[at] = add();
        if (is(plan.streams[number], key, name)) return number;
    }
}

/// Of the event that is added next.
void add_id(const Meta& meta, const EventId& id, Plan& plan) {
    const std::string_view bytes(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    const index::Key key = meta.hasher.key(KeyKind::id, bytes);
    plan.keys.push_back(key);
    plan.ids.push_back({key, bytes, static_cast<std::uint32_t>(plan.events.size())});
}

/// No two events of one append have the same id.
Result<void> check_ids_differ(Plan& plan) {
    constexpr std::size_t kFew = 8;
    const auto twice = [](const PlannedId& one, const PlannedId& other) {
        return refuse(ErrorCode::invalid_argument, one.event, "its id is that of event",
                      std::to_string(other.event).c_str());
    };
    if (plan.ids.size() <= kFew) {
        for (std::size_t n = 1; n < plan.ids.size(); ++n) {
            for (std::size_t before = 0; before < n; ++before) {
                if (plan.ids[n].bytes == plan.ids[before].bytes)
                    return twice(plan.ids[n], plan.ids[before]);
            }
        }
        return {};
    }
    plan.id_table.assign(std::bit_ceil(2 * plan.ids.size()), kNoStream);
    const std::size_t mask = plan.id_table.size() - 1;
    for (std::uint32_t n = 0; n < plan.ids.size(); ++n) {
        std::size_t at = (plan.ids[n].key >> 3) & mask;
        for (; plan.id_table[at] != kNoStream; at = (at + 1) & mask) {
            const PlannedId& before = plan.ids[plan.id_table[at]];
            if (before.bytes == plan.ids[n].bytes) return twice(plan.ids[n], before);
        }
        plan.id_table[at] = n;
    }
    return {};
}

/// What definitions make of the event: its type, and tags behind its own, `first` … Returns how
/// many.
std::size_t add_given(const Meta& meta, const NewEvent& event, std::size_t first,
                      std::string_view& type, Plan& plan) {
    const std::span<const std::string_view> own = std::span(plan.tags).subspan(first);
    const std::size_t count = own.size();
    Routed& routed = plan.routed;
    plan.routing->router.route({{event.stream, event.type, own}, event.data, event.metadata},
                               routed);
    if (event.type.empty() && !routed.type.empty()) type = plan.texts.emplace_back(routed.type);
    const bool dropped =
        base::seeded(base::SeededBug::given_tags_dropped_in_batches) && !plan.events.empty();
    for (std::size_t n = count; n < routed.tags.size() && !dropped; ++n)
        add_tag(meta, plan.texts.emplace_back(routed.tags[n]), plan);
    for (const Rule* stream : routed.streams) add_tag(meta, stream->mark, plan);
    return plan.tags.size() - first - count;
}

Result<void> add_event(const Meta& meta, const NewEvent& event, std::size_t n, Plan& plan) {
    PlannedEvent planned;
    planned.first_key = static_cast<std::uint32_t>(plan.keys.size());
    const std::size_t first_hash = plan.hashes.size();
    const std::size_t first_tag = plan.tags.size();
    index::Key stream_key = 0;
    planned.stream = kNoStream;
    if (!event.stream.empty()) {
        stream_key = meta.hasher.key(KeyKind::stream, event.stream);
        planned.stream = stream_number(plan, stream_key, event.stream);
        ++plan.streams[planned.stream].events;
        plan.keys.push_back(stream_key);
        const std::string_view category = index::category_of(event.stream);
        if (!category.empty()) plan.keys.push_back(meta.hasher.key(KeyKind::category, category));
    }
    plan.hashes.push_back(stream_key);
    plan.hashes.push_back(0);
    add_tags(meta, event, plan);
    std::string_view type = event.type;
    std::size_t added = 0;
    if (plan.routing != nullptr) added = add_given(meta, event, first_tag, type, plan);
    if (added > log::kMaxAdded) {
        return refuse(ErrorCode::too_large, n, "it",
                      "belongs to more than 192 derived streams and tags of its content");
    }
    const index::Key type_key = type.empty() ? 0 : meta.hasher.key(KeyKind::type, type);
    if (type_key != 0) plan.keys.push_back(type_key);
    plan.hashes[first_hash + 1] = type_key;
    const std::size_t tag_count = plan.tags.size() - first_tag;
    std::size_t names = event.stream.size() + type.size();
    for (std::size_t t = first_tag; t < plan.tags.size(); ++t) names += plan.tags[t].size();
    for (std::size_t t = 0; t < tag_count; ++t)
        plan.keys.push_back(plan.hashes[first_hash + 2 + t]);
    if (event.id) add_id(meta, *event.id, plan);
    planned.key_count = static_cast<std::uint32_t>(plan.keys.size()) - planned.first_key;
    planned.tag_count = static_cast<std::uint32_t>(tag_count);
    planned.input.stream = event.stream;
    planned.input.type = type;
    planned.input.metadata = event.metadata;
    planned.input.data = event.data;
    planned.input.id = event.id ? event.id->bytes.data() : nullptr;
    planned.input.added = added > 0;
    planned.input.head_size =
        static_cast<std::uint32_t>(log::head_size(names, tag_count, event.id.has_value()));
    planned.input.body_size = log::body_size(event.metadata.size(), event.data.size());
    planned.time_us = event.time_us ? &*event.time_us : nullptr;
    plan.bytes += planned.input.head_size + planned.input.body_size;
    plan.events.push_back(planned);
    return {};
}

/// The vectors have stopped growing: now the views into them are made.
void link(Plan& plan) noexcept {
    const std::uint64_t* hash = plan.hashes.data();
    const std::string_view* tag = plan.tags.data();
    for (PlannedEvent& planned : plan.events) {
        planned.input.hashes = hash;
        planned.input.tags = {tag, planned.tag_count};
        hash += 2 + planned.tag_count;
        tag += planned.tag_count;
    }
    VARVE_ASSERT(hash == plan.hashes.data() + plan.hashes.size());
}

Result<void> add_demands(const Meta& meta, const Expectations& expected, Plan& plan) {
    if (expected.every().kind() != Expected::Kind::any) {
        plan.has_demands = true;
        for (PlannedStream& stream : plan.streams) stream.expected = expected.every();
    }
    for (const auto& [name, demand] : expected.each()) {
        plan.has_demands = true;
        if (name.empty())
            return failure(ErrorCode::invalid_argument, "an expected version without a stream");
        if (const char* why = fault_of_name(name)) {
            return failure(ErrorCode::invalid_argument,
                           std::string("the stream of an expected version ") + why);
        }
        const index::Key key = meta.hasher.key(KeyKind::stream, name);
        plan.streams[stream_number(plan, key, name)].expected = demand;
    }
    return {};
}

Result<void> admit_all(const Meta& meta, std::span<const NewEvent> events,
                       const AppendOptions& options, const RoutingPtr& routing, Plan& plan) {
    const Expectations& expected = options.expected;
    plan.clear();
    plan.routing = routing;
    if (events.empty()) return failure(ErrorCode::invalid_argument, "an append without events");
    if (events.size() > kMaxCommitEvents)
        return failure(ErrorCode::too_large, "more than 65536 events in one append");
    constexpr std::size_t kFew = 8;
    const std::size_t streams = events.size() + expected.each().size();
    plan.table.assign(streams > kFew ? std::bit_ceil(2 * streams) : 0, kNoStream);
    plan.bytes = sizeof(log::CommitHeader);
    for (std::size_t n = 0; n < events.size(); ++n) {
        VARVE_TRY(check_names(events[n], n));
        VARVE_TRY(check_sizes(events[n], n));
        VARVE_TRY(add_event(meta, events[n], n, plan));
        if (plan.bytes > kMaxCommitBytes)
            return failure(ErrorCode::too_large, "the append exceeds 256 MiB");
    }
    VARVE_TRY(check_ids_differ(plan));
    VARVE_TRY(add_demands(meta, expected, plan));
    std::optional<BookMeanings> known;
    if (plan.routing != nullptr) known.emplace(plan.routing->book, ~0ULL);
    VARVE_TRY(plan.condition.admit(meta, options.condition, known ? &*known : nullptr));
    plan.dry_run = options.dry_run;
    link(plan);
    return {};
}

}  // namespace

Result<void> admit(const Meta& meta, std::span<const NewEvent> events, const AppendOptions& options,
                   const RoutingPtr& routing, Plan& plan) noexcept {
    try {
        return admit_all(meta, events, options, routing, plan);
    } catch (const std::bad_alloc&) {
        return failure(ErrorCode::out_of_memory, "no memory to prepare the append");
    }
}

}  // namespace store
}  // namespace v0
}  // namespace varve
