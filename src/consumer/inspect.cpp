#include "consumer/inspect.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "consumer/membership.hpp"
#include "store/counting.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

Result<std::unique_ptr<os::File>> open_named(const Place& place, std::string_view name,
                                             os::OpenMode mode) {
    if (const char* wrong = refuse_name(name)) return failure(ErrorCode::invalid_argument, wrong);
    auto file = place.env->open(place.file_of(name), mode);
    if (!file && file.error().code == ErrorCode::not_found)
        return failure(ErrorCode::not_found, "there is no consumer named " + std::string(name),
                       place.file_of(name));
    return file;
}

namespace {

void note_error(const Error& error, ConsumerInfo::Health& health, std::string& text) {
    const bool other = error.code == ErrorCode::stale;
    health = other ? ConsumerInfo::Health::stale : ConsumerInfo::Health::damaged;
    text = error.message;
}

/// Of the events since counting began, those that no part has passed.
Result<void> count_behind(store::Engine& engine, const Parts& parts, ConsumerInfo& info) {
    auto view = engine.view();
    if (!view) return std::move(view).error();
    const std::string path = place_of(engine).file_of(info.name);
    for (const FileContent& part : parts.all()) {
        auto checked = check_checkpoint(part.saved().slot, *view, path);
        if (checked) continue;
        note_error(checked.error(), info.health, info.error);
        return {};
    }
    const Checkpoint& at = info.checkpoint;
    ReadOptions behind;
    behind.after = parts.is_group() ? at.counted_after : at.position;
    const auto pinned = std::make_shared<store::Pinned>(engine.shared_meta(), std::move(*view));
    auto counted = store::count_events(pinned, *parts.own.selector, behind);
    if (!counted) return std::move(counted).error();
    const std::uint64_t passed = parts.is_group() ? at.acknowledged + at.parked : 0;
    info.behind = counted->events - std::min(counted->events, passed);
    return {};
}

/// How many parked events of a file wait, up to its checkpoint.
std::uint64_t waiting_in(const ParkedFile& parked, const Slot& slot) {
    std::uint64_t waiting = 0;
    for (const auto& [position, event] : parked.events()) {
        const bool passed = position <= slot.position;
        waiting += passed && event.status == ParkedEvent::Status::waiting ? 1U : 0U;
    }
    return waiting;
}

/// A file of parked events that cannot be read is a damage of the consumer.
void count_waiting(const Place& place, const Parts& parts, ConsumerInfo& info) {
    auto files = read_parked(place, parts);
    if (!files) return note_error(files.error(), info.health, info.error);
    for (std::size_t n = 0; n < files->size(); ++n)
        info.waiting += waiting_in((*files)[n], parts.all()[n].saved().slot);
}

Result<void> read_shared(os::File& file, const FileContent& content, ConsumerInfo& info) {
    auto locked = file.is_locked();
    if (!locked) return std::move(locked).error();
    info.active = *locked;
    if (content.selector) info.lanes = content.header.lanes;
    if (info.active && info.lanes != 0) {
        auto members = count_members(file);
        if (!members) return std::move(members).error();
        info.members = *members;
    }
    const auto words = Words::find(file);
    if (!words) return {};
    info.paused = words->get().paused.load(std::memory_order_acquire) != 0;
    if (info.active && info.lanes == 0) info.holder = words->holder();
    return {};
}

}  // namespace

Result<ConsumerInfo> describe_consumer(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto file = open_named(place, name, os::OpenMode::read);
    if (!file) return std::move(file).error();
    ConsumerInfo info;
    info.name = std::string(name);
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    VARVE_TRY(read_shared(**file, *content, info));
    auto parts = read_parts(place, std::move(*content));
    if (!parts) return std::move(parts).error();
    if (parts->own.selector) info.selector = parts->own.selector->text();
    if (const auto error = parts->error()) {
        note_error(*error, info.health, info.error);
        return info;
    }
    info.checkpoint = parts->checkpoint();
    for (const FileContent& part : parts->all()) info.state_bytes += part.saved().state.size();
    VARVE_TRY(count_behind(engine, *parts, info));
    if (info.health == ConsumerInfo::Health::good) count_waiting(place, *parts, info);
    return info;
}

Result<ConsumerContent> consumer_content(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto parts = read_named(place, name);
    if (!parts) return std::move(parts).error();
    if (parts->is_group())
        return failure(ErrorCode::invalid_argument,
                       "consumer " + std::string(name) +
                           " is a group: each of its lanes has a state of its own",
                       place.file_of(name));
    const Saved& saved = parts->own.saved();
    return ConsumerContent{*parts->own.selector, saved.checkpoint(), saved.state};
}

namespace {

Result<LaneInfo> describe_lane(const Place& place, const std::string& path,
                               const FileContent& content) {
    LaneInfo info;
    if (auto file = place.env->open(path, os::OpenMode::read)) {
        auto locked = (*file)->is_locked();
        if (!locked) return std::move(locked).error();
        info.active = *locked;
        const auto words = info.active ? Words::find(**file) : std::nullopt;
        if (words) info.holder = words->holder();
    }
    if (content.error) {
        note_error(*content.error, info.health, info.error);
        return info;
    }
    info.checkpoint = content.saved().checkpoint();
    info.state_bytes = content.saved().state.size();
    const Slot& slot = content.saved().slot;
    auto parked = ParkedFile::load(place, content.header.id, slot.generation);
    const Result<void> checked = parked ? parked->check(slot) : Result<void>(parked.error());
    if (checked)
        info.waiting = waiting_in(*parked, slot);
    else
        note_error(checked.error(), info.health, info.error);
    return info;
}

}  // namespace

Result<std::vector<LaneInfo>> describe_lanes(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto file = open_named(place, name, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    if (content->error) return std::move(*content->error);
    if (content->header.lanes == 0)
        return failure(ErrorCode::invalid_argument,
                       "consumer " + std::string(name) + " is no group: it has no lanes",
                       place.file_of(name));
    auto parts = read_parts(place, std::move(*content));
    if (!parts) return std::move(parts).error();
    std::vector<LaneInfo> infos;
    for (std::uint32_t n = 0; n < parts->lanes.size(); ++n) {
        const std::string path = place.file_of(lane_name(parts->own.header.id, n));
        auto info = describe_lane(place, path, parts->lanes[n]);
        if (!info) return std::move(info).error();
        info->number = n;
        infos.push_back(std::move(*info));
    }
    return infos;
}

Result<std::vector<ConsumerInfo>> list_consumers(store::Engine& engine) {
    const Place place = place_of(engine);
    std::vector<ConsumerInfo> found;
    auto names = place.env->list(place.directory);
    if (!names && names.error().code == ErrorCode::not_found) return found;
    if (!names) return std::move(names).error();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
        if (refuse_name(name) != nullptr) continue;
        auto info = describe_consumer(engine, name);
        if (!info && info.error().code == ErrorCode::not_found) continue;
        if (!info) return std::move(info).error();
        found.push_back(std::move(*info));
    }
    return found;
}

Result<bool> wait_for_consumer(store::Engine& engine, std::string_view name, std::uint64_t position,
                               std::uint32_t timeout_ms) {
    constexpr std::uint64_t kSecondUs = 1'000'000;
    const Place place = place_of(engine);
    os::Env& env = *place.env;
    const std::uint64_t deadline_us = env.monotonic_us() + std::uint64_t{timeout_ms} * 1000;
    while (true) {
        VARVE_TRY(engine.open_here());
        // By name, every time: a consumer may have been made anew. The word is read before the
        // checkpoint, and bumped after it was written.
        std::atomic<std::uint32_t> nobody{0};
        const std::atomic<std::uint32_t>* wake = &nobody;
        std::uint32_t word = 0;
        std::optional<Words> words;
        auto file = open_named(place, name, os::OpenMode::read);
        if (!file && file.error().code != ErrorCode::not_found) return std::move(file).error();
        if (file) {
            words = Words::find(**file);
            if (words) wake = &words->get().wake;
            word = wake->load(std::memory_order_acquire);
            auto content = read_file(**file, place.file_of(name), place.uuid);
            if (!content) return std::move(content).error();
            auto parts = read_parts(place, std::move(*content));
            if (!parts) return std::move(parts).error();
            if (auto error = parts->error()) return std::move(*error);
            if (parts->checkpoint().position.value >= position) return true;
        }
        const std::uint64_t now_us = env.monotonic_us();
        if (now_us >= deadline_us) return false;
        env.wait_on(*wake, word, std::min(deadline_us - now_us, kSecondUs));
    }
}

Result<void> pause_consumer(store::Engine& engine, std::string_view name, bool paused) {
    const Place place = place_of(engine);
    auto file = open_named(place, name, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    if (content->error) return std::move(*content->error);
    auto words = Words::map(**file, os::MapAccess::read_write);
    if (!words) return std::move(words).error();
    std::atomic<std::uint32_t>& word = words->get().paused;
    word.store(paused ? 1 : 0, std::memory_order_release);
    if (os::StoreObserver* observer = place.env->observer())
        observer->note(reinterpret_cast<const std::byte*>(&word), sizeof word);
    tell(*place.env, words->get());
    tell_moves(*place.env, words->get());
    return (*file)->sync_range(words->mapping(), 0, kPage);
}

Result<std::vector<ParkedEvent>> list_parked(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto parts = read_named(place, name);
    if (!parts) return std::move(parts).error();
    auto files = read_parked(place, *parts);
    if (!files) return std::move(files).error();
    std::vector<ParkedEvent> events;
    for (std::size_t n = 0; n < files->size(); ++n)
        for (const auto& [position, event] : (*files)[n].events())
            if (position <= parts->all()[n].saved().slot.position) events.push_back(event);
    std::sort(events.begin(), events.end(),
              [](const auto& a, const auto& b) { return a.position < b.position; });
    return events;
}

Result<void> drop_parked(store::Engine& engine, std::string_view name,
                         std::span<const Position> positions) {
    const Place place = place_of(engine);
    if (const char* wrong = refuse_name(name)) return failure(ErrorCode::invalid_argument, wrong);
    // While its lock is held nobody can begin with it, nor with a lane of it.
    auto file = CheckpointFile::open(place, name);
    if (!file) return std::move(file).error();
    auto parts = read_named(place, name);
    if (!parts) return std::move(parts).error();
    auto files = read_parked(place, *parts);
    if (!files) return std::move(files).error();
    const auto owner = [&](std::uint64_t position) -> ParkedFile* {
        for (std::size_t n = 0; n < files->size(); ++n) {
            ParkedFile& parked = (*files)[n];
            const auto found = parked.events().find(position);
            const bool waits = found != parked.events().end() &&
                               position <= parts->all()[n].saved().slot.position &&
                               found->second.status == ParkedEvent::Status::waiting;
            if (waits) return &parked;
        }
        return nullptr;
    };
    for (const Position position : positions) {
        if (owner(position.value) == nullptr)
            return failure(ErrorCode::not_found, "the event at position " +
                                                     std::to_string(position.value) +
                                                     " is not parked: nothing was dropped");
    }
    for (const Position position : positions)
        if (ParkedFile* const parked = owner(position.value))
            VARVE_TRY(parked->add(ParkedKind::dropped, position.value, 0, {}));
    return {};
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
