// Letting a consumer begin anew, or another one take its place; the file that was is kept.
#include <algorithm>

#include "base/error.hpp"
#include "consumer/inspect.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

Saved beginning(const ResetOptions& options, std::int64_t now_us) {
    Saved saved;
    saved.slot.position = options.position.value;
    saved.slot.counted_after = options.position.value;
    saved.slot.time_us = now_us;
    saved.slot.generation = 1;
    saved.state = std::string(options.state.value_or(std::string_view{}));
    return saved;
}

/// Gives the file a second name that says what happened.
Result<void> keep_aside(const Place& place, std::string_view name, const char* why) {
    os::Env& env = *place.env;
    constexpr int kMost = 10'000;
    for (int n = 1; n <= kMost; ++n) {
        const std::string aside = place.file_of(name) + kBeside + why + "-" + std::to_string(n);
        auto taken = env.exists(aside);
        if (!taken) return std::move(taken).error();
        if (*taken) continue;
        VARVE_TRY(env.link(place.file_of(name), aside));
        return env.sync_directory(place.directory);
    }
    return failure(ErrorCode::io, "too many earlier files of this consumer are kept already",
                   place.file_of(name));
}

/// The file says nothing that could be gone on with: it is kept under another name.
Result<void> make_anew(const Place& place, std::string_view name, FileContent& content,
                       const ResetOptions& options) {
    const Selector* selector = options.selector ? &*options.selector : nullptr;
    if (selector == nullptr && content.selector) selector = &*content.selector;
    if (selector == nullptr) {
        return failure(ErrorCode::invalid_argument,
                       "the file of consumer " + std::string(name) +
                           " does not say any more what it follows: a selector must be given",
                       place.file_of(name));
    }
    if (selector->error() != nullptr)
        return failure(ErrorCode::invalid_argument, selector->error());
    VARVE_TRY(keep_aside(place, name, "damaged"));
    const Lanes lanes = content.selector ? lanes_of(content.header) : Lanes{};
    return create_file(place, name, *selector, beginning(options, place.env->now_us()), true,
                       lanes);
}

/// A group begins anew with new files of all its lanes, so that it does so in one step. Those that
/// were go away, unless one of them is damaged: then all are kept.
Result<void> reset_group(const Place& place, std::string_view name, const CheckpointFile& file,
                         Saved fresh) {
    const FileHeader& header = file.header();
    FileContent own;
    own.header = header;
    own.selector = file.selector();
    auto parts = read_parts(place, std::move(own));
    if (!parts) return std::move(parts).error();
    const bool damaged = parts->error().has_value();
    if (damaged) VARVE_TRY(keep_aside(place, name, "damaged"));
    VARVE_TRY(create_file(place, name, file.selector(), std::move(fresh), true, lanes_of(header)));
    if (damaged) return {};
    remove_lanes(place, header.id, header.lanes);
    for (const FileContent& lane : parts->lanes)
        static_cast<void>(place.env->remove(ParkedFile::path_of(place, lane.header.id)));
    return {};
}

/// What a consumer that is to take another one's place has reached, durably.
Result<std::uint64_t> make_durable(const Place& place, std::string_view name,
                                   CheckpointFile& file) {
    VARVE_TRY(file.sync());
    const FileHeader& header = file.header();
    if (header.lanes == 0) return file.saved().slot.position;
    std::uint64_t reached = ~0ULL;
    for (std::uint32_t n = 0; n < header.lanes; ++n) {
        auto lane = CheckpointFile::open(place, lane_name(header.id, n));
        if (!lane && lane.error().code == ErrorCode::not_found)
            return failure(ErrorCode::corrupt, "lane " + std::to_string(n) + " is missing",
                           place.file_of(name));
        if (!lane) return std::move(lane).error();
        VARVE_TRY((*lane)->sync());
        reached = std::min(reached, (*lane)->saved().slot.position);
    }
    return reached;
}

/// How far a consumer has come, with all its lanes; 0 if there is none.
Result<std::uint64_t> reached_by(const Place& place, std::string_view name) {
    auto parts = read_named(place, name);
    if (!parts && parts.error().code == ErrorCode::not_found) return std::uint64_t{0};
    if (!parts) return std::move(parts).error();
    return parts->checkpoint().position.value;
}

}  // namespace

Result<void> reset_consumer(store::Engine& engine, std::string_view name,
                            const ResetOptions& options) {
    const Place place = place_of(engine);
    if (options.state && options.state->size() > Consumer::kMaxState)
        return failure(ErrorCode::too_large, "the state is larger than the limit of 1 MiB");
    auto view = engine.view();
    if (!view) return std::move(view).error();
    const std::uint64_t durable = std::min(view->durable, view->published);
    if (options.position.value > durable)
        return failure(ErrorCode::stale, "position " + std::to_string(options.position.value) +
                                             " lies beyond what is durable, position " +
                                             std::to_string(durable));
    auto opened = CheckpointFile::open(place, name);
    if (opened) {
        Saved saved = beginning(options, place.env->now_us());
        if ((*opened)->header().lanes != 0)
            return reset_group(place, name, **opened, std::move(saved));
        saved.slot.generation = (*opened)->saved().slot.generation + 1;
        VARVE_TRY((*opened)->write(std::move(saved)));
        return (*opened)->sync();
    }
    const ErrorCode code = opened.error().code;
    if (code != ErrorCode::corrupt && code != ErrorCode::stale) return std::move(opened).error();
    auto file = open_named(place, name, os::OpenMode::read_write);
    if (!file) return std::move(file).error();
    auto locked = (*file)->try_lock();
    if (!locked) return std::move(locked).error();
    if (!*locked) return failure(ErrorCode::locked, "the consumer is in use", place.file_of(name));
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    return make_anew(place, name, *content, options);
}

Result<void> replace_consumer(store::Engine& engine, std::string_view name, std::string_view by) {
    const Place place = place_of(engine);
    for (const std::string_view one : {name, by})
        if (const char* wrong = refuse_name(one))
            return failure(ErrorCode::invalid_argument, wrong);
    if (name == by)
        return failure(ErrorCode::invalid_argument, "a consumer cannot take its own place");
    // While both locks are held nobody can begin with either.
    auto later = CheckpointFile::open(place, by);
    if (!later) return std::move(later).error();
    auto earlier = CheckpointFile::open(place, name);
    const bool missing = !earlier && earlier.error().code == ErrorCode::not_found;
    if (!earlier && !missing) return std::move(earlier).error();
    auto reached = make_durable(place, by, **later);
    if (!reached) return std::move(reached).error();
    auto wanted = reached_by(place, name);
    if (!wanted) return std::move(wanted).error();
    if (*reached < *wanted) {
        return failure(ErrorCode::busy, "consumer " + std::string(by) + " is at position " +
                                            std::to_string(*reached) + ", behind " +
                                            std::string(name) + " at position " +
                                            std::to_string(*wanted) + ": let it catch up first");
    }
    if (!missing) VARVE_TRY(keep_aside(place, name, "replaced"));
    VARVE_TRY(place.env->rename(place.file_of(by), place.file_of(name)));
    return place.env->sync_directory(place.directory);
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
