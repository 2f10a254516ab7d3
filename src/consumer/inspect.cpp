#include "consumer/inspect.hpp"

#include <algorithm>

#include "base/error.hpp"
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

Result<FileContent> read_named(const Place& place, std::string_view name) {
    auto file = open_named(place, name, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (content && content->error) return std::move(*content->error);
    return content;
}

namespace {

Result<void> count_behind(store::Engine& engine, const FileContent& content, ConsumerInfo& info) {
    auto view = engine.view();
    if (!view) return std::move(view).error();
    const Slot& slot = content.saved().slot;
    auto checked = check_checkpoint(slot, *view, place_of(engine).file_of(info.name));
    if (!checked) {
        info.health = ConsumerInfo::Health::stale;
        info.error = checked.error().message;
        return {};
    }
    ReadOptions behind;
    behind.after = Position{slot.position};
    const auto pinned = std::make_shared<store::Pinned>(engine.shared_meta(), std::move(*view));
    auto counted = store::count_events(pinned, *content.selector, behind);
    if (!counted) return std::move(counted).error();
    info.behind = counted->events;
    return {};
}

/// How many parked events wait. A file of them that cannot be read is a damage of the consumer.
void count_waiting(const Place& place, const FileContent& content, ConsumerInfo& info) {
    const Slot& slot = content.saved().slot;
    auto parked = ParkedFile::load(place, content.header.id, slot.generation);
    Result<void> checked = parked ? parked->check(slot) : Result<void>(parked.error());
    if (!checked) {
        info.health = ConsumerInfo::Health::damaged;
        info.error = checked.error().message;
        return;
    }
    for (const auto& [position, event] : parked->events()) {
        const bool passed = position <= slot.position;
        info.waiting += passed && event.status == ParkedEvent::Status::waiting ? 1U : 0U;
    }
}

void read_words(os::File& file, ConsumerInfo& info) {
    auto size = file.size();
    if (!size || *size < kSelectorOffset) return;
    auto words = Words::map(file, os::MapAccess::read);
    if (!words) return;
    info.paused = words->get().paused.load(std::memory_order_acquire) != 0;
    const std::string_view holder(words->get().holder, kHolderSize);
    if (info.active) info.holder = std::string(holder.substr(0, holder.find('\0')));
}

}  // namespace

Result<ConsumerInfo> describe_consumer(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto file = open_named(place, name, os::OpenMode::read);
    if (!file) return std::move(file).error();
    ConsumerInfo info;
    info.name = std::string(name);
    auto locked = (*file)->is_locked();
    if (!locked) return std::move(locked).error();
    info.active = *locked;
    read_words(**file, info);
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    if (content->selector) info.selector = content->selector->text();
    if (content->error) {
        const bool other = content->error->code == ErrorCode::stale;
        info.health = other ? ConsumerInfo::Health::stale : ConsumerInfo::Health::damaged;
        info.error = content->error->message;
        return info;
    }
    info.checkpoint = content->saved().checkpoint();
    info.state_bytes = content->saved().state.size();
    VARVE_TRY(count_behind(engine, *content, info));
    if (info.health == ConsumerInfo::Health::good) count_waiting(place, *content, info);
    return info;
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
        Words words;
        auto file = open_named(place, name, os::OpenMode::read);
        if (!file && file.error().code != ErrorCode::not_found) return std::move(file).error();
        if (file) {
            auto mapped = Words::map(**file, os::MapAccess::read);
            if (!mapped) return std::move(mapped).error();
            words = std::move(*mapped);
            wake = &words.get().wake;
            word = wake->load(std::memory_order_acquire);
            auto content = read_file(**file, place.file_of(name), place.uuid);
            if (!content) return std::move(content).error();
            if (content->error) return std::move(*content->error);
            if (content->saved().slot.position >= position) return true;
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
    return (*file)->sync_range(words->mapping(), 0, kPage);
}

Result<std::vector<ParkedEvent>> list_parked(store::Engine& engine, std::string_view name) {
    const Place place = place_of(engine);
    auto content = read_named(place, name);
    if (!content) return std::move(content).error();
    const Slot& slot = content->saved().slot;
    auto parked = ParkedFile::load(place, content->header.id, slot.generation);
    if (!parked) return std::move(parked).error();
    VARVE_TRY(parked->check(slot));
    std::vector<ParkedEvent> events;
    for (const auto& [position, event] : parked->events())
        if (position <= slot.position) events.push_back(event);
    return events;
}

Result<void> drop_parked(store::Engine& engine, std::string_view name,
                         std::span<const Position> positions) {
    const Place place = place_of(engine);
    if (const char* wrong = refuse_name(name)) return failure(ErrorCode::invalid_argument, wrong);
    auto file = CheckpointFile::open(place, name);
    if (!file) return std::move(file).error();
    const Slot slot = (*file)->saved().slot;
    auto parked = ParkedFile::load(place, (*file)->id(), slot.generation);
    if (!parked) return std::move(parked).error();
    VARVE_TRY(parked->check(slot));
    for (const Position position : positions) {
        const auto found = parked->events().find(position.value);
        const bool waits = found != parked->events().end() && position.value <= slot.position &&
                           found->second.status == ParkedEvent::Status::waiting;
        if (!waits)
            return failure(ErrorCode::not_found, "the event at position " +
                                                     std::to_string(position.value) +
                                                     " is not parked: nothing was dropped");
    }
    for (const Position position : positions)
        VARVE_TRY(parked->add(ParkedKind::dropped, position.value, 0, {}));
    return {};
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
