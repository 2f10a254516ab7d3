#include "consumer/membership.hpp"

#include "base/error.hpp"
#include "base/seeded_bug.hpp"

namespace varve {
inline namespace v0 {
namespace consumer {

using base::failure;

Result<std::uint32_t> count_members(os::File& file) noexcept {
    std::uint32_t members = 0;
    for (std::uint32_t n = 0; n < kMaxMembers; ++n) {
        auto taken = file.is_byte_locked(kMembersOffset + n);
        if (!taken) return std::move(taken).error();
        members += *taken ? 1U : 0U;
    }
    return members;
}

void tell_moves(os::Env& env, SharedWords& words) noexcept {
    if (base::seeded(base::SeededBug::consumer_wake_lost)) return;
    words.moves.fetch_add(1, std::memory_order_release);
    env.wake_all(words.moves);
}

Result<bool> Membership::take_byte(os::File& file) noexcept {
    for (std::uint32_t n = 0; n < kMaxMembers; ++n) {
        auto taken = file.try_lock_byte(kMembersOffset + n);
        if (!taken) return taken;
        if (!*taken) continue;
        byte_ = n;
        return true;
    }
    return false;
}

Result<std::unique_ptr<Membership>> Membership::join(const Place& place, std::string_view name) {
    const std::string path = place.file_of(name);
    // Whoever resets or replaces the group gives its name to another file meanwhile.
    constexpr int kTries = 10;
    for (int n = 0; n < kTries; ++n) {
        auto file = place.env->open(path, os::OpenMode::read_write);
        if (!file) return std::move(file).error();
        std::unique_ptr<Membership> member(new Membership(*place.env));
        auto content = read_file(**file, path, place.uuid);
        if (!content) return std::move(content).error();
        if (content->error) return std::move(*content->error);
        if (content->header.lanes == 0)
            return failure(
                ErrorCode::invalid_argument,
                "consumer " + std::string(name) + " is no group: one process has it at a time",
                path);
        auto taken = member->take_byte(**file);
        if (!taken) return std::move(taken).error();
        if (!*taken)
            return failure(ErrorCode::locked,
                           "consumer group " + std::string(name) +
                               " is being reset or replaced, or has 256 members already",
                           path);
        auto words = Words::map(**file, os::MapAccess::read_write);
        if (!words) return std::move(words).error();
        auto ours = (*file)->identity();
        if (!ours) return std::move(ours).error();
        auto named = place.env->identity_of(path);
        if (!named || named->inode != ours->inode) continue;
        member->content_ = std::move(*content);
        member->words_ = std::move(*words);
        member->file_ = std::make_unique<os::ForkGuard>(std::move(*file));
        VARVE_TRY(make_names_durable(*place.env, path));
        member->tell();
        return member;
    }
    return failure(ErrorCode::locked, "the group is being made anew; try again", path);
}

Membership::~Membership() {
    if (file_ == nullptr || file_->file() == nullptr) return;
    // The lock goes first: whoever wakes up counts without us.
    file_.reset();
    tell();
}

Result<Membership::Standing> Membership::look() noexcept {
    os::File* const file = file_->file();
    if (file == nullptr)
        return failure(ErrorCode::closed, "the membership belongs to the parent process");
    Standing standing;
    for (std::uint32_t n = 0; n < kMaxMembers; ++n) {
        if (n == byte_) continue;
        auto taken = file->is_byte_locked(kMembersOffset + n);
        if (!taken) return std::move(taken).error();
        if (!*taken) continue;
        ++standing.members;
        standing.rank += n < byte_ ? 1U : 0U;
    }
    return standing;
}

}  // namespace consumer
}  // namespace v0
}  // namespace varve
