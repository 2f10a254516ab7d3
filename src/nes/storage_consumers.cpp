// The states of consumers: small files beside the indexes, read and replaced. One thread.
#include <array>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "nes/json.hpp"
#include "nes/storage_state.hpp"

namespace varve {
inline namespace v0 {
namespace nes {

using base::failure;

namespace {

constexpr std::string_view kPrimary = "_all";
constexpr std::uint32_t kMostConsumed = 0x7FFFFFFF;  // the original reads it with a sign

Result<void> check_consumer(const ConsumerInfo& consumer) {
    VARVE_TRY(check_name(consumer.index));
    VARVE_TRY(check_name(consumer.name));
    if (consumer.name.find_first_of("./") != std::string::npos)
        return failure(ErrorCode::invalid_argument,
                       "the consumer's name has a '.' or '/', so its file could be taken for "
                       "another's; choose another name");
    if (consumer.position > kMostConsumed)
        return failure(ErrorCode::too_large, "the consumer's position has more than 31 bits");
    if (!is_json_object(consumer.state))
        return failure(ErrorCode::invalid_argument, "the consumer's state is no JSON object");
    return {};
}

/// Makes the file anew; what an interrupted update of this consumer has left goes.
Result<void> write_new(os::Env& env, const std::string& path, const ConsumerInfo& consumer,
                       bool durable) {
    auto kind = env.name_kind(path);
    if (!kind) return std::move(kind).error();
    if (*kind != os::NameKind::none) VARVE_TRY(env.remove(path));
    auto file = env.open(path, os::OpenMode::create, 0644);
    if (!file) return std::move(file).error();
    std::array<std::byte, sizeof consumer.position> position;
    base::store(position.data(), consumer.position);
    VARVE_TRY((*file)->write_at(0, position));
    VARVE_TRY((*file)->write_at(position.size(), base::as_bytes(consumer.state)));
    return durable ? (*file)->sync() : Result<void>();
}

}  // namespace

Result<std::vector<ConsumerInfo>> Storage::consumers() noexcept {
    VARVE_TRY(state_->usable(false));
    auto files = find_consumers(state_->env, state_->index_directory, state_->options.name);
    if (!files) return std::move(files).error();
    std::vector<ConsumerInfo> all;
    for (const std::string& file : *files) {
        const std::size_t dot = file.rfind('.');
        if (dot == std::string::npos) continue;
        ConsumerInfo consumer{file.substr(0, dot), file.substr(dot + 1), 0, {}};
        // What is left of an interrupted update has the position behind the whole name.
        if (consumer.index != kPrimary && state_->index_of(consumer.index) == nullptr) continue;
        const std::string path =
            state_->index_directory + "/consumers/" + state_->options.name + "." + file;
        auto bytes = read_file(state_->env, path);
        if (!bytes) return std::move(bytes).error();
        if (bytes->size() < sizeof consumer.position) {
            state_->report(
                failure(ErrorCode::corrupt, "the consumer's file has no position", path));
            continue;
        }
        std::memcpy(&consumer.position, bytes->data(), sizeof consumer.position);
        consumer.state = bytes->substr(sizeof consumer.position);
        if (!is_json_object(consumer.state))
            state_->report(failure(ErrorCode::corrupt,
                                   "the consumer's state is not a whole JSON object", path,
                                   sizeof consumer.position));
        all.push_back(std::move(consumer));
    }
    return all;
}

/// Written beside it and renamed, so that a reader finds the old state or the new one.
Result<void> Storage::store_consumer(const ConsumerInfo& consumer) noexcept {
    State& state = *state_;
    VARVE_TRY(state.usable(false));
    VARVE_TRY(check_consumer(consumer));
    if (consumer.index != kPrimary && state.index_of(consumer.index) == nullptr) {
        if (!state.writing()) VARVE_TRY(state.find_files());
        if (state.index_of(consumer.index) == nullptr)
            return failure(ErrorCode::not_found, "there is no index " + consumer.index,
                           state.index_directory);
    }
    const bool durable = state.options.sync_on_flush;
    const std::string path = state.index_directory + "/consumers/" + state.options.name + "." +
                             consumer.index + "." + consumer.name;
    VARVE_TRY(make_directories(state.env, directory_of(path), durable));
    const std::string fresh = path + "." + std::to_string(consumer.position);
    VARVE_TRY(write_new(state.env, fresh, consumer, durable));
    VARVE_TRY(state.env.rename(fresh, path));
    return durable ? state.env.sync_directory(directory_of(path)) : Result<void>();
}

}  // namespace nes
}  // namespace v0
}  // namespace varve
