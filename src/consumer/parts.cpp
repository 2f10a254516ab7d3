#include "consumer/parts.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "consumer/inspect.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

namespace {

Result<FileContent> read_lane(const Place& place, const FileHeader& group, std::uint32_t number) {
    const std::string path = place.file_of(lane_name(group.id, number));
    auto file = place.env->open(path, os::OpenMode::read);
    if (!file && file.error().code == ErrorCode::not_found) {
        FileContent missing;
        missing.error = failure(ErrorCode::corrupt, title_of(path) + " is missing", path);
        return missing;
    }
    if (!file) return std::move(file).error();
    return read_file(**file, path, place.uuid);
}

}  // namespace

std::optional<Error> Parts::error() const {
    if (own.error) return own.error;
    for (const FileContent& lane : lanes)
        if (lane.error) return lane.error;
    return std::nullopt;
}

Checkpoint Parts::checkpoint() const noexcept {
    Checkpoint together = all().front().saved().checkpoint();
    for (const FileContent& part : all().subspan(1)) {
        const Checkpoint one = part.saved().checkpoint();
        together.position = std::min(together.position, one.position);
        together.acknowledged += one.acknowledged;
        together.parked += one.parked;
        together.epoch = std::max(together.epoch, one.epoch);
        together.time_us = std::max(together.time_us, one.time_us);
    }
    return together;
}

Result<Parts> read_parts(const Place& place, FileContent own) {
    Parts parts;
    parts.own = std::move(own);
    // A header that fails its checksum says nothing.
    const std::uint32_t lanes = parts.own.selector ? parts.own.header.lanes : 0;
    for (std::uint32_t n = 0; n < lanes; ++n) {
        auto lane = read_lane(place, parts.own.header, n);
        if (!lane) return std::move(lane).error();
        parts.lanes.push_back(std::move(*lane));
    }
    return parts;
}

Result<Parts> read_named(const Place& place, std::string_view name) {
    auto file = open_named(place, name, os::OpenMode::read);
    if (!file) return std::move(file).error();
    auto content = read_file(**file, place.file_of(name), place.uuid);
    if (!content) return std::move(content).error();
    auto parts = read_parts(place, std::move(*content));
    if (!parts) return parts;
    if (auto error = parts->error()) return std::move(*error);
    return parts;
}

Result<std::vector<ParkedFile>> read_parked(const Place& place, const Parts& parts) {
    std::vector<ParkedFile> files;
    for (const FileContent& part : parts.all()) {
        const Slot& slot = part.saved().slot;
        auto parked = ParkedFile::load(place, part.header.id, slot.generation);
        if (!parked) return std::move(parked).error();
        VARVE_TRY(parked->check(slot));
        files.push_back(std::move(*parked));
    }
    return files;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
